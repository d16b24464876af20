/* IKE_AUTH between our two ends: what comes of it, and what each failure leaves. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ike/init.h"
#include "ike/ts.h"

#include "harness.h"

static bool wiped(const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        if (b[i] != 0)
            return false;
    return true;
}

static enum ike_outcome send_auth(struct lab *l)
{
    enum ike_outcome outcome = lab_to_gateway(l, message_span(&l->c.pending.request));

    if (outcome == IKE_STEPPED)
        l->g = l->out.after;
    return outcome;
}

static enum ike_outcome send_answer(struct lab *l)
{
    enum ike_outcome outcome = lab_to_client(l, message_span(&l->g.last_response));

    if (outcome == IKE_STEPPED)
        l->c = l->out.after;
    return outcome;
}

Test(auth, established)
{
    struct lab *l = lab_new();
    const struct ike_child *c = &l->c.children[0], *g = &l->g.children[0];
    struct ike_ts host;

    lab_established(l);
    cr_assert(l->c.encap && l->g.encap && l->g.remote.port == 4500);
    cr_assert(addr_equal(&l->c.virtual_ip[SLOT_V4], &l->pool) &&
              addr_equal(&l->g.virtual_ip[SLOT_V4], &l->pool));
    cr_assert(l->c.n_dns == 1 && addr_equal(&l->c.dns[0], &l->gateway.dns[0]));
    cr_assert_eq(l->addresses_asked, 1);
    cr_assert(c->state == IKE_CHILD_INSTALLED && g->state == IKE_CHILD_INSTALLED);
    cr_assert(c->begun == IKE_BY_US && g->begun == IKE_BY_PEER && c->outbound && g->outbound);
    cr_assert(c->spi_in == g->spi_out && c->spi_out == g->spi_in && c->spi_in >= 256 &&
              g->spi_in >= 256 && c->spi_in != g->spi_in);
    cr_assert(secret_equal_bytes(&c->key_in, &g->key_out, sizeof c->key_in) &&
              secret_equal_bytes(&c->key_out, &g->key_in, sizeof c->key_in) &&
              !secret_equal_bytes(&c->key_in, &c->key_out, sizeof c->key_in));
    cr_assert(c->key_in.len == 36 && g->encr_id == 20 && g->encr_bits == 256 && !g->esn &&
              g->ke_id == 0);
    host = ike_ts_host(&l->pool);
    cr_assert_eq(memcmp(&g->remote_ts[0], &host, sizeof host), 0);
    cr_assert_eq(memcmp(&g->local_ts[0], &l->gateway.local_ts[0], sizeof host), 0);
    cr_assert(g->n_local_ts == 1 && g->n_remote_ts == 1 && c->n_local_ts == 1 &&
              c->n_remote_ts == 1);
    cr_assert_eq(memcmp(c->local_ts, g->remote_ts, sizeof c->local_ts), 0);
    cr_assert_eq(memcmp(c->remote_ts, g->local_ts, sizeof c->local_ts), 0);
    cr_assert(wiped(&l->c.handshake, sizeof l->c.handshake));
    cr_assert(wiped(&l->g.handshake, sizeof l->g.handshake));
    cr_assert(wiped(&l->c.pending, sizeof l->c.pending));
    cr_assert_eq(memcmp(&l->g.remote_id, &l->client.local_id, sizeof l->g.remote_id), 0);
    cr_assert_eq(memcmp(&l->c.remote_id, &l->gateway.local_id, sizeof l->c.remote_id), 0);
    cr_assert(l->g.expected_request_id == 2 && l->g.next_request_id == 0 && l->g.iv_next == 1);
    cr_assert(l->c.expected_request_id == 0 && l->c.next_request_id == 2 && l->c.iv_next == 1);
    cr_assert(l->c.hard_ms == l->now_ms + 3600000 && l->g.hard_ms == l->c.hard_ms);
    cr_assert(l->c.soft_ms < l->g.soft_ms && l->g.soft_ms < l->g.hard_ms);
    cr_assert(c->hard_ms == l->c.hard_ms && c->soft_ms < g->soft_ms);
    cr_assert_not(l->g.peer_initial_contact);
    free(l);
}

Test(auth, the_step_is_named_for_step_points)
{
    struct lab *l = lab_new();

    lab_auth_sent(l);
    cr_assert(l->out.exchange == IKE_EX_AUTH && l->out.begun == IKE_BY_US && !l->out.completes);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert(l->out.exchange == IKE_EX_AUTH && l->out.begun == IKE_BY_PEER && l->out.completes);
    cr_assert(l->out.n_effects == 1 && l->out.effects[0].kind == IKE_SEND_RESPONSE &&
              endpoint_equal(&l->out.effects[0].to, &l->client_at));
    cr_assert_eq(send_answer(l), IKE_STEPPED);
    cr_assert(l->out.begun == IKE_BY_US && l->out.completes && l->out.peer_step &&
              l->out.n_effects == 0);
    free(l);
}

Test(auth, retransmitted_request_gets_the_kept_answer)
{
    struct lab *l = lab_new();
    struct ike_message request;
    struct ike_received rx;
    enum ike_reason reason;

    lab_auth_sent(l);
    request = l->c.pending.request;
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert_eq(ike_message_receive(&l->gateway, &l->g, message_span(&request), &rx, &reason),
                 IKE_RX_RETRANSMIT);
    free(l);
}

Test(auth, wrong_key_ends_the_sa_and_keeps_the_answer)
{
    struct lab *l = lab_new();
    struct ike_message request;
    struct ike_received rx;
    enum ike_reason reason;

    secret_set(&l->gateway_psks[1].psk, "a shared kez", 12);
    lab_auth_sent(l);
    request = l->c.pending.request;
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_AUTH_FAILED && l->g.state == IKE_SA_ENDED);
    cr_assert_eq(l->addresses_asked, 0, "no address for a stranger");
    cr_assert_eq(l->g.linger_until_ms, l->now_ms + l->gateway.linger_ms);
    cr_assert(wiped(&l->g.keys, sizeof l->g.keys) &&
              wiped(&l->g.handshake, sizeof l->g.handshake) &&
              wiped(l->g.children, sizeof l->g.children) && l->g.virtual_ip[SLOT_V4].family == 0);
    cr_assert_eq(ike_message_receive(&l->gateway, &l->g, message_span(&request), &rx, &reason),
                 IKE_RX_RETRANSMIT);
    cr_assert(holds_notify(l, &l->client, &l->c, message_span(&l->g.last_response),
                           WIRE_N_AUTHENTICATION_FAILED));
    cr_assert_eq(send_answer(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_AUTH_FAILED && l->c.state == IKE_SA_ENDED);
    cr_assert(wiped(&l->c.keys, sizeof l->c.keys) && l->out.n_effects == 0);
    free(l);
}

Test(auth, an_unknown_identity_looks_like_a_wrong_key)
{
    struct lab *wrong = lab_new(), *unknown = lab_new();
    unsigned calls_wrong, calls_unknown;

    secret_set(&wrong->gateway_psks[1].psk, "a shared kez", 12);
    unknown->client.local_id = identity(WIRE_ID_RFC822, "nobodx@holdfast.test");
    lab_auth_sent(wrong);
    prf_calls = 0;
    cr_assert_eq(send_auth(wrong), IKE_STEPPED);
    calls_wrong = prf_calls;
    lab_auth_sent(unknown);
    prf_calls = 0;
    cr_assert_eq(send_auth(unknown), IKE_STEPPED);
    calls_unknown = prf_calls;
    cr_assert_eq(calls_wrong, calls_unknown, "the same work");
    cr_assert_gt(calls_wrong, 0);
    cr_assert_eq(wrong->out.reason, unknown->out.reason);
    cr_assert(wrong->g.state == IKE_SA_ENDED && unknown->g.state == IKE_SA_ENDED);
    cr_assert_eq(wrong->g.last_response.len, unknown->g.last_response.len);
    cr_assert(holds_notify(unknown, &unknown->client, &unknown->c,
                           message_span(&unknown->g.last_response), WIRE_N_AUTHENTICATION_FAILED));
    free(wrong);
    free(unknown);
}

Test(auth, the_key_of_nobody_opens_nothing)
{
    struct lab *l = lab_new();
    static const uint8_t zeros[32];

    /* What stands in for the key of an unknown identity is no secret: it must not authenticate. */
    l->client.local_id = identity(WIRE_ID_RFC822, "nobody@holdfast.test");
    secret_set(&l->client_psks[0].psk, zeros, sizeof zeros);
    lab_auth_sent(l);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert(l->g.state == IKE_SA_ENDED && l->out.reason == IKE_REASON_AUTH_FAILED);
    free(l);
}

Test(auth, identity_is_type_and_bytes)
{
    struct lab *l = lab_new();

    l->client.local_id.type = WIRE_ID_FQDN; /* the same letters as another type */
    lab_auth_sent(l);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert_eq(l->g.state, IKE_SA_ENDED);
    free(l);
}

Test(auth, pool_exhausted_leaves_the_ike_sa)
{
    struct lab *l = lab_new();

    l->pool = (struct ip_addr){0};
    lab_auth_sent(l);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_POOL_EXHAUSTED && l->g.state == IKE_SA_ESTABLISHED);
    cr_assert(wiped(l->g.children, sizeof l->g.children) && l->g.virtual_ip[SLOT_V4].family == 0);
    cr_assert(holds_notify(l, &l->client, &l->c, message_span(&l->g.last_response),
                           WIRE_N_INTERNAL_ADDRESS_FAILURE));
    cr_assert_eq(send_answer(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_POOL_EXHAUSTED && l->c.state == IKE_SA_ESTABLISHED);
    cr_assert(wiped(l->c.children, sizeof l->c.children));
    free(l);
}

Test(auth, no_common_esp_proposal_leaves_the_ike_sa)
{
    struct lab *l = lab_new();

    l->client.n_esp = 1;
    l->gateway.esp[0] = l->gateway.esp[1];
    l->gateway.n_esp = 1;
    lab_auth_sent(l);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_NO_PROPOSAL && l->g.state == IKE_SA_ESTABLISHED);
    cr_assert_eq(l->addresses_asked, 0, "none taken in vain");
    cr_assert(wiped(l->g.children, sizeof l->g.children) && l->g.virtual_ip[SLOT_V4].family == 0);
    cr_assert_eq(send_answer(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_NO_PROPOSAL && l->c.state == IKE_SA_ESTABLISHED);
    free(l);
}

/* ESP itself where nothing stands between and nobody forces; a NAT would lose it, so there it is UDP or
 * no CHILD SA, which would be a silent hole. */
Test(auth, esp_is_in_udp_or_there_is_no_nat)
{
    static const struct {
        uint16_t port; /* of IKE_AUTH, at both ends */
        bool nat, gateway_forces, child, encap;
    } table[] = {
        {500, false, false, true, false},  {500, false, true, false, false},
        {500, true, false, false, false},  {500, true, true, false, false},
        {4500, false, false, true, false}, {4500, false, true, true, true},
        {4500, true, false, true, true},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct lab *l = lab_new();

        l->gateway.force_encap = table[i].gateway_forces;
        lab_auth_sent(l);
        l->g.nat_remote = table[i].nat;
        l->client_at.port = l->gateway_at.port = table[i].port;
        cr_assert_eq(send_auth(l), IKE_STEPPED);
        cr_assert_eq(l->g.state, IKE_SA_ESTABLISHED, "row %zu: the peer is who it says", i);
        cr_assert_eq(l->g.children[0].state != IKE_CHILD_NONE, table[i].child, "row %zu", i);
        cr_assert_eq(l->g.encap, table[i].encap, "row %zu", i);
        cr_assert_eq(l->out.reason,
                     table[i].child ? IKE_REASON_NONE : IKE_REASON_NO_UDP_ENCAPSULATION);
        if (!table[i].child) {
            cr_assert_eq(l->addresses_asked, 0, "none taken in vain");
            cr_assert(wiped(l->g.children, sizeof l->g.children) &&
                      l->g.virtual_ip[SLOT_V4].family == 0);
            cr_assert(holds_notify(l, &l->client, &l->c, message_span(&l->g.last_response),
                                   WIRE_N_NO_PROPOSAL_CHOSEN));
            cr_assert_eq(send_answer(l), IKE_STEPPED);
            cr_assert_eq(l->c.state, IKE_SA_ESTABLISHED);
        }
        free(l);
    }
}

/* A gateway that would send raw ESP is told where we do not take it. */
Test(auth, the_initiator_takes_raw_esp_only_where_there_is_no_nat)
{
    for (int nat = 0; nat < 2; nat++) {
        struct lab *l = lab_new();

        lab_auth_sent(l);
        cr_assert_eq(send_auth(l), IKE_STEPPED);
        cr_assert_eq(l->g.children[0].state, IKE_CHILD_INSTALLED);
        l->c.encap = false;
        l->c.nat_remote = nat != 0;
        cr_assert_eq(send_answer(l), IKE_STEPPED);
        cr_assert_eq(l->out.reason, nat != 0 ? IKE_REASON_NO_UDP_ENCAPSULATION : IKE_REASON_NONE);
        cr_assert_eq(l->c.state, nat != 0 ? IKE_SA_DELETING : IKE_SA_ESTABLISHED);
        cr_assert(nat == 0 || wiped(l->c.children, sizeof l->c.children));
        free(l);
    }
}

Test(auth, selectors_out_of_policy_leave_the_ike_sa)
{
    struct lab *l = lab_new();

    l->client.request_address =
        false; /* asks for no address: its own network is not ours to route */
    l->client.local_ts[0] = subnet(0xc0a80000, 24);
    l->client.n_local_ts = 1;
    lab_auth_sent(l);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_TS_UNACCEPTABLE && l->g.state == IKE_SA_ESTABLISHED);
    cr_assert_eq(l->addresses_asked, 0);
    cr_assert(holds_notify(l, &l->client, &l->c, message_span(&l->g.last_response),
                           WIRE_N_TS_UNACCEPTABLE));
    cr_assert_eq(send_answer(l), IKE_STEPPED);
    cr_assert_eq(l->c.state, IKE_SA_ESTABLISHED);
    free(l);
}

Test(auth, without_an_address_the_outer_one_is_allowed)
{
    struct lab *l = lab_new();

    l->client.request_address = false;
    l->client.local_ts[0] = subnet(0x0a4d0132, 32);
    l->client.n_local_ts = 1;
    /* The client, no road warrior here, may speak to the gateway's outer address alone. */
    l->gateway.local_ts[0] = subnet(0x0a4d0164, 32);
    lab_established(l);
    cr_assert(l->addresses_asked == 0 && l->g.virtual_ip[SLOT_V4].family == 0);
    cr_assert_eq(l->g.children[0].remote_ts[0].low.bytes[3], 0x32);
    free(l);
}

Test(auth, a_gateway_of_another_name_is_told_and_left)
{
    struct lab *l = lab_new();

    l->gateway.local_id = identity(WIRE_ID_FQDN, "evil.holdfast.test");
    lab_auth_sent(l);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert_eq(send_answer(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_AUTH_FAILED && l->c.state == IKE_SA_DELETING);
    cr_assert(l->c.pending.exchange == IKE_EX_IKE_DELETE && l->c.pending.message_id == 2);
    cr_assert(l->out.n_effects == 1 && l->out.effects[0].kind == IKE_SEND_REQUEST);
    cr_assert(wiped(l->c.children, sizeof l->c.children));
    cr_assert(holds_notify(l, &l->gateway, &l->g, message_span(&l->c.pending.request),
                           WIRE_N_AUTHENTICATION_FAILED));
    free(l);
}

Test(auth, a_known_peer_that_is_not_the_expected_one)
{
    struct lab *l = lab_new();

    /* The gateway is somebody whose key we do have, but not whom we called. */
    l->client_psks[1].remote = identity(WIRE_ID_FQDN, "other.holdfast.test");
    l->client_psks[1].psk = l->client_psks[0].psk;
    l->client.n_psks = 2;
    l->gateway.local_id = l->client_psks[1].remote;
    lab_auth_sent(l);
    cr_assert_eq(send_auth(l), IKE_STEPPED);
    cr_assert_eq(send_answer(l), IKE_STEPPED);
    cr_assert(l->out.reason == IKE_REASON_AUTH_FAILED && l->c.state == IKE_SA_DELETING);
    free(l);
}

Test(auth, every_changed_bit_of_a_request_is_ignored)
{
    struct lab *l = lab_new();
    struct ike_sa before;

    lab_auth_sent(l);
    before = l->g;
    for (size_t bit = 0; bit < 8u * l->c.pending.request.len; bit += 3) {
        struct ike_message copy = l->c.pending.request;

        copy.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_eq(lab_to_gateway(l, message_span(&copy)), IKE_IGNORED, "bit %zu", bit);
    }
    cr_assert_eq(memcmp(&before, &l->g, sizeof before), 0);
    cr_assert_eq(l->addresses_asked, 0);
    cr_assert_eq(send_auth(l), IKE_STEPPED, "and the true one is still taken");
    free(l);
}

Test(auth, esn_by_our_own_initiator)
{
    struct lab *l = lab_new();

    l->client.esp[0].esn = l->gateway.esp[0].esn = true;
    lab_established(l);
    cr_assert(l->c.children[0].esn && l->g.children[0].esn);
    free(l);
}
