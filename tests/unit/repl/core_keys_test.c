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

Test(repl_keys, one_that_lost_its_key_file_gets_it_again_and_counts_for_nothing_before)
{
    struct rig *rig = sealed(3, 7);

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
    cr_assert_not_null(fsm_sa(replica_fsm(rig->nodes[1].replica), 1));
    rig_destroy(rig);
}

Test(repl_keys, a_lone_node_without_its_key_refuses_to_start)
{
    struct rig *rig = sealed(1, 8);

    memset(&rig->nodes[0].kept, 0, sizeof rig->nodes[0].kept);
    rig_start(rig, 1);
    cr_assert(rig_has_failed(rig, 1));
    rig_destroy(rig);
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
