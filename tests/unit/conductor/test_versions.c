/* A rolling upgrade, seen from the conductor: states are written as the oldest member reads them. And a
 * state that nobody can read ends its SA: nothing of it goes on. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "proto/records.pb-c.h"
#include "world.h"

static const struct fsm_sa *replicated(struct world *w)
{
    const struct fsm_sa *sa = fsm_sa(&w->gateway_log.fsm, world_sa(w, w->owner).local_spi);

    cr_assert_not_null(sa);
    return sa;
}

/* Each of the exchanges leaves a state behind. */
static void exchanges(struct world *w, uint8_t codec)
{
    static const uint32_t wants[] = {IKE_WANT_DPD, IKE_WANT_REKEY_CHILD_PFS, IKE_WANT_REKEY_IKE};

    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        cr_assert(world_want(w, w->owner, wants[i]));
        world_run(w, 2000);
        cr_assert_eq(world_established(w, w->owner), 1);
        cr_assert_eq(replicated(w)->state[0], codec, "after exchange %zu: codec %u", i,
                     replicated(w)->state[0]);
    }
}

Test(versions, states_are_written_as_the_oldest_member_reads_them)
{
    struct world *w;

    world_oldest = RECORD_SPEAKS_CODEC_2 - 1;
    w = world_create(NULL);
    world_oldest = 0;
    cr_assert_eq(fsm_spoken(&w->gateway_log.fsm), RECORD_SPEAKS_CODEC_2 - 1);
    cr_assert(world_connect(w));
    cr_assert_eq(replicated(w)->state[0], 1);
    exchanges(w, 1);
    world_assign(w, 1);
    exchanges(w, 1);
    /* The last old one is exchanged: from now on the new codec, by the owner and by the next one. */
    instant_log_boot(&w->gateway_log, w->now, 1, 2000);
    cr_assert_eq(fsm_spoken(&w->gateway_log.fsm), RECORD_SPEAKS);
    cr_assert_eq(replicated(w)->state[0], 1, "an SA at rest stays as it is");
    exchanges(w, IKE_CODEC_NEWEST);
    world_assign(w, 2);
    exchanges(w, IKE_CODEC_NEWEST);
    printf("compared 12 states of two codecs\n");
    world_destroy(w);
}

/* As its owner would write it, but for the state. */
static void damage(struct world *w)
{
    static uint8_t state[] = {IKE_CODEC_NEWEST + 1, 0, 0, 0};
    const struct fsm_sa *sa = replicated(w);
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;
    Holdfast__SaStep step = HOLDFAST__SA_STEP__INIT;

    step.sa_id = sa->id;
    step.version = fsm_sa_version(&w->gateway_log.fsm, sa);
    step.state = (ProtobufCBinaryData){.len = sizeof state, .data = state};
    world_own_record(w, &r, &epoch);
    r.body_case = HOLDFAST__RECORD__BODY_SA_STEP;
    r.sa_step = &step;
    instant_log_commit(&w->gateway_log, w->now, &r, NULL, NULL);
    cr_assert_eq(sa->state_len, sizeof state, "it was accepted");
}

Test(versions, what_nobody_can_read_ends)
{
    for (int takeover = 0; takeover < 2; takeover++) {
        struct world *w = world_create(NULL);

        cr_assert(world_connect(w));
        damage(w);
        for (unsigned i = 0; i < WORLD_CLIENT; i++) {
            const struct counters *c = conductor_counters(w->nodes[i].conductor);

            cr_assert_eq(w->nodes[i].installed, 0, "node %u goes on with its traffic", i + 1);
            cr_assert_eq(c->value[COUNTER_decode_failed], 1);
        }
        if (takeover)
            world_assign(w, 1);
        cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DPD)); /* its messages meet nothing */
        world_run(w, 1000);
        for (unsigned i = 0; i < WORLD_CLIENT; i++)
            cr_assert_eq(conductor_count_sas(w->nodes[i].conductor), 0, "node %u keeps it", i + 1);
        cr_assert_null(w->gateway_log.fsm.all_sas);
        world_destroy(w);
    }
    printf("compared 2 SAs that ended on three nodes\n");
}
