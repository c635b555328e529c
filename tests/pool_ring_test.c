/* The wire between a pool and a worker: order, where answers lie, taking requests back, sleep and
   wake, and what is said while a job runs. */
#include "pool_wire.h"

#include <sched.h>

enum { KIB = 1024, MIB = 1024 * KIB };

/* ---- jobs ---- */

static int echo(skua_bytes in, skua_reply *reply)
{
    void *memory = skua_job_reserve(reply, in.bytes);
    if (memory == NULL) {
        return -EMSGSIZE;
    }
    if (in.bytes > 0) {
        memcpy(memory, in.data, in.bytes);
    }
    skua_job_commit(reply, in.bytes);
    return 7;
}
SKUA_JOB(echo);

/* Answers so many bytes, each of them the byte that comes after the number. */
struct blow_order {
    size_t bytes;
    char byte;
};

static int blow(skua_bytes in, skua_reply *reply)
{
    struct blow_order order;
    memcpy(&order, in.data, sizeof order);
    char *memory = skua_job_reserve(reply, order.bytes);
    if (memory == NULL) {
        return 0;
    }
    memset(memory, order.byte, order.bytes);
    skua_job_commit(reply, order.bytes);
    return 0;
}
SKUA_JOB(blow);

/* Every byte of the input plus one, in place. */
static int increment(skua_bytes in, skua_reply *reply)
{
    char *bytes = skua_job_input(reply);
    for (size_t i = 0; i < in.bytes; i++) {
        bytes[i]++;
    }
    skua_job_commit_input(reply, in.bytes);
    return 0;
}
SKUA_JOB(increment);

/* Grows its answer from 1 byte on, by factors of 3, and fills it. */
static int grow(skua_bytes in, skua_reply *reply)
{
    size_t max;
    memcpy(&max, in.data, sizeof max);
    size_t filled = 0;
    for (size_t bytes = 1; bytes <= max; bytes *= 3) {
        char *memory = skua_job_reserve(reply, bytes);
        if (memory == NULL) {
            return -ENOMEM;
        }
        for (; filled < bytes; filled++) {
            memory[filled] = (char)(filled % 101);
        }
    }
    skua_job_commit(reply, filled);
    return 0;
}
SKUA_JOB(grow);

static int fail_with_answer(skua_bytes in, skua_reply *reply)
{
    memcpy(skua_job_reserve(reply, in.bytes), in.data, in.bytes);
    skua_job_commit(reply, in.bytes);
    return skua_job_fail(reply, -EINVAL, "line %d: no number", 12);
}
SKUA_JOB(fail_with_answer);

/* The same with the input as the answer, after it has thought otherwise. */
static int fail_with_input(skua_bytes in, skua_reply *reply)
{
    if (skua_job_reserve(reply, 5000) != NULL) {
        skua_job_commit(reply, 5000);
    }
    skua_job_commit_input(reply, in.bytes);
    return skua_job_fail(reply, -EINVAL, "%s", "no");
}
SKUA_JOB(fail_with_input);

/* First the input, then something else; and a text that is not told, since it succeeds. */
static int change_its_mind(skua_bytes in, skua_reply *reply)
{
    skua_job_commit_input(reply, in.bytes);
    const int code = skua_job_fail(reply, -EIO, "not meant");
    char *memory = skua_job_reserve(reply, 400);
    if (memory == NULL) {
        return code;
    }
    memset(memory, 'c', 400);
    skua_job_commit(reply, 300);
    return 3;
}
SKUA_JOB(change_its_mind);

/* Much longer than what is told of it. */
static int fail_at_length(skua_bytes in, skua_reply *reply)
{
    return skua_job_fail(reply, -EIO, "%0300d", 7);
}
SKUA_JOB(fail_at_length);

/* Held until the test lets it go. */
static _Atomic uint32_t gate_entered, gate_open;

static int gate(skua_bytes in, skua_reply *reply)
{
    skua__fetch_add(&gate_entered, 1, seq_cst);    /* orders it for the test */
    while (skua__load(&gate_open, acquire) == 0) { /* pairs with open_gate() */
        poll(NULL, 0, 1);
    }
    return (int)in.bytes;
}
SKUA_JOB(gate);

static void wait_for_gate(uint32_t count)
{
    while (skua__load(&gate_entered, acquire) < count) { /* pairs with the add of gate() */
        poll(NULL, 0, 1);
    }
}

static void set_gate(uint32_t open)
{
    skua__store(&gate_open, open, release); /* pairs with the acquire of gate() */
}

static int until_stopped(skua_bytes in, skua_reply *reply)
{
    while (!skua_job_stopping(reply)) {
        poll(NULL, 0, 1);
    }
    return -ECANCELED;
}
SKUA_JOB(until_stopped);

static int talkative(skua_bytes in, skua_reply *reply)
{
    int lines;
    memcpy(&lines, in.data, sizeof lines);
    skua_job_progress(reply, 1, 9);
    for (int i = 0; i < lines; i++) {
        skua_job_log(reply, "line %d", i);
    }
    skua_job_progress(reply, 4, 9);
    return 0;
}
SKUA_JOB(talkative);

static int silent(skua_bytes in, skua_reply *reply)
{
    return 0;
}
SKUA_JOB(silent);

/* ---- tests ---- */

static char big[4 * MIB];

static void answers_lie_where_they_fit(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (char)(i % 251);
    }
    const struct {
        size_t bytes;
        uint16_t where;
    } cases[] = {{0, SKUA__NOTHING},  {1, SKUA__INLINE},   {192, SKUA__INLINE},
                 {193, SKUA__INLINE}, {256, SKUA__INLINE}, {257, SKUA__BLOCK},
                 {4096, SKUA__BLOCK}, {4097, SKUA__BLOCK}, {100000, SKUA__BLOCK},
                 {MIB, SKUA__BLOCK}};
    for (size_t i = 0; i < SKUA_COUNT_OF(cases); i++) {
        const struct skua__response answer = wire_call(&wire, &echo_job, big, cases[i].bytes);
        CHECK_INT(answer.kind, SKUA__RESPONSE_ANSWER);
        CHECK_INT(answer.status, 7);
        CHECK_INT(answer.bytes, cases[i].bytes);
        CHECK_INT(answer.where, cases[i].where);
        CHECK(answer.bytes == 0 || memcmp(wire_bytes(&wire, &answer), big, answer.bytes) == 0);
        wire_release(&wire, &answer);
    }
    CHECK_INT(wire.ring.lent, 0);
    wire_close(&wire);
}

static void an_input_goes_back_as_the_answer(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    memset(big, 'a', sizeof big);
    const size_t sizes[] = {0, 1, 192, 193, 5000, MIB};
    for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
        const struct skua__response answer = wire_call(&wire, &increment_job, big, sizes[i]);
        CHECK_INT(answer.bytes, sizes[i]);
        CHECK_INT(answer.where, sizes[i] == 0     ? SKUA__NOTHING
                                : sizes[i] <= 192 ? SKUA__INLINE
                                                  : SKUA__INPUT);
        const char *bytes = wire_bytes(&wire, &answer);
        for (size_t at = 0; at < sizes[i]; at++) {
            CHECK_INT(bytes[at], 'b');
        }
        wire_release(&wire, &answer);
    }
    wire_close(&wire);
}

static void a_growing_answer_keeps_what_was_written(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    const size_t max = 800 * KIB;
    const struct skua__response answer = wire_call(&wire, &grow_job, &max, sizeof max);
    CHECK_INT(answer.status, 0);
    CHECK_INT(answer.bytes, 531441);
    const char *bytes = wire_bytes(&wire, &answer);
    for (size_t i = 0; i < answer.bytes; i++) {
        CHECK_INT(bytes[i], (char)(i % 101));
    }
    wire_release(&wire, &answer);
    wire_close(&wire);
    CHECK_INT(wire.worker.out.taken, 0);
}

static void too_large_an_answer_is_refused(void **state)
{
    static struct wire wire;
    wire_open(&wire, 1000);
    wire_start(&wire);
    const struct blow_order order = {.bytes = 1001, .byte = 'x'};
    const struct skua__response answer = wire_call(&wire, &blow_job, &order, sizeof order);
    CHECK_INT(answer.status, -EMSGSIZE);
    CHECK_INT(answer.where, SKUA__NOTHING);
    wire_close(&wire);
}

static void a_failure_has_a_text_and_may_have_an_answer(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    const size_t sizes[] = {0, 3, 256, 300};
    for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
        struct skua__response answer = wire_call(&wire, &fail_with_answer_job, big, sizes[i]);
        CHECK_INT(answer.status, -EINVAL);
        CHECK_INT(answer.text_bytes, strlen("line 12: no number"));
        CHECK(memcmp(skua__jobring_bytes(&wire.ring), "line 12: no number", answer.text_bytes) ==
              0);
        CHECK_INT(answer.bytes, sizes[i]);
        CHECK_INT(answer.where, sizes[i] == 0 ? SKUA__NOTHING : SKUA__BLOCK);
        CHECK(sizes[i] == 0 || memcmp(wire_bytes(&wire, &answer), big, sizes[i]) == 0);
        wire_release(&wire, &answer);
    }
    wire_close(&wire);
}

static void the_last_word_counts(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    memset(big, 'a', sizeof big);
    const size_t sizes[] = {1, 192, 193, 9000};
    for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
        struct skua__response answer = wire_call(&wire, &fail_with_input_job, big, sizes[i]);
        CHECK_INT(answer.status, -EINVAL);
        CHECK_INT(answer.text_bytes, 2);
        CHECK_INT(answer.where, sizes[i] <= 192 ? SKUA__BLOCK : SKUA__INPUT);
        CHECK_INT(answer.bytes, sizes[i]);
        CHECK(memcmp(wire_bytes(&wire, &answer), big, sizes[i]) == 0);
        wire_release(&wire, &answer);
        answer = wire_call(&wire, &change_its_mind_job, big, sizes[i]);
        CHECK_INT(answer.status, 3);
        CHECK_INT(answer.text_bytes, 0);
        CHECK_INT(answer.where, SKUA__BLOCK);
        CHECK_INT(answer.bytes, 300);
        CHECK_INT(wire_bytes(&wire, &answer)[299], 'c');
        wire_release(&wire, &answer);
    }
    struct skua__response answer = wire_call(&wire, &fail_at_length_job, NULL, 0);
    CHECK_INT(answer.status, -EIO);
    CHECK_INT(answer.text_bytes, SKUA__TEXT_BYTES - 1);
    wire_close(&wire);
    CHECK_INT(wire.ring.lent, 0);
}

/* Many are sent at a time, their answers come in order; many times round the rings. */
static void answers_come_in_order(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    uint32_t sent = 0, got = 0;
    while (got < 20000) {
        while (sent < 20000 && skua__jobring_room(&wire.ring) > 0) {
            wire_put(&wire, &echo_job, &sent, sizeof sent, NULL);
            sent++;
        }
        wire_publish(&wire);
        struct skua__response answer;
        wire_take(&wire, &answer);
        CHECK_INT(memcmp(wire_bytes(&wire, &answer), &got, sizeof got), 0);
        got++;
    }
    CHECK_INT(skua__jobring_live(&wire.ring), 0);
    wire_close(&wire);
}

static void what_has_not_begun_is_taken_back(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    set_gate(0);
    const uint32_t entered = gate_entered;
    const uint64_t running = wire_put(&wire, &gate_job, big, 5, NULL);
    wire_publish(&wire);
    wait_for_gate(entered + 1);
    uint64_t tickets[SKUA__REQUEST_SLOTS - 1];
    for (size_t i = 0; i < SKUA_COUNT_OF(tickets); i++) {
        tickets[i] = wire_put(&wire, &gate_job, big, i, &tickets[i]);
    }
    wire_publish(&wire);
    CHECK_INT(skua__jobring_room(&wire.ring), 0);
    CHECK_INT(skua__jobring_oldest(&wire.ring), running);
    CHECK_INT(skua__jobring_newest(&wire.ring), tickets[62]);
    CHECK(skua__jobring_has_begun(&wire.ring, running));
    CHECK(!skua__jobring_has_begun(&wire.ring, tickets[0]));
    CHECK(!skua__jobring_revoke(&wire.ring, running));
    /* All but every tenth. */
    for (size_t i = 0; i < SKUA_COUNT_OF(tickets); i++) {
        if (i % 10 != 0) {
            CHECK_PTR(skua__jobring_sent(&wire.ring, tickets[i])->owner, &tickets[i]);
            CHECK(skua__jobring_revoke(&wire.ring, tickets[i]));
        }
    }
    CHECK_INT(skua__jobring_live(&wire.ring), 1 + 7);
    CHECK_INT(skua__jobring_newest(&wire.ring), tickets[60]);
    CHECK_INT(skua__jobring_previous(&wire.ring, tickets[60]), tickets[50]);
    CHECK_INT(skua__jobring_next(&wire.ring, running), tickets[0]);
    CHECK_INT(skua__jobring_next(&wire.ring, tickets[60]), 0);
    CHECK_INT(skua__jobring_previous(&wire.ring, running), 0);
    set_gate(1);
    struct skua__response answer;
    wire_take(&wire, &answer);
    CHECK_INT(answer.status, 5);
    for (int i = 0; i < 63; i += 10) {
        wire_take(&wire, &answer);
        CHECK_INT(answer.status, i);
        CHECK_INT(answer.ticket, tickets[i]);
    }
    CHECK_INT(gate_entered, entered + 8);
    /* The worker passes the last two as well, and then all slots are free. */
    while (skua__jobring_room(&wire.ring) < SKUA__REQUEST_SLOTS) {
        poll(NULL, 0, 1);
    }
    wire_close(&wire);
}

/* A program that keeps all answers still gets more: they come in the spare block. */
static void jobs_go_on_while_all_answers_are_kept(void **state)
{
    enum { KEPT = SKUA__LENT_MAX, MORE = 20 };
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    struct skua__response answer;
    struct blow_order order = {.bytes = 300, .byte = 'k'};
    static uint32_t kept[KEPT];
    for (int i = 0; i < KEPT; i++) {
        answer = wire_call(&wire, &blow_job, &order, sizeof order);
        CHECK_INT(answer.where, SKUA__BLOCK);
        kept[i] = answer.block;
    }
    /* Several at a time: each waits until the one before it has returned the spare block. */
    for (int i = 0; i < MORE; i++) {
        order.byte = (char)('a' + i);
        wire_put(&wire, &blow_job, &order, sizeof order, NULL);
    }
    wire_publish(&wire);
    for (int i = 0; i < MORE; i++) {
        wire_take(&wire, &answer);
        CHECK_INT(answer.where, SKUA__SPARE);
        CHECK_INT(wire_bytes(&wire, &answer)[299], 'a' + i);
        wire_release(&wire, &answer);
    }
    CHECK_INT(skua__arena_out(&wire.arena, kept[0])[0], 'k');
    for (int i = 0; i < KEPT; i++) {
        wire_give_back(&wire, kept[i]);
    }
    answer = wire_call(&wire, &blow_job, &order, sizeof order);
    CHECK_INT(answer.where, SKUA__BLOCK);
    wire_release(&wire, &answer);
    wire_close(&wire);
}

/* Likewise when they are so large that there is no room for another one. */
static void jobs_go_on_while_the_region_is_full(void **state)
{
    static struct wire wire;
    wire_open(&wire, 16 * MIB);
    wire_start(&wire);
    struct skua__response answer[5];
    const struct blow_order order = {.bytes = 16 * MIB, .byte = 'k'};
    for (int i = 0; i < 4; i++) {
        answer[i] = wire_call(&wire, &blow_job, &order, sizeof order);
        CHECK_INT(answer[i].where, SKUA__BLOCK);
    }
    for (int i = 0; i < 2; i++) {
        answer[4] = wire_call(&wire, &blow_job, &order, sizeof order);
        CHECK_INT(answer[4].where, SKUA__SPARE);
        CHECK_INT(wire_bytes(&wire, &answer[4])[16 * MIB - 1], 'k');
        wire_release(&wire, &answer[4]);
    }
    wire_release(&wire, &answer[2]);
    answer[2] = wire_call(&wire, &blow_job, &order, sizeof order);
    CHECK_INT(answer[2].where, SKUA__BLOCK);
    for (int i = 0; i < 4; i++) {
        wire_release(&wire, &answer[i]);
    }
    wire_close(&wire);
}

static void the_running_job_can_be_stopped(void **state)
{
    static struct wire wire;
    struct skua__response answer;
    wire_open(&wire, MIB);
    wire_start(&wire);
    for (int i = 0; i < 3; i++) {
        const uint64_t ticket = wire_put(&wire, &until_stopped_job, NULL, 0, NULL);
        wire_publish(&wire);
        skua__jobring_stop(wire.arena.shared, ticket);
        wire_take(&wire, &answer);
        CHECK_INT(answer.status, -ECANCELED);
    }
    wire_close(&wire);
}

static void lines_and_progress_are_seen(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    char text[SKUA__TEXT_BYTES];
    uint64_t ticket, lost = 0, done, total;
    int lines = 10;
    struct skua__response answer = wire_call(&wire, &talkative_job, &lines, sizeof lines);
    CHECK_INT(answer.done, 4);
    CHECK_INT(answer.total, 9);
    CHECK(skua__jobring_progress(wire.arena.shared, answer.ticket, &done, &total));
    CHECK_INT(done, 4);
    CHECK(!skua__jobring_progress(wire.arena.shared, answer.ticket + 1, &done, &total));
    for (int i = 0; i < lines; i++) {
        char want[20];
        snprintf(want, sizeof want, "line %d", i);
        CHECK_INT(skua__jobring_take_log(&wire.ring, text, &ticket, &lost), 1);
        CHECK_STR(text, want);
        CHECK_INT(ticket, answer.ticket);
    }
    CHECK_INT(skua__jobring_take_log(&wire.ring, text, &ticket, &lost), 0);
    CHECK_INT(lost, 0);
    lines = 100;
    answer = wire_call(&wire, &talkative_job, &lines, sizeof lines);
    CHECK(skua__jobring_last_log(&wire.ring, answer.ticket, text));
    CHECK_STR(text, "line 99");
    int got = 0;
    while (skua__jobring_take_log(&wire.ring, text, &ticket, &lost) == 1) {
        got++;
    }
    CHECK_STR(text, "line 99");
    CHECK_INT(got + (int)lost, 100);
    answer = wire_call(&wire, &silent_job, NULL, 0);
    CHECK_INT(answer.done, 0);
    CHECK(!skua__jobring_progress(wire.arena.shared, answer.ticket, &done, &total));
    CHECK(!skua__jobring_last_log(&wire.ring, answer.ticket, text));
    wire_close(&wire);
}

static void an_unknown_job_is_not_run(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    skua_job unknown = echo_job;
    unknown.name_hash++;
    const struct skua__response answer = wire_call(&wire, &unknown, NULL, 0);
    CHECK_INT(answer.status, -ENOENT);
    wire_close(&wire);
}

/* Both sides sleep between any two messages. */
static void nobody_sleeps_through_a_message(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire.worker.ring.spin_max_ns = 0;
    wire.worker.ring.spin_ns = 0;
    wire_start(&wire);
    for (uint32_t i = 0; i < 5000; i++) {
        const struct skua__response answer = wire_call(&wire, &echo_job, &i, sizeof i);
        CHECK_INT(memcmp(wire_bytes(&wire, &answer), &i, sizeof i), 0);
    }
    wire_close(&wire);
}

/* It looks for nothing, and learns that it need not. */
static void an_idle_worker_does_not_spin(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    CHECK(wire.worker.ring.spin_ns > 0);
    wire_start(&wire);
    for (int i = 0; i < 12; i++) {
        wire_call(&wire, &silent_job, NULL, 0);
        /* Until it sleeps, and longer than it would ever look. */
        while (skua__load(&wire.arena.shared->worker_sleeps, relaxed) == 0) {
            poll(NULL, 0, 1);
        }
        poll(NULL, 0, 1);
    }
    wire_close(&wire);
    CHECK_INT(wire.worker.ring.spin_ns, 0);
    struct skua__workring alone;
    skua__workring_init(&alone, wire.arena.shared, 1, 1);
    CHECK_INT(alone.spin_ns, 0);
}

/* So that the parent does not spin where the worker has to run. */
static void the_parent_knows_where_the_worker_runs(void **state)
{
    static struct wire wire;
    wire_open(&wire, MIB);
    wire_start(&wire);
    uint32_t count = 0;
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        count += skua__jobring_is_on(&wire.ring, cpu);
    }
    CHECK_INT(count, 0);
    wire_call(&wire, &silent_job, NULL, 0);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        count += skua__jobring_is_on(&wire.ring, cpu);
        skua__jobring_set_cpu(&wire.ring, cpu);
    }
    CHECK_INT(count, 1);
    wire_close(&wire);
}

/* ---- at random ---- */

enum { JOBS = 4000, HELD_MAX = 40 };

struct order {
    uint32_t number;
    uint32_t bytes; /* of the answer */
    uint8_t outcomes;
};

static int obey(skua_bytes in, skua_reply *reply)
{
    struct order order;
    memcpy(&order, in.data, sizeof order);
    char *memory = skua_job_reserve(reply, order.bytes);
    if (memory == NULL) {
        return -ENOMEM;
    }
    memset(memory, (char)order.number, order.bytes);
    skua_job_commit(reply, order.bytes);
    return (int)order.number;
}
SKUA_JOB(obey);

struct held {
    struct skua__response answers[HELD_MAX];
    uint32_t numbers[HELD_MAX];
    size_t count;
};

static void release_one(struct wire *wire, struct held *held, size_t which)
{
    const struct skua__response *answer = &held->answers[which];
    const char *bytes = skua__arena_out(&wire->arena, answer->block);
    for (size_t i = 0; i < answer->bytes; i += 97) {
        CHECK_INT(bytes[i], (char)held->numbers[which]);
    }
    wire_give_back(wire, answer->block);
    held->count--;
    held->answers[which] = held->answers[held->count];
    held->numbers[which] = held->numbers[held->count];
}

static void accept_one(struct wire *wire, struct order *orders, struct held *held)
{
    struct skua__response answer;
    wire_take(wire, &answer);
    struct order *order = skua__jobring_sent(&wire->ring, answer.ticket)->owner;
    CHECK_INT(answer.status, order->number);
    CHECK_INT(order - orders, order->number);
    CHECK_INT(answer.bytes, order->bytes);
    order->outcomes++;
    const char *bytes = wire_bytes(wire, &answer);
    CHECK(answer.bytes == 0 || bytes[answer.bytes - 1] == (char)order->number);
    if (answer.where == SKUA__BLOCK && held->count < HELD_MAX) {
        held->answers[held->count] = answer;
        held->numbers[held->count++] = order->number;
    } else if (answer.where != SKUA__INLINE && answer.where != SKUA__NOTHING) {
        wire_give_back(wire, answer.where == SKUA__SPARE ? SKUA__SPARE_BLOCK : answer.block);
    }
}

static void revoke_one(struct wire *wire)
{
    const uint64_t ticket = skua__jobring_newest(&wire->ring);
    struct order *order = skua__jobring_sent(&wire->ring, ticket)->owner;
    if (skua__jobring_revoke(&wire->ring, ticket)) {
        order->outcomes++;
    }
}

static void every_job_has_one_outcome(void **state)
{
    static struct wire wire;
    static struct order orders[JOBS];
    static struct held held;
    uint64_t random = test_seed();
    wire_open(&wire, 4 * MIB);
    wire_start(&wire);
    uint32_t sent = 0;
    while (sent < JOBS || skua__jobring_live(&wire.ring) > 0) {
        const uint64_t dice = test_random(&random) % 8;
        if (dice < 4 && sent < JOBS && skua__jobring_room(&wire.ring) > 0) {
            const size_t bytes =
                (size_t)(test_random(&random) % 4 == 0 ? test_random(&random) % (4 * MIB)
                                                       : test_random(&random) % 600);
            orders[sent] = (struct order){.number = sent, .bytes = (uint32_t)bytes};
            wire_put(&wire, &obey_job, &orders[sent], sizeof orders[sent], &orders[sent]);
            sent++;
            if (dice < 2) {
                wire_publish(&wire);
            }
        } else if (dice == 4 && held.count > 0) {
            release_one(&wire, &held, test_random(&random) % held.count);
        } else if (dice == 5 && skua__jobring_live(&wire.ring) > 0) {
            revoke_one(&wire);
        } else if (skua__jobring_live(&wire.ring) > 0) {
            wire_publish(&wire);
            accept_one(&wire, orders, &held);
        }
    }
    while (held.count > 0) {
        release_one(&wire, &held, 0);
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        CHECK_INT(orders[i].outcomes, 1);
    }
    wire_close(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_lie_where_they_fit),
        TEST(an_input_goes_back_as_the_answer),
        TEST(a_growing_answer_keeps_what_was_written),
        TEST(too_large_an_answer_is_refused),
        TEST(a_failure_has_a_text_and_may_have_an_answer),
        TEST(the_last_word_counts),
        TEST(answers_come_in_order),
        TEST(what_has_not_begun_is_taken_back),
        TEST(jobs_go_on_while_all_answers_are_kept),
        TEST(jobs_go_on_while_the_region_is_full),
        TEST(the_running_job_can_be_stopped),
        TEST(lines_and_progress_are_seen),
        TEST(an_unknown_job_is_not_run),
        TEST(nobody_sleeps_through_a_message),
        TEST(an_idle_worker_does_not_spin),
        TEST(the_parent_knows_where_the_worker_runs),
        TEST(every_job_has_one_outcome),
    };
    return TEST_RUN(tests);
}
