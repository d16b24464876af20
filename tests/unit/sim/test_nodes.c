/* Processes, disks and commands: each rule with a history that it accepts and one breach. */
#include <criterion/criterion.h>

#include "rig.h"

RULE(node_unique)
{
    struct rig *r = rig_serving();

    sim_watch_stopped(r->watch, 2);
    sim_watch_started(r->watch, 2, 202, false);
    rig_fine(r, SIM_WATCH_node_unique);
    sim_watch_started(r->watch, 2, 203, false); /* it runs already */
    rig_broken(r, SIM_WATCH_node_unique, SIM_WATCH_RULES);
    sim_watch_stopped(r->watch, 2);
    sim_watch_started(r->watch, 2, 101, false); /* node 1's boot id */
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_node_unique), 2);
    rig_free(r);
}

RULE(data_lost)
{
    struct rig *r = rig_serving();

    sim_watch_counts(r->watch, 2);
    sim_watch_stopped(r->watch, 2);
    sim_watch_started(r->watch, 2, 202, true);
    sim_watch_durable(r->watch, 2, 1);
    sim_watch_durable(r->watch, 2, r->index);
    sim_watch_counts(r->watch, 2);
    rig_fine(r, SIM_WATCH_data_lost);
    sim_watch_stopped(r->watch, 3);
    sim_watch_started(r->watch, 3, 203, true);
    sim_watch_durable(r->watch, 3, 1);
    sim_watch_stopped(r->watch, 3);
    sim_watch_started(r->watch, 3, 303, false); /* starting again mends nothing */
    sim_watch_durable(r->watch, 3, r->index - 1);
    sim_watch_counts(r->watch, 3);
    rig_broken(r, SIM_WATCH_data_lost, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(withholds)
{
    struct rig *r = rig_serving();

    sim_watch_takes_part(r->watch, 2, "gives a vote");
    sim_watch_stopped(r->watch, 2);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_withholds), 0); /* nobody lost anything */
    sim_watch_started(r->watch, 2, 202, true);
    sim_watch_takes_part(r->watch, 1, "leads");
    sim_watch_durable(r->watch, 2, r->index);
    sim_watch_counts(r->watch, 2);
    sim_watch_takes_part(r->watch, 2, "leads");
    rig_fine(r, SIM_WATCH_withholds);
    sim_watch_stopped(r->watch, 3);
    sim_watch_started(r->watch, 3, 203, true);
    sim_watch_takes_part(r->watch, 3, "gives a vote");
    rig_broken(r, SIM_WATCH_withholds, SIM_WATCH_RULES);
    rig_free(r);
}

/* Node 2 lost all of it. The barrier that node 1 makes then is the next index. */
static struct rig *rig_distrusting(void)
{
    struct rig *r = rig_serving();

    sim_watch_stopped(r->watch, 2);
    sim_watch_started(r->watch, 2, 202, true);
    sim_watch_durable(r->watch, 2, r->index + 1);
    sim_watch_durable(r->watch, 1, r->index + 1);
    sim_watch_durable(r->watch, 3, r->index + 1);
    return r;
}

RULE(trusted_by_others)
{
    struct rig *r = rig_distrusting();

    sim_watch_trusts(r->watch, 1, 2, 202, r->index + 1);
    rig_fine(r, SIM_WATCH_trusted_by_others);
    sim_watch_durable(r->watch, 3, r->index);            /* so node 1 has it, and node 2 */
    sim_watch_trusts(r->watch, 1, 2, 102, r->index + 1); /* of a start that is over: no word */
    sim_watch_trusts(r->watch, 1, 3, 103, r->index + 1); /* it lost nothing */
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_trusted_by_others), 1);
    sim_watch_trusts(r->watch, 1, 2, 202, r->index + 1);
    rig_broken(r, SIM_WATCH_trusted_by_others, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, trusted_by_what_was_there_before)
{
    struct rig *r = rig_distrusting();

    sim_watch_trusts(r->watch, 1, 2, 202, r->index);
    rig_broken(r, SIM_WATCH_trusted_by_others, SIM_WATCH_RULES);
    rig_free(r);
}

/* What nobody has applied may be overwritten: it is not missed. */
Test(sim_watch_rules, data_that_was_never_committed)
{
    struct rig *r = rig_serving();

    sim_watch_durable(r->watch, 3, r->index + 50);
    sim_watch_stopped(r->watch, 3);
    sim_watch_started(r->watch, 3, 203, true);
    sim_watch_durable(r->watch, 3, r->index);
    sim_watch_counts(r->watch, 3);
    rig_fine(r, SIM_WATCH_data_lost);
    rig_free(r);
}

RULE(no_wall_clock)
{
    struct rig *r = rig_serving();

    sim_watch_same_run(r->watch, 5, 5);
    rig_fine(r, SIM_WATCH_no_wall_clock);
    sim_watch_same_run(r->watch, 5, 6);
    rig_broken(r, SIM_WATCH_no_wall_clock, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(half_open_bound)
{
    struct rig *r = rig_serving();

    sim_watch_half_open(r->watch, 1, CONDUCTOR_HALF_OPEN_MAX, CONDUCTOR_HALF_OPEN_SOURCE_MAX);
    rig_fine(r, SIM_WATCH_half_open_bound);
    sim_watch_half_open(r->watch, 1, 100, CONDUCTOR_HALF_OPEN_SOURCE_MAX + 1);
    rig_broken(r, SIM_WATCH_half_open_bound, SIM_WATCH_RULES);
    rig_free(r);
}

static void give(struct rig *r, const char *reason)
{
    struct repl_event event = rig_event(r, REPL_EV_GIVE);

    event.reason = reason;
    event.owner_node = 2;
    rig_tell(r, 1, &event);
}

static void wish(struct rig *r, uint32_t from, uint32_t to)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Move move = HOLDFAST__MOVE__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    if (from != 1) { /* node 1 is behind */
        r->index++;
        r->request++;
    }
    move.node = to;
    record.body_case = HOLDFAST__RECORD__BODY_MOVE;
    record.move = &move;
    rig_record(r, from, &record, &facts);
}

static void drain_wish(struct rig *r, uint32_t from, bool drained)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Drain drain = HOLDFAST__DRAIN__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    if (from != 1) {
        r->index++;
        r->request++;
    }
    drain.node = 1;
    drain.drained = drained;
    record.body_case = HOLDFAST__RECORD__BODY_DRAIN;
    record.drain = &drain;
    rig_record(r, from, &record, &facts);
}

RULE(audit_first)
{
    struct rig *r = rig_serving();

    wish(r, 1, 2);
    give(r, "command");
    give(r, "spread"); /* nobody's command */
    rig_fine(r, SIM_WATCH_audit_first);
    give(r, "drained");
    rig_broken(r, SIM_WATCH_audit_first, SIM_WATCH_RULES);
    rig_free(r);
}

/* Node 1 follows the wish that it has applied, while the others have applied the next one already. */
Test(sim_watch_rules, a_wish_that_others_know_to_be_over)
{
    struct rig *r = rig_serving();

    wish(r, 1, 2);
    drain_wish(r, 1, true);
    wish(r, 2, 3);
    drain_wish(r, 2, false);
    give(r, "command");
    give(r, "drained");
    rig_fine(r, SIM_WATCH_audit_first);
    wish(r, 1, 3); /* now node 1 knows, too */
    give(r, "command");
    rig_broken(r, SIM_WATCH_audit_first, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, a_drain_in_the_log)
{
    struct rig *r = rig_serving();

    drain_wish(r, 1, true);
    give(r, "drained");
    rig_fine(r, SIM_WATCH_audit_first);
    give(r, "command");
    rig_broken(r, SIM_WATCH_audit_first, SIM_WATCH_RULES);
    drain_wish(r, 1, false);
    give(r, "drained");
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_audit_first), 2);
    rig_free(r);
}

RULE(room)
{
    struct rig *r = rig_serving();

    rig_fine(r, SIM_WATCH_room);
    sim_watch_stopped(r->watch, SIM_WATCH_NODES + 1);
    rig_broken(r, SIM_WATCH_room, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch, names_and_words_of_all)
{
    for (enum sim_watch_rule i = 0; i < SIM_WATCH_RULES; i++) {
        cr_assert_eq(strncmp(sim_watch_rule_name(i), sim_watch_rule_invariant(i),
                             strlen(sim_watch_rule_invariant(i))),
                     0);
        cr_assert_gt(strlen(sim_watch_rule_words(i)), 0);
    }
    for (enum sim_watch_case i = 0; i < SIM_WATCH_CASES; i++)
        cr_assert(strlen(sim_watch_case_name(i)) > 0 && strlen(sim_watch_case_words(i)) > 0);
}

/* All are counted, the first ones are kept. */
Test(sim_watch, more_violations_than_are_kept)
{
    struct rig *r = rig_serving();
    const struct sim_watch_violation *kept;

    for (unsigned i = 0; i < SIM_WATCH_KEPT + 5; i++) {
        r->now_ms = 10 + i;
        sim_watch_same_run(r->watch, 5, 6 + i);
    }
    cr_assert_eq(sim_watch_violations(r->watch, &kept), SIM_WATCH_KEPT + 5);
    cr_assert_eq(kept[0].at_ms, 10);
    cr_assert_eq(kept[SIM_WATCH_KEPT - 1].at_ms, 10 + SIM_WATCH_KEPT - 1);
    cr_assert_eq(kept[0].rule, SIM_WATCH_no_wall_clock);
    rig_free(r);
}
