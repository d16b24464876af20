/* One node's share of the replicated gateway: raft driver, state machine, ownership and outbox behind one door.
 *
 *   conductor thread                        replication thread (own libuv loop)
 *   repl_submit(record) ──────────────────> batch ─> leader (or forward) ─> raft ─> apply (compare-and-set)
 *   repl_next_event()  <─── events in log order ───┘        │
 *   atomics: lease, epoch <── heartbeats, acks, promises ───┘
 *
 * The core (struct replica, replica_core.c) is sans-I/O: it is stepped with time, storage completions and frames, so that a
 * simulator runs the same code. repl_thread.c puts it on a thread.
 */
#ifndef HF_REPL_REPLICA_H
#define HF_REPL_REPLICA_H

#include <stdatomic.h>

#include "base/assert.h"
#include "replication/grant.h"
#include "replication/storage.h"
#include "replication/transport.h"

enum { REPL_MAX_SHARDS = 64, REPL_MAX_NODES = 5 };

struct repl_epoch {
    uint64_t incarnation, index;
};

/* Accepted or why not; the same on every node. */
enum repl_verdict {
    REPL_ACCEPTED,
    REPL_REFUSED_EPOCH,   /* not of the shard's present epoch or boot */
    REPL_REFUSED_VERSION, /* compare-and-set lost */
    REPL_REFUSED_EXISTS,  /* SPI, SA id or address taken */
    REPL_REFUSED_UNKNOWN, /* no such SA or claim */
    REPL_REFUSED_MALFORMED,
    REPL_REFUSED_DUPLICATE /* this (boot, request) was already judged */
};

enum repl_event_kind {
    REPL_EV_APPLIED,  /* one record, in log order; on every node, for every record */
    REPL_EV_ASSIGNED, /* a shard has a new epoch (after its APPLIED) */
    REPL_EV_RESET,    /* forget everything: a snapshot was installed or loaded; RESTORED events follow, then RESTORE_END */
    REPL_EV_RESTORED_SA,
    REPL_EV_RESTORED_SHARD,
    REPL_EV_RESTORE_END,
    REPL_EV_LEADER,  /* the leader as known here changed */
    REPL_EV_LEASE,   /* this node gained or lost the right to act for `shard` (also in repl_lease) */
    REPL_EV_FRAME,   /* a frame of a channel that is not replication's own (HALF_OPEN, STRAY, ADMIN) */
    REPL_EV_CONFIG   /* the replicated configuration changed */
};

struct repl_child_state {
    uint32_t spi_in, spi_out;
    bool esn;
    struct repl_claim claim;
};

/* An event owns its buffers; repl_event_free() releases them. Fields beyond `kind` are set as each kind needs. */
struct repl_event {
    enum repl_event_kind kind;
    uint64_t index;      /* log index */
    uint64_t cluster_ms; /* cluster time as of that entry */
    enum repl_verdict verdict;
    bool mine;           /* submitted by this node in this boot: `request` names it */
    uint64_t request;
    struct _Holdfast__Record *record; /* unpacked; APPLIED */
    uint32_t shard;
    struct repl_epoch epoch;
    uint32_t owner_node;
    uint64_t owner_boot;
    uint64_t assignments; /* the shard's count after it: for repl_claim_grant() */
    bool handover;
    bool held;            /* LEASE */
    uint32_t node;        /* LEADER: 0 = none known; FRAME: the sender */
    uint64_t sa_id, sa_version; /* APPLIED sa_*: version after; RESTORED_SA */
    uint8_t *bytes;       /* RESTORED_SA: state; FRAME: payload */
    size_t bytes_len;
    struct repl_child_state *children; /* RESTORED_SA */
    size_t n_children;
    enum repl_channel channel;
};

/* Published by the replication thread, read by workers per batch without a lock: act for the shard only while
 * CLOCK_BOOTTIME (ns) < until_ns. 0 = never. */
struct repl_lease {
    _Atomic uint64_t until_ns;
    _Atomic uint64_t epoch_index;
};

/* Stamps (CLOCK_BOOTTIME, ns) of the conductor's health, read by the heartbeat: no fresh stamp, no heartbeat, so no lease. */
struct repl_health {
    _Atomic uint64_t control_ns; /* the conductor's loop turned */
    _Atomic uint64_t workers_ns; /* the oldest of the workers' turns */
    _Atomic bool links_up;
};

#endif
