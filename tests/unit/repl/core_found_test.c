/* A cluster that one node founds has an incarnation of its own: made anew with its old file, that node
 * begins another one, which the first does not hear, and which does not serve beside it. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "replication/recover.h"
#include "unit/repl/cluster.h"

enum { FIRST = 0x1111, SECOND = 0x2222, OLD_MS = 301000 };

static const struct fsm *state(struct rig *rig, uint32_t node)
{
    return replica_fsm(rig_node(rig, node)->replica);
}

static uint64_t incarnation(struct rig *rig, uint32_t node)
{
    return replica_incarnation(rig_node(rig, node)->replica);
}

static bool speaks_all(const struct rig *rig, uint64_t node)
{
    return fsm_spoken(replica_fsm(rig->nodes[node - 1].replica)) == RECORD_SPEAKS;
}

static void submit(struct rig *rig, Holdfast__Record *record)
{
    uint64_t request = rig_submit(rig, 1, record);

    cr_assert(request != 0 && rig_run(rig, 8000, rig_settled, 1));
    cr_assert_eq(rig_node(rig, 1)->verdict[request], 1 + REPL_ACCEPTED);
}

static void join(struct rig *rig)
{
    uint32_t id = rig_add(rig);
    struct maker m = rig_maker(rig, 1, 1);

    rig_start(rig, id);
    cr_assert(rig_run(rig, 5000, speaks_all, 1));
    submit(rig, make_token(&m, id, (uint8_t)id, 60000));
    m = rig_maker(rig, 1, 1);
    submit(rig, make_join(&m, id, (uint8_t)id));
}

/* Of two the second one does not vote: it would help nobody. */
static bool has_joined(const struct rig *rig, uint64_t n)
{
    const struct repl_configuration *c;
    uint32_t leader = rig_leader(rig);
    size_t voters = 0;

    if (leader == 0 || !rig_agrees(rig, 0))
        return false;
    c = raft_driver_configuration(replica_driver(rig->nodes[leader - 1].replica));
    for (size_t i = 0; i < c->n_servers; i++)
        voters += c->servers[i].role == RAFT_DRIVER_VOTER;
    return c->n_servers == n && voters == (n == 2 ? 1 : n);
}

/* Node 1 founds and serves; then it has so many members. A snapshot every so many entries, 0 = by default. */
static struct rig *founded_with(uint64_t seed, size_t members, uint64_t snapshot_entries)
{
    struct rig *rig = rig_create(1, 1, seed);

    if (snapshot_entries > 0) {
        rig->snapshot_entries = snapshot_entries;
        rig->trailing = snapshot_entries / 4;
    }
    rig_seal(rig);
    rig_found(rig, 1, FIRST);
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "it owns nothing");
    cluster_create_sas(rig, 1, 1, 20);
    cr_assert(rig_run(rig, 5000, rig_settled, 1));
    while (rig->n < members)
        join(rig);
    cr_assert(rig_run(rig, 20000, has_joined, members));
    return rig;
}

static struct rig *founded(uint64_t seed, size_t members)
{
    return founded_with(seed, members, 0);
}

Test(repl_found, who_joins_learns_the_incarnation_and_owns_under_it)
{
    struct rig *rig = founded(1, 3);

    for (uint32_t i = 1; i <= 3; i++)
        cr_assert_eq(incarnation(rig, i), recover_founding(FIRST), "node %u", i);
    rig_kill(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "nobody took over");
    cr_assert_eq(fsm_shard(state(rig, 2), 1)->epoch.incarnation, recover_founding(FIRST));
    cr_assert_eq(state(rig, 2)->sas.n_used, 20, "sessions ended");
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 20000, has_joined, 3));
    cr_assert_eq(incarnation(rig, 1), recover_founding(FIRST), "it is on the disk");
    cluster_finish(rig);
}

static bool has_snapshot(const struct rig *rig, uint64_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica)).snapshot_index > 0;
}

/* It waits for the key that opens its snapshot: while it tells its state it says no other incarnation
 * (each event, rig_incarnation_stays), or all links would end. */
Test(repl_found, who_gets_its_key_again_says_no_other_incarnation_meanwhile)
{
    struct rig *rig = founded_with(6, 3, 60);

    cluster_create_sas(rig, 1, 100, 200);
    cr_assert(rig_run(rig, 20000, rig_settled, 1));
    cr_assert(rig_run(rig, 20000, has_snapshot, 2));
    rig_kill(rig, 2);
    memset(&rig_node(rig, 2)->kept, 0, sizeof rig_node(rig, 2)->kept);
    rig_start(rig, 2);
    cr_assert_eq(incarnation(rig, 2), 0, "it cannot read it");
    cr_assert(rig_run(rig, 20000, has_joined, 3));
    cr_assert_eq(incarnation(rig, 2), recover_founding(FIRST));
    cluster_finish(rig);
}

Test(repl_found, made_anew_it_is_not_heard_and_ends)
{
    size_t times = 0;

    for (uint64_t seed = 1; seed <= 5; seed++, times++) {
        struct rig *rig = founded(10 + seed, 3);
        struct raft_driver_status before, after;

        rig_kill(rig, 1);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "nobody took over");
        before = raft_driver_status(replica_driver(rig_node(rig, 2)->replica));
        rig_found(rig, 1, SECOND);
        rig_start(rig, 1);
        cr_assert_neq(incarnation(rig, 1), incarnation(rig, 2));
        (void)rig_run(rig, 5000, NULL, 0);
        after = raft_driver_status(replica_driver(rig_node(rig, 2)->replica));
        cr_assert(rig_node(rig, 1)->failed, "a second cluster serves");
        cr_assert(!rig_node(rig, 2)->failed && !rig_node(rig, 3)->failed);
        cr_assert(before.term == after.term && before.leader == after.leader, "it was heard");
        cr_assert(rig_owner(rig, 1) > 1);
        cr_assert_eq(state(rig, 2)->sas.n_used, 20);
        rig_kill(rig, 1);
        cluster_finish(rig);
    }
    (void)printf("compared %zu clusters made a second time\n", times);
}

/* A machine of a former cluster that turns up late ends nobody: both only refuse. */
Test(repl_found, one_that_has_served_for_long_goes_on)
{
    struct rig *rig = founded(20, 2);

    rig_kill(rig, 2);
    rig_kill(rig, 1);
    rig_found(rig, 1, SECOND);
    rig_start(rig, 1);
    (void)rig_run(rig, OLD_MS, NULL, 0);
    cr_assert_gt(state(rig, 1)->cluster_ms, 300000);
    rig_start(rig, 2);
    (void)rig_run(rig, 5000, NULL, 0);
    cr_assert(!rig_node(rig, 1)->failed && !rig_node(rig, 2)->failed);
    cr_assert_eq(rig_owner(rig, 1), 1);
    cr_assert_eq(raft_driver_status(replica_driver(rig_node(rig, 2)->replica)).leader, 0);
    rig_kill(rig, 2);
    cluster_finish(rig);
}

Test(repl_found, foundings_differ_and_a_recovery_is_above_each)
{
    cr_assert_neq(recover_founding(5), recover_founding(6));
    for (uint64_t random = 0; random < 64; random++) {
        uint64_t f = recover_founding(UINT64_MAX << random), r = recover_incarnation(f, 0);

        cr_assert(recover_is_founding(f) && f != RECOVER_FIRST_INCARNATION && f != 0);
        cr_assert(r > f && !recover_is_founding(r) && r >> 42 == 1);
    }
    cr_assert_not(recover_is_founding(RECOVER_FIRST_INCARNATION));
    (void)printf("compared 64 foundings\n");
}

/* A cluster of several begins once all of them have been up at the same time, however late the last one
 * comes; meanwhile its nodes say whom they wait for, and none takes it upon itself. From then on a majority
 * is enough. */
Test(repl_found, several_begin_together)
{
    for (uint64_t seed = 8900; seed < 8905; seed++) {
        struct rig *rig = rig_create(3, 1, seed);

        rig_start(rig, 1);
        rig_start(rig, 2);
        cr_assert_not(rig_run(rig, 150000, rig_has_leader, 0));
        for (uint32_t i = 1; i <= 2; i++)
            cr_assert_eq(rig_node(rig, i)->founder_told, 3, "after 3 s, then each minute: %lu",
                         (unsigned long)rig_node(rig, i)->founder_told);
        rig_kill(rig, 2);
        rig_start(rig, 3); /* 1 and 3 have met, but not 2 and 3 */
        cr_assert_not(rig_run(rig, 10000, rig_has_leader, 0));
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        for (uint32_t i = 1; i <= 3; i++)
            rig_kill(rig, i);
        rig_start(rig, 1);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        rig_start(rig, 3);
        cluster_finish(rig);
    }
}
