/* The timer wheel under made-up clocks: the parkers are bare words, never fibers that run. */
#include "sched/wheel.h"

#include "tasks.h"

enum { TICK_NS = 1 << SKUA__WHEEL_TICK_SHIFT };

/* A foreign thread's parker, which skua__wake() only rings. */
typedef struct waiting {
    struct skua__thread_parker thread;
    struct skua__timer timer;
    int64_t deadline_ns;
} waiting;

static struct skua__wheel *wheel_at(int64_t now_ns)
{
    struct skua__wheel *wheel = aligned_alloc(64, sizeof *wheel);
    memset(wheel, 0, sizeof *wheel);
    skua__wheel_init(wheel, now_ns);
    return wheel;
}

static uint64_t begin_wait(waiting *one)
{
    uint64_t sequence = (atomic_load(&one->thread.parker.word) >> SKUA__SEQUENCE_SHIFT) + 1;
    uint64_t ticket = sequence << SKUA__SEQUENCE_SHIFT | SKUA__STATE_WAITING;
    one->thread.parker.is_thread = true;
    one->timer.parker = &one->thread.parker;
    atomic_store(&one->thread.bell, 0);
    atomic_store(&one->thread.parker.word, ticket);
    return ticket;
}

static void arm(struct skua__wheel *wheel, waiting *one, int64_t deadline_ns)
{
    one->deadline_ns = deadline_ns;
    skua__wheel_arm(wheel, &one->timer, begin_wait(one), deadline_ns);
}

static bool has_fired(waiting *one)
{
    return atomic_load(&one->thread.bell) != 0;
}

static void starts_empty(void **state)
{
    struct skua__wheel *wheel = wheel_at(12345);
    CHECK(skua__wheel_next(wheel) == SKUA__NEVER);
    CHECK_INT(skua__wheel_run(wheel, SKUA_SEC(1000)), 0);
    CHECK_INT(wheel->count, 0);
    free(wheel);
}

static void fires_once_and_never_early(void **state)
{
    struct skua__wheel *wheel = wheel_at(1000);
    waiting one = {0};
    arm(wheel, &one, 1000 + SKUA_MS(5));
    CHECK_INT(wheel->count, 1);
    CHECK_INT(skua__wheel_run(wheel, 1000 + SKUA_MS(5) - 1), 0);
    CHECK(!has_fired(&one));
    CHECK(skua__wheel_next(wheel) >= 1000);
    CHECK(skua__wheel_next(wheel) <= 1000 + SKUA_MS(5) + TICK_NS);
    CHECK_INT(skua__wheel_run(wheel, 1000 + SKUA_MS(5) + TICK_NS), 1);
    CHECK(has_fired(&one));
    CHECK_INT(wheel->count, 0);
    CHECK_INT(skua__wheel_run(wheel, SKUA_SEC(100)), 0);
    free(wheel);
}

static void a_deadline_in_the_past_fires_at_the_next_run(void **state)
{
    struct skua__wheel *wheel = wheel_at(SKUA_SEC(10));
    waiting one = {0};
    arm(wheel, &one, 1);
    CHECK_INT(skua__wheel_run(wheel, SKUA_SEC(10) + TICK_NS), 1);
    CHECK(has_fired(&one));
    free(wheel);
}

/* Follow the wheel's own wishes from `now` on: every timer fires, none early, none more than two
   ticks after its deadline, in the order of ticks. */
static void follow(struct skua__wheel *wheel, waiting *all, size_t count, int64_t now, int64_t end)
{
    size_t left = count;
    int64_t latest = 0;
    while (left > 0) {
        int64_t next = skua__wheel_next(wheel);
        CHECK(next != SKUA__NEVER);
        now = next > now ? next : now + 1;
        CHECK(now <= end);
        size_t woken = skua__wheel_run(wheel, now), seen = 0;
        for (size_t i = 0; woken > 0 && i < count; i++) {
            if (has_fired(&all[i]) && all[i].deadline_ns != 0) {
                CHECK(all[i].deadline_ns <= now);
                CHECK(now - all[i].deadline_ns <= 2 * TICK_NS);
                CHECK(all[i].deadline_ns > latest - 2 * TICK_NS);
                latest = all[i].deadline_ns > latest ? all[i].deadline_ns : latest;
                all[i].deadline_ns = 0;
                seen++;
            }
        }
        CHECK_INT(seen, woken);
        left -= woken;
    }
    CHECK_INT(wheel->count, 0);
    CHECK(skua__wheel_next(wheel) == SKUA__NEVER);
}

static void follow_random(int64_t start, int64_t span)
{
    enum { TIMERS = 300 };
    struct skua__wheel *wheel = wheel_at(start);
    waiting *all = calloc(TIMERS, sizeof *all);
    uint64_t random = test_seed();
    for (int i = 0; i < TIMERS; i++) {
        arm(wheel, &all[i], start + 1 + (int64_t)(test_random(&random) % (uint64_t)span));
    }
    CHECK_INT(wheel->count, TIMERS);
    follow(wheel, all, TIMERS, start, start + span + 2 * TICK_NS);
    free(all);
    free(wheel);
}

static void all_fire_in_order_on_every_level(void **state)
{
    for (int64_t span = TICK_NS; span < (INT64_C(1) << 51); span *= 8) {
        follow_random(1, span);
        follow_random(SKUA_SEC(123456) + 789, span);
    }
}

/* The machine may be up for any time when a timer is armed, also just before a carry. */
static void all_fire_across_every_carry(void **state)
{
    for (int bits = 6; bits < 36; bits += 6) {
        const int64_t carry = INT64_C(1) << (bits + SKUA__WHEEL_TICK_SHIFT);
        follow_random(carry - 3 * TICK_NS, 10 * TICK_NS);
        follow_random(carry - 1, 100 * TICK_NS);
        follow_random(carry, 1000 * TICK_NS);
    }
}

/* 2^36 ticks are 52 days: the turn of the top level. */
static void all_fire_across_the_turn_of_the_top_level(void **state)
{
    const int64_t carry = INT64_C(1) << (36 + SKUA__WHEEL_TICK_SHIFT);
    follow_random(carry - 3 * TICK_NS, 10 * TICK_NS);
    follow_random(carry - 1, 100 * TICK_NS);
    follow_random(carry - TICK_NS, SKUA_SEC(3600));
    follow_random(3 * carry - 1, 10 * TICK_NS);
}

static void deadlines_of_years_wait(void **state)
{
    const int64_t day = SKUA_SEC(86400), start = SKUA_SEC(5);
    struct skua__wheel *wheel = wheel_at(start);
    waiting far[4] = {0};
    arm(wheel, &far[0], start + 53 * day);
    arm(wheel, &far[1], start + 400 * day);
    arm(wheel, &far[2], start + 4000 * day);
    arm(wheel, &far[3], SKUA__NEVER - 1);
    for (int64_t now = start; now < start + 500 * day; now += day / 4) {
        skua__wheel_run(wheel, now);
        CHECK_INT(has_fired(&far[0]), now >= start + 53 * day + TICK_NS);
        CHECK_INT(has_fired(&far[1]), now >= start + 400 * day + TICK_NS);
    }
    CHECK(!has_fired(&far[2]) && !has_fired(&far[3]));
    CHECK_INT(wheel->count, 2);
    skua__timer_disarm(&far[2].timer);
    skua__timer_disarm(&far[3].timer);
    CHECK_INT(wheel->count, 0);
    free(wheel);
}

static void disarmed_timers_are_gone(void **state)
{
    struct skua__wheel *wheel = wheel_at(0);
    waiting all[100] = {0};
    for (int i = 0; i < 100; i++) {
        arm(wheel, &all[i], 1 + i * SKUA_MS(7));
    }
    for (int i = 0; i < 100; i += 2) {
        skua__timer_disarm(&all[i].timer);
        skua__timer_disarm(&all[i].timer);
    }
    CHECK_INT(wheel->count, 50);
    CHECK_INT(skua__wheel_run(wheel, SKUA_SEC(10)), 50);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(has_fired(&all[i]), i % 2);
    }
    free(wheel);
}

/* The claim is what ends a wait: a timer of a wait that has ended does nothing. */
static void a_timer_of_an_old_wait_does_nothing(void **state)
{
    struct skua__wheel *wheel = wheel_at(0);
    waiting one = {0};
    arm(wheel, &one, SKUA_MS(1));
    CHECK(skua__claim(&one.thread.parker, atomic_load(&one.thread.parker.word), 0));
    uint64_t second = begin_wait(&one);
    CHECK_INT(skua__wheel_run(wheel, SKUA_SEC(1)), 0);
    CHECK(!has_fired(&one));
    CHECK_INT(atomic_load(&one.thread.parker.word), second);
    CHECK_INT(wheel->count, 0);
    free(wheel);
}

static void an_earlier_deadline_moves_the_timer(void **state)
{
    struct skua__wheel *wheel = wheel_at(0);
    waiting one = {0};
    arm(wheel, &one, SKUA_SEC(100));
    arm(wheel, &one, SKUA_MS(1));
    CHECK_INT(wheel->count, 1);
    CHECK(skua__wheel_next(wheel) <= SKUA_MS(1) + TICK_NS);
    CHECK_INT(skua__wheel_run(wheel, SKUA_MS(2)), 1);
    free(wheel);
}

static void a_later_deadline_is_kept_though_the_timer_stands_early(void **state)
{
    struct skua__wheel *wheel = wheel_at(0);
    waiting one = {0};
    arm(wheel, &one, SKUA_MS(1));
    arm(wheel, &one, SKUA_SEC(100));
    CHECK_INT(wheel->count, 1);
    CHECK_INT(skua__wheel_run(wheel, SKUA_SEC(99)), 0);
    CHECK(!has_fired(&one));
    CHECK_INT(skua__wheel_run(wheel, SKUA_SEC(101)), 1);
    CHECK(has_fired(&one));
    free(wheel);
}

static void the_timer_follows_its_fiber_to_another_wheel(void **state)
{
    struct skua__wheel *here = wheel_at(0), *there = wheel_at(0);
    waiting one = {0};
    arm(here, &one, SKUA_SEC(5));
    arm(there, &one, SKUA_SEC(1)); /* earlier: it moves */
    CHECK_INT(here->count, 0);
    CHECK_INT(there->count, 1);
    arm(here, &one, SKUA_SEC(9)); /* later: it may stay, but only one of them has it */
    CHECK_INT(here->count + there->count, 1);
    size_t woken = skua__wheel_run(there, SKUA_SEC(8)) + skua__wheel_run(here, SKUA_SEC(8));
    CHECK_INT(woken, 0);
    woken = skua__wheel_run(there, SKUA_SEC(10)) + skua__wheel_run(here, SKUA_SEC(10));
    CHECK_INT(woken, 1);
    CHECK_INT(here->count + there->count, 0);
    free(here);
    free(there);
}

static void more_than_one_chunk_is_woken_by_one_run(void **state)
{
    enum { TIMERS = 10 * SKUA__WAKE_CHUNK + 1 };
    struct skua__wheel *wheel = wheel_at(0);
    waiting *all = calloc(TIMERS, sizeof *all);
    for (int i = 0; i < TIMERS; i++) {
        arm(wheel, &all[i], SKUA_MS(3));
    }
    CHECK_INT(skua__wheel_run(wheel, SKUA_MS(4)), TIMERS);
    CHECK_INT(wheel->count, 0);
    free(all);
    free(wheel);
}

/* A chunk is full in the middle of a slot that is moving down: what stands behind it in that slot
   is due before what has moved down already. */
static void timers_behind_a_full_chunk_are_on_time(void **state)
{
    struct skua__wheel *wheel = wheel_at(0);
    waiting later = {0}, sooner = {0}, chunk[SKUA__WAKE_CHUNK] = {0};
    arm(wheel, &later, 80 * TICK_NS);
    for (int i = 0; i < SKUA__WAKE_CHUNK; i++) {
        arm(wheel, &chunk[i], 64 * TICK_NS); /* where the second turn of the lowest level starts */
    }
    arm(wheel, &sooner, 74 * TICK_NS);
    CHECK_INT(skua__wheel_run(wheel, 64 * TICK_NS), SKUA__WAKE_CHUNK);
    CHECK(skua__wheel_next(wheel) <= 74 * TICK_NS);
    CHECK_INT(skua__wheel_run(wheel, 75 * TICK_NS), 1);
    CHECK(has_fired(&sooner));
    CHECK_INT(skua__wheel_run(wheel, 80 * TICK_NS), 1);
    free(wheel);
}

/* The same, while new timers keep the lowest level occupied. */
static void timers_behind_a_full_chunk_are_not_forgotten(void **state)
{
    struct skua__wheel *wheel = wheel_at(0);
    waiting sooner = {0}, chunk[SKUA__WAKE_CHUNK] = {0}, others[200] = {0};
    arm(wheel, &others[0], 66 * TICK_NS);
    for (int i = 0; i < SKUA__WAKE_CHUNK; i++) {
        arm(wheel, &chunk[i], 64 * TICK_NS);
    }
    arm(wheel, &sooner, 74 * TICK_NS);
    for (int64_t tick = 64; tick < 200; tick++) {
        arm(wheel, &others[tick], (tick + 2) * TICK_NS);
        skua__wheel_run(wheel, tick * TICK_NS);
        CHECK_INT(has_fired(&sooner), tick >= 74);
    }
    free(wheel);
}

static void a_million_short_waits_leave_one_timer(void **state)
{
    struct skua__wheel *wheel = wheel_at(0);
    waiting one = {0};
    int64_t now = 0;
    for (int i = 0; i < 1000000 / TEST_SCALE; i++) {
        now += 1000;
        arm(wheel, &one, now + SKUA_SEC(10));
        CHECK(skua__claim(&one.thread.parker, atomic_load(&one.thread.parker.word), 0));
        if (now >= skua__wheel_next(wheel)) {
            skua__wheel_run(wheel, now);
        }
        CHECK(wheel->count <= 1);
    }
    free(wheel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_empty),
        TEST(fires_once_and_never_early),
        TEST(a_deadline_in_the_past_fires_at_the_next_run),
        TEST(all_fire_in_order_on_every_level),
        TEST(all_fire_across_every_carry),
        TEST(disarmed_timers_are_gone),
        TEST(a_timer_of_an_old_wait_does_nothing),
        TEST(an_earlier_deadline_moves_the_timer),
        TEST(a_later_deadline_is_kept_though_the_timer_stands_early),
        TEST(the_timer_follows_its_fiber_to_another_wheel),
        TEST(more_than_one_chunk_is_woken_by_one_run),
        TEST(a_million_short_waits_leave_one_timer),
        TEST(timers_behind_a_full_chunk_are_on_time),
        TEST(timers_behind_a_full_chunk_are_not_forgotten),
        TEST(deadlines_of_years_wait),
        TEST(all_fire_across_the_turn_of_the_top_level),
    };
    return TEST_RUN(tests);
}
