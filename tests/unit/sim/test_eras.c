/* A cluster that begins anew: what an index means then, and who is over. */
#include <criterion/criterion.h>

#include "rig.h"

/* Node 1 begins incarnation 5 at the index behind the rig's, and has started from that. */
static void begin_anew(struct rig *r)
{
    struct repl_event reset = rig_event(r, REPL_EV_RESET);

    sim_watch_incarnation(r->watch, 1, 1, 5, r->index + 1);
    sim_watch_stopped(r->watch, 1);
    sim_watch_started(r->watch, 1, 501, false);
    sim_watch_durable(r->watch, 1, 1000000);
    reset.index = r->index + 1;
    rig_tell(r, 1, &reset);
}

static void assign(struct rig *r, uint32_t node, uint64_t boot, uint64_t incarnation,
                   uint64_t index)
{
    struct repl_event event = rig_event(r, REPL_EV_ASSIGNED);

    event.index = index;
    event.epoch = (struct repl_epoch){incarnation, index};
    event.owner_node = node;
    event.owner_boot = boot;
    rig_tell(r, node, &event);
}

/* Node 2 begins incarnation 5, owns the shard there and speaks, as it may, while the others run on. */
static void begin_beside_others(struct rig *r)
{
    struct ike_message m = rig_message(r, true, 1, 9, 1);

    sim_watch_incarnation(r->watch, 2, 1, 5, r->index + 1);
    assign(r, 2, r->nodes[2].boot, 5, r->index + 2);
    m.bytes[16] = 41; /* Notify: protected by nothing */
    rig_send(r, 2, &m);
}

RULE(former_silent)
{
    struct rig *r = rig_serving();

    rig_seal(r, 1, 1);
    rig_deliver(r, 1, 1);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_former_silent), 0); /* there is no former */
    begin_beside_others(r);
    rig_fine(r, SIM_WATCH_former_silent);
    rig_seal(r, 1, 2); /* under a lease that it has still, of an assignment that is over */
    rig_broken(r, SIM_WATCH_former_silent, SIM_WATCH_RULES);
    rig_deliver(r, 1, 2);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_former_silent), 2);
    rig_free(r);
}

Test(sim_watch_rules, a_message_of_who_is_over)
{
    struct rig *r = rig_serving();

    r->sa.last_response = rig_message(r, true, 1, 7, 1);
    r->sa.expected_request_id++;
    rig_step(r, 0);
    rig_send(r, 1, &r->sa.last_response);
    begin_beside_others(r);
    rig_fine(r, SIM_WATCH_former_silent);
    rig_send(r, 1, &r->sa.last_response);
    rig_broken(r, SIM_WATCH_former_silent, SIM_WATCH_one_speaker);
    rig_free(r);
}

RULE(incarnation_new)
{
    struct rig *r = rig_serving();

    sim_watch_incarnation(r->watch, 1, 1, 5, 100);
    sim_watch_incarnation(r->watch, 2, 1, 4, 50); /* from what was saved before the first one */
    rig_fine(r, SIM_WATCH_incarnation_new);
    sim_watch_incarnation(r->watch, 3, 1, 5, 50);
    rig_broken(r, SIM_WATCH_incarnation_new, SIM_WATCH_RULES);
    sim_watch_incarnation(r->watch, 3, 5, 3, 200);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_incarnation_new), 2);
    rig_free(r);
}

/* The same index again, of another log: an epoch there is above all that were before. */
Test(sim_watch_rules, an_epoch_is_incarnation_and_index)
{
    struct rig *r = rig_serving();

    sim_watch_incarnation(r->watch, 1, 1, 5, 2);
    sim_watch_stopped(r->watch, 1);
    sim_watch_started(r->watch, 1, 501, false);
    assign(r, 1, 501, 5, 3);
    rig_fine(r, SIM_WATCH_one_owner);
    assign(r, 1, 501, 1, 4); /* the incarnation was not raised */
    rig_broken(r, SIM_WATCH_one_owner, SIM_WATCH_RULES);
    rig_free(r);
}

/* Nor may one of an incarnation that nobody began. */
Test(sim_watch_rules, an_epoch_of_nobodys_incarnation)
{
    struct rig *r = rig_serving();

    begin_anew(r);
    assign(r, 1, 501, 6, r->index + 2);
    rig_broken(r, SIM_WATCH_one_owner, SIM_WATCH_RULES);
    rig_free(r);
}

/* What a former node applies late is of its own log. */
Test(sim_watch_rules, the_log_that_is_over)
{
    struct rig *r = rig_serving();

    begin_anew(r);
    r->owner = 0;
    rig_step_at(r, 2, 0); /* at the place where the new log begins */
    rig_fine(r, SIM_WATCH_same_record);
    cr_assert_eq(sim_watch_place(r->watch, 2, 7), 7);
    cr_assert_gt(sim_watch_place(r->watch, 1, 7), sim_watch_place(r->watch, 2, 1 << 20));
    rig_free(r);
}

/* Sessions end with their incarnation: one that comes out of its snapshot is one too many. */
Test(sim_watch_rules, an_sa_that_outlives_its_incarnation)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    struct rig *r = rig_serving();
    struct repl_event restored = rig_event(r, REPL_EV_RESTORED_SA);
    size_t n;

    begin_anew(r);
    cr_assert(ike_sa_encode(&r->sa, bytes, sizeof bytes, &n));
    restored.bytes = bytes;
    restored.bytes_len = n;
    rig_tell(r, 2, &restored); /* a former node's */
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_not_restored), 0);
    rig_tell(r, 1, &restored);
    rig_broken(r, SIM_WATCH_not_restored, SIM_WATCH_RULES);
    rig_free(r);
}

/* Or with their key, when it is lost: a state of before has them, one of behind it has them not. */
Test(sim_watch_rules, an_sa_that_outlives_the_key_of_the_sessions)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    struct rig *r = rig_serving();
    struct repl_event restored = rig_event(r, REPL_EV_RESTORED_SA), reset;
    size_t n;

    cr_assert(ike_sa_encode(&r->sa, bytes, sizeof bytes, &n));
    restored.bytes = bytes;
    restored.bytes_len = n;
    r->index++;
    sim_watch_sessions_lost(r->watch, 1, r->index);
    rig_tell(r, 2, &restored); /* it has applied nothing since */
    rig_fine(r, SIM_WATCH_not_restored);
    reset = rig_event(r, REPL_EV_RESET);
    rig_tell(r, 1, &reset);
    rig_tell(r, 1, &restored);
    rig_broken(r, SIM_WATCH_not_restored, SIM_WATCH_RULES);
    rig_free(r);
}

/* One that had the key, and whose conductor is behind, tells of what ended there: it is not begun again. */
Test(sim_watch_rules, what_is_told_late_of_lost_sessions)
{
    struct rig *r = rig_serving();

    sim_watch_sessions_lost(r->watch, 1, r->index + 2);
    rig_step(r, 0); /* in front of it */
    cr_assert_eq(sim_watch_violations(r->watch, NULL), 0);
    r->index++;
    rig_step(r, 0); /* behind it */
    rig_broken(r, SIM_WATCH_not_restored, SIM_WATCH_RULES);
    rig_free(r);
}

/* A wish, too. */
Test(sim_watch_rules, a_wish_that_outlives_its_incarnation)
{
    struct rig *r = rig_serving();
    struct repl_event give = rig_event(r, REPL_EV_GIVE);
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Move move = HOLDFAST__MOVE__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    move.node = 2;
    record.body_case = HOLDFAST__RECORD__BODY_MOVE;
    record.move = &move;
    rig_record(r, 1, &record, &facts);
    give.reason = "command";
    give.owner_node = 2;
    rig_tell(r, 1, &give);
    rig_fine(r, SIM_WATCH_audit_first);
    begin_anew(r);
    rig_tell(r, 1, &give);
    rig_broken(r, SIM_WATCH_audit_first, SIM_WATCH_RULES);
    rig_free(r);
}

/* Of the former members one is left. */
Test(sim_watch_rules, a_member_that_was_given_up)
{
    struct rig *r = rig_serving();

    begin_anew(r);
    assign(r, 1, 501, 5, r->index + 2);
    rig_fine(r, SIM_WATCH_left_is_out);
    {
        struct repl_event event = rig_event(r, REPL_EV_ASSIGNED);

        event.index = r->index + 3;
        event.epoch = (struct repl_epoch){5, event.index};
        event.owner_node = 2;
        event.owner_boot = 102;
        rig_tell(r, 1, &event);
    }
    rig_broken(r, SIM_WATCH_left_is_out, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(beginning_recorded)
{
    static const uint64_t written[] = {5};
    struct rig *r = rig_serving();

    sim_watch_recorded(r->watch, 1, NULL, 0); /* the first one needs no word */
    sim_watch_incarnation(r->watch, 1, 1, 5, r->index + 1);
    sim_watch_recorded(r->watch, 1, written, 1);
    sim_watch_recorded(r->watch, 2, NULL, 0); /* a former node */
    rig_fine(r, SIM_WATCH_beginning_recorded);
    sim_watch_incarnation(r->watch, 1, 5, 6, r->index + 2);
    sim_watch_recorded(r->watch, 1, written, 1);
    rig_broken(r, SIM_WATCH_beginning_recorded, SIM_WATCH_RULES);
    rig_free(r);
}
