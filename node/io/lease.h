/* The one reading of a shard's lease, for workers and the control loop alike.
 *
 * Replication publishes it without a lock (replica.h): it stores until = 0, the new epoch, the new until, in this
 * order. So an epoch that is the same before and after belongs to the time that was read between: the time of a later
 * lease must not be taken for one of the epoch that was looked at.
 */
#ifndef HF_IO_LEASE_H
#define HF_IO_LEASE_H

#include "replication/replica.h"

/* Epoch (index) under which the shard may be acted for at now_ns (CLOCK_BOOTTIME); 0 = it may not. */
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

/* Has this process been told to do nothing more for anybody, as a copy of another one (daemon/rollback.c)? `silenced`
 * may be NULL: nobody tells. */
static inline bool lease_silenced(const _Atomic bool *silenced)
{
    return silenced != NULL && atomic_load_explicit(silenced, memory_order_relaxed);
}

#endif
