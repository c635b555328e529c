/* The thread that owns a cluster's transport: records, payloads, silence, sleep. */
#include "cluster_mock.h"

#include "base/atomic.h"
#include "base/futex.h"
#include "cluster/link.h"

static const enum skua__record_kind KIND_COUNTED = SKUA__RECORD_JOB;

/* One side of a link. */
struct side {
    struct skua__cluster *cluster;
    struct skua__cluster_user user;
    atomic_uint records; /* seen, in order; a futex */
    atomic_uint losses;
    atomic_uint arrivals;
    atomic_bool owes;
    atomic_bool expects;
    char why[128];
    const char *payload; /* that is sent to who pulls */
    size_t payload_bytes;
};

static struct mock_world world;
static struct side sides[2];

static void count(atomic_uint *counter)
{
    atomic_fetch_add(counter, 1);
    skua__futex_wake(counter, 1, false);
}

static void await(atomic_uint *counter, uint32_t wanted)
{
    for (uint32_t now; (now = atomic_load(counter)) < wanted;) {
        skua__futex_wait(counter, now, SKUA__NEVER, false);
    }
}

/* Its length and content follow from its number. */
static size_t body_of(uint64_t ticket, unsigned char *body)
{
    uint64_t state = ticket;
    size_t bytes = test_random(&state) % (ticket % 16 == 0 ? SKUA__EAGER_BYTES : 200);
    memset(body, (int)(ticket % 251), bytes);
    return bytes;
}

static bool on_record(void *arg, uint32_t from, const struct skua__record *record)
{
    static unsigned char body[2][SKUA__EAGER_BYTES];
    struct side *side = arg;
    unsigned char *want = body[side - sides];
    if (record->kind != KIND_COUNTED) {
        return false;
    }
    CHECK_INT(from, 1 - (side - sides));
    CHECK_INT(record->ticket, atomic_load(&side->records));
    size_t bytes = body_of(record->ticket, want);
    CHECK_INT(record->bytes, sizeof *record + bytes);
    CHECK(memcmp(record + 1, want, bytes) == 0);
    count(&side->records);
    return true;
}

static bool on_piece(void *arg, uint32_t to, const struct skua__record *record, const void **data,
                     struct skua__parcel **parcel)
{
    struct side *side = arg;
    const struct skua__record_pull *pull = skua__record_body(record, sizeof *pull);
    CHECK(pull != NULL);
    (void)to;
    (void)parcel;
    if (record->ticket != 0) {
        return true; /* it is not there any more: anything will do */
    }
    if (pull->offset + pull->bytes > side->payload_bytes) {
        return false;
    }
    *data = side->payload + pull->offset;
    return true;
}

static bool work(void *arg)
{
    (void)arg;
    return false;
}

static bool expects(void *arg)
{
    struct side *side = arg;
    return atomic_load(&side->expects);
}

static bool owes(void *arg, uint32_t rank)
{
    struct side *side = arg;
    (void)rank;
    return atomic_load(&side->owes);
}

static int64_t due_ns(void *arg)
{
    (void)arg;
    return SKUA__NEVER;
}

static void on_lost(void *arg, uint32_t rank, const char *why)
{
    struct side *side = arg;
    CHECK_INT(rank, 1 - (side - sides));
    snprintf(side->why, sizeof side->why, "%s", why);
    count(&side->losses);
}

static void create(int64_t delay_ns, int64_t silence_ns)
{
    mock_begin(&world, 2, delay_ns);
    memset(sides, 0, sizeof sides);
    for (uint32_t rank = 0; rank < 2; rank++) {
        struct side *side = &sides[rank];
        const skua_cluster_transport transport = mock_transport(&world, rank);
        const char *why = NULL;
        atomic_store(&side->expects, true);
        CHECK_INT(skua__cluster_create(&side->cluster, &transport, &why), 0);
        CHECK_INT(side->cluster->size, 2);
        CHECK_INT(side->cluster->rank, rank);
        if (silence_ns != 0) {
            side->cluster->silence_ns = silence_ns;
        }
    }
}

static void go(void)
{
    for (uint32_t rank = 0; rank < 2; rank++) {
        const struct skua__cluster_user user = {
            &sides[rank], on_record, on_piece, work, expects, owes, due_ns, on_lost,
        };
        skua__cluster_go(sides[rank].cluster, &user);
    }
}

static void begin(int64_t delay_ns, int64_t silence_ns)
{
    create(delay_ns, silence_ns);
    go();
}

static void end(void)
{
    for (uint32_t rank = 0; rank < 2; rank++) {
        skua__cluster_end(sides[rank].cluster, -1);
    }
    mock_free(&world);
}

static void post_numbered(uint32_t from, uint32_t first, uint32_t end_number)
{
    static unsigned char body[SKUA__EAGER_BYTES];
    for (uint32_t i = first; i < end_number; i++) {
        const struct skua__part part = {body, body_of(i, body)};
        CHECK_INT(skua__cluster_post(sides[from].cluster, 1 - from, KIND_COUNTED, 0, i, &part, 1),
                  0);
    }
    skua__cluster_ring(sides[from].cluster);
}

static void records_come_whole_and_in_order(void **state)
{
    (void)state;
    enum { EARLY = 1500, COUNT = 3000 };
    create(0, 0);
    post_numbered(0, 0, EARLY);
    post_numbered(1, 0, EARLY);
    go();
    await(&sides[0].records, EARLY);
    await(&sides[1].records, EARLY);
    CHECK(atomic_load(&world.sent) < EARLY / 4); /* what waits together leaves together */
    for (uint32_t i = EARLY; i < COUNT; i += 100) {
        post_numbered(0, i, i + 100);
        post_numbered(1, i, i + 100);
    }
    await(&sides[0].records, COUNT);
    await(&sides[1].records, COUNT);
    end();
}

static void on_arrived(struct skua__cluster *cluster, struct skua__fetch *fetch)
{
    (void)cluster;
    (void)fetch;
    count(&sides[0].arrivals);
}

/* covers: A67 */
static void payloads_of_any_size_are_fetched(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, SKUA__PIECE_BYTES - 1, SKUA__PIECE_BYTES,
                                   SKUA__PIECE_BYTES + 1, 9 * (size_t)SKUA__PIECE_BYTES + 7};
    begin(SKUA_US(20), 0);
    for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
        char *payload = malloc(sizes[i]), *copy = calloc(1, sizes[i]);
        CHECK(payload != NULL && copy != NULL);
        for (size_t j = 0; j < sizes[i]; j++) {
            payload[j] = (char)(j * 7 + j / 4096);
        }
        sides[1].payload = payload;
        sides[1].payload_bytes = sizes[i];
        struct skua__fetch here = {
            .from = 1, .data = copy, .bytes = sizes[i], .arrived = on_arrived};
        CHECK_INT(skua__cluster_fetch(sides[0].cluster, &here), 0);
        skua__cluster_ring(sides[0].cluster);
        await(&sides[0].arrivals, (uint32_t)i + 1);
        CHECK(memcmp(payload, copy, sizes[i]) == 0);
        free(payload);
        free(copy);
    }
    end();
}

/* Who pulls gets something even if the other side has nothing any more: it waits for it. */
static void a_payload_that_is_gone_comes_as_zeros(void **state)
{
    (void)state;
    begin(0, 0);
    static char copy[100];
    memset(copy, 1, sizeof copy);
    struct skua__fetch fetch = {
        .from = 1, .ticket = 5, .data = copy, .bytes = sizeof copy, .arrived = on_arrived};
    CHECK_INT(skua__cluster_fetch(sides[0].cluster, &fetch), 0);
    skua__cluster_ring(sides[0].cluster);
    await(&sides[0].arrivals, 1);
    CHECK_INT(copy[0], 0);
    CHECK_INT(copy[99], 0);
    end();
}

static void a_rank_that_owes_and_is_silent_is_lost(void **state)
{
    (void)state;
    begin(0, SKUA_MS(20));
    post_numbered(0, 0, 10);
    await(&sides[1].records, 10);
    mock_lose(&world, 1, false);
    atomic_store(&sides[0].owes, true);
    skua__cluster_ring(sides[0].cluster);
    await(&sides[0].losses, 1);
    CHECK(strstr(sides[0].why, "silent") != NULL);
    CHECK(skua__cluster_is_lost(sides[0].cluster, 1));
    CHECK_INT(skua__cluster_post(sides[0].cluster, 1, KIND_COUNTED, 0, 0, NULL, 0), -EOWNERDEAD);
    end();
}

/* It owes something for long, and answers when it is asked for a sign of life. In step: it is not
   lost either because its thread has not had a processor for so long. */
static void a_rank_that_answers_is_not_lost(void **state)
{
    (void)state;
    create(0, SKUA_MS(10));
    world.in_step = true;
    atomic_store(&sides[0].owes, true);
    go();
    while (atomic_load(&world.sent) < 40 && atomic_load(&sides[0].losses) == 0) { /* PING, PONG */
        skua__futex_wait(&sides[0].losses, 0, skua__clock_real_ns() + SKUA_MS(1), false);
    }
    CHECK_INT(atomic_load(&sides[0].losses), 0);
    end();
}

static void a_loss_that_is_told_is_told_once(void **state)
{
    (void)state;
    begin(0, 0);
    mock_lose(&world, 1, true);
    await(&sides[0].losses, 1);
    CHECK_STR(sides[0].why, "the test has lost it");
    char copy[1];
    struct skua__fetch late = {.from = 1, .data = copy, .bytes = 1, .arrived = on_arrived};
    CHECK_INT(skua__cluster_fetch(sides[0].cluster, &late), -EOWNERDEAD);
    CHECK(!skua__link_is_linked(&late.link)); /* it is ours to free: nobody will end it */
    post_numbered(0, 0, 0);                   /* nothing, with a ring */
    CHECK_INT(atomic_load(&sides[0].losses), 1);
    end();
}

static void nonsense_makes_a_rank_lost(void **state)
{
    (void)state;
    begin(0, 0);
    CHECK_INT(skua__cluster_post(sides[1].cluster, 0, SKUA__RECORD_STOP, 0, 0, NULL, 0), 0);
    skua__cluster_ring(sides[1].cluster);
    await(&sides[0].losses, 1);
    CHECK(strstr(sides[0].why, "no sense") != NULL);
    end();
}

/* Nothing is expected: the thread sleeps until the bell. */
static void a_sleeping_link_is_woken_by_a_post(void **state)
{
    (void)state;
    begin(0, 0);
    for (uint32_t i = 0; i < 200; i++) {
        atomic_store(&sides[0].expects, false);
        post_numbered(0, i, i + 1);
        await(&sides[1].records, i + 1);
        while (!skua__load(&sides[0].cluster->sleeps, relaxed)) {
            skua__thread_yield();
        }
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_whole_and_in_order),
        TEST(payloads_of_any_size_are_fetched),
        TEST(a_payload_that_is_gone_comes_as_zeros),
        TEST(a_rank_that_owes_and_is_silent_is_lost),
        TEST(a_rank_that_answers_is_not_lost),
        TEST(a_loss_that_is_told_is_told_once),
        TEST(nonsense_makes_a_rank_lost),
        TEST(a_sleeping_link_is_woken_by_a_post),
    };
    return TEST_RUN(tests);
}
