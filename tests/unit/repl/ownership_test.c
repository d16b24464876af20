/* Ownership rule by rule, and all of it in a world that does its worst. The mutants (see
 * CMakeLists.txt) are this same program with one rule taken away: each must fail. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "replication/ownership.h"
#include "unit/repl/ownership_world.h"

static const uint64_t MS = 1000000;

enum { BOOT = 100 }; /* node n's boot is BOOT + n */

static struct repl_epoch epoch(uint64_t index)
{
    return (struct repl_epoch){.incarnation = 1, .index = index};
}

/* Node `self` of three, started at 0 and confirmed. */
static struct ownership *node(struct ownership *o, uint32_t self)
{
    struct ownership_options options = {.self = self,
                                        .boot = BOOT + self,
                                        .nodes = {1, 2, 3},
                                        .n_nodes = 3,
                                        .lease_ns = 150 * MS,
                                        .heartbeat_ns = 30 * MS};

    ownership_init(o, &options, 0);
    ownership_configure(o, 1, 0);
    for (uint32_t i = 1; i <= 3; i++)
        ownership_booted(o, i, BOOT + i);
    return o;
}

static bool hear(struct ownership *o, uint64_t index, uint32_t owner, uint64_t now_ms)
{
    struct ownership_heartbeat beat = {.shard = 1,
                                       .epoch = epoch(index),
                                       .owner_boot = BOOT + owner,
                                       .sent_ns = 7,
                                       .lease_ns = 150 * MS};
    struct ownership_ack ack = {0};
    bool given = ownership_heard(o, &beat, now_ms * MS, &ack);

    cr_assert(!given || (ack.sent_ns == 7 && ack.epoch.index == index));
    return given;
}

static void assign(struct ownership *o, uint64_t replaced, uint64_t index, uint32_t owner,
                   bool handover, uint64_t now_ms)
{
    ownership_assigned(o, 1, epoch(replaced), epoch(index), owner, BOOT + owner, handover,
                       now_ms * MS);
}

static bool ack(struct ownership *o, uint32_t from, uint64_t index, uint64_t sent_ms,
                uint64_t now_ms)
{
    struct ownership_ack a = {
        .shard = 1, .epoch = epoch(index), .owner_boot = o->options.boot, .sent_ns = sent_ms * MS};

    return ownership_acked(o, from, BOOT + from, &a, now_ms * MS);
}

Test(repl_ownership, lease_and_promise_leave_room_for_drift)
{
    struct ownership o;

    node(&o, 1);
    cr_assert_eq(ownership_lease_ns(&o), 148500000);
    cr_assert_eq(ownership_promise_ns(&o), 151500000);
}

Test(repl_ownership, a_lease_runs_from_the_send_time_of_what_a_majority_acknowledged)
{
    struct ownership o;
    struct ownership_shard *s;

    node(&o, 1);
    assign(&o, 0, 5, 1, false, 1000);
    s = ownership_shard(&o, 1);
    cr_assert(s->mine);
    cr_assert_not(ownership_held(s, 1000 * MS));
    cr_assert_not(ack(&o, 1, 5, 1000, 1000), "one of three is no majority");
    cr_assert_not(ownership_held(s, 1001 * MS));
    cr_assert(ack(&o, 2, 5, 1000, 1040));
    cr_assert_eq(s->lease_until_ns, 1000 * MS + 148500000);
    cr_assert_not(ack(&o, 2, 5, 1030, 1041), "only node 2 has that one");
    cr_assert(ack(&o, 3, 5, 1030, 1042));
    cr_assert_eq(s->lease_until_ns, 1030 * MS + 148500000);
    cr_assert(ownership_held(s, 1178 * MS));
    cr_assert_not(ownership_held(s, 1179 * MS));
}

Test(repl_ownership, acks_that_do_not_count)
{
    struct ownership o;
    struct ownership_ack a = {
        .shard = 1, .epoch = epoch(5), .owner_boot = BOOT + 1, .sent_ns = 1000 * MS};

    node(&o, 1);
    assign(&o, 0, 5, 1, false, 1000);
    (void)ack(&o, 1, 5, 1000, 1000);
    cr_assert_not(ownership_acked(&o, 2, BOOT + 9, &a, 1001 * MS), "an older boot of node 2");
    a.epoch = epoch(4);
    cr_assert_not(ownership_acked(&o, 2, BOOT + 2, &a, 1001 * MS), "another epoch");
    a.epoch = epoch(5);
    a.owner_boot = BOOT + 7;
    cr_assert_not(ownership_acked(&o, 2, BOOT + 2, &a, 1001 * MS), "to an older boot of ours");
    a.owner_boot = BOOT + 1;
    a.sent_ns = 2000 * MS;
    cr_assert_not(ownership_acked(&o, 2, BOOT + 2, &a, 1001 * MS), "for what was never sent");
    a.sent_ns = 900 * MS;
    cr_assert_not(ownership_acked(&o, 2, BOOT + 2, &a, 1001 * MS), "from before the assignment");
    a.sent_ns = 1000 * MS;
    cr_assert_not(ownership_acked(&o, 9, BOOT + 9, &a, 1001 * MS), "a stranger");
    cr_assert(ownership_acked(&o, 2, BOOT + 2, &a, 1001 * MS));
}

Test(repl_ownership, one_promise_at_a_time_and_never_an_older_one)
{
    struct ownership o;

    node(&o, 3);
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert(hear(&o, 5, 1, 1000));
    cr_assert(hear(&o, 5, 1, 1030));
    cr_assert_not(hear(&o, 8, 2, 1100), "promised to epoch 5 until 1181.5");
    cr_assert_not(hear(&o, 8, 2, 1181));
    cr_assert(hear(&o, 8, 2, 1182));
    cr_assert_not(hear(&o, 5, 1, 1183), "never a lower one again");
    cr_assert_not(hear(&o, 5, 1, 9000));
    cr_assert(hear(&o, 8, 2, 9001));
}

Test(repl_ownership, applying_a_newer_epoch_ends_the_older_one)
{
    struct ownership o;

    node(&o, 3);
    assign(&o, 0, 5, 1, false, 1000);
    assign(&o, 5, 8, 2, false, 1001);
    cr_assert_not(hear(&o, 5, 1, 1002));

    node(&o, 1);
    assign(&o, 0, 5, 1, false, 1000);
    (void)ack(&o, 1, 5, 1000, 1000);
    cr_assert(ack(&o, 2, 5, 1000, 1001));
    cr_assert(ownership_held(ownership_shard(&o, 1), 1002 * MS));
    assign(&o, 5, 8, 2, false, 1002);
    cr_assert_not(ownership_held(ownership_shard(&o, 1), 1002 * MS));
    cr_assert_not(ownership_shard(&o, 1)->mine);
}

Test(repl_ownership, a_handover_releases_the_promise_to_its_own_epoch_only)
{
    struct ownership o;

    node(&o, 3);
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert(hear(&o, 5, 1, 1000));
    assign(&o, 5, 8, 2, true, 1010);
    cr_assert(hear(&o, 8, 2, 1011));

    node(&o, 3);
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert(hear(&o, 5, 1, 1000));
    assign(&o, 5, 8, 2, false, 1010); /* a takeover: node 1 may still act */
    assign(&o, 8, 9, 3, true, 1011);  /* a handover by node 2 says nothing of node 1 */
    cr_assert_not(hear(&o, 9, 3, 1012));
    cr_assert(hear(&o, 9, 3, 1152));
}

Test(repl_ownership, a_restarted_node_is_silent)
{
    struct ownership o;
    struct ownership_options options;

    node(&o, 3);
    options = o.options;
    ownership_init(&o, &options, 5000 * MS); /* started now, knows nothing */
    ownership_configure(&o, 1, 0);
    ownership_assigned(&o, 1, epoch(0), epoch(5), 1, BOOT + 1, false, 5001 * MS);
    cr_assert_not(hear(&o, 5, 1, 5100));
    cr_assert_not(hear(&o, 5, 1, 5200), "its own BOOT record is not applied");
    ownership_booted(&o, 3, BOOT + 3);
    cr_assert(hear(&o, 5, 1, 5201));

    ownership_init(&o, &options, 5000 * MS);
    ownership_configure(&o, 1, 0);
    ownership_booted(&o, 3, BOOT + 3);
    ownership_assigned(&o, 1, epoch(0), epoch(5), 1, BOOT + 1, false, 5001 * MS);
    cr_assert_not(hear(&o, 5, 1, 5151), "what it promised before may last until 5151.5");
    cr_assert(hear(&o, 5, 1, 5152));
    ownership_booted(&o, 3, BOOT + 77);
    cr_assert(o.confirmed, "another's boot id takes nothing back");
}

/* Its last report said that it is well. Its promises count: it votes until a configuration is without it. */
Test(repl_ownership, who_has_left_gets_nothing_and_promises_on)
{
    struct ownership o;
    struct ownership_ack ack = {
        .shard = 1, .epoch = epoch(5), .owner_boot = BOOT + 1, .sent_ns = 1010 * MS};

    node(&o, 1);
    ownership_assigned(&o, 1, epoch(0), epoch(5), 1, BOOT + 1, false, 1000 * MS);
    ownership_report(&o, 2, BOOT + 2, true, 1, 1000 * MS);
    cr_assert(ownership_candidate(&o, 1, 1001 * MS));
    ownership_booted(&o, 2, 0);
    cr_assert_not(ownership_candidate(&o, 1, 1001 * MS));
    (void)ownership_acked(&o, 1, BOOT + 1, &ack, 1010 * MS);
    cr_assert(ownership_acked(&o, 2, BOOT + 2, &ack, 1011 * MS), "two of three: the lease runs");
}

Test(repl_ownership, an_assignment_to_another_boot_or_by_snapshot_is_not_ours)
{
    struct ownership o;

    node(&o, 1);
    ownership_assigned(&o, 1, epoch(0), epoch(5), 1, BOOT + 9, false, 1000 * MS);
    cr_assert_not(ownership_shard(&o, 1)->mine, "an earlier start of this node");
    ownership_restored(&o, 1, epoch(6), 1, BOOT + 1, 1001 * MS);
    cr_assert_not(ownership_shard(&o, 1)->mine, "its grant was jumped over");
    assign(&o, 6, 7, 1, false, 1002);
    cr_assert(ownership_shard(&o, 1)->mine);
    ownership_restored(&o, 1, epoch(7), 1, BOOT + 1, 1003 * MS);
    cr_assert_not(ownership_shard(&o, 1)->mine, "after a reinstall it holds no grant");
}

Test(repl_ownership, an_owner_with_a_longer_lease_than_our_promise_gets_none)
{
    struct ownership o;
    struct ownership_heartbeat beat = {
        .shard = 1, .epoch = epoch(5), .owner_boot = BOOT + 1, .sent_ns = 1, .lease_ns = 160 * MS};
    struct ownership_ack a;

    node(&o, 3);
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert_not(ownership_heard(&o, &beat, 1001 * MS, &a));
    beat.lease_ns = 150 * MS;
    cr_assert(ownership_heard(&o, &beat, 1001 * MS, &a));
    beat.shard = 77;
    cr_assert_not(ownership_heard(&o, &beat, 1001 * MS, &a), "a shard that nobody knows");
}

Test(repl_ownership, lapse_needs_silence_and_no_promise)
{
    struct ownership o;
    struct ownership_shard *s;

    node(&o, 3);
    s = ownership_shard(&o, 1);
    cr_assert_not(ownership_lapsed(&o, s, 9000 * MS), "nobody owned it yet");
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert_not(ownership_lapsed(&o, s, 1151 * MS));
    cr_assert(ownership_lapsed(&o, s, 1152 * MS), "never heard of");
    (void)hear(&o, 5, 1, 1160);
    cr_assert_not(ownership_lapsed(&o, s, 1311 * MS));
    cr_assert(ownership_lapsed(&o, s, 1312 * MS));
    assign(&o, 5, 8, 2, false, 1313);
    cr_assert_not(ownership_lapsed(&o, s, 1314 * MS), "an assignment starts the period anew");
    (void)hear(&o, 9, 3, 1400); /* an owner whose assignment is not applied here yet */
    cr_assert_not(ownership_lapsed(&o, s, 1550 * MS), "a promise of this node still runs");
    cr_assert(ownership_lapsed(&o, s, 1552 * MS));
}

Test(repl_ownership, an_owner_without_a_lease_stops_asking)
{
    struct ownership o;
    struct ownership_heartbeat beats[REPL_MAX_SHARDS];

    node(&o, 1);
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert_eq(ownership_heartbeats(&o, true, 1000 * MS, beats), 1);
    cr_assert_eq(ownership_heartbeats(&o, false, 1001 * MS, beats), 0, "not healthy");
    cr_assert_eq(ownership_heartbeats(&o, true, 1454 * MS, beats), 1);
    cr_assert_eq(ownership_heartbeats(&o, true, 1455 * MS, beats), 0, "three promises long");
    assign(&o, 5, 8, 1, false, 1500);
    cr_assert_eq(ownership_heartbeats(&o, true, 1500 * MS, beats), 1);
}

/* --- the leader's decision --- */

static void report(struct ownership *o, uint32_t from, uint64_t applied, uint64_t now_ms)
{
    ownership_report(o, from, BOOT + from, true, applied, now_ms * MS);
}

static bool decide(struct ownership *o, uint64_t now_ms, uint32_t *to)
{
    struct ownership_decision d = {0};
    bool decided = ownership_decide(o, now_ms * MS, &d);

    *to = d.node;
    return decided;
}

Test(repl_ownership, the_leader_waits_for_a_majority_and_its_own_view)
{
    struct ownership o;
    uint32_t to;

    node(&o, 2);
    ownership_leading(&o, true, 500 * MS);
    assign(&o, 0, 5, 1, false, 1000);
    (void)hear(&o, 5, 1, 1050);
    report(&o, 2, 10, 1199);
    report(&o, 3, 10, 1199);
    ownership_report_lapse(&o, 1, 1, epoch(5), 1199 * MS);
    ownership_report_lapse(&o, 3, 1, epoch(5), 1199 * MS);
    cr_assert_not(decide(&o, 1200, &to), "it promised itself until 1201.5");
    ownership_report_lapse(&o, 1, 1, epoch(4), 1200 * MS);
    ownership_report_lapse(&o, 3, 1, epoch(4), 1200 * MS);
    cr_assert_not(decide(&o, 1202, &to), "those lapses are of another epoch");
    ownership_report_lapse(&o, 3, 1, epoch(5), 1203 * MS);
    cr_assert(decide(&o, 1203, &to));
    cr_assert_not(decide(&o, 1204, &to), "under way already");
    ownership_leading(&o, false, 1205 * MS);
    cr_assert_not(decide(&o, 1205, &to), "no leader any more");
    ownership_leading(&o, true, 1206 * MS);
    cr_assert(decide(&o, 1206, &to), "the old decision belonged to another term");
    ownership_undecided(&o, 1);
    cr_assert(decide(&o, 1207, &to), "it was refused");
}

/* Node 1, the owner, is dead. Node 3 has left and knows no epoch behind its LEAVE; it is there, and votes. */
Test(repl_ownership, who_has_left_objects_to_no_takeover)
{
    struct ownership o;
    uint32_t to;

    node(&o, 2);
    ownership_leading(&o, true, 500 * MS);
    assign(&o, 0, 5, 1, false, 1000);
    (void)hear(&o, 5, 1, 1050);
    ownership_booted(&o, 3, 0);
    report(&o, 2, 10, 1203);
    cr_assert_not(decide(&o, 1203, &to), "it is not heard");
    report(&o, 3, 10, 1204);
    ownership_report_lapse(&o, 3, 1, epoch(4), 1204 * MS);
    cr_assert(decide(&o, 1204, &to));
    cr_assert_eq(to, 2, "not to who has left");
}

Test(repl_ownership, old_reports_count_for_nothing)
{
    struct ownership o;
    uint32_t to;

    node(&o, 2);
    ownership_leading(&o, true, 500 * MS);
    assign(&o, 0, 5, 1, false, 1000);
    ownership_report_lapse(&o, 3, 1, epoch(5), 1155 * MS);
    report(&o, 2, 10, 1400);
    cr_assert_not(decide(&o, 1400, &to), "node 3's report is 245 ms old");
    ownership_report_lapse(&o, 3, 1, epoch(5), 1401 * MS);
    cr_assert(decide(&o, 1401, &to));
    cr_assert_eq(to, 2);
    ownership_undecided(&o, 1);
    cr_assert_not(decide(&o, 1552, &to), "nobody reported health of late");
}

static uint32_t choice(uint32_t prefer, uint32_t former, const uint64_t *applied,
                       const bool *healthy)
{
    struct ownership o;
    uint32_t to = 0;

    node(&o, 2);
    ownership_configure(&o, 1, prefer);
    ownership_leading(&o, true, 500 * MS);
    assign(&o, 0, 5, former, false, 1000);
    for (uint32_t i = 1; i <= 3; i++) {
        ownership_report(&o, i, BOOT + i, healthy[i - 1], applied[i - 1], 1200 * MS);
        ownership_report_lapse(&o, i, 1, epoch(5), 1200 * MS);
    }
    return decide(&o, 1200, &to) ? to : 0;
}

Test(repl_ownership, the_choice_is_preferred_healthy_most_applied)
{
    const uint64_t same[] = {10, 10, 10};
    const uint64_t third[] = {10, 10, 11 + OWNERSHIP_APPLIED_ALIKE};
    const uint64_t nearly[] = {10, 10, 10 + OWNERSHIP_APPLIED_ALIKE};
    const bool all[] = {true, true, true};
    const bool not2[] = {true, false, true};
    const bool none[] = {false, false, false};
    const bool only1[] = {true, false, false};

    cr_assert_eq(choice(2, 1, same, all), 2, "the configured one");
    cr_assert_eq(choice(2, 1, third, all), 2, "even if another has applied more");
    cr_assert_eq(choice(2, 1, third, not2), 3, "but a healthy one");
    cr_assert_eq(choice(0, 1, third, all), 3, "the one that has applied most");
    cr_assert_eq(choice(0, 1, nearly, all), 2, "a few entries are nothing");
    cr_assert_eq(choice(0, 1, same, all), 2, "the lowest id that did not just fail");
    cr_assert_eq(choice(1, 1, same, all), 2, "not the one that just failed, preferred or not");
    cr_assert_eq(choice(0, 1, same, only1), 1, "unless there is nobody else");
    cr_assert_eq(choice(0, 1, same, none), 0, "nobody");
}

Test(repl_ownership, a_takeover_goes_neither_to_the_drained_nor_first_to_the_reluctant)
{
    for (int way = 0; way < 4; way++) {
        struct ownership o;
        uint32_t to = 0;

        node(&o, 2);
        ownership_configure(&o, 1, 2);
        ownership_drained(&o, 2, way == 1 || way == 3);
        ownership_drained(&o, 3, way == 3);
        ownership_report_reluctant(&o, 2, way == 2);
        ownership_leading(&o, true, 500 * MS);
        assign(&o, 0, 5, 1, false, 1000);
        for (uint32_t i = 2; i <= 3; i++) {
            ownership_report(&o, i, BOOT + i, true, 10, 1200 * MS);
            ownership_report_lapse(&o, i, 1, epoch(5), 1200 * MS);
        }
        cr_assert_eq(decide(&o, 1200, &to), way != 3);
        cr_assert_eq(to, way == 0 ? 2 : way == 3 ? 0 : 3, "way %d: node %u", way, to);
    }
}

/* Several shards of a dead node do not all go to one. */
Test(repl_ownership, a_takeover_of_several_shards_is_spread)
{
    struct ownership o;
    uint32_t to = 0, first;

    node(&o, 2);
    ownership_configure(&o, 2, 0);
    ownership_leading(&o, true, 500 * MS);
    assign(&o, 0, 5, 1, false, 1000);
    ownership_assigned(&o, 2, epoch(0), epoch(6), 1, BOOT + 1, false, 1000 * MS);
    for (uint32_t i = 2; i <= 3; i++) {
        ownership_report(&o, i, BOOT + i, true, 10, 1200 * MS);
        for (uint32_t s = 1; s <= 2; s++)
            ownership_report_lapse(&o, i, s, epoch(4 + s), 1200 * MS);
    }
    cr_assert(decide(&o, 1200, &to));
    first = to;
    cr_assert(decide(&o, 1200, &to));
    cr_assert_neq(first, to);
}

Test(repl_ownership, a_first_assignment_waits_a_little_for_the_preferred_node)
{
    struct ownership o;
    uint32_t to;

    node(&o, 2);
    ownership_configure(&o, 1, 1);
    ownership_leading(&o, true, 1000 * MS);
    report(&o, 2, 10, 1100);
    cr_assert_not(decide(&o, 1100, &to));
    report(&o, 2, 10, 2499);
    cr_assert_not(decide(&o, 2499, &to));
    report(&o, 2, 10, 2501);
    cr_assert(decide(&o, 2501, &to));
    cr_assert_eq(to, 2);

    node(&o, 2);
    ownership_configure(&o, 1, 1);
    ownership_leading(&o, true, 1000 * MS);
    report(&o, 1, 10, 1100);
    report(&o, 2, 10, 1100);
    cr_assert(decide(&o, 1101, &to));
    cr_assert_eq(to, 1);
}

Test(repl_ownership, nobody_else_is_told_while_the_owner_is_heard)
{
    struct ownership o;
    uint32_t to;

    node(&o, 2);
    ownership_configure(&o, 1, 3); /* node 3 is preferred, node 1 owns: no failback by itself */
    ownership_leading(&o, true, 500 * MS);
    assign(&o, 0, 5, 1, false, 1000);
    for (uint64_t t = 1000; t < 60000; t += 30) {
        (void)hear(&o, 5, 1, t);
        report(&o, 1, 10, t);
        report(&o, 2, 10, t);
        report(&o, 3, 10, t);
        cr_assert_not(decide(&o, t, &to));
    }
}

Test(repl_ownership, one_owner_at_a_time_in_a_world_that_does_its_worst, .timeout = 250)
{
    struct world_result sum = {0};

    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct world_result r = world_run(seed);

        cr_assert_eq(r.two, 0, "seed %lu: two owners for %lu instants", (unsigned long)seed,
                     (unsigned long)r.two);
        sum.instants += r.instants;
        sum.acting += r.acting;
        sum.assignments += r.assignments;
        sum.handovers += r.handovers;
        sum.restarts += r.restarts;
        sum.pauses += r.pauses;
    }
    (void)fprintf(stderr,
                  "400 worlds: %lu instants, an owner in %lu, %lu assignments, %lu handovers, %lu "
                  "restarts, %lu pauses, never two owners\n",
                  (unsigned long)sum.instants, (unsigned long)sum.acting,
                  (unsigned long)sum.assignments, (unsigned long)sum.handovers,
                  (unsigned long)sum.restarts, (unsigned long)sum.pauses);
    cr_assert_gt(sum.acting, sum.instants / 10, "hardly ever an owner: nothing was tested");
}
