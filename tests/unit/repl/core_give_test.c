/* Handovers that the core asks its conductor for. */
#include <criterion/criterion.h>

#include "replication/fsm.h"
#include "unit/repl/cluster.h"

static bool no_owner(const struct rig *rig, uint64_t shard)
{
    return rig_owner(rig, (uint32_t)shard) == 0;
}

/* A link that fails: the owner is told to hand over, and has one lease for it. Who takes that time
 * up loses nothing; who does not is replaced by lapse. */
Test(repl_core, an_owner_whose_link_fails_hands_over)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct rig *rig = cluster_running(3, 7800 + seed);
        struct maker m;
        uint64_t from, gifts = rig_node(rig, 1)->gifts;
        uint32_t to;

        (void)rig_run(rig, 300 + seed, NULL, 0);
        cr_assert_eq(rig_node(rig, 1)->gifts, gifts, "nothing to give while all is well");
        rig_node(rig, 1)->cut = true;
        from = rig->now_ms;
        (void)rig_run(rig, 40, NULL, 0);
        cr_assert_eq(rig_node(rig, 1)->gifts, gifts + 1, "told at once, and once");
        to = rig_node(rig, 1)->gift_to;
        cr_assert(to == 2 || to == 3);
        cr_assert_eq(rig_owner(rig, 1), 1, "it may act until it has handed over");
        if (seed % 2 == 0) { /* it does */
            m = rig_maker(rig, 1, 1);
            rig_node(rig, 1)->quiesced = m.epoch_index;
            cr_assert_neq(rig_submit(rig, 1, make_handover(&m, to, rig_node(rig, to)->boot, 1)), 0);
            cr_assert(rig_run(rig, 1000, rig_has_owner, 1));
            cr_assert_eq(rig_owner(rig, 1), to);
            cr_assert_leq(rig->now_ms - from, 40 + 25);
        } else { /* it does not: its heartbeats end after one lease */
            cr_assert(rig_run(rig, 400, no_owner, 1));
            cr_assert_geq(rig->now_ms - from, 150);
            cr_assert(rig_run(rig, 1000, rig_has_owner, 1));
            cr_assert_neq(rig_owner(rig, 1), 1);
        }
        rig_node(rig, 1)->cut = false;
        cluster_finish(rig);
    }
}

/* What operators wish reaches the owner through the log, whoever wrote it down. */
Test(repl_core, wishes_reach_the_owner)
{
    struct rig *rig = cluster_running(3, 7900);
    struct maker m = rig_maker(rig, 3, 1);
    uint64_t gifts = rig_node(rig, 1)->gifts;

    cr_assert_neq(rig_submit(rig, 3, make_move(&m, 2)), 0);
    (void)rig_run(rig, 60, NULL, 0);
    cr_assert_eq(rig_node(rig, 1)->gifts, gifts + 1);
    cr_assert_eq(rig_node(rig, 1)->gift_to, 2);
    (void)rig_run(rig, FSM_MOVE_MS + 1000, NULL, 0); /* nobody follows it: it ends by itself */
    gifts = rig_node(rig, 1)->gifts;
    (void)rig_run(rig, 2000, NULL, 0);
    cr_assert_eq(rig_node(rig, 1)->gifts, gifts);
    m = rig_maker(rig, 3, 1);
    m.request = 0;
    cr_assert_neq(rig_submit(rig, 3, make_drain(&m, 1, true)), 0);
    (void)rig_run(rig, 60, NULL, 0);
    cr_assert_eq(rig_node(rig, 1)->gifts, gifts + 1);
    cluster_finish(rig);
}
