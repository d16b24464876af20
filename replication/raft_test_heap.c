#include "replication/raft_test_heap.h"

#include <raft.h>
#include <stdlib.h>

static size_t live;

static void *count(void *p)
{
    live += p != NULL;
    return p;
}

static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    return count(malloc(size));
}

static void heap_free(void *data, void *p)
{
    (void)data;
    live -= p != NULL;
    free(p);
}

static void *heap_calloc(void *data, size_t n, size_t size)
{
    (void)data;
    return count(calloc(n, size));
}

static void *heap_realloc(void *data, void *p, size_t size)
{
    (void)data;
    void *q = realloc(p, size);
    live += p == NULL && q != NULL;
    return q;
}

static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    (void)data;
    return count(aligned_alloc(alignment, size));
}

static void heap_aligned_free(void *data, size_t alignment, void *p)
{
    (void)alignment;
    heap_free(data, p);
}

void raft_test_heap(void)
{
    static struct raft_heap heap = {.malloc = heap_malloc,
                                    .free = heap_free,
                                    .calloc = heap_calloc,
                                    .realloc = heap_realloc,
                                    .aligned_alloc = heap_aligned_alloc,
                                    .aligned_free = heap_aligned_free};
    live = 0;
    raft_heap_set(&heap);
}

size_t raft_test_heap_live(void)
{
    return live;
}
