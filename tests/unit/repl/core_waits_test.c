/* A cluster that cannot begin, or in which nobody can lead, says why it waits and what to do. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "replication/raft_frame.h"
#include "unit/repl/cluster.h"

static const char *waits(const struct rig *rig, uint32_t node)
{
    static struct repl_status s;

    replica_status(rig->nodes[node - 1].replica, rig->now_ms * 1000000, &s);
    return s.waits;
}

static void plant(struct rig *rig, uint32_t node, enum repl_distrust why)
{
    struct sim_storage *disk = rig_node(rig, node)->storage;
    struct repl_storage s = sim_storage_interface(disk);

    s.distrust(s.self, why);
    sim_storage_flush(disk);
}

static struct rig *founders(uint64_t seed, enum repl_distrust first)
{
    struct rig *rig = rig_create(3, 1, seed);

    plant(rig, 1, first);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    return rig;
}

/* All had agreed, node 1 had begun, and then the machines started anew (distrust_after_boot): what 2 and 3
 * had agreed on counts no more (wal_core.c), and nobody can tell what they may have lost. */
Test(repl_waits, founders_of_whom_one_has_begun_say_that_nobody_can_lead)
{
    static const enum repl_distrust begun[] = {REPL_TRUSTED, REPL_DISTRUST_BOOT};

    for (size_t k = 0; k < 2; k++) {
        struct rig *rig = founders(9950 + k, begun[k]);

        cr_assert_not(rig_run(rig, 150000, rig_has_leader, 0));
        for (uint32_t i = 1; i <= 3; i++) {
            cr_assert_eq(rig_node(rig, i)->stuck_told, 3,
                         "node %u, after 3 s, then each minute: %lu", i,
                         (unsigned long)rig_node(rig, i)->stuck_told);
            cr_assert_eq(rig_node(rig, i)->founder_told, 0);
            cr_assert_not_null(strstr(waits(rig, i), "no leader can come"), "\"%s\"",
                               waits(rig, i));
            cr_assert_not_null(strstr(waits(rig, i), "cluster recover"));
        }
        for (uint32_t i = 1; i <= 3; i++)
            rig_kill(rig, i);
        cr_assert(rig_recover(rig, 1, 99), "the way out that it says is none");
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        rig_destroy(rig);
    }
    (void)printf("compared 6 nodes\n");
}

/* A power cut of all, and distrust_after_boot: the same. With one that counts there is a majority again. */
Test(repl_waits, a_cluster_under_distrust_says_so)
{
    struct rig *rig = cluster_running(3, 9960);

    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    for (uint32_t i = 1; i <= 2; i++)
        plant(rig, i, REPL_DISTRUST_BOOT);
    rig_start(rig, 1);
    cr_assert_not(rig_run(rig, 10000, rig_has_leader, 0));
    cr_assert_str_empty(waits(rig, 1), "the others may well count: %s", waits(rig, 1));
    rig_start(rig, 2);
    cr_assert_not(rig_run(rig, 10000, rig_has_leader, 0));
    for (uint32_t i = 1; i <= 2; i++)
        cr_assert_not_null(strstr(waits(rig, i), "2 of 3 voters"), "\"%s\"", waits(rig, i));
    rig_destroy(rig);
    (void)printf("compared 3 words\n");
}

static void never_told(const struct rig *rig)
{
    for (uint32_t i = 1; i <= rig->n; i++) {
        cr_assert_eq(rig->nodes[i - 1].stuck_told, 0);
        cr_assert_str_empty(waits(rig, i));
    }
}

Test(repl_waits, who_goes_on_says_nothing)
{
    struct rig *rig = rig_create(3, 1, 9970);

    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    (void)rig_run(rig, 10000, NULL, 0);
    never_told(rig);
    rig_kill(rig, 3); /* one that is made anew is filled */
    sim_storage_wipe(rig_node(rig, 3)->storage);
    rig_start(rig, 3);
    (void)rig_run(rig, 10000, NULL, 0);
    never_told(rig);
    rig_destroy(rig);
    (void)printf("compared 12 words\n");
}

/* A founder whose program does not know the word is there all the same: it is not "not heard". */
Test(repl_waits, a_founder_on_an_older_program_is_called_that)
{
    struct rig *rig = rig_create(3, 1, 9980);

    rig->lost_frames = 1U << RAFT_FRAME_FOUND;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert_not(rig_run(rig, 10000, rig_has_leader, 0));
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_not_null(strstr(waits(rig, i), "its program is older"), "\"%s\"", waits(rig, i));
        cr_assert_eq(rig_node(rig, i)->founder_told, 0);
    }
    rig->lost_frames = 0;
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    (void)rig_run(rig, 1000, NULL, 0);
    for (uint32_t i = 1; i <= 3; i++)
        cr_assert_str_empty(waits(rig, i));
    cluster_finish(rig);
    (void)printf("compared 6 words\n");
}
