/* The state that an install replaces, and the one it brings, leave no secret of cookies in memory that is
 * given back. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "unit/repl/cluster.h"
#include "unit/repl/heap_look.h"

static bool is_installed(const struct rig *rig, uint64_t node)
{
    return rig_node((struct rig *)(uintptr_t)rig, (uint32_t)node)->resets > 0;
}

Test(repl_heap, nothing_of_an_install_is_given_back)
{
    static uint8_t secret[sizeof((struct fsm *)NULL)->config.cookie_secret];
    struct rig *rig = rig_create(3, 1, 8900);
    uint64_t last;

    rig_seal(rig);
    rig->snapshot_entries = 100;
    rig->trailing = 10;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    cluster_lead(rig, 1);
    rig_kill(rig, 3);
    last = raft_driver_status(replica_driver(rig_node(rig, 1)->replica)).last_index;
    for (uint64_t i = 1; i <= 260; i++) {
        cluster_create_sas(rig, rig_owner(rig, 1), i, 1);
        (void)rig_run(rig, 3, NULL, 0);
    }
    cr_assert_gt(raft_driver_status(replica_driver(rig_node(rig, 1)->replica)).snapshot_index,
                 last + 20);
    memcpy(secret, replica_fsm(rig_node(rig, 1)->replica)->config.cookie_secret, sizeof secret);
    rig_start(rig, 3);
    heap_look_for(secret, sizeof secret);
    cr_assert(rig_run(rig, 10000, is_installed, 3));
    cr_assert_eq(heap_look_found(), 0, "%zu pieces with it inside", heap_look_found());
    cr_assert_gt(heap_look_looked(), 60);
    (void)printf("compared %zu pieces\n", heap_look_looked());
    heap_look_for(NULL, 0);
    cr_assert_eq(
        memcmp(secret, replica_fsm(rig_node(rig, 3)->replica)->config.cookie_secret, sizeof secret),
        0);
    cluster_finish(rig);
}
