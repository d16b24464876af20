/* What is counted of exchanges: begun, ended, failed, how long they took; repeats apart from keepalives;
 * how late SAs were replaced. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "conductor/exchanges.h"
#include "unit/conductor/world.h"

static const struct counters *of_owner(struct world *w)
{
    return conductor_counters(w->nodes[w->owner].conductor);
}

static const struct counter_exchange *count_of(struct world *w, enum ike_exchange e,
                                               enum ike_begun side)
{
    return &of_owner(w)->exchange[e][side];
}

static uint64_t observed(const struct counter_histogram *h)
{
    uint64_t n = 0;

    for (int i = 0; i <= COUNTER_MOST_BOUNDS; i++)
        n += h->bucket[i];
    return n;
}

static void expect(struct world *w, enum ike_exchange e, enum ike_begun side, uint64_t started,
                   uint64_t completed, uint64_t failed)
{
    const struct counter_exchange *x = count_of(w, e, side);

    cr_assert(x->started == started && x->completed == completed && x->failed == failed,
              "%s by %s: %lu started, %lu completed, %lu failed, not %lu, %lu, %lu",
              ike_exchange_name(e), side == IKE_BY_US ? "us" : "the peer",
              (unsigned long)x->started, (unsigned long)x->completed, (unsigned long)x->failed,
              (unsigned long)started, (unsigned long)completed, (unsigned long)failed);
    cr_assert_eq(observed(&x->took), completed, "%s: %lu took some time", ike_exchange_name(e),
                 (unsigned long)observed(&x->took));
}

Test(exchanges, a_connection_and_each_kind_of_rekey_by_either_side)
{
    static const struct {
        bool ours;
        uint32_t want;
        enum ike_exchange e;
    } table[] = {
        {false, IKE_WANT_REKEY_CHILD_NOPFS, IKE_EX_CHILD_REKEY},
        {true, IKE_WANT_REKEY_CHILD_NOPFS, IKE_EX_CHILD_REKEY},
        {false, IKE_WANT_REKEY_CHILD_PFS, IKE_EX_CHILD_REKEY_PFS},
        {true, IKE_WANT_REKEY_CHILD_PFS, IKE_EX_CHILD_REKEY_PFS},
        {false, IKE_WANT_REKEY_IKE, IKE_EX_IKE_REKEY},
        {true, IKE_WANT_REKEY_IKE, IKE_EX_IKE_REKEY},
        {true, IKE_WANT_DPD, IKE_EX_DPD},
        {false, IKE_WANT_DPD, IKE_EX_DPD},
    };
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++) {
        struct world *w = world_create(NULL);
        enum ike_begun side = table[rows].ours ? IKE_BY_US : IKE_BY_PEER;
        bool child = table[rows].e != IKE_EX_IKE_REKEY && table[rows].e != IKE_EX_DPD;

        cr_assert(world_connect(w));
        expect(w, IKE_EX_INIT, IKE_BY_PEER, 1, 1, 0);
        expect(w, IKE_EX_AUTH, IKE_BY_PEER, 1, 1, 0);
        cr_assert(world_want(w, table[rows].ours ? w->owner : WORLD_CLIENT, table[rows].want));
        world_run(w, 3000);
        expect(w, table[rows].e, side, 1, 1, 0);
        cr_assert_eq(observed(&of_owner(w)->late[COUNTER_LIFE_CHILD]), child, "row %u", rows);
        cr_assert_eq(observed(&of_owner(w)->late[COUNTER_LIFE_IKE]),
                     table[rows].e == IKE_EX_IKE_REKEY, "row %u", rows);
        /* Before the soft limit nothing is late; and nothing was repeated. */
        cr_assert_eq(of_owner(w)->late[COUNTER_LIFE_CHILD].sum_ms, 0);
        cr_assert_eq(of_owner(w)->value[COUNTER_retransmissions_out], 0, "row %u", rows);
        world_destroy(w);
    }
    printf("compared %u exchanges\n", rows);
}

static void ask_soon(struct ike_policy *gateway, struct ike_policy *client)
{
    (void)client;
    gateway->dpd_ms = 1000;
}

/* A peer that answers nothing: the request is repeated, then given up. */
Test(exchanges, what_is_given_up_has_failed)
{
    struct world *w = world_create(ask_soon);
    const struct counter_exchange *x = count_of(w, IKE_EX_DPD, IKE_BY_US);
    struct counter_exchange before;

    cr_assert(world_connect(w));
    before = *x;
    w->drop_to_client = 1000;
    world_run(w, 200000);
    cr_assert_eq(world_established(w, 0), 0);
    cr_assert_eq(before.failed, 0);
    cr_assert_eq(x->failed, 1);
    cr_assert_eq(x->started, x->completed + 1);
    cr_assert_leq(x->completed, before.completed + 1); /* one may have been under way */
    cr_assert_gt(of_owner(w)->value[COUNTER_retransmissions_out], 1);
    cr_assert_gt(of_owner(w)->reason[IKE_REASON_PEER_DEAD], 0);
    world_destroy(w);
}

static void other_secret(struct ike_policy *gateway, struct ike_policy *client)
{
    (void)gateway;
    secret_set(&((struct ike_psk_entry *)(uintptr_t)client->psks)->psk, "another secret", 14);
}

Test(exchanges, a_refused_authentication_has_failed)
{
    struct world *w = world_create(other_secret);

    cr_assert(!world_connect(w));
    expect(w, IKE_EX_INIT, IKE_BY_PEER, count_of(w, IKE_EX_INIT, IKE_BY_PEER)->started,
           count_of(w, IKE_EX_INIT, IKE_BY_PEER)->started, 0);
    cr_assert_gt(count_of(w, IKE_EX_AUTH, IKE_BY_PEER)->failed, 0);
    cr_assert_eq(count_of(w, IKE_EX_AUTH, IKE_BY_PEER)->completed, 0);
    world_destroy(w);
}

/* Our answers do not arrive: the peer asks again, we answer again, with no request of ours. */
Test(exchanges, answers_repeated_are_no_retransmissions)
{
    struct world *w = world_create(NULL);

    cr_assert(world_connect(w));
    w->drop_to_client = 2;
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DPD));
    world_run(w, 30000);
    cr_assert_eq(w->drop_to_client, 0);
    expect(w, IKE_EX_DPD, IKE_BY_PEER, 1, 1, 0);
    cr_assert_eq(of_owner(w)->value[COUNTER_answers_repeated], 2);
    cr_assert_eq(of_owner(w)->value[COUNTER_retransmissions_out], 0);
    world_destroy(w);
}

static void we_rekey_first(struct ike_policy *gateway, struct ike_policy *client)
{
    gateway->child_life.hard_ms = 600000;
    client->child_life.hard_ms = 3600000;
}

/* The gateway's rekey is not heard for some seconds: it comes about late, and that is told. */
Test(exchanges, a_rekey_that_was_not_heard_is_late)
{
    struct world *w = world_create(we_rekey_first);
    const struct counter_histogram *late = &of_owner(w)->late[COUNTER_LIFE_CHILD];
    uint64_t ms = 0;

    cr_assert(world_connect(w));
    while (count_of(w, IKE_EX_CHILD_REKEY, IKE_BY_US)->started +
               count_of(w, IKE_EX_CHILD_REKEY_PFS, IKE_BY_US)->started ==
           0) {
        w->drop_to_client = 3;
        world_run(w, 500);
        cr_assert_lt(ms += 500, 600000, "no rekey began");
    }
    cr_assert_eq(observed(late), 0);
    world_run(w, 60000);
    cr_assert_eq(observed(late), 1);
    cr_assert(late->sum_ms > 1000 && late->sum_ms < 60000, "%lu ms", (unsigned long)late->sum_ms);
    cr_assert_eq(late->bucket[0], 0);
    cr_assert_gt(of_owner(w)->value[COUNTER_retransmissions_out], 0);
    world_destroy(w);
}

/* A step that only sends: what kind it is decides what is counted. */
Test(exchanges, a_keepalive_is_no_retransmission)
{
    static struct ike_transition t;
    struct counters c = {.value = {0}};

    t.effects[0].kind = IKE_SEND_KEEPALIVE;
    t.effects[1].kind = IKE_SEND_REQUEST;
    t.effects[2].kind = IKE_SEND_RESPONSE;
    t.n_effects = 1;
    exchanges_count_repeats(&c, &t);
    cr_assert_eq(c.value[COUNTER_keepalives_out], 1);
    cr_assert_eq(c.value[COUNTER_retransmissions_out] + c.value[COUNTER_answers_repeated], 0);
    t.n_effects = 3;
    exchanges_count_repeats(&c, &t);
    cr_assert_eq(c.value[COUNTER_keepalives_out], 2);
    cr_assert_eq(c.value[COUNTER_retransmissions_out], 1);
    cr_assert_eq(c.value[COUNTER_answers_repeated], 1);
}
