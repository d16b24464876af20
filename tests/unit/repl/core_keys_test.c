/* Whole clusters whose records and snapshots are sealed, as in production. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "unit/repl/rig.h"

static const char known[] = "the key of a client's SA, in plain";
static const char whose[] = "somebody@example.org";

static struct rig *sealed(size_t n, uint64_t seed)
{
    struct rig *rig = rig_create(n, 1, seed);

    rig_seal(rig);
    return rig;
}

static void start_all(struct rig *rig)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        rig_start(rig, i);
}

static void create(struct rig *rig, uint64_t id)
{
    uint32_t owner;
    struct maker m;

    cr_assert(rig_run(rig, 3000, rig_has_owner, 1));
    owner = rig_owner(rig, 1);
    m = rig_maker(rig, owner, 1);
    cr_assert_neq(rig_submit(rig, owner,
                             make_create(&m, id, known, (uint32_t)(1000 + id),
                                         (uint32_t)(0x0a000000 + id), whose)),
                  0);
    cr_assert(rig_run(rig, 3000, rig_settled, owner));
}

static size_t find(struct span hay, const char *needle)
{
    return hay.len > 0 && memmem(hay.data, hay.len, needle, strlen(needle)) != NULL;
}

/* How often the words stand on that node's disk; *looked: bytes there. */
static size_t on_disk(struct rig *rig, uint32_t node, size_t *looked)
{
    struct repl_loaded loaded;
    size_t n = 0;

    sim_storage_load(rig_node(rig, node)->storage, &loaded);
    for (size_t i = 0; i < loaded.n_entries; i++) {
        n += find(loaded.entries[i].data, known) + find(loaded.entries[i].data, whose);
        *looked += loaded.entries[i].data.len;
    }
    n += find(loaded.snapshot_data, known) + find(loaded.snapshot_data, whose);
    *looked += loaded.snapshot_data.len;
    return n;
}

static bool snapshotted(const struct rig *rig, uint64_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica)).snapshot_index > 0;
}

/* The same words, the same place: found without sealing, not found with it. */
Test(repl_keys, no_disk_has_keys_identities_or_addresses_in_plain)
{
    size_t found[2], looked[2] = {0, 0};

    for (int with = 0; with < 2; with++) {
        struct rig *rig = with ? sealed(3, 5) : rig_create(3, 1, 5);

        rig->snapshot_entries = 64;
        rig->trailing = 8;
        start_all(rig);
        for (uint64_t id = 1; id <= 100; id++)
            create(rig, id);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        found[with] = 0;
        for (uint32_t i = 1; i <= 3; i++) {
            cr_assert(rig_run(rig, 20000, snapshotted, i));
            rig_kill(rig, i);
            found[with] += on_disk(rig, i, &looked[with]);
        }
        rig_destroy(rig);
    }
    cr_assert_gt(found[0], 0, "the search finds what is there");
    cr_assert_eq(found[1], 0);
    (void)printf("compared %zu bytes\n", looked[1]);
}

static bool has_key(const struct rig *rig, uint64_t node)
{
    return rig->nodes[node - 1].kept.id != 0;
}

Test(repl_keys, founding_nodes_get_the_configurations_key_from_the_first)
{
    struct rig *rig = sealed(3, 6);

    rig_start(rig, 2);
    rig_start(rig, 3);
    cr_assert_not(rig_run(rig, 5000, rig_has_leader, 0), "without the key there is no cluster");
    cr_assert(!has_key(rig, 2) && !has_key(rig, 3));
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 3000, rig_has_owner, 1));
    cr_assert(has_key(rig, 2) && has_key(rig, 3));
    cr_assert_eq(rig->nodes[1].kept.id, rig->nodes[0].kept.id);
    create(rig, 1);
    rig_kill(rig, 1); /* from now on nobody needs the first */
    rig_kill(rig, 2);
    rig_start(rig, 2);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    rig_destroy(rig);
}

static uint64_t session_key(const struct rig *rig, uint32_t node)
{
    return replica_fsm(rig->nodes[node - 1].replica)->session_key;
}

static const struct fsm_sa *sa(const struct rig *rig, uint32_t node, uint64_t id)
{
    return fsm_sa(replica_fsm(rig->nodes[node - 1].replica), id);
}

Test(repl_keys, one_that_lost_its_key_file_gets_it_again_and_counts_for_nothing_before)
{
    struct rig *rig = sealed(3, 7);

    rig->stays_on = true;
    start_all(rig);
    create(rig, 1);
    cr_assert(rig_run(rig, 3000, rig_agrees, 0));
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    memset(&rig->nodes[1].kept, 0, sizeof rig->nodes[1].kept);
    rig_start(rig, 2);
    cr_assert_not(rig_run(rig, 3000, rig_has_leader, 0));
    rig_start(rig, 3); /* a majority now: it needs no more */
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert(has_key(rig, 2));
    cr_assert_not_null(sa(rig, 2, 1));
    rig_destroy(rig);
}

/* --- keys of sessions --- */

static bool has_session(const struct rig *rig, uint64_t id)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && sa(rig, i, id) == NULL)
            return false;
    return true;
}

Test(repl_keys, all_have_one_key_of_sessions_and_it_is_on_no_disk)
{
    struct rig *rig = sealed(3, 20);
    size_t looked = 0;
    uint64_t id;

    rig->snapshot_entries = 64;
    rig->trailing = 8;
    start_all(rig);
    for (uint64_t k = 1; k <= 80; k++)
        create(rig, k);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    id = session_key(rig, 1);
    cr_assert_neq(id, 0);
    for (uint32_t i = 1; i <= 3; i++) {
        struct rig_node *n = rig_node(rig, i);
        uint8_t key[SEAL_KEY_BYTES];
        struct repl_loaded loaded;

        cr_assert_eq(session_key(rig, i), id);
        cr_assert_eq(seal_ring_current(&n->ring, SEAL_SESSION), id);
        cr_assert(seal_ring_get(&n->ring, SEAL_SESSION, id, key));
        cr_assert(rig_run(rig, 20000, snapshotted, i));
        rig_kill(rig, i);
        sim_storage_load(n->storage, &loaded);
        for (size_t k = 0; k < loaded.n_entries; k++) {
            struct span d = loaded.entries[k].data;

            cr_assert(d.len == 0 || memmem(d.data, d.len, key, sizeof key) == NULL);
            looked += d.len;
        }
        cr_assert_null(
            memmem(loaded.snapshot_data.data, loaded.snapshot_data.len, key, sizeof key));
        looked += loaded.snapshot_data.len;
    }
    (void)printf("compared %zu bytes\n", looked);
    rig_destroy(rig);
}

/* One machine that lost its memory gets the key from the others, before and behind a snapshot. */
Test(repl_keys, a_machine_that_was_off_gets_the_sessions_key_from_the_others)
{
    for (uint32_t rounds = 0; rounds < 2; rounds++) {
        struct rig *rig = sealed(3, 21 + rounds);

        rig->snapshot_entries = rounds == 0 ? 1000000 : 40;
        rig->trailing = 8;
        start_all(rig);
        for (uint64_t k = 1; k <= 60; k++)
            create(rig, k);
        for (uint32_t i = 1; i <= 3; i++) {
            cr_assert(rig_run(rig, 20000, rig_agrees, 0));
            cr_assert(rounds == 0 || rig_run(rig, 20000, snapshotted, i));
            rig_kill(rig, i);
            create(rig, 100 + i);
            rig_start(rig, i);
            cr_assert(rig_run(rig, 20000, rig_agrees, 0));
            cr_assert_not_null(sa(rig, i, 1));
            cr_assert_not_null(sa(rig, i, 100 + i));
        }
        cr_assert(rig_mirrors(rig));
        rig_destroy(rig);
    }
}

/* The daemons of all nodes start anew: the keys are in the machines' memory. */
Test(repl_keys, sessions_outlive_the_daemons)
{
    struct rig *rig = sealed(3, 24);

    rig->stays_on = true;
    rig->snapshot_entries = 40;
    rig->trailing = 8;
    start_all(rig);
    for (uint64_t k = 1; k <= 60; k++)
        create(rig, k);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    start_all(rig);
    create(rig, 61);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    for (uint64_t k = 1; k <= 61; k++)
        cr_assert(has_session(rig, k));
    cr_assert(rig_mirrors(rig));
    rig_destroy(rig);
}

/* All lose their power: the key is gone, so all sessions are; the configuration stays, and new ones
 * come. From a log alone, and with snapshots. */
static void all_go_dark(size_t n, uint64_t seed, bool snapshots)
{
    struct rig *rig = sealed(n, seed);
    const struct fsm *fsm;
    uint64_t former, version;

    rig->snapshot_entries = snapshots ? 40 : 1000000;
    rig->trailing = 8;
    start_all(rig);
    for (uint64_t k = 1; k <= 60; k++)
        create(rig, k);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    former = session_key(rig, 1);
    version = replica_fsm(rig->nodes[0].replica)->config.version;
    for (uint32_t i = 1; i <= n; i++) {
        cr_assert(!snapshots || rig_run(rig, 20000, snapshotted, i));
        rig_kill(rig, i);
    }
    start_all(rig);
    create(rig, 1000);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    for (uint32_t i = 1; i <= n; i++) {
        fsm = replica_fsm(rig->nodes[i - 1].replica);
        cr_assert(fsm->session_key != former && fsm->session_key != 0);
        cr_assert_eq(fsm->sas.n_used, 1, "one, the new one, of %zu", fsm->sas.n_used);
        cr_assert_eq(fsm->leases.n_used, 1);
        cr_assert_geq(fsm->config.version, version, "the configuration is as it was");
        cr_assert_gt(fsm->shards[0].assignments, 1, "and what was owned before");
        cr_assert_not(seal_ring_has(&rig->nodes[i - 1].ring, former));
    }
    cr_assert(rig_mirrors(rig));
    cr_assert_eq(rig->two_owners, 0);
    /* And once more from what the disks hold now: records of both keys, one of them lost. */
    rig->stays_on = true;
    for (uint32_t i = 1; i <= n; i++)
        rig_kill(rig, i);
    start_all(rig);
    create(rig, 1001);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert(has_session(rig, 1000) && has_session(rig, 1001));
    cr_assert(rig_mirrors(rig));
    rig_destroy(rig);
}

Test(repl_keys, when_all_lose_power_sessions_end_and_new_ones_come)
{
    size_t compared = 0;

    for (size_t n = 1; n <= 5; n += 2)
        for (int snapshots = 0; snapshots < 2; snapshots++, compared++)
            all_go_dark(n, 30 + n, snapshots != 0);
    (void)printf("compared %zu clusters\n", compared);
}

/* Nothing was sealed with it yet, so nothing in the log asks for it. */
Test(repl_keys, power_is_lost_before_the_first_session)
{
    size_t compared = 0;

    for (size_t n = 1; n <= 5; n += 2, compared++) {
        struct rig *rig = sealed(n, 70 + n);
        uint64_t former;

        start_all(rig);
        cr_assert(rig_run(rig, 20000, rig_has_owner, 1));
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        former = session_key(rig, 1);
        for (uint32_t i = 1; i <= n; i++)
            rig_kill(rig, i);
        start_all(rig);
        cr_assert(rig_run(rig, 20000, rig_has_owner, 1), "%zu nodes: nobody owns", n);
        create(rig, 1);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        for (uint32_t i = 1; i <= n; i++)
            cr_assert(session_key(rig, i) != former && has_session(rig, 1));
        cr_assert(rig_mirrors(rig));
        cr_assert_eq(rig->two_owners, 0);
        rig_destroy(rig);
    }
    (void)printf("compared %zu clusters\n", compared);
}

/* A majority lost its memory; one that has the key comes too late: it must give in. */
Test(repl_keys, one_that_comes_late_with_the_key_is_of_one_state_with_the_others)
{
    struct rig *rig = sealed(3, 40);

    start_all(rig);
    for (uint64_t k = 1; k <= 20; k++)
        create(rig, k);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    rig->stays_on = true;
    rig_kill(rig, 1); /* its memory stays */
    rig->stays_on = false;
    rig_kill(rig, 2);
    rig_kill(rig, 3);
    rig_start(rig, 2);
    rig_start(rig, 3);
    cr_assert_not(rig_run(rig, 1000, rig_has_owner, 1), "the third may come yet");
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    create(rig, 1000);
    rig_start(rig, 1);
    (void)rig_run(rig, 3000, rig_agrees, 0);
    if (rig_has_failed(rig, 1)) { /* it began anew, as a service manager has it do */
        rig->stays_on = true;
        rig_kill(rig, 1);
        rig_start(rig, 1);
    }
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert_null(sa(rig, 1, 1));
    cr_assert_not_null(sa(rig, 1, 1000));
    cr_assert(rig_mirrors(rig));
    rig_destroy(rig);
}

/* What is left out counts as judged, on every node, or the submitter's later requests would be judged
 * differently where the key was. */
Test(repl_keys, requests_that_are_left_out_count_as_judged)
{
    struct rig *rig = sealed(3, 42);
    uint64_t boot;
    uint32_t from;

    start_all(rig);
    for (uint64_t k = 1; k <= 20; k++)
        create(rig, k);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    from = rig_owner(rig, 1);
    boot = rig_node(rig, from)->boot;
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    for (uint32_t i = 1; i <= 3; i++)
        if (i != from)
            rig_start(rig, i);
    cr_assert(rig_run(rig, 20000, rig_has_owner, 1), "two of three: the sessions are lost");
    for (uint32_t i = 1; i <= 3; i++)
        for (uint64_t k = 1; i != from && k <= 20; k++)
            cr_assert(fsm_judged(replica_fsm(rig->nodes[i - 1].replica), from, boot, k),
                      "node %u: request %d", i, (int)k);
    (void)printf("compared 40 requests\n");
    rig_destroy(rig);
}

/* Two of five lack it and hear of nobody else: no majority says that it is lost, so they wait. */
Test(repl_keys, a_minority_that_lacks_the_key_waits_for_it)
{
    struct rig *rig = sealed(5, 43);

    rig->snapshot_entries = 40; /* which they cannot open */
    rig->trailing = 8;
    start_all(rig);
    for (uint64_t k = 1; k <= 60; k++)
        create(rig, k);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    for (uint32_t i = 1; i <= 5; i++) {
        cr_assert(rig_run(rig, 20000, snapshotted, i));
        rig->stays_on = i > 2;
        rig_kill(rig, i);
    }
    rig_start(rig, 1);
    rig_start(rig, 2);
    (void)rig_run(rig, 8000, NULL, 0);
    for (uint32_t i = 3; i <= 5; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 8000, rig_has_owner, 1));
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    for (uint32_t i = 1; i <= 5; i++)
        cr_assert_not(rig_has_failed(rig, i));
    for (uint64_t k = 1; k <= 60; k++)
        cr_assert(has_session(rig, k));
    rig_destroy(rig);
}

/* The same, but it comes in time: nothing is lost. */
Test(repl_keys, one_that_comes_in_time_with_the_key_saves_the_sessions)
{
    struct rig *rig = sealed(3, 41);

    start_all(rig);
    for (uint64_t k = 1; k <= 20; k++)
        create(rig, k);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    rig->stays_on = true;
    rig_kill(rig, 1);
    rig->stays_on = false;
    rig_kill(rig, 2);
    rig_kill(rig, 3);
    rig_start(rig, 2);
    rig_start(rig, 3);
    cr_assert_not(rig_run(rig, 1500, rig_has_owner, 1));
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 3000, rig_has_owner, 1));
    create(rig, 21);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    for (uint64_t k = 1; k <= 21; k++)
        cr_assert(has_session(rig, k));
    rig_destroy(rig);
}

/* Nodes lose power at random, a few at a time, all at once now and then: never two owners, never two
 * states; and while a majority has the key no session ends. */
Test(repl_keys, random_power_losses)
{
    enum { SEEDS = 30, ROUNDS = 12 };
    size_t dark = 0;
    size_t kills = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig *rig = sealed(3, 1000 + seed);
        struct sim_random random = {.state = seed};
        uint64_t next = 1;

        rig->snapshot_entries = 30;
        rig->trailing = 8;
        start_all(rig);
        for (size_t round = 0; round < ROUNDS; round++) {
            uint64_t which = sim_next(&random) % 8;
            uint64_t former, before = next;

            for (uint64_t k = 0; k < 5; k++)
                create(rig, next++);
            cr_assert(rig_run(rig, 20000, rig_agrees, 0), "seed %d", (int)seed);
            former = session_key(rig, 1);
            rig->stays_on = sim_next(&random) % 2 == 0;
            for (uint32_t i = 1; i <= 3; i++)
                if ((which >> (i - 1) & 1) != 0) {
                    rig_kill(rig, i);
                    kills++;
                }
            (void)rig_run(rig, sim_next(&random) % 700, NULL, 0);
            for (uint32_t i = 1; i <= 3; i++)
                if ((which >> (i - 1) & 1) != 0)
                    rig_start(rig, i);
            create(rig, next++);
            cr_assert(rig_run(rig, 20000, rig_agrees, 0), "seed %d", (int)seed);
            cr_assert_eq(session_key(rig, 1) != former, which == 7 && !rig->stays_on,
                         "seed %d: lost when all are, and only then", (int)seed);
            cr_assert_eq(has_session(rig, before), session_key(rig, 1) == former);
            dark += session_key(rig, 1) != former;
            cr_assert_eq(rig->two_owners, 0);
            cr_assert(rig_mirrors(rig));
        }
        rig_destroy(rig);
    }
    cr_assert_gt(dark, 0);
    (void)printf("compared %zu kills, all dark %zu times\n", kills, dark);
}

Test(repl_keys, a_lone_node_without_its_key_refuses_to_start)
{
    struct rig *rig = sealed(1, 8);

    memset(&rig->nodes[0].kept, 0, sizeof rig->nodes[0].kept);
    rig_start(rig, 1);
    cr_assert(rig_has_failed(rig, 1));
    rig_destroy(rig);
}

/* Another cluster's file in place of its own, and no snapshot that would tell: it does not begin as if
 * nothing had ever been. */
Test(repl_keys, a_wrong_key_file_is_refused_before_anything_is_left_out)
{
    for (size_t nodes = 1; nodes <= 3; nodes += 2) {
        struct rig *rig = sealed(nodes, 11 + nodes);
        static const uint8_t another[SEAL_KEY_BYTES] = {7};
        struct seal_key own;
        uint64_t was;

        rig->stays_on = true;
        start_all(rig);
        create(rig, 1);
        cr_assert(rig_run(rig, 3000, rig_agrees, 0));
        own = rig->nodes[0].kept;
        was = replica_fsm(rig->nodes[0].replica)->applied_index;
        rig_kill(rig, 1);
        cr_assert(rig_keep_key(&rig->nodes[0], another));
        cr_assert_neq(rig->nodes[0].kept.id, own.id);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 5000, rig_has_failed, 1));
        rig_kill(rig, 1);
        /* Its own again: all is there. */
        rig->nodes[0].kept = own;
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cr_assert_geq(replica_fsm(rig->nodes[0].replica)->applied_index, was);
        cr_assert_not_null(sa(rig, 1, 1));
        rig_destroy(rig);
    }
}

/* A restart seals under another subkey: what the former start sealed is opened all the same. */
Test(repl_keys, sealed_clusters_take_over_restart_and_install_snapshots)
{
    struct rig *rig = sealed(3, 9);
    size_t restarts = 0;

    rig->snapshot_entries = 40;
    rig->trailing = 8;
    start_all(rig);
    for (uint64_t id = 1; id <= 60; id++) {
        create(rig, id);
        if (id % 10 == 0) {
            uint32_t node = rig_owner(rig, 1);

            rig_kill(rig, node);
            create(rig, 1000 + id);
            if (id % 20 == 0)
                for (uint64_t k = 1; k <= 60; k++)
                    create(rig, 2000 + 100 * id + k);
            rig_start(rig, node);
            restarts++;
        }
    }
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert(rig_mirrors(rig));
    cr_assert_gt(rig->resets, 0, "snapshots were loaded");
    (void)printf("compared 3 states after %zu restarts, %zu snapshots loaded\n", restarts,
                 (size_t)rig->resets);
    rig_destroy(rig);
}
