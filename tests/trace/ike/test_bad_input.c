/* Input that must do no harm: dropped with a reason and an unchanged state, or, once it is
 * authenticated, answered as RFC 7296 2.21 and 2.25 say. */
#include <criterion/criterion.h>

#include "ike/exchange.h"
#include "ike_pair/pair.h"
#include "wire/body.h"

static struct pair *p;
/* The client as a bad one: a copy of its SA whose keys seal whatever a test likes. */
static struct ike_sa bad;

static void setup(void)
{
    p = pair_new(9);
    bad = *pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(bad_input, .init = setup, .fini = teardown);

static size_t encoded(const struct ike_sa *sa, uint8_t *out)
{
    size_t len = 0;

    cr_assert(ike_sa_encode(sa, out, IKE_SA_ENCODED_MAX, &len));
    return len;
}

/* Seals the draft as the bad client's next request and gives it to the gateway. */
static enum ike_outcome send(enum ike_exchange exchange, const struct ike_draft *d)
{
    ike_pending_clear(&bad);
    cr_assert(ike_seal_request(&p->side[CLIENT].policy, &bad, exchange, p->now_ms, d));
    return pair_inject(p, GATEWAY, span_of(bad.pending.request.bytes, bad.pending.request.len));
}

/* The answer that the gateway sent last, opened. */
static const struct ike_received *answer(void)
{
    static struct ike_received rx;
    const struct pair_flying *f = &p->flying[p->n_flying - 1];
    enum ike_reason reason;

    cr_assert_gt(p->n_flying, 0);
    cr_assert_eq(
        ike_message_receive(&p->side[CLIENT].policy, &bad, span_of(f->bytes, f->len), &rx, &reason),
        IKE_RX_RESPONSE);
    cr_assert_eq(rx.body_result, WIRE_OK);
    return &rx;
}

static void answered(uint16_t notify)
{
    const struct wire_notify *n = wire_body_notify(&answer()->body, notify);

    cr_assert_not_null(n, "notify %u", notify);
}

/* A drop: the reason, and not one replicated bit changed. */
static void dropped(struct span bytes, enum ike_reason reason)
{
    static uint8_t before[IKE_SA_ENCODED_MAX], after[IKE_SA_ENCODED_MAX];
    struct ike_sa *g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    struct ike_event ev = {.kind = IKE_EV_DATAGRAM,
                           .local = p->side[GATEWAY].at,
                           .remote = p->side[CLIENT].at,
                           .natt = true,
                           .datagram = bytes};
    size_t len = encoded(g, before), flying = p->n_flying;

    cr_assert_eq(pair_event(p, GATEWAY, g, &ev), IKE_IGNORED);
    cr_assert_eq(p->said[p->n_said - 1].reason, reason, "%s, not %s",
                 ike_reason_name(p->said[p->n_said - 1].reason), ike_reason_name(reason));
    cr_assert_eq(encoded(g, after), len);
    cr_assert_arr_eq(before, after, len);
    cr_assert_eq(p->n_flying, flying, "and nothing was answered");
}

static struct ike_draft draft(void)
{
    struct ike_draft d;

    ike_draft_begin(&d);
    d.b.w.data = NULL; /* a copy must begin again: its room has moved */
    return d;
}

/* A sealed, good liveness check of the bad client to bend: not given to anyone yet. */
static struct ike_message good(void)
{
    struct ike_draft d = draft();

    ike_draft_begin(&d);
    ike_pending_clear(&bad);
    cr_assert(ike_seal_request(&p->side[CLIENT].policy, &bad, IKE_EX_DPD, p->now_ms, &d));
    return bad.pending.request;
}

Test(bad_input, dropped_with_a_reason)
{
    static uint8_t big[IKE_MAX_MESSAGE_BYTES + 1];
    struct ike_message m = good(), bent;

    dropped(span_of(m.bytes, 10), IKE_REASON_TRUNCATED);
    dropped(span_of(m.bytes, 0), IKE_REASON_TRUNCATED);
    memcpy(big, m.bytes, m.len);
    dropped(span_of(big, sizeof big), IKE_REASON_OVERSIZED);
    bent = m;
    bent.bytes[17] = 0x30;
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_WRONG_VERSION);
    bent = m;
    bent.bytes[3] ^= 1;
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_WRONG_SPI);
    bent = m;
    bent.bytes[m.len - 1] ^= 1;
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_BAD_ICV);
    bent = m;
    bent.bytes[40] ^= 1;
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_BAD_ICV);
    bent = m;
    bent.bytes[23] = 200; /* message ID */
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_FUTURE_MESSAGE_ID);
    bent.bytes[23] = 0;
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_OLD_MESSAGE_ID);
    bent = m;
    bent.bytes[19] |= WIRE_FLAG_RESPONSE;
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_UNEXPECTED_RESPONSE);
    bent = m;
    bent.bytes[19] &= (uint8_t)~WIRE_FLAG_INITIATOR;
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_MALFORMED);
    bent = m;
    bent.bytes[18] = 99; /* exchange type */
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_UNEXPECTED_EXCHANGE);
    bent = m;
    bent.bytes[16] = WIRE_PL_NOTIFY; /* no SK at all */
    dropped(span_of(bent.bytes, bent.len), IKE_REASON_MALFORMED);
}

Test(bad_input, replay_of_the_last_request_is_answered_alike_and_a_bent_one_is_not)
{
    struct ike_message m = good();

    cr_assert_eq(pair_inject(p, GATEWAY, span_of(m.bytes, m.len)), IKE_STEPPED);
    cr_assert_eq(pair_inject(p, GATEWAY, span_of(m.bytes, m.len)), IKE_LOCAL);
    cr_assert_arr_eq(p->flying[0].bytes, p->flying[1].bytes, p->flying[0].len);
    m.bytes[m.len - 1] ^= 1;
    dropped(span_of(m.bytes, m.len), IKE_REASON_REPLAY_DIFFERS);
}

Test(bad_input, unknown_critical_payload_costs_the_request_only)
{
    struct ike_draft d;
    size_t at;

    ike_draft_begin(&d);
    at = wire_payload_begin(&d.b, 200);
    wire_write_u32(&d.b.w, 7);
    wire_payload_end(&d.b, at);
    d.room[1] |= 0x80; /* critical */
    cr_assert_eq(send(IKE_EX_INFORMATIONAL, &d), IKE_STEPPED);
    answered(WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD);
    cr_assert_eq(
        wire_body_notify(&answer()->body, WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD)->data.data[0], 200);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    d.room[1] = 0; /* not critical: skipped */
    cr_assert_eq(send(IKE_EX_INFORMATIONAL, &d), IKE_STEPPED);
    cr_assert_eq(answer()->body.n_notifies, 0);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
}

Test(bad_input, malformed_inside_sk_is_fatal)
{
    struct ike_draft d;
    size_t at;

    ike_draft_begin(&d);
    at = wire_payload_begin(&d.b, WIRE_PL_DELETE);
    wire_write_u32(&d.b.w, 0x03040002); /* two SPIs announced, none there */
    wire_payload_end(&d.b, at);
    cr_assert_eq(send(IKE_EX_INFORMATIONAL, &d), IKE_STEPPED);
    answered(WIRE_N_INVALID_SYNTAX);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ENDED));
    cr_assert_eq(pair_count_children(p, GATEWAY), 0);
}

static void put_child_request(struct ike_draft *d, uint8_t protocol, size_t spi_len)
{
    static const uint8_t zero[8];
    struct ike_child *c = &bad.children[0];
    uint8_t spi[8] = {0};
    struct wire_sa offer = {0};
    struct wire_ts_list ts = {.n = 1};

    put_be32(spi, c->spi_in);
    ike_draft_begin(d);
    wire_put_notify(&d->b, &(struct wire_notify){.protocol = protocol,
                                                 .spi = span_of(spi, spi_len),
                                                 .type = WIRE_N_REKEY_SA});
    wire_sa_add_proposal(&offer, 1, WIRE_PROTO_ESP, span_of("\1\2\3\4", 4));
    wire_sa_add_transform(&offer, WIRE_TR_ENCR, 20, 256);
    wire_sa_add_transform(&offer, WIRE_TR_ESN, 0, 0);
    wire_put_sa(&d->b, &offer);
    wire_put_nonce(&d->b, span_of("0123456789abcdef", 16));
    ts.items[0] = (struct wire_ts){.port_high = 65535, .low = addr_v4(0), .high = addr_v4(~0u)};
    wire_put_ts(&d->b, WIRE_PL_TSI, &ts);
    wire_put_ts(&d->b, WIRE_PL_TSR, &ts);
    (void)zero;
}

Test(bad_input, rekey_sa_with_a_protocol_that_makes_no_sense)
{
    static const struct {
        uint8_t protocol;
        size_t spi_len;
    } rows[] = {{0, 0}, {1, 0}, {1, 8}, {0, 4}, {1, 4}, {3, 0}, {3, 8}, {4, 4}, {255, 4}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ike_draft d;

        if (i > 0) {
            teardown();
            setup();
        }
        put_child_request(&d, rows[i].protocol, rows[i].spi_len);
        cr_assert_eq(send(IKE_EX_CHILD_REKEY, &d), IKE_STEPPED, "row %zu", i);
        answered(WIRE_N_INVALID_SYNTAX);
        cr_assert_null(wire_body_notify(&answer()->body, WIRE_N_REKEY_SA));
        cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ENDED));
    }
}

Test(bad_input, rekey_of_ah_or_of_an_unknown_spi_is_not_found)
{
    struct ike_draft d;
    const struct wire_notify *n;

    put_child_request(&d, WIRE_PROTO_AH, 4);
    cr_assert_eq(send(IKE_EX_CHILD_REKEY, &d), IKE_STEPPED);
    answered(WIRE_N_CHILD_SA_NOT_FOUND);
    bad.children[0].spi_in ^= 0x5a5a;
    put_child_request(&d, WIRE_PROTO_ESP, 4);
    cr_assert_eq(send(IKE_EX_CHILD_REKEY, &d), IKE_STEPPED);
    n = wire_body_notify(&answer()->body, WIRE_N_CHILD_SA_NOT_FOUND);
    cr_assert(n != NULL && n->protocol == WIRE_PROTO_ESP && n->spi.len == 4);
    cr_assert_eq(get_be32(n->spi.data), bad.children[0].spi_in);
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
}

Test(bad_input, rekey_with_the_right_one_works_so_the_rows_above_fail_for_their_reason)
{
    struct ike_draft d;

    put_child_request(&d, WIRE_PROTO_ESP, 4);
    cr_assert_eq(send(IKE_EX_CHILD_REKEY, &d), IKE_STEPPED);
    cr_assert(answer()->body.has_sa);
    cr_assert_eq(pair_count_children(p, GATEWAY), 2);
    cr_assert_eq(answer()->body.tsi.items[0].low.bytes[0], 10,
                 "a superset is cut to the old one's");
}

Test(bad_input, delete_of_an_unknown_spi_changes_nothing)
{
    struct ike_draft d;
    uint32_t spis[2] = {0xdeadbeef, 0};

    ike_draft_begin(&d);
    wire_put_delete_esp(&d.b, spis, 2);
    cr_assert_eq(send(IKE_EX_CHILD_DELETE, &d), IKE_STEPPED);
    cr_assert_eq(answer()->body.n_deletes, 0);
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
    cr_assert_not_null(pair_sender(p, GATEWAY));
}

Test(bad_input, delete_that_names_one_twice_answers_it_once)
{
    struct ike_draft d;
    uint32_t spis[40];

    for (size_t i = 0; i < 40; i++)
        spis[i] = bad.children[0].spi_in;
    ike_draft_begin(&d);
    wire_put_delete_esp(&d.b, spis, 40);
    cr_assert_eq(send(IKE_EX_CHILD_DELETE, &d), IKE_STEPPED);
    cr_assert_eq(answer()->body.n_deletes, 1);
    cr_assert_eq(answer()->body.deletes[0].n_spis, 1);
}

Test(bad_input, key_exchange_values_that_are_no_points)
{
    static const struct {
        uint16_t group;
        size_t len;
        uint16_t notify;
    } rows[] = {{31, 32, WIRE_N_INVALID_SYNTAX}, /* all zero */
                {31, 31, WIRE_N_INVALID_SYNTAX},
                {31, 64, WIRE_N_INVALID_SYNTAX},
                {14, 32, WIRE_N_INVALID_KE_PAYLOAD}};
    static const uint8_t zero[64];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ike_draft d;
        struct wire_sa offer = {0};

        if (i > 0) {
            teardown();
            setup();
        }
        ike_draft_begin(&d);
        wire_sa_add_proposal(&offer, 1, WIRE_PROTO_IKE, span_of("12345678", 8));
        wire_sa_add_transform(&offer, WIRE_TR_ENCR, 20, 256);
        wire_sa_add_transform(&offer, WIRE_TR_PRF, 5, 0);
        wire_sa_add_transform(&offer, WIRE_TR_KE, 31, 0);
        wire_put_sa(&d.b, &offer);
        wire_put_nonce(&d.b, span_of("0123456789abcdef", 16));
        wire_put_ke(&d.b, rows[i].group, span_of(zero, rows[i].len));
        cr_assert_eq(send(IKE_EX_IKE_REKEY, &d), IKE_STEPPED, "row %zu", i);
        answered(rows[i].notify);
        cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_REKEYED), 0);
        cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_ESTABLISHED),
                     rows[i].notify == WIRE_N_INVALID_KE_PAYLOAD ? 1 : 0);
    }
}

Test(bad_input, ike_auth_again_on_an_established_sa)
{
    struct ike_draft d;

    ike_draft_begin(&d);
    cr_assert_eq(send(IKE_EX_AUTH, &d), IKE_STEPPED);
    answered(WIRE_N_INVALID_SYNTAX);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ENDED));
}

Test(bad_input, children_are_bounded)
{
    for (int i = 0; i < 12; i++) {
        (void)pair_command(p, CLIENT, IKE_WANT_CHILD);
        pair_run(p);
    }
    cr_assert_eq(pair_count_children(p, GATEWAY), IKE_MAX_CHILDREN - 1, "one slot is to spare");
    cr_assert_geq(pair_count_reason(p, CLIENT, IKE_REASON_TOO_MANY_CHILDREN), 1);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD), IKE_STEPPED);
    pair_run(p);
    cr_assert_eq(pair_count_children(p, GATEWAY), IKE_MAX_CHILDREN - 1, "rekeyed");
    cr_assert_null(pair_disagreement(p));
}

/* Before IKE_AUTH nothing else is heard, however well it is sealed. */
Test(bad_input, informational_and_create_child_before_auth)
{
    static const enum ike_exchange kinds[] = {IKE_EX_DPD, IKE_EX_CHILD_REKEY, IKE_EX_IKE_DELETE};

    teardown();
    p = pair_new_unconnected(10);
    p->held[CLIENT] = true;
    pair_connect(p);
    cr_assert(pair_deliver(p, CLIENT)); /* IKE_SA_INIT */
    pair_run(p);                        /* its answer; the client's IKE_AUTH is held */
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_HALF_OPEN));
    for (size_t i = 0; i < 3; i++) {
        struct ike_draft d;

        bad = *pair_sa(p, CLIENT, IKE_SA_HALF_OPEN);
        bad.next_request_id = 1;
        put_child_request(&d, WIRE_PROTO_ESP, 4);
        if (kinds[i] == IKE_EX_IKE_DELETE) {
            ike_draft_begin(&d);
            wire_put_delete_ike(&d.b);
        }
        cr_assert_eq(send(kinds[i], &d), IKE_IGNORED);
        cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_UNEXPECTED_EXCHANGE);
        cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_HALF_OPEN));
    }
    p->held[CLIENT] = false;
    pair_run(p);
    cr_assert_null(pair_disagreement(p), "and the handshake goes on");
}

/* The peer calls our request malformed: it has ended the SA, so do we. RFC 7296 2.21.3. */
Test(bad_input, invalid_syntax_as_an_answer_ends_the_sa)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_PFS, IKE_WANT_REKEY_IKE, IKE_WANT_CHILD,
                                     IKE_WANT_DPD, IKE_WANT_DELETE_CHILD};

    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        struct wire_header h;
        struct span request;

        if (i > 0) {
            teardown();
            setup();
        }
        p->held[GATEWAY] = p->held[CLIENT] = true;
        cr_assert_eq(pair_command(p, GATEWAY, wants[i]), IKE_STEPPED);
        request = span_of(p->flying[0].bytes, p->flying[0].len);
        cr_assert_eq(wire_header_decode(request, &h), WIRE_OK);
        cr_assert(ike_answer_notify(&p->side[CLIENT].policy, &bad, request, &h,
                                    WIRE_N_INVALID_SYNTAX, (struct span){0}));
        cr_assert_eq(
            pair_inject(p, GATEWAY, span_of(bad.last_response.bytes, bad.last_response.len)),
            IKE_STEPPED);
        cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ENDED), "want %zu", i);
        cr_assert_eq(pair_count_children(p, GATEWAY), 0);
    }
}

/* The answer to our own request is bad: what the peer may have made is deleted, nothing hangs. */
Test(bad_input, bad_answer_to_our_rekeys)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_PFS, IKE_WANT_REKEY_IKE, IKE_WANT_CHILD};

    for (size_t i = 0; i < 3; i++) {
        struct ike_draft d;
        struct ike_sa *g;
        struct wire_header h;
        struct span request;

        if (i > 0) {
            teardown();
            setup();
        }
        p->held[GATEWAY] = p->held[CLIENT] = true;
        cr_assert_eq(pair_command(p, GATEWAY, wants[i]), IKE_STEPPED);
        request = span_of(p->flying[0].bytes, p->flying[0].len);
        cr_assert_eq(wire_header_decode(request, &h), WIRE_OK);
        ike_draft_begin(&d);
        wire_put_nonce(&d.b, span_of("0123456789abcdef", 16)); /* and nothing else */
        cr_assert(ike_seal_response(&p->side[CLIENT].policy, &bad, request, &h, &d));
        cr_assert_eq(
            pair_inject(p, GATEWAY, span_of(bad.last_response.bytes, bad.last_response.len)),
            IKE_STEPPED);
        g = pair_sa(p, GATEWAY,
                    wants[i] == IKE_WANT_REKEY_IKE ? IKE_SA_DELETING : IKE_SA_ESTABLISHED);
        cr_assert_not_null(g, "want %zu", i);
        cr_assert_eq(g->pending.exchange,
                     wants[i] == IKE_WANT_REKEY_IKE ? IKE_EX_IKE_DELETE : IKE_EX_CHILD_DELETE);
        cr_assert_eq(pair_count_children(p, GATEWAY), 1, "the old one goes on");
    }
}
