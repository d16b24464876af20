/* A key of sessions that was given up, and comes all the same. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "replication/raft_frame.h"
#include "replication/replica_parts.h"
#include "unit/repl/cluster.h"
#include "unit/repl/members_rig.h"

/* A key was given up while the third node was away, which has it, and gives it at each start to who needs it for what
 * stands in the log before that. Neither has asked for anything under it: both go on where the log gives it up. */
Test(repl_lost, who_is_given_a_key_that_was_given_up_goes_on)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(3, 1, 3225 + seed);
        struct maker m;
        uint64_t key;

        rig_seal(rig);
        rig->trailing = 1000;
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        m = rig_maker(rig, rig_owner(rig, 1), 1);
        cluster_settle(rig, rig_owner(rig, 1),
                       make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        key = rig_node(rig, 3)->replica->fsm.session_key;
        for (uint32_t i = 1; i <= 2; i++) /* the loss stays in the log */
            sim_storage_full(rig_node(rig, i)->storage, true);
        rig->stays_on = true;
        rig_kill(rig, 3);
        cluster_power_off(rig, 2);
        rig_start(rig, 1);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 20000, rig_has_owner, 1));
        cr_assert_neq(rig_node(rig, 1)->replica->fsm.session_key, key, "it was not given up");
        rig->stays_on = true;
        rig_kill(rig, 1);
        rig_kill(rig, 2);
        sim_storage_full(rig_node(rig, 1)->storage, false);
        rig_start(rig, 3);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 20000, rig_has_owner, 1), "seed %d: nobody goes on", (int)seed);
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        cr_assert(!rig_has_failed(rig, 1) && !rig_has_failed(rig, 3), "seed %d: it began anew",
                  (int)seed);
        cr_assert(!seal_ring_has(&rig_node(rig, 3)->ring, key) &&
                      !seal_ring_has(&rig_node(rig, 1)->ring, key),
                  "it is kept on");
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

/* Sessions were there and ended; then `early` alone takes a snapshot, in which there is none. */
static void have_an_empty_snapshot(struct rig *rig, uint32_t early, uint32_t on)
{
    enum { EACH = 64 }; /* no snapshot is made for fewer */
    struct replica *r = rig_node(rig, on)->replica;
    struct maker m = rig_maker(rig, on, 1);
    uint64_t ended;

    cluster_settle(rig, on, make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
    cluster_settle(rig, on, make_delete(&m, 1, fsm_sa_version(&r->fsm, fsm_sa(&r->fsm, 1))));
    ended = r->fsm.applied_index;
    rig->stays_on = true;
    rig_kill(rig, early);
    rig->snapshot_entries = EACH;
    rig_start(rig, early);
    for (int i = 0; i < EACH + EACH / 2; i++)
        cluster_settle(rig, on, make_audit(&m, "nothing of a session"));
    cr_assert(rig_run(rig, 10000, rig_agrees, 0));
    cr_assert_gt(raft_driver_status(rig_node(rig, early)->replica->driver).snapshot_index, ended);
    rig->snapshot_entries = 1000000;
    rig->stays_on = false;
}

/* All lose their power, and the sessions' key with it. Two need it for what their logs hold; the third does
 * not, so it is not blind when the log says that the key is lost: it did not have it either, and goes on. */
Test(repl_lost, who_needs_nothing_of_a_lost_key_goes_on)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(3, 1, 3100 + seed);
        uint32_t on, early;

        rig_seal(rig);
        rig->trailing = 1000;
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        on = rig_owner(rig, 1);
        early = on % 3 + 1;
        have_an_empty_snapshot(rig, early, on);
        for (uint32_t i = 1; i <= 3; i++)
            rig_kill(rig, i);
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 30000, rig_has_owner, 1), "seed %d: nobody goes on", (int)seed);
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        cr_assert(!rig_has_failed(rig, early), "seed %d: %s", (int)seed,
                  "it gave a key up that it did not have");
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}
