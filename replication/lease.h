/* How a shard's lease (replica.h) crosses from the replication thread to the workers and the control loop, without a
 * lock: one thread publishes it, any number read it. Both ends stand here, for each is right only beside the other.
 *
 *   lease_publish(), of another epoch         lease_epoch()
 *     (1) until = 0           relaxed           (a) epoch   acquire
 *     (2) epoch = new         release           (b) until   acquire
 *     (3) until = new         release           (c) epoch   relaxed: the same as at (a)?
 *
 * The rule (I5): a time is never taken for one of another epoch, or a node would act under an epoch whose lease is over.
 * Why it holds by C11 (7.17.3) alone, on every machine. Let the reader have seen epoch E at (a) and at (c).
 *  - The time at (b) is of no earlier epoch. (a) acquires what (2) of E released, so (1) of E happened before (b): by
 *    coherence (b) reads the 0 of (1), or what was stored after it. This needs (1) before (2), (2) release, (a) acquire;
 *    (1) orders nothing before itself, so it may be relaxed: 0 lets nobody act.
 *  - Nor is it of a later one. (b) acquires what (3) of the later epoch released, so (2) of that epoch happened before
 *    (c): by coherence (c) reads that epoch or one after it, not E, for no epoch comes twice (it is an index of the log,
 *    and only grows). This needs (2) before (3), (3) release, (b) acquire, and (c) at all; (c) orders nothing behind
 *    itself, so it may be relaxed.
 * What the publisher wrote before it published is seen by whom lease_epoch() lets act.
 * tests/unit/lease tries every value that the standard lets each read see, and takes each order away.
 */
#ifndef HF_REPL_LEASE_H
#define HF_REPL_LEASE_H

#include "replication/replica.h"

/* For the one thread that publishes `lease`: this epoch (its index), until until_ns (CLOCK_BOOTTIME; 0 = no longer, or
 * not yet). Of the same epoch the time alone changes, in either direction. */
static inline void lease_publish(struct repl_lease *lease, uint64_t epoch, uint64_t until_ns)
{
    if (atomic_load_explicit(&lease->epoch_index, memory_order_relaxed) != epoch) {
        atomic_store_explicit(&lease->until_ns, 0, memory_order_relaxed);
        atomic_store_explicit(&lease->epoch_index, epoch, memory_order_release);
    }
    atomic_store_explicit(&lease->until_ns, until_ns, memory_order_release);
}

/* Epoch (index) under which the shard may be acted for at now_ns (CLOCK_BOOTTIME); 0 = it may not. From any thread. */
static inline uint64_t lease_epoch(const struct repl_lease *lease, uint64_t now_ns)
{
    uint64_t epoch = atomic_load_explicit(&lease->epoch_index, memory_order_acquire);
    uint64_t until = atomic_load_explicit(&lease->until_ns, memory_order_acquire);

#ifdef HOLDFAST_PLANT_lease_ignored
    until = UINT64_MAX; /* planted fault: whoever owns by the log acts, lease or none */
#endif
    if (now_ns >= until || atomic_load_explicit(&lease->epoch_index, memory_order_relaxed) != epoch)
        return 0;
    return epoch;
}

#endif
