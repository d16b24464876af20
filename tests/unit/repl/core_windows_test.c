/* Windows that go ahead of a handover, in a cluster that is sealed. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "replication/replica_parts.h"
#include "unit/repl/cluster.h"

static const struct fsm *fsm_of(const struct rig *rig, uint32_t node)
{
    return replica_fsm(rig->nodes[node - 1].replica);
}

static bool spoken(const struct rig *rig, uint64_t node)
{
    return fsm_spoken(fsm_of(rig, (uint32_t)node)) >= RECORD_SPEAKS_ROTATION;
}

static struct rig *running(uint64_t seed)
{
    struct rig *rig = rig_create(3, 1, seed);

    rig_seal(rig);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 8000, rig_has_owner, 1));
    return rig;
}

static bool owner_is(const struct rig *rig, uint64_t node)
{
    return rig_owner(rig, 1) == node;
}

/* Windows that go ahead of a handover arrive in front of it, whatever becomes of the key meanwhile: else
 * the next owner has floors, and packets are lost. */
Test(repl_windows, the_windows_of_a_handover_outlive_a_change_of_the_key)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = running(9800 + seed);
        uint32_t from, to;
        uint64_t former, ahead, version;
        const struct fsm_shard *s;
        struct maker m;

        from = rig_owner(rig, 1);
        to = from % 3 + 1;
        cluster_lead(rig, from);
        cr_assert(rig_run(rig, 10000, spoken, from));
        former = fsm_of(rig, from)->session_key;
        m = rig_maker(rig, from, 1);
        cr_assert_neq(rig_submit(rig, from, make_rotate(&m)), 0);
        /* Its record is on its way, and not applied: what is sealed now comes behind it. */
        for (int ms = 0; ms < 5000 && !rig_node(rig, from)->replica->making.pushed; ms++)
            (void)rig_run(rig, 1, NULL, 0);
        cr_assert(rig_node(rig, from)->replica->making.pushed);
        cr_assert_eq(fsm_of(rig, from)->session_key, former, "it is too late for what is shown");
        m = rig_maker(rig, from, 1);
        s = fsm_shard(fsm_of(rig, from), 1);
        version = s->assignments + s->aborts;
        rig_node(rig, from)->quiesced = m.epoch_index;
        ahead = rig_submit(rig, from, make_windows(&m, version, "windows"));
        cr_assert_neq(ahead, 0);
        cr_assert_neq(
            rig_submit(rig, from, make_handover(&m, to, rig_node(rig, to)->boot, version)), 0);
        cr_assert(rig_run(rig, 5000, owner_is, to));
        cr_assert(rig_run(rig, 5000, rig_settled, from));
        cr_assert_neq(fsm_of(rig, from)->session_key, former);
        cr_assert_eq(rig_node(rig, from)->verdict[ahead], 1 + REPL_ACCEPTED,
                     "they came behind the handover: %d", rig_node(rig, from)->verdict[ahead]);
        cluster_finish(rig);
    }
    printf("compared 4 handovers\n");
}
