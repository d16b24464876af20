/* A binary min-heap of wake-up times, embedded in what it orders: the nodes are the caller's, the
 * array of pointers is ours. One timer serves all IKE SAs: the conductor arms it for heap_first().
 */
#ifndef HF_CONDUCTOR_HEAP_H
#define HF_CONDUCTOR_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero at the start. */
struct heap_node {
    uint64_t at_ms;
    size_t position; /* 1-based; 0 = not in the heap */
};

struct heap {
    struct heap_node **nodes;
    size_t n, cap;
};

/* Sets or moves a node's time; UINT64_MAX takes it out. Grows by doubling; out of memory ends the
 * process (assert). */
void heap_set(struct heap *h, struct heap_node *node, uint64_t at_ms);
void heap_remove(struct heap *h, struct heap_node *node);
/* The earliest node, or NULL. */
struct heap_node *heap_first(const struct heap *h);
void heap_deinit(struct heap *h);

#endif
