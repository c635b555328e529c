/* Tasks that go from thread to thread all the time: what belongs to a task goes along (errno, the
   floating-point modes it asked for, its locals, its registers), and what belongs to a thread does
   not leak. To be run at -O3 with link-time optimisation too, where compilers like to remember
   addresses of thread-locals across calls. What the tests themselves read of a thread is read in
   functions that the compiler cannot look into. */
#include "tasks.h"

#include "arch/fpenv.h"
#include "base/compiler.h"

#include <fenv.h>

enum {
    WORKERS = 4,
    TRAVELLERS = 24,
    MOVES_BY_JOIN = 8000 / TEST_SCALE / TEST_SCALE, /* of all together */
    MOVES_BY_YIELD = 1000 / TEST_SCALE,
};

/* --- what belongs to the thread --------------------------------------------------------------- */

static _Thread_local int thread_count; /* its address tells threads apart, too */

/* To clang the address is a constant that callers may put in by themselves, so it goes through a
   statement that nobody sees through. */
static SKUA_OPAQUE const void *thread_here(void)
{
    const void *here = &thread_count;
    __asm__ volatile("" : "+r"(here) : : "memory");
    return here;
}

static SKUA_OPAQUE int errno_now(void)
{
    return errno;
}

static SKUA_OPAQUE void errno_become(int value)
{
    errno = value;
}

/* --- moving ----------------------------------------------------------------------------------- */

typedef struct journey journey;

struct journey {
    void (*move)(int turn);                  /* a call that may come back on another thread */
    void (*visit)(int number, journey *all); /* sets something, moves some times, checks it */
    gate moved;
    int moves; /* at which the journey ends */
};

typedef struct traveller {
    int number;
    journey *all;
} traveller;

/* The end of a pinned task puts who joins it into its worker's slot. */
static void move_by_join(int turn)
{
    const skua_spawn_opts opts = {.pin = 1 + (uint32_t)turn};
    CHECK_INT(finish(spawn_with(return_zero, NULL, &opts)), 0);
}

/* Others steal from the ring in which we wait. */
static void move_by_yield(int turn)
{
    CHECK_INT(skua_yield(), 0);
}

static void move(journey *all, int turn)
{
    skua_task *self = skua_self();
    skua_runtime *runtime = skua_runtime_current();
    const void *thread = thread_here();
    all->move(turn);
    if (thread_here() != thread) {
        atomic_fetch_add(&all->moved, 1);
    }
    CHECK_PTR(skua_self(), self);
    CHECK_PTR(skua_runtime_current(), runtime);
}

/* All gather at one worker between the visits, so that the others have something to steal. */
static int travel(void *arg)
{
    const traveller *self = arg;
    while (atomic_load(&self->all->moved) < self->all->moves) {
        move_by_join(0);
        self->all->visit(self->number, self->all);
    }
    return 0;
}

static int journey_body(void *arg)
{
    journey *all = arg;
    skua_task *tasks[TRAVELLERS];
    for (int i = 0; i < TRAVELLERS; i++) {
        const skua_spawn_opts opts = {.arg_bytes = sizeof(traveller), .keep_fpenv = i % 2 == 0};
        tasks[i] = spawn_with(travel, &(traveller){i, all}, &opts);
    }
    for (int i = 0; i < TRAVELLERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

/* Until the travellers have been on another thread after so many moves; they never give up. */
static void journeys(void (*visit)(int number, journey *all))
{
    journey by_join = {.move = move_by_join, .visit = visit, .moves = MOVES_BY_JOIN};
    journey by_yield = {.move = move_by_yield, .visit = visit, .moves = MOVES_BY_YIELD};
    run_on_with(WORKERS, journey_body, &by_join);
    run_on_with(WORKERS, journey_body, &by_yield);
}

/* --- what goes along -------------------------------------------------------------------------- */

static void visit_with_errno(int number, journey *all)
{
    for (int turn = 0; turn < 8; turn++) {
        errno_become(1000 * number + turn);
        move(all, turn + number);
        CHECK_INT(errno_now(), 1000 * number + turn);
    }
}

static void errno_is_the_tasks(void **state)
{
    journeys(visit_with_errno);
}

/* The compiler's favourite: errno in the same function on both sides of the move. It may keep the
   address, so that the program reads another thread's; but it must not disturb the library's. */
static void visit_with_plain_errno(int number, journey *all)
{
    for (int turn = 0; turn < 8; turn++) {
        errno = number;
        move(all, turn + number);
        errno = 0;
    }
}

static void a_program_that_keeps_the_address_of_errno_does_no_harm(void **state)
{
    if (TEST_SCALE == 1) { /* else a race: the program's */
        journeys(visit_with_plain_errno);
    }
}

static const skua_local number_key = {"number"}, turn_key = {"turn"};

static int check_inherited(void *arg)
{
    CHECK_PTR(skua_local_get(&number_key), arg);
    return 0;
}

static void visit_with_locals(int number, journey *all)
{
    int values[8];
    CHECK_INT(skua_local_set(&number_key, values), 0);
    for (int turn = 0; turn < 8; turn++) {
        CHECK_INT(skua_local_set(&turn_key, &values[turn]), 0);
        move(all, turn + number);
        CHECK_PTR(skua_local_get(&number_key), values);
        CHECK_PTR(skua_local_get(&turn_key), &values[turn]);
    }
    CHECK_INT(call(check_inherited, values), 0);
}

/* covers: A13 */
static void task_locals_go_along(void **state)
{
    journeys(visit_with_locals);
}

/* More live values than there are registers, integers and doubles. */
static void visit_with_registers(int number, journey *all)
{
    uint64_t a = (uint64_t)number + 1, b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13,
             g = a * 17;
    double x = number + 0.5, y = x * 2, z = x * 4;
    for (int turn = 0; turn < 8; turn++) {
        move(all, turn + number);
        a += 1, b += 3, c += 5, d += 7, e += 11, f += 13, g += 17;
        x += 1, y += 2, z += 4;
    }
    const uint64_t end = (uint64_t)number + 9;
    CHECK(a == end && b == 3 * end && c == 5 * end && d == 7 * end && e == 11 * end);
    CHECK(f == 13 * end && g == 17 * end);
    CHECK(x == number + 8.5 && y == 2 * x && z == 4 * x);
}

/* covers: A7 */
static void registers_go_along(void **state)
{
    journeys(visit_with_registers);
}

/* --- floating point --------------------------------------------------------------------------- */

static const int modes[4] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};

/* Where the modes stand in the control words: in one of them, or in that of the SSE unit and in
   that of the x87. Without libm, which nothing else here needs. */
static uint64_t control_of(int mode)
{
#ifdef __x86_64__
    return (uint64_t)mode << 3 | (uint64_t)mode << 32;
#else
    return (uint64_t)mode;
#endif
}

static SKUA_OPAQUE void rounding_become(int mode)
{
    struct skua__fpenv env = skua__fpenv_save();
    env.control = (env.control & ~control_of(FE_TOWARDZERO)) | control_of(mode);
    skua__fpenv_restore(env);
}

/* 1 + 2^-60 and its negative twin tell all modes apart, in the SSE unit and in the x87. */
static SKUA_OPAQUE int rounding_seen(void)
{
    volatile double one = 1, tiny = 0x1p-60;
    const bool rises = one + tiny > 1, falls = -one - tiny < -1, sinks = one - tiny < 1;
    return rises ? FE_UPWARD : falls ? FE_DOWNWARD : sinks ? FE_TOWARDZERO : FE_TONEAREST;
}

static SKUA_OPAQUE int long_rounding_seen(void)
{
    volatile long double one = 1, tiny = 0x1p-120L;
    const bool rises = one + tiny > 1, falls = -one - tiny < -1, sinks = one - tiny < 1;
    return rises ? FE_UPWARD : falls ? FE_DOWNWARD : sinks ? FE_TOWARDZERO : FE_TONEAREST;
}

static void check_rounding(int mode)
{
    CHECK_INT(rounding_seen(), mode);
    CHECK_INT(long_rounding_seen(), mode);
}

/* Even ones keep their own modes, the odd ones have the default for ever. */
static void visit_with_rounding(int number, journey *all)
{
    for (int turn = 0; turn < 8; turn++) {
        const int mode = number % 2 == 0 ? modes[(turn + number / 2) % 4] : FE_TONEAREST;
        if (number % 2 == 0) {
            rounding_become(mode);
        }
        move(all, turn + number);
        check_rounding(mode);
    }
}

static void rounding_modes_go_along_and_do_not_leak(void **state)
{
    journeys(visit_with_rounding);
    check_rounding(FE_TONEAREST);
}

static int end_rounding_up(void *arg)
{
    check_rounding(FE_TONEAREST);
    rounding_become(FE_UPWARD);
    CHECK_INT(skua_yield(), 0);
    check_rounding(FE_UPWARD);
    return 0;
}

static int expect_default_rounding(void *arg)
{
    check_rounding(FE_TONEAREST);
    return 0;
}

/* Both kinds by turns on the same stacks. */
static int leave_modes_behind(void *arg)
{
    const skua_spawn_opts keep = {.keep_fpenv = true};
    for (int round = 0; round < 400 / TEST_SCALE; round++) {
        skua_task *tasks[16];
        for (int i = 0; i < 16; i++) {
            tasks[i] = i % 2 == 0 ? spawn_with(end_rounding_up, NULL, &keep)
                                  : spawn(expect_default_rounding, NULL);
        }
        for (int i = 0; i < 16; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
        check_rounding(FE_TONEAREST);
    }
    return 0;
}

static void a_task_that_ends_leaves_no_rounding_mode(void **state)
{
    run_on_1_2_4(leave_modes_behind);
}

#ifdef __x86_64__
/* The exceptions that trap, in both units; there a bit means that one does not. */
static SKUA_OPAQUE uint64_t traps_now(void)
{
    return ~skua__fpenv_save().control &
           ((uint64_t)FE_ALL_EXCEPT << 7 | (uint64_t)FE_ALL_EXCEPT << 32);
}

static SKUA_OPAQUE uint64_t traps_become(int exceptions)
{
    struct skua__fpenv env = skua__fpenv_save();
    const uint64_t traps = (uint64_t)exceptions << 7 | (uint64_t)exceptions << 32;
    env.control =
        (env.control | (uint64_t)FE_ALL_EXCEPT << 7 | (uint64_t)FE_ALL_EXCEPT << 32) & ~traps;
    skua__fpenv_restore(env);
    return traps;
}

static void visit_with_traps(int number, journey *all)
{
    static const int exceptions[4] = {FE_DIVBYZERO, 0, FE_OVERFLOW, 0};
    const uint64_t traps = number % 2 == 0 ? traps_become(exceptions[number % 4]) : 0;
    for (int turn = 0; turn < 8; turn++) {
        move(all, turn + number);
        CHECK_INT(traps_now(), traps);
    }
}

static void exception_masks_go_along_and_do_not_leak(void **state)
{
    journeys(visit_with_traps);
    CHECK_INT(traps_now(), 0);
}
#endif

/* --- pinned tasks ----------------------------------------------------------------------------- */

enum { PINNED = 6, TURNS = 500 / TEST_SCALE }; /* tasks of each worker */

/* All in one function: here the compiler may remember what it likes. */
static int count_in_thread(void *arg)
{
    const void *thread = &thread_count;
    for (int turn = 0; turn < TURNS; turn++) {
        thread_count++;
        if (turn % 10 == 0) {
            CHECK_INT(skua_sleep(skua_after(SKUA_US(10))), 0);
        }
        if (turn % 3 == 0) {
            move_by_join(turn);
        }
        CHECK_INT(skua_yield(), 0);
        CHECK_PTR(&thread_count, thread);
        CHECK_PTR(thread_here(), thread);
    }
    return 0;
}

static int thread_total(void *arg)
{
    return thread_count;
}

static int pinned_body(void *arg)
{
    skua_task *tasks[WORKERS * PINNED];
    for (uint32_t i = 0; i < WORKERS * PINNED; i++) {
        tasks[i] = spawn_with(count_in_thread, NULL, &(skua_spawn_opts){.pin = 1 + i});
    }
    for (int i = 0; i < WORKERS * PINNED; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        const skua_spawn_opts opts = {.pin = 1 + i};
        CHECK_INT(finish(spawn_with(thread_total, NULL, &opts)), PINNED * TURNS);
    }
    return 0;
}

/* covers: B30 */
static void thread_locals_are_safe_in_pinned_tasks(void **state)
{
    run_on(WORKERS, pinned_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errno_is_the_tasks),
        TEST(a_program_that_keeps_the_address_of_errno_does_no_harm),
        TEST(task_locals_go_along),
        TEST(registers_go_along),
        TEST(rounding_modes_go_along_and_do_not_leak),
        TEST(a_task_that_ends_leaves_no_rounding_mode),
#ifdef __x86_64__
        TEST(exception_masks_go_along_and_do_not_leak),
#endif
        TEST(thread_locals_are_safe_in_pinned_tasks),
    };
    return TEST_RUN(tests);
}
