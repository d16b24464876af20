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

static uint64_t refused_as_unknown(struct rig *rig, uint32_t node)
{
    struct repl_status st;

    replica_status(rig_node(rig, node)->replica, rig->now_ms * 1000000, &st);
    return st.counters[REPL_COUNT_REFUSED_EPOCH];
}

/* What a node submits as soon as it starts is in the log behind its BOOT record, whatever copies of it
 * there are: one in front of it would be refused, and the next one accepted all the same. */
Test(repl_core, nothing_is_judged_before_its_boot_is_known)
{
    uint64_t told = 0, refused = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rig *rig = cluster_snapshotting(9800 + seed);
        uint32_t leader = rig_leader(rig), node = leader == 3 ? 2 : 3;
        uint64_t request, before = refused_as_unknown(rig, leader);
        struct maker m;

        rig_kill(rig, node);
        (void)rig_run(rig, 50, NULL, 0);
        rig_start(rig, node);
        rig_hang_disk(rig, node); /* the BOOT of this start is in the log, and not on its disk */
        (void)rig_run(rig, 500, NULL, 0);
        rig_kill(rig, node);
        rig_start(rig, node);
        m = rig_maker(rig, node, 1);
        request = rig_submit(rig, node, make_audit(&m, "at once"));
        cr_assert_neq(request, 0);
        cr_assert(rig_run(rig, 10000, rig_settled, node));
        cr_assert_eq(rig_node(rig, node)->verdict[request], 1 + REPL_ACCEPTED);
        refused += refused_as_unknown(rig, leader) - before;
        told += rig_node(rig, node)->settled_accepted;
        cluster_finish(rig);
    }
    printf("compared %lu requests of a node that just started\n", (unsigned long)told);
    cr_assert_eq(told, 20);
    cr_assert_eq(refused, 0, "some copies came before the BOOT");
}
