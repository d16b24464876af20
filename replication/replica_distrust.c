/* What the replica does about a disk that may have lost what it acknowledged (I10): raft_muted.c has
 * the rules; here is what they mean for leases, for a node that is alone, and for people. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/recover.h"
#include "replication/replica_parts.h"

enum { YOUNG_MS = 300000 }; /* of cluster time, which begins with a founding */

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

bool replica_judge_loaded(struct replica *r, const struct repl_loaded *loaded)
{
    struct raft_driver_verdict verdict = raft_driver_judge(r->driver, loaded);
    enum repl_distrust why = verdict.why;

    if (why == REPL_TRUSTED)
        return true;
    if (repl_distrust_is_new(why)) {
        replica_log(
            r, REPL_LOG_INFO,
            "this data directory is new: it counts once a majority of others has filled its "
            "log or, where the whole cluster is new, once all its nodes have been up at the "
            "same time");
        return true;
    }
    if (!verdict.alone) {
        replica_log(
            r, REPL_LOG_ERROR,
            "ALARM: this node's stored data is not trusted: %s. It counts for nothing until a "
            "majority without it has filled its log",
            repl_distrust_name(why));
        return true;
    }
    /* Where others could have joined since, what is lost may be just that: they may go on without
     * this node, and it must not begin a second cluster. */
    if (!r->options.unjoinable || r->options.ring == NULL) {
        replica_log(r, REPL_LOG_ERROR, "ALARM: this node's stored data is not trusted: %s",
                    repl_distrust_name(why));
        replica_fail(r,
                     "the stored data is not trusted, and by it this node is alone: if it is, "
                     "`holdfast cluster recover` says so; if the cluster has other nodes, remove "
                     "this one there and let it join under a new id");
        return false;
    }
    replica_log(r, REPL_LOG_WARN,
                "this node's stored data is not trusted: %s. It is alone: it goes on, and all its "
                "sessions end",
                repl_distrust_name(why));
    end_sessions(r);
    raft_driver_lift(r->driver);
    return true;
}

/* A lone founder's directory that is made anew with its old file begins another cluster (recover.h),
 * and would serve beside the first, which goes on without it. A node of that greets at once, for its log
 * says where this one is: so the young cluster ends. One that has served for longer is not ended by an
 * old machine that turns up: both sides only refuse, and say so. Judged once all that is stored here is
 * applied: before, a node of long standing looks young, too. */
void replica_judge_stranger(struct replica *r)
{
    uint32_t node = r->stranger_node;
    char why[384];

    if (node == 0 || (!r->able && !r->unwritten))
        return;
    r->stranger_node = 0;
    if (!recover_is_founding(r->fsm.incarnation) || r->fsm.n_members > 1 ||
        fsm_member(&r->fsm, r->options.node) == NULL || replica_cluster_ms(r) >= YOUNG_MS)
        return;
    (void)snprintf(
        why, sizeof why,
        "node %u is of a cluster (incarnation %llu) that this node founded before: this "
        "data directory was made anew (--init, incarnation %llu), and would begin a "
        "second one beside it. Remove the directory, and let this machine join under a "
        "new id: `holdfast cluster replace %u` on node %u. If that cluster is over, stop "
        "its nodes first",
        (unsigned)node, (unsigned long long)r->stranger_incarnation,
        (unsigned long long)r->fsm.incarnation, (unsigned)r->options.node, (unsigned)node);
    replica_fail(r, why);
}

/* It came past the door and past who has left, so something is wrong that an operator should look at. */
void replica_on_stranger(void *self, uint32_t node, uint64_t incarnation)
{
    enum { AGAIN_MS = 10000 };
    struct replica *r = self;

    replica_count(r, REPL_COUNT_FRAMES_FOREIGN, 1);
    if (incarnation != 0) {
        r->stranger_node = node;
        r->stranger_incarnation = incarnation;
    }
    if (r->stranger_told_ns != 0 && r->now_ns - r->stranger_told_ns < AGAIN_MS * 1000000ull)
        return;
    r->stranger_told_ns = r->now_ns;
    replica_log(r, REPL_LOG_ERROR,
                "ALARM: node %u sends as a part of another history of this cluster (incarnation "
                "%llu, this node is of %llu): not heard. Stop it, or this one",
                (unsigned)node, (unsigned long long)incarnation,
                (unsigned long long)replica_incarnation(r));
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
        replica_log(r, REPL_LOG_INFO, "this node's stored data counts: %s",
                    r->raft.muted == REPL_DISTRUST_AGREED ? "all nodes of the new cluster have met"
                                                          : "it has what a majority has");
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
