/* Ownership while members change: members.md rule by rule, and worlds that do their worst. Part of
 * the program that the mutants are made of. */
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

/* Node `self` of five, started at 0 and confirmed. */
static void node(struct ownership *o, uint32_t self)
{
    struct ownership_options options = {.self = self,
                                        .boot = BOOT + self,
                                        .nodes = {1, 2, 3, 4, 5},
                                        .n_nodes = 5,
                                        .lease_ns = 150 * MS,
                                        .heartbeat_ns = 30 * MS};

    ownership_init(o, &options, 0);
    ownership_configure(o, 1, 0);
}

static void assign(struct ownership *o, uint64_t replaced, uint64_t index, uint32_t owner,
                   bool handover, uint64_t now_ms)
{
    ownership_assigned(o, 1, epoch(replaced), epoch(index), owner, BOOT + owner, handover,
                       now_ms * MS);
}

static void list(struct ownership *o, uint64_t configuration, unsigned voters)
{
    struct ownership_list l = {.configuration = configuration, .n = 5};

    for (uint32_t i = 0; i < l.n; i++) {
        l.nodes[i] = i + 1;
        l.voter[i] = (voters >> i & 1) != 0;
    }
    ownership_listed(o, &l);
    for (uint32_t i = 1; i <= l.n; i++)
        ownership_booted(o, i, BOOT + i);
}

static bool ack_of(struct ownership *o, uint32_t from, uint64_t configuration, uint64_t sent_ms,
                   uint64_t now_ms)
{
    struct ownership_ack a = {.shard = 1,
                              .epoch = epoch(5),
                              .owner_boot = o->options.boot,
                              .sent_ns = sent_ms * MS,
                              .configuration = configuration};

    return ownership_acked(o, from, BOOT + from, &a, now_ms * MS);
}

Test(repl_ownership, promises_count_only_for_the_voters_that_they_were_asked_under)
{
    struct ownership o;

    node(&o, 1);
    list(&o, 7, 0x1f);
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert_not(ack_of(&o, 1, 7, 1010, 1011));
    cr_assert_not(ack_of(&o, 2, 7, 1010, 1011), "two of five");
    list(&o, 8, 0x07);
    cr_assert_not(ack_of(&o, 1, 8, 1020, 1021), "one of three, asked as one of three");
    cr_assert_not(ack_of(&o, 2, 7, 1015, 1021), "asked as one of five");
    cr_assert(ack_of(&o, 2, 8, 1020, 1022));
    cr_assert(ownership_held(ownership_shard(&o, 1), 1100 * MS));
    list(&o, 9, 0x0f);
    cr_assert(ownership_held(ownership_shard(&o, 1), 1100 * MS), "a lease that runs goes on");
}

Test(repl_ownership, learners_and_the_removed_neither_count_nor_own)
{
    struct ownership o;
    struct ownership_heartbeat out[REPL_MAX_SHARDS];
    struct ownership_decision d;

    node(&o, 1);
    list(&o, 7, 0x07);
    assign(&o, 0, 5, 1, false, 1000);
    cr_assert_not(ack_of(&o, 4, 7, 1010, 1011));
    cr_assert_not(ack_of(&o, 5, 7, 1010, 1011));
    cr_assert_not(ack_of(&o, 1, 7, 1010, 1011), "itself and two learners");
    cr_assert_eq(ownership_heartbeats(&o, true, 1020 * MS, out), 1);
    cr_assert_eq(out[0].configuration, 7);
    list(&o, 8, 0x06);
    cr_assert_eq(ownership_heartbeats(&o, true, 1030 * MS, out), 0, "removed, it asks for nothing");

    /* As the leader: what learners report of a lapse decides nothing, and none is chosen. */
    node(&o, 1);
    list(&o, 7, 0x0b); /* 1, 2, 4 vote */
    assign(&o, 0, 5, 2, false, 1000);
    ownership_leading(&o, true, 1000 * MS);
    ownership_report(&o, 3, BOOT + 3, true, 999, 2000 * MS);
    ownership_report_lapse(&o, 3, 1, epoch(5), 2000 * MS);
    ownership_report_lapse(&o, 5, 1, epoch(5), 2000 * MS);
    ownership_report(&o, 4, BOOT + 4, true, 1, 2000 * MS);
    cr_assert_not(ownership_decide(&o, 2000 * MS, &d), "two learners and this node");
    ownership_report_lapse(&o, 4, 1, epoch(5), 2000 * MS);
    cr_assert(ownership_decide(&o, 2000 * MS, &d));
    cr_assert_eq(d.node, 4, "a learner was chosen, for it has applied most");
}

/* Who has a newer configuration in his log promises nothing to who counts by an older one. */
Test(repl_ownership, no_promise_for_who_counts_by_older_voters)
{
    struct ownership o;
    struct ownership_heartbeat beat = {.shard = 1,
                                       .epoch = epoch(5),
                                       .owner_boot = BOOT + 1,
                                       .sent_ns = 7,
                                       .lease_ns = 150 * MS,
                                       .configuration = 7};
    struct ownership_ack ack;

    node(&o, 2);
    list(&o, 7, 0x07);
    assign(&o, 0, 5, 1, false, 1000);
    o.stored = 8;
    cr_assert_not(ownership_heard(&o, &beat, 1010 * MS, &ack));
    cr_assert_not(ownership_lapsed(&o, ownership_shard(&o, 1), 1155 * MS), "but it was heard");
    beat.configuration = 8;
    cr_assert(ownership_heard(&o, &beat, 1020 * MS, &ack));
    cr_assert_eq(ack.configuration, 8);
}

/* Voters change one at a time, nodes are cut off with what they have stored or applied. */
Test(repl_ownership, never_two_owners_while_members_change)
{
    struct world_result sum = {0};

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world_result r = world_run_changing(seed, false);

        cr_assert_eq(r.two, 0, "seed %lu: two owners for %lu instants", (unsigned long)seed,
                     (unsigned long)r.two);
        sum.acting += r.acting;
        sum.instants += r.instants;
        sum.changes += r.changes;
        sum.partitions += r.partitions;
    }
    (void)fprintf(stderr,
                  "200 worlds: an owner in %lu of %lu instants, %lu changes, %lu partitions\n",
                  (unsigned long)sum.acting, (unsigned long)sum.instants,
                  (unsigned long)sum.changes, (unsigned long)sum.partitions);
    cr_assert_gt(sum.acting, sum.instants / 10, "hardly ever an owner: nothing was tested");
    cr_assert(sum.changes > 1000 && sum.partitions > 300);
}

/* The second rule of members.md is the leader's (replica_members.c); this is what it is for. */
Test(repl_ownership, two_changes_within_a_promise_make_two_owners)
{
    static const uint64_t seeds[] = {268, 415}; /* of the first 600 */
    uint64_t two = 0, worlds = 0;

    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++, worlds++)
        two += world_run_changing(seeds[i], true).two > 0;
    (void)fprintf(stderr, "%lu of %lu hasty worlds had two owners\n", (unsigned long)two,
                  (unsigned long)worlds);
    cr_assert_gt(two, 0, "nothing would be lost without the rule, so no test holds it");
}
