#include "unit/repl/cluster.h"

#include <criterion/criterion.h>

static struct rig *run(struct rig *rig, size_t n)
{
    for (uint32_t i = 1; i <= n; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "no owner within 5 s");
    return rig;
}

struct rig *cluster_running(size_t n, uint64_t seed)
{
    return run(rig_create(n, 1, seed), n);
}

struct rig *cluster_snapshotting(uint64_t seed)
{
    struct rig *rig = rig_create(3, 1, seed);

    rig->snapshot_entries = 100;
    rig->trailing = 10;
    return run(rig, 3);
}

void cluster_finish(struct rig *rig)
{
    cr_assert(rig_run(rig, 20000, rig_agrees, 0), "states differ in the end");
    cr_assert(rig_mirrors(rig), "events told another story than the state");
    cr_assert_eq(rig->two_owners, 0, "two owners acted at once");
    cr_assert_eq(rig->unassigned, 0, "an owner acted without its assignment");
    rig_destroy(rig);
}

void cluster_create_sas(struct rig *rig, uint32_t owner, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct maker m = rig_maker(rig, owner, 1);

        cr_assert_neq(rig_submit(rig, owner,
                                 make_create(&m, first + i, "state", (uint32_t)(4096 + first + i),
                                             (uint32_t)(0x0a630000 + first + i), "client")),
                      0);
    }
}

void cluster_lead(struct rig *rig, uint32_t node)
{
    for (int tries = 0; tries < 20 && rig_leader(rig) != node; tries++) {
        uint32_t leader;

        cr_assert(rig_run(rig, 5000, rig_has_leader, 0));
        leader = rig_leader(rig);
        if (leader != node)
            (void)!replica_transfer(rig_node(rig, leader)->replica, rig->now_ms * 1000000, node);
        (void)rig_run(rig, 300, NULL, 0);
    }
    cr_assert_eq(rig_leader(rig), node);
}

void cluster_settle(struct rig *rig, uint32_t on, Holdfast__Record *record)
{
    cr_assert_neq(rig_submit(rig, on, record), 0);
    cr_assert(rig_run(rig, 10000, rig_settled, on));
}

void cluster_power_off(struct rig *rig, uint32_t n)
{
    rig->stays_on = false;
    for (uint32_t i = 1; i <= n; i++)
        rig_kill(rig, i);
}
