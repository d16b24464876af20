/* Who is of the cluster: each rule with a history that it accepts and one breach. */
#include <criterion/criterion.h>

#include "rig.h"

enum { JOINER = 4 };

static uint8_t hash[32] = {7};

static void token(struct rig *r, uint32_t node, uint64_t valid_ms)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__JoinToken body = HOLDFAST__JOIN_TOKEN__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    body.node = node;
    body.valid_ms = valid_ms;
    body.hash = (ProtobufCBinaryData){.data = hash, .len = sizeof hash};
    record.body_case = HOLDFAST__RECORD__BODY_JOIN_TOKEN;
    record.join_token = &body;
    rig_record(r, 1, &record, &facts);
}

static void change(struct rig *r, uint32_t node, Holdfast__Member__Change what)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Member body = HOLDFAST__MEMBER__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    body.node = node;
    body.change = what;
    body.token = (ProtobufCBinaryData){.data = hash, .len = sizeof hash};
    record.body_case = HOLDFAST__RECORD__BODY_MEMBER;
    record.member = &body;
    rig_record(r, 1, &record, &facts);
}

static void join(struct rig *r, uint32_t node)
{
    change(r, node, HOLDFAST__MEMBER__CHANGE__JOIN);
}

static void leave(struct rig *r, uint32_t node)
{
    change(r, node, HOLDFAST__MEMBER__CHANGE__LEAVE);
}

static struct rig *joined(void)
{
    struct rig *r = rig_serving();

    token(r, JOINER, 1000);
    join(r, JOINER);
    change(r, JOINER, HOLDFAST__MEMBER__CHANGE__BOOT);
    rig_fine(r, SIM_WATCH_id_once);
    return r;
}

RULE(id_once)
{
    struct rig *r = joined();

    leave(r, JOINER);
    rig_fine(r, SIM_WATCH_id_once);
    token(r, JOINER, 1000);
    join(r, JOINER); /* an id that was used */
    rig_broken(r, SIM_WATCH_id_once, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, a_token_is_used_once)
{
    struct rig *r = joined();

    join(r, JOINER + 1); /* by a token that is another node's */
    rig_broken(r, SIM_WATCH_id_once, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, a_token_that_is_too_old)
{
    struct rig *r = rig_serving();

    token(r, JOINER, 1000);
    r->cluster_ms += 1000;
    join(r, JOINER);
    rig_broken(r, SIM_WATCH_id_once, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, a_token_that_is_not_the_one)
{
    struct rig *r = rig_serving();

    token(r, JOINER, 1000);
    hash[31]++;
    join(r, JOINER);
    hash[31]--;
    rig_broken(r, SIM_WATCH_id_once, SIM_WATCH_RULES);
    rig_free(r);
}

/* Where a snapshot hides what nobody has told, there may have been a token. */
Test(sim_watch_rules, a_token_that_was_hidden)
{
    struct rig *r = rig_serving();
    struct repl_event reset = rig_event(r, REPL_EV_RESET);

    bool open;

    reset.index = r->index += 10;
    rig_tell(r, 1, &reset);
    cr_assert(sim_watch_gaps(r->watch, &open) == 1 && open);
    join(r, JOINER);
    rig_fine(r, SIM_WATCH_room);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_id_once), 0);
    /* Nodes 2 and 3 had no snapshot: what they told they told from the first record on. */
    cr_assert(sim_watch_gaps(r->watch, &open) == 1 && !open);
    join(r, JOINER + 1);
    rig_broken(r, SIM_WATCH_id_once, SIM_WATCH_RULES);
    rig_free(r);
}

/* It stays open while all that tell have it from the snapshot, and what was told before it is told again. */
Test(sim_watch_rules, what_a_snapshot_hides_stays_hidden)
{
    struct rig *r = rig_serving();
    struct repl_event reset = rig_event(r, REPL_EV_RESET);
    uint64_t before = r->index;
    bool open;

    reset.index = r->index += 10;
    for (uint32_t node = 1; node <= RIG_NODES; node++)
        rig_tell(r, node, &reset);
    join(r, JOINER);
    cr_assert(sim_watch_gaps(r->watch, &open) == 1 && open);
    reset.index = before; /* node 3 starts anew, from an older one */
    rig_tell(r, 3, &reset);
    leave(r, 2);
    cr_assert(sim_watch_gaps(r->watch, &open) == 1 && !open);
    rig_fine(r, SIM_WATCH_room);
    rig_free(r);
}

/* The last entry that a snapshot holds may be none that makes an event: who ended there told all of it. */
Test(sim_watch_rules, a_snapshot_whose_last_entry_is_no_record)
{
    struct rig *r = rig_serving();
    struct repl_event reset = rig_event(r, REPL_EV_RESET);
    bool open;

    reset.index = r->index + 1;
    sim_watch_told_all(r->watch, 1, r->index + 1);
    rig_tell(r, 2, &reset);
    cr_assert(sim_watch_gaps(r->watch, &open) == 0 && !open);
    reset.index = r->index += 10;
    rig_tell(r, 1, &reset);
    sim_watch_told_all(r->watch, 1, r->index + 1); /* it does not know what the snapshot hid */
    cr_assert(sim_watch_gaps(r->watch, &open) == 1 && open);
    sim_watch_told_all(r->watch, 3, r->index + 1);
    cr_assert(sim_watch_gaps(r->watch, &open) == 1 && !open);
    rig_free(r);
}

/* What begins anew has its members from its beginning. */
Test(sim_watch_rules, an_incarnation_hides_nothing)
{
    struct rig *r = rig_serving();
    struct repl_event reset = rig_event(r, REPL_EV_RESET);
    bool open;

    reset.index = r->index + 10;
    rig_tell(r, 1, &reset);
    sim_watch_incarnation(r->watch, 1, 1, 5, reset.index + 1);
    cr_assert(sim_watch_gaps(r->watch, &open) == 1 && !open);
    rig_free(r);
}

RULE(left_is_out)
{
    struct rig *r = rig_serving();

    rig_assign(r, 2);
    leave(r, 1);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_left_is_out);
    change(r, 1, HOLDFAST__MEMBER__CHANGE__BOOT);
    rig_broken(r, SIM_WATCH_left_is_out, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, who_left_is_assigned_a_shard)
{
    struct rig *r = rig_serving();

    leave(r, 3);
    rig_assign(r, 3);
    rig_broken(r, SIM_WATCH_left_is_out, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, who_left_submits)
{
    struct rig *r = rig_serving();

    leave(r, 1);
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_left_is_out, SIM_WATCH_RULES);
    rig_free(r);
}

/* A token was made where nobody saw it, and is used where all see it. */
Test(sim_watch_rules, a_token_that_nobody_saw)
{
    struct rig *r = rig_serving();

    sim_watch_sessions_lost(r->watch, 1, r->index + 3);
    sim_watch_unseen_token(r->watch, JOINER, span_of(hash, sizeof hash), UINT64_MAX);
    r->index += 4;
    join(r, JOINER);
    rig_fine(r, SIM_WATCH_id_once);
    sim_watch_unseen_token(r->watch, JOINER + 1, span_of(hash, sizeof hash), 0); /* too old */
    join(r, JOINER + 1);
    rig_broken(r, SIM_WATCH_id_once, SIM_WATCH_RULES);
    rig_free(r);
}

/* In front of the loss of the sessions' key, where only those applied it that lacked the key. */
Test(sim_watch_rules, who_joined_or_left_where_nobody_saw_it)
{
    struct rig *r = rig_serving();

    sim_watch_unseen_member(r->watch, 2, true); /* all was told so far: it is not so */
    sim_watch_sessions_lost(r->watch, 1, r->index + 3);
    sim_watch_unseen_member(r->watch, JOINER, false);
    sim_watch_unseen_member(r->watch, 3, true);
    sim_watch_sessions_lost(r->watch, 2, r->index + 3); /* the next one that comes there */
    sim_watch_unseen_member(r->watch, 2, true);
    r->index += 4;
    change(r, JOINER, HOLDFAST__MEMBER__CHANGE__BOOT);
    rig_assign(r, 2);
    rig_fine(r, SIM_WATCH_left_is_out);
    rig_assign(r, 3);
    rig_broken(r, SIM_WATCH_left_is_out, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(copied_to_members)
{
    struct rig *r = rig_serving();

    token(r, JOINER, 1000);
    sim_watch_copied(r->watch, 2, r->index);
    sim_watch_copied(r->watch, JOINER, r->index + 1); /* by one that has applied its join already */
    join(r, JOINER);
    rig_fine(r, SIM_WATCH_copied_to_members);
    sim_watch_copied(r->watch, JOINER + 1, r->index + 1);
    token(r, JOINER + 1, 1000);
    join(r, JOINER + 1);
    rig_broken(r, SIM_WATCH_copied_to_members, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, who_left_gets_no_copy)
{
    struct rig *r = rig_serving();

    leave(r, 3);
    sim_watch_copied(r->watch, 3, r->index - 1); /* by one that does not know it yet */
    rig_fine(r, SIM_WATCH_copied_to_members);
    sim_watch_copied(r->watch, 3, r->index);
    rig_broken(r, SIM_WATCH_copied_to_members, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, who_never_joins_gets_no_copy)
{
    static const uint32_t shards[] = {RIG_SHARD};
    const struct sim_watch_healing limits = {
        .owner_ms = 50, .elections = 1, .shards = shards, .n_shards = 1};
    uint8_t digest[REPL_DIGEST_BYTES] = {0};
    struct rig *r = rig_serving();

    sim_watch_copied(r->watch, JOINER, r->index);
    r->now_ms = 100;
    sim_watch_heal(r->watch, &limits);
    rig_leave(r, 1, 1);
    for (uint32_t i = 1; i <= 3; i++)
        sim_watch_digest(r->watch, i, r->index, digest);
    sim_watch_healed(r->watch);
    rig_broken(r, SIM_WATCH_copied_to_members, SIM_WATCH_RULES);
    rig_free(r);
}

/* Whoever left, or waits outside, need not know what the others do. */
Test(sim_watch_rules, digests_of_who_is_in)
{
    static const uint32_t shards[] = {RIG_SHARD};
    const struct sim_watch_healing limits = {
        .owner_ms = 50, .elections = 1, .shards = shards, .n_shards = 1};
    uint8_t digest[REPL_DIGEST_BYTES] = {0};
    struct rig *r = rig_serving();

    rig_leave(r, 1, 1);
    leave(r, 3);
    sim_watch_started(r->watch, JOINER, 104, false);
    r->now_ms = 100;
    sim_watch_heal(r->watch, &limits);
    rig_leave(r, 1, 2);
    for (uint32_t i = 1; i <= 2; i++)
        sim_watch_digest(r->watch, i, r->index, digest);
    sim_watch_healed(r->watch);
    rig_fine(r, SIM_WATCH_digest_reached);
    rig_free(r);
}
