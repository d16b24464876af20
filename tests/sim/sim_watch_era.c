/* Incarnations of the cluster: what an operator began anew (recover, restore), and who is of which.
 *
 * Each node's log counts its indexes by itself, so an index means something within one incarnation only.
 * The watch compares places: (incarnations before, index), in that order, as one number. The first
 * incarnation's places are its indexes. */
#include <inttypes.h>

#include "sim/sim_watch_internal.h"

enum { INDEX_BITS = 40 };

uint64_t sim_watch_place(const struct sim_watch *w, uint32_t node, uint64_t index)
{
    uint64_t era = node >= 1 && node <= SIM_WATCH_NODES ? w->nodes[node].era : 0;

    return era << INDEX_BITS | index;
}

/* Of an incarnation that nobody began it is above all. */
uint64_t sim_watch_epoch(const struct sim_watch *w, struct repl_epoch epoch)
{
    uint64_t era = 0;

    while (era <= w->era && w->incarnations[era] != epoch.incarnation)
        era++;
    return (era <= w->era ? era : SIM_WATCH_ERAS) << INDEX_BITS | epoch.index;
}

bool sim_watch_is_over(const struct sim_watch *w, uint64_t place)
{
    return place >> INDEX_BITS != w->era;
}

bool sim_watch_is_former(const struct sim_watch *w, uint32_t node)
{
    return w->nodes[node].era != w->era;
}

static bool somebody_is_former(const struct sim_watch *w)
{
    bool any = false;

    for (uint32_t i = 1; i <= SIM_WATCH_NODES && w->era > 0; i++)
        any |= w->nodes[i].running && sim_watch_is_former(w, i);
    return any;
}

void sim_watch_judge_former(struct sim_watch *w, uint32_t node, const char *does)
{
    SIM_WATCH_JUDGE_IF(
        w, SIM_WATCH_former_silent, sim_watch_is_former(w, node) || somebody_is_former(w),
        !sim_watch_is_former(w, node),
        "node %u %s, of incarnation %" PRIu64 ", which is over since %" PRIu64 " began",
        (unsigned)node, does, w->incarnations[w->nodes[node].era], w->incarnations[w->era]);
}

static void judge_incarnation(struct sim_watch *w, uint64_t from, uint64_t incarnation)
{
    bool used = false;

    for (uint64_t i = 0; i <= w->era; i++)
        used |= w->incarnations[i] == incarnation;
    SIM_WATCH_JUDGE(w, SIM_WATCH_incarnation_new, !used && incarnation > from,
                    "incarnation %" PRIu64 " follows %" PRIu64 "%s", incarnation, from,
                    used ? ", and was there before" : "");
}

/* Its members: this one; of what the former one wished, promised and permitted nothing is left. */
static void begin_members(struct sim_watch *w, uint32_t node, uint64_t place)
{
    for (uint32_t i = 1; i <= SIM_WATCH_NODES; i++) {
        struct sim_watch_member *m = &w->members[i];

        if (m->member && !m->left && i != node) {
            m->left = true;
            w->n_left++;
            m->left_index = place;
        }
        m->token = m->copied = 0;
    }
    w->members[node] = (struct sim_watch_member){.member = true};
    for (size_t i = 0; i < w->n_shards; i++) {
        w->shards[i].newest_epoch = place;
        w->shards[i].owner = 0;
        w->shards[i].boot = 0;
    }
    w->n_wishes = 0;
    w->n_voters = 0;
    w->gap = (struct sim_watch_gap){0};
    sim_watch_voters(w, place, true, &node, 1);
}

void sim_watch_incarnation(struct sim_watch *w, uint32_t node, uint64_t from, uint64_t incarnation,
                           uint64_t index)
{
    struct sim_watch_node *n = sim_watch_node(w, node);
    uint64_t place;

    if (n == NULL)
        return;
    HF_ASSERT(w->era + 1 < SIM_WATCH_ERAS);
    judge_incarnation(w, from, incarnation);
    w->incarnations[++w->era] = incarnation;
    n->era = w->era;
    n->lost = false;
    place = sim_watch_place(w, node, index);
    sim_watch_sessions_end(w, place);
    for (size_t i = 0; i < w->n_esp; i++)
        if (w->esp[i]->committed && w->esp[i]->gone_index == 0)
            w->esp[i]->gone_index = place;
    w->highest = place;
    begin_members(w, node, place);
}

void sim_watch_recorded(struct sim_watch *w, uint32_t node, const uint64_t *incarnations, size_t n)
{
    uint64_t era = w->nodes[node].era;
    bool has = false;

    for (size_t i = 0; i < n; i++)
        has |= incarnations[i] == w->incarnations[era];
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_beginning_recorded, era > 0, has,
                       "node %u is of incarnation %" PRIu64 ", and has no record of how it began",
                       (unsigned)node, w->incarnations[era]);
}
