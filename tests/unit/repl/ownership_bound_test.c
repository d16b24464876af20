/* Shards that the state has and this node's file has not, or the other way round: files change over
 * a cluster's life, and the state keeps what they had. */
#include <criterion/criterion.h>

#include "replication/ownership.h"

static const uint64_t MS = 1000000;

enum { BOOT = 100 }; /* node n's boot is BOOT + n */

static struct repl_epoch epoch(uint64_t index)
{
    return (struct repl_epoch){.incarnation = 1, .index = index};
}

/* Node 1 of three, with shards 1 ... n in its file, leading since 500 ms. */
static void leader(struct ownership *o, uint32_t n)
{
    struct ownership_options options = {.self = 1,
                                        .boot = BOOT + 1,
                                        .nodes = {1, 2, 3},
                                        .n_nodes = 3,
                                        .lease_ns = 150 * MS,
                                        .heartbeat_ns = 30 * MS};

    ownership_init(o, &options, 0);
    for (uint32_t i = 1; i <= n; i++)
        ownership_configure(o, i, 0);
    for (uint32_t i = 1; i <= 3; i++)
        ownership_booted(o, i, BOOT + i);
    ownership_leading(o, true, 500 * MS);
}

/* All three are well at that time. */
static void report(struct ownership *o, uint64_t now_ms)
{
    for (uint32_t i = 1; i <= 3; i++)
        ownership_report(o, i, BOOT + i, true, 10, now_ms * MS);
}

static size_t decide_all(struct ownership *o, uint64_t now_ms)
{
    struct ownership_decision d;
    size_t n = 0;

    while (ownership_decide(o, now_ms * MS, &d))
        n++;
    return n;
}

Test(repl_ownership, a_start_with_any_history_of_files_is_survived)
{
    static struct ownership o;

    leader(&o, REPL_MAX_SHARDS);
    for (uint32_t i = 1; i <= REPL_MAX_SHARDS; i++) /* none of them is in the file any more */
        ownership_restored(&o, 1000 + i, epoch(i), 2, BOOT + 2, 600 * MS);
    report(&o, 1000);
    cr_assert_eq(decide_all(&o, 1000), 0, "the log would refuse each");
    cr_assert_eq(ownership_without_place(&o), 1);
    for (uint32_t i = 1; i <= REPL_MAX_SHARDS; i++)
        ownership_assigned(&o, 1000 + i, epoch(i), epoch(100 + i), 3, BOOT + 3, false, 1001 * MS);
    cr_assert_eq(ownership_shard(&o, 1064)->owner_node, 3);
}

Test(repl_ownership, no_more_is_decided_than_the_state_has_room_for)
{
    static struct ownership o;

    leader(&o, 40);
    cr_assert_eq(ownership_without_place(&o), 0);
    for (uint32_t i = 1; i <= 40; i++)
        ownership_restored(&o, 1000 + i, epoch(i), 2, BOOT + 2, 600 * MS);
    report(&o, 1000);
    cr_assert_eq(decide_all(&o, 1000), REPL_MAX_SHARDS - 40);
    cr_assert_eq(ownership_without_place(&o), 25, "16 of 40 wait");
    ownership_assigned(&o, 1, epoch(0), epoch(200), 1, BOOT + 1, false, 1001 * MS);
    cr_assert_eq(decide_all(&o, 1002), 0);
}

Test(repl_ownership, what_the_log_refused_is_not_decided_again_at_once)
{
    static struct ownership o;

    leader(&o, 1);
    report(&o, 1000);
    cr_assert_eq(decide_all(&o, 1000), 1);
    ownership_refused(&o, 1, 1001 * MS);
    cr_assert_eq(decide_all(&o, 1002), 0);
    report(&o, 1150);
    cr_assert_eq(decide_all(&o, 1150), 0);
    cr_assert_eq(decide_all(&o, 1151), 1, "a lease later");
}

/* Shard 9 is in no file; node 2 owns it by the log, and has started anew since. */
static void with_a_stray(struct ownership *o, uint64_t now_ms)
{
    leader(o, 1);
    ownership_restored(o, 9, epoch(7), 2, BOOT + 9, 600 * MS);
    ownership_assigned(o, 1, epoch(0), epoch(8), 3, BOOT + 3, false, now_ms * MS);
    report(o, now_ms);
    for (uint32_t i = 2; i <= 3; i++)
        ownership_report_lapse(o, i, 9, epoch(7), now_ms * MS);
}

Test(repl_ownership, what_is_in_no_file_is_taken_from_the_drained_alone)
{
    static struct ownership o;
    struct ownership_decision d;

    with_a_stray(&o, 1000);
    cr_assert_eq(decide_all(&o, 1000), 0, "its owner may stay");
    ownership_drained(&o, 3, true);
    cr_assert_eq(decide_all(&o, 1000), 0);
    ownership_drained(&o, 3, false);
    ownership_drained(&o, 2, true);
    cr_assert(ownership_decide(&o, 1000 * MS, &d));
    cr_assert(d.shard == 9 && d.replaces.index == 7 && d.node != 2, "to another, after the lapse");
    ownership_assigned(&o, 9, epoch(7), epoch(10), d.node, d.boot, false, 1001 * MS);
    report(&o, 1160);
    for (uint32_t i = 2; i <= 3; i++)
        ownership_report_lapse(&o, i, 9, epoch(10), 1160 * MS);
    cr_assert_eq(decide_all(&o, 1160), 0, "once");
}

Test(repl_ownership, nobody_keeps_a_shard_that_his_file_has_not)
{
    static struct ownership o;
    struct ownership_heartbeat beats[REPL_MAX_SHARDS];

    leader(&o, 1);
    ownership_assigned(&o, 9, epoch(0), epoch(7), 1, BOOT + 1, false, 1000 * MS);
    cr_assert_eq(ownership_heartbeats(&o, true, 1000 * MS, beats), 0, "it lapses");
    cr_assert(ownership_beat_due(&o, 1000 * MS));
    cr_assert_not(ownership_beat_due(&o, 1004 * MS), "nothing is asked for in haste");
    ownership_assigned(&o, 1, epoch(0), epoch(8), 1, BOOT + 1, false, 1001 * MS);
    cr_assert_eq(ownership_heartbeats(&o, true, 1001 * MS, beats), 1);
    cr_assert_eq(beats[0].shard, 1);
}
