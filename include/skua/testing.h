/* skua/testing.h: running a program's tasks under control: a clock that jumps, schedules that can
   be repeated, a limit on real time, a look at what was left behind; and cmocka tests whose body is
   a task.

   One test run at a time has a process. Under its virtual clock skua_clock(), skua_after() and all
   deadlines of the process follow one time that moves only when no task can go on: then it jumps
   to the next deadline. So a test sleeps for hours in microseconds, and sees exact durations.

   Failures are recorded, not thrown: nothing jumps over open scopes and groups. A check that has
   failed cancels the test, and the C block is left by return. cmocka's own assert_...() jump to the
   native stack and must not be used inside tasks. */
#ifndef SKUA_TESTING_H
#define SKUA_TESTING_H

#include <skua/task.h>

SKUA_BEGIN_DECLS

/* How to run. Zero everywhere is the default: one worker, the real clock, the usual order. */
typedef struct skua_test_opts {
    uint32_t workers;        /* 0: 1 */
    bool virtual_clock;      /* time jumps to the next deadline when no task can go on */
    bool manual_clock;       /* a virtual clock that only skua_test_advance() moves */
    bool seeded;             /* the seed decides who runs next, and when a task gives way at a
                                blocking call; implies virtual_clock, needs workers <= 1 */
    bool allow_leaks;        /* do not look at what was left behind */
    uint64_t seed;           /* 0: SKUA_SEED in the environment, else a random one */
    int64_t timeout_ns;      /* of real time, then the tasks are listed and the process aborts;
                                0: 20 s; < 0: none */
    uint32_t fail_nth_alloc; /* this allocation of the library within fn fails, and all later
                                ones; 0: none does */
    const char *name;        /* in reports; NULL: "test" */
} skua_test_opts;

/* What a test run returns when a check has failed in it. */
#define SKUA_TEST_FAILED SKUA_ERR(4095, 1)

/* Run fn(arg) as the main task of a fresh runtime and take the runtime down again. Returns what fn
   returned; SKUA_TEST_FAILED if a check has failed; -ENOTEMPTY if all was well but something was
   left behind: tasks that still ran when fn returned (unless it drains), handles that were not
   released, open fds, threads, memory (each is named on standard error); -EBUSY while another test
   run is under way;
   -EINVAL for options that contradict each other; else as skua_run(). Whatever fails, the seed is
   printed as SKUA_SEED=..., which in the environment repeats the schedule.
   Call from: a foreign thread. Blocks it. */
int skua_test_run(const skua_test_opts *opts, skua_fn fn, void *arg) SKUA_MUST_CHECK;

/* --- time ------------------------------------------------------------------------------------- */

/* Wait until every other task of the test run is parked: waits for something, and nothing that is
   ready is left. Deadlines do not pass meanwhile under a virtual clock. Tasks that wait for real
   things (fds, calls on blocking threads) count as parked.
   Returns 0, -ECANCELED, or -EINVAL outside of a test run.
   Call from: a task of the test run. May switch. */
int skua_test_settle(void) SKUA_MUST_CHECK;

/* Move the virtual clock on by `duration_ns` (> 0), stopping at each deadline on the way: those who
   wait for it go on at its exact moment and have settled before time moves further.
   Returns 0, -ECANCELED (the clock stands wherever it has come to), -EBUSY if another task is at
   it, or -EINVAL outside of a run with a virtual clock.
   Call from: a task of the test run. May switch. */
int skua_test_advance(int64_t duration_ns) SKUA_MUST_CHECK;

/* While held, the virtual clock does not jump: somebody outside of the runtime, such as a thread
   of the program, is about to do something. Holds are counted; letting go of more than were held
   panics. The library does so itself for tasks that wait for fds, for calls on blocking threads and
   for jobs of a process pool (which, while it is open, always waits).
   Call from anywhere during the test run. */
void skua_test_hold_clock(void);
void skua_test_let_clock_go(void);

/* --- schedules -------------------------------------------------------------------------------- */

/* The seed of the present or the last run. Call from anywhere. */
uint64_t skua_test_seed(void);

/* A number that stands for all decisions of the seeded schedule so far, or in the last run: the
   same seed gives the same program the same number, as long as nothing real (threads, fds,
   addresses, other clocks) takes part. 0: not seeded. Call from anywhere. */
uint64_t skua_test_trace(void);

/* --- checks ----------------------------------------------------------------------------------- */

/* Record a failure of the present test run, with file, line and task, and cancel the run's main
   task (under skua_test_case(): the body). The first one counts. Returns SKUA_TEST_FAILED. Outside
   of a test run the message is printed and the process aborts. Call from anywhere. */
int skua_test_fail_at(const char *file, int line, const char *format, ...) SKUA_PRINTF(3, 4);
#define skua_test_fail(...) skua_test_fail_at(__FILE__, __LINE__, __VA_ARGS__)

/* True if the values agree; else records a failure that shows both. */
bool skua_test_same_int(const char *file, int line, const char *what, int64_t got, int64_t want);
bool skua_test_same_text(const char *file, int line, const char *what, const char *got,
                         const char *want);

/* Check, and if it fails record that and leave the enclosing function by return with
   SKUA_TEST_FAILED: for task functions and test bodies, and what they call that returns int. */
#define SKUA_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return skua_test_fail("%s is false", #condition);                                      \
        }                                                                                          \
    } while (0)
#define SKUA_CHECK_INT(got, want)                                                                  \
    do {                                                                                           \
        if (!skua_test_same_int(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(want))) {      \
            return SKUA_TEST_FAILED;                                                               \
        }                                                                                          \
    } while (0)
#define SKUA_CHECK_TEXT(got, want)                                                                 \
    do {                                                                                           \
        if (!skua_test_same_text(__FILE__, __LINE__, #got, (got), (want))) {                       \
            return SKUA_TEST_FAILED;                                                               \
        }                                                                                          \
    } while (0)

/* --- cmocka tests ----------------------------------------------------------------------------- */

/* One test: a body and what surrounds it, each of which runs as a task of its own, one after the
   other, with the same `state`. The body does not run if `setup` fails; `teardown` (NULL: none)
   runs in any case, also after a failure, and is not cancelled with the body. */
typedef int (*skua_test_fn)(void **state);

typedef struct skua_test_parts {
    const char *name;
    skua_test_fn setup, body, teardown;
} skua_test_parts;

/* Run one test under `opts` (NULL: virtual clock). Returns 0, or < 0 if a check has failed, a part
   has returned < 0, or something was left behind; *message is then a text for people, valid until
   the next run. Call from: a foreign thread. Blocks it. */
int skua_test_case(const skua_test_opts *opts, const skua_test_parts *parts, void **state,
                   const char **message) SKUA_MUST_CHECK;

/* Define a test function for cmocka whose body is a task:

       SKUA_TEST(naps_add_up) {
           SKUA_CHECK_INT(skua_sleep(skua_after(SKUA_SEC(450))), 0);
           return 0;
       }
       ... cmocka_unit_test(naps_add_up) ...

   The body gets `void **state` and returns 0, or < 0 to fail. SKUA_FIXTURE_TEST has a setup and a
   teardown too, or NULL. Include <cmocka.h> first: a failure becomes its fail_msg(), on its stack.
   Runs under the virtual clock, on one worker, in the usual order; with SKUA_TEST_SEEDED=1 in the
   environment the order is seeded. */
#define SKUA_TEST(test_name) SKUA_FIXTURE_TEST(test_name, NULL, NULL)
#define SKUA_FIXTURE_TEST(test_name, setup_fn, teardown_fn)                                        \
    static int skua_test_body_##test_name(void **state);                                           \
    static void test_name(void **state)                                                            \
    {                                                                                              \
        const skua_test_parts parts = {#test_name, (setup_fn), skua_test_body_##test_name,         \
                                       (teardown_fn)};                                             \
        const char *message = "";                                                                  \
        if (skua_test_case(NULL, &parts, state, &message) < 0) {                                   \
            fail_msg("%s", message);                                                               \
        }                                                                                          \
    }                                                                                              \
    static int skua_test_body_##test_name(void **state __attribute__((unused)))

/* --- what a program holds --------------------------------------------------------------------- */

/* What the process holds at a moment. */
typedef struct skua_test_resources {
    int64_t fds;
    int64_t threads;
    int64_t blocks; /* pieces of memory that the library has allocated and not freed */
    int64_t bytes;  /* ... and how much that is, as malloc counts */
} skua_test_resources;

/* Blocks and bytes are counted from the first call on: memory that was allocated before it and is
   freed later counts less than nothing. Call from anywhere but a task. */
void skua_test_resources_now(skua_test_resources *out);

/* Compare with what is held now, giving the kernel some time to forget threads that were joined.
   Returns 0 if nothing has grown; else -ENOTEMPTY, and each kind that has is reported on standard
   error. Call from anywhere but a task. Blocks. */
int skua_test_resources_compare(const skua_test_resources *before) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
