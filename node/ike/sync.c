#include "ike/sync.h"

#include "base/number.h"

enum { NONCE_BYTES = 4, NOTIFY_BYTES = 12 };

/* Message IDs never wrap (RFC 7296 2.2): who names one so high that the SA could not be used any
 * more is not believed. */
static const uint32_t highest_id = UINT32_MAX - (1u << 20);

void ike_sync_put_supported(struct wire_builder *b)
{
    wire_put_notify_plain(b, WIRE_N_IKEV2_MESSAGE_ID_SYNC_SUPPORTED, span_of(NULL, 0));
}

void ike_sync_agree(struct ike_sa *sa, const struct wire_body *body)
{
    sa->sync_agreed = wire_body_notify(body, WIRE_N_IKEV2_MESSAGE_ID_SYNC_SUPPORTED) != NULL;
}

enum ike_outcome ike_sync_request(struct ike_turn *t)
{
    const struct wire_notify *n = wire_body_notify(&t->rx->body, WIRE_N_IKEV2_MESSAGE_ID_SYNC);
    struct ike_sa *sa = t->after;
    const uint8_t *asked = n->data.data; /* 12 bytes: wire_notify_decode() saw to it */
    const uint32_t m1 = get_be32(asked + NONCE_BYTES), p1 = get_be32(asked + NONCE_BYTES + 4);
    uint8_t answer[NOTIFY_BYTES];
    struct ike_draft d;

    /* M1 MUST be above all that was seen of the peer, earlier synchronizations included: else it is
     * dropped in silence. This is what refuses a replay. */
    if (m1 < sa->expected_request_id || m1 < sa->sync_floor || m1 > highest_id || p1 > highest_id)
        return ike_turn_ignore(t, IKE_REASON_OLD_MESSAGE_ID);
    sa->sync_floor = m1 + 1;
    sa->expected_request_id = m1; /* M2 */
    /* P2: above all that we have used */
    sa->next_request_id = (uint32_t)number_larger(sa->next_request_id, p1);
    memcpy(answer, asked, NONCE_BYTES);
    put_be32(answer + NONCE_BYTES, sa->next_request_id);
    put_be32(answer + NONCE_BYTES + 4, sa->expected_request_id);
    ike_draft_begin(&d);
    wire_put_notify_plain(&d.b, WIRE_N_IKEV2_MESSAGE_ID_SYNC, span_of(answer, sizeof answer));
    if (!ike_seal_sync(t->policy, sa, &d))
        return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
    ike_turn_send_response(t);
    /* What we asked is outside the peer's window now: asked again under an ID inside it. Should the
     * old member have done it already, that is the collision of RFC 7296 2.25 with oneself. */
    if (!ike_window_free(sa)) {
        if (!ike_reseal_request(t->policy, sa, t->event->now_ms))
            return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
        sa->local_part.retransmitted = 0;
        ike_turn_send_request(t);
    }
    t->out->completes = true;
    return ike_turn_stepped(t, IKE_EX_INFORMATIONAL, IKE_BY_PEER);
}
