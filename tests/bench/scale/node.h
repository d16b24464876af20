/* One node of the scale benchmark: replication, and a control loop with conductor, data path and ESP
 * worker, as node/daemon wires them (no sockets to the outside: nothing is sent). */
#ifndef HF_BENCH_SCALE_NODE_H
#define HF_BENCH_SCALE_NODE_H

#include <pthread.h>
#include <uv.h>

#include "conductor/core.h"
#include "daemon/datapath.h"
#include "replication/loop_watch.h"

enum { SCALE_SHARD = 1, SCALE_SNAPSHOT_ENTRIES = 500, SCALE_LEASE_MS = 150 };

/* Times of the cluster are so many times the default: on a machine that is busy with other things. */
extern unsigned scale_slow;

/* One SA that two engines negotiated: the pattern for all. */
struct scale_sas {
    struct ike_sa pattern;
    struct ike_policy policy;
    size_t state_bytes;
};

struct scale_node {
    bool up;
    uint32_t id;
    uint64_t capacity;
    struct repl *repl;
    struct worker_pool *pool;
    struct datapath *datapath;
    struct conductor *conductor;
    struct log log;
    uv_loop_t loop;
    uv_poll_t poll_repl, poll_workers;
    uv_timer_t timer, tick;
    uv_prepare_t prepare;
    uv_async_t wake;
    struct loop_watch watch;
    pthread_t thread;
    int tun[2], udp;
    struct repl_event *event; /* in hand: it goes on in the next turn */
    const struct repl_lease *lease;
    _Atomic bool stopping, still, restored;
    _Atomic uint64_t epoch;       /* of our own assignment; 0 = none */
    _Atomic uint64_t incarnation; /* ... of the cluster then */
    _Atomic uint64_t acted;       /* the one under which every SA was reached */
    _Atomic uint64_t sas, outstanding, settled, rekeys, resets;
    _Atomic uint64_t settled_ns; /* when the last one was */
    int settled_fd;              /* an eventfd: something was */
};

/* Ends the program where the pattern cannot be made. */
void scale_sas_init(struct scale_sas *sas);

/* A data directory under `directory`, made anew. */
bool scale_node_init(const char *directory, uint32_t id, size_t n_nodes);
bool scale_node_start(struct scale_node *n, const struct ike_policy *policy, const char *directory,
                      uint32_t id, size_t n_nodes, uint64_t capacity);
void scale_node_stop(struct scale_node *n);

/* Assigned and leased at this instant, and its conductor has heard of it. Any thread. */
bool scale_node_acts(const struct scale_node *n);
/* SA number i, by the owner. False: not now. */
bool scale_node_create(struct scale_node *n, const struct scale_sas *sas, uint64_t i);
/* A little more for SA i, one entry of the log. False: not now. */
bool scale_node_extend(struct scale_node *n, const struct scale_sas *sas, uint64_t i);
/* Its control loop gives no sign of life (true), or does again. */
void scale_node_stand_still(struct scale_node *n, bool still);
uint64_t scale_node_installs(struct scale_node *n);

void scale_node_forget_turns(struct scale_node *n);
void scale_node_turns(struct scale_node *n, struct loop_turns *control,
                      struct loop_turns *replication);

void scale_pause(void); /* a moment */
void scale_pause_ms(unsigned ms);
/* Until so many are settled, or 100 ms. One thread at a time. */
void scale_pause_settled(struct scale_node *n, uint64_t settled);

#endif
