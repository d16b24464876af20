/* L1 while all is well: a shard stays where it is. From a while after the healing until an owner is killed on purpose it goes to
 * another node by a handover alone, for which its owner was told a reason that somebody wished (command, drained) or that the plan
 * has (go-home, spread: where shards are rebalanced); and no owner's lease lapses. */
#include <inttypes.h>

#include "sim/sim_watch_internal.h"

void sim_watch_flaps(struct sim_watch *w, uint32_t node)
{
    w->flapping = node;
}

static bool is_calm(const struct sim_watch *w, const struct sim_watch_shard *s)
{
    return w->calm_ms != 0 && sim_watch_now(w) > w->calm_ms &&
           (w->flapping == 0 || s->owner != w->flapping);
}

void sim_watch_was_full(struct sim_watch *w, uint32_t node)
{
    enum { TAKEN_AGAIN_MS = 31000 };
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n != NULL)
        n->unfit_until_ms = sim_watch_now(w) + TAKEN_AGAIN_MS;
}

/* That a wish is in the log is audit_first's. */
static bool explains(const struct sim_watch *w, uint32_t node, const char *reason)
{
    static const char *const wished[] = {"command", "drained"}, *const planned[] = {"go-home",
                                                                                    "spread"};

    for (size_t i = 0; reason != NULL && i < 2; i++)
        if (strcmp(reason, wished[i]) == 0 ||
            (w->limits.rebalance && strcmp(reason, planned[i]) == 0))
            return true;
    return reason != NULL && strcmp(reason, "unfit") == 0 &&
           sim_watch_now(w) < w->nodes[node].unfit_until_ms;
}

void sim_watch_gift(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct sim_watch_shard *s = sim_watch_shard_of(w, event->shard);

    if (s != NULL && s->owner == node && explains(w, node, event->reason))
        s->given_epoch = s->newest_epoch;
}

void sim_watch_moves(struct sim_watch *w, const struct sim_watch_shard *s,
                     const struct repl_event *event)
{
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_nobody_moves, is_calm(w, s),
                       event->handover && s->given_epoch == s->newest_epoch,
                       "shard %u goes from node %u to node %u %s, and all is well",
                       (unsigned)s->shard, (unsigned)s->owner, (unsigned)event->owner_node,
                       event->handover ? "by a handover that nothing explains"
                                       : "without a handover");
}

void sim_watch_lapses(struct sim_watch *w, uint32_t node, const struct sim_watch_shard *s,
                      const struct repl_event *event)
{
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_nobody_moves, is_calm(w, s) && !event->held,
                       s->owner != node || sim_watch_epoch(w, event->epoch) != s->newest_epoch,
                       "shard %u: the lease of node %u, its owner, lapses, and all is well",
                       (unsigned)s->shard, (unsigned)node);
}
