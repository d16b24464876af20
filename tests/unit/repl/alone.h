/* What tests of a node's replication thread do as its conductor would, and the options of a node alone. */
#ifndef HF_TEST_REPL_ALONE_H
#define HF_TEST_REPL_ALONE_H

#include "replication/replica.h"

/* Control loop, workers and links are well now: without it nobody gets a lease. */
static inline void conductor_stamp(struct repl *repl)
{
    struct repl_health *h = repl_health(repl);

    atomic_store(&h->control_ns, repl_boottime_ns());
    atomic_store(&h->workers_ns, repl_boottime_ns());
    atomic_store(&h->links_up, true);
}

/* Node 1 with one shard; `directory` is borrowed. */
static inline struct repl_options alone_options(const char *directory)
{
    return (struct repl_options){
        .node = 1,
        .data_dir = directory,
        .n_nodes = 1,
        .nodes = {{.node = 1}},
        .shards = {{.shard = 1, .prefer = 1}},
        .n_shards = 1,
        .timing = {
            .election_ms = 150, .heartbeat_ms = 30, .lease_ms = 150, .lease_heartbeat_ms = 30}};
}

#endif
