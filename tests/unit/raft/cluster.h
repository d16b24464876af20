/* A cluster of raft drivers in memory under virtual time, with a state machine that notices every
 * breach of Raft's promises.
 *
 *   clock -- sim_network -- per node: raft_driver, sim_storage, a hash of all that was applied
 *
 * Checked at every step: equal entries at equal index on all nodes and for ever, equal digest at
 * equal applied index, each index applied once per start and in order, one leader per term, a new
 * leader has all committed entries, the commit index never falls, committed entries are durable on
 * a majority of the voters of the configuration. A breach is printed with seed and time, and ends
 * the process.
 */
#ifndef TEST_RAFT_CLUSTER_H
#define TEST_RAFT_CLUSTER_H

#include "replication/raft_driver.h"
#include "sim/sim_storage.h"
#include "sim/sim_transport.h"

enum { CLUSTER_MAX_NODES = 20 };

struct cluster;

struct cluster_node {
    struct cluster *cluster;
    uint32_t id; /* 0 = never was */
    struct sim_storage *storage;
    struct raft_driver *driver; /* NULL = down */
    uint64_t applied, digest, commit_seen;
    bool lied;         /* its disk forgot something since it was trusted last */
    uint64_t led_from; /* its last index when it began to lead */
    uint64_t start;    /* how often it was started */
    bool failed;       /* its driver said failed() */
    unsigned changed, transferred, snapshots; /* how often each ended */
    enum raft_driver_result last_change, last_transfer;
};

struct cluster_entry {
    uint64_t term, hash, digest;
    enum repl_entry_kind kind;
};

struct cluster_counters {
    uint64_t seeds, steps, elections, crashes, restarts, installs, changes, transfers, entries,
        snapshots, broken, partitions, frames, lost_writes, confirmed, lies, entries_forgotten,
        votes_forgotten, wiped, muted, trusted, doubted;
    uint64_t wrapped[RAFT_DRIVER_DEFECTS + 1];
};

struct cluster {
    uint64_t seed, now_ms;
    struct sim_random random;
    struct sim_network *network;
    struct cluster_node nodes[CLUSTER_MAX_NODES]; /* node id i is nodes[i - 1] */
    unsigned n_nodes;
    struct cluster_entry *committed; /* [0] is index 1 */
    uint64_t n_committed, committed_capacity;
    uint32_t *leader_of_term;
    size_t n_terms;
    uint32_t snapshot_every, trailing; /* a node takes a snapshot when its log holds so many
                                          entries; 0 = never by itself */
    bool fresh;         /* set before cluster_init(): directories say that they are new */
    bool lies;          /* chaos: disks forget */
    uint32_t unwrapped; /* only with the unwrapped library */
    uint32_t election_ms, heartbeat_ms, install_timeout_ms;
    uint64_t next_command, trace;
    struct cluster_counters counters;
    struct repl_configuration newest; /* newest committed configuration anywhere */
};

/* A breach: says seed, time and what, and ends the process with status 1. */
_Noreturn void cluster_breach(struct cluster *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* `voters` nodes with the ids 1..voters, bootstrapped and started. */
void cluster_init(struct cluster *c, uint64_t seed, unsigned voters);
void cluster_deinit(struct cluster *c);

/* A new, empty node, started. */
struct cluster_node *cluster_add_node(struct cluster *c);
struct cluster_node *cluster_node(struct cluster *c, uint32_t id);
void cluster_start(struct cluster *c, uint32_t id);
void cluster_crash(struct cluster *c, uint32_t id);

/* The leader of the highest term that is up; NULL: none. */
struct cluster_node *cluster_leader(struct cluster *c);

/* Goes to the next event, at most to `until_ms`, and does all that is due. False: until_ms is
 * reached. */
bool cluster_step(struct cluster *c, uint64_t until_ms);
void cluster_run(struct cluster *c, uint64_t ms);
/* Runs until there is a leader that may decide, at most `ms`; NULL: none came. */
struct cluster_node *cluster_await_leader(struct cluster *c, uint64_t ms);
/* Submits one command of some bytes to `node`. */
enum raft_driver_result cluster_submit(struct cluster *c, struct cluster_node *node, size_t n);
/* Heals everything, starts who is down, submits, and demands that all members apply all within
 * `ms`. */
void cluster_demand_life(struct cluster *c, uint64_t ms);

/* Adds what the drivers and doubles counted to c->counters (each driver once, at crash or deinit).
 */
void cluster_collect(struct cluster *c, struct cluster_node *node);

/* One seeded run of all faults; adds to *sum and returns its trace hash. `unwrapped` is 0 but with
 * the unwrapped library. */
uint64_t chaos_run(uint64_t seed, uint32_t unwrapped, struct cluster_counters *sum);
/* The same, but instead of changes of members one disk at a time forgets what it acknowledged. */
uint64_t chaos_lies_run(uint64_t seed, uint32_t unwrapped, struct cluster_counters *sum);
bool chaos_lies(uint64_t first, uint64_t n, uint32_t unwrapped);
/* `n` seeds from `first`; prints the counts; false when any count is zero. */
bool chaos_seeds(uint64_t first, uint64_t n, uint32_t unwrapped);

#endif
