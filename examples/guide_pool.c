/* The program of docs/guide/pool.md. */
#include <skua/skua.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a job and a call ------------------------------------------------------------------------- */

/* A job: count the lines. An empty input is more than it can bear. */
static int count_lines(skua_bytes in, skua_reply *reply)
{
    if (in.bytes == 0) {
        abort();
    }
    const char *text = in.data;
    size_t *lines = skua_job_reserve(reply, sizeof *lines); /* the answer, in place */
    if (lines == NULL) {
        return -EMSGSIZE;
    }
    *lines = 0;
    for (size_t i = 0; i < in.bytes; i++) {
        *lines += text[i] == '\n';
    }
    skua_job_commit(reply, sizeof *lines);
    return 0;
}
SKUA_JOB(count_lines); /* makes count_lines_job */

struct request {
    skua_pool *pool;
    skua_bytes text;
};

static int ask(void *arg)
{
    const struct request *request = arg;
    skua_buf answer;
    int status = skua_pool_call(request->pool, &count_lines_job, request->text, &answer,
                                skua_after(SKUA_SEC(10)));
    if (status >= 0) {
        printf("%zu lines\n", *(const size_t *)answer.data);
    }
    skua_buf_release(&answer);
    return status;
}

/* What the message of a death says: job 'count_lines': worker 4711 was killed by signal ... */
static void tell_death(const skua_error *error)
{
    const char *cause = error == NULL ? NULL : strstr(error->text, "was ");
    printf("the job's worker %s\n", cause == NULL ? "?" : cause);
}

static int crash_one(skua_pool *pool)
{
    skua_task *task;
    int result = 0;
    struct request bad = {.pool = pool, .text = {"", 0}};
    int status = skua_spawn(&task, ask, &bad, NULL);
    if (status < 0) {
        return status;
    }
    status = skua_join(task, &result, SKUA_FOREVER);
    if (status == 0 && result == -EOWNERDEAD) {
        tell_death(skua_task_error(task));
    }
    skua_task_release(task);
    return status;
}

/* --- many at once ----------------------------------------------------------------------------- */

/* Jobs as members of a group: it waits for all of them, and ends the others if one fails. */
static int count_files(skua_pool *pool, const skua_bytes texts[], size_t counts[], int count)
{
    skua_buf answers[8] = {{0}};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, skua_after(SKUA_SEC(10)));
    const skua_call_opts opts = {.group = &group};
    int status = 0;
    for (int i = 0; i < count && status == 0; i++) {
        status = skua_pool_submit(pool, NULL, &count_lines_job, texts[i], &opts, &answers[i],
                                  SKUA_FOREVER);
    }
    status = skua_group_close(&group, status);
    for (int i = 0; i < count; i++) {
        counts[i] = status == 0 ? *(const size_t *)answers[i].data : 0;
        skua_buf_release(&answers[i]);
    }
    return status;
}

static int square(skua_bytes in, skua_reply *reply)
{
    uint64_t *answer = skua_job_reserve(reply, sizeof *answer);
    uint64_t number;
    if (answer == NULL || in.bytes != sizeof number) {
        return skua_job_fail(reply, -EINVAL, "%zu bytes are no number", in.bytes);
    }
    memcpy(&number, in.data, sizeof number);
    *answer = number * number;
    skua_job_commit(reply, sizeof *answer);
    return 0;
}
SKUA_JOB(square);

/* An array: each item gets its answer and its status, whatever becomes of the others. */
static int square_array(skua_pool *pool)
{
    const uint64_t numbers[] = {3, 4, 5};
    skua_pool_item items[4] = {{.in = {"?", 1}}};
    for (int i = 0; i < 3; i++) {
        items[i + 1].in = (skua_bytes){&numbers[i], sizeof numbers[i]};
    }
    ssize_t failed = skua_pool_map(pool, &square_job, items, 4, SKUA_FOREVER);
    printf("%zd of 4 failed\n", failed);
    for (int i = 0; i < 4; i++) {
        if (items[i].status == 0) {
            printf("%" PRIu64 "\n", *(const uint64_t *)items[i].out.data);
        }
        skua_buf_release(&items[i].out);
    }
    return failed < 0 ? (int)failed : 0;
}

/* The numbers from 1 on, without end. */
static int count_up(void *arg, skua_bytes *in, skua_buf *buf)
{
    uint64_t *number = arg;
    (void)buf; /* for inputs that stand in a buffer of the pool already */
    (*number)++;
    *in = (skua_bytes){number, sizeof *number};
    return 1;
}

/* A stream: inputs are taken as workers get free, answers come in the order of the inputs. */
static int sum_squares(skua_pool *pool, uint64_t limit, uint64_t *sum)
{
    skua_pool_stream *stream;
    uint64_t number = 0, index = 0;
    int status = skua_pool_stream_open(&stream, pool, &square_job, count_up, &number, NULL);
    if (status < 0) {
        return status;
    }
    *sum = 0;
    while (status >= 0 && *sum < limit) {
        skua_buf answer = {0};
        int job_status = 0;
        status = skua_pool_stream_next(stream, &index, &job_status, &answer, SKUA_FOREVER);
        if (status == 1 && job_status < 0) {
            printf("number %" PRIu64 ": %s\n", index, skua_pool_stream_message(stream));
        } else if (status == 1) {
            *sum += *(const uint64_t *)answer.data;
        }
        skua_buf_release(&answer);
    }
    skua_pool_stream_close(stream); /* what is under way is dropped */
    return status < 0 ? status : 0;
}

/* --- without copies --------------------------------------------------------------------------- */

/* Changes its input where it lies, and gives it back as its answer. */
static int invert(skua_bytes in, skua_reply *reply)
{
    unsigned char *pixels = skua_job_input(reply);
    for (size_t i = 0; i < in.bytes; i++) {
        pixels[i] = (unsigned char)~pixels[i];
    }
    skua_job_commit_input(reply, in.bytes);
    return 0;
}
SKUA_JOB(invert);

static int invert_image(skua_pool *pool, size_t bytes)
{
    skua_buf image, inverted;
    int status = skua_pool_alloc(pool, &image, bytes, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    memset(image.data, 0x0f, bytes); /* as a decoder or a read would fill it */
    const skua_call_opts opts = {.in_buf = &image};
    status = skua_pool_call_with(pool, &invert_job, (skua_bytes){NULL, 0}, &opts, &inverted,
                                 skua_after(SKUA_SEC(10)));
    if (status >= 0) {
        const unsigned char *pixels = inverted.data;
        printf("%zu pixels, the last one is %x\n", inverted.bytes, pixels[bytes - 1]);
    }
    skua_buf_release(&inverted);
    return status;
}

/* --- workers that are prepared, jobs that are watched ----------------------------------------- */

/* Runs once in each worker, before its first job. */
static int load_table(skua_bytes in, skua_reply *reply)
{
    unsigned *table = calloc(256, sizeof *table);
    if (table == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < in.bytes; i++) {
        table[((const unsigned char *)in.data)[i]] = 1;
    }
    *skua_job_state(reply) = table;
    return 0;
}
SKUA_JOB(load_table);

/* Finds what the worker has, says how far it is, and ends early if nobody waits any more. */
static int count_vowels(skua_bytes in, skua_reply *reply)
{
    const unsigned *table = *skua_job_state(reply);
    const unsigned char *text = in.data;
    int count = 0;
    for (size_t i = 0; i < in.bytes && !skua_job_stopping(reply); i++) {
        count += (int)table[text[i]];
        skua_job_progress(reply, i + 1, in.bytes);
    }
    return count;
}
SKUA_JOB(count_vowels);

static int prepared_pool(void)
{
    skua_pool *pool;
    const skua_pool_opts opts = {
        .name = "vowels",
        .workers = 2,
        .init = &load_table_job,
        .init_in = {"aeiou", 5},
        .jobs_per_worker_max = 1000,           /* then a fresh process */
        .limits = {.address_bytes = 256 << 20, /* beyond that, malloc() gives NULL */
                   .cpu_ns = SKUA_SEC(10),     /* beyond that, -EDQUOT */
                   .no_new_privileges = true},
    };
    int status = skua_pool_create(&pool, &opts);
    if (status < 0) {
        return status;
    }
    uint64_t done, total;
    skua_pool_progress progress = {{0}};
    const skua_call_opts call = {
        .attempts = 3,            /* it does no harm twice: a lost worker costs nothing */
        .priority = 2,            /* before others */
        .grace_ns = SKUA_MS(100), /* after the deadline, to tidy up */
        .progress = &progress,
    };
    const skua_bytes text = {"a work-stealing task runtime", 28};
    status =
        skua_pool_call_with(pool, &count_vowels_job, text, &call, NULL, skua_after(SKUA_SEC(10)));
    skua_pool_progress_get(&progress, &done, &total);
    printf("%d vowels, %" PRIu64 " of %" PRIu64 " letters\n", status, done, total);
    if (status >= 0) {
        status = skua_pool_drain(pool, SKUA_FOREVER); /* no new jobs; wait for the others */
    }
    skua_pool_destroy(pool);
    return status;
}

/* --- all of it -------------------------------------------------------------------------------- */

static int count_and_square(skua_pool *pool)
{
    const skua_bytes texts[] = {{"one\ntwo\n", 8}, {"three\n", 6}, {"no line", 7}};
    struct request good = {.pool = pool, .text = texts[0]};
    size_t counts[3];
    uint64_t sum;
    int status = crash_one(pool);
    if (status == 0) {
        status = ask(&good);
    }
    if (status == 0) {
        status = count_files(pool, texts, counts, 3);
    }
    if (status == 0) {
        printf("%zu + %zu + %zu lines\n", counts[0], counts[1], counts[2]);
        status = square_array(pool);
    }
    if (status == 0) {
        status = sum_squares(pool, 1000, &sum);
    }
    if (status == 0) {
        printf("1 + 4 + 9 + ... = %" PRIu64 "\n", sum);
        status = invert_image(pool, 1 << 20);
    }
    return status;
}

static int program(void *arg)
{
    skua_pool *pool;
    (void)arg;
    const skua_pool_opts opts = {.workers = 2, .payload_max = 1 << 20};
    int status = skua_pool_create(&pool, &opts);
    if (status < 0) {
        return status;
    }
    status = count_and_square(pool);
    skua_pool_destroy(pool);
    return status < 0 ? status : prepared_pool();
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
