/* IKE_AUTH against a peer that holds the right keys but says strange things: messages made by hand,
 * sealed with the other end's SA. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ike/auth.h"
#include "ike/config_payload.h"
#include "ike/psk.h"
#include "ike/ts.h"

#include "harness.h"

/* What the request or answer contains; everything right unless said otherwise. */
struct says {
    bool no_id, no_auth, no_sa, no_tsi, no_tsr, no_cp, initial_contact, two_proposals, wrong_method,
        short_auth;
    bool bad_auth;
    struct span id; /* data; empty = the right one */
    struct ike_ts tsi, tsr;
    uint8_t extra_type; /* an unknown critical payload */
    uint8_t spoil_id;   /* ID type in place of the right one */
    uint16_t notify;
};

/* What an answer agrees on: one proposal, if it is right. */
static void put_answer(const struct ike_policy *p, size_t n, struct wire_sa *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        wire_sa_add_proposal(out, (uint8_t)(i + 1), WIRE_PROTO_ESP, span_of("\x01\x02\x03\x04", 4));
        wire_sa_add_transform(out, WIRE_TR_ENCR, p->esp[i].encr_id, p->esp[i].encr_bits);
        wire_sa_add_transform(out, WIRE_TR_ESN, 0, 0);
    }
}

static void put(struct lab *l, struct wire_builder *b, const struct ike_policy *p,
                struct ike_sa *sa, const struct secret *psk, const struct says *s)
{
    uint8_t auth[SUITE_PRF_MAX_BYTES], id_type = s->spoil_id != 0 ? s->spoil_id : p->local_id.type;
    struct span id = s->id.len > 0 ? s->id : span_of(p->local_id.bytes, p->local_id.len);
    bool request = sa->role == IKE_INITIATOR;
    struct ike_cp_request wants = {.wants = {true}};
    const struct ip_addr pool[ADDR_SLOTS] = {l->pool};
    struct wire_sa offer;
    struct wire_ts_list list;
    size_t len;

    if (!s->no_id)
        wire_put_id(b, request ? WIRE_PL_IDI : WIRE_PL_IDR, id_type, id);
    cr_assert(ike_psk_sign(p, sa, psk, auth, &len));
    auth[0] ^= s->bad_auth ? 1 : 0;
    if (!s->no_auth)
        wire_put_auth(b, s->wrong_method ? WIRE_AUTH_RSA : WIRE_AUTH_PSK,
                      span_of(auth, s->short_auth ? len - 1 : len));
    if (s->notify != 0)
        wire_put_notify_plain(b, s->notify, span_of(NULL, 0));
    if (s->initial_contact)
        wire_put_notify_plain(b, WIRE_N_INITIAL_CONTACT, span_of(NULL, 0));
    if (!s->no_cp && request)
        ike_cp_put_request(b, p);
    else if (!s->no_cp)
        ike_cp_put_reply(b, p, &wants, pool);
    ike_proposal_offer_esp(p, span_of("\x01\x02\x03\x04", 4), 0, &offer);
    if (!request)
        put_answer(p, s->two_proposals ? 2 : 1, &offer);
    if (!s->no_sa)
        wire_put_sa(b, &offer);
    ike_ts_to_wire(&s->tsi, 1, &list);
    if (!s->no_tsi)
        wire_put_ts(b, WIRE_PL_TSI, &list);
    ike_ts_to_wire(&s->tsr, 1, &list);
    if (!s->no_tsr)
        wire_put_ts(b, WIRE_PL_TSR, &list);
    if (s->extra_type != 0) {
        size_t at = wire_payload_begin(b, s->extra_type);

        wire_patch_u8(&b->w, at + 1, 0x80);
        wire_payload_end(b, at);
    }
}

/* A client's IKE_AUTH request that says so, at the gateway. */
static enum ike_outcome ask(struct lab *l, const struct says *s)
{
    struct ike_draft d;
    enum ike_outcome outcome;

    lab_auth_sent(l);
    ike_draft_begin(&d);
    put(l, &d.b, &l->client, &l->c, &l->client_psks[0].psk, s);
    ike_pending_clear(&l->c);
    l->c.next_request_id = 1;
    cr_assert(ike_seal_request(&l->client, &l->c, IKE_EX_AUTH, 1, &d));
    outcome = lab_to_gateway(l, message_span(&l->c.pending.request));
    if (outcome == IKE_STEPPED)
        l->g = l->out.after;
    return outcome;
}

/* A gateway's answer that says so, at the client. */
static enum ike_outcome answer(struct lab *l, const struct says *s)
{
    struct ike_received rx;
    struct ike_draft d;
    enum ike_reason reason;
    enum ike_outcome outcome;

    lab_auth_sent(l);
    cr_assert_eq(
        ike_message_receive(&l->gateway, &l->g, message_span(&l->c.pending.request), &rx, &reason),
        IKE_RX_REQUEST);
    ike_draft_begin(&d);
    put(l, &d.b, &l->gateway, &l->g, &l->gateway_psks[1].psk, s);
    cr_assert(
        ike_seal_response(&l->gateway, &l->g, message_span(&l->c.pending.request), &rx.header, &d));
    outcome = lab_to_client(l, message_span(&l->g.last_response));
    if (outcome == IKE_STEPPED)
        l->c = l->out.after;
    return outcome;
}

static struct says right(struct lab *l)
{
    return (struct says){.tsi = ike_ts_any(ADDR_V4), .tsr = l->gateway.local_ts[0]};
}

Test(auth_request, right_ones_are_taken)
{
    struct lab *l = lab_new();
    struct says s = right(l);

    s.initial_contact = true;
    cr_assert_eq(ask(l, &s), IKE_STEPPED);
    cr_assert(l->g.state == IKE_SA_ESTABLISHED && l->g.children[0].state == IKE_CHILD_INSTALLED);
    cr_assert(l->g.peer_initial_contact);
    free(l);
}

/* Requests that end the SA: with which Notify, for which reason. */
Test(auth_request, fatal_ones)
{
    static const uint8_t long_id[IKE_MAX_ID_BYTES + 1] = "client@holdfast.test";
    const struct {
        struct says says;
        uint16_t notify;
        enum ike_reason reason;
    } table[] = {
        {{.no_id = true}, WIRE_N_INVALID_SYNTAX, IKE_REASON_MALFORMED},
        {{.no_auth = true}, WIRE_N_AUTHENTICATION_FAILED, IKE_REASON_AUTH_FAILED},
        {{.wrong_method = true}, WIRE_N_AUTHENTICATION_FAILED, IKE_REASON_AUTH_FAILED},
        {{.short_auth = true}, WIRE_N_AUTHENTICATION_FAILED, IKE_REASON_AUTH_FAILED},
        {{.bad_auth = true, .initial_contact = true},
         WIRE_N_AUTHENTICATION_FAILED,
         IKE_REASON_AUTH_FAILED},
        {{.id = {long_id, sizeof long_id}}, WIRE_N_AUTHENTICATION_FAILED, IKE_REASON_AUTH_FAILED},
        {{.id = {(const uint8_t *)"someone@holdfast.test", 21}},
         WIRE_N_AUTHENTICATION_FAILED,
         IKE_REASON_AUTH_FAILED}, /* another's name with one's own key */
        {{.spoil_id = WIRE_ID_IPV4}, WIRE_N_INVALID_SYNTAX, IKE_REASON_MALFORMED}, /* 20 bytes */
        {{.spoil_id = WIRE_ID_KEY_ID}, WIRE_N_AUTHENTICATION_FAILED, IKE_REASON_AUTH_FAILED},
        {{.no_sa = true}, WIRE_N_INVALID_SYNTAX, IKE_REASON_MALFORMED},
        {{.no_tsi = true}, WIRE_N_INVALID_SYNTAX, IKE_REASON_MALFORMED},
        {{.no_tsr = true}, WIRE_N_INVALID_SYNTAX, IKE_REASON_MALFORMED},
        {{.extra_type = 222}, WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD, IKE_REASON_UNSUPPORTED_CRITICAL},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct lab *l = lab_new();
        struct says s = table[i].says;

        s.tsi = ike_ts_any(ADDR_V4);
        s.tsr = l->gateway.local_ts[0];
        cr_assert_eq(ask(l, &s), IKE_STEPPED, "row %zu", i);
        cr_assert_eq(l->out.reason, table[i].reason, "row %zu", i);
        cr_assert_eq(l->g.state, IKE_SA_ENDED, "row %zu", i);
        cr_assert(
            holds_notify(l, &l->client, &l->c, message_span(&l->g.last_response), table[i].notify),
            "row %zu", i);
        /* No lookup that failed left anything alive. */
        cr_assert(l->g.children[0].state == IKE_CHILD_NONE &&
                      l->g.virtual_ip[SLOT_V4].family == 0 && l->g.keys.sk_d.len == 0 &&
                      !l->g.peer_initial_contact && l->addresses_asked == 0,
                  "row %zu", i);
        free(l);
    }
}

/* Requests whose CHILD SA is refused while the IKE SA stands. */
Test(auth_request, refused_child)
{
    const struct {
        struct ike_ts tsi, tsr;
        bool no_cp;
        unsigned asked;
    } table[] = {
        {ike_ts_any(ADDR_V4), subnet(0x01010100, 24), false, 0},    /* not behind us */
        {ike_ts_any(ADDR_V6), subnet(0x0a4d0200, 24), false, 0},    /* no IPv4 for the address */
        {subnet(0xc0a80000, 24), subnet(0x0a4d0200, 24), false, 1}, /* not the address it got */
        {subnet(0xc0a80000, 24), subnet(0x0a4d0200, 24), true, 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct lab *l = lab_new();
        struct says s = {.tsi = table[i].tsi, .tsr = table[i].tsr, .no_cp = table[i].no_cp};

        cr_assert_eq(ask(l, &s), IKE_STEPPED);
        cr_assert(l->out.reason == IKE_REASON_TS_UNACCEPTABLE && l->g.state == IKE_SA_ESTABLISHED,
                  "row %zu", i);
        cr_assert(holds_notify(l, &l->client, &l->c, message_span(&l->g.last_response),
                               WIRE_N_TS_UNACCEPTABLE));
        cr_assert_eq(l->addresses_asked, table[i].asked, "row %zu", i);
        cr_assert(l->g.virtual_ip[SLOT_V4].family == 0 && l->g.children[0].state == IKE_CHILD_NONE);
        free(l);
    }
}

Test(auth_request, other_exchanges_before_ike_auth)
{
    static const enum ike_exchange others[] = {IKE_EX_DPD, IKE_EX_IKE_DELETE, IKE_EX_CHILD_CREATE};

    for (size_t i = 0; i < 3; i++) {
        struct lab *l = lab_new();
        struct ike_draft d;
        struct ike_sa before;

        lab_auth_sent(l);
        ike_pending_clear(&l->c);
        l->c.next_request_id = 1;
        ike_draft_begin(&d);
        wire_put_delete_ike(&d.b);
        cr_assert(ike_seal_request(&l->client, &l->c, others[i], 1, &d));
        before = l->g;
        cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_IGNORED);
        cr_assert(l->out.reason == IKE_REASON_UNEXPECTED_EXCHANGE && l->out.n_effects == 0);
        cr_assert_eq(memcmp(&before, &l->g, sizeof before), 0);
        free(l);
    }
}

Test(auth_answer, right_ones_are_taken)
{
    struct lab *l = lab_new();
    struct says s = right(l);

    s.tsi = ike_ts_host(&l->pool);
    cr_assert_eq(answer(l, &s), IKE_STEPPED);
    cr_assert(l->c.state == IKE_SA_ESTABLISHED && l->c.children[0].spi_out == 0x01020304);
    free(l);
}

Test(auth_answer, wider_selectors_for_us_are_cut_to_our_address)
{
    struct lab *l = lab_new();
    struct says s = right(l); /* TSi stays 0.0.0.0/0 */
    struct ike_ts host = ike_ts_host(&l->pool);

    cr_assert_eq(answer(l, &s), IKE_STEPPED);
    cr_assert_eq(l->c.state, IKE_SA_ESTABLISHED);
    cr_assert_eq(memcmp(&l->c.children[0].local_ts[0], &host, sizeof host), 0);
    free(l);
}

/* Authenticated, but not what we asked for: the SA is deleted. */
Test(auth_answer, not_as_asked)
{
    const struct {
        struct says says;
        bool v6;
    } table[] = {
        {{.no_sa = true}, false}, {{.no_tsi = true}, false},        {{.no_tsr = true}, false},
        {{.no_cp = true}, false}, {{.two_proposals = true}, false}, {{0}, true},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct lab *l = lab_new();
        struct says s = table[i].says;

        s.tsi = ike_ts_host(&l->pool);
        s.tsr = table[i].v6 ? ike_ts_any(ADDR_V6) : l->gateway.local_ts[0];
        cr_assert_eq(answer(l, &s), IKE_STEPPED, "row %zu", i);
        cr_assert_eq(l->c.state, IKE_SA_DELETING, "row %zu", i);
        cr_assert(l->c.pending.exchange == IKE_EX_IKE_DELETE && l->out.n_effects == 1 &&
                      l->c.children[0].state == IKE_CHILD_NONE &&
                      l->c.virtual_ip[SLOT_V4].family == 0,
                  "row %zu", i);
        free(l);
    }
}

Test(auth_answer, not_authenticated)
{
    const struct {
        struct says says;
        enum ike_sa_state state;
    } table[] = {
        {{.bad_auth = true}, IKE_SA_DELETING},
        {{.wrong_method = true}, IKE_SA_DELETING},
        {{.short_auth = true}, IKE_SA_DELETING},
        {{.spoil_id = WIRE_ID_KEY_ID}, IKE_SA_DELETING},
        {{.no_auth = true}, IKE_SA_ENDED},
        {{.no_id = true}, IKE_SA_ENDED},
        {{.no_auth = true, .no_id = true, .notify = WIRE_N_NO_PROPOSAL_CHOSEN}, IKE_SA_ENDED},
        {{.extra_type = 222}, IKE_SA_ENDED},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct lab *l = lab_new();
        struct says s = table[i].says;

        s.tsi = ike_ts_host(&l->pool);
        s.tsr = l->gateway.local_ts[0];
        cr_assert_eq(answer(l, &s), IKE_STEPPED, "row %zu", i);
        cr_assert_eq(l->c.state, table[i].state, "row %zu", i);
        cr_assert(l->c.children[0].state == IKE_CHILD_NONE && l->c.virtual_ip[SLOT_V4].family == 0);
        cr_assert_neq(l->out.reason, IKE_REASON_NONE);
        free(l);
    }
}
