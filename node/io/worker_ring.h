/* A bounded ring of fixed-size slots between exactly one producer thread and one consumer thread.
 * Never blocks, never grows. */
#ifndef HF_IO_WORKER_RING_H
#define HF_IO_WORKER_RING_H

#include <stdatomic.h>

#include "base/assert.h"
#include "base/span.h"

struct worker_ring {
    uint8_t *memory;
    uint32_t mask; /* slots - 1 */
    size_t slot_bytes;
    _Alignas(64) _Atomic uint32_t head; /* next to take; the consumer's */
    _Alignas(64) _Atomic uint32_t tail; /* next to fill; the producer's */
};

/* slots is a power of two. False: no memory. */
bool worker_ring_init(struct worker_ring *r, uint32_t slots, size_t slot_bytes) HF_MUST_USE;
void worker_ring_deinit(struct worker_ring *r);

/* Producer: a slot to fill, then push it. NULL: full. */
void *worker_ring_reserve(struct worker_ring *r);
void worker_ring_push(struct worker_ring *r);

/* Consumer: the oldest slot, then pop it. NULL: empty. */
void *worker_ring_peek(struct worker_ring *r);
void worker_ring_pop(struct worker_ring *r);

#endif
