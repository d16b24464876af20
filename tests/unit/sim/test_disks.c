/* What stands on the disks, and who met what: each rule with a history that it accepts and one breach. */
#include <criterion/criterion.h>

#include "rig.h"

static struct repl_entry entry(uint64_t term, const char *text)
{
    return (struct repl_entry){.term = term,
                               .kind = REPL_ENTRY_COMMAND,
                               .data = span_of((const uint8_t *)text, strlen(text))};
}

/* Node's log has these three, the first one at index 5; behind a snapshot of entry 4, if that is of a term. */
static void stored(struct rig *r, uint32_t node, uint64_t before, struct repl_entry a,
                   struct repl_entry b, struct repl_entry c)
{
    struct repl_entry entries[] = {a, b, c};
    struct repl_loaded log = {.first_index = 5, .entries = entries, .n_entries = 3};

    if (before != 0)
        log.snapshot = (struct repl_snapshot_meta){.index = 4, .term = before};
    sim_watch_stored(r->watch, node, &log);
}

RULE(one_entry)
{
    struct rig *r = rig_serving();

    stored(r, 1, 0, entry(2, "a"), entry(2, "b"), entry(3, "c"));
    stored(r, 2, 1, entry(2, "a"), entry(2, "b"), entry(3, "c"));
    stored(r, 3, 1, entry(2, "a"), entry(4, "d"), entry(4, "e")); /* it led, cut off from them */
    rig_fine(r, SIM_WATCH_one_entry);
    stored(r, 3, 1, entry(2, "a"), entry(2, "x"), entry(4, "e")); /* term 2 was led twice */
    rig_broken(r, SIM_WATCH_one_entry, SIM_WATCH_RULES);
    rig_free(r);
}

/* The entries are the same, what is in front of them is not: one of both was taken on a wrong word. */
Test(sim_watch_rules, one_entry_behind_two_histories)
{
    for (int at = 0; at < 2; at++) {
        struct rig *r = rig_serving();

        stored(r, 1, 1, entry(2, "a"), entry(2, "b"), entry(4, "c"));
        if (at == 0)
            stored(r, 2, 1, entry(2, "a"), entry(3, "d"), entry(4, "c"));
        else
            stored(r, 2, 2, entry(2, "a"), entry(2, "b"), entry(4, "c"));
        rig_broken(r, SIM_WATCH_one_entry, SIM_WATCH_RULES);
        rig_free(r);
    }
}

/* Of a cluster that began anew the places are others. */
Test(sim_watch_rules, the_same_term_of_another_incarnation)
{
    struct rig *r = rig_serving();

    stored(r, 1, 1, entry(2, "a"), entry(2, "b"), entry(3, "c"));
    sim_watch_incarnation(r->watch, 2, 1, 5, 4);
    stored(r, 2, 1, entry(2, "x"), entry(2, "y"), entry(2, "z"));
    rig_fine(r, SIM_WATCH_room);
    cr_assert_eq(sim_watch_judged(r->watch, SIM_WATCH_one_entry), 0); /* nothing is at one place */
    rig_free(r);
}

RULE(one_history)
{
    struct rig *r = rig_serving();

    sim_watch_ended(r->watch, 1, false, true, "a write failed");
    rig_fine(r, SIM_WATCH_one_history);
    sim_watch_ended(r->watch, 2, true, false, "it contradicts");
    rig_broken(r, SIM_WATCH_one_history, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(ends_for_cause)
{
    struct rig *r = rig_serving();

    sim_watch_ended(r->watch, 1, false, true, "a write failed");
    rig_fine(r, SIM_WATCH_ends_for_cause);
    sim_watch_ended(r->watch, 2, false, false, "a write failed"); /* so it says */
    rig_broken(r, SIM_WATCH_ends_for_cause, SIM_WATCH_RULES);
    rig_free(r);
}
