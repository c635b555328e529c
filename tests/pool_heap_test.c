/* The blocks of a region, against a model that knows who has each 4 KiB. */
#include "base/compiler.h"
#include "base/mem.h"
#include "pool/heap.h"
#include "test.h"

#include <errno.h>

enum { KIB = 1024, MIB = 1024 * KIB };

static size_t least_power(size_t bytes)
{
    size_t power = SKUA__BLOCK_BYTES;
    while (power < bytes) {
        power *= 2;
    }
    return power;
}

static void blocks_are_powers_of_two(void **state)
{
    struct skua__blocks heap;
    CHECK_INT(skua__heap_init(&heap, 64 * MIB), 0);
    const size_t sizes[] = {1, 4096, 4097, 8192, 100000, MIB, MIB + 1, 16 * MIB};
    for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
        const uint32_t block = skua__heap_take(&heap, sizes[i]);
        CHECK(block != SKUA__NO_BLOCK);
        const size_t bytes = skua__heap_block_bytes(&heap, block);
        CHECK_INT(bytes, least_power(sizes[i]));
        CHECK_INT(((size_t)block << SKUA__BLOCK_SHIFT) % bytes, 0);
    }
    skua__heap_fini(&heap);
}

static void the_lowest_is_taken(void **state)
{
    struct skua__blocks heap;
    CHECK_INT(skua__heap_init(&heap, MIB), 0);
    CHECK_INT(skua__heap_take(&heap, 1), 0);
    CHECK_INT(skua__heap_take(&heap, 1), 1);
    CHECK_INT(skua__heap_take(&heap, 8192), 2);
    CHECK(skua__heap_give(&heap, 0));
    CHECK(skua__heap_give(&heap, 2));
    CHECK_INT(skua__heap_take(&heap, 1), 0);
    CHECK_INT(skua__heap_take(&heap, 1), 2);
    skua__heap_fini(&heap);
}

static void a_region_can_be_full(void **state)
{
    enum { BLOCKS = 16 * MIB / SKUA__BLOCK_BYTES };
    struct skua__blocks heap;
    CHECK_INT(skua__heap_init(&heap, 16 * MIB), 0);
    CHECK_INT(skua__heap_take(&heap, 16 * MIB + 1), SKUA__NO_BLOCK);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < BLOCKS; i++) {
            CHECK_INT(skua__heap_take(&heap, 1), i);
        }
        CHECK_INT(skua__heap_take(&heap, 1), SKUA__NO_BLOCK);
        CHECK_INT(heap.taken, BLOCKS);
        for (uint32_t i = 0; i < BLOCKS; i++) {
            CHECK(skua__heap_give(&heap, i * 7 % BLOCKS)); /* in another order */
        }
        CHECK_INT(heap.taken, 0);
    }
    CHECK_INT(skua__heap_take(&heap, 16 * MIB), 0); /* all of it is one block again */
    skua__heap_fini(&heap);
}

static void what_is_not_taken_cannot_be_given(void **state)
{
    struct skua__blocks heap;
    CHECK_INT(skua__heap_init(&heap, MIB), 0);
    CHECK(!skua__heap_give(&heap, 0));
    CHECK_INT(skua__heap_take(&heap, 16384), 0);
    CHECK(!skua__heap_give(&heap, 1));
    CHECK(!skua__heap_give(&heap, SKUA__NO_BLOCK));
    CHECK(!skua__heap_give(&heap, MIB / SKUA__BLOCK_BYTES));
    CHECK_INT(skua__heap_block_bytes(&heap, 1), 0);
    CHECK(skua__heap_give(&heap, 0));
    CHECK(!skua__heap_give(&heap, 0));
    skua__heap_fini(&heap);
}

static void one_block_is_a_region(void **state)
{
    struct skua__blocks heap;
    CHECK_INT(skua__heap_init(&heap, SKUA__BLOCK_BYTES), 0);
    CHECK_INT(skua__heap_take(&heap, 1), 0);
    CHECK_INT(skua__heap_take(&heap, 1), SKUA__NO_BLOCK);
    CHECK(skua__heap_give(&heap, 0));
    CHECK_INT(skua__heap_take(&heap, 4096), 0);
    skua__heap_fini(&heap);
}

static void memory_may_run_out(void **state)
{
    for (int budget = 0; budget < 2; budget++) {
        struct skua__blocks heap;
        skua__store(&skua__alloc_budget, budget, relaxed);
        const int error = skua__heap_init(&heap, 64 * MIB);
        skua__store(&skua__alloc_budget, -1, relaxed);
        CHECK_INT(error, -ENOMEM);
        CHECK_INT(skua__heap_take(&heap, 1), SKUA__NO_BLOCK);
        skua__heap_fini(&heap);
    }
}

/* ---- against the model ---- */

enum { UNITS = 4096, HELD_MAX = 600 };

struct model {
    struct skua__blocks heap;
    bool used[UNITS];
    struct {
        uint32_t block;
        size_t bytes;
    } held[HELD_MAX];
    size_t count;
};

/* Whether a free, aligned stretch of that size exists. */
static bool has_room(const struct model *model, size_t bytes)
{
    const size_t units = bytes >> SKUA__BLOCK_SHIFT;
    for (size_t start = 0; start < UNITS; start += units) {
        size_t i = start;
        while (i < start + units && !model->used[i]) {
            i++;
        }
        if (i == start + units) {
            return true;
        }
    }
    return false;
}

static void mark(struct model *model, uint32_t block, size_t bytes, bool used)
{
    for (size_t i = block; i < block + (bytes >> SKUA__BLOCK_SHIFT); i++) {
        CHECK(i < UNITS && model->used[i] != used);
        model->used[i] = used;
    }
}

static void take_one(struct model *model, size_t wanted)
{
    const uint32_t block = skua__heap_take(&model->heap, wanted);
    const size_t bytes = least_power(wanted);
    CHECK_INT(block != SKUA__NO_BLOCK, has_room(model, bytes));
    if (block != SKUA__NO_BLOCK) {
        mark(model, block, bytes, true);
        model->held[model->count].block = block;
        model->held[model->count++].bytes = bytes;
    }
}

static void give_one(struct model *model, size_t which)
{
    mark(model, model->held[which].block, model->held[which].bytes, false);
    CHECK(skua__heap_give(&model->heap, model->held[which].block));
    model->held[which] = model->held[--model->count];
}

static void random_takes_and_gives(void **state)
{
    static struct model model;
    uint64_t random = test_seed();
    CHECK_INT(skua__heap_init(&model.heap, (size_t)UNITS << SKUA__BLOCK_SHIFT), 0);
    for (int step = 0; step < 20000; step++) {
        const bool grows = (step / 2000) % 2 == 0;
        const bool takes = test_random(&random) % 4 < (grows ? 3 : 1);
        if (takes && model.count < HELD_MAX) {
            take_one(&model, 1 + test_random(&random) % ((size_t)1 << (test_random(&random) % 23)));
        } else if (model.count > 0) {
            give_one(&model, test_random(&random) % model.count);
        }
        CHECK_INT(model.heap.taken, model.count);
    }
    while (model.count > 0) {
        give_one(&model, model.count - 1);
    }
    CHECK_INT(skua__heap_take(&model.heap, (size_t)UNITS << SKUA__BLOCK_SHIFT), 0);
    skua__heap_fini(&model.heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_are_powers_of_two), TEST(the_lowest_is_taken),
        TEST(a_region_can_be_full),     TEST(what_is_not_taken_cannot_be_given),
        TEST(one_block_is_a_region),    TEST(memory_may_run_out),
        TEST(random_takes_and_gives),
    };
    return TEST_RUN(tests);
}
