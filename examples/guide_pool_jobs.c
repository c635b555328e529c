/* The program of docs/guide/pool_jobs.md. */
#include <skua/skua.h>

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 300 };

/* Sends every word of its input on channel 0, as it finds it. */
static int find_words(skua_bytes in, skua_reply *reply)
{
    const char *text = in.data;
    size_t begin = 0, count = 0;
    int status = 0;
    for (size_t i = 0; i <= in.bytes && status == 0; i++) {
        if (i == in.bytes || text[i] == ' ') {
            status = skua_job_send(reply, 0, (skua_bytes){text + begin, i - begin});
            begin = i + 1;
            count++;
            skua_job_progress(reply, i, in.bytes);
        }
    }
    skua_job_log(reply, "%zu words", count);
    return status < 0 ? status : skua_job_close(reply, 0);
}
SKUA_JOB(find_words);

/* From channel 0 to channel 1, in capitals. */
static int shout(skua_bytes in, skua_reply *reply)
{
    (void)in;
    skua_bytes word;
    int status;
    while ((status = skua_job_receive(reply, 0, &word)) == 1) {
        char loud[64];
        for (size_t i = 0; i < word.bytes && i < sizeof loud; i++) {
            loud[i] = (char)toupper(((const unsigned char *)word.data)[i]);
        }
        status = skua_job_send(reply, 1, (skua_bytes){loud, word.bytes});
        if (status < 0) {
            return status;
        }
    }
    return status < 0 ? status : skua_job_close(reply, 1);
}
SKUA_JOB(shout);

static int print_words(skua_chan *words)
{
    skua_buf word;
    int status;
    while ((status = skua_chan_recv(words, SKUA_ITEM(word), SKUA_FOREVER)) == 1) {
        printf("%.*s\n", (int)word.bytes, (const char *)word.data);
        skua_buf_release(&word);
    }
    return status;
}

/* words -> find_words -> quiet -> shout -> loud, each job in a process of its own. */
static int run_pipeline(skua_pool *pool, skua_chan *quiet, skua_chan *loud)
{
    skua_chan *const first[] = {quiet};
    skua_chan *const second[] = {quiet, loud};
    const skua_call_opts find = {.channels = first, .channel_count = 1};
    const skua_call_opts shouting = {.channels = second, .channel_count = 2};
    const char text[] = "results come as they are found";
    const skua_bytes in = {text, strlen(text)};
    skua_task *jobs[2] = {NULL, NULL};
    int status = skua_pool_submit(pool, &jobs[0], &find_words_job, in, &find, NULL, SKUA_FOREVER);
    if (status == 0) {
        status = skua_pool_submit(pool, &jobs[1], &shout_job, (skua_bytes){NULL, 0}, &shouting,
                                  NULL, SKUA_FOREVER);
    }
    if (status == 0) {
        status = print_words(loud);
    }
    for (int i = 0; i < 2 && jobs[i] != NULL; i++) { /* the channels have to stay until then */
        int error = skua_join(jobs[i], NULL, SKUA_FOREVER);
        status = status < 0 ? status : error;
    }
    skua_task_release_all(jobs, 2);
    return status;
}

static int pipeline(skua_pool *pool)
{
    skua_chan *quiet, *loud;
    int status = skua_chan_create(&quiet, sizeof(skua_buf), 4);
    if (status < 0) {
        return status;
    }
    status = skua_chan_create(&loud, sizeof(skua_buf), 4);
    if (status == 0) {
        status = run_pipeline(pool, quiet, loud);
        skua_chan_release(loud, SKUA_SENDER | SKUA_RECEIVER);
    }
    skua_chan_release(quiet, SKUA_SENDER | SKUA_RECEIVER);
    return status;
}

/* Writes a greeting to the file that it is given, and sends back one that it has opened. */
static int greet(skua_bytes in, skua_reply *reply)
{
    const int to = skua_job_fd(reply, 0);
    if (to < 0 || write(to, in.data, in.bytes) != (ssize_t)in.bytes) {
        return to < 0 ? to : -EIO;
    }
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0) {
        return -errno;
    }
    int status = skua_job_reply_fd(reply, null);
    close(null);
    return status;
}
SKUA_JOB(greet);

static int files(skua_pool *pool)
{
    int ends[2], back[SKUA_POOL_FDS_MAX];
    uint32_t back_count;
    char text[6] = "";
    if (pipe(ends) < 0) {
        return -errno;
    }
    const skua_call_opts opts = {
        .fds = &ends[1], .fd_count = 1, .reply_fds = back, .reply_fd_count = &back_count};
    int status =
        skua_pool_call_with(pool, &greet_job, (skua_bytes){"hello", 5}, &opts, NULL, SKUA_FOREVER);
    if (status == 0 && read(ends[0], text, 5) == 5) {
        printf("%s, and %u file back\n", text, (unsigned)back_count);
    }
    for (uint32_t i = 0; i < back_count; i++) {
        close(back[i]);
    }
    close(ends[0]);
    close(ends[1]);
    return status;
}

/* Looks for a number that is not there, until it is told to stop; the answer is its best so far. */
static int search(skua_bytes in, skua_reply *reply)
{
    (void)in;
    uint64_t *best = skua_job_reserve(reply, sizeof *best);
    if (best == NULL) {
        return -EMSGSIZE;
    }
    *best = 0;
    while (!skua_job_stopping(reply)) {
        *best += *best < 1000;
    }
    skua_job_commit(reply, sizeof *best);
    return 0;
}
SKUA_JOB(search);

static int search_for_a_while(skua_pool *pool)
{
    const skua_call_opts opts = {.grace_ns = SKUA_SEC(10)};
    skua_buf best;
    int status = skua_pool_call_with(pool, &search_job, (skua_bytes){NULL, 0}, &opts, &best,
                                     skua_after(SKUA_MS(50)));
    if (status == 0) {
        printf("the best was %llu\n", *(unsigned long long *)best.data);
    }
    skua_buf_release(&best);
    return status;
}

/* In a task of the pool, which lets nobody wait: a program would hand the line on. */
static void note_line(void *arg, const skua_job *job, pid_t pid, const char *line)
{
    char *last = arg;
    (void)pid;
    snprintf(last, LINE_BYTES, "%s says: %s", job->name, line);
}

static int program(void *arg)
{
    (void)arg;
    skua_pool *pool;
    char last[LINE_BYTES] = "";
    const skua_pool_opts opts = {.workers = 2, .log = note_line, .log_arg = last};
    int status = skua_pool_create(&pool, &opts);
    if (status < 0) {
        return status;
    }
    status = pipeline(pool);
    if (status == 0) {
        status = files(pool);
    }
    if (status == 0) {
        status = search_for_a_while(pool);
    }
    skua_pool_destroy(pool);
    printf("%s\n", last);
    return status;
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
