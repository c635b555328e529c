/* The wire between a pool and a worker process, with two request slots, four response slots, two
   return slots and two lines of log: taking requests back, sleeping on both sides, and what goes
   round more than once.

   A thread plays the parent (or two do, with the pool's lock), another one the worker. The pool's
   bell is a word to sleep on, as an eventfd is.

   Sources: pool/ring.c pool/ring_worker.c
   Mutates: pool/ring.c pool/ring_worker.c */
#include "base/futex.h"
#include "base/lock.h"
#include "explore.h"
#include "pool/ring.h"

#include <string.h>

enum { REGION_BYTES = 1 << 20, PAYLOAD_MAX = 1 << 16, QUIT = 1000 };

enum { NOTE_REVOKED, NOTE_TOO_LATE, NOTE_WORKER_WOKEN, NOTE_PARENT_SLEPT, NOTE_SPARED, NOTE_LOST };

struct shared {
    struct skua__shared wire;
    struct skua__jobring ring; /* the parent's */
    struct skua__lock lock;
    _Atomic uint32_t bell;
    uint32_t sleeps;
    int outcomes[8];
    int input[8], answer[8]; /* plain: what lies in blocks */
};
static struct shared *shared;

static void setup(void)
{
    shared = explore_alloc(sizeof *shared);
    skua__jobring_init(&shared->ring, &shared->wire, REGION_BYTES, PAYLOAD_MAX);
}

/* --- the worker ------------------------------------------------------------------------------- */

static void ring_pool_bell(void)
{
    skua__fetch_add(&shared->bell, 1, relaxed);
    skua__futex_wake(&shared->bell, 1, true);
}

static void respond(struct skua__workring *ring, struct skua__response *response)
{
    if (skua__workring_respond(ring, response, NULL, 0)) {
        ring_pool_bell();
    }
}

static void worker_init(struct skua__workring *ring)
{
    skua__workring_init(ring, &shared->wire, 1, 0); /* one core: no spinning */
}

/* Answers jobs until the one that ends it. */
static void worker(void)
{
    struct skua__workring ring;
    struct skua__request request;
    char *bytes;
    worker_init(&ring);
    do {
        skua__workring_receive(&ring, &request, &bytes);
        struct skua__response answer = {.kind = SKUA__RESPONSE_ANSWER,
                                        .status = (int32_t)request.job_number};
        if (request.job_number != QUIT) {
            EXPLORE_CHECK(shared->input[request.job_number] == (int)request.job_number + 50);
            shared->answer[request.job_number] = (int)request.job_number + 60;
        }
        respond(&ring, &answer);
    } while (request.job_number != QUIT);
}

/* --- the parent ------------------------------------------------------------------------------- */

static void wake_worker(bool sleeps)
{
    if (sleeps) {
        explore_note(NOTE_WORKER_WOKEN);
        skua__jobring_wake(&shared->wire);
    }
}

static uint64_t put(uint32_t job)
{
    const struct skua__request request = {.job_number = job};
    if (job != QUIT) {
        shared->input[job] = (int)job + 50;
    }
    return skua__jobring_put(&shared->ring, &request, NULL, NULL);
}

static void publish(void)
{
    wake_worker(skua__jobring_publish(&shared->ring));
}

static void revoke(uint64_t ticket, uint32_t job)
{
    if (skua__jobring_revoke(&shared->ring, ticket)) {
        explore_note(NOTE_REVOKED);
        shared->outcomes[job]++;
        shared->input[job] = 0; /* it is ours again */
    } else {
        explore_note(NOTE_TOO_LATE);
    }
}

/* The next response, for which the parent sleeps if it has to. */
static void take(struct skua__response *response)
{
    int taken;
    while ((taken = skua__jobring_take(&shared->ring, response)) == 0) {
        const uint32_t rings = skua__load(&shared->bell, relaxed);
        skua__jobring_set_sleeps(&shared->ring, ++shared->sleeps);
        skua__jobring_fence();
        taken = skua__jobring_take(&shared->ring, response);
        if (taken != 0) {
            break;
        }
        explore_note(NOTE_PARENT_SLEPT);
        skua__futex_wait(&shared->bell, rings, INT64_MAX, true);
    }
    EXPLORE_CHECK(taken == 1);
}

static void take_answer(void)
{
    struct skua__response answer;
    take(&answer);
    EXPLORE_CHECK(answer.kind == SKUA__RESPONSE_ANSWER);
    if (answer.status != QUIT) {
        EXPLORE_CHECK(shared->answer[answer.status] == answer.status + 60);
        shared->outcomes[answer.status]++;
    }
}

static void take_all(void)
{
    while (skua__jobring_live(&shared->ring) > 0) {
        take_answer();
    }
}

/* Wait for room, by the answers that come. */
static void make_room(void)
{
    while (skua__jobring_room(&shared->ring) == 0) {
        if (skua__jobring_live(&shared->ring) > 0) {
            take_answer();
        } else {
            skua__spin_pause();
        }
    }
}

static void quit(void)
{
    make_room();
    put(QUIT);
    publish();
    take_all();
}

static void each_job_had_one_outcome(void)
{
    for (int i = 0; i < 8; i++) {
        EXPLORE_CHECK(shared->outcomes[i] == (shared->input[i] != 0 || shared->outcomes[i] != 0));
    }
    EXPLORE_CHECK(skua__jobring_live(&shared->ring) == 0);
}

/* Three jobs through two slots, each alone. */
static void parent_calls(void)
{
    for (uint32_t job = 0; job < 3; job++) {
        make_room();
        put(job);
        publish();
    }
    quit();
}

/* The second of two is taken back, or has begun; its slot is used again. */
static void parent_revokes(void)
{
    put(0);
    const uint64_t second = put(1);
    publish();
    revoke(second, 1);
    make_room();
    put(2);
    publish();
    quit();
}

/* Both are taken back, the oldest first. */
static void parent_revokes_all(void)
{
    const uint64_t first = put(0);
    publish();
    const uint64_t second = put(1);
    publish();
    revoke(first, 0);
    revoke(second, 1);
    quit();
}

/* --- two threads of the parent ---------------------------------------------------------------- */

/* The wake comes after the unlock; the other one relies on it. */
static void send_locked(uint32_t job)
{
    skua__lock(&shared->lock, SKUA__RANK_POOL);
    put(job);
    const bool sleeps = skua__jobring_publish(&shared->ring);
    skua__unlock(&shared->lock, SKUA__RANK_POOL);
    wake_worker(sleeps);
}

static void sender_one(void)
{
    send_locked(0);
}

static void sender_two(void)
{
    send_locked(1);
}

static void worker_of_two(void)
{
    struct skua__workring ring;
    struct skua__request request;
    char *bytes;
    worker_init(&ring);
    for (int i = 0; i < 2; i++) {
        skua__workring_receive(&ring, &request, &bytes);
        EXPLORE_CHECK(shared->input[request.job_number] == (int)request.job_number + 50);
        struct skua__response answer = {.kind = SKUA__RESPONSE_ANSWER,
                                        .status = (int32_t)request.job_number};
        respond(&ring, &answer);
    }
}

static void both_are_answered(void)
{
    struct skua__response answer;
    EXPLORE_CHECK(skua__jobring_take(&shared->ring, &answer) == 1);
    EXPLORE_CHECK(skua__jobring_take(&shared->ring, &answer) == 1);
    EXPLORE_CHECK(skua__jobring_live(&shared->ring) == 0);
}

/* --- returns, letters ------------------------------------------------------------------------- */

/* One job whose items all go through the same block, which has to come back before each next. */
static void worker_with_items(void)
{
    struct skua__workring ring;
    struct skua__request request;
    struct skua__letter letter;
    char *bytes;
    const char *inline_bytes;
    worker_init(&ring);
    skua__workring_receive(&ring, &request, &bytes);
    for (int i = 1; i <= 3; i++) {
        shared->answer[0] = i;
        struct skua__response item = {.kind =
                                          i < 3 ? SKUA__RESPONSE_QUESTION : SKUA__RESPONSE_ANSWER,
                                      .where = SKUA__BLOCK,
                                      .block = 5,
                                      .bytes = 1000,
                                      .question = (uint16_t)i};
        respond(&ring, &item);
        if (i < 3) {
            skua__workring_wait_letter(&ring, &letter, &inline_bytes);
            EXPLORE_CHECK(letter.status == i + 70);
            skua__workring_wait_return(&ring);
            EXPLORE_CHECK(skua__workring_take_return(&ring) == 5);
        }
    }
}

static void parent_of_items(void)
{
    put(0);
    publish();
    for (int i = 1; i <= 3; i++) {
        struct skua__response item;
        take(&item);
        EXPLORE_CHECK(item.where == SKUA__BLOCK && item.block == 5);
        const struct skua__letter letter = {.status = i + 70};
        if (i < 3) {
            EXPLORE_CHECK(item.question == i);
            wake_worker(skua__jobring_reply(&shared->ring, &letter, NULL));
        }
        EXPLORE_CHECK(shared->answer[0] == i); /* before it is given back */
        wake_worker(skua__jobring_give_back(&shared->ring, 5));
        explore_note(NOTE_SPARED);
    }
}

/* --- progress and log ------------------------------------------------------------------------- */

static void log_line(struct skua__workring *ring, char letter)
{
    char text[SKUA__TEXT_BYTES];
    memset(text, letter, sizeof text - 1);
    if (skua__workring_log(ring, text, sizeof text - 1)) {
        ring_pool_bell();
    }
}

static void worker_logs(void)
{
    struct skua__workring ring;
    worker_init(&ring);
    for (int i = 0; i < 4; i++) {
        log_line(&ring, (char)('a' + i));
    }
}

/* A line is whole, lines come in order, and none is gone uncounted. */
static void parent_reads_log(void)
{
    char text[SKUA__TEXT_BYTES];
    uint64_t ticket, lost = 0;
    int got = 0;
    for (int i = 0; i < 3; i++) {
        const uint64_t lost_before = lost;
        if (skua__jobring_take_log(&shared->ring, text, &ticket, &lost) == 1) {
            EXPLORE_CHECK(text[0] == text[8] && text[0] == 'a' + got + (int)lost);
            got++;
        }
        if (lost > lost_before) {
            explore_note(NOTE_LOST);
        }
    }
    EXPLORE_CHECK(got + lost <= 4);
}

static void worker_progresses(void)
{
    struct skua__workring ring;
    worker_init(&ring);
    for (uint64_t job = 1; job <= 2; job++) {
        ring.ticket = job;
        ring.has_progress = false;
        skua__workring_progress(&ring, job * 10 + 1, job);
        skua__workring_progress(&ring, job * 10 + 2, job);
    }
}

static void parent_reads_progress(void)
{
    uint64_t done, total;
    for (uint64_t job = 2; job >= 1; job--) {
        if (skua__jobring_progress(&shared->wire, job, &done, &total)) {
            EXPLORE_CHECK(done - job * 10 <= 2 && total == job);
        }
    }
}

int main(void)
{
    EXPLORE_LARGE("pool ring: calls", setup, each_job_had_one_outcome, parent_calls, worker);
    EXPLORE_LARGE("pool ring: one is revoked", setup, each_job_had_one_outcome, parent_revokes,
                  worker);
    EXPLORE_LARGE("pool ring: all are revoked", setup, each_job_had_one_outcome, parent_revokes_all,
                  worker);
    EXPLORE_CHECK(explore_happened(NOTE_REVOKED) > 0 && explore_happened(NOTE_TOO_LATE) > 0);
    EXPLORE_CHECK(explore_happened(NOTE_WORKER_WOKEN) > 0);
    EXPLORE_CHECK(explore_happened(NOTE_PARENT_SLEPT) > 0);
    EXPLORE_LARGE("pool ring: two senders", setup, both_are_answered, sender_one, sender_two,
                  worker_of_two);
    EXPLORE_LARGE("pool ring: items", setup, NULL, parent_of_items, worker_with_items);
    EXPLORE_CHECK(explore_happened(NOTE_SPARED) > 0);
    EXPLORE_LARGE("pool ring: log", setup, NULL, parent_reads_log, worker_logs);
    EXPLORE_CHECK(explore_happened(NOTE_LOST) > 0);
    EXPLORE("pool ring: progress", setup, NULL, parent_reads_progress, worker_progresses);
    return 0;
}
