/* The heap: order, removal of any node, against a plain array. */
#include "base/compiler.h"
#include "base/heap.h"
#include "test.h"

typedef struct item {
    struct skua__heap_node node;
    uint64_t key;
    bool is_in;
} item;

static bool comes_before(const struct skua__heap_node *one, const struct skua__heap_node *other)
{
    const item *a = (const item *)one, *b = (const item *)other; /* node is the first member */
    return a->key != b->key ? a->key < b->key : a < b;
}

/* (H1) to (H3) of heap.c. Returns the number of nodes. */
static size_t check_tree(const struct skua__heap_node *node, const struct skua__heap_node *parent)
{
    if (node == NULL) {
        return 0;
    }
    const uint32_t left = node->left != NULL ? node->left->rank : 0;
    const uint32_t right = node->right != NULL ? node->right->rank : 0;
    CHECK_PTR(node->parent, parent);
    CHECK(parent == NULL || comes_before(parent, node));
    CHECK(left >= right);
    CHECK_INT(node->rank, 1 + right);
    return 1 + check_tree(node->left, node) + check_tree(node->right, node);
}

static const item *least_of(const item *items, size_t count)
{
    const item *least = NULL;
    for (size_t i = 0; i < count; i++) {
        if (items[i].is_in && (least == NULL || comes_before(&items[i].node, &least->node))) {
            least = &items[i];
        }
    }
    return least;
}

static void the_first_is_the_least(void **state)
{
    enum { ITEMS = 60, STEPS = 20000 };
    static item items[ITEMS];
    uint64_t random = test_seed();
    struct skua__heap heap = {.before = comes_before};
    size_t count = 0;
    for (int step = 0; step < STEPS; step++) {
        item *one = &items[test_random(&random) % ITEMS];
        if (one->is_in) {
            skua__heap_remove(&heap, &one->node);
        } else {
            one->key = test_random(&random) % 40; /* equal ones are in order too */
            skua__heap_add(&heap, &one->node);
        }
        count += one->is_in ? -(size_t)1 : 1;
        one->is_in = !one->is_in;
        CHECK_INT(check_tree(heap.first, NULL), count);
        CHECK_PTR(heap.first, least_of(items, ITEMS));
    }
}

/* In rising and in falling order, which are the worst for trees that are not balanced. */
static void many_in_order(void **state)
{
    enum { ITEMS = 100000 };
    item *items = calloc(ITEMS, sizeof *items);
    for (int is_falling = 0; is_falling < 2; is_falling++) {
        struct skua__heap heap = {.before = comes_before};
        for (size_t i = 0; i < ITEMS; i++) {
            items[i].key = is_falling ? ITEMS - i : i;
            skua__heap_add(&heap, &items[i].node);
        }
        for (size_t i = 0; i < ITEMS; i += 2) {
            skua__heap_remove(&heap, &items[i].node);
        }
        uint64_t last = 0;
        for (size_t i = 0; i < ITEMS / 2; i++) {
            item *first = (item *)heap.first;
            CHECK(first != NULL && first->key >= last);
            last = first->key;
            skua__heap_remove(&heap, heap.first);
        }
        CHECK(heap.first == NULL);
    }
    free(items);
}

static void any_order_empties_it(void **state)
{
    enum { ITEMS = 10000 };
    item *items = calloc(ITEMS, sizeof *items);
    uint64_t random = test_seed();
    struct skua__heap heap = {.before = comes_before};
    for (size_t i = 0; i < ITEMS; i++) {
        items[i].key = test_random(&random);
        items[i].is_in = true;
        skua__heap_add(&heap, &items[i].node);
    }
    struct skua__heap_node *node;
    while ((node = skua__heap_take_any(&heap)) != NULL) {
        item *one = (item *)node;
        CHECK(one->is_in);
        one->is_in = false;
    }
    CHECK(least_of(items, ITEMS) == NULL);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_is_the_least),
        TEST(many_in_order),
        TEST(any_order_empties_it),
    };
    return TEST_RUN(tests);
}
