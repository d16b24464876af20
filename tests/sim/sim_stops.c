/* Workers that are stopped with packets in hand (I5's zombie): the seed says before which packet, counted
 * from now; then the whole process stands still (SIGSTOP, a machine that sleeps), or its worker alone
 * (another has the CPU) while replica and control loop go on. It goes on in the middle of the same batch,
 * with the lease that it read before. In half of the seeds, from a stream of its own. */
#include "sim/sim_world.h"

enum { PORTION = 1000, PACKETS = 24, SHORT_MS = 400, LONG_MS = 3000, LATER_MS = 5 };

static uint64_t between(struct sim_world *w, uint64_t low, uint64_t high)
{
    return sim_between(&w->stops.random, low, high);
}

void sim_stops_draw(struct sim_world *w, bool quiet)
{
    static const uint32_t every[] = {700, 2000, 6000};

    w->stops = (struct sim_stops){.random.state = sim_mix(w->seed ^ 0x73746f7073ULL)};
    w->stops.next_ms = UINT64_MAX;
    if (quiet || sim_chance(&w->stops.random, PORTION / 2))
        return;
    w->stops.every_ms = every[between(w, 0, 2)];
    w->stops.next_ms = w->plan.faults_from_ms;
}

static bool acts(const struct sim_node *n)
{
    bool is = false;

    for (uint32_t shard = 1; shard <= n->world->plan.n_shards && n->up && !n->paused; shard++)
        is |= sim_node_acting(n, shard);
    return is;
}

uint64_t sim_stops_due(const struct sim_world *w)
{
    return w->stops.next_ms;
}

/* Some node that acts: the others have no packets. */
void sim_stops_run(struct sim_world *w)
{
    uint64_t first = between(w, 0, w->n_nodes - 1);

    w->stops.next_ms = w->now_ms + between(w, w->stops.every_ms / 4, w->stops.every_ms * 7 / 4);
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[(first + i) % w->n_nodes];

        if (!acts(n) || sim_kernel_is_cut(&n->kernel))
            continue;
        n->kernel.cut_after = (uint32_t)between(w, 1, PACKETS);
        return;
    }
}

/* After a turn. A stop is short, as CPUs do it, or long enough for another owner. */
void sim_stops_look(struct sim_node *n)
{
    struct sim_world *w = n->world;
    uint64_t end;

    if (!sim_kernel_is_cut(&n->kernel))
        return;
    end = w->now_ms + (sim_chance(&w->stops.random, PORTION / 2) ? between(w, 1, SHORT_MS)
                                                                 : between(w, SHORT_MS, LONG_MS));
    n->worker_ms = UINT64_MAX;
    n->in_hand_until_ms = end + between(w, 0, LATER_MS);
    w->stats.faults[SIM_FAULT_batch_in_hand]++;
    if (sim_chance(&w->stops.random, PORTION / 2)) {
        sim_say(w, "fault: node %u is stopped with packets in hand", n->id);
        n->paused = true;
        n->paused_until_ms = end;
        sim_network_stop(w->network, n->id, true);
        return;
    }
    sim_say(w, "fault: the worker of node %u is stopped with packets in hand", n->id);
}

uint64_t sim_stops_until(const struct sim_node *n)
{
    return sim_kernel_is_cut(&n->kernel) ? n->in_hand_until_ms : UINT64_MAX;
}

void sim_stops_heal(struct sim_world *w)
{
    w->stops.next_ms = UINT64_MAX;
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        w->nodes[i].kernel.cut_after = 0;
        w->nodes[i].in_hand_until_ms = w->now_ms;
    }
}
