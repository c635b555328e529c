/* Jobs that scribble at random over all memory that they share with the program, while they run and
   after they have answered, from threads and from processes that they leave behind. The program
   stays alive and right: whatever a call gives can be read, pools of others do not notice, and the
   scribblers' pool works again when they are gone. It goes on for SKUA_STRESS_SECONDS. */
#include "../pool_lies.h"

enum { WORKERS = 3, ASKERS = 6, PAYLOAD_MAX = 1 << 16 };

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* --- the scribblers --------------------------------------------------------------------------- */

/* The words that both sides look at, with values near to the right ones, or anything anywhere. */
static void scribble_once(const reach *area, uint64_t *random)
{
    static const size_t likely[] = {
        offsetof(struct skua__shared, response_write), offsetof(struct skua__shared, request_read),
        offsetof(struct skua__shared, worker_sleeps),  offsetof(struct skua__shared, log_write),
        offsetof(struct skua__shared, bell),           offsetof(struct skua__shared, return_write),
        offsetof(struct skua__shared, letter_write),   offsetof(struct skua__shared, parent_sleeps),
        offsetof(struct skua__shared, request_write),
    };
    const uint32_t which = below(random, 8);
    size_t at = (size_t)below(random, (uint32_t)area->bytes);
    if (which < 3) {
        at = likely[below(random, sizeof likely / sizeof likely[0])];
    } else if (which < 5) {
        const uint32_t slot = below(random, SKUA__RESPONSE_SLOTS);
        at = offsetof(struct skua__shared, responses) + slot * sizeof(struct skua__response_slot) +
             below(random, sizeof(struct skua__response));
    } else if (which < 7) {
        at = below(random, sizeof(struct skua__shared) + 4096);
    }
    volatile unsigned char *byte = area->start + (at < area->bytes ? at : 0);
    *byte = below(random, 2) == 0 ? (unsigned char)(*byte + below(random, 3))
                                  : (unsigned char)below(random, 256);
}

struct scribbler {
    reach reach;
    uint64_t random;
};

static void *scribble_for_ever(void *arg)
{
    struct scribbler *self = arg;
    for (;;) {
        scribble_once(&self->reach, &self->random);
        if (below(&self->random, 64) == 0) {
            poll(NULL, 0, 0);
        }
    }
    return NULL;
}

static int scribble(skua_bytes in, skua_reply *reply)
{
    struct scribbler self = {.reach = find_reach()};
    memcpy(&self.random, in.data, sizeof self.random);
    if (below(&self.random, 8) == 0) {
        struct scribbler *left = malloc(sizeof *left);
        pthread_t thread;
        *left = self;
        (void)!pthread_create(&thread, NULL, scribble_for_ever, left);
    }
    if (below(&self.random, 16) == 0 && fork() == 0) {
        scribble_for_ever(&self);
    }
    for (uint32_t i = below(&self.random, 64); i > 0; i--) {
        scribble_once(&self.reach, &self.random);
    }
    switch (below(&self.random, 8)) {
    case 0:
        _exit(1);
    case 1:
        poll(NULL, 0, 3);
        break;
    case 2:
        while (pause() < 0) {}
    }
    return answer(reply, in.data, in.bytes);
}
SKUA_JOB(scribble);

/* --- those who ask ---------------------------------------------------------------------------- */

typedef struct storm {
    skua_pool *pool;
    skua_time end;
    atomic_uint askers_left;
    atomic_ulong calls, sum, outcomes[4];
} storm;

static void read_all(storm *self, const skua_buf *out)
{
    unsigned long sum = 0;
    CHECK(out->bytes <= PAYLOAD_MAX);
    for (size_t i = 0; i < out->bytes; i++) {
        sum += ((const unsigned char *)out->data)[i]; /* whatever it says, it can be read */
    }
    atomic_fetch_add(&self->sum, sum);
}

static void count_outcome(storm *self, int status)
{
    const int which = status == -EPROTO       ? 1
                      : status == -EOWNERDEAD ? 2
                      : status == -ETIMEDOUT  ? 3
                                              : 0; /* a liar's status can be anything else */
    atomic_fetch_add(&self->outcomes[which], 1);
    atomic_fetch_add(&self->calls, 1);
}

static int asker(void *arg)
{
    storm *self = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    unsigned char *data = calloc(1, PAYLOAD_MAX);
    while (skua_clock().ns < self->end.ns) {
        const uint64_t seed = test_random(&random);
        const uint32_t bytes = 8 + below(&random, below(&random, 4) == 0 ? PAYLOAD_MAX - 8 : 200);
        memcpy(data, &seed, sizeof seed);
        const skua_time deadline = skua_after(SKUA_MS(5 + below(&random, 10)));
        if (below(&random, 2) == 0) {
            skua_buf out;
            count_outcome(self, skua_pool_call(self->pool, &scribble_job, bytes_of(data, bytes),
                                               &out, deadline));
            read_all(self, &out);
            skua_buf_release(&out);
        } else {
            sent some[8];
            for (int i = 0; i < 8; i++) {
                const skua_job *job = i % 4 == 0 ? &scribble_job : &echo_job;
                send_with(self->pool, &some[i], job, bytes_of(data, bytes), NULL, deadline);
            }
            for (int i = 0; i < 8; i++) {
                int status;
                CHECK_INT(skua_join(some[i].task, &status, FOREVER), 0);
                read_all(self, &some[i].out);
                count_outcome(self, outcome_of(&some[i]));
            }
        }
    }
    free(data);
    atomic_fetch_sub(&self->askers_left, 1);
    return 0;
}

static size_t kill_all(skua_pool *pool, pid_t pids[WORKERS])
{
    const size_t all = skua_pool_pids(pool, pids, WORKERS);
    const size_t count = all < WORKERS ? all : WORKERS;
    for (size_t i = 0; i < count; i++) {
        if (parent_of(pids[i]) == skua__zygote_pid()) {
            kill(pids[i], SIGKILL);
        }
    }
    return count;
}

/* The same, until the pool has others in their places: what a scribbler has left behind goes on
   in the memory of its worker for a moment after that one's death. */
static void replace_all(skua_pool *pool)
{
    pid_t old[WORKERS], pids[WORKERS];
    const size_t count = kill_all(pool, old);
    for (bool is_there = true; is_there;) {
        const size_t all = skua_pool_pids(pool, pids, WORKERS);
        is_there = false;
        for (size_t i = 0; i < all && i < WORKERS; i++) {
            for (size_t k = 0; k < count; k++) {
                is_there = is_there || pids[i] == old[k];
            }
        }
        nap_here(SKUA_US(200));
    }
}

static int storm_main(void *arg)
{
    storm self = {.pool = open_pool(WORKERS, PAYLOAD_MAX), .askers_left = ASKERS};
    self.end = skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 5));
    skua_pool *honest = open_pool(1, PAYLOAD_MAX);
    for (int i = 0; i < ASKERS; i++) {
        CHECK_INT(skua_spawn(NULL, asker, &self, NULL), 0);
    }
    pid_t pids[WORKERS];
    unsigned long echoes = 0;
    skua_time refreshed = skua_clock();
    for (; self.askers_left > 0; echoes++) {
        check_echo(honest, &echoes, sizeof echoes);     /* another pool does not notice */
        if (skua_elapsed_ns(refreshed) > SKUA_MS(15)) { /* those that have spoilt themselves */
            kill_all(self.pool, pids);
            refreshed = skua_clock();
        }
    }
    printf("    %lu calls (%lu found out, %lu deaths, %lu late), %lu honest jobs\n", self.calls,
           self.outcomes[1], self.outcomes[2], self.outcomes[3], echoes);
    replace_all(self.pool);
    for (int i = 0; i < 100; i++) {
        check_echo(self.pool, &i, sizeof i);
    }
    skua_pool_stats stats;
    skua_pool_stats_get(self.pool, &stats);
    CHECK_INT(stats.loans, 0);
    CHECK_INT(stats.queued, 0);
    skua_pool_destroy(honest);
    skua_pool_destroy(self.pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 */
static void scribblers_hurt_only_themselves(void **state)
{
    printf("    SKUA_SEED=%llu\n", (unsigned long long)test_seed());
    CHECK_INT(skua_pool_prepare(), 0); /* its fds stay until the end of the program */
    const int fds = test_fds();
    CHECK_INT(run_with(storm_main), 0);
    CHECK_INT(test_settle(test_fds, fds), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scribblers_hurt_only_themselves),
    };
    return TEST_RUN(tests);
}
