/* Handovers that the core asks its conductor for. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "replication/fsm.h"
#include "unit/repl/cluster.h"

static bool no_owner(const struct rig *rig, uint64_t shard)
{
    return rig_owner(rig, (uint32_t)shard) == 0;
}

/* A link that fails: the owner is told to hand over, and has one lease for it. Who takes that time
 * up loses nothing; who does not is replaced by lapse. */
Test(repl_core, an_owner_whose_link_fails_hands_over)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct rig *rig = cluster_running(3, 7800 + seed);
        struct maker m;
        uint64_t from, gifts = rig_node(rig, 1)->gifts;
        uint32_t to;

        (void)rig_run(rig, 300 + seed, NULL, 0);
        cr_assert_eq(rig_node(rig, 1)->gifts, gifts, "nothing to give while all is well");
        rig_node(rig, 1)->cut = true;
        from = rig->now_ms;
        (void)rig_run(rig, 40, NULL, 0);
        cr_assert_eq(rig_node(rig, 1)->gifts, gifts + 1, "told at once, and once");
        to = rig_node(rig, 1)->gift_to;
        cr_assert(to == 2 || to == 3);
        cr_assert_eq(rig_owner(rig, 1), 1, "it may act until it has handed over");
        if (seed % 2 == 0) { /* it does */
            m = rig_maker(rig, 1, 1);
            rig_node(rig, 1)->quiesced = m.epoch_index;
            cr_assert_neq(rig_submit(rig, 1, make_handover(&m, to, rig_node(rig, to)->boot, 1)), 0);
            cr_assert(rig_run(rig, 1000, rig_has_owner, 1));
            cr_assert_eq(rig_owner(rig, 1), to);
            cr_assert_leq(rig->now_ms - from, 40 + 25);
        } else { /* it does not: its heartbeats end after one lease */
            cr_assert(rig_run(rig, 400, no_owner, 1));
            cr_assert_geq(rig->now_ms - from, 150);
            cr_assert(rig_run(rig, 1000, rig_has_owner, 1));
            cr_assert_neq(rig_owner(rig, 1), 1);
        }
        rig_node(rig, 1)->cut = false;
        cluster_finish(rig);
    }
}

static bool snapshot_stored(const struct rig *rig, uint64_t node)
{
    struct repl_status s;

    replica_status(rig->nodes[node - 1].replica, rig->now_ms * 1000000, &s);
    return s.counters[REPL_COUNT_SNAPSHOTS] > 0;
}

/* A snapshot that does not fit on its disk: the owner gives away what it has, before the log fits no
 * more either. It ends nobody, and once there is room all is as before. */
Test(repl_core, an_owner_without_room_for_a_snapshot_hands_over)
{
    struct rig *rig = cluster_snapshotting(7950);
    uint64_t gifts;

    cr_assert_eq(rig_owner(rig, 1), 1);
    sim_storage_full(rig_node(rig, 1)->storage, true);
    gifts = rig_node(rig, 1)->gifts;
    for (uint64_t i = 0; i < 150; i++) {
        cluster_create_sas(rig, 1, 1 + i, 1);
        cr_assert(rig_run(rig, 3000, rig_settled, 1));
    }
    cr_assert_not(rig_node(rig, 1)->failed);
    cr_assert_gt(rig_node(rig, 1)->gifts, gifts, "it should give away what it owns");
    cr_assert(snapshot_stored(rig, 2) && !snapshot_stored(rig, 1));
    sim_storage_full(rig_node(rig, 1)->storage, false);
    cr_assert(rig_run(rig, 60000, snapshot_stored, 1));
    gifts = rig_node(rig, 1)->gifts;
    (void)rig_run(rig, 3000, NULL, 0);
    cr_assert_eq(rig_node(rig, 1)->gifts, gifts, "it is willing again");
    cluster_finish(rig);
}

static bool pieces_came(const struct rig *rig, uint64_t node)
{
    return raft_driver_counters(replica_driver(rig->nodes[node - 1].replica))->pieces_in > 2;
}

/* ... nor does one that it is sent: it stays behind until there is room, and holds up nobody. */
Test(repl_core, a_lagging_node_without_room_stays_behind)
{
    static char state[3000];
    struct rig *rig = cluster_snapshotting(7960);
    uint64_t pieces;

    rig_kill(rig, 3);
    memset(state, 's', sizeof state - 1);
    for (uint64_t i = 0; i < 400; i++) { /* many pieces */
        struct maker m = rig_maker(rig, 1, 1);

        cr_assert_neq(rig_submit(rig, 1,
                                 make_create(&m, 1 + i, state, (uint32_t)(4097 + i),
                                             (uint32_t)(0x0a630001 + i), "client")),
                      0);
        cr_assert(rig_run(rig, 3000, rig_settled, 1));
    }
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, pieces_came, 3));
    sim_storage_full(rig_node(rig, 3)->storage, true); /* in the middle of it */
    sim_storage_set_delay(rig_node(rig, 3)->storage, 0, 0);
    sim_network_set_delay(rig->network, 0, 8); /* its pieces come one by one */
    pieces = raft_driver_counters(replica_driver(rig_node(rig, 3)->replica))->pieces_in;
    (void)rig_run(rig, 20000, NULL, 0);
    cr_assert_not(rig_node(rig, 3)->failed);
    cr_assert_eq(rig_node(rig, 3)->resets, 0);
    pieces = raft_driver_counters(replica_driver(rig_node(rig, 3)->replica))->pieces_in - pieces;
    (void)fprintf(stderr, "20 s behind: %lu pieces\n", (unsigned long)pieces);
    cr_assert_lt(pieces, 100, "it is not asked over and over");
    cluster_create_sas(rig, 1, 1000, 1);
    cr_assert(rig_run(rig, 3000, rig_settled, 1), "the others go on");
    sim_storage_full(rig_node(rig, 3)->storage, false);
    sim_network_set_delay(rig->network, 0, 1);
    cr_assert(rig_run(rig, 30000, rig_agrees, 0));
    cr_assert_geq(rig_node(rig, 3)->resets, 1);
    cluster_finish(rig);
}

/* What operators wish reaches the owner through the log, whoever wrote it down. */
Test(repl_core, wishes_reach_the_owner)
{
    struct rig *rig = cluster_running(3, 7900);
    struct maker m = rig_maker(rig, 3, 1);
    uint64_t gifts = rig_node(rig, 1)->gifts;

    cr_assert_neq(rig_submit(rig, 3, make_move(&m, 2)), 0);
    (void)rig_run(rig, 60, NULL, 0);
    cr_assert_eq(rig_node(rig, 1)->gifts, gifts + 1);
    cr_assert_eq(rig_node(rig, 1)->gift_to, 2);
    (void)rig_run(rig, FSM_MOVE_MS + 1000, NULL, 0); /* nobody follows it: it ends by itself */
    gifts = rig_node(rig, 1)->gifts;
    (void)rig_run(rig, 2000, NULL, 0);
    cr_assert_eq(rig_node(rig, 1)->gifts, gifts);
    m = rig_maker(rig, 3, 1);
    m.request = 0;
    cr_assert_neq(rig_submit(rig, 3, make_drain(&m, 1, true)), 0);
    (void)rig_run(rig, 60, NULL, 0);
    cr_assert_eq(rig_node(rig, 1)->gifts, gifts + 1);
    cluster_finish(rig);
}
