/* All nodes die at once. Where only their processes died, the service managers have kept the key of sessions
 * and the same tunnels go on. Where the power was gone it is lost with their memory: all SAs have ended, the
 * nodes begin without any, and clients come back by themselves (replication/seal.md). */
#include "cell.h"

enum { RETURN_MS = 20000, ANEW_MS = 40000 };

bool cell_loses_power(const struct cell *c)
{
    return c->drill->fault == DRILL_ALL_DIE && c->spec->mode == DRILL_MACHINE;
}

/* From now on a client that gives its tunnel up does what it should. */
static void lose_power(struct cell *c)
{
    for (unsigned n = 1; n <= c->drill->nodes; n++)
        node_forget(&c->nodes[n]);
    c->ended_ns = pump_wall_ns() + CELL_IN_FLIGHT_NS;
    c->client.log.may_give_up = true;
}

/* The takeover that is about the owner's end; the others are silent for as long. NULL: lab->error. */
static struct cell_takeover *die(struct cell *c)
{
    struct cell_takeover *t;
    uint64_t at_ns;

    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        struct node_view v;

        node_look(&c->nodes[n], &v);
        c->recoveries_gone += v.recoveries;
        c->killed |= 1u << n;
    }
    at_ns = pump_wall_ns();
    if (!node_kill_all(&c->nodes[1], c->drill->nodes, cell_loses_power(c)))
        return NULL;
    if (cell_loses_power(c))
        lose_power(c);
    t = cell_begin_takeover(c, c->owner, at_ns);
    t->dead_ns = pump_wall_ns();
    for (unsigned n = 1; n <= c->drill->nodes; n++)
        if (n != t->from)
            c->takeovers[c->n_takeovers++] =
                (struct cell_takeover){.kill_ns = at_ns, .dead_ns = t->dead_ns, .from = n};
    c->minority_from_ns = t->dead_ns + CELL_IN_FLIGHT_NS;
    return t;
}

static bool start_again(struct cell *c)
{
    cell_phase(c, "all nodes start again");
    c->minority_to_ns = pump_wall_ns();
    for (unsigned i = 0; i < c->n_takeovers; i++)
        c->takeovers[i].return_ns = c->minority_to_ns;
    for (unsigned n = 1; n <= c->drill->nodes; n++)
        if (!node_restart(&c->nodes[n], c->binary))
            return false;
    return true;
}

/* They find a leader and an owner by themselves, and go on where their log ends, whatever of it they can read. */
static bool serve_again(struct cell *c, struct cell_takeover *t)
{
    struct node_view v;

    if (!lab_until(&c->lab, cell_served, c, RETURN_MS)) {
        oracle_violation(
            &c->report, "all-die: nobody acts %u ms after all nodes were started again", RETURN_MS);
        return false;
    }
    t->acting_ns = pump_wall_ns();
    cell_adopt_owners(c);
    t->to = c->owner;
    node_look(cell_owner(c), &v);
    if (v.answered && v.shards[0].epoch <= c->epoch)
        oracle_violation(&c->report, "all-die: shard 1's epoch went from %llu to %llu",
                         (unsigned long long)c->epoch, (unsigned long long)v.shards[0].epoch);
    return true;
}

static bool have_come_back(void *arg)
{
    struct cell *c = arg;
    unsigned n = 2 * c->drill->clients; /* before, and anew */

    return c->client.log.ike_up >= n && c->client.log.child_up >= n;
}

/* Nobody asks the clients to: they notice that nobody answers, and begin anew. */
static bool come_back(struct cell *c)
{
    cell_phase(c, "node %u acts; no client has come back yet", c->owner);
    if (!lab_until(&c->lab, have_come_back, c, ANEW_MS)) {
        oracle_violation(&c->report,
                         "all-die: %u ms after node %u acts again the clients have established %u "
                         "IKE SAs and %u CHILD SAs in all, %u of each are right",
                         ANEW_MS, c->owner, c->client.log.ike_up, c->client.log.child_up,
                         2 * c->drill->clients);
        return false;
    }
    c->again_ns = pump_wall_ns();
    c->client.log.may_give_up = false;
    return true;
}

bool cell_all(struct cell *c)
{
    const struct drill *d = c->drill;
    struct cell_spis now;
    struct cell_takeover *t;

    cell_phase(c, cell_loses_power(c) ? "all nodes lose their power" : "all daemons die");
    t = die(c);
    if (!t)
        return false;
    c->reached = true;
    (void)lab_until(&c->lab, NULL, NULL, d->for_ms);
    if (!start_again(c) || !serve_again(c, t))
        return false;
    cell_take_spis(cell_owner(c), &now);
    if (!now.known || !c->before.known)
        return cell_inconclusive(c, "the SPIs of the owners are not known");
    spis_judge_all_die(&c->before, &now, !cell_loses_power(c),
                       cell_recoveries(c) - c->recoveries_gone, &c->report);
    if ((cell_loses_power(c) && !come_back(c)) || !cell_await_flow(c, t, d->settle_ms))
        return false;
    for (unsigned n = 1; n <= d->nodes; n++)
        if (!cell_healed(c, n))
            return false;
    cell_adopt_owners(c);
    return true;
}
