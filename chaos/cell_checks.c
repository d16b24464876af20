#include "cell.h"

#include <string.h>

enum { CHECK_MS = 5000, PATIENT_MS = 30000, RETURN_MS = 10000, FLOW_AFTER = 20 };
enum { ASK_TRIES = 20, ASK_PAUSE_MS = 100 };

/* Over a bad path it takes a few retransmissions. */
static unsigned check_ms(const struct cell *c)
{
    return c->drill->relay.n_rules ? PATIENT_MS : CHECK_MS;
}

struct wanted {
    struct cell *c;
    struct swan_log then;
    bool ike, by_client;
    uint64_t asked_ns;
};

/* How many CHILD SAs client 1 has: "net", and "pfs" when it was made. */
static unsigned children(const struct cell *c)
{
    return c->want_pfs_child && c->client.log.child_up > c->drill->clients ? 2 : 1;
}

static bool rekeyed(void *arg)
{
    const struct wanted *w = arg;
    const struct swan_log *now = &w->c->client.log;

    if (w->ike)
        return now->ike_rekeyed > w->then.ike_rekeyed && now->ike_deleted > w->then.ike_deleted;
    return now->child_rekeyed > w->then.child_rekeyed && now->child_closed > w->then.child_closed;
}

static const char *pfs_child(const struct cell *c)
{
    return c->want_pfs_child ? "pfs" : "net";
}

/* Where a shard moved meanwhile although nobody asked for it (`unasked_moves`), its owner is another. */
static void look_for_owner(struct cell *c)
{
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        struct node_view v;

        node_look(&c->nodes[n], &v);
        if (v.answered && v.shards[0].owner == n && v.shards[0].acting)
            c->owner = n;
    }
}

/* Client 1's SA, or the newest CHILD SA of its log, by the gateway's inbound SPI. The status; 0: no
 * answer. */
static int rekey_from_gateway(struct cell *c, bool ike)
{
    const struct swan_log *log = &c->client.log;
    static struct node_sas sas;
    const struct node_sa *sa;

    node_look_sas(cell_owner(c), &sas);
    sa = node_find_client(&sas);
    return sa ? node_rekey(cell_owner(c), sa->id, ike, log->children[log->n_children - 1].spi_out,
                           true)
              : 0;
}

/* A refusal is no beginning, so it may be asked for again; no answer may be one. */
static bool ask_gateway(struct cell *c, bool ike)
{
    int status = 0;

    if (cell_is_reference(c))
        return swan_ctl(&c->reference, check_ms(c), "--rekey", ike ? "--ike" : "--child",
                        ike ? "gw" : "net", NULL);
    for (unsigned tries = 0; tries < ASK_TRIES; tries++) {
        status = rekey_from_gateway(c, ike);
        if (status >= 200 && status <= 299)
            return true;
        if (status != 409 && status != 503)
            break;
        (void)lab_until(&c->lab, NULL, NULL, ASK_PAUSE_MS);
        look_for_owner(c);
    }
    oracle_violation(&c->report, "check: node %u does not take the rekey of %s: status %d",
                     c->owner, ike ? "the IKE SA" : "the CHILD SA", status);
    return false;
}

static bool begun_as_asked(const struct wanted *w)
{
    return oracle_count_requests(&w->c->sniff.capture, w->asked_ns, UINT64_MAX, w->by_client,
                                 IKE_HDR_CREATE_CHILD) > 0;
}

static bool rekeyed_as_asked(void *arg)
{
    return rekeyed(arg) && begun_as_asked(arg);
}

/* Asks the side and waits for what comes of it. False: it does not take the request. */
static bool ask(struct wanted *w)
{
    struct cell *c = w->c;
    bool asked;

    w->then = c->client.log;
    w->asked_ns = pump_wall_ns();
    if (!w->by_client)
        asked = ask_gateway(c, w->ike);
    else if (w->ike)
        asked = swan_ctl(&c->client, check_ms(c), "--rekey", "--ike", "home", NULL);
    else
        asked = swan_ctl(&c->client, check_ms(c), "--rekey", "--child", pfs_child(c), NULL);
    if (!asked)
        return false;
    c->asked[w->by_client ? DRILL_CLIENT : DRILL_GATEWAY]++;
    (void)lab_until(&c->lab, rekeyed_as_asked, w, check_ms(c));
    return true;
}

static bool try_rekey(struct cell *c, bool ike, bool by_client)
{
    struct wanted w = {.c = c, .ike = ike, .by_client = by_client};
    const char *who = by_client ? "client" : "gateway", *what = ike ? "IKE" : "PFS CHILD";

    cell_phase(c, "%s rekey by the %s", what, who);
    if (!ask(&w))
        return false;
    /* When the gateway's lifetime ends just then, the client finds its SA replaced and has nothing
     * to rekey: it is asked once more. */
    if (by_client && cell_by_lifetime(c) && rekeyed(&w) && !begun_as_asked(&w) && !ask(&w))
        return false;
    if (!rekeyed(&w)) {
        oracle_violation(&c->report, "check: %s rekey by the %s does not end within %u ms", what,
                         who, check_ms(c));
        return false;
    }
    if (!cell_judge_beginner(c, w.asked_ns, by_client, what))
        return false;
    if (!ike && c->client.log.ke_requests == w.then.ke_requests) {
        oracle_violation(&c->report, "check: the CHILD rekey by the %s had no key exchange", who);
        return false;
    }
    return cell_wait_quiet(c, children(c));
}

static bool pfs_child_up(void *arg)
{
    const struct cell *c = arg;

    return c->client.log.child_up > c->drill->clients;
}

static bool rekey_children(struct cell *c)
{
    if (c->want_pfs_child) {
        if (!swan_ctl(&c->client, check_ms(c), "--initiate", "--child", "pfs", NULL))
            return false;
        c->asked[DRILL_CLIENT]++;
        if (!lab_until(&c->lab, pfs_child_up, c, check_ms(c))) {
            oracle_violation(&c->report, "check: no second CHILD SA (with PFS) within %u ms",
                             check_ms(c));
            return false;
        }
    }
    return try_rekey(c, false, true) && try_rekey(c, false, false);
}

static bool dpd_answered(void *arg)
{
    const struct wanted *w = arg;

    return w->c->client.log.dpd_answered > w->then.dpd_answered;
}

static bool dpd_received(void *arg)
{
    const struct wanted *w = arg;

    return w->c->client.log.dpd_received > w->then.dpd_received;
}

/* One end hears nothing of the other for long enough to ask. Only that end: what is asked is a sign
 * of life, too, so two idle ends would keep each other from asking. */
static bool asks(struct cell *c, bool client)
{
    struct wanted w = {.c = c, .then = c->client.log};

    traffic_only(&c->traffic, client ? TRAFFIC_IN : TRAFFIC_OUT);
    if (lab_until(&c->lab, client ? dpd_answered : dpd_received, &w, check_ms(c)))
        return true;
    oracle_violation(&c->report, "check: %s within %u ms",
                     client ? "the client's DPD was not answered" : "the gateway began no DPD",
                     check_ms(c));
    return false;
}

static bool check_dpd(struct cell *c)
{
    bool ok;

    cell_phase(c, "DPD on an idle tunnel");
    ok = (cell_is_reference(c) || asks(c, false)) && asks(c, true);
    traffic_begin(&c->traffic);
    return ok && cell_wait_quiet(c, children(c)); /* no request of the gateway's is unanswered */
}

struct returning {
    struct cell *c;
    unsigned node;
};

static bool came_back(void *arg)
{
    const struct returning *r = arg;
    struct cell *c = r->c;
    struct node_view v, owner;

    /* The owner first: records come all the time, and what is committed by then the other must have. */
    node_look(cell_owner(c), &owner);
    node_look(&c->nodes[r->node], &v);
    return v.answered && owner.answered && v.quorum && v.connected + 1 == c->drill->nodes &&
           v.applied_index && v.applied_index >= owner.commit_index &&
           owner.connected + 1 == c->drill->nodes;
}

bool cell_came_back(struct cell *c, unsigned node, unsigned ms)
{
    struct returning r = {c, node};

    if (lab_until(&c->lab, came_back, &r, ms))
        return true;
    oracle_violation(&c->report, "check: node %u did not come back within %u ms", node, ms);
    return false;
}

/* There must be a second of the client's packets to replay, and the idle check had stopped them. */
static bool flowed_a_second(struct cell *c)
{
    uint64_t ms = (pump_mono_ns() - c->traffic.in_mono_ns) / 1000000;
    unsigned missing = ms < 1000 ? (unsigned)(1000 - ms) * c->drill->pps / 1000 : 0;

    if (cell_wait_flow(c, missing > FLOW_AFTER ? missing : FLOW_AFTER, c->drill->settle_ms))
        return true;
    oracle_violation(&c->report, "traffic: it stopped before the second takeover");
    return false;
}

/* The dead node returns with the data it left, then the owner of now dies the same way. */
static bool second_takeover(struct cell *c)
{
    unsigned back = c->takeovers[0].from, victim = c->owner;
    struct node_view v;

    cell_phase(c, "node %u returns", back);
    c->takeovers[0].return_ns = pump_wall_ns();
    if (!node_restart(&c->nodes[back], c->binary))
        return false;
    if (!cell_came_back(c, back, RETURN_MS) || !flowed_a_second(c))
        return false;
    node_look(&c->nodes[victim], &v);
    c->recoveries_gone += v.recoveries;
    if (!cell_tie(c, false) || !node_kill(&c->nodes[victim], c->spec->mode == DRILL_MACHINE) ||
        !cell_await_takeover(c, victim, false))
        return false;
    return cell_await_flow(c, &c->takeovers[c->n_takeovers - 1], c->drill->settle_ms) &&
           cell_wait_quiet(c, children(c)) && cell_ends_agree(c);
}

bool cell_after_checks(struct cell *c)
{
    unsigned expect = c->drill->expect;

    return (!(expect & DRILL_EXP_DPD) || check_dpd(c)) &&
           (!(expect & DRILL_EXP_REKEY_CHILD) || rekey_children(c)) &&
           (!(expect & DRILL_EXP_REKEY_IKE) ||
            (try_rekey(c, true, true) && try_rekey(c, true, false))) &&
           (!(expect & DRILL_EXP_SECOND_TAKEOVER) || c->drill->fault != DRILL_KILL ||
            second_takeover(c));
}
