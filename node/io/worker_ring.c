#include "io/worker_ring.h"

#include <stdlib.h>

bool worker_ring_init(struct worker_ring *r, uint32_t slots, size_t slot_bytes)
{
    HF_ASSERT(slots > 0 && (slots & (slots - 1)) == 0);
    r->slot_bytes = (slot_bytes + 63) / 64 * 64;
    r->mask = slots - 1;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    r->memory = aligned_alloc(64, r->slot_bytes * slots);
    if (r->memory == NULL)
        return false;
    memset(r->memory, 0, r->slot_bytes * slots);
    return true;
}

void worker_ring_deinit(struct worker_ring *r)
{
    free(r->memory);
    r->memory = NULL;
}

void *worker_ring_reserve(struct worker_ring *r)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    if (tail - atomic_load_explicit(&r->head, memory_order_acquire) > r->mask)
        return NULL;
    return r->memory + (size_t)(tail & r->mask) * r->slot_bytes;
}

void worker_ring_push(struct worker_ring *r)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

void *worker_ring_peek(struct worker_ring *r)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (atomic_load_explicit(&r->tail, memory_order_acquire) == head)
        return NULL;
    return r->memory + (size_t)(head & r->mask) * r->slot_bytes;
}

void worker_ring_pop(struct worker_ring *r)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    atomic_store_explicit(&r->head, head + 1, memory_order_release);
}
