/* Jobs by the hundred thousand while their workers are killed and stopped at random: each of them
   has exactly one outcome, and it is the true one. A ledger that program and workers share says how
   often each job was begun and ended: a job that succeeded ran exactly once, one whose worker died
   at most once, those that may be repeated not more often than their callers allow. What was told
   is compared with the ledger when no worker is alive any more, so that an execution after the
   outcome shows as well. It goes on for SKUA_STRESS_SECONDS. */
#include "../pool_help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum {
    JOBS_MAX = 8 << 20,
    WORKERS = 3,
    ASKERS = 6,
    PAYLOAD_MAX = 1 << 18,
    BURST_MAX = 300,
    ITEMS_MAX = 400,
    STREAM_MAX = 3000,
};

/* What happened to a job, by the workers' account: one word each, so that no kill tears them. */
typedef struct ledger_entry {
    atomic_ushort begun, ended;
} ledger_entry;

static ledger_entry *ledger; /* there before the workers are, hence shared with them */

__attribute__((constructor)) static void share_ledger(void)
{
    ledger = mmap(NULL, sizeof(ledger_entry) * JOBS_MAX, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* --- the job ---------------------------------------------------------------------------------- */

enum deed { QUICK, SHORT, NAP, CRASH, EXIT, HANG, DEEDS };

struct order {
    uint32_t index;
    uint32_t deed;
    uint32_t in_bytes, out_bytes; /* of the whole input and answer, this struct included */
};

static unsigned char pad_of(const struct order *order)
{
    return (unsigned char)(order->index * 7 + 1);
}

static void do_deed(uint32_t deed)
{
    if (deed == SHORT) {
        for (volatile int i = 0; i < 20000; i++) {}
    } else if (deed == NAP) {
        poll(NULL, 0, 1);
    } else if (deed == CRASH) {
        raise(SIGSEGV);
    } else if (deed == EXIT) {
        _exit(9);
    } else if (deed == HANG) {
        while (pause() < 0) {}
    }
}

static int accounted(skua_bytes in, skua_reply *reply)
{
    struct order order;
    memcpy(&order, in.data, sizeof order);
    atomic_fetch_add(&ledger[order.index].begun, 1);
    const unsigned char *bytes = in.data;
    if (in.bytes != order.in_bytes ||
        (in.bytes > sizeof order && bytes[in.bytes - 1] != pad_of(&order))) {
        return -EBADMSG;
    }
    do_deed(order.deed);
    unsigned char *out = skua_job_reserve(reply, order.out_bytes);
    if (out == NULL) {
        return -EMSGSIZE;
    }
    memcpy(out, &order, sizeof order);
    memset(out + sizeof order, pad_of(&order), order.out_bytes - sizeof order);
    skua_job_commit(reply, order.out_bytes);
    atomic_fetch_add(&ledger[order.index].ended, 1);
    return (int)(order.index & 0xffff);
}
SKUA_JOB(accounted);

/* --- who asks --------------------------------------------------------------------------------- */

/* What the program was told of a job. */
struct told {
    int status;
    uint8_t times; /* outcomes: one, in the end */
    uint8_t attempts;
    bool is_unseen; /* its stream was closed before it was told */
};

typedef struct storm {
    skua_pool *pool;
    skua_time end;
    struct told *told;
    atomic_uint next;
    atomic_bool is_over; /* for the killer */
    atomic_uint kills;
} storm;

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* Numbers for `count` jobs. False: it is time to stop. */
static bool take_numbers(storm *self, uint32_t count, uint32_t *first)
{
    if (skua_clock().ns >= self->end.ns ||
        atomic_load(&self->next) > JOBS_MAX - ASKERS * STREAM_MAX) {
        return false;
    }
    *first = atomic_fetch_add(&self->next, count);
    return true;
}

static uint32_t draw_size(uint64_t *random)
{
    const uint32_t which = below(random, 100);
    const uint32_t more = which < 80   ? below(random, 170)
                          : which < 98 ? below(random, 6000)
                                       : below(random, PAYLOAD_MAX - 64);
    return (uint32_t)sizeof(struct order) + more;
}

static uint32_t draw_deed(uint64_t *random, bool may_hang)
{
    const uint32_t which = below(random, 2000);
    return which < 2    ? CRASH
           : which < 4  ? EXIT
           : which < 6  ? (may_hang ? HANG : QUICK)
           : which < 16 ? NAP
           : which < 96 ? SHORT
                        : QUICK;
}

/* Writes the input for job `index` into `data`, which has room for PAYLOAD_MAX. */
static skua_bytes write_order(uint64_t *random, uint32_t index, bool may_hang, unsigned char *data)
{
    const struct order order = {index, draw_deed(random, may_hang), draw_size(random),
                                draw_size(random)};
    memcpy(data, &order, sizeof order);
    memset(data + sizeof order, pad_of(&order), order.in_bytes - sizeof order);
    return bytes_of(data, order.in_bytes);
}

/* An outcome came: the answer must be that of this very job. */
static void note(storm *self, uint32_t index, uint8_t attempts, int status, skua_buf *out)
{
    struct told *told = &self->told[index];
    told->times++;
    told->status = status;
    told->attempts = attempts;
    CHECK_INT(told->times, 1);
    if (status >= 0) {
        struct order order;
        CHECK_INT(status, index & 0xffff);
        CHECK(out->bytes >= sizeof order);
        memcpy(&order, out->data, sizeof order);
        CHECK_INT(order.index, index);
        CHECK_INT(out->bytes, order.out_bytes);
        const unsigned char last = ((const unsigned char *)out->data)[out->bytes - 1];
        CHECK(out->bytes == sizeof order || last == pad_of(&order));
    } else {
        CHECK(status == -EOWNERDEAD || status == -ETIMEDOUT || status == -ECANCELED);
        CHECK_PTR(out->data, NULL);
    }
    skua_buf_release(out);
}

static uint8_t draw_attempts(uint64_t *random)
{
    return (uint8_t)(below(random, 3) == 0 ? 2 + below(random, 3) : 1);
}

static bool ask_one(storm *self, uint64_t *random, unsigned char *data)
{
    uint32_t index;
    skua_buf out;
    if (!take_numbers(self, 1, &index)) {
        return false;
    }
    const bool is_bounded = below(random, 2) == 0;
    const skua_time deadline = is_bounded ? skua_after((int64_t)below(random, 8000000)) : FOREVER;
    const uint8_t attempts = draw_attempts(random);
    const skua_call_opts opts = {
        .attempts = attempts,
        .priority = (int)below(random, 8) - 4,
        .grace_ns = below(random, 4) == 0 ? SKUA_US(300) : 0,
    };
    const skua_bytes in = write_order(random, index, is_bounded, data);
    int status = skua_pool_call_with(self->pool, &accounted_job, in, &opts, &out, deadline);
    note(self, index, attempts, status, &out);
    return true;
}

/* Many at once, of which some are cancelled. */
static bool submit_some(storm *self, uint64_t *random, unsigned char *data)
{
    skua_task *tasks[BURST_MAX];
    skua_buf outs[BURST_MAX];
    uint8_t attempts[BURST_MAX];
    uint32_t first;
    const uint32_t count = 1 + below(random, BURST_MAX);
    if (!take_numbers(self, count, &first)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const bool is_bounded = below(random, 8) == 0;
        const int64_t limit_ns = (int64_t)below(random, 20000000);
        attempts[i] = draw_attempts(random);
        const skua_call_opts opts = {.attempts = attempts[i]};
        const skua_bytes in = write_order(random, first + i, is_bounded, data);
        CHECK_INT(skua_pool_submit(self->pool, &tasks[i], &accounted_job, in, &opts, &outs[i],
                                   is_bounded ? skua_after(limit_ns) : FOREVER),
                  0);
        if (below(random, 50) == 0) {
            skua_task_cancel(tasks[below(random, i + 1)]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        int status = 0;
        CHECK_INT(skua_join(tasks[i], &status, FOREVER), 0);
        CHECK(status >= 0 || skua_task_error(tasks[i]) != NULL);
        note(self, first + i, attempts[i], status, &outs[i]);
        skua_task_release(tasks[i]);
    }
    return true;
}

static bool map_some(storm *self, uint64_t *random, unsigned char *data)
{
    skua_pool_item items[ITEMS_MAX] = {{.status = 0}};
    unsigned char *inputs[ITEMS_MAX];
    uint32_t first;
    const uint32_t count = 1 + below(random, ITEMS_MAX);
    if (!take_numbers(self, count, &first)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const skua_bytes in = write_order(random, first + i, false, data);
        inputs[i] = malloc(in.bytes);
        memcpy(inputs[i], in.data, in.bytes);
        items[i].in = bytes_of(inputs[i], in.bytes);
    }
    ssize_t failed = skua_pool_map(self->pool, &accounted_job, items, count, FOREVER);
    for (uint32_t i = 0; i < count; i++) {
        failed -= items[i].status < 0;
        note(self, first + i, 1, items[i].status, &items[i].out);
        free(inputs[i]);
    }
    CHECK_INT(failed, 0);
    return true;
}

struct source {
    uint64_t *random;
    unsigned char *data;
    uint32_t first, count, given;
};

static int next_order(void *arg, skua_bytes *in, skua_buf *buf)
{
    struct source *self = arg;
    if (self->given == self->count) {
        return 0;
    }
    *in = write_order(self->random, self->first + self->given++, false, self->data);
    return 1;
}

static bool stream_some(storm *self, uint64_t *random, unsigned char *data)
{
    struct source source = {.random = random, .data = data, .count = 1 + below(random, STREAM_MAX)};
    if (!take_numbers(self, source.count, &source.first)) {
        return false;
    }
    const uint8_t attempts = draw_attempts(random);
    const skua_pool_stream_opts opts = {.unordered = below(random, 2) == 0, .attempts = attempts};
    skua_pool_stream *stream;
    CHECK_INT(
        skua_pool_stream_open(&stream, self->pool, &accounted_job, next_order, &source, &opts), 0);
    /* One in four is left before its end. */
    const uint32_t wanted = below(random, 4) == 0 ? below(random, source.count) : source.count + 1;
    uint32_t seen = 0;
    for (int more = 1; more == 1 && seen < wanted;) {
        uint64_t index;
        int status;
        skua_buf answer;
        more = skua_pool_stream_next(stream, &index, &status, &answer, FOREVER);
        if (more == 1) {
            CHECK(opts.unordered || index == seen);
            note(self, source.first + (uint32_t)index, attempts, status, &answer);
            seen++;
        } else {
            CHECK_INT(more, 0);
            CHECK_INT(seen, source.count);
        }
    }
    skua_pool_stream_close(stream);
    for (uint32_t i = 0; i < source.count; i++) {
        struct told *told = &self->told[source.first + i];
        told->is_unseen = told->times == 0;
        told->attempts = attempts;
    }
    return true;
}

static int asker(void *arg)
{
    storm *self = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    unsigned char *data = malloc(PAYLOAD_MAX);
    bool goes_on = true;
    while (goes_on) {
        const uint32_t which = below(&random, 8);
        goes_on = which < 2   ? submit_some(self, &random, data)
                  : which < 4 ? stream_some(self, &random, data)
                  : which < 5 ? map_some(self, &random, data)
                              : ask_one(self, &random, data);
    }
    free(data);
    return 0;
}

static void *foreign_asker(void *arg)
{
    storm *self = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    unsigned char *data = malloc(PAYLOAD_MAX);
    while (ask_one(self, &random, data)) {}
    free(data);
    return NULL;
}

/* --- who kills -------------------------------------------------------------------------------- */

/* A thread, not a task: it strikes also while the workers of the runtime are busy. */
static void *killer(void *arg)
{
    storm *self = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    while (!atomic_load(&self->is_over)) {
        pid_t pids[WORKERS + 1];
        size_t count = skua_pool_pids(self->pool, pids, WORKERS + 1);
        count = count < WORKERS + 1 ? count : WORKERS + 1;
        if (count > 0) {
            static const int signals[] = {SIGKILL, SIGSEGV, SIGSTOP, SIGABRT};
            const pid_t victim = pids[below(&random, (uint32_t)count)];
            const int signal = signals[below(&random, 4)];
            if (parent_of(victim) == skua__zygote_pid()) {
                kill(victim, signal);
                atomic_fetch_add(&self->kills, 1);
            }
            const struct timespec pause = {0, 100000 + (long)below(&random, 3000000)};
            nanosleep(&pause, NULL);
            if (signal == SIGSTOP && parent_of(victim) == skua__zygote_pid()) {
                kill(victim, below(&random, 2) == 0 ? SIGKILL : SIGCONT);
            }
        }
    }
    return NULL;
}

/* --- the account ------------------------------------------------------------------------------ */

static void check_account(const storm *self, uint32_t count)
{
    uint32_t fine = 0, dead = 0, ended = 0, unseen = 0, repeated = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct told *told = &self->told[i];
        const uint32_t begun = ledger[i].begun;
        const uint32_t finished = ledger[i].ended;
        CHECK(finished <= begun);
        CHECK_INT(told->times, told->is_unseen ? 0 : 1);
        if (begun > told->attempts) {
            test_fail(__FILE__, __LINE__, "job %u (status %d) was begun %u times, not %u", i,
                      told->status, begun, told->attempts);
        }
        if (!told->is_unseen && told->status >= 0) {
            CHECK(finished >= 1);
            fine++;
        }
        repeated += begun > 1;
        unseen += told->is_unseen;
        dead += !told->is_unseen && told->status == -EOWNERDEAD;
        ended += !told->is_unseen && (told->status == -ETIMEDOUT || told->status == -ECANCELED);
    }
    CHECK_INT(fine + dead + ended + unseen, count);
    printf("    %u jobs, %u signals: %u answers, %u deaths, %u cut off, %u not waited for, %u "
           "begun again\n",
           count, self->kills, fine, dead, ended, unseen, repeated);
}

static int storm_main(void *arg)
{
    skua_task *tasks[ASKERS];
    pthread_t threads[2];
    storm self = {.pool = open_pool(WORKERS, PAYLOAD_MAX)};
    self.end = skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 6));
    self.told = calloc(JOBS_MAX, sizeof *self.told);
    CHECK_INT(pthread_create(&threads[0], NULL, killer, &self), 0);
    CHECK_INT(pthread_create(&threads[1], NULL, foreign_asker, &self), 0);
    for (int i = 0; i < ASKERS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], asker, &self, NULL), 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, FOREVER), 0);
    }
    skua_task_release_all(tasks, ASKERS);
    pthread_join(threads[1], NULL);
    CHECK_INT(skua_pool_drain(self.pool, FOREVER), 0); /* while they still die */
    skua_pool_stats stats;
    skua_pool_stats_get(self.pool, &stats);
    CHECK_INT(stats.queued, 0);
    CHECK_INT(stats.running, 0);
    CHECK_INT(stats.loans, 0);
    atomic_store(&self.is_over, true);
    pthread_join(threads[0], NULL);
    skua_pool_destroy(self.pool);
    CHECK_INT(count_workers(), 0);
    check_account(&self, self.next);
    free(self.told);
    return 0;
}

/* covers: A67 D79 */
static void each_job_has_one_outcome_and_it_is_true(void **state)
{
    CHECK(ledger != MAP_FAILED);
    CHECK_INT(run_with(storm_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_job_has_one_outcome_and_it_is_true),
    };
    return TEST_RUN(tests);
}
