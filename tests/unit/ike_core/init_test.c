/* IKE_SA_INIT: both roles, what is answered unprotected, what is kept. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "harness.h"

static const struct ike_sa NOTHING;

/* The client's request as bytes to spoil. */
static struct ike_message request_of(struct lab *l)
{
    lab_begin(l);
    return l->c.pending.request;
}

static enum ike_outcome fresh(struct lab *l, struct span datagram)
{
    struct ike_event ev = lab_event(l, IKE_EV_DATAGRAM, false, datagram);

    return lab_step(l, &l->gateway, NULL, &ev);
}

/* An unprotected answer went out and nothing is kept. */
static struct wire_notify answered(struct lab *l)
{
    cr_assert(l->out.n_effects == 1 && l->out.effects[0].kind == IKE_SEND_PLAIN);
    cr_assert(endpoint_equal(&l->out.effects[0].to, &l->client_at));
    cr_assert_eq(memcmp(&l->out.after, &NOTHING, sizeof NOTHING), 0);
    return plain_notify(message_span(&l->out.plain));
}

Test(init, both_ends_have_the_same_keys)
{
    struct lab *l = lab_new();
    const struct ike_keys *c = &l->c.keys, *g = &l->g.keys;

    lab_auth_sent(l);
    cr_assert(secret_equal_bytes(&c->sk_d, &g->sk_d, sizeof c->sk_d));
    cr_assert(secret_equal_bytes(&c->sk_e_in, &g->sk_e_out, sizeof c->sk_d));
    cr_assert(secret_equal_bytes(&c->sk_e_out, &g->sk_e_in, sizeof c->sk_d));
    cr_assert(secret_equal_bytes(&c->sk_p_in, &g->sk_p_out, sizeof c->sk_d));
    cr_assert(secret_equal_bytes(&c->sk_p_out, &g->sk_p_in, sizeof c->sk_d));
    cr_assert(c->sk_e_in.len == 36 && c->sk_d.len == 32);
    cr_assert(l->c.local_spi == l->g.remote_spi && l->c.remote_spi == l->g.local_spi &&
              l->g.local_spi != 0);
    cr_assert(l->g.encr_id == 20 && l->g.encr_bits == 256 && l->g.prf_id == 5 && l->g.ke_id == 31);
    cr_assert(l->g.state == IKE_SA_HALF_OPEN && l->g.role == IKE_RESPONDER && l->g.shard == 3);
    cr_assert(l->g.created_ms == l->now_ms && l->g.expected_request_id == 1 &&
              l->g.next_request_id == 0);
    cr_assert_eq(l->g.handshake.ke_private.len, 0, "wiped when the keys were made");
    cr_assert_eq(l->c.handshake.ke_private.len, 0);
    cr_assert(l->c.pending.message_id == 1 && l->c.next_request_id == 2 && l->c.iv_next == 1);
    free(l);
}

Test(init, the_same_event_gives_the_same_answer)
{
    struct lab *l = lab_new();
    struct ike_message request = request_of(l), first;
    struct ike_event ev = lab_event(l, IKE_EV_DATAGRAM, false, message_span(&request)), again = ev;

    cr_assert_eq(lab_step(l, &l->gateway, NULL, &ev), IKE_LOCAL);
    first = l->out.plain;
    cr_assert_eq(lab_step(l, &l->gateway, NULL, &again), IKE_LOCAL);
    cr_assert(span_equal(message_span(&first), message_span(&l->out.plain)));
    free(l);
}

Test(init, need_ke_leaves_no_trace)
{
    struct lab *l = lab_new();
    struct ike_message request = request_of(l);
    struct ike_event ev = lab_event(l, IKE_EV_DATAGRAM, false, message_span(&request));

    cr_assert_eq(ike_init_handle_request(&l->gateway, &ev, &l->out), IKE_NEED_JOB);
    cr_assert(l->out.job.ke.generate && l->out.job.ke.derive &&
              l->out.job.ke.peer_public_len == 32 && l->out.n_effects == 0);
    free(l);
}

Test(init, repeated_request_gets_the_same_bytes)
{
    struct lab *l = lab_new();
    struct ike_message other;
    struct ike_event ev;

    lab_half_open(l);
    other = l->c.pending.request;
    ev = lab_event(l, IKE_EV_DATAGRAM, false, message_span(&l->c.pending.request));
    cr_assert_eq(ike_init_handle_repeat(&l->gateway, &l->g, &ev, &l->out), IKE_LOCAL);
    cr_assert(span_equal(message_span(&l->out.plain), message_span(&l->g.handshake.init_response)));
    cr_assert(l->out.n_effects == 1 && l->out.effects[0].kind == IKE_SEND_PLAIN);
    cr_assert_eq(memcmp(&l->out.after, &l->g, sizeof l->g), 0);
    other.bytes[other.len - 1] ^= 1;
    ev.datagram = message_span(&other);
    cr_assert_eq(ike_init_handle_repeat(&l->gateway, &l->g, &ev, &l->out), IKE_IGNORED);
    cr_assert(l->out.reason == IKE_REASON_REPLAY_DIFFERS && l->out.n_effects == 0);
    free(l);
}

Test(init, invalid_ke_payload)
{
    struct lab *l = lab_new();
    struct ike_message first, answer;

    l->client.ike[0].ke_id = OTHER_GROUP; /* the client begins with this, the gateway wants 31 */
    first = request_of(l);
    cr_assert_eq(fresh(l, message_span(&first)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_INVALID_KE);
    {
        struct wire_notify n = answered(l);

        cr_assert(n.type == WIRE_N_INVALID_KE_PAYLOAD && n.data.len == 2 &&
                  get_be16(n.data.data) == 31);
    }
    cr_assert_leq(l->out.plain.len, first.len);
    answer = l->out.plain;
    cr_assert_eq(lab_to_client(l, message_span(&answer)), IKE_LOCAL);
    cr_assert(l->out.after.handshake.ke_id == 31 && l->out.n_effects == 1);
    cr_assert(span_equal(span_of(l->out.after.handshake.nonce_i, 32),
                         span_of(l->c.handshake.nonce_i, 32)));
    l->c = l->out.after;
    /* The very same answer again names the group in use: an echo, not followed. */
    cr_assert_eq(lab_to_client(l, message_span(&answer)), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_INVALID_KE);
    cr_assert_eq(fresh(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    l->g = l->out.after;
    cr_assert_eq(l->g.state, IKE_SA_HALF_OPEN);
    cr_assert_eq(lab_to_client(l, message_span(&l->g.handshake.init_response)), IKE_STEPPED);
    free(l);
}

Test(init, a_group_that_the_policy_lacks_is_not_followed)
{
    struct lab *l = lab_new();
    struct ike_message answer;

    l->client.ike[0].ke_id = OTHER_GROUP;
    (void)request_of(l);
    cr_assert_eq(fresh(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    answer = l->out.plain;
    l->client.n_ike = 1; /* now only OTHER_GROUP is allowed */
    cr_assert_eq(lab_to_client(l, message_span(&answer)), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_INVALID_KE);
    answer.bytes[answer.len - 1] = 14; /* no such row at all */
    l->client.n_ike = 2;
    cr_assert_eq(lab_to_client(l, message_span(&answer)), IKE_IGNORED);
    free(l);
}

Test(init, no_proposal_chosen)
{
    struct lab *l = lab_new();
    struct ike_message request;

    l->client.n_ike = 1;
    request = request_of(l);
    l->gateway.ike[0] = l->gateway.ike[1]; /* only 128 bits */
    l->gateway.n_ike = 1;
    cr_assert_eq(fresh(l, message_span(&request)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_NO_PROPOSAL);
    cr_assert_eq(answered(l).type, WIRE_N_NO_PROPOSAL_CHOSEN);
    {
        struct ike_message refusal = l->out.plain;

        /* Nobody's word: the client keeps its request (RFC 7296 2.21.1). */
        cr_assert_eq(lab_to_client(l, message_span(&refusal)), IKE_IGNORED);
        cr_assert_eq(l->out.reason, IKE_REASON_NO_PROPOSAL);
    }
    free(l);
}

Test(init, versions_and_critical_payloads)
{
    struct lab *l = lab_new();
    struct ike_message request = request_of(l), copy = request;

    copy.bytes[17] = 0x30;
    cr_assert_eq(fresh(l, message_span(&copy)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_WRONG_VERSION);
    cr_assert_eq(answered(l).type, WIRE_N_INVALID_MAJOR_VERSION);
    cr_assert_eq(l->out.plain.bytes[17], 0x20, "the highest that we speak");
    copy.bytes[19] |= WIRE_FLAG_RESPONSE; /* never answer an answer */
    cr_assert_eq(fresh(l, message_span(&copy)), IKE_IGNORED);
    copy.bytes[17] = 0x10;
    copy.bytes[19] = WIRE_FLAG_INITIATOR;
    cr_assert_eq(fresh(l, message_span(&copy)), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_WRONG_VERSION);
    copy = request;
    copy.bytes[16] = 250; /* the SA payload under another name, critical */
    copy.bytes[29] = 0x80;
    cr_assert_eq(fresh(l, message_span(&copy)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_UNSUPPORTED_CRITICAL);
    {
        struct wire_notify n = answered(l);

        cr_assert(n.type == WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD && n.data.len == 1 &&
                  n.data.data[0] == 250);
    }
    copy.bytes[29] = 0; /* not critical: skipped, and then there is no SA payload */
    cr_assert_eq(fresh(l, message_span(&copy)), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_MALFORMED);
    free(l);
}

Test(init, headers_that_are_not_a_first_request)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum ike_reason reason;
    } table[] = {
        {18, WIRE_EX_IKE_AUTH, IKE_REASON_UNEXPECTED_EXCHANGE},
        {18, WIRE_EX_INFORMATIONAL, IKE_REASON_UNEXPECTED_EXCHANGE},
        {19, WIRE_FLAG_RESPONSE, IKE_REASON_UNEXPECTED_EXCHANGE},
        {19, WIRE_FLAG_RESPONSE | WIRE_FLAG_INITIATOR, IKE_REASON_UNEXPECTED_EXCHANGE},
        {19, 0, IKE_REASON_MALFORMED},
        {23, 1, IKE_REASON_MALFORMED}, /* message ID */
        {15, 1, IKE_REASON_MALFORMED}, /* a responder SPI */
        {27, 0, IKE_REASON_MALFORMED}, /* length */
        {24, 1, IKE_REASON_TRUNCATED},
    };
    struct lab *l = lab_new();
    struct ike_message request = request_of(l);

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct ike_message copy = request;

        copy.bytes[table[i].at] = table[i].value;
        cr_assert_eq(fresh(l, message_span(&copy)), IKE_IGNORED, "row %zu", i);
        cr_assert_eq(l->out.reason, table[i].reason, "row %zu: %d", i, (int)l->out.reason);
        cr_assert_eq(l->out.n_effects, 0);
    }
    memset(request.bytes, 0, 8);
    cr_assert_eq(fresh(l, message_span(&request)), IKE_IGNORED, "initiator SPI 0");
    free(l);
}

Test(init, every_truncation_and_every_missing_payload)
{
    struct lab *l = lab_new();
    struct ike_message request = request_of(l);
    static uint8_t big[IKE_MAX_MESSAGE_BYTES + 1];

    for (size_t n = 0; n < request.len; n++) {
        struct ike_message copy = request;

        cr_assert_eq(fresh(l, span_of(request.bytes, n)), IKE_IGNORED, "cut at %zu", n);
        if (n < WIRE_HEADER_BYTES)
            continue;
        put_be32(copy.bytes + 24, (uint32_t)n); /* with a header that agrees */
        cr_assert_eq(fresh(l, span_of(copy.bytes, n)), IKE_IGNORED, "cut at %zu", n);
        cr_assert_eq(l->out.n_effects, 0);
    }
    memcpy(big, request.bytes, request.len);
    put_be32(big + 24, sizeof big);
    cr_assert_eq(fresh(l, span_of(big, sizeof big)), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_OVERSIZED);
    free(l);
}

/* Where the value of the KE payload stands in a request that begins with SA, then KE. */
static size_t ke_value_at(const struct ike_message *m)
{
    return WIRE_HEADER_BYTES + get_be16(m->bytes + WIRE_HEADER_BYTES + 2) + 8u;
}

Test(init, public_values_of_the_wrong_length_or_zero)
{
    struct lab *l = lab_new();
    struct ike_message request = request_of(l), copy = request;
    size_t at = ke_value_at(&request);

    memset(copy.bytes + at, 0, 32);
    cr_assert_eq(fresh(l, message_span(&copy)), IKE_IGNORED, "zero");
    cr_assert(l->out.reason == IKE_REASON_MALFORMED && l->out.n_effects == 0);
    copy.bytes[at] = 1; /* a point of order 1: the shared value would be zero (RFC 8031 4) */
    cr_assert_eq(fresh(l, message_span(&copy)), IKE_IGNORED, "low order");
    for (unsigned cut = 1; cut < 32; cut += 6) {
        copy = request;
        memmove(copy.bytes + at + 32 - cut, copy.bytes + at + 32, copy.len - at - 32);
        copy.len = (uint16_t)(copy.len - cut);
        put_be32(copy.bytes + 24, copy.len);
        put_be16(copy.bytes + at - 6, (uint16_t)(40 - cut));
        cr_assert_eq(fresh(l, message_span(&copy)), IKE_IGNORED, "%u short", cut);
        cr_assert_eq(l->out.reason, IKE_REASON_MALFORMED);
    }
    for (uint16_t more = 1; more < 300; more = (uint16_t)(more * 4)) { /* longer than any group's */
        struct ike_event ev;

        copy = request;
        memmove(copy.bytes + at + 32 + more, request.bytes + at + 32, request.len - at - 32);
        copy.len = (uint16_t)(copy.len + more);
        put_be32(copy.bytes + 24, copy.len);
        put_be16(copy.bytes + at - 6, (uint16_t)(40 + more));
        ev = lab_event(l, IKE_EV_DATAGRAM, false, message_span(&copy));
        cr_assert_eq(ike_init_handle_request(&l->gateway, &ev, &l->out), IKE_IGNORED, "no KE job");
        cr_assert_eq(l->out.reason, IKE_REASON_MALFORMED);
    }
    /* And at the client: the gateway's value. */
    lab_half_open(l);
    copy = l->g.handshake.init_response;
    at = ke_value_at(&copy);
    memset(copy.bytes + at, 0, 32);
    cr_assert_eq(lab_to_client(l, message_span(&copy)), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_MALFORMED);
    copy = l->g.handshake.init_response;
    copy.bytes[at - 3] = OTHER_GROUP; /* the group field says another than was chosen */
    cr_assert_eq(lab_to_client(l, message_span(&copy)), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_INVALID_KE);
    free(l);
}

Test(init, responses_that_are_not_ours)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum ike_reason reason;
    } table[] = {
        {0, 0xff, IKE_REASON_WRONG_SPI},
        {18, WIRE_EX_IKE_AUTH, IKE_REASON_UNEXPECTED_EXCHANGE},
        {19, 0, IKE_REASON_UNEXPECTED_RESPONSE},
        {19, WIRE_FLAG_RESPONSE | WIRE_FLAG_INITIATOR, IKE_REASON_UNEXPECTED_RESPONSE},
        {23, 1, IKE_REASON_UNEXPECTED_RESPONSE},
        {17, 0x30, IKE_REASON_WRONG_VERSION},
    };
    struct lab *l = lab_new();
    struct ike_message copy;

    lab_half_open(l);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        copy = l->g.handshake.init_response;
        copy.bytes[table[i].at] = table[i].value;
        cr_assert_eq(lab_to_client(l, message_span(&copy)), IKE_IGNORED, "row %zu", i);
        cr_assert_eq(l->out.reason, table[i].reason, "row %zu", i);
    }
    copy = l->g.handshake.init_response;
    memset(copy.bytes + 8, 0, 8);
    cr_assert_eq(lab_to_client(l, message_span(&copy)), IKE_IGNORED, "responder SPI 0");
    for (size_t n = 0; n < copy.len; n++)
        cr_assert_eq(lab_to_client(l, span_of(l->g.handshake.init_response.bytes, n)), IKE_IGNORED);
    free(l);
}

Test(init, nat_detection)
{
    const struct {
        bool client_moved, gateway_moved, client_forces, gateway_forces;
    } table[] = {
        {false, false, false, false}, {true, false, false, false}, {false, true, false, false},
        {true, true, false, false},   {false, false, true, false}, {false, false, false, true},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct lab *l = lab_new();
        struct ike_event ev;
        bool any = table[i].client_moved || table[i].gateway_moved || table[i].client_forces ||
                   table[i].gateway_forces;

        l->client.force_encap = table[i].client_forces;
        l->gateway.force_encap = table[i].gateway_forces;
        lab_begin(l);
        ev = lab_event(l, IKE_EV_DATAGRAM, false, message_span(&l->c.pending.request));
        if (table[i].client_moved) /* a NAT before the client */
            ev.remote = (struct endpoint){.ip = addr_v4(0x01020304), .port = 61000};
        if (table[i].gateway_moved) /* a NAT before the gateway */
            ev.local = (struct endpoint){.ip = addr_v4(0xc0a80001), .port = 500};
        cr_assert_eq(lab_step(l, &l->gateway, NULL, &ev), IKE_LOCAL);
        l->g = l->out.after;
        cr_assert_eq(l->g.nat_remote, table[i].client_moved || table[i].client_forces, "row %zu",
                     i);
        cr_assert_eq(l->g.nat_local, table[i].gateway_moved, "row %zu", i);
        cr_assert_eq(lab_to_client(l, message_span(&l->g.handshake.init_response)), IKE_STEPPED);
        l->c = l->out.after;
        cr_assert_eq(l->c.nat_local, table[i].client_moved, "row %zu", i);
        cr_assert_eq(l->c.nat_remote, table[i].gateway_moved || table[i].gateway_forces, "row %zu",
                     i);
        cr_assert_eq(l->c.encap, any, "row %zu", i);
        cr_assert_eq(l->c.remote.port, any ? 4500 : 500);
        cr_assert_eq(l->c.local.port, any ? 4500 : 500);
        cr_assert_eq(l->out.effects[0].natt, any);
        cr_assert(endpoint_equal(&l->out.effects[0].to, &l->c.remote));
        free(l);
    }
}

Test(init, a_peer_without_nat_detection_gets_none)
{
    struct lab *l = lab_new();
    struct ike_message request = request_of(l);
    struct wire_header h;
    static struct wire_body body;
    const size_t natd = 2 * 28; /* the two notifies stand last */

    request.len = (uint16_t)(request.len - natd);
    put_be32(request.bytes + 24, request.len);
    request.bytes[request.len - 36] = WIRE_PL_NONE; /* the nonce is the last payload now */
    cr_assert_eq(fresh(l, message_span(&request)), IKE_LOCAL);
    cr_assert(!l->out.after.nat_local && !l->out.after.nat_remote);
    cr_assert_eq(wire_header_decode(message_span(&l->out.plain), &h), WIRE_OK);
    cr_assert_eq(wire_body_decode(h.next_payload,
                                  span_of(l->out.plain.bytes + 28, l->out.plain.len - 28u), &body),
                 WIRE_OK);
    cr_assert_eq(body.n_notifies, 0);
    free(l);
}

Test(init, nobody_to_call_or_nothing_to_offer)
{
    struct lab *l = lab_new();
    struct ike_event ev = lab_event(l, IKE_EV_INITIATE, true, span_of(NULL, 0));

    l->client.n_psks = 0;
    cr_assert_eq(lab_step(l, &l->client, NULL, &ev), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_AUTH_FAILED);
    l->client.n_psks = 1;
    l->client.n_ike = 0;
    cr_assert_eq(lab_step(l, &l->client, NULL, &ev), IKE_IGNORED);
    cr_assert_eq(l->out.reason, IKE_REASON_NO_PROPOSAL);
    free(l);
}

Test(init, spis_are_never_reserved_or_taken)
{
    struct ike_sa sa = {0};
    const uint8_t zero[8] = {0}, low[4] = {0, 0, 0, 255}, high[4] = {0, 0, 1, 0};

    cr_assert_neq(ike_new_ike_spi(zero), 0);
    cr_assert_geq(ike_new_esp_spi(NULL, zero), 256);
    cr_assert_geq(ike_new_esp_spi(NULL, low), 256);
    cr_assert_eq(ike_new_esp_spi(&sa, high), 256);
    sa.children[4].state = IKE_CHILD_REKEYED;
    sa.children[4].spi_in = 256;
    cr_assert_neq(ike_new_esp_spi(&sa, high), 256);
    cr_assert_eq(ike_new_esp_spi(&sa, high) & 0xff, 0, "the low bits (the worker) stay");
    sa.pending.new_spi_in = ike_new_esp_spi(&sa, high);
    cr_assert_neq(ike_new_esp_spi(&sa, high), sa.pending.new_spi_in);
}
