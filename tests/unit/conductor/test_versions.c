/* A rolling upgrade, seen from the conductor: states are written as the oldest member reads them. And a
 * state that nobody can read ends its SA: nothing of it goes on. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "proto/records.pb-c.h"
#include "replication/repl_admin.h"
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

static const struct audit_entry *newest(const struct fsm *fsm)
{
    return fsm_audit_kept(fsm, fsm->audit.n - 1);
}

/* Who asked is written down with the wish; to a member that does not know it the record would be malformed, and the wish lost. */
Test(versions, who_asked_is_said_once_all_members_know_it)
{
    static const struct repl_admin by = {
        .role = "admin", .principal = "email:a", .address = "10.9.9.9", .request_id = "r-1"};
    struct world *w;
    const struct fsm *fsm;
    struct conductor *c;

    world_oldest = RECORD_SPEAKS_DOCUMENTS - 1;
    w = world_create(NULL);
    world_oldest = 0;
    fsm = &w->gateway_log.fsm;
    c = w->nodes[w->owner].conductor;
    cr_assert(conductor_wish_drain(c, 3, true, 0, 0, &by));
    world_run(w, 100);
    cr_assert(fsm_member(fsm, 3)->drained, "it was taken all the same");
    cr_assert_eq(fsm->audit.head.count, 0, "there is no audit yet");
    instant_log_boot(&w->gateway_log, w->now, 1, 2000);
    cr_assert_eq(fsm_spoken(fsm), RECORD_SPEAKS);
    world_assign(w, 1);
    c = w->nodes[w->owner].conductor;
    cr_assert(conductor_wish_drain(c, 3, false, 0, 0, &by));
    world_run(w, 100);
    cr_assert_not(fsm_member(fsm, 3)->drained);
    cr_assert_str_eq(newest(fsm)->texts[AUDIT_PRINCIPAL], "email:a");
    cr_assert_str_eq(newest(fsm)->texts[AUDIT_ROLE], "admin");
    cr_assert_str_eq(newest(fsm)->texts[AUDIT_ADDRESS], "10.9.9.9");
    cr_assert_str_eq(newest(fsm)->texts[AUDIT_REQUEST_ID], "r-1");
    cr_assert_str_eq(newest(fsm)->texts[AUDIT_OPERATION], "node.undrain");
    world_destroy(w);
}
