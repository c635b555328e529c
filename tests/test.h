/* tests/test.h: what every suite uses on top of cmocka. The bodies are in test.c.

   A suite is tests/ROOM_test.c: `static void some_thing(void **state)` functions, then
       int main(void) {
           const struct CMUnitTest tests[] = {TEST(some_thing)};
           return TEST_RUN(tests);
       }
   CHECK* print both sides, the test and the seed, then abort: cmocka's own way out is a longjmp,
   which must not be taken from a task or a foreign thread, where most of our checks stand. */
#ifndef SKUA_TESTS_TEST_H
#define SKUA_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four first ones above */

#define TEST_SKIPPED 77 /* exit status of a suite that cannot run here */

/* How much longer things may take in this build. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SCALE 5
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SCALE 5
#endif
#endif
#ifndef TEST_SCALE
#define TEST_SCALE 1
#endif

/* The timeout of runs under the virtual clock: on a busy machine their many small steps take long.
   The watchdog below comes after it. */
#define TEST_PATIENCE_NS (SKUA_SEC(45) * TEST_SCALE)

#define TEST(fn)                                                                                   \
    {                                                                                              \
#fn, fn, test_enter, NULL, (void *)(uintptr_t) #fn                                         \
    }

/* Runs the tests under a watchdog: after SKUA_TEST_SECONDS (50, times TEST_SCALE) for the whole
   suite it prints "hang in <test>" and aborts the program. */
#define TEST_RUN(tests) (test_begin(), cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL))

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "%s is false", #condition))
#define CHECK_INT(got, want) test_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_PTR(got, want) test_ptr(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_STR(got, want) test_str(__FILE__, __LINE__, #got, (got), (want))

/* The seed of this run: SKUA_SEED, or a random one. Printed whenever something fails. */
uint64_t test_seed(void);

/* The next number of the stream that starts at *state. */
uint64_t test_random(uint64_t *state);

/* A number from the environment, or `otherwise`. */
uint64_t test_env(const char *name, uint64_t otherwise);

/* What this process holds now: threads (without those that have ended), open fds, mappings. */
int test_threads(void);
int test_fds(void);
int test_maps(void);

/* Wait up to 2 s until count() is `want`, for what goes by itself. Returns the last count. */
int test_settle(int (*count)(void), int want);

/* Misuse must die: run fn(arg) in a forked child and check that it aborts, saying `text`. */
void test_dies(void (*fn)(void *), void *arg, const char *text);

/* Used by the macros. */
void test_begin(void);
int test_enter(void **state);
void test_int(const char *file, int line, const char *what, long long got, long long want);
void test_ptr(const char *file, int line, const char *what, const void *got, const void *want);
void test_str(const char *file, int line, const char *what, const char *got, const char *want);
void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

#endif
