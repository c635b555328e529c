/* Pools that reach over a cluster of ranks in one process: what becomes of jobs, whatever happens
   on the way. The same over MPI is in tests/ext. */
#include "cluster_mock.h"
#include "pool_gate.h"

#include "cluster/lead.h"
#include "cluster/link.h"
#include "cluster/serve.h"

enum { RANKS = 3, EVERY_MS = 1 };

static int crash(skua_bytes in, skua_reply *reply)
{
    raise(SIGKILL);
    return 0;
}
SKUA_JOB(crash);

static int complain(skua_bytes in, skua_reply *reply)
{
    return skua_job_fail(reply, -ENOTDIR, "%.*s", (int)in.bytes, (const char *)in.data);
}
SKUA_JOB(complain);

/* Three times as many pieces as are asked for at a time. */
enum { SWOLLEN = 3 * SKUA__PIECES_AT_ONCE * SKUA__PIECE_BYTES };

static int swell(skua_bytes in, skua_reply *reply)
{
    char *answer = skua_job_reserve(reply, SWOLLEN);
    if (answer == NULL) {
        return -ENOMEM;
    }
    memset(answer, 's', SWOLLEN);
    skua_job_commit(reply, SWOLLEN);
    return 0;
}
SKUA_JOB(swell);

/* --- a cluster -------------------------------------------------------------------------------- */

static struct {
    struct mock_world world;
    struct skua__lead *lead;
    struct skua__cluster *cluster;
    pthread_t servers[RANKS];
    skua_pool *pool;
    size_t payload_max;
    atomic_uint pulled; /* pieces that rank 0 has asked for */
} all;

static int count_and_receive(void *self, uint32_t from, uint32_t id, void *data, size_t bytes,
                             void *token)
{
    atomic_fetch_add(&all.pulled, 1);
    return mock_receive_payload(self, from, id, data, bytes, token);
}

/* With no rank lost, nothing is waited for when ranks are told to stop, nor at the end. */
static void check_claims(void)
{
    bool is_whole = true;
    for (uint32_t rank = 0; rank < RANKS; rank++) {
        is_whole = is_whole && !atomic_load(&all.world.ranks[rank].is_gone);
    }
    CHECK(!is_whole || all.world.ranks[0].claims == NULL);
}

static int look_and_send(void *self, uint32_t to, const void *data, size_t bytes, void *token)
{
    struct skua__record record;
    for (size_t at = 0; at < bytes;) {
        memcpy(&record, (const char *)data + at, sizeof record);
        if (record.kind == SKUA__RECORD_STOP) {
            check_claims();
        }
        at += (record.bytes + SKUA__RECORD_ALIGNMENT - 1) / SKUA__RECORD_ALIGNMENT *
              SKUA__RECORD_ALIGNMENT;
    }
    return mock_send(self, to, data, bytes, token);
}

static void *serve(void *arg)
{
    struct mock_rank *rank = arg;
    const skua_cluster_transport transport = mock_transport(rank->world, rank->rank);
    const skua_config config = {.workers = 1, .leave_signals = true};
    struct skua__cluster *cluster = NULL;
    struct skua__server *server = NULL;
    const char *why = NULL;
    CHECK_INT(skua__cluster_create(&cluster, &transport, &why), 0);
    CHECK_INT(skua__server_begin(&server, cluster), 0);
    CHECK_INT(skua_run(&config, skua__server_main, server), 0);
    skua__server_end(server);
    return NULL;
}

static skua_cluster_stats stats_of(uint32_t rank)
{
    skua_cluster_stats stats;
    CHECK_INT(skua_cluster_stats_get(all.pool, rank, &stats), 0);
    return stats;
}

static uint32_t rank_workers(uint32_t rank)
{
    return stats_of(rank).workers;
}

/* Until so many jobs have left for that rank. */
static void await_sent(uint32_t rank, uint64_t count)
{
    while (stats_of(rank).sent < count) {
        nap_here(SKUA_MS(EVERY_MS));
    }
}

/* Until it is known of the rank that it is lost, and its jobs have ended. */
static void await_loss(uint32_t rank)
{
    while (rank_workers(rank) != 0) {
        nap_here(SKUA_MS(EVERY_MS));
    }
}

/* Until each rank has its processes. */
static void await_lanes(void)
{
    for (uint32_t rank = 1; rank < RANKS; rank++) {
        while (rank_workers(rank) == 0) {
            CHECK_INT(skua_sleep(skua_after(SKUA_MS(EVERY_MS))), 0);
        }
    }
}

struct body {
    skua_fn fn;
};

static int with_pool(void *arg)
{
    const struct body *body = arg;
    const skua_pool_opts opts = {.workers = 2, .payload_max = all.payload_max};
    CHECK_INT(skua_pool_create(&all.pool, &opts), 0);
    await_lanes();
    CHECK_INT(body->fn(NULL), 0);
    skua_pool_destroy(all.pool);
    return 0;
}

/* Run it as a task of rank 0. */
static void in_cluster(skua_fn fn, uint32_t workers, int64_t delay_ns, int64_t silence_ns)
{
    mock_begin(&all.world, RANKS, delay_ns);
    all.world.keeps_alive = true;
    for (uint32_t rank = 1; rank < RANKS; rank++) {
        CHECK_INT(pthread_create(&all.servers[rank], NULL, serve, &all.world.ranks[rank]), 0);
    }
    skua_cluster_transport transport = mock_transport(&all.world, 0);
    const char *why = NULL;
    transport.receive_payload = count_and_receive;
    transport.send = look_and_send;
    atomic_store(&all.pulled, 0);
    all.cluster = NULL;
    CHECK_INT(skua__cluster_create(&all.cluster, &transport, &why), 0);
    if (silence_ns != 0) {
        all.cluster->silence_ns = silence_ns;
    }
    CHECK_INT(skua__lead_begin(&all.lead, all.cluster, &why), 0);
    skua__lead_use(all.lead);
    CHECK_INT(skua_cluster_size(), RANKS);
    CHECK_INT(skua_cluster_rank(), 0);
    struct body body = {fn};
    const skua_config config = {.workers = workers};
    CHECK_INT(skua_run(&config, with_pool, &body), 0);
    skua__lead_use(NULL);
    skua__lead_end(all.lead, -1);
    for (uint32_t rank = 1; rank < RANKS; rank++) {
        atomic_store(&all.world.ranks[rank].is_to_end, atomic_load(&all.world.ranks[rank].is_gone));
        pthread_join(all.servers[rank], NULL);
    }
    check_claims();
    mock_free(&all.world);
    CHECK_INT(skua_cluster_size(), 1);
}

/* --- jobs of all kinds ------------------------------------------------------------------------ */

enum { ROOM = 3 << 20 };
static unsigned char content[ROOM];

static int sizes_body(void *arg)
{
    static const size_t sizes[] = {
        0,   1, 192, 193, 256, 257, SKUA__EAGER_BYTES, SKUA__EAGER_BYTES + 1, SKUA__PIECE_BYTES,
        ROOM};
    enum { EACH = 8 };
    static skua_pool_item items[EACH];
    for (size_t size = 0; size < SKUA_COUNT_OF(sizes); size++) {
        for (size_t i = 0; i < EACH; i++) {
            items[i] = (skua_pool_item){.in = {content, sizes[size]}};
        }
        CHECK_INT(skua_pool_map(all.pool, &echo_job, items, EACH, FOREVER), 0);
        for (size_t i = 0; i < EACH; i++) {
            CHECK_INT(items[i].out.bytes, sizes[size]);
            CHECK(sizes[size] == 0 || memcmp(items[i].out.data, content, sizes[size]) == 0);
            skua_buf_release(&items[i].out);
        }
    }
    return 0;
}

/* covers: A67 */
static void answers_of_any_size_come_back(void **state)
{
    for (size_t i = 0; i < ROOM; i++) {
        content[i] = (unsigned char)(i * 13 + i / 1000);
    }
    all.payload_max = ROOM;
    in_cluster(sizes_body, 1, 0, 0);
    in_cluster(sizes_body, 2, SKUA_US(50), 0);
}

enum { SPREAD = 60 };
static skua_pool_item spread_items[SPREAD];

static int map_gated(void *arg)
{
    return skua_pool_map(all.pool, &pass_gate_job, spread_items, SPREAD, FOREVER);
}

/* None of them ends before all ranks have some. */
static int spread_body(void *arg)
{
    memset(spread_items, 0, sizeof spread_items);
    reset_gate(false);
    skua_task *map;
    CHECK_INT(skua_spawn(&map, map_gated, NULL, NULL), 0);
    for (uint32_t rank = 1; rank < RANKS; rank++) {
        await_sent(rank, 1);
    }
    while (atomic_load(&jobs_gate->begun) < RANKS) {
        nap_here(SKUA_MS(EVERY_MS));
    }
    atomic_store(&jobs_gate->is_open, true);
    int status = -1;
    CHECK_INT(skua_join(map, &status, FOREVER), 0);
    CHECK_INT(status, 0);
    skua_task_release(map);
    uint64_t sum = 0;
    for (uint32_t rank = 0; rank < RANKS; rank++) {
        CHECK(stats_of(rank).answered > 0);
        sum += stats_of(rank).answered;
    }
    CHECK_INT(sum, SPREAD);
    for (size_t i = 0; i < SPREAD; i++) {
        skua_buf_release(&spread_items[i].out);
    }
    return 0;
}

/* covers: A67 */
static void every_rank_gets_its_share(void **state)
{
    all.payload_max = 0;
    in_cluster(spread_body, 1, 0, 0);
    in_cluster(spread_body, 4, 0, 0);
}

/* --- what fails ------------------------------------------------------------------------------- */

/* One call, in a task of its own. */
struct asked {
    const skua_job *job;
    skua_bytes in;
    skua_call_opts opts;
    skua_time deadline;
    skua_buf out;
};

static int ask(void *arg)
{
    struct asked *asked = arg;
    return skua_pool_call_with(all.pool, asked->job, asked->in, &asked->opts, &asked->out,
                               asked->deadline);
}

enum { ASKED = 10 };
static struct asked asked[ASKED];
static skua_task *asking[ASKED];

static void ask_all(const skua_job *job, skua_call_opts opts, skua_time deadline)
{
    for (size_t i = 0; i < ASKED; i++) {
        asked[i] =
            (struct asked){.job = job, .opts = opts, .deadline = deadline, .in = {"so it is", 8}};
        CHECK_INT(skua_spawn(&asking[i], ask, &asked[i], NULL), 0);
    }
}

/* All have this status, or the other one; how many have the first. */
static size_t answers_are(int status, int or_status, const char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < ASKED; i++) {
        int got = 0;
        CHECK_INT(skua_join(asking[i], &got, FOREVER), 0);
        if (got != or_status) {
            CHECK_INT(got, status);
            const skua_error *error = skua_task_error(asking[i]);
            CHECK(text == NULL || (error != NULL && strstr(error->text, text) != NULL));
        }
        count += got == status;
        skua_buf_release(&asked[i].out);
        skua_task_release(asking[i]);
    }
    return count;
}

static int faults_body(void *arg)
{
    ask_all(&crash_job, (skua_call_opts){0}, FOREVER);
    CHECK_INT(answers_are(-EOWNERDEAD, -EOWNERDEAD, NULL), ASKED);
    ask_all(&complain_job, (skua_call_opts){0}, FOREVER);
    CHECK_INT(answers_are(-ENOTDIR, -ENOTDIR, "so it is"), ASKED);
    ask_all(&hang_job, (skua_call_opts){0}, skua_after(SKUA_MS(30)));
    CHECK_INT(answers_are(-ETIMEDOUT, -ETIMEDOUT, NULL), ASKED);
    ask_all(&hang_job, (skua_call_opts){.grace_ns = SKUA_MS(20)}, skua_after(SKUA_MS(30)));
    CHECK_INT(answers_are(-ETIMEDOUT, -ETIMEDOUT, NULL), ASKED);
    ask_all(&hang_job, (skua_call_opts){0}, FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(20))), 0);
    skua_task_cancel_all(asking, ASKED);
    CHECK_INT(answers_are(-ECANCELED, -ECANCELED, NULL), ASKED);
    ask_all(&echo_job, (skua_call_opts){0}, FOREVER);
    CHECK_INT(answers_are(0, 0, NULL), ASKED); /* all is well again */
    return 0;
}

static void failures_are_the_same_as_at_home(void **state)
{
    all.payload_max = 0;
    in_cluster(faults_body, 2, 0, 0);
}

/* --- ranks that are lost ---------------------------------------------------------------------- */

/* Jobs that would never end, some of them on the rank: those fail, the others go on until they are
   cancelled. */
static void check_loss(uint32_t rank, bool is_told, const char *text)
{
    ask_all(&hang_job, (skua_call_opts){0}, FOREVER);
    await_sent(rank, 1);
    mock_lose(&all.world, rank, is_told);
    await_loss(rank);
    skua_task_cancel_all(asking, ASKED);
    const size_t lost = answers_are(-EOWNERDEAD, -ECANCELED, text);
    CHECK(lost > 0 && lost < ASKED);
    ask_all(&echo_job, (skua_call_opts){0}, FOREVER);
    CHECK_INT(answers_are(0, 0, NULL), ASKED);
}

static int lost_body(void *arg)
{
    check_loss(2, true, "rank 2 ");
    return 0;
}

/* covers: A67 */
static void jobs_of_a_lost_rank_fail(void **state)
{
    all.payload_max = 0;
    in_cluster(lost_body, 2, 0, 0);
}

static int retried_body(void *arg)
{
    reset_gate(false);
    ask_all(&pass_gate_job, (skua_call_opts){.attempts = 3}, FOREVER);
    await_sent(1, 1);
    mock_lose(&all.world, 1, true);
    await_loss(1);
    CHECK(stats_of(1).lost > 0);
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(answers_are(0, 0, NULL), ASKED);
    return 0;
}

/* covers: A67 */
static void jobs_of_a_lost_rank_are_begun_again_if_they_may(void **state)
{
    all.payload_max = 0;
    in_cluster(retried_body, 2, 0, 0);
}

static int late_body(void *arg)
{
    mock_lose(&all.world, 1, false);
    ask_all(&hang_job, (skua_call_opts){0}, skua_after(SKUA_MS(40)));
    CHECK_INT(answers_are(-ETIMEDOUT, -ETIMEDOUT, NULL), ASKED);
    mock_lose(&all.world, 1, true); /* the end does not wait for it either */
    return 0;
}

static void deadlines_are_kept_while_a_rank_is_silent(void **state)
{
    all.payload_max = 0;
    in_cluster(late_body, 2, 0, 0);
}

static int silent_body(void *arg)
{
    check_loss(1, false, "rank 1 ");
    return 0;
}

static void a_silent_rank_is_given_up(void **state)
{
    all.payload_max = 0;
    in_cluster(silent_body, 2, 0, SKUA_MS(200));
}

static int nothing_more(void *arg)
{
    mock_lose(&all.world, 1, false);
    return 0;
}

static void a_silent_rank_is_given_up_at_the_end(void **state)
{
    all.payload_max = 0;
    in_cluster(nothing_more, 2, 0, SKUA_MS(200));
}

/* Pieces of answers are on their way, and more are to be asked for, when their callers give up and
   the program ends. */
static int leave_while_pulling(void *arg)
{
    ask_all(&swell_job, (skua_call_opts){.grace_ns = SKUA_MS(1)}, FOREVER);
    while (atomic_load(&all.pulled) == 0) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(EVERY_MS))), 0);
    }
    skua_task_cancel_all(asking, ASKED);
    CHECK(answers_are(-ECANCELED, 0, NULL) <= ASKED);
    return 0;
}

static void ranks_end_when_all_that_was_asked_for_has_come(void **state)
{
    all.payload_max = SWOLLEN;
    in_cluster(leave_while_pulling, 2, SKUA_MS(50), 0);
}

/* The pool is destroyed under its jobs, and nobody is given up for that. */
static int left_in_turn(void *arg)
{
    mock_lose(&all.world, 1, false);
    for (size_t i = 0; i < ASKED; i++) {
        CHECK_INT(skua_pool_submit(all.pool, &asking[i], &hang_job, (skua_bytes){NULL, 0}, NULL,
                                   NULL, FOREVER),
                  0);
    }
    await_sent(1, 1);
    skua_pool_destroy(all.pool);
    for (size_t i = 0; i < ASKED; i++) {
        int status = 0;
        CHECK_INT(skua_join(asking[i], &status, FOREVER), 0);
        CHECK_INT(status, -ESHUTDOWN);
        skua_task_release(asking[i]);
    }
    mock_lose(&all.world, 1, true);
    const skua_pool_opts opts = {.workers = 1, .local = true};
    CHECK_INT(skua_pool_create(&all.pool, &opts), 0);
    CHECK_INT(rank_workers(2), 0); /* it stays here */
    return 0;
}

static void a_pool_is_destroyed_whatever_ranks_do(void **state)
{
    all.payload_max = 0;
    in_cluster(left_in_turn, 2, 0, 0);
}

/* --- everything at once ----------------------------------------------------------------------- */

enum { RANDOM_TASKS = 24, RANDOM_CALLS = 40 / TEST_SCALE + 4 };
static atomic_uint outcomes;

static int random_calls(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < RANDOM_CALLS; i++) {
        uint64_t dice = test_random(&state);
        size_t bytes = dice % 8 == 0 ? dice / 8 % (300 * 1000) : dice / 8 % 600;
        const skua_job *job = dice % 29 == 0 ? &crash_job : dice % 31 == 0 ? &hang_job : &echo_job;
        skua_time deadline = job == &hang_job || dice % 5 == 0
                                 ? skua_after((int64_t)(test_random(&state) % SKUA_MS(8)))
                                 : FOREVER;
        const skua_call_opts opts = {.attempts = (uint32_t)(dice >> 20) % 3,
                                     .priority = (int)((dice >> 24) % 8) - 4};
        skua_buf out;
        int status =
            skua_pool_call_with(all.pool, job, (skua_bytes){content, bytes}, &opts, &out, deadline);
        if (status == 0) {
            CHECK_PTR(job, &echo_job);
            CHECK_INT(out.bytes, bytes);
            CHECK(bytes == 0 || memcmp(out.data, content, bytes) == 0);
        } else if (status != -ETIMEDOUT) {
            CHECK_INT(status, -EOWNERDEAD); /* by itself, or with its rank */
        }
        skua_buf_release(&out);
        atomic_fetch_add(&outcomes, 1);
    }
    return 0;
}

static int random_body(void *arg)
{
    skua_task *tasks[RANDOM_TASKS];
    uint64_t state = test_seed();
    for (size_t i = 0; i < RANDOM_TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], random_calls, (void *)(uintptr_t)test_random(&state), NULL),
                  0);
    }
    while (atomic_load(&outcomes) < RANDOM_TASKS * RANDOM_CALLS / 2) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(EVERY_MS))), 0);
    }
    mock_lose(&all.world, 1, test_random(&state) % 2 == 0);
    for (size_t i = 0; i < RANDOM_TASKS; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, FOREVER), 0);
        skua_task_release(tasks[i]);
    }
    CHECK_INT(atomic_load(&outcomes), RANDOM_TASKS * RANDOM_CALLS);
    return 0;
}

/* covers: A67 */
static void each_job_has_one_outcome(void **state)
{
    all.payload_max = 1 << 20;
    atomic_store(&outcomes, 0);
    in_cluster(random_body, 2, SKUA_US(test_seed() % 200), SKUA_MS(100));
}

int main(void)
{
    if (skua_pool_prepare() < 0) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        TEST(answers_of_any_size_come_back),
        TEST(every_rank_gets_its_share),
        TEST(failures_are_the_same_as_at_home),
        TEST(jobs_of_a_lost_rank_fail),
        TEST(jobs_of_a_lost_rank_are_begun_again_if_they_may),
        TEST(deadlines_are_kept_while_a_rank_is_silent),
        TEST(a_silent_rank_is_given_up),
        TEST(a_silent_rank_is_given_up_at_the_end),
        TEST(ranks_end_when_all_that_was_asked_for_has_come),
        TEST(a_pool_is_destroyed_whatever_ranks_do),
        TEST(each_job_has_one_outcome),
    };
    return TEST_RUN(tests);
}
