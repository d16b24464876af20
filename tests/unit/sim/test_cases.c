/* The cases of the design's table, as the states of both ends show them. */
#include <criterion/criterion.h>

#include "rig.h"

static uint64_t reached(const struct rig *r, enum sim_watch_case which)
{
    return sim_watch_reached(r->watch, which);
}

/* Each end asks; neither has an answer. */
static void client_asks(struct rig *r, enum ike_exchange exchange, uint32_t child)
{
    r->peer.pending = (struct ike_pending){
        .exchange = exchange, .message_id = r->peer.next_request_id++, .child_spi_in = child};
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
}

static void gateway_asks(struct rig *r, enum ike_exchange exchange, uint32_t child)
{
    r->sa.pending = (struct ike_pending){.exchange = exchange,
                                         .message_id = r->sa.next_request_id++,
                                         .child_spi_in = child,
                                         .new_spi_in = 0x1009};
    if (exchange == IKE_EX_CHILD_REKEY || exchange == IKE_EX_CHILD_REKEY_PFS)
        r->sa.children[0].state = IKE_CHILD_REKEYING;
    if (exchange == IKE_EX_CHILD_DELETE)
        r->sa.children[0].state = IKE_CHILD_DELETING;
    rig_step(r, 0);
}

/* The gateway answers what the client asked. */
static void gateway_answers(struct rig *r)
{
    r->sa.expected_request_id++;
    rig_step(r, 0);
}

static uint32_t clients_child(const struct rig *r)
{
    return r->peer.children[0].spi_in;
}

Test(sim_watch_cases, the_client_rekeys)
{
    struct rig *r = rig_serving();

    client_asks(r, IKE_EX_CHILD_REKEY_PFS, clients_child(r));
    gateway_answers(r);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_client_rekeys_child), 1);
    gateway_answers(r); /* to nothing that anybody asked */
    cr_assert_eq(reached(r, SIM_WATCH_CASE_client_rekeys_child), 1);
    rig_free(r);
}

Test(sim_watch_cases, both_rekey_and_the_gateway_wins)
{
    struct rig *r = rig_serving();

    client_asks(r, IKE_EX_CHILD_REKEY_PFS, clients_child(r));
    gateway_asks(r, IKE_EX_CHILD_REKEY_PFS, RIG_SPI);
    r->sa.pending.collided = true;
    gateway_answers(r);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_both_rekey_child), 1);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_both_rekey_child_pfs), 1);
    r->sa.children[1] = r->sa.children[0];
    r->sa.children[1].state = IKE_CHILD_INSTALLED;
    r->sa.children[1].spi_in = 0x1009;
    r->sa.children[0].state = IKE_CHILD_DELETING;
    r->sa.children[0].successor_spi_in = 0x1009;
    r->sa.children[0].outbound = false;
    r->sa.pending = (struct ike_pending){0};
    rig_step(r, 0);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_gateway_wins_child), 1);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_client_wins_child), 0);
    rig_free(r);
}

/* (what the client asks, what the gateway has outstanding, what that is) */
static const struct {
    enum ike_exchange client, gateway;
    enum sim_watch_case is;
} meetings[] = {
    {IKE_EX_CHILD_REKEY, IKE_EX_IKE_REKEY, SIM_WATCH_CASE_child_against_ike_rekey},
    {IKE_EX_IKE_REKEY, IKE_EX_CHILD_REKEY, SIM_WATCH_CASE_child_against_ike_rekey},
    {IKE_EX_CHILD_CREATE, IKE_EX_IKE_REKEY, SIM_WATCH_CASE_create_against_ike_rekey},
    {IKE_EX_IKE_REKEY, IKE_EX_CHILD_CREATE, SIM_WATCH_CASE_create_against_ike_rekey},
    {IKE_EX_CHILD_DELETE, IKE_EX_IKE_REKEY, SIM_WATCH_CASE_child_delete_against_ike_rekey},
    {IKE_EX_IKE_REKEY, IKE_EX_CHILD_DELETE, SIM_WATCH_CASE_child_delete_against_ike_rekey},
    {IKE_EX_IKE_DELETE, IKE_EX_IKE_REKEY, SIM_WATCH_CASE_ike_delete_against_ike_rekey},
    {IKE_EX_IKE_REKEY, IKE_EX_IKE_DELETE, SIM_WATCH_CASE_ike_delete_against_ike_rekey},
    {IKE_EX_CHILD_REKEY, IKE_EX_IKE_DELETE, SIM_WATCH_CASE_child_against_ike_delete},
    {IKE_EX_IKE_DELETE, IKE_EX_CHILD_REKEY, SIM_WATCH_CASE_child_against_ike_delete},
    {IKE_EX_CHILD_DELETE, IKE_EX_IKE_DELETE, SIM_WATCH_CASE_child_delete_against_ike_delete},
    {IKE_EX_IKE_DELETE, IKE_EX_CHILD_DELETE, SIM_WATCH_CASE_child_delete_against_ike_delete},
    {IKE_EX_IKE_DELETE, IKE_EX_IKE_DELETE, SIM_WATCH_CASE_both_delete_ike},
    {IKE_EX_CHILD_DELETE, IKE_EX_CHILD_DELETE, SIM_WATCH_CASE_both_delete_child},
    {IKE_EX_CHILD_DELETE, IKE_EX_CHILD_REKEY, SIM_WATCH_CASE_rekey_against_delete},
    {IKE_EX_CHILD_REKEY, IKE_EX_CHILD_DELETE, SIM_WATCH_CASE_rekey_against_delete},
    {IKE_EX_IKE_REKEY, IKE_EX_IKE_REKEY, SIM_WATCH_CASE_both_rekey_ike},
    {IKE_EX_IKE_REKEY, IKE_EX_NONE, SIM_WATCH_CASE_client_rekeys_ike},
};

Test(sim_watch_cases, requests_that_meet)
{
    for (size_t i = 0; i < sizeof meetings / sizeof *meetings; i++) {
        struct rig *r = rig_serving();
        bool child =
            meetings[i].client == IKE_EX_CHILD_REKEY || meetings[i].client == IKE_EX_CHILD_DELETE;

        client_asks(r, meetings[i].client, child ? clients_child(r) : 0);
        if (meetings[i].gateway != IKE_EX_NONE)
            gateway_asks(r, meetings[i].gateway, RIG_SPI);
        gateway_answers(r);
        for (enum sim_watch_case k = 0; k < SIM_WATCH_CASES; k++)
            cr_assert_eq(reached(r, k), k == meetings[i].is, "meeting %zu: %s %llu times", i,
                         sim_watch_case_name(k), (unsigned long long)reached(r, k));
        rig_free(r);
    }
}

Test(sim_watch_cases, the_sa_is_not_there)
{
    struct rig *r = rig_serving();

    client_asks(r, IKE_EX_CHILD_REKEY, 0x9999);
    gateway_answers(r);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_request_past_all), 1);
    r->peer.children[0].state = IKE_CHILD_NONE; /* CHILD_SA_NOT_FOUND: it drops it */
    r->peer.pending = (struct ike_pending){0};
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_delete_before_response), 1); /* it asked for another */
    rig_free(r);
}

Test(sim_watch_cases, time_passes)
{
    struct rig *r = rig_serving();

    r->sa.children[0].state = IKE_CHILD_REKEYED;
    r->sa.children[1] = r->sa.children[0];
    r->sa.children[1].state = IKE_CHILD_INSTALLED;
    r->sa.children[0].outbound = false;
    r->sa.children[0].successor_spi_in = r->sa.children[1].spi_in = 0x1002;
    rig_step(r, 0);
    r->sa.children[0].state = IKE_CHILD_DELETING;
    rig_step(r, 0);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_delete_times_out), 1);
    memset(&r->sa.children[0], 0, sizeof r->sa.children[0]);
    rig_step(r, RIG_SPI);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_hard_while_delete_awaited), 1);
    rig_free(r);
}

Test(sim_watch_cases, an_owner_dies_in_a_rekey)
{
    struct rig *r = rig_serving();

    client_asks(r, IKE_EX_IKE_REKEY, 0);
    rig_assign(r, 2);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_takeover_in_rekey), 1);
    rig_free(r);
}

/* Both requests named a group that the other end does not like; the gateway asks again, and that is late. */
Test(sim_watch_cases, groups_that_the_other_end_does_not_like)
{
    struct rig *r = rig_serving();

    client_asks(r, IKE_EX_CHILD_REKEY_PFS, clients_child(r));
    gateway_asks(r, IKE_EX_CHILD_REKEY_PFS, RIG_SPI);
    r->peer.pending.message_id = r->peer.next_request_id++; /* it has its answer, and asks again */
    r->peer.pending.ke_retried = true;
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_ke_retried_child), 1);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_ke_retried_child_both), 0);
    r->sa.pending.message_id = r->sa.next_request_id++;
    r->sa.pending.ke_retried = true;
    rig_step(r, 0);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_ke_retried_child), 2);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_ke_retried_child_both), 1);
    r->sa.children[0].state = IKE_CHILD_DELETING;
    r->sa.pending = (struct ike_pending){0};
    rig_step(r, 0);
    r->sa.expected_request_id = r->peer.pending.message_id;
    rig_step(r, 0);
    gateway_answers(r);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_ke_retry_delayed_child), 1);
    rig_free(r);
}

/* The peer's SA waits for who wins when its Delete of the old IKE SA comes. */
static void delete_meets_candidate(bool it_answered)
{
    struct rig *r = rig_serving();

    gateway_asks(r, IKE_EX_IKE_REKEY, 0);
    r->sa.candidate.local_spi = 0x77;
    rig_step(r, 0);
    r->peer.expected_request_id = r->sa.pending.message_id + it_answered;
    client_asks(r, IKE_EX_IKE_DELETE, 0);
    gateway_answers(r);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_response_behind_ike_delete), it_answered);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_collision_unseen_ike), !it_answered);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_ike_delete_against_ike_rekey), 0);
    rig_free(r);
}

Test(sim_watch_cases, an_ike_rekey_whose_answer_is_behind_the_delete)
{
    delete_meets_candidate(true);
}

Test(sim_watch_cases, an_ike_rekey_that_the_other_end_never_saw)
{
    delete_meets_candidate(false);
}

/* A second CHILD SA succeeds the first one, of which a Delete is awaited. */
static void rekeyed_to(struct rig *r, uint32_t spi_in)
{
    r->sa.children[1] = r->sa.children[0];
    r->sa.children[1].state = IKE_CHILD_INSTALLED;
    r->sa.children[1].spi_in = r->sa.children[0].successor_spi_in = spi_in;
    r->sa.children[0].state = IKE_CHILD_REKEYED;
    r->sa.children[0].outbound = false;
    rig_step(r, 0);
}

Test(sim_watch_cases, a_soft_limit_while_the_delete_is_awaited)
{
    for (int early = 0; early < 2; early++) {
        struct rig *r = rig_serving();

        r->sa.children[0].soft_ms = r->cluster_ms + 5000;
        rig_step(r, 0);
        rekeyed_to(r, 0x1002);
        r->cluster_ms += early ? 4000 : 5000;
        memset(&r->sa.children[0], 0, sizeof r->sa.children[0]);
        rig_step(r, RIG_SPI);
        cr_assert_eq(reached(r, SIM_WATCH_CASE_soft_while_delete_awaited), !early);
        rig_free(r);
    }
}

Test(sim_watch_cases, who_lost_deletes_the_old_one)
{
    struct rig *r = rig_serving();

    gateway_asks(r, IKE_EX_CHILD_REKEY, RIG_SPI);
    r->sa.pending.collided = true;
    rig_step(r, 0);
    r->sa.pending = (struct ike_pending){0};
    rekeyed_to(r, 0x1002); /* by another than its own, 0x1009 */
    cr_assert_eq(reached(r, SIM_WATCH_CASE_client_wins_child), 1);
    r->sa.children[0].state = IKE_CHILD_DELETING;
    rig_step(r, 0);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_loser_sends_delete), 1);
    rig_free(r);
}

Test(sim_watch_cases, a_rekey_finds_nothing)
{
    struct rig *r = rig_serving();

    r->sa.owed_deletes[r->sa.n_owed_deletes++] = RIG_SPI;
    memset(&r->sa.children[0], 0, sizeof r->sa.children[0]);
    rig_step(r, RIG_SPI);
    client_asks(r, IKE_EX_CHILD_REKEY, clients_child(r));
    gateway_answers(r);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_rekey_finds_nothing), 1);
    cr_assert_eq(reached(r, SIM_WATCH_CASE_request_past_all), 1);
    rig_free(r);
}

/* The gateway goes on with its own, 0x1009; so does, or does not, the client. */
static struct rig *both_decide(bool alike)
{
    struct rig *r = rig_serving();
    struct ike_child *c = r->peer.children;

    gateway_asks(r, IKE_EX_CHILD_REKEY, RIG_SPI);
    client_asks(r, IKE_EX_CHILD_REKEY, clients_child(r));
    r->sa.pending.collided = r->peer.pending.collided = true;
    r->peer.pending.new_spi_in = 0x2009;
    rig_step(r, 0);
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    r->sa.pending = (struct ike_pending){0};
    rekeyed_to(r, 0x1009);
    c[1] = c[0];
    c[1].state = IKE_CHILD_INSTALLED;
    c[0].successor_spi_in = c[1].spi_in = alike ? 0x2008 : 0x2009;
    c[0].state = IKE_CHILD_REKEYED;
    c[0].outbound = false;
    r->peer.pending = (struct ike_pending){0};
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    return r;
}

RULE(same_winner)
{
    struct rig *r = both_decide(true);

    rig_fine(r, SIM_WATCH_same_winner);
    rig_free(r);
    r = both_decide(false);
    rig_broken(r, SIM_WATCH_same_winner, SIM_WATCH_RULES);
    rig_free(r);
}
