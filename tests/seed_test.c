/* tests/seed_test.c: one seed, one interleaving. */
#include "tasks.h"

#include <poll.h>
#include <pthread.h>
#include <skua/chan.h>
#include <skua/fork.h>
#include <skua/io.h>
#include <skua/par.h>
#include <skua/retry.h>
#include <skua/select.h>
#include <skua/sync.h>
#include <skua/testing.h>
#include <sys/wait.h>

/* What a program of many tasks has done, in order. */
typedef struct diary {
    uint64_t hash;
    uint64_t trace;
    int entries;
} diary;

static void note(diary *all, int what)
{
    uint64_t state = all->hash ^ (uint64_t)(unsigned)what;
    all->hash = test_random(&state);
    all->entries++;
}

/* --- mutex and yields ------------------------------------------------------------------------- */

typedef struct writer {
    diary *all;
    skua_mutex *mutex;
    int number;
} writer;

static int write_lines(void *arg)
{
    const writer *self = arg;
    for (int i = 0; i < 5; i++) {
        CHECK_INT(skua_mutex_lock(self->mutex, SKUA_FOREVER), 0);
        note(self->all, self->number * 10 + i);
        CHECK_INT(skua_yield(), 0);
        skua_mutex_unlock(self->mutex);
    }
    return 0;
}

static void write_together(diary *all)
{
    skua_mutex mutex = {{0}};
    writer writers[6];
    skua_task *tasks[6];
    for (int i = 0; i < 6; i++) {
        writers[i] = (writer){all, &mutex, i};
        tasks[i] = spawn(write_lines, &writers[i]);
    }
    for (int i = 0; i < 6; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
}

/* --- channels, select, deadlines and cancels -------------------------------------------------- */

typedef struct market {
    diary *all;
    skua_chan *goods, *news;
    uint64_t random;
} market;

static int sell(void *arg)
{
    market *self = arg;
    for (int i = 0; i < 8; i++) {
        CHECK_INT(skua_chan_send(self->goods, SKUA_ITEM(i), SKUA_FOREVER), 0);
    }
    return 0;
}

static int tell(void *arg)
{
    market *self = arg;
    for (int i = 0; i < 4; i++) {
        const int64_t ns = (int64_t)(test_random(&self->random) % 3) * SKUA_MS(1);
        CHECK_INT(skua_sleep(skua_after(ns)), 0);
        CHECK_INT(skua_chan_send(self->news, SKUA_ITEM(i), SKUA_FOREVER), 0);
    }
    return 0;
}

static int buy(void *arg)
{
    market *self = arg;
    for (;;) {
        int item = 0, said = 0;
        skua_case cases[] = {
            {.kind = SKUA_CASE_RECV,
             .object = self->goods,
             .item = &item,
             .item_bytes = sizeof item},
            {.kind = SKUA_CASE_RECV,
             .object = self->news,
             .item = &said,
             .item_bytes = sizeof said},
        };
        const int which = skua_select(cases, 2, 0, skua_after(SKUA_SEC(1)));
        if (which < 0) {
            note(self->all, which);
            return which;
        }
        note(self->all, 100 + 20 * which + (which == 0 ? item : said));
    }
}

static void trade(diary *all)
{
    market place = {.all = all, .random = 7};
    skua_task *sellers[3], *buyers[3];
    CHECK_INT(skua_chan_create(&place.goods, sizeof(int), 2), 0);
    CHECK_INT(skua_chan_create(&place.news, sizeof(int), 0), 0);
    for (int i = 0; i < 3; i++) {
        sellers[i] = spawn(i < 2 ? sell : tell, &place);
        buyers[i] = spawn(buy, &place);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(sellers[i]), 0);
    }
    skua_task_cancel(buyers[1]);
    for (int i = 0; i < 3; i++) {
        const int status = finish(buyers[i]);
        CHECK(status == -ETIMEDOUT || (i == 1 && status == -ECANCELED));
    }
    skua_chan_release(place.goods, SKUA_SENDER | SKUA_RECEIVER);
    skua_chan_release(place.news, SKUA_SENDER | SKUA_RECEIVER);
}

/* --- forks ------------------------------------------------------------------------------------ */

typedef struct leaf {
    diary *all;
    int depth, number;
} leaf;

static int grow(void *arg)
{
    leaf *self = arg;
    note(self->all, 1000 + self->number);
    if (self->depth == 0) {
        return skua_yield();
    }
    leaf left = {self->all, self->depth - 1, 2 * self->number};
    leaf right = {self->all, self->depth - 1, 2 * self->number + 1};
    skua_child child = {0};
    skua_fork(&child, grow, &left);
    const int status = grow(&right);
    const int other = skua_sync(&child);
    return status < 0 ? status : other;
}

/* --- pauses with a jitter --------------------------------------------------------------------- */

static int always_fail(void *arg)
{
    return -EAGAIN;
}

static void try_again(diary *all)
{
    const skua_time start = skua_clock();
    const skua_retry_opts opts = {.attempts = 5, .jitter_percent = 100};
    CHECK_INT(skua_retry(always_fail, NULL, &opts), -EAGAIN);
    note(all, (int)skua_elapsed_ns(start));
}

static int run_all(void *arg)
{
    diary *all = arg;
    try_again(all);
    write_together(all);
    trade(all);
    leaf root = {all, 4, 1};
    CHECK_INT(grow(&root), 0);
    return 0;
}

static diary run_with(uint64_t seed)
{
    diary all = {0};
    const skua_test_opts opts = {.seeded = true, .seed = seed};
    CHECK_INT(skua_test_run(&opts, run_all, &all), 0);
    CHECK_INT(skua_test_seed(), seed);
    all.trace = skua_test_trace();
    return all;
}

/* covers: B20 */
static void the_same_seed_gives_the_same_schedule(void **state)
{
    enum { SEEDS = 100 };
    static diary seen[SEEDS];
    int differ = 0, orders = 0;
    for (uint64_t i = 0; i < SEEDS; i++) {
        const diary first = run_with(i + 1), second = run_with(i + 1);
        CHECK_INT(first.trace, second.trace);
        CHECK_INT(first.hash, second.hash);
        CHECK_INT(first.entries, second.entries);
        seen[i] = first;
        differ += i > 0 && first.trace != seen[i - 1].trace;
        orders += i > 0 && first.hash != seen[i - 1].hash;
    }
    CHECK_INT(differ, SEEDS - 1);
    CHECK(orders > SEEDS * 9 / 10);
}

/* What another process, with its stacks and heap elsewhere, makes of the seed. */
static uint64_t trace_elsewhere(uint64_t seed)
{
    char command[64], path[256], text[64] = "";
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(length > 0);
    path[length] = '\0';
    snprintf(command, sizeof command, "%llu", (unsigned long long)seed);
    int ends[2], status = 0;
    CHECK_INT(pipe(ends), 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(path, path, command, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    CHECK(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    return strtoull(text, NULL, 10);
}

/* covers: B20 */
static void another_process_repeats_the_schedule(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        CHECK_INT(trace_elsewhere(seed), run_with(seed).trace);
    }
}

/* --- what the seed decides -------------------------------------------------------------------- */

typedef struct racer {
    int number;
    int *first;
} racer;

static int race(void *arg)
{
    const racer *self = arg;
    if (*self->first < 0) {
        *self->first = self->number;
    }
    return 0;
}

static int start_race(void *arg)
{
    racer racers[4];
    skua_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        racers[i] = (racer){i, arg};
        tasks[i] = spawn(race, &racers[i]);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

static void every_ready_task_may_come_first(void **state)
{
    int wins[4] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        int first = -1;
        const skua_test_opts opts = {.seeded = true, .seed = seed};
        CHECK_INT(skua_test_run(&opts, start_race, &first), 0);
        wins[first]++;
    }
    for (int i = 0; i < 4; i++) {
        CHECK(wins[i] > 0);
    }
}

/* A lost update that needs a switch between two operations which never wait. */
static int add_carelessly(void *arg)
{
    int *counter = arg;
    for (int i = 0; i < 3; i++) {
        const int before = *counter;
        CHECK_INT(skua_checkpoint(), 0);
        *counter = before + 1;
    }
    return 0;
}

static int add_in_two_tasks(void *arg)
{
    skua_task *a = spawn(add_carelessly, arg), *b = spawn(add_carelessly, arg);
    CHECK_INT(finish(a), 0);
    CHECK_INT(finish(b), 0);
    return 0;
}

/* covers: B20 */
static void tasks_give_way_at_operations_that_need_not_wait(void **state)
{
    int lost = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        int counter = 0;
        const skua_test_opts opts = {.seeded = true, .seed = seed};
        CHECK_INT(skua_test_run(&opts, add_in_two_tasks, &counter), 0);
        lost += counter != 6;
    }
    CHECK(lost > 0 && lost < 40);
}

/* Without a seed a checkpoint yields only when others have waited for long, as they have on a
   machine that was busy elsewhere just then: one quiet run of many shows it. */
static void without_a_seed_checkpoints_rarely_give_way(void **state)
{
    int counter = 0;
    for (int run = 0; run < 20 && counter != 6; run++) {
        counter = 0;
        CHECK_INT(skua_test_run(NULL, add_in_two_tasks, &counter), 0);
        CHECK_INT(skua_test_trace(), 0);
    }
    CHECK_INT(counter, 6);
}

/* --- the seed itself -------------------------------------------------------------------------- */

static int do_nothing(void *arg)
{
    return 0;
}

static int end_badly(void *arg)
{
    return -EIO;
}

static void the_seed_comes_from_the_environment_and_is_printed(void **state)
{
    const skua_test_opts opts = {.seeded = true};
    char before[32];
    snprintf(before, sizeof before, "%s", getenv("SKUA_SEED") != NULL ? getenv("SKUA_SEED") : "");
    setenv("SKUA_SEED", "4711", 1);
    CHECK_INT(skua_test_run(&opts, do_nothing, NULL), 0);
    CHECK_INT(skua_test_seed(), 4711);
    struct said caught;
    said_begin(&caught);
    const int status = skua_test_run(&opts, end_badly, NULL);
    const char *said = said_end(&caught);
    CHECK_INT(status, -EIO);
    CHECK_INT(count_of(said, "SKUA_SEED=4711"), 1);
    unsetenv("SKUA_SEED");
    CHECK_INT(skua_test_run(&opts, do_nothing, NULL), 0);
    const uint64_t drawn = skua_test_seed();
    CHECK_INT(skua_test_run(&opts, do_nothing, NULL), 0);
    CHECK(skua_test_seed() != drawn); /* once in four thousand million runs they are the same */
    if (before[0] != '\0') {
        setenv("SKUA_SEED", before, 1);
    }
    const skua_test_opts several = {.seeded = true, .workers = 2};
    CHECK_INT(skua_test_run(&several, do_nothing, NULL), -EINVAL);
}

static gate has_heard;

static void *write_soon(void *arg)
{
    const int *fd = arg;
    poll(NULL, 0, 5);
    CHECK_INT(write(*fd, "x", 1), 1);
    return NULL;
}

static int hear(void *arg)
{
    const int *fd = arg;
    CHECK_INT(skua_wait_fd(*fd, SKUA_READABLE, SKUA_FOREVER), SKUA_READABLE);
    atomic_store(&has_heard, 1);
    return 0;
}

static int wait_busily(void *arg)
{
    int ends[2];
    pthread_t thread;
    CHECK_INT(pipe(ends), 0);
    atomic_store(&has_heard, 0);
    skua_task *task = spawn(hear, &ends[0]);
    CHECK_INT(pthread_create(&thread, NULL, write_soon, &ends[1]), 0);
    while (atomic_load(&has_heard) == 0) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(finish(task), 0);
    pthread_join(thread, NULL);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* Also while somebody is always ready. */
static void events_are_heard_of(void **state)
{
    const skua_test_opts seeded = {.seeded = true};
    CHECK_INT(skua_test_run(&seeded, wait_busily, NULL), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        printf("%llu\n", (unsigned long long)run_with(strtoull(argv[1], NULL, 10)).trace);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        TEST(the_same_seed_gives_the_same_schedule),
        TEST(another_process_repeats_the_schedule),
        TEST(every_ready_task_may_come_first),
        TEST(tasks_give_way_at_operations_that_need_not_wait),
        TEST(without_a_seed_checkpoints_rarely_give_way),
        TEST(the_seed_comes_from_the_environment_and_is_printed),
        TEST(events_are_heard_of),
    };
    return TEST_RUN(tests);
}
