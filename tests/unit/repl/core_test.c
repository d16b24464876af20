/* The replica's core: three of them over in-memory disks and network, under virtual time. */
#include <criterion/criterion.h>

#include <stdio.h>

#include <stdlib.h>

#include "unit/repl/cluster.h"

Test(repl_core, one_node_alone_owns_and_commits)
{
    struct rig *rig = cluster_running(1, 1);

    cr_assert_eq(rig_owner(rig, 1), 1);
    cluster_create_sas(rig, 1, 1, 100);
    cr_assert(rig_run(rig, 2000, rig_settled, 1));
    cr_assert_eq(rig_node(rig, 1)->settled_accepted, 100);
    cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, 100);
    cluster_finish(rig);
}

Test(repl_core, one_node_restarted_needs_a_new_assignment)
{
    struct rig *rig = cluster_running(1, 2);
    uint64_t epoch = rig_node(rig, 1)->mine_epoch[0];
    uint64_t killed_ms;

    cluster_create_sas(rig, 1, 1, 3);
    cr_assert(rig_run(rig, 2000, rig_settled, 1));
    killed_ms = rig->now_ms;
    rig_kill(rig, 1);
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert_gt(rig_node(rig, 1)->mine_epoch[0], epoch);
    cr_assert_geq(rig->now_ms - killed_ms, 151, "it acted within what it may have promised");
    cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, 3);
    cluster_finish(rig);
}

Test(repl_core, the_preferred_node_owns_first)
{
    for (uint64_t seed = 10; seed < 20; seed++) {
        struct rig *rig = rig_create(3, 2, seed);

        for (uint32_t i = 3; i >= 1; i--)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cr_assert(rig_run(rig, 5000, rig_has_owner, 2));
        cr_assert_eq(rig_owner(rig, 1), 1);
        cr_assert_eq(rig_owner(rig, 2), 2);
        cluster_finish(rig);
    }
}

Test(repl_core, another_owns_when_the_preferred_one_is_absent)
{
    struct rig *rig = cluster_running(3, 21); /* it begins with all its nodes */

    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    rig_start(rig, 2);
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    rig_start(rig, 1); /* sticky: its return changes nothing */
    uint32_t owner = rig_owner(rig, 1);
    cr_assert_not(rig_run(rig, 3000, NULL, 0));
    cr_assert_eq(rig_owner(rig, 1), owner);
    cr_assert_neq(owner, 1);
    cluster_finish(rig);
}

Test(repl_core, an_owner_that_does_not_lead_forwards)
{
    struct rig *rig = cluster_running(3, 30);

    cluster_lead(rig, 2);
    cr_assert_eq(rig_owner(rig, 1), 1);
    cluster_create_sas(rig, 1, 1, 500);
    cr_assert(rig_run(rig, 3000, rig_settled, 1));
    cr_assert_eq(rig_node(rig, 1)->settled_accepted, 500);
    cluster_finish(rig);
}

/* At rest followers hear of a commit with the next heartbeat; who waits for it is told at once. */
Test(repl_core, a_forwarded_record_does_not_wait_for_a_heartbeat)
{
    struct rig *rig = cluster_running(3, 31);

    cluster_lead(rig, 2);
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t from;

        (void)rig_run(rig, 40 + i, NULL, 0);
        from = rig->now_ms;
        cluster_create_sas(rig, 1, 1 + i, 1);
        cr_assert(rig_run(rig, 1000, rig_settled, 1));
        cr_assert_lt(rig->now_ms - from, 12); /* at most 1 ms a hop, 1 ms a write */
    }
    cluster_finish(rig);
}

/* As an inbox that is emptied: one frame, not one a record, beside what is due at that instant. */
Test(repl_core, what_is_put_together_sets_out_in_one_frame)
{
    enum { RECORDS = 100, BESIDE = 8 };
    struct rig *rig = cluster_running(3, 32);
    struct replica *r = rig_node(rig, 1)->replica;
    uint64_t sent, now_ns;

    cluster_lead(rig, 2);
    cr_assert_eq(rig_owner(rig, 1), 1);
    now_ns = rig->now_ms * 1000000;
    sent = sim_network_counters(rig->network)->sent;
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct maker m = rig_maker(rig, 1, 1);
        Holdfast__Record *record =
            make_create(&m, 1 + i, "state", 4096 + i, 0x0a630000 + i, "client");
        uint64_t request = replica_next_request(r);
        size_t len = 0;
        uint8_t *sealed =
            replica_pack(record, 1, rig_node(rig, 1)->boot, request, &seal_none, &len);

        cr_assert_not_null(sealed);
        record_free(record);
        cr_assert_eq(replica_put(r, now_ns, request, sealed, len, NULL), REPL_OK);
    }
    cr_assert_eq(sim_network_counters(rig->network)->sent, sent);
    replica_go(r, now_ns);
    cr_assert_gt(sim_network_counters(rig->network)->sent, sent);
    cr_assert_leq(sim_network_counters(rig->network)->sent, sent + 1 + BESIDE);
    cr_assert(rig_run(rig, 3000, rig_settled, 1));
    cr_assert_eq(rig_node(rig, 1)->settled_accepted, RECORDS);
    cluster_finish(rig);
}

/* Entries of a leader that was cut off are lost; leading again it must not wait for them. */
Test(repl_core, a_leader_again_does_not_wait_for_its_lost_entries)
{
    struct rig *rig = cluster_running(3, 32);

    cluster_lead(rig, 1);
    for (uint32_t n = 2; n <= 3; n++) {
        sim_network_partition(rig->network, 1, n);
        sim_network_partition(rig->network, n, 1);
    }
    for (uint64_t i = 0; i < 60; i++) {
        cluster_create_sas(rig, 1, 1 + i, 1);
        (void)rig_run(rig, 2, NULL, 0);
    }
    cr_assert(rig_run(rig, 5000, NULL, 0) == false);
    sim_network_heal(rig->network);
    (void)rig_run(rig, 50, NULL, 0);
    cluster_lead(rig, 1);

    uint32_t owner = rig_owner(rig, 1);

    cr_assert_neq(owner, 0);
    cluster_create_sas(rig, owner, 1000, 1);
    cr_assert(rig_run(rig, 500, rig_settled, owner));
    cluster_finish(rig);
}

/* Kills nodes, waits for a new owner; the virtual ms that took. */
static uint64_t takeover(struct rig *rig, uint32_t first, uint32_t second)
{
    uint32_t owner = rig_owner(rig, 1);
    uint64_t from = rig->now_ms;

    rig_kill(rig, first);
    if (second != 0)
        rig_kill(rig, second);
    cr_assert_eq(owner, first);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "no takeover");
    return rig->now_ms - from;
}

static int order(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x;
    uint64_t b = *(const uint64_t *)y;

    return (a > b) - (a < b);
}

Test(repl_core, owner_and_leader_die_at_once)
{
    enum { N = 60 };
    uint64_t took[N];

    for (uint64_t i = 0; i < N; i++) {
        struct rig *rig = cluster_running(3, 1000 + i);

        cluster_lead(rig, 1);
        cluster_create_sas(rig, 1, 1, 10);
        (void)rig_run(rig, 1 + i % 40, NULL, 0);
        took[i] = takeover(rig, 1, 0);
        cr_assert_neq(rig_owner(rig, 1), 1);
        cluster_finish(rig);
    }
    qsort(took, N, sizeof *took, order);
    (void)fprintf(stderr,
                  "owner+leader killed: %d takeovers, virtual ms min %lu median %lu max %lu\n", N,
                  (unsigned long)took[0], (unsigned long)took[N / 2], (unsigned long)took[N - 1]);
    cr_assert_lt(took[N / 2], 400);
}

Test(repl_core, owner_alone_dies)
{
    enum { N = 30 };
    uint64_t took[N];

    for (uint64_t i = 0; i < N; i++) {
        struct rig *rig = cluster_running(3, 2000 + i);

        cluster_lead(rig, 3);
        (void)rig_run(rig, 1 + i, NULL, 0);
        took[i] = takeover(rig, 1, 0);
        cluster_finish(rig);
    }
    qsort(took, N, sizeof *took, order);
    (void)fprintf(stderr, "owner killed: %d takeovers, virtual ms min %lu median %lu max %lu\n", N,
                  (unsigned long)took[0], (unsigned long)took[N / 2], (unsigned long)took[N - 1]);
    cr_assert_lt(took[N / 2], 250);
}

Test(repl_core, the_leaders_death_alone_silences_nobody)
{
    for (uint64_t i = 0; i < 10; i++) {
        struct rig *rig = cluster_running(3, 3000 + i);
        uint64_t epoch = rig_node(rig, 1)->mine_epoch[0];

        cluster_lead(rig, 2);
        cluster_create_sas(rig, 1, 1, 50); /* in flight while the leader dies */
        rig_kill(rig, 2);
        for (int k = 0; k < 100; k++) {
            (void)rig_run(rig, 10, NULL, 0);
            cr_assert_eq(rig_owner(rig, 1), 1, "the owner lost its lease");
        }
        cr_assert(rig_run(rig, 5000, rig_settled, 1));
        cr_assert_eq(rig_node(rig, 1)->settled_accepted, 50);
        cr_assert_eq(rig_node(rig, 1)->mine_epoch[0], epoch);
        cluster_finish(rig);
    }
}

/* Each request is judged once, whatever happens to leader and connections in between. */
Test(repl_core, resubmission_is_executed_exactly_once)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rig *rig = cluster_running(3, 4000 + seed);
        uint64_t next = 1;

        for (int round = 0; round < 12; round++) {
            uint32_t owner = rig_owner(rig, 1);

            if (owner != 0) {
                cluster_create_sas(rig, owner, next, 20);
                next += 20;
            }
            (void)rig_run(rig, sim_between(&rig->random, 0, 3), NULL, 0);
            if (round % 3 == 0)
                sim_network_break(rig->network, 1, 2 + (uint32_t)round % 2, 5);
            else if (rig_leader(rig) != 0)
                (void)!replica_transfer(rig_node(rig, rig_leader(rig))->replica,
                                        rig->now_ms * 1000000, 1 + (uint32_t)round % 3);
            (void)rig_run(rig, sim_between(&rig->random, 50, 400), NULL, 0);
        }
        for (uint64_t n = 1; n <= 3; n++)
            cr_assert(rig_run(rig, 10000, rig_settled, n), "node %lu has unsettled requests",
                      (unsigned long)n);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));

        /* Every SA whose request was accepted is there, and no other. */
        uint64_t accepted = 0;
        uint64_t refused = 0;

        for (uint32_t n = 1; n <= 3; n++) {
            accepted += rig_node(rig, n)->settled_accepted;
            refused += rig_node(rig, n)->settled_refused;
        }
        cr_assert_eq(accepted + refused, next - 1);
        cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, accepted);
        cluster_finish(rig);
    }
}

Test(repl_core, a_paused_owner_starts_nothing_when_it_wakes)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct rig *rig = cluster_running(3, 5000 + seed);

        cluster_lead(rig, 2);
        rig_pause(rig, 1);
        cr_assert(rig_run(rig, 151, NULL, 0) == false);
        cr_assert_neq(rig_owner(rig, 1), 1, "its lease outlived its promises");
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));

        uint32_t owner = rig_owner(rig, 1);

        cr_assert_neq(owner, 1);
        rig_resume(rig, 1);
        for (int k = 0; k < 200; k++) {
            (void)rig_run(rig, 5, NULL, 0);
            cr_assert_eq(rig_owner(rig, 1), owner);
        }
        cluster_finish(rig);
    }
}

Test(repl_core, an_owner_whose_conductor_hangs_is_replaced)
{
    struct rig *rig = cluster_running(3, 6000);
    uint64_t from;

    rig_node(rig, 1)->sick = true;
    from = rig->now_ms;
    while (rig_owner(rig, 1) == 1)
        (void)rig_run(rig, 1, NULL, 0);
    cr_assert_leq(rig->now_ms - from, 301); /* stale after 150, lease of at most 150 more */
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert_neq(rig_owner(rig, 1), 1);
    cluster_finish(rig);
}

Test(repl_core, the_minority_is_silent_and_the_majority_serves)
{
    struct rig *rig = cluster_running(3, 6100);

    for (uint32_t n = 2; n <= 3; n++) {
        sim_network_partition(rig->network, 1, n);
        sim_network_partition(rig->network, n, 1);
    }
    (void)rig_run(rig, 150, NULL, 0);
    cr_assert_neq(rig_owner(rig, 1), 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert_neq(rig_owner(rig, 1), 1);
    sim_network_heal(rig->network);
    cluster_finish(rig);
}

/* The owner's frames go out, nothing comes in: it must not keep the others' promises alive for
 * ever. */
Test(repl_core, an_owner_that_is_heard_but_deaf_is_replaced)
{
    struct rig *rig = cluster_running(3, 6200);

    cluster_lead(rig, 2);
    sim_network_partition(rig->network, 2, 1);
    sim_network_partition(rig->network, 3, 1);
    (void)rig_run(rig, 200, NULL, 0);
    cr_assert_eq(rig_owner(rig, 1), 0);
    cr_assert(rig_run(rig, 3000, rig_has_owner, 1), "nobody took over");
    cr_assert_neq(rig_owner(rig, 1), 1);
    sim_network_heal(rig->network);
    cluster_finish(rig);
}

Test(repl_core, a_lagging_node_installs_a_snapshot)
{
    struct rig *rig = cluster_snapshotting(7000);

    rig_kill(rig, 3);
    for (uint64_t i = 0; i < 400; i++) {
        cluster_create_sas(rig, 1, 1 + i, 1);
        cr_assert(rig_run(rig, 3000, rig_settled, 1));
    }
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 10000, rig_agrees, 0));
    cr_assert_geq(rig_node(rig, 3)->resets, 1, "no snapshot was installed");
    cr_assert_eq(replica_fsm(rig_node(rig, 3)->replica)->sas.n_used, 400);
    /* And it restarts from it. */
    rig_kill(rig, 3);
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 10000, rig_agrees, 0));
    cr_assert_eq(replica_fsm(rig_node(rig, 3)->replica)->sas.n_used, 400);
    cluster_finish(rig);
}

Test(repl_core, cluster_time_goes_on_and_never_back)
{
    struct rig *rig = cluster_running(3, 8000);
    uint64_t began_ms = rig->now_ms;
    uint64_t began = replica_fsm(rig_node(rig, 1)->replica)->cluster_ms;
    uint64_t last = began;

    for (int i = 0; i < 10; i++) {
        uint32_t leader = rig_leader(rig);
        uint64_t now;

        cluster_create_sas(rig, 1, (uint64_t)i * 30 + 1, 30);
        if (leader != 0)
            (void)!replica_transfer(rig_node(rig, leader)->replica, rig->now_ms * 1000000,
                                    leader % 3 + 1);
        (void)rig_run(rig, 2000, NULL, 0);
        now = replica_fsm(rig_node(rig, 1)->replica)->cluster_ms;
        cr_assert_gt(now, last);
        last = now;
    }

    uint64_t passed = rig->now_ms - began_ms;
    uint64_t counted = last - began;

    cr_assert_leq(counted, passed + 50);
    /* At most the stamp's interval, and a little at each of the ten changes of leader, is missing.
     */
    cr_assert_geq(counted + 1000 + 10 * 50, passed, "%lu of %lu ms", (unsigned long)counted,
                  (unsigned long)passed);
    cluster_finish(rig);
}

/* Steps, rekeys and deletes of SAs that the owner knows. */
static void change_sas(struct rig *rig, uint32_t owner, uint64_t fresh)
{
    const struct fsm *fsm = replica_fsm(rig_node(rig, owner)->replica);
    const struct fsm_sa *sa;
    size_t at = sim_between(&rig->random, 0, fsm->sas.n_slots);

    for (uint64_t i = 0; i < 4 && (sa = map_next(&fsm->sas, &at)) != NULL; i++) {
        struct maker m = rig_maker(rig, owner, 1);
        uint64_t version = fsm_sa_version(fsm, sa);
        Holdfast__Record *r = NULL;

        if (i == 0)
            r = make_delete(&m, sa->id, version);
        else if (i == 1)
            r = make_step(&m, sa->id, version, "stepped", (uint32_t)(200000 + fresh), 0);
        else
            r = make_step(&m, sa->id, version, "rekeyed", 0, 0);
        if (i == 2)
            make_successor(r, 1000000 + fresh, "successor", 0);
        cr_assert_neq(rig_submit(rig, owner, r), 0);
    }
}

/* The owner stops and hands over: the promises to it are released, nobody waits for a lapse. */
Test(repl_core, a_handover_takes_no_lapse)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rig *rig = cluster_running(3, 7600 + seed);
        uint32_t to = 2 + (uint32_t)seed % 2;
        struct maker m;
        uint64_t from;

        cluster_lead(rig, 1 + (uint32_t)seed % 3);
        cluster_create_sas(rig, 1, 1, 5);
        (void)rig_run(rig, 200 + seed, NULL, 0);
        m = rig_maker(rig, 1, 1);
        rig_node(rig, 1)->quiesced = m.epoch_index;
        from = rig->now_ms;
        cr_assert_neq(rig_submit(rig, 1, make_handover(&m, to, rig_node(rig, to)->boot, 1)), 0);
        cr_assert(rig_run(rig, 1000, rig_has_owner, 1));
        cr_assert_eq(rig_owner(rig, 1), to, "seed %lu: node %u owns after %lu ms, verdict %d",
                     (unsigned long)seed, rig_owner(rig, 1), (unsigned long)(rig->now_ms - from),
                     rig_node(rig, 1)->verdict[6]);
        /* A lapse takes 150 ms, Raft's next heartbeat 30: it waits for neither. */
        cr_assert_leq(rig->now_ms - from, 15, "seed %lu: it took %lu ms", (unsigned long)seed,
                      (unsigned long)(rig->now_ms - from));
        cluster_create_sas(rig, to, 100, 5);
        cr_assert(rig_run(rig, 1000, rig_settled, to));
        cr_assert_eq(rig_node(rig, to)->settled_accepted, 5);
        cluster_finish(rig);
    }
}

Test(repl_core, the_cookie_secret_changes_every_hour_and_the_old_one_stays_valid)
{
    struct rig *rig = cluster_running(1, 7700);
    const struct fsm *fsm = replica_fsm(rig_node(rig, 1)->replica);
    struct fsm_config first = fsm->config;

    cr_assert_eq(first.version, 1);
    (void)rig_run(rig, 3500 * 1000, NULL, 0);
    cr_assert_eq(fsm->config.version, 1);
    (void)rig_run(rig, 200 * 1000, NULL, 0);
    cr_assert_eq(fsm->config.version, 2);
    cr_assert_neq(memcmp(fsm->config.cookie_secret, first.cookie_secret, 32), 0);
    cr_assert_eq(memcmp(fsm->config.cookie_secret_previous, first.cookie_secret, 32), 0);
    cr_assert(fsm->config.has_previous);
    cr_assert_eq(fsm->config.lease_ms, first.lease_ms);
    cr_assert_eq(fsm->config.cookie_secret_id, first.cookie_secret_id + 1);
    cr_assert_eq(rig_owner(rig, 1), 1);
    cluster_finish(rig);
}

Test(repl_core, random_faults_leave_one_owner_and_one_state)
{
    uint64_t takeovers = 0;
    uint64_t steps = 0;
    uint64_t resets = 0;
    uint64_t unsettled = 0;

    for (uint64_t seed = 0; seed < 60; seed++) {
        struct rig *rig = rig_create(3, 2, 9000 + seed);
        uint64_t next = 1;

        rig->snapshot_entries = 50 + seed;
        rig->trailing = 5;
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        for (int round = 0; round < 40; round++) {
            uint32_t node = (uint32_t)sim_between(&rig->random, 1, 3);
            uint32_t owner = rig_owner(rig, 1);

            if (owner != 0) {
                cluster_create_sas(rig, owner, next, 5);
                change_sas(rig, owner, next);
                next += 5;
            }
            switch (sim_between(&rig->random, 0, 6)) {
            case 0:
                if (rig_node(rig, node)->up)
                    rig_kill(rig, node);
                takeovers++;
                break;
            case 1:
                sim_network_break(rig->network, node, node % 3 + 1, 20);
                break;
            case 2:
                sim_network_partition(rig->network, node, node % 3 + 1);
                break;
            case 3:
                sim_network_heal(rig->network);
                break;
            case 4:
                if (rig_leader(rig) != 0)
                    (void)!replica_transfer(rig_node(rig, rig_leader(rig))->replica,
                                            rig->now_ms * 1000000, node);
                break;
            default:
                if (!rig_node(rig, node)->up)
                    rig_start(rig, node);
                break;
            }
            (void)rig_run(rig, sim_between(&rig->random, 0, 300), NULL, 0);
            for (uint32_t i = 1; i <= 3; i++)
                cr_assert_not(rig_node(rig, i)->failed);
        }
        sim_network_heal(rig->network);
        for (uint32_t i = 1; i <= 3; i++)
            if (!rig_node(rig, i)->up)
                rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1), "seed %lu: no owner", (unsigned long)seed);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 2), "seed %lu: no owner", (unsigned long)seed);
        steps += rig->steps;
        resets += rig->resets;
        unsettled += rig->unsettled;
        cluster_finish(rig);
    }
    (void)fprintf(stderr,
                  "random faults: 60 seeds, %lu kills, %lu steps, %lu snapshots loaded, "
                  "%lu requests of unknown fate\n",
                  (unsigned long)takeovers, (unsigned long)steps, (unsigned long)resets,
                  (unsigned long)unsettled);
    cr_assert_gt(resets, 0, "no node lagged behind a snapshot");
}
