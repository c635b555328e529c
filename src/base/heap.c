/* The leftist tree of heap.h.

     (H1) A node comes before its children.
     (H2) rank(left) >= rank(right), and rank = 1 + rank(right), where a gap has rank 0.
     (H3) A child knows its parent; the first node has none.

   So a tree whose right spine has k nodes holds at least 2^k - 1: spines are logarithmic, and so
   is the recursion of merge(). The way up in skua__heap_remove() goes on only while ranks change,
   and a node whose rank changes is the right child or becomes one: again a right spine.

   Rejected: an array (it has to grow while its lock is held, and to tell each element where it
   stands); a pairing heap (a million insertions in due order, and the first removal visits them
   all). */
#include "base/heap.h"

static uint32_t rank_of(const struct skua__heap_node *node)
{
    return node != NULL ? node->rank : 0;
}

/* Restores (H2) of a node whose children are in order. */
static void settle(struct skua__heap_node *node)
{
    if (rank_of(node->left) < rank_of(node->right)) {
        struct skua__heap_node *left = node->left;
        node->left = node->right;
        node->right = left;
    }
    node->rank = 1 + rank_of(node->right);
}

/* The tree of all nodes of both; its root's parent is left as it was. */
static struct skua__heap_node *merge(const struct skua__heap *heap, struct skua__heap_node *one,
                                     struct skua__heap_node *other)
{
    if (one == NULL || other == NULL) {
        return one != NULL ? one : other;
    }
    if (heap->before(other, one)) {
        struct skua__heap_node *first = other;
        other = one;
        one = first;
    }
    one->right = merge(heap, one->right, other);
    one->right->parent = one;
    settle(one);
    return one;
}

static void set_first(struct skua__heap *heap, struct skua__heap_node *first)
{
    heap->first = first;
    if (first != NULL) {
        first->parent = NULL;
    }
}

void skua__heap_add(struct skua__heap *heap, struct skua__heap_node *node)
{
    *node = (struct skua__heap_node){.rank = 1};
    set_first(heap, merge(heap, heap->first, node));
}

void skua__heap_remove(struct skua__heap *heap, struct skua__heap_node *node)
{
    struct skua__heap_node *parent = node->parent;
    struct skua__heap_node *rest = merge(heap, node->left, node->right);
    if (parent == NULL) {
        set_first(heap, rest);
        return;
    }
    if (rest != NULL) {
        rest->parent = parent;
    }
    if (parent->left == node) {
        parent->left = rest;
    } else {
        parent->right = rest;
    }
    bool has_changed = true;
    for (; has_changed && parent != NULL; parent = parent->parent) {
        uint32_t rank = parent->rank;
        settle(parent);
        has_changed = parent->rank != rank;
    }
}

struct skua__heap_node *skua__heap_take_any(struct skua__heap *heap)
{
    struct skua__heap_node *node = heap->first;
    while (node != NULL && node->left != NULL) { /* rotate until there is nothing on the left */
        struct skua__heap_node *left = node->left;
        node->left = left->right;
        left->right = node;
        node = left;
    }
    heap->first = node != NULL ? node->right : NULL;
    return node;
}
