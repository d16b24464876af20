/* A state that diverged (I11): found out, out of office, replaced by a sound one, by the log's own
 * nodes and in their lifetime; the leader's like any other's. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "unit/repl/cluster.h"

/* A bit that fell over: it stays in every digest from now on. */
static void plant(struct rig *rig, uint32_t node)
{
    struct fsm *fsm = (struct fsm *)(uintptr_t)replica_fsm(rig_node(rig, node)->replica);

    fsm->shards[0].aborts++;
}

static struct repl_status status(const struct rig *rig, uint64_t node)
{
    struct repl_status s;

    replica_status(rig->nodes[node - 1].replica, rig->now_ms * 1000000, &s);
    return s;
}

static bool found_out(const struct rig *rig, uint64_t node)
{
    return status(rig, node).nodes[node - 1].agreement == REPL_DIFFERS;
}

static bool reinstalled(const struct rig *rig, uint64_t node)
{
    return status(rig, node).counters[REPL_COUNT_REINSTALLS] > 0;
}

/* By its own word, and by everybody's. */
static bool well(const struct rig *rig, uint64_t node)
{
    for (size_t i = 0; i < rig->n; i++) {
        struct repl_status s;

        if (!rig->nodes[i].up)
            continue;
        s = status(rig, i + 1);
        if (s.nodes[node - 1].agreement != REPL_AGREES || !s.nodes[node - 1].healthy)
            return false;
    }
    return true;
}

static bool told_tied(const struct rig *rig, uint64_t node)
{
    return !status(rig, node).nodes[node - 1].healthy;
}

static bool owned_by(const struct rig *rig, uint64_t node)
{
    return rig_owner(rig, 1) == node;
}

static const struct raft_driver_counters *driver(const struct rig *rig, uint32_t node)
{
    return raft_driver_counters(replica_driver(rig->nodes[node - 1].replica));
}

Test(repl_core_witness, a_followers_wrong_state_is_replaced)
{
    struct rig *rig = cluster_running(3, 7500);

    cluster_lead(rig, 1);
    cluster_create_sas(rig, 1, 1, 300);
    cr_assert(rig_run(rig, 5000, rig_settled, 1));
    plant(rig, 2);
    cr_assert(rig_run(rig, 2000, found_out, 2), "not found out within 2 s");
    cr_assert_gt(status(rig, 2).counters[REPL_COUNT_DIGEST_MISMATCH], 0);
    (void)rig_run(rig, 40, NULL, 0);
    cr_assert_not(status(rig, 1).nodes[1].healthy, "the others must not choose it");
    cr_assert_eq(status(rig, 1).nodes[1].agreement, REPL_DIFFERS);
    cr_assert_eq(status(rig, 3).nodes[1].agreement, REPL_DIFFERS);
    cr_assert(rig_run(rig, 5000, reinstalled, 2));
    cr_assert(rig_run(rig, 5000, well, 2));
    cr_assert_eq(driver(rig, 2)->installs_received, 0, "its log was sound and must stay");
    cr_assert_eq(rig_node(rig, 2)->resets, 1);
    cr_assert_eq(rig_owner(rig, 1), 1, "nobody else is touched");
    rig_kill(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    rig_start(rig, 1);
    cluster_finish(rig);
}

/* Somebody waits for the leader's snapshot, so it does not wait for half a minute before it tries again. */
Test(repl_core_witness, a_leader_that_had_no_room_gives_its_state_soon)
{
    struct rig *rig = cluster_running(3, 7550);

    cluster_lead(rig, 1);
    cluster_create_sas(rig, 1, 1, 300);
    cr_assert(rig_run(rig, 5000, rig_settled, 1));
    sim_storage_full(rig_node(rig, 1)->storage, true);
    plant(rig, 2);
    cr_assert(rig_run(rig, 2000, found_out, 2));
    (void)rig_run(rig, 8000, NULL, 0);
    cr_assert_not(reinstalled(rig, 2));
    cr_assert(raft_driver_no_room(replica_driver(rig->nodes[0].replica)));
    sim_storage_full(rig_node(rig, 1)->storage, false);
    cr_assert(rig_run(rig, 4000, reinstalled, 2));
    cr_assert(rig_run(rig, 5000, well, 2));
    cluster_finish(rig);
}

/* Its disk held the wrong state, too: what it starts with afterwards is the sound one. */
Test(repl_core_witness, the_sound_state_is_on_its_disk)
{
    struct rig *rig = cluster_snapshotting(7501);

    cluster_lead(rig, 1);
    plant(rig, 3);
    for (uint64_t i = 0; i < 4; i++) { /* and it takes snapshots of it */
        cluster_create_sas(rig, 1, 1 + i * 50, 50);
        cr_assert(rig_run(rig, 5000, rig_settled, 1));
    }
    cr_assert(rig_run(rig, 5000, reinstalled, 3));
    cr_assert(rig_run(rig, 5000, well, 3));
    rig_kill(rig, 3);
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert(rig_run(rig, 5000, well, 3));
    cr_assert_eq(status(rig, 3).counters[REPL_COUNT_REINSTALLS], 0, "once was enough");
    cluster_finish(rig);
}

/* What falls over beneath the digest, which is kept and not counted anew. */
static void topple(struct rig *rig, uint32_t node, uint64_t sa)
{
    const struct fsm_sa *s = fsm_sa(replica_fsm(rig_node(rig, node)->replica), sa);

    cr_assert_not_null(s);
    s->state[2] ^= 4;
}

Test(repl_core_witness, memory_that_falls_over_is_found_though_no_record_touches_it)
{
    for (uint32_t node = 1; node <= 3; node++) {
        struct rig *rig = cluster_running(3, 7502 + node);
        uint32_t owner;

        cluster_lead(rig, 2); /* node 1 owns, node 2 leads, node 3 does neither */
        cluster_create_sas(rig, 1, 1, 300);
        cr_assert(rig_run(rig, 5000, rig_settled, 1) && rig_run(rig, 2000, rig_agrees, 0));
        topple(rig, node, 250);
        cr_assert(rig_agrees(rig, 0), "no digest shows it");
        cr_assert(rig_run(rig, 1000, found_out, node), "node %u: not found in a second", node);
        cr_assert_neq(rig_owner(rig, 1), node);
        cr_assert(rig_run(rig, 5000, reinstalled, node));
        cr_assert(rig_run(rig, 5000, well, node));
        cr_assert_neq(rig_leader(rig), node, "it led with that state, or leads again at once");
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        owner = rig_owner(rig, 1);
        cr_assert_eq(memcmp(fsm_sa(replica_fsm(rig_node(rig, node)->replica), 250)->state,
                            fsm_sa(replica_fsm(rig_node(rig, owner)->replica), 250)->state, 5),
                     0);
        cluster_finish(rig);
    }
}

/* A claim of it, likewise; alone there is only the disk. */
Test(repl_core_witness, alone_it_ends_and_starts_from_its_disk)
{
    struct rig *rig = cluster_running(1, 7509);
    struct fsm_claim *claim;

    cluster_create_sas(rig, 1, 1, 10);
    cr_assert(rig_run(rig, 2000, rig_settled, 1));
    claim =
        (struct fsm_claim *)(uintptr_t)fsm_claim(replica_fsm(rig_node(rig, 1)->replica), 4096 + 7);
    cr_assert_not_null(claim);
    claim->claim.reservation_end -= 64;
    cr_assert(rig_run(rig, 1000, rig_has_failed, 1));
    rig_kill(rig, 1);
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert_not(rig_has_failed(rig, 1));
    cluster_finish(rig);
}

/* The majority's digest wins, not the leader's. */
Test(repl_core_witness, a_leader_that_diverged_steps_down)
{
    for (uint64_t seed = 7510; seed < 7530; seed++) {
        struct rig *rig = cluster_running(3, seed);

        cluster_lead(rig, 2);
        plant(rig, 2);
        cr_assert(rig_run(rig, 2000, found_out, 2), "seed %lu: not found out", (unsigned long)seed);
        cr_assert(rig_run(rig, 5000, well, 2), "seed %lu", (unsigned long)seed);
        cr_assert_neq(rig_leader(rig), 2);
        cr_assert_eq(status(rig, 1).counters[REPL_COUNT_REINSTALLS], 0);
        cr_assert_eq(status(rig, 3).counters[REPL_COUNT_REINSTALLS], 0);
        cr_assert_eq(rig_owner(rig, 1), 1, "seed %lu: the owner was sound", (unsigned long)seed);
        cluster_finish(rig);
    }
}

/* An owner acts by its state: it stops at once, not when its lease ends, and another takes over. */
Test(repl_core_witness, an_owner_that_diverged_stops_at_once)
{
    for (uint64_t seed = 7540; seed < 7560; seed++) {
        struct rig *rig = cluster_running(3, seed);

        cluster_lead(rig, seed % 2 ? 1 : 2);
        plant(rig, 1);
        cr_assert(rig_run(rig, 2000, found_out, 1));
        cr_assert_neq(rig_owner(rig, 1), 1, "seed %lu: it goes on", (unsigned long)seed);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cr_assert_neq(rig_owner(rig, 1), 1);
        cr_assert(rig_run(rig, 5000, well, 1), "seed %lu", (unsigned long)seed);
        rig_kill(rig, rig_owner(rig, 1)); /* it may own again, by an assignment */
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        for (uint32_t i = 1; i <= 3; i++)
            if (!rig_node(rig, i)->up)
                rig_start(rig, i);
        cluster_finish(rig);
    }
}

/* While records flow no two reports are of one index but by chance: the kept ones tell. */
Test(repl_core_witness, it_is_found_and_replaced_under_load)
{
    uint64_t longest_ms = 0;

    for (uint64_t seed = 7570; seed < 7580; seed++) {
        struct rig *rig = cluster_running(3, seed);
        uint64_t next = 1, planted_ms;

        cluster_lead(rig, 1);
        plant(rig, 3);
        planted_ms = rig->now_ms;
        for (; !found_out(rig, 3) && rig->now_ms < planted_ms + 1000; next += 3) {
            cluster_create_sas(rig, 1, next, 3);
            (void)rig_run(rig, 1, NULL, 0);
        }
        cr_assert(found_out(rig, 3), "seed %lu: not found in a second of load",
                  (unsigned long)seed);
        longest_ms = rig->now_ms - planted_ms > longest_ms ? rig->now_ms - planted_ms : longest_ms;
        for (unsigned i = 0; i < 300 || (i < 1500 && !reinstalled(rig, 3)); i++, next++) {
            cluster_create_sas(rig, 1, next, 1);
            (void)rig_run(rig, 2, NULL, 0);
        }
        cr_assert(reinstalled(rig, 3), "seed %lu: not replaced under load", (unsigned long)seed);
        cr_assert(rig_run(rig, 5000, well, 3));
        cluster_finish(rig);
    }
    (void)fprintf(stderr, "under load: found after %lu ms at most\n", (unsigned long)longest_ms);
}

/* Two of three, and they differ: whoever does not lead owns nothing; the third decides. */
Test(repl_core_witness, without_a_majority_the_leader_alone_goes_on)
{
    struct rig *rig = cluster_running(3, 7580);

    cluster_lead(rig, 1);
    rig_kill(rig, 3);
    (void)rig_run(rig, 2000, NULL, 0);
    plant(rig, 2);
    cr_assert(rig_run(rig, 3000, told_tied, 2));
    cr_assert_eq(status(rig, 2).nodes[1].agreement, REPL_TIED);
    (void)rig_run(rig, 3000, NULL, 0);
    cr_assert_not(reinstalled(rig, 2), "nobody knows which of them is right");
    cr_assert_eq(rig_owner(rig, 1), 1);
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, well, 2));
    cr_assert(reinstalled(rig, 2));
    cluster_finish(rig);
}

/* As before, but the leader is the wrong one, and the third node says so. */
Test(repl_core_witness, the_third_node_outvotes_the_leader)
{
    struct rig *rig = cluster_running(3, 7590);

    cluster_lead(rig, 1);
    rig_kill(rig, 3);
    (void)rig_run(rig, 2000, NULL, 0); /* what it said last is of an older index */
    plant(rig, 1);
    cr_assert(rig_run(rig, 3000, told_tied, 2));
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, found_out, 1));
    cr_assert(rig_run(rig, 5000, well, 1));
    cr_assert_not(reinstalled(rig, 2));
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_finish(rig);
}

/* Killed in the middle of it, or its source is: it ends well, by a later try or a start. */
Test(repl_core_witness, it_may_be_cut_off_at_any_time)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct rig *rig = cluster_snapshotting(7600 + seed);
        uint32_t wrong = 1 + (uint32_t)(seed % 3), victim = 1 + (uint32_t)(seed / 3 % 3);

        cluster_lead(rig, 1 + (uint32_t)(seed / 9 % 3));
        cluster_create_sas(rig, rig_owner(rig, 1), 1, 200);
        (void)rig_run(rig, 1000, NULL, 0);
        plant(rig, wrong);
        cr_assert(rig_run(rig, 3000, found_out, wrong), "seed %lu", (unsigned long)seed);
        (void)rig_run(rig, seed * 7 % 150, NULL, 0);
        rig_kill(rig, victim);
        (void)rig_run(rig, seed * 13 % 400, NULL, 0);
        rig_start(rig, victim);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0), "seed %lu", (unsigned long)seed);
        cr_assert(rig_run(rig, 20000, well, wrong), "seed %lu", (unsigned long)seed);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "seed %lu", (unsigned long)seed);
        for (uint32_t i = 1; i <= 3; i++)
            cr_assert_not(rig_node(rig, i)->failed, "seed %lu", (unsigned long)seed);
        cluster_finish(rig);
    }
}

/* A node that fell far behind while it was wrong gets an ordinary install. */
Test(repl_core_witness, one_that_lags_too_gets_an_install)
{
    struct rig *rig = cluster_snapshotting(7700);

    cluster_lead(rig, 1);
    plant(rig, 3);
    cr_assert(rig_run(rig, 3000, found_out, 3));
    rig_pause(rig, 3);
    for (uint64_t i = 0; i < 6; i++) {
        cluster_create_sas(rig, 1, 1 + i * 50, 50);
        cr_assert(rig_run(rig, 5000, rig_settled, 1));
        (void)rig_run(rig, 2000, NULL, 0);
    }
    rig_resume(rig, 3);
    cr_assert(rig_run(rig, 20000, well, 3));
    cr_assert(owned_by(rig, 1));
    cluster_finish(rig);
}

static bool all_well(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (uint64_t i = 1; i <= rig->n; i++)
        if (!rig->nodes[i - 1].up || !well(rig, i))
            return false;
    return true;
}

static void disturb(struct rig *rig)
{
    uint32_t node = (uint32_t)sim_between(&rig->random, 1, 3);

    switch (sim_between(&rig->random, 0, 5)) {
    case 0:
        if (rig_node(rig, node)->up)
            rig_kill(rig, node);
        break;
    case 1:
        sim_network_break(rig->network, node, node % 3 + 1, 20);
        break;
    case 2:
        sim_network_partition(rig->network, node, node % 3 + 1);
        break;
    default:
        sim_network_heal(rig->network);
        if (!rig_node(rig, node)->up)
            rig_start(rig, node);
        break;
    }
}

static void heal(struct rig *rig)
{
    sim_network_heal(rig->network);
    for (uint32_t i = 1; i <= 3; i++)
        if (!rig_node(rig, i)->up)
            rig_start(rig, i);
}

/* One state at a time goes wrong, among deaths, partitions and load: each is made good, and nothing
 * of it spreads. */
Test(repl_core_witness, random_faults_around_a_wrong_state)
{
    uint64_t planted = 0, replaced = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        struct rig *rig = rig_create(3, 1, 9500 + seed);
        uint64_t next = 1;

        rig->snapshot_entries = 50 + seed;
        rig->trailing = 5;
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        for (int episode = 0; episode < 4; episode++) {
            uint32_t wrong = (uint32_t)sim_between(&rig->random, 1, 3);

            heal(rig);
            cr_assert(rig_run(rig, 20000, all_well, 0), "seed %lu episode %d", (unsigned long)seed,
                      episode);
            plant(rig, wrong);
            planted++;
            for (int round = 0; round < 12; round++) {
                uint32_t owner = rig_owner(rig, 1);

                if (owner != 0)
                    cluster_create_sas(rig, owner, next, 5);
                next += 5;
                disturb(rig);
                (void)rig_run(rig, sim_between(&rig->random, 0, 200), NULL, 0);
                for (uint32_t i = 1; i <= 3; i++)
                    cr_assert_not(rig_node(rig, i)->failed, "seed %lu", (unsigned long)seed);
            }
            for (uint32_t i = 1; i <= 3; i++)
                replaced += rig_node(rig, i)->up && reinstalled(rig, i);
        }
        heal(rig);
        cr_assert(rig_run(rig, 20000, all_well, 0), "seed %lu: not well in the end",
                  (unsigned long)seed);
        cluster_finish(rig);
    }
    (void)fprintf(stderr, "compared %lu planted states, %lu nodes replaced theirs meanwhile\n",
                  (unsigned long)planted, (unsigned long)replaced);
    cr_assert_gt(replaced, 0);
}
