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
           swan_start(&c->reference, &c->lab, LAB_NODE, "gateway",
                      &(struct swan_options){.gateway = true});
}

static bool start_nodes(struct cell *c)
{
    bool soon = cell_by_lifetime(c), ike = c->spec->exchange == DRILL_IKE_REKEY;
    struct node_options o = {.binary = c->binary,
                             .timing = c->drill->timing,
                             .child_soon = soon && !ike,
                             .ike_soon = soon && ike,
                             .pfs = c->spec->exchange != DRILL_CHILD_REKEY};

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

/* All living nodes answer, are connected, agree on a leader, and the owner acts. */
static bool settled(struct cell *c)
{
    struct node_view v, owner = {0};
    unsigned leader = 0, alive = 0;

    for (unsigned n = 1; n <= c->drill->nodes; n++)
        alive += node_alive(&c->nodes[n]);
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        if (!node_alive(&c->nodes[n]))
            continue;
        node_look(&c->nodes[n], &v);
        if (!v.answered || !v.quorum || !v.leader || !v.owner || v.connected + 1 < alive ||
            (leader && v.leader != leader))
            return false;
        leader = v.leader;
        if (v.owner == n)
            owner = v;
    }
    if (!owner.acting)
        return false;
    c->owner = owner.owner;
    c->leader = leader;
    c->epoch = owner.epoch;
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

static bool client_up(void *arg)
{
    struct cell *c = arg;

    return c->client.log.ike_up && c->client.log.child_up;
}

static bool connect_client(struct cell *c)
{
    cell_phase(c, "the client connects");
    if (!swan_load(&c->client) || !swan_ctl(&c->client, CONNECT_MS, "--initiate", "--child", "net"))
        return false;
    if (!lab_until(&c->lab, client_up, c, CONNECT_MS))
        return lab_fail(&c->lab, "no tunnel after %u ms: ...%.400s", CONNECT_MS,
                        c->client.proc.log +
                            (c->client.proc.log_len > 400 ? c->client.proc.log_len - 400 : 0));
    c->up_ns = pump_wall_ns();
    return traffic_open(&c->traffic, &c->lab, c->drill->pps, c->drill->bytes, true, &c->inner);
}

struct flow_wait {
    struct cell *c;
    size_t in, out;
    uint64_t upload;
};

static bool flowing(void *arg)
{
    struct flow_wait *w = arg;
    const struct traffic *t = &w->c->traffic;

    return (!t->directions[TRAFFIC_IN] || t->numbers[TRAFFIC_IN].n_arrivals >= w->in) &&
           (!t->directions[TRAFFIC_OUT] || t->numbers[TRAFFIC_OUT].n_arrivals >= w->out) &&
           t->upload_received >= w->upload;
}

bool cell_wait_flow(struct cell *c, unsigned packets, unsigned ms)
{
    struct flow_wait w = {c, c->traffic.numbers[TRAFFIC_IN].n_arrivals + packets,
                          c->traffic.numbers[TRAFFIC_OUT].n_arrivals + packets,
                          c->traffic.upload_received + 1000};

    return lab_until(&c->lab, flowing, &w, ms);
}

/* A second of traffic, so that there is a second to replay. */
static bool start_traffic(struct cell *c)
{
    cell_phase(c, "traffic begins");
    c->traffic.directions[TRAFFIC_IN] = c->drill->directions & 1;
    c->traffic.directions[TRAFFIC_OUT] = c->drill->directions >> 1 & 1;
    traffic_begin(&c->traffic);
    if (!cell_wait_flow(c, c->drill->pps * REPLAY_WINDOW_S, 5000) &&
        c->drill->hypothesis & DRILL_HYP_TRAFFIC)
        return cell_inconclusive(
            c, "hypothesis traffic-flows is false before the fault: in %zu of %zu, out %zu of %zu",
            c->traffic.numbers[TRAFFIC_IN].n_arrivals, c->traffic.numbers[TRAFFIC_IN].n_sent,
            c->traffic.numbers[TRAFFIC_OUT].n_arrivals, c->traffic.numbers[TRAFFIC_OUT].n_sent);
    return true;
}

static bool hypothesis_holds(struct cell *c)
{
    struct node_view v;
    unsigned acting = 0, quorum = 0;

    if (c->drill->hypothesis & DRILL_HYP_TUNNEL && c->client.log.n_complaints)
        return cell_inconclusive(c, "hypothesis tunnel-up is false before the fault: %s",
                                 c->client.log.complaints[0]);
    if (cell_is_reference(c))
        return true;
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        node_look(&c->nodes[n], &v);
        acting += v.acting;
        quorum += v.quorum;
    }
    if (c->drill->hypothesis & DRILL_HYP_ONE_OWNER && acting != 1)
        return cell_inconclusive(c, "hypothesis one-owner is false before the fault: %u nodes act",
                                 acting);
    if (c->drill->hypothesis & DRILL_HYP_QUORUM && quorum != c->drill->nodes)
        return cell_inconclusive(
            c, "hypothesis quorum is false before the fault: %u of %u nodes see one", quorum,
            c->drill->nodes);
    return true;
}

bool cell_bring_up(struct cell *c)
{
    bool pfs = !(c->spec->exchange == DRILL_CHILD_REKEY && c->spec->role == DRILL_CLIENT);

    c->sniff.seen = cell_frame_seen;
    c->sniff.arg = c;
    if (!sniff_start(&c->sniff, &c->lab) ||
        !(cell_is_reference(c) ? start_reference(c) : start_nodes(c)) ||
        !swan_start(&c->client, &c->lab, LAB_CLIENT_NS, "client",
                    &(struct swan_options){.pfs = pfs, .dpd_s = 1}))
        return false;
    cell_phase(c, "the gateway starts");
    if (cell_is_reference(c)) {
        if (!swan_load(&c->reference))
            return false;
        c->owner = c->leader = 1;
    } else {
        bool ok = lab_until(&c->lab, settled_or_dead, c, UP_MS);

        if (!nodes_fine(c))
            return false;
        if (!ok)
            return cell_inconclusive(c, "no settled cluster after %u ms", UP_MS);
        if (!arrange_leader(c))
            return false;
    }
    return connect_client(c) && start_traffic(c) && hypothesis_holds(c);
}
