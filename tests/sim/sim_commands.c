/* What operators and both ends wish, drawn from the seed: rekeys, deletes, moves, drains. */
#include "sim/sim_world.h"

enum { PORTION = 1000 };

static uint64_t between(struct sim_world *w, uint64_t low, uint64_t high)
{
    return sim_between(&w->faults, low, high);
}

void sim_gateway_want(const struct sim_client *c, uint32_t want, uint32_t child_spi)
{
    struct sim_world *w = c->world;
    const char *why;

    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];

        if (!n->up || n->paused || n->stuck || !sim_node_acting(n, c->shard))
            continue;
        n->kernel.now_ns = sim_node_ns(n);
        (void)sim_kernel_enter(&n->kernel);
        (void)conductor_command(n->conductor, c->peer_spi, want, child_spi, &why);
        sim_node_wake(n);
    }
}

static void wish(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);
    uint32_t to = (uint32_t)between(w, 1, w->n_nodes);

    if (n == NULL || w->n_nodes == 1)
        return;
    n->kernel.now_ns = sim_node_ns(n);
    (void)sim_kernel_enter(&n->kernel);
    if (sim_chance(&w->faults, 800)) {
        if (conductor_wish_move(n->conductor, (uint32_t)between(w, 1, w->plan.n_shards), to, NULL))
            w->stats.counts[SIM_COUNT_moves]++;
        return;
    }
    if (conductor_wish_drain(n->conductor, to, true, 0, 0, NULL)) {
        w->stats.counts[SIM_COUNT_drains]++;
        w->nodes[to - 1].drained_until_ms = w->now_ms + between(w, 1000, 10000);
    }
}

void sim_commands_run(struct sim_world *w)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_PFS,
                                     IKE_WANT_REKEY_CHILD_NOPFS,
                                     IKE_WANT_REKEY_CHILD_NOPFS,
                                     IKE_WANT_REKEY_IKE,
                                     IKE_WANT_REKEY_IKE,
                                     IKE_WANT_REKEY_CHILD_PFS,
                                     IKE_WANT_DPD,
                                     IKE_WANT_DELETE_CHILD,
                                     IKE_WANT_CHILD,
                                     IKE_WANT_DELETE_IKE};
    const size_t n = sizeof wants / sizeof wants[0];
    struct sim_client *c = sim_some_client(w);
    uint32_t first = wants[between(w, 0, n - 1)], second = wants[between(w, 0, n - 1)];
    uint64_t who = between(w, 0, PORTION - 1);

    if (who < 150) {
        wish(w);
        return;
    }
    if (first == IKE_WANT_DELETE_IKE && sim_chance(&w->faults, 700))
        first = IKE_WANT_REKEY_IKE; /* each costs the tunnel */
    if (second == IKE_WANT_DELETE_IKE && sim_chance(&w->faults, 700))
        second = first;
    if (who < 750)
        (void)sim_client_want(c, first);
    if (who >= 400 && c->established)
        sim_gateway_want(c, who < 750 ? second : first, c->peer_child_spi);
}
