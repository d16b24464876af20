#include "conductor/heap.h"

#include <stdlib.h>

#include "base/assert.h"

static void place(struct heap *h, size_t position, struct heap_node *node)
{
    h->nodes[position - 1] = node;
    node->position = position;
}

static void sift_up(struct heap *h, struct heap_node *node)
{
    size_t p = node->position;

    while (p > 1 && h->nodes[p / 2 - 1]->at_ms > node->at_ms) {
        place(h, p, h->nodes[p / 2 - 1]);
        p /= 2;
    }
    place(h, p, node);
}

static void sift_down(struct heap *h, struct heap_node *node)
{
    size_t p = node->position;

    for (;;) {
        size_t child = 2 * p;

        if (child > h->n)
            break;
        if (child < h->n && h->nodes[child]->at_ms < h->nodes[child - 1]->at_ms)
            child++;
        if (h->nodes[child - 1]->at_ms >= node->at_ms)
            break;
        place(h, p, h->nodes[child - 1]);
        p = child;
    }
    place(h, p, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    size_t position = node->position;
    struct heap_node *last;

    if (position == 0)
        return;
    HF_ASSERT(position <= h->n && h->nodes[position - 1] == node);
    last = h->nodes[--h->n];
    node->position = 0;
    if (last == node)
        return;
    place(h, position, last);
    sift_up(h, last);
    sift_down(h, last);
}

void heap_set(struct heap *h, struct heap_node *node, uint64_t at_ms)
{
    if (at_ms == UINT64_MAX) {
        heap_remove(h, node);
        node->at_ms = at_ms;
        return;
    }
    if (node->position == 0) {
        if (h->n == h->cap) {
            h->cap = h->cap == 0 ? 64 : h->cap * 2;
            h->nodes =
                realloc(h->nodes,
                        h->cap * sizeof(struct heap_node *)); // NOLINT(bugprone-sizeof-expression):
                                                              // an array of pointers
            HF_ASSERT(h->nodes != NULL);
        }
        node->at_ms = at_ms;
        place(h, ++h->n, node);
    }
    node->at_ms = at_ms;
    sift_up(h, node);
    sift_down(h, node);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->n > 0 ? h->nodes[0] : NULL;
}

void heap_deinit(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}
