/* The parent's end of the wire against a million random inputs (SKUA_FUZZ_INPUTS; a quarter of
   them where the sanitizers slow it down), half of which begin as a run of a well-behaved pool. The
   same driver is an entry for libFuzzer: tests/fuzz. */
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

static void nothing_that_a_worker_writes_leads_the_parent_astray(void **state)
{
    static fuzz self;
    uint64_t random = test_seed();
    const uint64_t inputs = test_env("SKUA_FUZZ_INPUTS", TEST_SCALE > 1 ? 250000 : 1000000);
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
