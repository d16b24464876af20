/* In half of the seeds, when all else is well: one node whose links to the others come and go (L3). It
 * neither leads nor owns a shard when it begins, a majority is there without it: so there is nothing for
 * which the others should elect anybody. From a stream of its own. */
#include "sim/sim_world.h"

enum { PORTION = 1000, FOR_MS = 15000, CUT_LEAST_MS = 160, CUT_MOST_MS = 1500 };

static uint64_t between(struct sim_world *w, uint64_t low, uint64_t high)
{
    return sim_between(&w->flap.random, low, high);
}

static bool is_up(const struct sim_world *w, const struct sim_node *n)
{
    return n->up && !n->left && sim_members_has(w, n->id);
}

static bool may_flap(const struct sim_world *w, const struct sim_node *n)
{
    uint32_t others = 0;

    for (uint32_t i = 0; i < w->n_nodes; i++)
        others += &w->nodes[i] != n && is_up(w, &w->nodes[i]);
    for (uint32_t shard = 1; shard <= w->plan.n_shards; shard++)
        if (sim_node_acting(n, shard))
            return false;
    return is_up(w, n) && !sim_node_leads(n) && 2 * others > others + 1 + w->n_lost;
}

void sim_flap_begin(struct sim_world *w)
{
    uint64_t first;

    w->flap.random.state = sim_mix(w->seed ^ 0x666c6170ULL);
    if (sim_chance(&w->flap.random, PORTION / 2) || w->change.phase != SIM_CHANGE_NONE)
        return;
    first = between(w, 0, w->n_nodes - 1);
    for (uint32_t i = 0; i < w->n_nodes && w->flap.node == 0; i++)
        if (may_flap(w, &w->nodes[(first + i) % w->n_nodes]))
            w->flap.node = w->nodes[(first + i) % w->n_nodes].id;
    w->flap.until_ms = w->now_ms + FOR_MS;
    w->flap.next_ms = w->flap.node == 0 ? 0 : w->now_ms;
    if (w->flap.node != 0)
        sim_watch_flaps(w->watch, w->flap.node);
}

uint64_t sim_flap_due(const struct sim_world *w)
{
    return w->flap.next_ms == 0 ? UINT64_MAX : w->flap.next_ms;
}

/* Nothing arrives any more, or the connections break and come up again. */
static void cut(struct sim_world *w, uint32_t ms)
{
    bool broken = sim_chance(&w->flap.random, PORTION / 2);

    w->stats.faults[SIM_FAULT_flapping]++;
    sim_say(w, "fault: %s %u", sim_fault_name(SIM_FAULT_flapping), w->flap.node);
    for (uint32_t i = 1; i <= w->n_nodes; i++) {
        if (i == w->flap.node)
            continue;
        if (broken) {
            sim_network_break(w->network, w->flap.node, i, ms);
        } else {
            sim_network_partition(w->network, w->flap.node, i);
            sim_network_partition(w->network, i, w->flap.node);
        }
    }
}

void sim_flap_run(struct sim_world *w)
{
    uint32_t ms = (uint32_t)between(w, CUT_LEAST_MS, CUT_MOST_MS);

    w->flap.is_cut = !w->flap.is_cut && w->now_ms + CUT_MOST_MS < w->flap.until_ms;
    if (w->flap.is_cut) {
        cut(w, ms);
        w->flap.next_ms = w->now_ms + ms;
        return;
    }
    sim_network_heal(w->network);
    w->flap.next_ms =
        w->now_ms < w->flap.until_ms - CUT_MOST_MS ? w->now_ms + between(w, 20, 600) : 0;
}
