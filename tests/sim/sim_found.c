/* The only founder of a cluster that grew, made anew by `holdfastd --init` on another disk: it begins
 * another cluster, under an incarnation that it draws (the first one's is that of clusters of before).
 * Whoever of the first it meets refuses it, and it ends, for good. It is started where it meets one of
 * them, as an operator's network lets it: cut off from all from its first instant on, nobody could tell
 * it from a cluster that begins. And a node whose disk is cut back to when it was alone: it starts no
 * more. */
#include <stdlib.h>

#include "replication/recover.h"
#include "sim/sim_world.h"

enum { AGAIN_MS = 100, TEMPTED = 40 /* of 1000 times */ };

static void found_alone(struct sim_node *n, uint64_t random)
{
    struct repl_storage s = sim_storage_interface(n->storage);
    struct replica_options keys = {.seal = &seal_none};
    struct recover_options o;
    struct recovered r;
    const char *why;

    n->boot = random | 1; /* of the process that does it */
    if (n->world->plan.sealed)
        sim_keys_take(n, &keys);
    o = (struct recover_options){.node = n->id, .seal = keys.seal, .random = random};
    HF_ASSERT(recover_found(&o, &r, &why));
    s.vote(s.self, r.term, 0);
    s.draft_begin(s.self, REPL_DRAFT_RECEIVED, &r.meta);
    s.draft_write(s.self, REPL_DRAFT_RECEIVED, span_of(r.bytes, r.len));
    s.draft_close(s.self, REPL_DRAFT_RECEIVED);
    sim_storage_flush(n->storage);
    s.install(s.self, &r.meta);
    s.distrust(s.self, REPL_TRUSTED);
    sim_storage_flush(n->storage);
    free(r.bytes);
    if (n->world->plan.sealed)
        seal_ring_deinit(&n->ring);
}

void sim_found_again(struct sim_node *n)
{
    struct sim_random *r = &n->world->faults;

    sim_storage_destroy(n->storage);
    n->storage = sim_storage_create(sim_next(r), &n->world->now_ms);
    sim_storage_set_delay(n->storage, 0, 2);
    memset(n->session_keys, 0, sizeof n->session_keys);
    if (n->world->plan.sealed)
        sim_keys_draw(n, r);
    n->n_peers = 0;
    n->second = true;
    found_alone(n, sim_next(r));
}

static void stays_out(struct sim_node *n)
{
    struct sim_world *w = n->world;

    w->stats.faults[SIM_FAULT_stays_out]++;
    n->lost = true;
    n->lied = false;
    w->n_lost++;
    sim_say(w, "node %u stays out", n->id);
}

bool sim_found_may(struct sim_node *n)
{
    if (n->failed && n->lied && (n->refused || n->second)) {
        stays_out(n);
        return false;
    }
    if (n->second && !sim_network_meets(n->world->network, n->id)) {
        n->down_until_ms = n->world->now_ms + AGAIN_MS;
        return false;
    }
    return true;
}

void sim_found_late(struct sim_world *w)
{
    enum { ONE_IN = 8, LEAST_MS = 10000, MOST_MS = 120000 };
    struct sim_random r = {.state = sim_mix(w->seed + 0x1a7e)}; /* other draws stay what they are */
    struct sim_node *n;

    if (w->plan.n_nodes == 1 || sim_between(&r, 1, ONE_IN) != 1)
        return;
    n = &w->nodes[sim_between(&r, 0, w->plan.n_nodes - 1)];
    n->down_until_ms += sim_between(&r, LEAST_MS, MOST_MS);
    w->stats.faults[SIM_FAULT_founder_late]++;
    sim_say(w, "fault: %s %u", sim_fault_name(SIM_FAULT_founder_late), n->id);
}

bool sim_found_waits(const struct sim_node *n)
{
    enum repl_distrust why = sim_storage_distrust(n->storage);

    return why == REPL_DISTRUST_NEW || why == REPL_DISTRUST_AGREED;
}

void sim_found_tempt(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[0];
    enum sim_fault fault;

    if (w->healed || w->plan.n_nodes > 1 || !n->up || n->paused || n->failed ||
        !sim_chance(&w->members, TEMPTED) || sim_lies_any(w) || !sim_members_may_lose(w, n->id))
        return;
    sim_node_kill(n);
    sim_storage_mend(n->storage);
    n->disk_hung = n->disk_slow = false;
    n->down_until_ms = w->now_ms + sim_between(&w->members, 50, 5000);
    if (!sim_lies_begin(n, &fault))
        return;
    w->stats.faults[fault]++;
    sim_say(w, "fault: %s %u", sim_fault_name(fault), n->id);
}
