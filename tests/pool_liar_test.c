/* A worker process that writes anything at all into the memory that it shares. */
#include "pool_liar.h"

static void the_parent_stays_in_bounds(void **state)
{
    enum { RUNS = 20000 / TEST_SCALE, BYTES = 400 };
    uint64_t random = test_seed();
    static uint8_t bytes[BYTES];
    for (int run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < BYTES; i++) {
            bytes[i] = (uint8_t)test_random(&random);
        }
        liar_run(bytes, BYTES);
    }
    CHECK(liar.answers > RUNS / 2); /* else it was caught too early to show anything */
    CHECK(liar.lies > RUNS / 4);
    skua__arena_unmap(&liar.arena);
}

/* Each of these is one thing that no honest worker says. */
static void lies_are_told_apart(void **state)
{
    static struct wire wire;
    const struct skua__response honest = {
        .ticket = 1, .kind = SKUA__RESPONSE_ANSWER, .where = SKUA__BLOCK, .bytes = 1000};
    struct skua__response lies[10];
    for (size_t i = 0; i < SKUA_COUNT_OF(lies); i++) {
        lies[i] = honest;
    }
    lies[0].ticket = 2;
    lies[1].kind = 0;
    lies[2].kind = 3;
    lies[3].bytes = 1001;
    lies[4].bytes = 0;
    lies[5].block = (64 << 20) / SKUA__BLOCK_BYTES;
    lies[6].where = 9;
    lies[7].where = SKUA__INPUT; /* of which there is none */
    lies[8].text_bytes = SKUA__TEXT_BYTES;
    lies[9].where = SKUA__INLINE; /* they do not fit */
    for (size_t i = 0; i <= SKUA_COUNT_OF(lies); i++) {
        struct skua__response response;
        wire_open(&wire, 1000);
        wire_put(&wire, &wire_quit_job, NULL, 0, NULL);
        wire_publish(&wire);
        const bool is_lie = i < SKUA_COUNT_OF(lies);
        wire.arena.shared->responses[0].response = is_lie ? lies[i] : honest;
        skua__store(&wire.arena.shared->response_write, 1, relaxed);
        CHECK_INT(skua__jobring_take(&wire.ring, &response), is_lie ? -EPROTO : 1);
        wire_close(&wire);
    }
}

/* A number of responses that cannot be; an answer to nothing. */
static void wrong_indices_are_lies(void **state)
{
    static struct wire wire;
    struct skua__response response;
    const uint32_t writes[] = {3, 1000, UINT32_MAX};
    for (size_t i = 0; i < SKUA_COUNT_OF(writes); i++) {
        wire_open(&wire, 1000);
        wire_put(&wire, &wire_quit_job, NULL, 0, NULL);
        wire_publish(&wire);
        skua__store(&wire.arena.shared->response_write, writes[i], relaxed);
        CHECK_INT(skua__jobring_take(&wire.ring, &response), -EPROTO);
        wire_close(&wire);
    }
    wire_open(&wire, 1000);
    skua__store(&wire.arena.shared->response_write, 1, relaxed);
    CHECK_INT(skua__jobring_take(&wire.ring, &response), -EPROTO);
    wire_close(&wire);
    /* An answer to what it cannot have seen yet. */
    wire_open(&wire, 1000);
    wire_put(&wire, &wire_quit_job, NULL, 0, NULL);
    wire.arena.shared->responses[0].response =
        (struct skua__response){.ticket = 1, .kind = SKUA__RESPONSE_ANSWER};
    skua__store(&wire.arena.shared->response_write, 1, relaxed);
    CHECK_INT(skua__jobring_take(&wire.ring, &response), -EPROTO);
    wire_close(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_parent_stays_in_bounds),
        TEST(lies_are_told_apart),
        TEST(wrong_indices_are_lies),
    };
    return TEST_RUN(tests);
}
