/* The parent's end of the wire against random inputs, half of which begin as a run of an orderly
   pool: a million (SKUA_FUZZ_INPUTS), in short runs fewer of them where a sanitizer slows it down;
   the thread sanitizer has nothing to see here. The same driver is an entry for libFuzzer:
   tests/fuzz. */
#include "../pool_ring_fuzz.h"

enum { INPUT_MAX = 256 };

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

static uint64_t inputs_by_default(void)
{
    if (IS_THREAD_SANITIZED) {
        return 20000;
    }
    return TEST_SCALE > 1 && test_env("SKUA_STRESS_SECONDS", 2) <= 8 ? 250000 : 1000000;
}

static void nothing_that_a_worker_writes_leads_the_parent_astray(void **state)
{
    static fuzz self;
    uint64_t random = test_seed();
    const uint64_t inputs = test_env("SKUA_FUZZ_INPUTS", inputs_by_default());
    for (uint64_t i = 0; i < inputs; i++) {
        uint8_t data[INPUT_MAX];
        const size_t size = test_random(&random) % INPUT_MAX + 1;
        const size_t wild = i % 2 == 0 ? size : size / 3;
        write_orderly(&random, data, size);
        for (size_t k = size - wild; k < size; k++) {
            data[k] = (uint8_t)(test_random(&random) >> 16);
        }
        fuzz_ring(&self, data, size);
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
