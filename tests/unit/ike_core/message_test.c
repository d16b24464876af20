/* The message layer: sealing against known bytes, windows, kept answers, IVs. */
#include <criterion/criterion.h>

#include "crypto/tables.h"

#include "harness.h"
#include "vectors.h"

static struct ike_policy policy(void)
{
    return (struct ike_policy){.suites = &suite_default};
}

/* An SA whose outbound key is `out` and inbound key `in` (cipher key and salt). */
static struct ike_sa sa_with(enum ike_role role, struct span out, struct span in)
{
    struct ike_sa sa = {.role = role,
                        .state = IKE_SA_ESTABLISHED,
                        .encr_id = 20,
                        .encr_bits = (uint16_t)((out.len - 4) * 8),
                        .prf_id = 5};

    sa.local_spi = get_be64(role == IKE_INITIATOR ? SPI_I : SPI_R);
    sa.remote_spi = get_be64(role == IKE_INITIATOR ? SPI_R : SPI_I);
    secret_set(&sa.keys.sk_e_out, out.data, out.len);
    secret_set(&sa.keys.sk_e_in, in.data, in.len);
    return sa;
}

static struct ike_sa *initiator, *responder;
static struct ike_received *rx;

static void two_ends(void)
{
    static struct ike_sa i, r;
    static struct ike_received received;

    i = sa_with(IKE_INITIATOR, span_of(SK_EI_256, 36), span_of(SK_ER_256, 36));
    r = sa_with(IKE_RESPONDER, span_of(SK_ER_256, 36), span_of(SK_EI_256, 36));
    initiator = &i;
    responder = &r;
    rx = &received;
}

static void seal_delete(struct ike_sa *sa, enum ike_exchange exchange)
{
    struct ike_policy p = policy();
    struct ike_draft d;

    ike_draft_begin(&d);
    wire_put_delete_ike(&d.b);
    cr_assert(ike_seal_request(&p, sa, exchange, 77, &d));
}

/* What `to` makes of a datagram. */
static enum ike_rx receive(const struct ike_sa *to, struct span m, enum ike_reason *reason)
{
    struct ike_policy p = policy();

    return ike_message_receive(&p, to, m, rx, reason);
}

static void seals_as_known(struct span want, struct span out, struct span in)
{
    struct ike_sa i = sa_with(IKE_INITIATOR, out, in), r = sa_with(IKE_RESPONDER, in, out);
    enum ike_reason reason;

    two_ends();
    i.next_request_id = 5;
    i.iv_next = 7;
    seal_delete(&i, IKE_EX_IKE_DELETE);
    cr_assert(span_equal(message_span(&i.pending.request), want));
    cr_assert(i.iv_next == 8 && i.next_request_id == 6 && i.pending.message_id == 5 &&
              i.pending.sent_ms == 77 && i.pending.exchange == IKE_EX_IKE_DELETE);
    r.expected_request_id = 5;
    cr_assert_eq(receive(&r, want, &reason), IKE_RX_REQUEST);
    cr_assert(rx->body_result == WIRE_OK && rx->body.n_deletes == 1 &&
              rx->header.exchange == WIRE_EX_INFORMATIONAL);
}

Test(message, known_bytes_256)
{
    seals_as_known(span_of(MESSAGE_256, sizeof MESSAGE_256), span_of(SK_EI_256, 36),
                   span_of(SK_ER_256, 36));
}

Test(message, known_bytes_128)
{
    seals_as_known(span_of(MESSAGE_128, sizeof MESSAGE_128), span_of(SK_EI_128, 20),
                   span_of(SK_ER_128, 20));
}

Test(message, every_changed_bit_is_refused)
{
    uint8_t copy[sizeof MESSAGE_256];
    enum ike_reason reason;
    struct ike_sa before;

    two_ends();
    responder->expected_request_id = 5;
    before = *responder;
    for (size_t bit = 0; bit < 8 * sizeof copy; bit++) {
        memcpy(copy, MESSAGE_256, sizeof copy);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        reason = IKE_REASON_NONE;
        cr_assert_eq(receive(responder, span_of(copy, sizeof copy), &reason), IKE_RX_DROP,
                     "bit %zu", bit);
        cr_assert_neq(reason, IKE_REASON_NONE, "bit %zu", bit);
    }
    for (size_t n = 0; n < sizeof copy; n++)
        cr_assert_eq(receive(responder, span_of(MESSAGE_256, n), &reason), IKE_RX_DROP);
    cr_assert_eq(memcmp(&before, responder, sizeof before), 0);
}

Test(message, nothing_of_a_forgery_is_left)
{
    uint8_t copy[sizeof MESSAGE_256];
    static const struct ike_received nothing;
    enum ike_reason reason;

    two_ends();
    responder->expected_request_id = 5;
    memcpy(copy, MESSAGE_256, sizeof copy);
    copy[sizeof copy - 1] ^= 1;
    cr_assert_eq(receive(responder, span_of(copy, sizeof copy), &reason), IKE_RX_DROP);
    cr_assert_eq(reason, IKE_REASON_BAD_ICV);
    cr_assert_eq(memcmp(rx, &nothing, sizeof nothing), 0);
}

Test(message, request_windows)
{
    static const struct {
        uint32_t expected, last; /* last: there is an answer kept */
        enum ike_rx want;
        enum ike_reason reason;
    } table[] = {
        {5, 1, IKE_RX_REQUEST, IKE_REASON_NONE},
        {4, 1, IKE_RX_DROP, IKE_REASON_FUTURE_MESSAGE_ID},
        {0, 0, IKE_RX_DROP, IKE_REASON_FUTURE_MESSAGE_ID},
        {6, 0, IKE_RX_DROP, IKE_REASON_OLD_MESSAGE_ID},
        {6, 1, IKE_RX_DROP, IKE_REASON_REPLAY_DIFFERS}, /* the digest is of other bytes */
        {7, 1, IKE_RX_DROP, IKE_REASON_OLD_MESSAGE_ID},
        {UINT32_MAX, 1, IKE_RX_DROP, IKE_REASON_OLD_MESSAGE_ID},
    };

    two_ends();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum ike_reason reason;

        responder->expected_request_id = table[i].expected;
        responder->last_response.len = table[i].last ? 100 : 0;
        cr_assert_eq(receive(responder, span_of(MESSAGE_256, sizeof MESSAGE_256), &reason),
                     table[i].want, "row %zu", i);
        cr_assert_eq(reason, table[i].reason, "row %zu", i);
    }
}

Test(message, retransmission_is_answered_with_the_same_bytes)
{
    struct ike_policy p = policy();
    struct ike_draft d;
    struct ike_sa before;
    enum ike_reason reason;
    uint8_t other[sizeof MESSAGE_256];
    const struct span request = span_of(MESSAGE_256, sizeof MESSAGE_256);

    two_ends();
    responder->expected_request_id = 5;
    responder->iv_next = 40;
    cr_assert_eq(receive(responder, request, &reason), IKE_RX_REQUEST);
    ike_draft_begin(&d);
    cr_assert(ike_seal_response(&p, responder, request, &rx->header, &d));
    cr_assert(responder->expected_request_id == 6 && responder->iv_next == 41);
    cr_assert_eq(get_be64(responder->last_response.bytes + 32), 40, "the IV");
    before = *responder;
    cr_assert_eq(receive(responder, request, &reason), IKE_RX_RETRANSMIT);
    cr_assert_eq(reason, IKE_REASON_NONE);
    memcpy(other, MESSAGE_256, sizeof other);
    other[sizeof other - 1] ^= 0x80;
    cr_assert_eq(receive(responder, span_of(other, sizeof other), &reason), IKE_RX_DROP);
    cr_assert_eq(reason, IKE_REASON_REPLAY_DIFFERS);
    cr_assert_eq(memcmp(&before, responder, sizeof before), 0);
}

Test(message, responses_match_the_outstanding_request)
{
    struct ike_policy p = policy();
    struct ike_draft d;
    enum ike_reason reason;
    struct span answer;

    two_ends();
    initiator->next_request_id = responder->expected_request_id = 3;
    seal_delete(initiator, IKE_EX_IKE_DELETE);
    cr_assert_eq(receive(responder, message_span(&initiator->pending.request), &reason),
                 IKE_RX_REQUEST);
    ike_draft_begin(&d);
    wire_put_notify_plain(&d.b, WIRE_N_TEMPORARY_FAILURE, span_of(NULL, 0));
    cr_assert(ike_seal_response(&p, responder, message_span(&initiator->pending.request),
                                &rx->header, &d));
    answer = message_span(&responder->last_response);
    cr_assert_eq(receive(initiator, answer, &reason), IKE_RX_RESPONSE);
    cr_assert_not_null(wire_body_notify(&rx->body, WIRE_N_TEMPORARY_FAILURE));
    initiator->pending.exchange = IKE_EX_CHILD_REKEY; /* another exchange type is out */
    cr_assert_eq(receive(initiator, answer, &reason), IKE_RX_DROP);
    cr_assert_eq(reason, IKE_REASON_UNEXPECTED_RESPONSE);
    initiator->pending.exchange = IKE_EX_DPD;
    initiator->pending.message_id = 4; /* another message is out */
    cr_assert_eq(receive(initiator, answer, &reason), IKE_RX_DROP);
    cr_assert_eq(reason, IKE_REASON_UNEXPECTED_RESPONSE);
    ike_pending_clear(initiator);
    cr_assert_eq(receive(initiator, answer, &reason), IKE_RX_DROP);
    cr_assert_eq(reason, IKE_REASON_UNEXPECTED_RESPONSE);
    /* Its own answer, reflected: the initiator flag is wrong for it. */
    cr_assert_eq(receive(responder, answer, &reason), IKE_RX_DROP);
}

Test(message, every_sealed_message_has_its_own_iv)
{
    struct ike_policy p = policy();
    uint64_t last = 0;

    two_ends();
    for (uint32_t i = 0; i < 300; i++) {
        enum ike_reason reason;
        struct ike_draft d;
        uint64_t iv;

        seal_delete(initiator, IKE_EX_DPD);
        iv = get_be64(initiator->pending.request.bytes + 32);
        cr_assert(i == 0 || iv == last + 1);
        last = iv;
        cr_assert_eq(receive(responder, message_span(&initiator->pending.request), &reason),
                     IKE_RX_REQUEST);
        ike_draft_begin(&d);
        cr_assert(ike_seal_response(&p, responder, message_span(&initiator->pending.request),
                                    &rx->header, &d));
        cr_assert_eq(get_be64(responder->last_response.bytes + 32), i);
        ike_pending_clear(initiator);
    }
}

/* RFC 7296 2.2, I6: an ID that wrapped would come a second time, with other bytes. */
Test(message, message_ids_do_not_wrap)
{
    struct ike_policy p = policy();
    struct ike_draft d;
    enum ike_reason reason;
    static struct ike_sa before;

    two_ends();
    initiator->next_request_id = responder->expected_request_id = UINT32_MAX - 1;
    seal_delete(initiator, IKE_EX_DPD);
    cr_assert_eq(receive(responder, message_span(&initiator->pending.request), &reason),
                 IKE_RX_REQUEST);
    ike_draft_begin(&d);
    cr_assert(ike_seal_response(&p, responder, message_span(&initiator->pending.request),
                                &rx->header, &d));
    ike_pending_clear(initiator);
    before = *initiator;
    ike_draft_begin(&d);
    cr_assert_not(ike_seal_request(&p, initiator, IKE_EX_DPD, 1, &d));
    cr_assert_eq(memcmp(&before, initiator, sizeof before), 0);
    rx->header.message_id = responder->expected_request_id;
    before = *responder;
    cr_assert_not(
        ike_seal_response(&p, responder, message_span(&before.last_response), &rx->header, &d));
    cr_assert_eq(memcmp(&before, responder, sizeof before), 0);
}

Test(message, what_does_not_fit_changes_nothing)
{
    struct ike_policy p = policy();
    static uint8_t big[IKE_MAX_MESSAGE_BYTES];
    struct ike_draft d;
    struct ike_sa before;

    two_ends();
    before = *initiator;
    ike_draft_begin(&d);
    wire_put_nonce(&d.b, span_of(big, IKE_MAX_MESSAGE_BYTES - 60)); /* one byte too many outside */
    cr_assert_not(ike_seal_request(&p, initiator, IKE_EX_DPD, 1, &d));
    ike_draft_begin(&d);
    wire_put_nonce(&d.b, span_of(big, sizeof big));
    cr_assert_not(ike_seal_request(&p, initiator, IKE_EX_DPD, 1, &d));
    initiator->iv_next = before.iv_next = UINT64_MAX; /* the last IV is never used, so none twice */
    ike_draft_begin(&d);
    cr_assert_not(ike_seal_request(&p, initiator, IKE_EX_DPD, 1, &d));
    cr_assert_eq(memcmp(&before, initiator, sizeof before), 0);
    initiator->iv_next = 0;
    ike_draft_begin(&d);
    wire_put_nonce(&d.b, span_of(big, IKE_MAX_MESSAGE_BYTES - 28 - 4 - 8 - 16 - 1 - 4));
    cr_assert(ike_seal_request(&p, initiator, IKE_EX_DPD, 1, &d));
    cr_assert_eq(initiator->pending.request.len, IKE_MAX_MESSAGE_BYTES);
}

Test(message, inside_that_does_not_decode_is_told_apart)
{
    struct ike_policy p = policy();
    static const struct {
        const char *bytes;
        size_t len;
        uint8_t first;
        enum wire_result want;
        uint16_t answer;
    } table[] = {
        {"\0\0\0\3", 4, WIRE_PL_NONCE, WIRE_MALFORMED, WIRE_N_INVALID_SYNTAX},
        {"\0\0\0\x10", 4, WIRE_PL_NONCE, WIRE_TRUNCATED, WIRE_N_INVALID_SYNTAX},
        {"\0\x80\0\4", 4, 77, WIRE_CRITICAL, WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD},
        {"\0\0\0\4", 4, 77, WIRE_OK, 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum ike_reason reason;
        struct ike_draft d;

        two_ends();
        ike_draft_begin(&d);
        wire_write_span(&d.b.w, span_of(table[i].bytes, table[i].len));
        d.b.first = table[i].first;
        cr_assert(ike_seal_request(&p, initiator, IKE_EX_DPD, 1, &d));
        cr_assert_eq(receive(responder, message_span(&initiator->pending.request), &reason),
                     IKE_RX_REQUEST);
        cr_assert_eq(rx->body_result, table[i].want);
        if (table[i].answer == 0)
            continue;
        cr_assert(
            ike_answer_bad_body(&p, responder, message_span(&initiator->pending.request), rx));
        cr_assert_eq(receive(initiator, message_span(&responder->last_response), &reason),
                     IKE_RX_RESPONSE);
        cr_assert_not_null(wire_body_notify(&rx->body, table[i].answer));
        if (table[i].want == WIRE_CRITICAL)
            cr_assert(rx->body.notifies[0].data.len == 1 &&
                      rx->body.notifies[0].data.data[0] == 77);
    }
}

Test(message, unprotected_and_strange_exchanges_are_dropped)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum ike_reason reason;
    } table[] = {
        {18, WIRE_EX_IKE_SA_INIT, IKE_REASON_UNEXPECTED_EXCHANGE},
        {18, 38, IKE_REASON_UNEXPECTED_EXCHANGE},
        {18, 0, IKE_REASON_UNEXPECTED_EXCHANGE},
        {16, WIRE_PL_NONCE, IKE_REASON_TRUNCATED},
        {16, WIRE_PL_NONE, IKE_REASON_MALFORMED},
        {17, 0x30, IKE_REASON_WRONG_VERSION},
        {19, 0, IKE_REASON_MALFORMED}, /* the initiator's flag is missing */
        {0, 0xff, IKE_REASON_WRONG_SPI},
        {8, 0xff, IKE_REASON_WRONG_SPI},
        {27, 10, IKE_REASON_MALFORMED},
        {26, 0xff, IKE_REASON_TRUNCATED},
    };

    two_ends();
    responder->expected_request_id = 5;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t copy[sizeof MESSAGE_256];
        enum ike_reason reason;

        memcpy(copy, MESSAGE_256, sizeof copy);
        copy[table[i].at] = table[i].value;
        cr_assert_eq(receive(responder, span_of(copy, sizeof copy), &reason), IKE_RX_DROP);
        cr_assert_eq(reason, table[i].reason, "row %zu: %d", i, (int)reason);
    }
}
