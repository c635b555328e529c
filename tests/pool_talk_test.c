/* Channels whose other ends are in worker processes: items of all sizes both ways, back-pressure,
   closing, what becomes of them when jobs are cancelled or die. */
#include "pool_talk_help.h"

/* Bytes are looked at one by one, which sanitizers make slow. */
enum { LARGE = (1 << 20) / (TEST_SCALE * TEST_SCALE) };
static const size_t sizes[] = {0,    1,     192,   193,       255,       256,      257,
                               4095, 4096,  4097,  8191,      65536,     LARGE,    3,
                               300,  20000, 12345, LARGE / 4, LARGE / 2, LARGE - 1};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* ---- jobs ---- */

static int number_of(skua_bytes in)
{
    int number;
    memcpy(&number, in.data, sizeof number);
    return number;
}

static int answer_number(skua_reply *reply, int64_t number)
{
    return answer(reply, &number, sizeof number);
}

/* Sends so many items of the sizes above, then closes. Answers how many went out; returns what the
   last send said. */
static int produce(skua_bytes in, skua_reply *reply)
{
    const int count = number_of(in);
    int status = 0;
    int64_t sent = 0;
    char *data = malloc(1 << 20);
    while (sent < count && status == 0) {
        const size_t bytes = sizes[sent % SIZES];
        fill_item(data, bytes, (uint64_t)sent);
        status = skua_job_send(reply, 0, bytes_of(data, bytes));
        sent += status == 0;
        skua_job_progress(reply, (uint64_t)sent, (uint64_t)count);
    }
    free(data);
    int closed = status == 0 ? skua_job_close(reply, 0) : 0;
    int error = answer_number(reply, sent);
    return status < 0 ? status : closed < 0 ? closed : error;
}
SKUA_JOB(produce);

/* Receives until the end, and answers how many items were what they should be. */
static int consume(skua_bytes in, skua_reply *reply)
{
    skua_bytes item;
    int64_t good = 0, count = 0;
    int status;
    while ((status = skua_job_receive(reply, 0, &item)) == 1) {
        good +=
            item.bytes == sizes[count % SIZES] && is_item(item.data, item.bytes, (uint64_t)count);
        count++;
        skua_job_progress(reply, (uint64_t)count, 0);
    }
    int error = answer_number(reply, good == count ? count : -count);
    return status < 0 ? status : error;
}
SKUA_JOB(consume);

/* From channel 0 to channel 1, every byte one more. Answers its process id. */
static int stage(skua_bytes in, skua_reply *reply)
{
    char *data = malloc(1 << 20);
    skua_bytes item;
    int status;
    while ((status = skua_job_receive(reply, 0, &item)) == 1) {
        for (size_t i = 0; i < item.bytes; i++) {
            data[i] = (char)(((const char *)item.data)[i] + 1);
        }
        status = skua_job_send(reply, 1, bytes_of(data, item.bytes));
        if (status < 0) {
            break;
        }
    }
    free(data);
    if (status == 0) {
        status = skua_job_close(reply, 1);
    }
    return status < 0 ? status : answer_number(reply, getpid());
}
SKUA_JOB(stage);

/* What is refused; returns the number of the first line that is wrong. */
static int ask_wrongly(skua_bytes in, skua_reply *reply)
{
    skua_bytes item;
    static char big[8193];
    return skua_job_send(reply, 1, bytes_of("x", 1)) != -EBADF               ? 1
           : skua_job_receive(reply, 1, &item) != -EBADF                     ? 2
           : skua_job_close(reply, UINT32_MAX) != -EBADF                     ? 3
           : skua_job_send(reply, 0, bytes_of(big, sizeof big)) != -EMSGSIZE ? 4
           : skua_job_send(reply, 0, bytes_of(big, sizeof big - 1)) != 0     ? 5
           : skua_job_close(reply, 0) != 0                                   ? 6
           : skua_job_close(reply, 0) != 0                                   ? 7
           : skua_job_send(reply, 0, bytes_of("x", 1)) != -EPIPE             ? 8
                                                                             : 0;
}
SKUA_JOB(ask_wrongly);

/* Receives an item, says so on channel 1, and waits for its first byte to change. */
static int watch_item(skua_bytes in, skua_reply *reply)
{
    skua_bytes item;
    int status = skua_job_receive(reply, 0, &item);
    if (status != 1 || skua_job_send(reply, 1, bytes_of("got", 3)) != 0) {
        return -EIO;
    }
    const volatile char *first = item.data;
    while (*first != 'X') {}
    return 0;
}
SKUA_JOB(watch_item);

/* Receives one item; returns what that said, plus 100. */
static int receive_one(skua_bytes in, skua_reply *reply)
{
    skua_bytes item;
    int status = skua_job_receive(reply, 0, &item);
    if (status == -ECANCELED && !skua_job_stopping(reply)) {
        return -EIO;
    }
    int again = status == -ECANCELED ? skua_job_receive(reply, 0, &item) : status;
    return again != status ? -EIO : 100 + status;
}
SKUA_JOB(receive_one);

/* Receives an item for which there is no memory: the job's own input takes it all. If the input
   says so, it waits until there is some, and checks that it is item 5. */
static int receive_full(skua_bytes in, skua_reply *reply)
{
    const char what = *(const char *)in.data;
    skua_bytes item;
    if (skua_job_receive(reply, 0, &item) != -ENOMEM) {
        return 1;
    }
    /* What is kept is of channel 0; nothing is taken out of another one meanwhile. */
    if (skua_job_receive(reply, 1, &item) != -ENOMEM) {
        return 2;
    }
    int status = skua_job_send(reply, 1, bytes_of("full", 4));
    if (status == 0 && what == 'w') {
        while ((status = skua_job_receive(reply, 0, &item)) == -ENOMEM) {}
        return status == 1 && item.bytes == 1000 && is_item(item.data, 1000, 5) ? 0 : 3;
    }
    return status;
}
SKUA_JOB(receive_full);

/* Sends so many items of a megabyte. */
static int hoard(skua_bytes in, skua_reply *reply)
{
    const int count = number_of(in);
    char *data = calloc(1, 1 << 20);
    int status = 0;
    for (int i = 0; i < count && status == 0; i++) {
        fill_item(data, 1000, (uint64_t)i);
        status = skua_job_send(reply, 0, bytes_of(data, 1 << 20));
    }
    free(data);
    return status;
}
SKUA_JOB(hoard);

/* ---- items ---- */

static void receive_all(skua_chan *chan, int count)
{
    for (int i = 0; i < count; i++) {
        skua_buf item;
        CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(item), FOREVER), 1);
        CHECK_INT(item.bytes, sizes[i % SIZES]);
        CHECK(is_item(item.data, item.bytes, (uint64_t)i));
        skua_buf_release(&item);
    }
    skua_buf item;
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(item), FOREVER), 0);
}

static int produce_main(void *arg)
{
    const int count = (TEST_SCALE > 1 ? 1 : 2) * SIZES;
    skua_pool *pool = open_pool(2, 1 << 20);
    for (size_t capacity = 0; capacity <= 4; capacity += 2) { /* 0: a rendezvous */
        struct talking talking = {.pool = pool,
                                  .job = &produce_job,
                                  .in = BYTES(count),
                                  .channels = {open_chan(capacity)}};
        start_talking(&talking);
        receive_all(talking.channels[0], count);
        CHECK_INT(end_talking(&talking), 0);
        CHECK_INT(talking.answer, count);
        free_chan(talking.channels[0]);
    }
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void results_are_streamed_from_a_job(void **state)
{
    run_on_some(produce_main);
}

static int consume_main(void *arg)
{
    const int count = (TEST_SCALE > 1 ? 1 : 2) * SIZES;
    skua_pool *pool = open_pool(2, 1 << 20);
    for (size_t capacity = 0; capacity <= 4; capacity += 2) {
        struct talking talking = {
            .pool = pool, .job = &consume_job, .channels = {open_chan(capacity)}};
        start_talking(&talking);
        for (int i = 0; i < count; i++) {
            send_item(talking.channels[0], make_item(pool, sizes[i % SIZES], (uint64_t)i));
        }
        skua_chan_close(talking.channels[0]);
        CHECK_INT(end_talking(&talking), 0);
        CHECK_INT(talking.answer, count);
        free_chan(talking.channels[0]);
    }
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void a_job_receives_items_of_all_sizes(void **state)
{
    run_on_some(consume_main);
}

enum { STAGES = 3 };

static int pipeline_main(void *arg)
{
    const int count = SIZES;
    skua_pool *pool = open_pool(STAGES, 1 << 20);
    skua_chan *between[STAGES + 1];
    struct talking stages[STAGES];
    for (int i = 0; i <= STAGES; i++) {
        between[i] = open_chan(2);
    }
    for (int i = 0; i < STAGES; i++) {
        stages[i] = (struct talking){
            .pool = pool, .job = &stage_job, .channels = {between[i], between[i + 1]}};
        start_talking(&stages[i]);
    }
    int sent = 0, received = 0;
    while (received < count) {
        skua_buf item;
        while (sent < count && sent - received < 4) {
            send_item(between[0], make_item(pool, sizes[sent % SIZES], (uint64_t)sent));
            sent++;
        }
        if (sent == count) {
            skua_chan_close(between[0]);
        }
        CHECK_INT(skua_chan_recv(between[STAGES], SKUA_ITEM(item), FOREVER), 1);
        CHECK_INT(item.bytes, sizes[received % SIZES]);
        for (size_t i = 0; i < item.bytes; i++) {
            ((char *)item.data)[i] = (char)(((char *)item.data)[i] - STAGES);
        }
        CHECK(is_item(item.data, item.bytes, (uint64_t)received));
        skua_buf_release(&item);
        received++;
    }
    for (int i = 0; i < STAGES; i++) {
        CHECK_INT(end_talking(&stages[i]), 0);
        for (int k = 0; k < i; k++) {
            CHECK(stages[i].answer != stages[k].answer); /* each in a process of its own */
        }
    }
    for (int i = 0; i <= STAGES; i++) {
        free_chan(between[i]);
    }
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void three_jobs_in_three_processes_are_a_pipeline(void **state)
{
    run_on_some(pipeline_main);
}

static int home_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    struct talking talking = {
        .pool = pool, .job = &watch_item_job, .channels = {open_chan(1), open_chan(1)}};
    start_talking(&talking);
    skua_buf item = make_item(pool, 1 << 20, 1);
    volatile char *first = item.data;
    send_item(talking.channels[0], item);
    CHECK_INT(skua_chan_recv(talking.channels[1], SKUA_ITEM(item), FOREVER), 1);
    CHECK_INT(item.bytes, 3);
    skua_buf_release(&item);
    *first = 'X'; /* a program has no business there any more, which is how this can be seen */
    CHECK_INT(end_talking(&talking), 0);
    free_chan(talking.channels[0]);
    free_chan(talking.channels[1]);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void an_item_in_the_workers_memory_is_not_copied(void **state)
{
    run_on_workers(2, home_main);
}

static int wrong_main(void *arg)
{
    skua_pool *pool = open_pool(1, 8192);
    struct talking talking = {.pool = pool, .job = &ask_wrongly_job, .channels = {open_chan(2)}};
    start_talking(&talking);
    CHECK_INT(end_talking(&talking), 0);
    skua_buf item;
    CHECK_INT(skua_chan_recv(talking.channels[0], SKUA_ITEM(item), FOREVER), 1);
    CHECK_INT(item.bytes, 8192);
    skua_buf_release(&item);
    free_chan(talking.channels[0]);
    close_pool(pool);
    return 0;
}

static void what_cannot_be_is_refused(void **state)
{
    run_on_workers(2, wrong_main);
}

/* ---- closing, back-pressure ---- */

static int pressure_main(void *arg)
{
    enum { CAPACITY = 3 };
    const int count = 50;
    skua_pool *pool = open_pool(1, 1 << 20);
    skua_pool_progress progress = {{0}};
    struct talking talking = {.pool = pool,
                              .job = &produce_job,
                              .in = BYTES(count),
                              .opts = {.progress = &progress},
                              .channels = {open_chan(CAPACITY)}};
    uint64_t done, total;
    skua_buf item;
    start_talking(&talking);
    await_waiting(talking.channels[0], 1, 0);
    CHECK_INT(skua_chan_count(talking.channels[0]), CAPACITY);
    skua_pool_progress_get(&progress, &done, &total);
    CHECK_INT(done, CAPACITY);
    CHECK_INT(total, count);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_chan_recv(talking.channels[0], SKUA_ITEM(item), FOREVER), 1);
        skua_buf_release(&item);
    }
    await_waiting(talking.channels[0], 1, 0);
    CHECK_INT(skua_chan_count(talking.channels[0]), CAPACITY);
    skua_chan_close(talking.channels[0]);
    CHECK_INT(end_talking(&talking), -EPIPE);
    CHECK_INT(talking.answer, CAPACITY + 2);
    for (int i = 0; i < CAPACITY; i++) {
        CHECK_INT(skua_chan_recv(talking.channels[0], SKUA_ITEM(item), FOREVER), 1);
        CHECK(is_item(item.data, item.bytes, (uint64_t)(i + 2)));
        skua_buf_release(&item);
    }
    free_chan(talking.channels[0]);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void a_job_waits_while_the_channel_is_full(void **state)
{
    run_on_some(pressure_main);
}

static int last_receiver_main(void *arg)
{
    const int count = 50;
    skua_pool *pool = open_pool(1, 1 << 20);
    struct talking talking = {
        .pool = pool, .job = &produce_job, .in = BYTES(count), .channels = {open_chan(0)}};
    start_talking(&talking);
    await_waiting(talking.channels[0], 1, 0);
    skua_chan_release(talking.channels[0], SKUA_RECEIVER);
    CHECK_INT(end_talking(&talking), -EPIPE);
    CHECK_INT(talking.answer, 0);
    skua_chan_release(talking.channels[0], SKUA_SENDER);

    struct talking reader = {.pool = pool, .job = &consume_job, .channels = {open_chan(2)}};
    start_talking(&reader);
    await_waiting(reader.channels[0], 0, 1);
    skua_chan_release(reader.channels[0], SKUA_SENDER); /* the last one closes */
    CHECK_INT(end_talking(&reader), 0);
    CHECK_INT(reader.answer, 0);
    skua_chan_release(reader.channels[0], SKUA_RECEIVER);
    close_pool(pool);
    return 0;
}

static void a_job_sees_that_the_other_side_has_left(void **state)
{
    run_on_some(last_receiver_main);
}

/* ---- jobs that end before their time ---- */

static int cancelled_main(void *arg)
{
    const int count = 1;
    skua_pool *pool = open_pool(1, 1 << 20);
    skua_buf item;

    struct talking reader = {.pool = pool, .job = &receive_one_job, .channels = {open_chan(1)}};
    start_talking(&reader);
    await_waiting(reader.channels[0], 0, 1);
    skua_task_cancel(reader.task);
    CHECK_INT(end_talking(&reader), -ECANCELED);
    await_waiting(reader.channels[0], 0, 0);
    send_item(reader.channels[0], make_item(pool, 1000, 1)); /* nobody takes it away */
    CHECK_INT(skua_chan_recv(reader.channels[0], SKUA_ITEM(item), SKUA_NOW), 1);
    skua_buf_release(&item);
    free_chan(reader.channels[0]);

    struct talking writer = {
        .pool = pool, .job = &produce_job, .in = BYTES(count), .channels = {open_chan(0)}};
    start_talking(&writer);
    await_waiting(writer.channels[0], 1, 0);
    skua_task_cancel(writer.task);
    CHECK_INT(end_talking(&writer), -ECANCELED);
    await_waiting(writer.channels[0], 0, 0);
    CHECK_INT(skua_chan_recv(writer.channels[0], SKUA_ITEM(item), SKUA_NOW), -EAGAIN);
    free_chan(writer.channels[0]);
    check_echo(pool, "still there", 11);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void a_cancelled_job_leaves_its_channels(void **state)
{
    run_on_some(cancelled_main);
}

static int late_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    struct talking reader = {.pool = pool,
                             .job = &receive_one_job,
                             .deadline = skua_after(SKUA_MS(20)),
                             .channels = {open_chan(1)}};
    start_talking(&reader);
    CHECK_INT(end_talking(&reader), -ETIMEDOUT);
    await_waiting(reader.channels[0], 0, 0);
    free_chan(reader.channels[0]);
    close_pool(pool);
    return 0;
}

static void so_does_one_that_is_late(void **state)
{
    run_on_workers(2, late_main);
}

static int grace_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    struct talking reader = {.pool = pool,
                             .job = &receive_one_job,
                             .opts = {.grace_ns = SKUA_SEC(60)},
                             .channels = {open_chan(1)}};
    start_talking(&reader);
    await_waiting(reader.channels[0], 0, 1);
    skua_task_cancel(reader.task);
    CHECK_INT(end_talking(&reader), 100 - ECANCELED); /* it has answered: nobody was killed */
    await_waiting(reader.channels[0], 0, 0);
    free_chan(reader.channels[0]);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.replaced, 0);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void a_job_in_its_grace_is_not_kept_waiting(void **state)
{
    run_on_some(grace_main);
}

static int killed_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    struct talking reader = {.pool = pool, .job = &receive_one_job, .channels = {open_chan(1)}};
    pid_t pid;
    start_talking(&reader);
    await_waiting(reader.channels[0], 0, 1);
    CHECK_INT(skua_pool_pids(pool, &pid, 1), 1);
    CHECK_INT(kill(pid, SIGKILL), 0);
    CHECK_INT(end_talking(&reader), -EOWNERDEAD);
    await_waiting(reader.channels[0], 0, 0);
    free_chan(reader.channels[0]);
    check_echo(pool, "another one", 11);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void so_does_one_whose_worker_dies(void **state)
{
    run_on_some(killed_main);
}

/* The worker is killed somewhere in the middle: what has come is the beginning of it all. */
static void produce_and_kill(skua_pool *pool, uint64_t *seed)
{
    const int count = 40;
    const int wanted = 1 + (int)(test_random(seed) % (uint64_t)(count - 1)); /* it has begun */
    struct talking writer = {.pool = pool,
                             .job = &produce_job,
                             .in = BYTES(count),
                             .channels = {open_chan(test_random(seed) % 4)}};
    skua_buf item;
    pid_t pid;
    int got = 0;
    start_talking(&writer);
    while (got < wanted) {
        CHECK_INT(skua_chan_recv(writer.channels[0], SKUA_ITEM(item), FOREVER), 1);
        CHECK(item.bytes == sizes[got % SIZES] && is_item(item.data, item.bytes, (uint64_t)got));
        skua_buf_release(&item);
        got++;
    }
    if (skua_pool_pids(pool, &pid, 1) == 1) {
        kill(pid, SIGKILL);
    }
    while (skua_chan_recv(writer.channels[0], SKUA_ITEM(item), skua_after(SKUA_MS(1))) == 1) {
        CHECK(item.bytes == sizes[got % SIZES] && is_item(item.data, item.bytes, (uint64_t)got));
        skua_buf_release(&item);
        got++;
    }
    const int status = end_talking(&writer);
    while (skua_chan_recv(writer.channels[0], SKUA_ITEM(item), SKUA_NOW) == 1) {
        CHECK(item.bytes == sizes[got % SIZES] && is_item(item.data, item.bytes, (uint64_t)got));
        skua_buf_release(&item);
        got++;
    }
    CHECK(status == -EOWNERDEAD || (status == 0 && got == count)); /* it was too fast for us */
    free_chan(writer.channels[0]);
}

/* Here what is left in the channel is the end of it all; at most one item went with the worker. */
static void consume_and_kill(skua_pool *pool, uint64_t *seed)
{
    enum { COUNT = 20 };
    struct talking reader = {.pool = pool, .job = &consume_job, .channels = {open_chan(COUNT)}};
    const uint64_t before = test_random(seed) % COUNT;
    skua_pool_progress progress = {{0}};
    skua_buf item;
    pid_t pid;
    reader.opts.progress = &progress;
    start_talking(&reader);
    await_waiting(reader.channels[0], 0, 1);
    for (uint64_t i = 0; i < COUNT; i++) {
        if (i == before && skua_pool_pids(pool, &pid, 1) == 1) {
            kill(pid, SIGKILL);
        }
        send_item(reader.channels[0], make_item(pool, sizes[i % SIZES], i));
    }
    CHECK_INT(end_talking(&reader), -EOWNERDEAD);
    uint64_t read, total, left = skua_chan_count(reader.channels[0]);
    skua_pool_progress_get(&progress, &read, &total);
    CHECK(read + left == COUNT || read + left + 1 == COUNT);
    for (uint64_t i = COUNT - left; i < COUNT; i++) {
        CHECK_INT(skua_chan_recv(reader.channels[0], SKUA_ITEM(item), SKUA_NOW), 1);
        CHECK(is_item(item.data, item.bytes, i));
        skua_buf_release(&item);
    }
    free_chan(reader.channels[0]);
}

static int random_main(void *arg)
{
    enum { ROUNDS = 20 / TEST_SCALE };
    uint64_t seed = test_seed();
    skua_pool *pool = open_pool(1, 1 << 20);
    for (int i = 0; i < ROUNDS; i++) {
        produce_and_kill(pool, &seed);
        consume_and_kill(pool, &seed);
    }
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void items_are_whole_and_in_order_whenever_the_worker_dies(void **state)
{
    run_on_workers(2, random_main);
}

static int closing_main(void *arg)
{
    skua_pool *pool = open_pool(2, 1 << 20);
    const int count = 10;
    struct talking reader = {.pool = pool, .job = &receive_one_job, .channels = {open_chan(1)}};
    struct talking writer = {
        .pool = pool, .job = &produce_job, .in = BYTES(count), .channels = {open_chan(0)}};
    start_talking(&reader);
    start_talking(&writer);
    await_waiting(reader.channels[0], 0, 1);
    await_waiting(writer.channels[0], 1, 0);
    skua_pool_destroy(pool);
    CHECK_INT(end_talking(&reader), -ESHUTDOWN);
    CHECK_INT(end_talking(&writer), -ESHUTDOWN);
    await_waiting(reader.channels[0], 0, 0);
    await_waiting(writer.channels[0], 0, 0);
    free_chan(reader.channels[0]);
    free_chan(writer.channels[0]);
    return 0;
}

static void the_pool_may_be_destroyed_while_they_wait(void **state)
{
    run_on_some(closing_main);
}

/* ---- memory ---- */

static int others_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    skua_pool *other = open_pool(1, 1 << 20);
    struct talking reader = {.pool = pool, .job = &consume_job, .channels = {open_chan(SIZES)}};
    start_talking(&reader);
    for (int i = 0; i < SIZES; i++) {
        send_item(reader.channels[0], make_item(other, sizes[i], (uint64_t)i));
    }
    skua_chan_close(reader.channels[0]);
    CHECK_INT(end_talking(&reader), 0);
    CHECK_INT(reader.answer, SIZES);
    free_chan(reader.channels[0]);
    close_pool(other);
    close_pool(pool);
    return 0;
}

static void items_of_another_pool_are_copied(void **state)
{
    run_on_workers(2, others_main);
}

enum { LARGEST = 16 << 20, HELD_MAX = 8 };

/* A job that is told "no memory" once; `what`: 'w' if it waits for the item. */
static void receive_without_memory(skua_pool *pool, skua_pool *other, char what)
{
    skua_buf held[HELD_MAX], in, item;
    int count = 0;
    while (count < HELD_MAX && skua_pool_alloc(pool, &held[count], LARGEST, SKUA_NOW) == 0) {
        count++;
    }
    CHECK(count > 0 && count < HELD_MAX);
    in = held[--count]; /* and what the pool had held back is for nobody else */
    skua_buf_release(&in);
    char *input = calloc(1, LARGEST);
    input[0] = what;
    struct talking reader = {.pool = pool,
                             .job = &receive_full_job,
                             .in = bytes_of(input, LARGEST),
                             .channels = {open_chan(1), open_chan(1)}};
    send_item(reader.channels[0], make_item(other, 1000, 5));
    skua_buf more;
    int error = skua_pool_alloc(pool, &more, LARGEST, SKUA_NOW);
    start_talking(&reader);
    CHECK_INT(skua_chan_recv(reader.channels[1], SKUA_ITEM(item), FOREVER), 1);
    skua_buf_release(&item);
    if (error == 0) {
        skua_buf_release(&more);
    }
    while (count > 0) {
        skua_buf_release(&held[--count]);
    }
    CHECK_INT(end_talking(&reader), 0);
    free_chan(reader.channels[0]);
    free_chan(reader.channels[1]);
    free(input);
}

static int full_main(void *arg)
{
    skua_pool *pool = open_pool(1, LARGEST);
    skua_pool *other = open_pool(1, 4096);
    receive_without_memory(pool, other, 'w');
    receive_without_memory(pool, other, 'g'); /* gives up */
    close_pool(other);
    close_pool(pool);
    return 0;
}

static void an_item_without_memory_is_kept(void **state)
{
    run_on_workers(2, full_main);
}

/* So many items on loan that the worker runs out of memory for more. */
static int hoard_main(void *arg)
{
    enum { ITEMS = 90 };
    const int count = ITEMS;
    skua_pool *pool = open_pool(1, 1 << 20);
    struct talking talking = {
        .pool = pool, .job = &hoard_job, .in = BYTES(count), .channels = {open_chan(1)}};
    skua_buf items[ITEMS];
    start_talking(&talking);
    for (int i = 0; i < ITEMS; i++) {
        CHECK_INT(skua_chan_recv(talking.channels[0], SKUA_ITEM(items[i]), FOREVER), 1);
    }
    CHECK_INT(end_talking(&talking), 0);
    for (int i = 0; i < ITEMS; i++) {
        CHECK_INT(items[i].bytes, 1 << 20);
        CHECK(is_item(items[i].data, 1000, (uint64_t)i));
        skua_buf_release(&items[i]);
    }
    free_chan(talking.channels[0]);
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void no_job_waits_for_items_to_be_released(void **state)
{
    run_on_workers(2, hoard_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(results_are_streamed_from_a_job),
        TEST(a_job_receives_items_of_all_sizes),
        TEST(three_jobs_in_three_processes_are_a_pipeline),
        TEST(an_item_in_the_workers_memory_is_not_copied),
        TEST(what_cannot_be_is_refused),
        TEST(a_job_waits_while_the_channel_is_full),
        TEST(a_job_sees_that_the_other_side_has_left),
        TEST(a_cancelled_job_leaves_its_channels),
        TEST(so_does_one_that_is_late),
        TEST(a_job_in_its_grace_is_not_kept_waiting),
        TEST(so_does_one_whose_worker_dies),
        TEST(items_are_whole_and_in_order_whenever_the_worker_dies),
        TEST(the_pool_may_be_destroyed_while_they_wait),
        TEST(items_of_another_pool_are_copied),
        TEST(an_item_without_memory_is_kept),
        TEST(no_job_waits_for_items_to_be_released),
    };
    return TEST_RUN(tests);
}
