/* Two nodes that do not hear each other, while both hear the third. */
#include <criterion/criterion.h>

#include "unit/repl/cluster.h"

static void cut(struct rig *rig, uint32_t a, uint32_t b)
{
    sim_network_partition(rig->network, a, b);
    sim_network_partition(rig->network, b, a);
}

static bool owned_elsewhere(const struct rig *rig, uint64_t node)
{
    uint32_t owner = rig_owner(rig, 1);

    return owner != 0 && owner != node;
}

/* It has its lease from the third node, but can commit nothing: no ceiling, no numbers. So it must
 * not keep the shard. */
Test(repl_core_partial, an_owner_cut_off_from_the_leader_alone_is_replaced)
{
    for (uint64_t seed = 8100; seed < 8120; seed++) {
        struct rig *rig = cluster_running(3, seed);
        uint32_t owner;

        cluster_lead(rig, 3);
        cr_assert_eq(rig_owner(rig, 1), 1);
        cut(rig, 1, 3);
        cr_assert(rig_run(rig, 5000, owned_elsewhere, 1),
                  "seed %lu: it keeps a shard that it cannot serve", (unsigned long)seed);
        owner = rig_owner(rig, 1);
        cluster_create_sas(rig, owner, 1, 20);
        cr_assert(rig_run(rig, 2000, rig_settled, owner));
        (void)rig_run(rig, 3000, NULL, 0);
        cr_assert_eq(rig_leader(rig), 3, "nobody was disturbed");
        sim_network_heal(rig->network);
        cluster_finish(rig);
    }
}

/* Where it leads itself, or the leader hears it, nothing has to move. */
Test(repl_core_partial, other_cuts_move_nothing)
{
    for (uint64_t seed = 8130; seed < 8150; seed++) {
        struct rig *rig = cluster_running(3, seed);
        uint32_t leader = seed % 2 ? 1 : 3;
        uint64_t epoch = rig_node(rig, 1)->mine_epoch[0];

        cluster_lead(rig, leader);
        cut(rig, leader == 1 ? 1 : 2, leader == 1 ? 2 : 3);
        (void)rig_run(rig, 5000, NULL, 0);
        cr_assert_eq(rig_owner(rig, 1), 1, "seed %lu", (unsigned long)seed);
        cr_assert_eq(rig_node(rig, 1)->mine_epoch[0], epoch);
        sim_network_heal(rig->network);
        cluster_finish(rig);
    }
}

/* Without any leader nobody could take over: an owner that let go comes back by itself. */
Test(repl_core_partial, a_long_election_costs_no_assignment)
{
    struct rig *rig = cluster_running(3, 8160);
    uint64_t epoch = rig_node(rig, 1)->mine_epoch[0];

    cluster_lead(rig, 2);
    rig_kill(rig, 2);
    (void)rig_run(rig, 60, NULL, 0);
    cr_assert_eq(rig_owner(rig, 1), 1, "a leader's death alone silences nobody");
    cr_assert(rig_run(rig, 5000, rig_has_leader, 0));
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert_eq(rig_owner(rig, 1), 1);
    cr_assert_eq(rig_node(rig, 1)->mine_epoch[0], epoch);
    rig_start(rig, 2);
    cluster_finish(rig);
}
