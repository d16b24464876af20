/* Faults of several nodes, or of one for good: no majority for a while, one restart after the other, a
 * disk that is replaced. */
#include "cell.h"

#include <string.h>
#include <sys/wait.h>

enum { NAT_PORT = 31007, AGAIN = 50, REFUSE_MS = 10000, RETURN_MS = 20000 };

/* The one takeover that is about this node's end. */
static struct cell_takeover *kill_one(struct cell *c, unsigned node)
{
    struct cell_takeover *t = cell_begin_takeover(c, node, pump_wall_ns());
    struct node_view v;

    node_look(&c->nodes[node], &v);
    c->recoveries_gone += v.recoveries;
    c->killed |= 1u << node;
    if (!node_kill(&c->nodes[node], false))
        return NULL;
    t->dead_ns = c->nodes[node].step.dead_ns;
    return t;
}

bool cell_served(void *cell)
{
    struct cell *c = cell;
    unsigned acting = 0;

    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        struct node_view v;

        if (!node_alive(&c->nodes[n]))
            continue;
        node_look(&c->nodes[n], &v);
        for (unsigned s = 0; s < c->drill->shards; s++)
            acting |= v.shards[s].acting ? 1u << s : 0;
    }
    return acting == (1u << c->drill->shards) - 1;
}

void cell_adopt_owners(struct cell *c)
{
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        struct node_view v;

        if (!node_alive(&c->nodes[n]))
            continue;
        node_look(&c->nodes[n], &v);
        for (unsigned s = 1; s <= c->drill->shards; s++) {
            const struct node_shard *shard = &v.shards[s - 1];

            if (shard->assignments > c->assignments[s] + c->moves[s])
                c->moves[s] = shard->assignments - c->assignments[s];
            if (shard->acting && shard->owner == n)
                c->owners[s] = n;
        }
        if (v.answered && v.leader)
            c->leader = v.leader;
    }
    c->owner = c->owners[1];
    c->dead = 0;
    c->moving = 0;
}

/* A majority is there again: whoever acts then, it is the fault's doing. */
static bool service_returns(struct cell *c, unsigned node, struct cell_takeover *t)
{
    struct cell_takeover *back;

    cell_phase(c, "node %u returns", node);
    t->return_ns = pump_wall_ns();
    if (!node_restart(&c->nodes[node], c->binary))
        return false;
    back = cell_begin_takeover(c, c->owner, pump_wall_ns());
    if (!lab_until(&c->lab, cell_served, c, RETURN_MS)) {
        oracle_violation(&c->report,
                         "quorum: nobody acts %u ms after node %u made a majority again", RETURN_MS,
                         node);
        return false;
    }
    if (!cell_await_flow(c, back, c->drill->settle_ms))
        return false;
    cell_adopt_owners(c);
    back->to = c->owner;
    return true;
}

static bool lose_quorum(struct cell *c)
{
    unsigned owner = c->owner, nodes = c->drill->nodes;
    unsigned left = c->spec->mode == DRILL_OWNER_LEFT ? owner : owner % nodes + 1;
    struct cell_takeover *ends[LAB_MAX_NODES + 1] = {0};
    unsigned order[LAB_MAX_NODES] = {0}, n_order = 0;
    uint64_t lease_ns = (uint64_t)c->drill->timing.lease_ms * 1000000u;

    for (unsigned n = 1; n <= nodes; n++) /* the owner last: it acts as long as it may */
        if (n != left && n != owner)
            order[n_order++] = n;
    if (owner != left)
        order[n_order++] = owner;
    HF_ASSERT(nodes > 1 && n_order == nodes - 1);
    cell_phase(c, "all nodes but %u die", left);
    for (unsigned i = 0; i < n_order; i++)
        if (!(ends[order[i]] = kill_one(c, order[i])))
            return false;
    c->reached = true;
    c->minority_from_ns = pump_wall_ns() + lease_ns + CELL_IN_FLIGHT_NS;
    (void)lab_until(&c->lab, NULL, NULL, c->drill->for_ms);
    c->minority_to_ns = pump_wall_ns();
    if (c->minority_to_ns <= c->minority_from_ns)
        return cell_inconclusive(c, "the fault is shorter than a lease: nothing was seen of it");
    if (!service_returns(c, order[0], ends[order[0]]))
        return false;
    for (unsigned i = 0; i < n_order; i++) {
        if (i > 0) {
            ends[order[i]]->return_ns = pump_wall_ns();
            if (!node_restart(&c->nodes[order[i]], c->binary))
                return false;
        }
    }
    for (unsigned i = 0; i < n_order; i++)
        if (!cell_healed(c, order[i]))
            return false;
    cell_adopt_owners(c);
    return true;
}

static bool restart_one(struct cell *c, unsigned node)
{
    struct cell_takeover *t = NULL;
    struct node_view v;

    cell_phase(c, "node %u is restarted", node);
    node_look(&c->nodes[node], &v);
    c->recoveries_gone += v.recoveries;
    for (unsigned s = 1; s <= c->drill->shards && !t; s++)
        if (c->owners[s] == node)
            t = cell_begin_takeover(c, node, pump_wall_ns());
    if (!cell_end_daemon(c, node, t))
        return false;
    c->reached = true;
    if (t)
        t->return_ns = pump_wall_ns();
    if (!node_restart(&c->nodes[node], c->binary))
        return false;
    if (t && !cell_await_move(c, t, "was restarted"))
        return false;
    return cell_healed(c, node);
}

static bool restart_all(struct cell *c)
{
    for (unsigned n = 1; n <= c->drill->nodes; n++)
        if (!restart_one(c, n))
            return false;
    return true;
}

static bool counts(void *arg)
{
    const struct node *n = arg;

    return n->proc.log && strstr(n->proc.log, "this node's stored data counts");
}

/* `--init` under its old id: it counts for nothing until the others have filled its log, and says so; then
 * it counts. That is tried: the present owner dies, and the two that are left, it among them, go on. */
static bool make_anew(struct cell *c, unsigned node)
{
    struct node *n = &c->nodes[node];
    struct cell_takeover *t;
    unsigned victim;

    cell_phase(c, "node %u is made anew", node);
    if (!node_init(n, c->binary) || !node_restart(n, c->binary) || !cell_healed(c, node))
        return false;
    if (!lab_until(&c->lab, counts, n, RETURN_MS)) {
        oracle_violation(&c->report,
                         "wiped: node %u, made anew, does not count again, or not say so", node);
        return false;
    }
    cell_adopt_owners(c);
    victim = c->owner;
    t = kill_one(c, victim);
    if (!t || !cell_await_move(c, t, "died while another disk was new"))
        return false;
    t->return_ns = pump_wall_ns();
    return node_restart(&c->nodes[victim], c->binary) && cell_healed(c, victim);
}

/* The disk is a new one: a node that began anew under its old id could vote twice (I10). It must not
 * start, and say why; the others go on without it. Then an operator makes it anew all the same. */
static bool replace_disk(struct cell *c)
{
    unsigned victim = c->owner;
    struct node *n = &c->nodes[victim];
    struct cell_takeover *t = kill_one(c, victim);

    if (!t)
        return false;
    c->reached = true;
    if (!cell_await_move(c, t, "died"))
        return false;
    cell_phase(c, "node %u has an empty disk", victim);
    c->refused |= 1u << victim;
    if (!node_wipe(n) || !node_restart(n, c->binary))
        return false;
    if (!proc_wait(&c->lab, &n->proc, REFUSE_MS) || !WIFEXITED(n->proc.status) ||
        WEXITSTATUS(n->proc.status) != NODE_EXIT_REFUSED || !n->proc.log ||
        !strstr(n->proc.log, "--init")) {
        oracle_violation(&c->report,
                         "wiped: node %u starts with an empty disk, or does not say why not",
                         victim);
        return false;
    }
    t->return_ns = pump_wall_ns();
    return cell_wait_flow(c, AGAIN, c->drill->settle_ms) && make_anew(c, victim);
}

static bool outbound_flows(void *arg)
{
    const struct cell *c = arg;

    return traffic_since(&c->traffic, TRAFFIC_OUT) >= AGAIN;
}

/* The new owner dies, too, and nothing comes from the client: who follows must know the new port from
 * the log alone. */
static bool new_port_is_replicated(struct cell *c)
{
    uint64_t dropped = c->relay.nat_dropped;
    unsigned victim = c->owner;
    struct cell_takeover *t;

    traffic_only(&c->traffic, TRAFFIC_OUT);
    t = kill_one(c, victim);
    if (!t || !cell_await_acting(c, t, c->drill->takeover_ms, "died"))
        return false;
    traffic_mark(&c->traffic);
    if (!lab_until(&c->lab, outbound_flows, c, c->drill->settle_ms)) {
        oracle_violation(
            &c->report, "rebind: node %u sends nothing to the client's new port before it hears it",
            t->to);
        return false;
    }
    if (c->relay.nat_dropped != dropped) {
        oracle_violation(&c->report, "rebind: %llu packets went to the port that the NAT forgot",
                         (unsigned long long)(c->relay.nat_dropped - dropped));
        return false;
    }
    traffic_begin(&c->traffic);
    return cell_await_flow(c, t, c->drill->settle_ms) && cell_read_owner(c);
}

/* The owner dies, and the client's NAT gives it another port at the same time. The new owner follows it
 * by what verifies above the floor, and the log keeps it. */
static bool rebind(struct cell *c)
{
    unsigned victim = c->owner;
    struct cell_takeover *t;

    cell_phase(c, "node %u dies, the client's NAT maps it anew", victim);
    c->relay.nat_port = NAT_PORT;
    t = kill_one(c, victim);
    if (!t)
        return false;
    c->reached = true;
    if (!cell_await_move(c, t, "died"))
        return false;
    t->return_ns = pump_wall_ns();
    return node_restart(&c->nodes[victim], c->binary) && cell_healed(c, victim) &&
           new_port_is_replicated(c);
}

bool cell_nodes(struct cell *c)
{
    switch (c->drill->fault) {
    case DRILL_QUORUM_LOSS:
        return lose_quorum(c);
    case DRILL_ROLLING:
        return restart_all(c);
    case DRILL_REBIND:
        return rebind(c);
    default:
        return replace_disk(c);
    }
}
