/* I5 of the data path, both directions: who handles packets under which right, and the batch in hand.
 *
 * A worker reads a lease before each batch. Whoever is stopped in the middle of one goes on with what it
 * read: that batch it may end, and nothing more. So what comes after the right must be of a turn that began
 * under it, of the same epoch, and at most a batch for each worker, whichever way it goes. */
#include <inttypes.h>

#include "sim/sim_watch_internal.h"

static bool has_right(const struct sim_watch_view *v, const struct sim_watch_right *right)
{
    return right->epoch != 0 && right->now_ns < right->lease_until_ns && v->mine &&
           v->epoch == right->epoch;
}

/* With its epoch as a place. */
static struct sim_watch_right placed(const struct sim_watch *w, uint32_t node,
                                     const struct sim_watch_right *right)
{
    struct sim_watch_right at = *right;

    at.epoch = right->epoch == 0 ? 0 : sim_watch_place(w, node, right->epoch);
    return at;
}

bool sim_watch_may_act(struct sim_watch *w, uint32_t node, uint32_t shard)
{
    const struct sim_watch_right now = w->options.right(w->options.self, node, shard);
    const struct sim_watch_right right = placed(w, node, &now);
    const struct sim_watch_view *v = sim_watch_view(w, node, shard);

    return v != NULL && has_right(v, &right);
}

void sim_watch_turn(struct sim_watch *w, uint32_t node, const struct sim_watch_right *rights,
                    size_t n_rights)
{
    struct sim_watch_node *n = sim_watch_node(w, node);

    if (n == NULL)
        return;
    n->turn_applied = n->applied;
    n->turn_cluster_ms = n->cluster_ms;
    n->turn_former = sim_watch_is_former(w, node);
    n->late_begun = n->late_done = 0;
    for (size_t i = 0; i < n->n_shards; i++)
        n->shards[i].turn_epoch = 0;
    for (size_t i = 0; i < n_rights; i++) {
        struct sim_watch_right right = placed(w, node, &rights[i]);
        struct sim_watch_view *v = sim_watch_view(w, node, right.shard);

        if (v != NULL && has_right(v, &right))
            v->turn_epoch = right.epoch;
    }
}

/* True: it has its right now. Else it counts among those that come late. */
static bool judge_right(struct sim_watch *w, uint32_t node, const struct sim_watch_right *right,
                        uint64_t *late, const char *does)
{
    const struct sim_watch_view *v = sim_watch_view(w, node, right->shard);
    bool began_with_it;

    if (v == NULL || has_right(v, right))
        return v != NULL;
    began_with_it = right->epoch != 0 && v->turn_epoch == right->epoch;
    (*late)++;
    SIM_WATCH_JUDGE(w, SIM_WATCH_batch_in_hand,
                    began_with_it && *late <= (uint64_t)SIM_WATCH_BATCH * w->options.workers,
                    "shard %u: node %u %s packet %" PRIu64 " after its right of epoch %" PRIu64
                    ", its turn began %s it",
                    (unsigned)right->shard, (unsigned)node, does, *late, right->epoch,
                    began_with_it ? "with" : "without");
    return false;
}

/* Of an incarnation that was over already when the turn began. */
static void judge_former(struct sim_watch *w, uint32_t node, const char *does)
{
    if (w->nodes[node].turn_former || !sim_watch_is_former(w, node))
        sim_watch_judge_former(w, node, does);
}

struct sim_watch_right sim_watch_begins(struct sim_watch *w, uint32_t node,
                                        const struct sim_watch_right *with, const char *does)
{
    struct sim_watch_right right = placed(w, node, with);

    judge_former(w, node, does);
    (void)judge_right(w, node, &right, &w->nodes[node].late_begun, does);
    return right;
}

void sim_watch_left(struct sim_watch *w, uint32_t node, uint64_t key, uint64_t seq,
                    const struct sim_watch_right *with)
{
    const struct sim_watch_right right = placed(w, node, with);

    (void)key;
    (void)seq;
    if (sim_watch_node(w, node) != NULL &&
        judge_right(w, node, &right, &w->nodes[node].late_done, "sends"))
        sim_watch_spoke(w, node, right.shard, right.epoch);
}

void sim_watch_entered(struct sim_watch *w, uint32_t node, const struct sim_watch_right *with)
{
    const struct sim_watch_right right = placed(w, node, with);

    if (sim_watch_node(w, node) != NULL &&
        judge_right(w, node, &right, &w->nodes[node].late_done, "delivers"))
        sim_watch_acted(w, node, right.shard, right.epoch);
}
