/* What the control loop does between its sources: conductor, data path, workers and strays of one
 * node, without libuv, the kernel or a thread of its own. The daemon calls it from its sources, the
 * simulator (tests/sim) from its virtual time: both run this.
 *
 *   events of replication ─> gateway_event ──> conductor, strays
 *   workers' news, letters ─> gateway_workers ─> data path, handovers, strays ─> conductor
 *   port 500 ──────────────> gateway_ike ─────> strays ─> conductor
 *   time ──────────────────> gateway_timer ───> conductor, pacing
 */
#ifndef HF_DAEMON_GATEWAY_H
#define HF_DAEMON_GATEWAY_H

#include "conductor/core.h"
#include "daemon/datapath.h"
#include "daemon/stray.h"

struct gateway_options {
    uint32_t node;
    const uint32_t *shard_ids; /* by slot, borrowed */
    uint32_t n_shards;
    /* All outlive the gateway, which owns none of them. */
    struct worker_pool *pool;
    struct datapath *datapath;
    struct conductor *conductor;
    void *self;
    uint64_t (*now_ns)(void);     /* CLOCK_BOOTTIME */
    const _Atomic bool *silenced; /* as worker_options.silenced: nobody acts any more */
    const struct repl_lease *(*lease)(void *self, uint32_t slot);
    /* To another node, on channel STRAY (repl_send_frame). */
    enum repl_result (*forward)(void *self, uint32_t node, struct span frame);
};

struct gateway {
    struct gateway_options options;
    struct strays *strays;
    bool leader;       /* this node is it; by events */
    bool leader_known; /* somebody is; by events */
    bool quorum;       /* a majority is reached */
};

void gateway_init(struct gateway *g, const struct gateway_options *options);
void gateway_deinit(struct gateway *g);

/* The right to act: this node's assignment is applied, and its lease of that very epoch runs. */
bool gateway_may_act(const struct gateway *g, uint32_t shard);
/* Is any shard this node's, by what it has applied? */
bool gateway_owns_any(const struct gateway *g);

/* A turn's worth of one event of replication. False: again with the same one, in the next turn. */
bool gateway_event(struct gateway *g, const struct repl_event *event) HF_MUST_USE;
/* What workers tell: to be called when worker_pool_event_fd() is readable. */
void gateway_workers(struct gateway *g);
/* An IKE datagram of port 500; without bytes it is nothing. */
void gateway_ike(struct gateway *g, uint32_t shard, const struct endpoint *local,
                 const struct endpoint *remote, struct span bytes);
/* What is due: the conductor's timers, the pacing of numbers. */
void gateway_timer(struct gateway *g);
/* Before the loop sleeps: goes on with what is kept for other nodes, and wipes what steps left. How long it may sleep until
 * gateway_timer(), in ms; UINT64_MAX: until something comes. cluster_ms: now. */
uint64_t gateway_sleep_ms(struct gateway *g, uint64_t cluster_ms);

#endif
