/* A disk that hangs: no write fails, none comes back. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "unit/repl/cluster.h"

enum { TAKEOVER_MS = 1000, AROUND_MS = 50 };

/* Its process ends, and that is all that the others need to go on. */
static void await_end(struct rig *rig, uint32_t node)
{
    uint64_t hung_ms = rig->now_ms;

    rig_hang_disk(rig, node);
    cr_assert(rig_run(rig, RIG_HANG_MS + AROUND_MS, rig_has_failed, node), "it goes on for ever");
    cr_assert_geq(rig->now_ms - hung_ms, RIG_HANG_MS);
    rig_kill(rig, node);
}

/* Raft's heartbeats need no disk, so a leader without one stays in office and commits nothing. */
Test(repl_core, a_leader_whose_disk_hangs_ends_and_another_leads_and_owns)
{
    struct rig *rig = cluster_running(3, 9900);

    cluster_lead(rig, 1);
    cluster_create_sas(rig, 1, 1, 5);
    cr_assert(rig_run(rig, 500, rig_settled, 1));
    await_end(rig, 1);
    cr_assert(rig_run(rig, TAKEOVER_MS, rig_has_owner, 1), "nobody took over");
    cr_assert_neq(rig_owner(rig, 1), 1);
    cr_assert_neq(rig_leader(rig), 1);
    cluster_create_sas(rig, rig_owner(rig, 1), 100, 5);
    cr_assert(rig_run(rig, 1000, rig_settled, rig_owner(rig, 1)));
    rig_start(rig, 1); /* with a new disk in it, or a better day */
    cluster_finish(rig);
}

/* The owner is well; its records wait for a leader that stores nothing. */
Test(repl_core, an_owners_records_go_on_when_the_leaders_disk_hangs)
{
    struct rig *rig = cluster_running(3, 9910);

    cluster_lead(rig, 2);
    await_end(rig, 2);
    cluster_create_sas(rig, 1, 1, 5);
    cr_assert(rig_run(rig, TAKEOVER_MS, rig_settled, 1), "the records wait for ever");
    cr_assert_eq(rig_node(rig, 1)->settled_accepted, 5);
    cr_assert_eq(rig_owner(rig, 1), 1);
    rig_start(rig, 2);
    cluster_finish(rig);
}

/* Slow is not hung: writes come back, if late. */
Test(repl_core, a_slow_disk_ends_nobody)
{
    struct rig *rig = cluster_running(3, 9920);

    sim_storage_set_delay(rig_node(rig, 3)->storage, 200, 900);
    (void)rig_run(rig, 4ull * RIG_HANG_MS, NULL, 0);
    for (uint32_t n = 1; n <= 3; n++)
        cr_assert_not(rig_node(rig, n)->failed);
    sim_storage_set_delay(rig_node(rig, 3)->storage, 0, 1);
    cluster_finish(rig);
}
