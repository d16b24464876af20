/* Both ends rekey the same SA, and the relay decides who sees what when (RFC 7296 2.8.1, 2.8.2).
 *
 *   both-at-once      each request is held until both are out
 *   behind-delete     the same; the gateway's answer is held until it sent a Delete
 *   unseen-client     the client's request is lost until the gateway's own rekey has ended
 *   unseen-gateway    the gateway's request is lost until the client's own rekey has ended
 */
#include "cell.h"

enum { OUT_MS = 5000, BEHIND_MS = 4000 };

struct caught {
    const struct relay *relay;
    int a, b; /* catches; b may be RELAY_NO_CATCH */
};

static bool both_caught(void *arg)
{
    const struct caught *w = arg;
    const struct relay_catch *catches = w->relay->core.catches;

    return catches[w->a].caught && (w->b == RELAY_NO_CATCH || catches[w->b].caught);
}

static bool ask(struct cell *c, bool client)
{
    bool ike = c->spec->exchange == DRILL_IKE_REKEY;

    if (client)
        return swan_ctl(&c->client, OUT_MS, "--rekey", ike ? "--ike" : "--child",
                        ike ? "home" : "net", NULL);
    if (cell_is_reference(c))
        return swan_ctl(&c->reference, OUT_MS, "--rekey", ike ? "--ike" : "--child",
                        ike ? "gw" : "net", NULL);
    return cell_trigger_gateway(c, cell_owner(c));
}

/* The seed decides who is asked first. */
static bool ask_both(struct cell *c)
{
    bool client_first = (c->spec->seed + c->spec->round) & 1;

    return ask(c, client_first) && ask(c, !client_first);
}

static int catch_request(struct cell *c, enum relay_deed deed, enum relay_way way)
{
    return relay_catch_set(&c->relay.core, deed, way, RELAY_CREATE_CHILD, false, 1);
}

/* Both requests are out and held. The first of each side is it: nothing else was under way. */
static bool cross(struct cell *c, int *from_client, int *from_gateway)
{
    struct caught w = {.relay = &c->relay};

    *from_client = w.a = catch_request(c, RELAY_HOLD, RELAY_IN);
    *from_gateway = w.b = catch_request(c, RELAY_HOLD, RELAY_OUT);
    c->trigger_ns = pump_wall_ns();
    c->at_trigger = c->client.log;
    if (!ask_both(c))
        return false;
    if (!lab_until(&c->lab, both_caught, &w, OUT_MS))
        return cell_inconclusive(c,
                                 "no collision: held were %u requests of the client, %u of the "
                                 "gateway",
                                 c->relay.core.catches[w.a].caught,
                                 c->relay.core.catches[w.b].caught);
    c->reached = true;
    cell_phase(c, "both requests are out");
    return true;
}

static bool both_at_once(struct cell *c)
{
    int from_client, from_gateway;

    if (!cross(c, &from_client, &from_gateway))
        return false;
    relay_release(&c->relay, from_client);
    relay_release(&c->relay, from_gateway);
    return true;
}

static bool delete_passed(void *arg)
{
    const struct cell *c = arg;

    return oracle_count_requests(&c->sniff.capture, c->trigger_ns, UINT64_MAX, false,
                                 IKE_HDR_INFORMATIONAL) > 0;
}

/* Where the gateway's rekey lost it deletes what it made, where it won the old SA; either way behind
 * the answers. Where it deletes nothing the answer is only late. */
static bool behind_delete(struct cell *c)
{
    int from_client, from_gateway,
        answer =
            relay_catch_set(&c->relay.core, RELAY_HOLD, RELAY_OUT, RELAY_CREATE_CHILD, true, 1);

    if (!cross(c, &from_client, &from_gateway))
        return false;
    relay_release(&c->relay, from_client);
    relay_release(&c->relay, from_gateway);
    c->behind_delete = lab_until(&c->lab, delete_passed, c, BEHIND_MS);
    cell_phase(c, c->behind_delete ? "the answer comes behind the Delete" : "the answer is late");
    relay_release(&c->relay, answer);
    return true;
}

static bool successor_made(void *arg)
{
    const struct cell *c = arg;
    const struct swan_log *now = &c->client.log, *then = &c->at_trigger;

    if (c->spec->exchange == DRILL_IKE_REKEY)
        return now->ike_rekeyed > then->ike_rekeyed && now->ike_deleted > then->ike_deleted;
    return now->child_rekeyed > then->child_rekeyed && now->child_closed > then->child_closed;
}

/* One side's request does not arrive, not even again, before the other's rekey has ended. */
static bool unseen(struct cell *c, enum relay_way lost_way)
{
    int lost = catch_request(c, RELAY_DROP, lost_way);
    struct caught w = {&c->relay, lost, RELAY_NO_CATCH};

    c->trigger_ns = pump_wall_ns();
    c->at_trigger = c->client.log;
    if (!ask(c, lost_way == RELAY_IN))
        return false;
    if (!lab_until(&c->lab, both_caught, &w, OUT_MS))
        return cell_inconclusive(c, "no request to lose was sent within %u ms", OUT_MS);
    c->reached = true;
    cell_phase(c, "a request is lost");
    if (!ask(c, lost_way == RELAY_OUT))
        return false;
    if (!lab_until(&c->lab, successor_made, c, BEHIND_MS))
        return cell_inconclusive(c, "the other side's rekey did not end before");
    relay_release(&c->relay, lost);
    return true;
}

/* However it went: one IKE SA and one CHILD SA, the same at both ends, in place of the old one. */
static bool settles(struct cell *c)
{
    struct spis_case spis = {.before = &c->before,
                             .after = &c->after,
                             .ike = c->spec->exchange == DRILL_IKE_REKEY,
                             .node = c->owner,
                             .recoveries = cell_recoveries(c)};

    if (!lab_until(&c->lab, successor_made, c, c->drill->settle_ms)) {
        oracle_violation(&c->report, "collision: the client has no successor after %u ms",
                         c->drill->settle_ms);
        return false;
    }
    if (!cell_wait_quiet(c, 1) || !cell_ends_agree(c))
        return false;
    if (cell_is_reference(c))
        return true;
    if (c->spec->mode <= DRILL_BEHIND_DELETE &&
        c->client.log.n_collisions == c->at_trigger.n_collisions)
        return cell_inconclusive(c, "the client saw no collision");
    cell_take_spis(cell_owner(c), &c->after);
    if (!c->before.known || !c->after.known)
        return cell_inconclusive(c, "the SPIs of the owner are not known");
    spis_judge_replaced(&spis, &c->report);
    return true;
}

bool cell_collide(struct cell *c)
{
    bool ok = false;

    c->owner_before = c->owner;
    c->leader_before = c->leader;
    if (!cell_is_reference(c))
        cell_take_spis(cell_owner(c), &c->before);
    switch (c->spec->mode) {
    case DRILL_BOTH_AT_ONCE:
        ok = both_at_once(c);
        break;
    case DRILL_BEHIND_DELETE:
        ok = behind_delete(c);
        break;
    default:
        ok = unseen(c, c->spec->mode == DRILL_UNSEEN_CLIENT ? RELAY_IN : RELAY_OUT);
    }
    return ok && settles(c);
}
