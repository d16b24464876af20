/* A cluster that one node founds, as `holdfastd --init` does it: under an incarnation of its own. Made
 * anew later, on a new disk, that node begins another cluster: whoever of the first it meets refuses it,
 * and it ends, for good. It is started where it meets one of them, as an operator's network lets it: cut
 * off from all from its first instant on, nobody could tell it from a cluster that begins. */
#include <stdlib.h>

#include "replication/recover.h"
#include "sim/sim_world.h"

enum { AGAIN_MS = 100 };

void sim_found_alone(struct sim_node *n, uint64_t random)
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
    sim_found_alone(n, sim_next(r));
}

bool sim_found_waits(struct sim_node *n)
{
    if (!n->second || sim_network_meets(n->world->network, n->id))
        return false;
    n->down_until_ms = n->world->now_ms + AGAIN_MS;
    return true;
}

bool sim_found_is_refused(const struct sim_node *n)
{
    return n->failed && n->lied && (n->refused || n->second);
}

void sim_found_stays_out(struct sim_node *n)
{
    struct sim_world *w = n->world;

    w->stats.faults[SIM_FAULT_stays_out]++;
    n->corrupt = true;
    n->lied = false;
    w->n_corrupt++;
    sim_say(w, "node %u stays out", n->id);
}
