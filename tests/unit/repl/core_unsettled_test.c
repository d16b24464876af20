/* Requests whose verdict a snapshot jumped over. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "unit/repl/cluster.h"

enum { REQUESTS = 20, AHEAD = 400 };

static bool another_owns(const struct rig *rig, uint64_t node)
{
    uint32_t owner = rig_owner(rig, 1);

    return owner != 0 && owner != node;
}

/* Node 1 owns, node 2 leads. Node 1's records reach the leader, nothing comes back; then it is cut
 * off, another owns, and the log runs away from what node 1 could still be sent entry by entry. */
Test(repl_core, what_a_snapshot_hides_is_unsettled_and_told_once)
{
    uint64_t told = 0;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = cluster_snapshotting(9700 + seed);
        struct rig_node *n = rig_node(rig, 1);
        uint32_t owner;

        cr_assert_eq(rig_owner(rig, 1), 1);
        cluster_lead(rig, 2);
        sim_network_partition(rig->network, 2, 1);
        sim_network_partition(rig->network, 3, 1);
        cluster_create_sas(rig, 1, 1, REQUESTS);
        (void)rig_run(rig, 20, NULL, 0);
        sim_network_partition(rig->network, 1, 2);
        sim_network_partition(rig->network, 1, 3);
        cr_assert(rig_run(rig, 10000, another_owns, 1));
        owner = rig_owner(rig, 1);
        for (uint64_t i = 0; i < AHEAD; i++) {
            cluster_create_sas(rig, owner, 1000 + i, 1);
            cr_assert(rig_run(rig, 3000, rig_settled, owner));
        }
        sim_network_heal(rig->network);
        cr_assert(rig_run(rig, 20000, rig_settled, 1), "its requests stay open for ever");
        cr_assert_geq(n->resets, 1);
        cr_assert_eq(n->unsettled, REQUESTS);
        cr_assert_eq(n->settled_accepted + n->settled_refused, 0);
        told += n->unsettled;
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        cr_assert_eq(replica_fsm(n->replica)->sas.n_used, REQUESTS + AHEAD);
        cluster_finish(rig);
    }
    printf("compared %lu requests of unknown fate\n", (unsigned long)told);
    cr_assert_eq(told, 5 * REQUESTS);
}
