/* tests/pool_liar.h: a worker that writes anything, against the parent's end of the wire.

   liar_run() reads its input as a list of steps: words of the shared memory that are overwritten,
   responses that are nearly right, and what a parent does meanwhile. After each step everything
   that the parent was told must lie inside the memory that it shares. Any bytes are an input, so
   fuzzers can call it as it is. */
#ifndef SKUA_TESTS_POOL_LIAR_H
#define SKUA_TESTS_POOL_LIAR_H

#include "pool_wire.h"

enum { LIAR_PAYLOAD_MAX = 100000, LIAR_HELD_MAX = SKUA__LENT_MAX };

static struct {
    struct skua__arena arena;
    struct skua__jobring ring;
    uint32_t blocks[LIAR_HELD_MAX]; /* that came with responses */
    uint32_t block_count;
    bool has_spare;
    bool is_caught;
    uint64_t answers, lies; /* of all runs: a fuzzer that sees only one of them sees little */
} liar;

struct liar_input {
    const uint8_t *bytes;
    size_t left;
};

static inline uint32_t liar_next(struct liar_input *input, size_t bytes)
{
    uint32_t value = 0;
    for (; bytes > 0 && input->left > 0; bytes--, input->left--) {
        value = value << 8 | *input->bytes++;
    }
    return value;
}

/* --- the worker ------------------------------------------------------------------------------- */

static inline void liar_scribble(struct liar_input *input)
{
    const size_t words = sizeof(struct skua__shared) / sizeof(uint32_t);
    const size_t word = liar_next(input, 2) % words;
    const uint32_t value = liar_next(input, 4);
    memcpy((char *)liar.arena.shared + word * sizeof value, &value, sizeof value);
}

/* A response for the oldest request that is right but for some fields. */
static inline void liar_respond(struct liar_input *input)
{
    struct skua__shared *shared = liar.arena.shared;
    const uint32_t wrong = liar_next(input, 1);
    struct skua__response response = {.kind = (uint16_t)(1 + (liar_next(input, 1) % 8 == 0)),
                                      .where = (uint16_t)(liar_next(input, 1) % 5),
                                      .bytes = liar_next(input, 2),
                                      .block = liar_next(input, 2),
                                      .ticket = skua__jobring_oldest(&liar.ring)};
    if (response.where == SKUA__NOTHING) {
        response.bytes = 0;
    } else if (response.where == SKUA__INLINE) {
        response.bytes = 1 + response.bytes % SKUA__OUT_INLINE_BYTES;
    }
    response.block %= (uint32_t)(liar.arena.region_bytes >> SKUA__BLOCK_SHIFT) - 16;
    if (wrong % 8 == 0) {
        response.bytes = (uint64_t)liar_next(input, 4) << wrong / 8;
    }
    if (wrong % 8 == 1) {
        response.block = liar_next(input, 4);
    }
    if (wrong % 8 == 2) {
        response.text_bytes = (uint16_t)liar_next(input, 2);
    }
    response.run_ns = (int64_t)((uint64_t)liar_next(input, 1) << 56);
    if (wrong % 8 == 3) {
        response.ticket += liar_next(input, 1);
    }
    const uint32_t write = skua__load(&shared->response_write, relaxed);
    const bool is_its_turn = response.ticket != 0 && response.ticket <= liar.ring.published &&
                             write == liar.ring.response_read;
    if (!is_its_turn && wrong % 8 != 4) {
        return;
    }
    shared->responses[write % SKUA__RESPONSE_SLOTS].response = response;
    skua__store(&shared->response_write, write + 1, relaxed);
}

/* Takes a request as an honest worker does. */
static inline void liar_take_request(struct liar_input *input)
{
    struct skua__shared *shared = liar.arena.shared;
    const uint32_t read = skua__load(&shared->request_read, relaxed) + 1;
    if (liar_next(input, 1) % 4 != 0) {
        skua__store(&shared->requests[read % SKUA__REQUEST_SLOTS].state, SKUA__REQUEST_TAKEN,
                    relaxed);
    }
    skua__store(&shared->request_read, read, relaxed);
}

/* --- the parent ------------------------------------------------------------------------------- */

static inline void liar_check_range(const char *from, uint64_t bytes)
{
    const char *memory = (const char *)liar.arena.shared;
    CHECK(from >= memory && bytes <= liar.arena.bytes);
    CHECK((size_t)(from - memory) <= liar.arena.bytes - bytes);
    static volatile char sink;
    sink = (char)(sink + from[0] + from[bytes - 1]);
}

static inline void liar_check_response(const struct skua__response *response)
{
    const struct skua__sent *sent = &liar.ring.sent[response->ticket % SKUA__REQUEST_SLOTS];
    char text[SKUA__OUT_INLINE_BYTES];
    CHECK(response->text_bytes < SKUA__TEXT_BYTES);
    CHECK(response->run_ns >= 0 && response->run_ns < INT64_MAX / 1000);
    memcpy(text, skua__jobring_bytes(&liar.ring), sizeof text);
    CHECK((response->where == SKUA__NOTHING) == (response->bytes == 0));
    CHECK(response->bytes <= LIAR_PAYLOAD_MAX);
    switch (response->where) {
    case SKUA__NOTHING:
        break;
    case SKUA__INLINE:
        liar_check_range(skua__jobring_bytes(&liar.ring), response->bytes);
        break;
    case SKUA__INPUT:
        CHECK(sent->in_block != SKUA__NO_BLOCK && response->bytes <= sent->in_bytes);
        liar_check_range(skua__arena_in(&liar.arena, sent->in_block), response->bytes);
        break;
    case SKUA__BLOCK:
        liar_check_range(skua__arena_out(&liar.arena, response->block), response->bytes);
        CHECK(skua__arena_out(&liar.arena, response->block) + response->bytes <= liar.arena.spare);
        CHECK(liar.block_count < LIAR_HELD_MAX);
        liar.blocks[liar.block_count++] = response->block;
        break;
    case SKUA__SPARE:
        CHECK(!liar.has_spare);
        liar.has_spare = true;
        liar_check_range(liar.arena.spare, response->bytes);
        break;
    default:
        CHECK(false);
    }
}

static inline void liar_take(void)
{
    struct skua__response response;
    const uint64_t oldest = skua__jobring_oldest(&liar.ring);
    const int taken = skua__jobring_take(&liar.ring, &response);
    CHECK(taken == 0 || taken == 1 || taken == -EPROTO);
    if (taken == 1) {
        liar.answers++;
        CHECK_INT(response.ticket, oldest);
        liar_check_response(&response);
    }
    liar.lies += taken < 0;
    liar.is_caught = taken < 0;
}

static inline void liar_put(struct liar_input *input)
{
    char bytes[SKUA__IN_INLINE_BYTES] = {0};
    struct skua__request request = {.in_where = (uint16_t)(liar_next(input, 1) % 3)};
    if (skua__jobring_room(&liar.ring) == 0) {
        return;
    }
    if (request.in_where == SKUA__INLINE) {
        request.in_bytes = 1 + liar_next(input, 1) % sizeof bytes;
    } else if (request.in_where == SKUA__BLOCK) {
        request.in_bytes = 1 + liar_next(input, 2);
        request.in_block = liar_next(input, 1) * 64;
    }
    skua__jobring_put(&liar.ring, &request, bytes, NULL);
}

static inline void liar_revoke(struct liar_input *input)
{
    uint64_t ticket = skua__jobring_newest(&liar.ring);
    for (uint32_t i = liar_next(input, 1) % 4; i > 0 && ticket != 0; i--) {
        ticket = skua__jobring_previous(&liar.ring, ticket);
    }
    if (ticket != 0) {
        skua__jobring_has_begun(&liar.ring, ticket);
        skua__jobring_revoke(&liar.ring, ticket);
    }
}

static inline void liar_give_back(void)
{
    if (liar.has_spare) {
        liar.has_spare = false;
        skua__jobring_give_back(&liar.ring, SKUA__SPARE_BLOCK);
    } else if (liar.block_count > 0) {
        skua__jobring_give_back(&liar.ring, liar.blocks[--liar.block_count]);
    }
}

static inline void liar_reply(struct liar_input *input)
{
    const char bytes[SKUA__OUT_INLINE_BYTES] = {0};
    const struct skua__letter letter = {.where = SKUA__INLINE, .bytes = liar_next(input, 1)};
    if (liar.ring.has_question) {
        skua__jobring_reply(&liar.ring, &letter, bytes);
    }
}

static inline void liar_listen(void)
{
    char text[SKUA__TEXT_BYTES];
    uint64_t ticket, lost = 0, done, total;
    for (int i = 0; i < 20 && skua__jobring_take_log(&liar.ring, text, &ticket, &lost) == 1; i++) {
        CHECK(strlen(text) < SKUA__TEXT_BYTES);
    }
    if (skua__jobring_last_log(&liar.ring, 1, text)) {
        CHECK(strlen(text) < SKUA__TEXT_BYTES);
    }
    skua__jobring_progress(liar.arena.shared, 1, &done, &total);
}

/* What holds after every step. */
static inline void liar_check(void)
{
    uint32_t live = 0;
    for (uint64_t at = skua__jobring_oldest(&liar.ring); at != 0;
         at = skua__jobring_next(&liar.ring, at)) {
        live++;
    }
    CHECK_INT(live, skua__jobring_live(&liar.ring));
    CHECK(skua__jobring_room(&liar.ring) <= SKUA__REQUEST_SLOTS);
    CHECK(live + skua__jobring_room(&liar.ring) <= SKUA__REQUEST_SLOTS);
    CHECK(liar.ring.passed <= liar.ring.published && liar.ring.published <= liar.ring.last);
    CHECK_INT(liar.ring.lent, liar.block_count);
}

static inline void liar_step(struct liar_input *input)
{
    switch (liar_next(input, 1) % 13) {
    case 0:
        liar_scribble(input);
        break;
    case 1:
    case 2:
        liar_respond(input);
        break;
    case 3:
        liar_take_request(input);
        break;
    case 4:
    case 5:
        liar_put(input);
        break;
    case 6:
    case 12:
        skua__jobring_publish(&liar.ring);
        break;
    case 7:
        liar_revoke(input);
        break;
    case 8:
        liar_give_back();
        break;
    case 9:
        liar_reply(input);
        break;
    case 10:
        liar_listen();
        break;
    default:
        if (!liar.is_caught) { /* then it is dead */
            liar_take();
        }
    }
}

/* Any number of times. */
static inline void liar_run(const uint8_t *bytes, size_t count)
{
    if (liar.arena.shared == NULL) {
        int memfd;
        CHECK_INT(skua__arena_create(&liar.arena, LIAR_PAYLOAD_MAX, &memfd), 0);
        close(memfd);
    }
    memset((void *)liar.arena.shared, 0, sizeof *liar.arena.shared);
    skua__jobring_init(&liar.ring, liar.arena.shared, liar.arena.region_bytes, LIAR_PAYLOAD_MAX);
    liar.block_count = 0;
    liar.has_spare = false;
    liar.is_caught = false;
    struct liar_input input = {bytes, count};
    while (input.left > 0) {
        liar_step(&input);
        liar_check();
    }
}

#endif
