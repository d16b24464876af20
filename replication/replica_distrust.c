/* What the replica does about a disk that may have lost what it acknowledged (I10): raft_muted.c has
 * the rules; here is what they mean for leases, for a node that is alone, and for people. */
#include <stdlib.h>

#include "replication/replica_parts.h"

/* The newest configuration of what was loaded names this node and no other voter. */
static bool alone(const struct replica *r, const struct repl_loaded *l)
{
    struct repl_configuration c;
    size_t others = 0;

    if (!replica_loaded_configuration(l, &c))
        return false;
    for (size_t i = 0; i < c.n_servers; i++)
        others += c.servers[i].node != r->options.node && c.servers[i].role == RAFT_DRIVER_VOTER;
    return c.n_servers > 0 && others == 0;
}

/* A lone node's word stands against nobody's, but what its sessions had used may be among what is
 * lost: they end, as they do when the machine's memory is gone. */
static void end_sessions(struct replica *r)
{
    uint64_t ids[SEAL_RING_KEYS];
    size_t n = seal_ring_list(r->options.ring, SEAL_SESSION, ids, SEAL_RING_KEYS);

    for (size_t i = 0; i < n; i++)
        seal_ring_erase(r->options.ring, ids[i]);
    if (n > 0 && r->callbacks.keys_changed != NULL)
        r->callbacks.keys_changed(r->callbacks.self);
}

const struct repl_loaded *replica_judge_loaded(struct replica *r, const struct repl_loaded *loaded)
{
    if (loaded->distrust == REPL_TRUSTED)
        return loaded;
    if (loaded->distrust == REPL_DISTRUST_NEW) {
        replica_log(r, REPL_LOG_INFO,
                    "this data directory is new: it counts once the others begin with it, or a "
                    "majority of them has filled its log");
        return loaded;
    }
    if (!alone(r, loaded)) {
        replica_log(
            r, REPL_LOG_ERROR,
            "ALARM: this node's stored data is not trusted: %s. It counts for nothing until a "
            "majority without it has filled its log",
            repl_distrust_name(loaded->distrust));
        return loaded;
    }
    /* Where others could have joined since, what is lost may be just that: they may go on without
     * this node, and it must not begin a second cluster. */
    if (!r->options.unjoinable || r->options.ring == NULL) {
        replica_log(r, REPL_LOG_ERROR, "ALARM: this node's stored data is not trusted: %s",
                    repl_distrust_name(loaded->distrust));
        replica_fail(r,
                     "the stored data is not trusted, and by it this node is alone: if it is, "
                     "`holdfast cluster recover` says so; if the cluster has other nodes, remove "
                     "this one there and let it join under a new id");
        return NULL;
    }
    replica_log(r, REPL_LOG_WARN,
                "this node's stored data is not trusted: %s. It is alone: it goes on, and all its "
                "sessions end",
                repl_distrust_name(loaded->distrust));
    end_sessions(r);
    r->storage.distrust(r->storage.self, REPL_TRUSTED);
    r->judged = *loaded;
    r->judged.distrust = REPL_TRUSTED;
    return &r->judged;
}

/* Until then no promise of its counts either. */
bool replica_is_muted(const struct replica *r)
{
    return r->raft.muted != REPL_TRUSTED;
}

void replica_tell_muted(struct replica *r, enum repl_distrust now)
{
    if (now == r->raft.muted)
        return;
    if (now == REPL_TRUSTED)
        replica_log(r, REPL_LOG_INFO, "this node's stored data counts: it has what a majority has");
    else if (now == REPL_DISTRUST_PEER)
        replica_log(
            r, REPL_LOG_ERROR,
            "ALARM: %s: this node's disk lost data, or was rolled back. It counts for nothing "
            "until a majority without it has filled its log",
            repl_distrust_name(now));
}

void replica_on_doubted(void *self, uint32_t node, uint64_t acknowledged, uint64_t has)
{
    struct replica *r = self;

    replica_count(r, REPL_COUNT_DOUBTED, 1);
    replica_log(
        r, REPL_LOG_ERROR,
        "ALARM: node %u acknowledged entry %llu and has no more than %llu now: its disk lost "
        "data, or was rolled back. It counts for nothing until it is filled again",
        (unsigned)node, (unsigned long long)acknowledged, (unsigned long long)has);
}
