#include "cell.h"

#include <stdio.h>
#include <string.h>

enum { UP_MS = 15000, ARRANGE_MS = 10000, CONNECT_MS = 10000, REPLAY_WINDOW_S = 1 };

static bool run_ip(struct cell *c, enum lab_place place, const char *commands)
{
    static const char *const argv[] = {"ip", "-batch", "-", NULL};

    return proc_run(
        &c->lab,
        &(struct chaos_spawn){.place = place, .argv = argv, .input = commands, .step_fd = -1}, 5000,
        false, NULL);
}

static bool start_reference(struct cell *c)
{
    return run_ip(c, LAB_NODE,
                  "addr add 10.77.1.100/32 dev out0\naddr add 10.77.2.100/32 dev in0\n") &&
           lab_sysctl(&c->lab, LAB_NODE, "/proc/sys/net/ipv4/ip_forward", "1") &&
           swan_start(
               &c->reference, &c->lab, LAB_NODE, "gateway",
               &(struct swan_options){.gateway = true, .patient = c->drill->relay.n_rules > 0});
}

static bool start_nodes(struct cell *c)
{
    bool soon = cell_by_lifetime(c), ike = c->spec->exchange == DRILL_IKE_REKEY;
    struct node_options o = {.binary = c->binary,
                             .timing = c->drill->timing,
                             .child_soon = soon && !ike,
                             .ike_soon = soon && ike,
                             .pfs = c->spec->exchange != DRILL_CHILD_REKEY,
                             .patient = c->drill->relay.n_rules > 0,
                             .clients = c->drill->clients,
                             .outside_v6 = c->drill->outside_v6,
                             .inside_v4 = c->drill->inside_v4,
                             .inside_v6 = c->drill->inside_v6,
                             .shifts = c->drill->fault == DRILL_CLOCK_JUMP,
                             .keeps = c->drill->fault == DRILL_ALL_DIE};

    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        if (!node_prepare(&c->nodes[n], &c->lab, n, &o))
            return false;
    }
    if (!node_install(&c->nodes[1], c->drill->nodes, c->binary))
        return false;
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        if (!node_start(&c->nodes[n], c->binary))
            return false;
    }
    return true;
}

/* Every shard has an owner that acts, as the node itself says. */
static void note_acting(const struct cell *c, unsigned n, const struct node_view *v,
                        struct node_shard owners[LAB_MAX_SHARDS])
{
    for (unsigned s = 0; s < c->drill->shards; s++) {
        if (v->shards[s].owner == n && v->shards[s].acting)
            owners[s] = v->shards[s];
    }
}

/* All living nodes answer, are connected, agree on a leader, and the owners act. */
static bool settled(struct cell *c)
{
    struct node_shard owners[LAB_MAX_SHARDS] = {0};
    struct node_view v;
    unsigned leader = 0, alive = 0;

    for (unsigned n = 1; n <= c->drill->nodes; n++)
        alive += node_alive(&c->nodes[n]);
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        if (!node_alive(&c->nodes[n]))
            continue;
        node_look(&c->nodes[n], &v);
        if (!v.answered || !v.quorum || !v.leader || v.connected + 1 < alive ||
            (leader && v.leader != leader))
            return false;
        leader = v.leader;
        note_acting(c, n, &v, owners);
    }
    for (unsigned s = 0; s < c->drill->shards; s++) {
        if (!owners[s].owner)
            return false;
    }
    for (unsigned s = 0; s < c->drill->shards; s++) {
        c->owners[s + 1] = owners[s].owner;
        c->assignments[s + 1] = owners[s].assignments;
    }
    c->owner = owners[0].owner;
    c->leader = leader;
    c->epoch = owners[0].epoch;
    return true;
}

static bool settled_or_dead(void *arg)
{
    struct cell *c = arg;

    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        if (c->nodes[n].proc.ended)
            return true;
    }
    return settled(c);
}

/* The last words of a node that ended by itself. */
static bool nodes_fine(struct cell *c)
{
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        const struct chaos_proc *p = &c->nodes[n].proc;

        if (p->ended)
            return lab_fail(&c->lab, "node %u ended by itself (status %#x): ...%.350s", n,
                            (unsigned)p->status,
                            p->log ? p->log + (p->log_len > 350 ? p->log_len - 350 : 0) : "");
    }
    return true;
}

static bool arranged(void *arg)
{
    struct cell *c = arg;

    return settled(c) && drill_leader_fits(c->spec->leader, c->leader == c->owner);
}

static bool arrange_leader(struct cell *c)
{
    unsigned to = c->spec->leader == DRILL_LEADER_OWNER ? c->owner : c->owner % c->drill->nodes + 1;

    if (c->drill->nodes == 1 || arranged(c))
        return true;
    cell_phase(c, "leadership to node %u", to);
    for (unsigned tries = 0; tries < 5; tries++) {
        (void)node_make_leader(&c->nodes[c->leader], to);
        if (lab_until(&c->lab, arranged, c, ARRANGE_MS / 5))
            return true;
    }
    return cell_inconclusive(c, "leadership did not move to node %u within %u ms", to, ARRANGE_MS);
}

static bool clients_up(void *arg)
{
    struct cell *c = arg;
    unsigned n = c->drill->clients;

    for (unsigned i = 0; i < n; i++) {
        if ((c->drill->inside_v4 && !c->client.inner[i][TRAFFIC_V4]) ||
            (c->drill->inside_v6 && !c->client.inner[i][TRAFFIC_V6]))
            return false;
    }
    return c->client.log.ike_up >= n && c->client.log.child_up >= n;
}

static bool connect_clients(struct cell *c)
{
    const struct drill *d = c->drill;
    struct traffic_plan plan = {.pps = d->pps,
                                .bytes = d->bytes,
                                .directions = {d->directions & 1, d->directions >> 1 & 1},
                                /* (A connection would wait long after a client has been away.) */
                                .upload = d->inside_v4 && d->directions & 1 && !d->relay.n_rules &&
                                          !cell_loses_power(c),
                                .clients = d->clients};

    cell_phase(c, d->clients > 1 ? "%u clients connect" : "the client connects", d->clients);
    if (!swan_load(&c->client) || !swan_initiate(&c->client, 1, d->clients, CONNECT_MS))
        return false;
    if (!lab_until(&c->lab, clients_up, c, CONNECT_MS))
        return lab_fail(&c->lab, "no tunnel after %u ms: ...%.400s", CONNECT_MS,
                        c->client.proc.log +
                            (c->client.proc.log_len > 400 ? c->client.proc.log_len - 400 : 0));
    c->up_ns = pump_wall_ns();
    cell_judge_addresses(c);
    return traffic_open(&c->traffic, &c->lab, &plan,
                        (const uint32_t(*)[TRAFFIC_FAMILIES])c->client.inner);
}

struct flow_wait {
    struct cell *c;
    size_t packets;
    uint64_t upload;
};

static bool flowing(void *arg)
{
    const struct flow_wait *w = arg;
    const struct traffic *t = &w->c->traffic;

    for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++) {
        if (t->plan.directions[d] && traffic_since(t, (enum traffic_direction)d) < w->packets)
            return false;
    }
    return !t->plan.upload || t->upload_received >= w->upload;
}

bool cell_wait_flow(struct cell *c, unsigned packets, unsigned ms)
{
    struct flow_wait w = {c, packets, c->traffic.upload_received + 1000};

    traffic_mark(&c->traffic);
    return lab_until(&c->lab, flowing, &w, ms);
}

/* A second of traffic, so that there is a second to replay. */
static bool start_traffic(struct cell *c)
{
    cell_phase(c, "traffic begins");
    traffic_begin(&c->traffic);
    if (!cell_wait_flow(c, c->drill->pps * REPLAY_WINDOW_S, 5000) &&
        c->drill->hypothesis & DRILL_HYP_TRAFFIC)
        return cell_inconclusive(
            c,
            "hypothesis traffic-flows is false before the fault: the last client got %zu in, "
            "%zu out",
            traffic_since(&c->traffic, TRAFFIC_IN), traffic_since(&c->traffic, TRAFFIC_OUT));
    return true;
}

unsigned cell_judge_actors(struct cell *c, unsigned shard, const struct node_view *first,
                           const struct node_view *second, size_t n)
{
    unsigned acting = 0, throughout = 0, nodes[2] = {0};

    for (unsigned i = 0; i < n; i++) {
        const struct node_shard *a = &first[i].shards[shard], *b = &second[i].shards[shard];

        acting += a->acting;
        if (!a->acting || !b->acting || a->epoch != b->epoch)
            continue;
        if (throughout < 2)
            nodes[throughout] = i + 1;
        throughout++;
    }
    if (throughout > 1)
        oracle_violation(&c->report, "one-owner: nodes %u and %u both act for shard %u", nodes[0],
                         nodes[1], shard + 1);
    return acting;
}

static void look_at_all(struct cell *c, struct node_view views[LAB_MAX_NODES])
{
    for (unsigned n = 1; n <= c->drill->nodes; n++)
        node_look(&c->nodes[n], &views[n - 1]);
}

static bool hypothesis_holds(struct cell *c)
{
    struct node_view first[LAB_MAX_NODES] = {0}, second[LAB_MAX_NODES] = {0};
    unsigned quorum = 0;

    if (c->drill->hypothesis & DRILL_HYP_TUNNEL && c->client.log.n_complaints)
        return cell_inconclusive(c, "hypothesis tunnel-up is false before the fault: %s",
                                 c->client.log.complaints[0]);
    if (cell_is_reference(c))
        return true;
    look_at_all(c, first);
    look_at_all(c, second);
    for (unsigned n = 0; n < c->drill->nodes; n++)
        quorum += first[n].quorum;
    for (unsigned s = 0; s < c->drill->shards; s++) {
        unsigned acting = cell_judge_actors(c, s, first, second, c->drill->nodes);

        if (c->drill->hypothesis & DRILL_HYP_ONE_OWNER && acting != 1)
            return cell_inconclusive(
                c, "hypothesis one-owner is false before the fault: %u nodes act for shard %u",
                acting, s + 1);
    }
    if (c->drill->hypothesis & DRILL_HYP_QUORUM && quorum != c->drill->nodes)
        return cell_inconclusive(
            c, "hypothesis quorum is false before the fault: %u of %u nodes see one", quorum,
            c->drill->nodes);
    return true;
}

/* Each shard is its owner's from the beginning on; the path becomes as bad as the drill says. */
static bool begin_watch(struct cell *c)
{
    for (unsigned s = 1; s <= c->drill->shards; s++)
        c->tenures[c->n_tenures++] =
            (struct oracle_tenure){.shard = s,
                                   .node = (uint8_t)(cell_is_reference(c) ? 1 : c->owners[s]),
                                   .from_ns = c->zero_ns};
    c->relay.core.impairs = true;
    c->impaired_ns = pump_wall_ns();
    return true;
}

static bool start_gateway(struct cell *c)
{
    bool ok;

    cell_phase(c, "the gateway starts");
    if (cell_is_reference(c)) {
        c->owner = c->leader = c->owners[1] = 1;
        return swan_load(&c->reference);
    }
    ok = lab_until(&c->lab, settled_or_dead, c, UP_MS);
    if (!nodes_fine(c))
        return false;
    c->workers = node_workers(&c->nodes[1]);
    return ok ? arrange_leader(c) : cell_inconclusive(c, "no settled cluster after %u ms", UP_MS);
}

static bool bring_up(struct cell *c)
{
    const struct drill *d = c->drill;
    struct swan_options client = {
        .pfs = !(c->spec->exchange == DRILL_CHILD_REKEY && c->spec->role == DRILL_CLIENT),
        .dpd_s = d->clients > NODE_FEW_CLIENTS ? 30 : 1,
        .clients = d->clients,
        .shards = d->shards,
        .outside_v6 = d->outside_v6,
        .inside_v4 = d->inside_v4,
        .inside_v6 = d->inside_v6,
        .collides = d->fault == DRILL_COLLISION,
        .returns = cell_loses_power(c),
        /* (Whose daemons all begin again with their keys is away for seconds.) */
        .patient = d->relay.n_rules > 0 || (d->fault == DRILL_ALL_DIE && !cell_loses_power(c))};

    c->sniff.seen = cell_frame_seen;
    c->sniff.arg = c;
    return sniff_start(&c->sniff, &c->lab) &&
           (!cell_has_relay(c) || relay_start(&c->relay, &c->lab, &d->relay, c->spec->seed)) &&
           (cell_is_reference(c) ? start_reference(c) : start_nodes(c)) &&
           swan_start(&c->client, &c->lab, LAB_CLIENT_NS, "client", &client) && start_gateway(c) &&
           connect_clients(c) && start_traffic(c) && hypothesis_holds(c) && begin_watch(c);
}

bool cell_bring_up(struct cell *c)
{
    bool ok = bring_up(c);

    c->before_fault = c->inconclusive;
    return ok;
}
