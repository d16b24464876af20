/* Between the conductor and the ESP workers: the conductor's esp_* operations, and the pacing of
 * reservations and ceilings.
 *
 *   applied state ─> datapath_ops (install, update, remove, grant, limits) ─> worker pool
 *   worker events, time ─> pacer per CHILD SA ─> wishes ─> one Extend record for all ─>
 * conductor_extend
 *
 * Runs on the control loop. Replay recovery: if verified packets at or below the floor still arrive
 * 100 ms after a takeover and nothing is accepted, the conductor is asked for it, until it has taken
 * it on (conductor_recover).
 */
#ifndef HF_DAEMON_DATAPATH_H
#define HF_DAEMON_DATAPATH_H

#include "conductor/core.h"
#include "daemon/drops.h"
#include "io/worker.h"

struct datapath;

struct datapath_options {
    struct worker_pool *pool;
    const struct suite_table *suites;
    const uint32_t *shard_ids; /* by shard slot, borrowed */
    uint32_t n_shards;
    const struct log *log;
    uint64_t (*now_ns)(void); /* CLOCK_BOOTTIME */
};

/* Every shard is ASIDE, until the conductor says that it is this node's. */
struct datapath *datapath_create(const struct datapath_options *options);
void datapath_destroy(struct datapath *d);
/* Whom to tell; before anything else. */
void datapath_bind(struct datapath *d, struct conductor *c);

/* The conductor's rows of the data path, all of them, and their context. Before the conductor is
 * created; the daemon, the test initiator and the bench have no others. */
void datapath_fill(struct datapath *d, struct conductor_ops *ops);

/* Worker events: news for the engine, and pacers that are due. */
void datapath_drain_events(struct datapath *d);
/* Every pacer that is due by now: wishes are gathered and submitted per shard. */
void datapath_pace(struct datapath *d);
/* CLOCK_BOOTTIME ms of the next due pacer; UINT64_MAX = none. */
uint64_t datapath_next_ms(const struct datapath *d);

/* For the admin interface. */
void datapath_view(void *esp, struct esp_sa_view *view);

/* Goes on with the account of dropped packets (drops.h): to be called at each tick. */
void datapath_count_drops(struct datapath *d);
/* Since the start, over all CHILD SAs that there are and were; at most a few seconds old. */
void datapath_drops(struct datapath *d, struct datapath_drops *drops);

#endif
