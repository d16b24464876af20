/* Somebody leaves, and of those that stay one goes silent before the voters are changed: no
 * configuration may stand in the log whose voters cannot commit it. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "unit/repl/cluster.h"

static bool has_servers(const struct rig *rig, uint64_t n)
{
    uint32_t leader = rig_leader(rig);

    return leader != 0 &&
           raft_driver_configuration(replica_driver(rig->nodes[leader - 1].replica))->n_servers ==
               n;
}

/* A leader that is not asleep has applied it. */
static bool has_left(const struct rig *rig, uint64_t node)
{
    uint32_t leader = rig_leader(rig);
    const struct fsm_member *m =
        leader == 0 ? NULL
                    : fsm_member(replica_fsm(rig->nodes[leader - 1].replica), (uint32_t)node);

    return m != NULL && m->left;
}

static uint64_t committed(const struct rig *rig)
{
    uint32_t leader = rig_leader(rig);

    return leader == 0
               ? 0
               : raft_driver_status(replica_driver(rig->nodes[leader - 1].replica)).commit_index;
}

static bool commits_above(const struct rig *rig, uint64_t index)
{
    return committed(rig) > index;
}

static bool owner_is(const struct rig *rig, uint64_t node)
{
    return rig_owner(rig, 1) == node;
}

static void wish_leave(struct rig *rig, uint32_t via, uint32_t node)
{
    struct maker m = rig_maker(rig, via, 1);

    cr_assert_neq(rig_submit(rig, via, make_leave(&m, node)), 0);
}

static void silence(struct rig *rig, uint32_t node, bool asleep)
{
    if (asleep)
        rig_pause(rig, node); /* its link stands */
    else
        rig_kill(rig, node);
}

static void wake(struct rig *rig, uint32_t node, bool asleep)
{
    if (asleep)
        rig_resume(rig, node);
    else
        rig_start(rig, node);
}

/* Node 2 has left, as node 1 who leads knows, and node 3 is silent from that moment on. */
static struct rig *left_beside_silent(uint64_t seed, bool asleep)
{
    struct rig *rig = cluster_running(3, seed);

    cr_assert_eq(rig_owner(rig, 1), 1);
    cluster_lead(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    wish_leave(rig, 1, 2);
    cr_assert(rig_run(rig, 5000, has_left, 2));
    cr_assert(has_servers(rig, 3), "it is too late for what is shown here");
    silence(rig, 3, asleep);
    (void)rig_run(rig, 3000, NULL, 0);
    cr_assert(rig_run(rig, 3000, commits_above, committed(rig)),
              "the voters that are there can commit nothing any more");
    return rig;
}

Test(repl_leave, one_that_stays_dies_and_comes_back)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        bool asleep = seed % 2 == 0;
        struct rig *rig = left_beside_silent(9900 + seed, asleep);

        wake(rig, 3, asleep);
        cr_assert(rig_run(rig, 10000, has_servers, 2));
        rig_kill(rig, 2);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cluster_finish(rig);
    }
    printf("compared 6 runs\n");
}

/* The way out when it never does: it is removed, too. */
Test(repl_leave, one_that_stays_dies_for_good)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rig *rig = left_beside_silent(9910 + seed, false);

        wish_leave(rig, 1, 3);
        cr_assert(rig_run(rig, 10000, has_servers, 1));
        rig_kill(rig, 2);
        cr_assert(rig_run(rig, 5000, owner_is, 1));
        cluster_finish(rig);
    }
    printf("compared 6 runs\n");
}

/* ... also where it owned the shard: that is taken over first, with the word of the one that left. */
Test(repl_leave, the_owner_that_stays_dies_for_good)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rig *rig = rig_create(3, 2, 9920 + seed);
        bool leaves = false;

        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cr_assert(rig_run(rig, 5000, rig_has_owner, 2));
        cr_assert(rig_owner(rig, 1) == 1 && rig_owner(rig, 2) == 2);
        cluster_lead(rig, 1);
        wish_leave(rig, 1, 3);
        cr_assert(rig_run(rig, 5000, has_left, 3));
        rig_kill(rig, 2);
        for (int tries = 0; tries < 20 && !leaves; tries++) { /* as the admin interface does */
            (void)rig_run(rig, 500, NULL, 0);
            wish_leave(rig, 1, 2);
            leaves = rig_run(rig, 500, has_left, 2);
        }
        cr_assert(leaves, "its shard is never taken over, so it can never leave");
        cr_assert(rig_run(rig, 10000, has_servers, 1));
        rig_kill(rig, 3);
        cr_assert(rig_run(rig, 5000, owner_is, 1));
        cluster_finish(rig);
    }
    printf("compared 6 runs\n");
}

/* The leader that applied it dies: the next one begins the change no sooner than it may. */
Test(repl_leave, the_leader_dies_in_between)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        bool asleep = seed % 2 == 0;
        struct rig *rig = cluster_running(3, 9930 + seed);
        uint64_t before;

        cluster_lead(rig, 1);
        cr_assert(rig_run(rig, 5000, rig_agrees, 0));
        wish_leave(rig, 1, 2);
        cr_assert(rig_run(rig, 5000, has_left, 2));
        silence(rig, 1, asleep);
        cr_assert(rig_run(rig, 10000, rig_has_leader, 0), "nobody leads");
        (void)rig_run(rig, 3000, NULL, 0);
        before = committed(rig);
        cr_assert(rig_run(rig, 3000, commits_above, before));
        wake(rig, 1, asleep);
        cr_assert(rig_run(rig, 10000, has_servers, 2));
        rig_kill(rig, 2);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cluster_finish(rig);
    }
    printf("compared 6 runs\n");
}

static bool lost_the_stray(const struct rig *rig, uint64_t node)
{
    uint32_t leader = rig_leader(rig);

    return leader != 0 &&
           fsm_shard(replica_fsm(rig->nodes[leader - 1].replica), 2)->owner_node != node;
}

/* Shard 2 is taken out of all files while node 2 owns it, which is removed later. */
Test(repl_leave, one_that_owns_a_shard_of_no_file)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rig *rig = rig_create(3, 2, 9940 + seed);
        struct maker m;

        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cr_assert(rig_run(rig, 5000, rig_has_owner, 2));
        cr_assert(rig_owner(rig, 1) == 1 && rig_owner(rig, 2) == 2);
        rig->n_shards = 1;
        for (uint32_t i = 1; i <= 3; i++) {
            rig_kill(rig, i);
            rig_start(rig, i);
        }
        cr_assert(rig_run(rig, 5000, owner_is, 1));
        cr_assert(rig_run(rig, 5000, rig_agrees, 0));
        cr_assert_not(rig_run(rig, 1000, lost_the_stray, 2), "nobody else serves it either");
        m = rig_maker(rig, 1, 1);
        cr_assert_neq(rig_submit(rig, 1, make_drain(&m, 2, true)), 0);
        cr_assert(rig_run(rig, 1000, lost_the_stray, 2), "what nobody can serve is in the way");
        (void)rig_run(rig, 1000, NULL, 0);
        wish_leave(rig, 1, 2);
        cr_assert(rig_run(rig, 1000, has_left, 2));
        cr_assert(rig_run(rig, 10000, has_servers, 2));
        rig_kill(rig, 2);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cluster_finish(rig);
    }
    printf("compared 6 runs\n");
}
