/* Liveness, and what must be so when all is quiet. */
#include <criterion/criterion.h>

#include "rig.h"

static const uint32_t shards[] = {RIG_SHARD};

static void digests(struct rig *r, uint64_t first, uint64_t second, uint64_t third)
{
    const uint64_t at[] = {first, second, third};
    uint8_t digest[REPL_DIGEST_BYTES] = {0};

    for (uint32_t i = 0; i < RIG_NODES; i++) {
        digest[0] = (uint8_t)at[i];
        sim_watch_digest(r->watch, i + 1, at[i], digest);
    }
}

/* Node 1 serves, then the healing begins at 100 ms. */
static struct rig *healing(void)
{
    struct rig *r = rig_serving();
    const struct sim_watch_healing limits = {
        .owner_ms = 50, .elections = 1, .shards = shards, .n_shards = 1};

    rig_leave(r, 1, 1);
    r->now_ms = 100;
    r->nodes[1].leased = false; /* it does not act all the while */
    sim_watch_heal(r->watch, &limits);
    r->nodes[1].leased = true;
    return r;
}

static struct rig *healed(void)
{
    struct rig *r = healing();

    r->now_ms = 150;
    rig_leave(r, 1, 2);
    digests(r, r->index, r->index, r->index);
    return r;
}

RULE(owner_acts)
{
    struct rig *r = healed();

    sim_watch_owners(r->watch);
    rig_fine(r, SIM_WATCH_owner_acts);
    rig_free(r);
    r = healing();
    r->now_ms = 151;
    rig_leave(r, 1, 2); /* too late */
    sim_watch_owners(r->watch);
    rig_broken(r, SIM_WATCH_owner_acts, SIM_WATCH_RULES);
    rig_free(r);
    r = healing();
    sim_watch_owners(r->watch); /* never */
    rig_broken(r, SIM_WATCH_owner_acts, SIM_WATCH_RULES);
    rig_free(r);
}

/* It may act, though nobody speaks to it; or it may all the while. */
Test(sim_watch_rules, owners_that_nobody_asks)
{
    struct rig *r = rig_serving();
    const struct sim_watch_healing limits = {
        .owner_ms = 0, .elections = 1, .shards = shards, .n_shards = 1};
    struct repl_event lease = rig_event(r, REPL_EV_LEASE);

    r->nodes[1].leased = false;
    sim_watch_heal(r->watch, &limits);
    r->nodes[1].leased = true;
    lease.held = true;
    rig_tell(r, 1, &lease);
    sim_watch_owners(r->watch);
    rig_fine(r, SIM_WATCH_owner_acts);
    sim_watch_heal(r->watch, &limits); /* it has acted all the while */
    sim_watch_owners(r->watch);
    rig_fine(r, SIM_WATCH_owner_acts);
    r->nodes[1].leased = false;
    sim_watch_heal(r->watch, &limits);
    rig_tell(r, 1, &lease); /* so it is told; its lease is over */
    sim_watch_owners(r->watch);
    rig_broken(r, SIM_WATCH_owner_acts, SIM_WATCH_RULES);
    rig_free(r);
}

/* Node 1 has its shard, and all is well since 150 ms. */
static struct rig *calm(bool rebalance)
{
    struct rig *r = rig_serving();
    const struct sim_watch_healing limits = {
        .owner_ms = 50, .elections = 1, .rebalance = rebalance, .shards = shards, .n_shards = 1};

    r->now_ms = 100;
    sim_watch_heal(r->watch, &limits);
    r->now_ms = 151;
    return r;
}

static void wish(struct rig *r, uint32_t node)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Move move = HOLDFAST__MOVE__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    move.node = node;
    record.body_case = HOLDFAST__RECORD__BODY_MOVE;
    record.move = &move;
    rig_record(r, 1, &record, &facts);
}

static void give(struct rig *r, uint32_t from, uint32_t to, const char *reason)
{
    struct repl_event event = rig_event(r, REPL_EV_GIVE);

    event.reason = reason;
    event.owner_node = to;
    rig_tell(r, from, &event);
}

static void leased(struct rig *r, uint32_t node, bool held)
{
    struct repl_event event = rig_event(r, REPL_EV_LEASE);

    event.epoch = (struct repl_epoch){1, r->epoch};
    event.held = held;
    rig_tell(r, node, &event);
}

RULE(nobody_moves)
{
    struct rig *r = calm(true);

    wish(r, 2);
    give(r, 1, 2, "command");
    r->handover = true;
    rig_assign(r, 2);
    leased(r, 1, false); /* the former owner's */
    leased(r, 2, true);
    give(r, 2, 1, "go-home");
    rig_assign(r, 1);
    rig_fine(r, SIM_WATCH_nobody_moves);
    leased(r, 1, false); /* the owner's own */
    rig_broken(r, SIM_WATCH_nobody_moves, SIM_WATCH_RULES);
    rig_free(r);
}

/* It finds out that its disk has room again when it tries: not for ever, and that explains no other reason. */
Test(sim_watch_rules, a_move_from_who_had_no_room)
{
    static const char *const reasons[] = {"unfit", "unfit", "go-home"};
    static const uint64_t after_ms[] = {1000, 40000, 1000};
    struct rig *r;

    for (size_t i = 0; i < 3; i++) {
        r = calm(false);
        sim_watch_was_full(r->watch, 1);
        r->now_ms += after_ms[i];
        give(r, 1, 2, reasons[i]);
        r->handover = true;
        rig_assign(r, 2);
        if (i == 0)
            rig_fine(r, SIM_WATCH_nobody_moves);
        else
            rig_broken(r, SIM_WATCH_nobody_moves, SIM_WATCH_RULES);
        rig_free(r);
    }
}

/* A reason that is none while all is well; of another epoch; none at all; and no handover. */
Test(sim_watch_rules, moves_that_nothing_explains)
{
    static const char *const reasons[] = {"unfit", "go-home", "spread"};
    struct rig *r;

    for (size_t i = 0; i < 3; i++) {
        r = calm(false);
        give(r, 1, 2, reasons[i]);
        r->handover = true;
        rig_assign(r, 2);
        rig_broken(r, SIM_WATCH_nobody_moves, SIM_WATCH_RULES);
        rig_free(r);
    }
    r = calm(true);
    give(r, 1, 2, "spread");
    r->handover = true;
    rig_assign(r, 2);
    rig_assign(r, 1);
    rig_broken(r, SIM_WATCH_nobody_moves, SIM_WATCH_RULES);
    rig_free(r);
    r = calm(true);
    give(r, 1, 2, "spread");
    rig_assign(r, 2); /* its lease was taken from it meanwhile */
    rig_broken(r, SIM_WATCH_nobody_moves, SIM_WATCH_RULES);
    rig_free(r);
}

/* Who flaps loses what it has, and may be given it again as is planned; the others' stay. */
Test(sim_watch_rules, the_shards_of_who_flaps)
{
    struct rig *r = calm(true);

    sim_watch_flaps(r->watch, 1);
    leased(r, 1, false);
    rig_assign(r, 2);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_nobody_moves), 0);
    leased(r, 2, false);
    rig_broken(r, SIM_WATCH_nobody_moves, SIM_WATCH_RULES);
    rig_free(r);
}

/* Before all is well, and from the death of an owner on, whatever happens is what faults do. */
Test(sim_watch_rules, moves_while_not_all_is_well)
{
    struct rig *r = calm(false);

    r->now_ms = 150;
    leased(r, 1, false);
    rig_assign(r, 2);
    r->now_ms = 200;
    sim_watch_owner_dies(r->watch, 2);
    rig_assign(r, 1);
    leased(r, 1, false);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_nobody_moves), 0);
    r->now_ms = 1000;
    rig_free(r);
}

RULE(rekey_ends)
{
    struct rig *r = healed();

    sim_watch_healed(r->watch);
    rig_fine(r, SIM_WATCH_rekey_ends);
    rig_free(r);
    r = healed();
    r->sa.pending.exchange = IKE_EX_CHILD_REKEY;
    rig_step(r, 0);
    digests(r, r->index, r->index, r->index);
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_rekey_ends, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(both_ends)
{
    struct rig *r = healed();

    sim_watch_healed(r->watch);
    rig_fine(r, SIM_WATCH_both_ends);
    rig_free(r);
    r = healed();
    r->peer.children[0].key_in.bytes[3]++; /* the same SPIs, another key */
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_both_ends, SIM_WATCH_RULES);
    rig_free(r);
    r = healed();
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, NULL); /* the client has it no more */
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_both_ends, SIM_WATCH_RULES);
    rig_free(r);
}

/* A client that starts anew forgets all; the gateway's end is then one too many. */
Test(sim_watch_rules, a_client_starts_anew)
{
    struct rig *r = healed();

    sim_watch_client_restarted(r->watch, 0);
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_both_ends, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(digest_reached)
{
    struct rig *r = healed();

    digests(r, r->index + 3, r->index + 3, r->index + 3);
    sim_watch_healed(r->watch);
    rig_fine(r, SIM_WATCH_digest_reached);
    rig_free(r);
    r = healed();
    digests(r, r->index + 1, r->index, r->index + 1);
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_digest_reached, SIM_WATCH_RULES);
    rig_free(r);
}

/* Who is lost for good need not; who is down should be up. */
Test(sim_watch_rules, digests_of_who_is_up)
{
    struct rig *r = healed();

    digests(r, r->index + 17, r->index, r->index + 17);
    sim_watch_stopped(r->watch, 2);
    sim_watch_gone(r->watch, 2);
    sim_watch_healed(r->watch);
    rig_fine(r, SIM_WATCH_digest_reached);
    rig_free(r);
    r = healed();
    sim_watch_stopped(r->watch, 2);
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_digest_reached, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(nothing_lost)
{
    struct rig *r = healed();
    struct repl_event acknowledged = rig_event(r, REPL_EV_APPLIED);
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Barrier barrier = HOLDFAST__BARRIER__INIT;

    record.body_case = HOLDFAST__RECORD__BODY_BARRIER;
    record.barrier = &barrier;
    acknowledged.mine = true;
    acknowledged.record = &record;
    rig_tell(r, 1, &acknowledged);
    sim_watch_healed(r->watch);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_nothing_lost), 0);
    cr_assert_gt(sim_watch_judged(r->watch, SIM_WATCH_nothing_lost), 0);
    rig_free(r);
    r = healed();
    acknowledged.index = r->index + 1; /* nodes 2 and 3 have it not, and say that they are done */
    rig_tell(r, 1, &acknowledged);
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_nothing_lost, SIM_WATCH_RULES);
    rig_free(r);
}

static void leads(struct rig *r, uint32_t node, uint32_t leader)
{
    struct repl_event event = rig_event(r, REPL_EV_LEADER);

    event.node = leader;
    rig_tell(r, node, &event);
}

RULE(elections_end)
{
    struct rig *r = healed();

    leads(r, 1, 1); /* within the time that it may take */
    r->now_ms = 151;
    for (uint32_t node = 1; node <= RIG_NODES; node++)
        leads(r, node, 2); /* one, as all of them hear */
    leads(r, 1, 0);
    sim_watch_healed(r->watch);
    rig_fine(r, SIM_WATCH_elections_end);
    rig_free(r);
    r = healed();
    r->now_ms = 151;
    leads(r, 2, 2);
    leads(r, 2, 2); /* of another term */
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_elections_end, SIM_WATCH_RULES);
    rig_free(r);
}
