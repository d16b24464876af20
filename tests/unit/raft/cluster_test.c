/* Small clusters of drivers: transfer, membership, install, misordered frames; and the seeded
 * chaos. */
#include <criterion/criterion.h>

#include "unit/raft/cluster.h"

static struct cluster c;

static void started(uint64_t seed, unsigned voters)
{
    memset(&c, 0, sizeof c);
    cluster_init(&c, seed, voters);
    cr_assert_not_null(cluster_await_leader(&c, 5000));
}

Test(raft_cluster, transfer_under_load)
{
    started(1, 3);
    for (unsigned i = 0; i < 20; i++) {
        struct cluster_node *leader = cluster_await_leader(&c, 5000);
        uint32_t to = leader->id % 3 + 1;
        unsigned before = leader->transferred;
        cluster_submit(&c, leader, 8);
        cr_assert_eq(raft_driver_transfer(leader->driver, c.now_ms, to), RAFT_DRIVER_OK);
        cr_assert_eq(cluster_submit(&c, leader, 1), RAFT_DRIVER_BUSY);
        cr_assert_eq(raft_driver_transfer(leader->driver, c.now_ms, to), RAFT_DRIVER_BUSY);
        while (leader->transferred == before && cluster_step(&c, c.now_ms + 2000))
            ;
        cr_assert_eq(leader->last_transfer, RAFT_DRIVER_OK);
        cr_assert_eq(cluster_await_leader(&c, 1000)->id, to);
    }
    cluster_demand_life(&c, 5000);
    cluster_deinit(&c);
}

/* Its connection is gone: that is known at once. */
Test(raft_cluster, transfer_to_the_dead_ends_at_once_and_submits_go_on)
{
    started(2, 3);
    struct cluster_node *leader = cluster_leader(&c);
    uint32_t dead = leader->id % 3 + 1;
    cluster_crash(&c, dead);
    cluster_submit(&c, leader, 1);
    cluster_run(&c, 50);
    cr_assert_eq(raft_driver_transfer(leader->driver, c.now_ms, dead), RAFT_DRIVER_OK);
    cr_assert(leader->transferred == 1 && leader->last_transfer == RAFT_DRIVER_TIMED_OUT);
    cr_assert_eq(cluster_submit(&c, leader, 1), RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_transfer(leader->driver, c.now_ms, leader->id), RAFT_DRIVER_INVALID);
    cr_assert_eq(raft_driver_transfer(leader->driver, c.now_ms, 77), RAFT_DRIVER_INVALID);
    cluster_deinit(&c);
}

static void change(struct cluster_node *leader, enum raft_driver_result begun,
                   enum raft_driver_result want)
{
    unsigned before = leader->changed;
    cr_assert_eq(begun, RAFT_DRIVER_OK);
    while (leader->changed == before && cluster_step(&c, c.now_ms + 3000))
        ;
    cr_assert(leader->changed == before + 1 && leader->last_change == want, "change ended with %d",
              leader->last_change);
}

/* From one node to five and back to one, under load, through snapshots. */
Test(raft_cluster, grows_from_one_to_five_and_shrinks_again)
{
    started(3, 1);
    c.snapshot_every = 20;
    struct cluster_node *leader = cluster_leader(&c);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < 10; k++) {
            cluster_submit(&c, leader, 8);
            cluster_run(&c, 5);
        }
        uint32_t id = cluster_add_node(&c)->id;
        change(leader, raft_driver_add(leader->driver, c.now_ms, id), RAFT_DRIVER_OK);
        cr_assert_eq(raft_driver_add(leader->driver, c.now_ms, id), RAFT_DRIVER_INVALID);
        change(leader, raft_driver_assign(leader->driver, c.now_ms, id, RAFT_DRIVER_VOTER),
               RAFT_DRIVER_OK);
        cr_assert_eq(raft_driver_assign(leader->driver, c.now_ms, id, RAFT_DRIVER_VOTER),
                     RAFT_DRIVER_INVALID);
    }
    cluster_demand_life(&c, 5000);
    cr_assert_eq(c.newest.n_servers, 5);
    for (uint32_t id = 2; id <= 5; id++) {
        leader = cluster_await_leader(&c, 5000);
        if (leader->id == id)
            continue;
        change(leader, raft_driver_remove(leader->driver, c.now_ms, id), RAFT_DRIVER_OK);
    }
    cluster_demand_life(&c, 5000);
    cluster_deinit(&c);
}

Test(raft_cluster, a_change_that_cannot_be_is_refused)
{
    started(4, 1);
    struct cluster_node *leader = cluster_leader(&c);
    cr_assert_eq(raft_driver_remove(leader->driver, c.now_ms, 1), RAFT_DRIVER_INVALID);
    cr_assert_eq(raft_driver_assign(leader->driver, c.now_ms, 1, RAFT_DRIVER_SPARE),
                 RAFT_DRIVER_INVALID);
    cr_assert_eq(raft_driver_remove(leader->driver, c.now_ms, 9), RAFT_DRIVER_INVALID);
    cr_assert_eq(raft_driver_add(leader->driver, c.now_ms, 0), RAFT_DRIVER_INVALID);
    cr_assert_eq(raft_driver_add(leader->driver, c.now_ms, 2), RAFT_DRIVER_OK);
    cr_assert_eq(raft_driver_add(leader->driver, c.now_ms, 3), RAFT_DRIVER_BUSY);
    cluster_deinit(&c);
}

/* A node that never answers is not promoted. */
Test(raft_cluster, promotion_of_the_dead_times_out)
{
    started(5, 3);
    struct cluster_node *leader = cluster_leader(&c);
    change(leader, raft_driver_add(leader->driver, c.now_ms, 4), RAFT_DRIVER_OK);
    change(leader, raft_driver_assign(leader->driver, c.now_ms, 4, RAFT_DRIVER_VOTER),
           RAFT_DRIVER_TIMED_OUT);
    cr_assert_eq(raft_driver_status(leader->driver).state, RAFT_DRIVER_LEADER);
    cr_assert_not(raft_driver_status(leader->driver).changing);
    cluster_deinit(&c);
}

/* A follower that was away for longer than the log reaches gets the snapshot, and then the rest. */
Test(raft_cluster, who_lags_below_the_log_gets_an_install)
{
    started(6, 3);
    c.snapshot_every = 20;
    struct cluster_node *leader = cluster_leader(&c);
    uint32_t away = leader->id % 3 + 1;
    cluster_crash(&c, away);
    for (unsigned k = 0; k < 40; k++) {
        cluster_submit(&c, leader, 8);
        cluster_run(&c, 10);
    }
    cluster_start(&c, away);
    cluster_demand_life(&c, 5000);
    cr_assert_eq(raft_driver_counters(cluster_node(&c, away)->driver)->installs_received, 1);
    cluster_deinit(&c);
}

/* Frames twice and out of order, which a transport must not do: the driver's own order holds. */
Test(raft_cluster, lives_with_a_transport_that_breaks_its_promise)
{
    started(7, 3);
    c.snapshot_every = 30;
    sim_network_set_misorder(c.network, 100, 100);
    sim_network_set_delay(c.network, 0, 30);
    for (unsigned k = 0; k < 600; k++) {
        struct cluster_node *leader = cluster_leader(&c);
        if (leader != NULL)
            cluster_submit(&c, leader, 4);
        cluster_run(&c, 10);
    }
    const struct sim_network_counters *k = sim_network_counters(c.network);
    cr_assert(k->reordered > 100 && k->duplicated > 100, "%lu reordered, %lu twice",
              (unsigned long)k->reordered, (unsigned long)k->duplicated);
    cluster_demand_life(&c, 10000);
    cluster_deinit(&c);
}

Test(raft_chaos, four_hundred_seeds, .timeout = 240)
{
    cr_assert(chaos_seeds(1, 400, 0));
}

Test(raft_chaos, equal_seeds_give_equal_traces)
{
    struct cluster_counters k = {0};
    uint64_t before = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t a = chaos_run(seed, 0, &k), b = chaos_run(seed, 0, &k);
        cr_assert_eq(a, b, "seed %lu", (unsigned long)seed);
        cr_assert_neq(a, before);
        before = a;
    }
}
