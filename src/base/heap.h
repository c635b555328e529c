/* base/heap.h: an intrusive heap: the first of many, and any node taken out again, each in
   O(log n) steps and without allocation.

   It is a leftist tree: every node comes before its children, and the way down to the nearest gap
   is never longer on the right than on the left. So right spines are short (at most 20 nodes of a
   million), and merging two trees, which is all that is ever done, walks along them only. A zeroed
   heap with `before` set is empty. */
#ifndef SKUA_BASE_HEAP_H
#define SKUA_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct skua__heap_node {
    struct skua__heap_node *left, *right, *parent;
    uint32_t rank; /* nodes on the way down to the nearest gap, this one included */
};

struct skua__heap {
    struct skua__heap_node *first;
    /* A total order: of two different nodes one comes before the other. */
    bool (*before)(const struct skua__heap_node *one, const struct skua__heap_node *other);
};

void skua__heap_add(struct skua__heap *heap, struct skua__heap_node *node);

/* Take out a node that is in the heap. */
void skua__heap_remove(struct skua__heap *heap, struct skua__heap_node *node);

/* Take out some node, in no order, for emptying the heap in O(n); NULL when it is empty. Nothing
   else may be done with the heap after the first such call until it is empty. */
struct skua__heap_node *skua__heap_take_any(struct skua__heap *heap);

#endif
