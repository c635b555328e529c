/* The parent's end of the wire against random inputs, half of which begin as a run of an orderly
   pool: SKUA_FUZZ_INPUTS of them, or a million, or as many as there is time for in
   SKUA_STRESS_SECONDS; few for the thread sanitizer, which has nothing to see here. The same driver
   is an entry for libFuzzer: tests/fuzz. */
#include "../pool_ring_fuzz.h"

#include <time.h>

enum { INPUT_MAX = 256, INPUTS_PER_LOOK = 1000 };

/* Bytes that more often than not mean an orderly life. */
static void write_orderly(uint64_t *random, uint8_t *data, size_t size)
{
    static const uint8_t orderly[] = {0, 3, 4, 4, 7, 10, 12, 11};
    for (size_t i = 0; i < size; i++) {
        const uint64_t number = test_random(random);
        data[i] = number % 4 == 0 ? (uint8_t)(number >> 8) : orderly[(number >> 8) % 8];
    }
}

#if defined(__SANITIZE_THREAD__)
enum { IS_THREAD_SANITIZED = 1 };
#elif defined(__has_feature)
enum { IS_THREAD_SANITIZED = __has_feature(thread_sanitizer) };
#else
enum { IS_THREAD_SANITIZED = 0 };
#endif

static bool is_over(time_t end)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec >= end;
}

/* When to stop, however few it were. */
static time_t end_of_test(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t left = test_env("SKUA_FUZZ_INPUTS", 0) > 0 ? 1 << 20
                          : IS_THREAD_SANITIZED               ? 1
                                                              : test_env("SKUA_STRESS_SECONDS", 5);
    return now.tv_sec + 1 + (time_t)left;
}

static void run_one(fuzz *self, uint64_t *random, bool is_wild)
{
    uint8_t data[INPUT_MAX];
    const size_t size = test_random(random) % INPUT_MAX + 1;
    const size_t wild = is_wild ? size : size / 3;
    write_orderly(random, data, size);
    for (size_t k = size - wild; k < size; k++) {
        data[k] = (uint8_t)(test_random(random) >> 16);
    }
    fuzz_ring(self, data, size);
}

static void nothing_that_a_worker_writes_leads_the_parent_astray(void **state)
{
    static fuzz self;
    uint64_t random = test_seed();
    const uint64_t inputs_max = test_env("SKUA_FUZZ_INPUTS", 1000000);
    const time_t end = end_of_test();
    uint64_t inputs = 0;
    while (inputs < inputs_max && (inputs % INPUTS_PER_LOOK != 0 || inputs == 0 || !is_over(end))) {
        run_one(&self, &random, inputs % 2 == 0);
        inputs++;
    }
    printf("    %llu inputs: %llu answers, %llu questions, %llu revoked, %llu lines, %llu lies\n",
           (unsigned long long)inputs, (unsigned long long)self.answers,
           (unsigned long long)self.questions, (unsigned long long)self.revoked,
           (unsigned long long)self.lines, (unsigned long long)self.lies);
    CHECK(self.answers > inputs / 10 && self.lies > inputs / 10 && self.revoked > inputs / 10);
    fuzz_end(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_that_a_worker_writes_leads_the_parent_astray),
    };
    return TEST_RUN(tests);
}
