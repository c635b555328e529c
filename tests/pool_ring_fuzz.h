/* tests/pool_ring_fuzz.h: the parent's end of the wire to a worker (pool/ring.h) against whatever
   a worker can write, in one process.

   An input is a program of one-byte instructions with arguments. Some play the parent, as the pool
   does; some an honest worker; some write anything anywhere into the shared memory, most often next
   to what is right. After each step the parent's promises are checked: what it takes is for the
   oldest live request and lies inside of the memory, every request is answered or revoked or live,
   and never two of these; after a lie nothing more is taken. The shared memory is exactly as large
   as it says, so that the address sanitizer sees any access beside it. */
#ifndef SKUA_TESTS_POOL_RING_FUZZ_H
#define SKUA_TESTS_POOL_RING_FUZZ_H

#include "test.h"

#include "pool/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FUZZ_REGION = 1 << 20,
    FUZZ_PAYLOAD_MAX = 1 << 18,
    FUZZ_TICKETS = 1024, /* more than an input can have */
    FUZZ_LENT = 4096,
};

enum fuzz_fate { FATE_NONE, FATE_LIVE, FATE_ANSWERED, FATE_REVOKED };

typedef struct fuzz {
    const uint8_t *data;
    size_t size, at;
    struct skua__shared *shared;
    struct skua__jobring ring;
    struct skua__workring worker; /* the honest one */
    uint32_t worker_at;           /* requests that it has looked at */
    bool worker_runs;             /* it has a job */
    bool worker_asks;
    bool has_lied; /* the parent has noticed */
    uint64_t tickets;
    uint8_t fates[FUZZ_TICKETS];
    uint32_t live;
    uint32_t lent[FUZZ_LENT];
    uint32_t lent_count;
    bool spare_is_lent;
    char sink;
    /* What happened, over all inputs. */
    uint64_t answers, questions, lies, revoked, lines;
} fuzz;

static inline uint8_t fuzz_byte(fuzz *self)
{
    return self->at < self->size ? self->data[self->at++] : 0;
}

static inline uint32_t fuzz_word(fuzz *self)
{
    uint32_t word = fuzz_byte(self);
    word |= (uint32_t)fuzz_byte(self) << 8;
    return word | (uint32_t)fuzz_byte(self) << 16 | (uint32_t)fuzz_byte(self) << 24;
}

static inline void *fuzz_owner(uint64_t ticket)
{
    return (void *)(uintptr_t)(ticket * 16 + 8);
}

/* --- the parent ------------------------------------------------------------------------------- */

static inline void fuzz_put(fuzz *self)
{
    static const char bytes[SKUA__IN_INLINE_BYTES] = "input";
    if (self->has_lied || self->tickets + 1 >= FUZZ_TICKETS ||
        skua__jobring_room(&self->ring) == 0) {
        return;
    }
    const uint8_t how = fuzz_byte(self);
    struct skua__request request = {.kind = SKUA__REQUEST_RUN, .job_number = 1};
    if (how % 3 == 1) {
        request.in_where = SKUA__INLINE;
        request.in_bytes = 1 + how % SKUA__IN_INLINE_BYTES;
    } else if (how % 3 == 2) {
        request.in_where = SKUA__BLOCK;
        request.in_block = how;
        request.in_bytes = (uint64_t)(how + 1) * 1000;
    }
    const uint64_t ticket =
        skua__jobring_put(&self->ring, &request, bytes, fuzz_owner(self->tickets + 1));
    self->tickets++;
    CHECK_INT(ticket, self->tickets);
    self->fates[ticket] = FATE_LIVE;
    self->live++;
}

static inline void fuzz_check_bytes(fuzz *self, const struct skua__response *response,
                                    const struct skua__sent *sent)
{
    const char *bytes = skua__jobring_bytes(&self->ring);
    for (int i = 0; i < SKUA__OUT_INLINE_BYTES; i += 51) {
        self->sink = (char)(self->sink + bytes[i]);
    }
    CHECK(response->text_bytes < SKUA__TEXT_BYTES);
    CHECK(response->where <= SKUA__SPARE);
    CHECK((response->bytes == 0) == (response->where == SKUA__NOTHING));
    CHECK(response->bytes <= FUZZ_PAYLOAD_MAX);
    if (response->where == SKUA__INLINE) {
        CHECK(response->bytes <= SKUA__OUT_INLINE_BYTES && response->text_bytes == 0);
    } else if (response->where == SKUA__BLOCK) {
        const uint64_t offset = (uint64_t)response->block * SKUA__BLOCK_BYTES;
        CHECK(offset < FUZZ_REGION && offset + response->bytes <= FUZZ_REGION);
        CHECK(self->lent_count < FUZZ_LENT && self->lent_count < SKUA__LENT_MAX);
        self->lent[self->lent_count++] = response->block;
    } else if (response->where == SKUA__INPUT) {
        CHECK(response->kind == SKUA__RESPONSE_ANSWER);
        CHECK(sent->in_block != SKUA__NO_BLOCK && response->bytes <= sent->in_bytes);
    } else if (response->where == SKUA__SPARE) {
        CHECK(!self->spare_is_lent);
        self->spare_is_lent = true;
    }
}

static inline void fuzz_take(fuzz *self)
{
    struct skua__response response;
    for (uint32_t count = fuzz_byte(self) % 8; count > 0 && !self->has_lied; count--) {
        const uint64_t oldest = skua__jobring_oldest(&self->ring);
        const bool asked = self->ring.has_question;
        const int status = skua__jobring_take(&self->ring, &response);
        if (status <= 0) {
            CHECK(status == 0 || status == -EPROTO);
            self->has_lied = status == -EPROTO;
            self->lies += self->has_lied;
            return;
        }
        CHECK(oldest != 0 && !asked);
        CHECK_INT(response.ticket, oldest);
        CHECK_INT(self->fates[oldest], FATE_LIVE);
        const struct skua__sent *sent = skua__jobring_sent(&self->ring, oldest);
        CHECK_PTR(sent->owner, fuzz_owner(oldest));
        fuzz_check_bytes(self, &response, sent);
        if (response.kind == SKUA__RESPONSE_ANSWER) {
            self->fates[oldest] = FATE_ANSWERED;
            self->live--;
            self->answers++;
        } else {
            CHECK_INT(response.kind, SKUA__RESPONSE_QUESTION);
            self->questions++;
        }
    }
}

static inline void fuzz_revoke(fuzz *self)
{
    const uint8_t how = fuzz_byte(self);
    uint64_t ticket =
        how % 2 == 0 ? skua__jobring_newest(&self->ring) : skua__jobring_oldest(&self->ring);
    for (int steps = how / 2 % 4; steps > 0 && ticket != 0; steps--) {
        const uint64_t next = how % 2 == 0 ? skua__jobring_previous(&self->ring, ticket)
                                           : skua__jobring_next(&self->ring, ticket);
        ticket = next != 0 ? next : ticket;
    }
    if (ticket == 0) {
        CHECK_INT(self->live, 0);
        return;
    }
    CHECK_INT(self->fates[ticket], FATE_LIVE);
    CHECK_PTR(skua__jobring_sent(&self->ring, ticket)->owner, fuzz_owner(ticket));
    if (skua__jobring_revoke(&self->ring, ticket)) {
        self->fates[ticket] = FATE_REVOKED;
        self->live--;
        self->revoked++;
    }
}

static inline void fuzz_give_back(fuzz *self)
{
    if (self->spare_is_lent && fuzz_byte(self) % 2 == 0) {
        self->spare_is_lent = false;
        (void)skua__jobring_give_back(&self->ring, SKUA__SPARE_BLOCK);
    } else if (self->lent_count > 0) {
        const uint32_t which = fuzz_byte(self) % self->lent_count;
        const uint32_t block = self->lent[which];
        self->lent[which] = self->lent[--self->lent_count];
        (void)skua__jobring_give_back(&self->ring, block);
    }
}

static inline void fuzz_reply(fuzz *self)
{
    static const char bytes[SKUA__OUT_INLINE_BYTES] = "reply";
    if (self->ring.has_question && !self->has_lied) {
        const struct skua__letter letter = {.bytes = fuzz_byte(self), .where = SKUA__INLINE};
        (void)skua__jobring_reply(&self->ring, &letter, bytes);
    }
}

static inline void fuzz_read_words(fuzz *self)
{
    char text[SKUA__TEXT_BYTES];
    uint64_t ticket, done, total, lost = 0;
    const uint64_t of = skua__jobring_oldest(&self->ring);
    if (skua__jobring_take_log(&self->ring, text, &ticket, &lost) == 1) {
        CHECK(memchr(text, '\0', sizeof text) != NULL);
        self->lines++;
    }
    if (skua__jobring_last_log(&self->ring, of, text)) {
        CHECK(memchr(text, '\0', sizeof text) != NULL);
    }
    (void)skua__jobring_progress(self->shared, of, &done, &total);
    if (of != 0) {
        (void)skua__jobring_has_begun(&self->ring, of);
        skua__jobring_stop(self->shared, of);
    }
    skua__jobring_set_sleeps(&self->ring, fuzz_byte(self));
    skua__jobring_fence();
}

/* --- the honest worker, as long as it finds what it expects ----------------------------------- */

static inline bool fuzz_has_request(const fuzz *self)
{
    const uint32_t write = skua__load(&self->shared->request_write, relaxed);
    uint32_t at = (uint32_t)self->worker.ticket;
    const uint32_t pending = write - at;
    if (pending > SKUA__REQUEST_SLOTS) {
        return false; /* somebody has scribbled: it would wait or go wrong */
    }
    for (uint32_t i = 1; i <= pending; i++) {
        const struct skua__request_slot *slot =
            &self->shared->requests[(at + i) % SKUA__REQUEST_SLOTS];
        if (skua__load(&slot->state, relaxed) == SKUA__REQUEST_QUEUED) {
            return true;
        }
    }
    return false;
}

static inline void fuzz_work(fuzz *self)
{
    static const char bytes[SKUA__OUT_INLINE_BYTES] = "output";
    const uint8_t how = fuzz_byte(self);
    if (!self->worker_runs) {
        struct skua__request request;
        char *in;
        if (fuzz_has_request(self)) {
            (void)skua__workring_receive(&self->worker, &request, &in);
            self->worker_runs = true;
        }
        return;
    }
    struct skua__response response = {.kind = SKUA__RESPONSE_ANSWER, .status = how};
    size_t inline_bytes = 0;
    switch (how % 8) {
    case 0:
        response.where = SKUA__INLINE;
        response.bytes = inline_bytes = 1 + how;
        break;
    case 1:
        response.where = SKUA__BLOCK;
        response.block = how;
        response.bytes = 4096;
        break;
    case 2:
        response.where = SKUA__SPARE;
        response.bytes = FUZZ_PAYLOAD_MAX;
        break;
    case 3:
        response.where = SKUA__INPUT;
        response.bytes = 1;
        break;
    case 4:
        response.kind = SKUA__RESPONSE_QUESTION;
        break;
    case 5:
        skua__workring_progress(&self->worker, how, 255);
        (void)skua__workring_log(&self->worker, bytes, how);
        return;
    case 6:
        response.text_bytes = inline_bytes = how;
        break;
    }
    (void)skua__workring_respond(&self->worker, &response, bytes, inline_bytes);
    self->worker_runs = response.kind == SKUA__RESPONSE_QUESTION;
}

/* --- the liar --------------------------------------------------------------------------------- */

/* Something next to what is right. */
static inline uint32_t fuzz_twist(fuzz *self, uint32_t value)
{
    switch (fuzz_byte(self) % 8) {
    case 0:
        return value + 1;
    case 1:
        return value - 1;
    case 2:
        return value + fuzz_byte(self);
    case 3:
        return value ^ 1u << fuzz_byte(self) % 32;
    case 4:
        return 0;
    case 5:
        return UINT32_MAX - fuzz_byte(self);
    case 6:
        return fuzz_byte(self);
    default:
        return fuzz_word(self);
    }
}

static inline void fuzz_twist_at(fuzz *self, size_t offset)
{
    uint32_t word;
    unsigned char *at = (unsigned char *)self->shared + offset;
    memcpy(&word, at, sizeof word);
    word = fuzz_twist(self, word);
    memcpy(at, &word, sizeof word);
}

static inline void fuzz_lie(fuzz *self)
{
    const uint8_t where = fuzz_byte(self);
    const uint32_t slot = (self->ring.response_read + where / 16 % 2) % SKUA__RESPONSE_SLOTS;
    const size_t response =
        offsetof(struct skua__shared, responses) + slot * sizeof(struct skua__response_slot);
    const size_t request = offsetof(struct skua__shared, requests) +
                           (self->ring.passed + 1 + where / 16) % SKUA__REQUEST_SLOTS *
                               sizeof(struct skua__request_slot);
    const size_t words = sizeof(struct skua__shared) - sizeof(uint32_t);
    switch (where % 16) {
    case 0:
    case 1:
        fuzz_twist_at(self, offsetof(struct skua__shared, response_write));
        break;
    case 2:
        fuzz_twist_at(self, offsetof(struct skua__shared, request_read));
        break;
    case 3:
        fuzz_twist_at(self, offsetof(struct skua__shared, log_write));
        break;
    case 4:
        fuzz_twist_at(self, request); /* its state */
        break;
    case 5:
        fuzz_twist_at(self, offsetof(struct skua__shared, worker_sleeps));
        break;
    case 6:
        fuzz_twist_at(self, offsetof(struct skua__shared, response_write) +
                                fuzz_byte(self) % (2 * SKUA_CACHE_LINE));
        break;
    case 7:
        fuzz_twist_at(self, fuzz_word(self) % words);
        break;
    case 8:
        memset((unsigned char *)self->shared + fuzz_word(self) % (words - 256), fuzz_byte(self),
               fuzz_byte(self));
        break;
    default:
        fuzz_twist_at(self, response + fuzz_byte(self) % sizeof(struct skua__response) / 2 * 2);
    }
}

/* A whole response that may be right. */
static inline void fuzz_invent(fuzz *self)
{
    const uint32_t write = skua__load(&self->shared->response_write, relaxed);
    struct skua__response *response =
        &self->shared->responses[write % SKUA__RESPONSE_SLOTS].response;
    *response = (struct skua__response){
        .ticket = self->ring.passed + fuzz_byte(self) % 4,
        .kind = (uint16_t)(1 + fuzz_byte(self) % 3),
        .where = (uint16_t)(fuzz_byte(self) % 7),
        .block = fuzz_byte(self) % 2 == 0 ? fuzz_byte(self) : fuzz_word(self),
        .bytes = fuzz_byte(self) % 2 == 0 ? fuzz_byte(self) : fuzz_word(self),
        .text_bytes = (uint16_t)(fuzz_byte(self) % 4 == 0 ? fuzz_word(self) : 0),
    };
    skua__store(&self->shared->response_write, write + 1, relaxed);
}

/* --- an input --------------------------------------------------------------------------------- */

static inline void fuzz_check(const fuzz *self)
{
    CHECK_INT(skua__jobring_live(&self->ring), self->live);
    const uint64_t oldest = skua__jobring_oldest(&self->ring);
    const uint64_t newest = skua__jobring_newest(&self->ring);
    CHECK((oldest == 0) == (self->live == 0) && (newest == 0) == (self->live == 0));
    CHECK(oldest <= newest && newest <= self->tickets);
}

static inline void fuzz_step(fuzz *self)
{
    switch (fuzz_byte(self) % 16) {
    case 0:
    case 1:
    case 2:
        fuzz_put(self);
        break;
    case 3:
        (void)skua__jobring_publish(&self->ring);
        break;
    case 4:
    case 5:
    case 6:
        fuzz_work(self);
        break;
    case 7:
    case 8:
        fuzz_take(self);
        break;
    case 9:
        fuzz_revoke(self);
        break;
    case 10:
        fuzz_give_back(self);
        break;
    case 11:
        fuzz_reply(self);
        break;
    case 12:
        fuzz_read_words(self);
        break;
    case 13:
        fuzz_invent(self);
        break;
    default:
        fuzz_lie(self);
    }
}

/* As the pool does after a death: what had not begun goes elsewhere, each live one has an end. */
static inline void fuzz_bury(fuzz *self)
{
    uint32_t ends = 0;
    for (uint64_t ticket = skua__jobring_oldest(&self->ring); ticket != 0;
         ticket = skua__jobring_next(&self->ring, ticket)) {
        CHECK_INT(self->fates[ticket], FATE_LIVE);
        (void)skua__jobring_revoke(&self->ring, ticket);
        self->fates[ticket] = FATE_REVOKED;
        ends++;
    }
    CHECK_INT(ends, self->live);
    for (uint64_t ticket = 1; ticket <= self->tickets; ticket++) {
        CHECK(self->fates[ticket] == FATE_ANSWERED || self->fates[ticket] == FATE_REVOKED);
    }
}

/* `self` is zeroed before the first input. */
static inline void fuzz_ring(fuzz *self, const uint8_t *data, size_t size)
{
    if (self->shared == NULL) {
        self->shared = aligned_alloc(SKUA_CACHE_LINE, sizeof *self->shared);
    }
    memset((void *)self->shared, 0, sizeof *self->shared);
    memset(self->fates, 0, sizeof self->fates);
    self->data = data;
    self->size = size;
    self->at = 0;
    self->worker_runs = self->has_lied = self->spare_is_lent = false;
    self->tickets = self->live = self->lent_count = 0;
    skua__jobring_init(&self->ring, self->shared, FUZZ_REGION, FUZZ_PAYLOAD_MAX);
    skua__workring_init(&self->worker, self->shared, 1, 1);
    while (self->at < self->size) {
        fuzz_step(self);
        fuzz_check(self);
    }
    fuzz_bury(self);
}

static inline void fuzz_end(fuzz *self)
{
    free(self->shared);
}

#endif
