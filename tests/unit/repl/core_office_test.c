/* A leader whose state is not to be used gives its office away: only to one that can take it. */
#include <stdio.h>

#include "replication/raft_frame.h"
#include "unit/repl/members_rig.h"

/* Nodes 1 to 3 vote; node 4 learns: of an even number of voters nobody would have more. */
static struct rig *beside_a_learner(uint64_t seed, bool sealed)
{
    struct rig *rig = rig_create(3, 1, seed);

    if (sealed)
        rig_seal(rig);
    rig->trailing = 1000; /* the log has all, so no install comes by itself */
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert_eq(join(rig), 4);
    write_some(rig);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert_eq(voters_as(rig, rig_leader(rig)), 3);
    cr_assert_eq(raft_driver_configuration(replica_driver(rig_node(rig, 1)->replica))->n_servers,
                 4);
    return rig;
}

/* Whatever it can do with it. */
static bool is_in_office(const struct rig *rig, uint64_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica)).state ==
           RAFT_DRIVER_LEADER;
}

static bool is_out_of_office(const struct rig *rig, uint64_t node)
{
    return !is_in_office(rig, node);
}

static bool is_erased(const struct rig *rig, uint64_t former)
{
    for (uint32_t i = 1; i <= rig->n; i++) {
        const struct fsm *f = rig->nodes[i - 1].up ? replica_fsm(rig->nodes[i - 1].replica) : NULL;

        if (f != NULL && (f->session_key == former || f->former_key != 0))
            return false;
    }
    return true;
}

/* The key of sessions changes, and the former one is erased. */
static void rotate(struct rig *rig)
{
    uint32_t via = owner(rig);
    uint64_t former = replica_fsm(rig_node(rig, via)->replica)->session_key;
    struct maker m = rig_maker(rig, via, 1);

    submit(rig, via, make_rotate(&m), 1);
    cr_assert(rig_run(rig, 20000, is_erased, former), "not erased");
    write_some(rig);
    cr_assert(rig_run(rig, 10000, rig_agrees, 0));
}

/* It was away when the key of sessions changed, and all others started anew with it: node 4, which learns,
 * says as node 2 does that it went on, and has as much of the log. */
Test(repl_office, one_that_lacks_an_erased_key_makes_room_for_a_voter)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = beside_a_learner(8300 + seed, true);

        cr_assert(rig_run(rig, 5000, has_booted, 1));
        rig_kill(rig, 1);
        rotate(rig);
        rig_kill(rig, 3);
        rig->lost_frames = 1U << RAFT_FRAME_INSTALL; /* nobody's state in place of its own yet */
        rig_start(rig, 1);
        for (uint64_t end = rig->now_ms + 5000; !is_in_office(rig, 1) && rig->now_ms < end;) {
            (void)rig_run(rig, 20, is_in_office, 1);
            if (rig_leader(rig) == 2)
                (void)!replica_transfer(rig_node(rig, 2)->replica, rig->now_ms * 1000000, 1);
        }
        cr_assert(is_in_office(rig, 1), "seed %d: the case did not come", (int)seed);
        cr_assert_eq(replica_agreement(rig_node(rig, 1)->replica, 1), REPL_DIFFERS);
        rig->lost_frames = 0;
        cr_assert(rig_run(rig, 5000, is_out_of_office, 1), "seed %d: it keeps the office",
                  (int)seed);
        write_some(rig);
        rig_start(rig, 3);
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

/* Its state is wrong: node 4 has the majority's, as nodes 2 and 3 have. */
Test(repl_office, one_that_is_outvoted_makes_room_for_a_voter)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = beside_a_learner(8310 + seed, false);
        struct fsm *fsm;

        cluster_lead(rig, 1);
        fsm = (struct fsm *)(uintptr_t)replica_fsm(rig_node(rig, 1)->replica);
        fsm->shards[0].aborts++;
        cr_assert(rig_run(rig, 5000, is_out_of_office, 1), "seed %d: it keeps the office",
                  (int)seed);
        write_some(rig);
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}
