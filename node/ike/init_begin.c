/* IKE_SA_INIT as initiator.
 *
 *   begin ─[KE job]─> request
 *     ├─ COOKIE ──────────────> the same request with the cookie first
 *     ├─ INVALID_KE_PAYLOAD ──> [KE job] the same with the group that was named
 *     └─ answer ──────────────> [KE job] keys, IKE_AUTH request
 */
#include "ike/init.h"

#include "ike/auth.h"
#include "ike/entropy.h"
#include "ike/nat.h"
#include "ike/psk.h"

enum { MAX_TRIES = 4 }; /* requests of one SA: first, cookie, other group, cookie again */

/* Writes (again) the request from what the handshake holds; ke_public is not kept in it. */
static bool write_request(const struct ike_policy *policy, const struct ike_event *event,
                          struct span ke_public, struct ike_sa *sa)
{
    struct ike_handshake *hs = &sa->handshake;
    struct wire_sa offer;
    const struct ike_init_message m = {.sa = &offer,
                                       .ke_id = hs->ke_id,
                                       .ke_public = ke_public,
                                       .nonce = span_of(hs->nonce_i, hs->nonce_i_len),
                                       .cookie = span_of(hs->cookie, hs->cookie_len),
                                       .nat_detection = true,
                                       .hashes = true,
                                       .local = &sa->local,
                                       .remote = &sa->remote};
    struct ike_message request;

    ike_proposal_offer_ike(policy, span_of(NULL, 0), &offer);
    if (!ike_init_write(policy, sa, &m, &request))
        return false;
    hs->init_request = request;
    hs->init_tries++;
    sa->pending.exchange = IKE_EX_INIT;
    sa->pending.message_id = 0;
    sa->pending.sent_ms = sa->pending.asked_ms = event->now_ms;
    sa->pending.request = request;
    sa->local_part.retransmitted = 0;
    sa->local_part.last_outbound_ms = event->now_ms;
    return true;
}

static enum ike_outcome send_request(struct ike_transition *out)
{
    const struct ike_sa *sa = &out->after;

    ike_effect_add(out, IKE_SEND_REQUEST, &sa->local, &sa->remote, ike_nat_marked(&sa->local));
    return IKE_LOCAL;
}

enum ike_outcome ike_init_begin(const struct ike_policy *policy, const struct ike_event *event,
                                struct ike_transition *out)
{
    const struct suite_ke *ke = suite_find_ke(policy->suites, ike_proposal_first_ke(policy));
    const struct ike_psk_entry *peer = ike_psk_expect(policy, &event->remote.ip);
    struct ike_sa *sa = &out->after;

    ike_init_transition(out, IKE_EX_INIT, IKE_BY_US);
    if (ke == NULL)
        return ike_init_ignore(out, IKE_REASON_NO_PROPOSAL);
    if (peer == NULL && policy->expect.type == 0)
        return ike_init_ignore(out, IKE_REASON_AUTH_FAILED);
    if (!event->ke.done)
        return ike_ke_job_make(out, ke, event, true, NULL, NULL)
                   ? IKE_NEED_JOB
                   : ike_init_ignore(out, IKE_REASON_NOTHING_TO_DO);
    if (!event->ke.ok)
        return ike_init_ignore(out, IKE_REASON_NOTHING_TO_DO);
    memset(sa, 0, sizeof *sa);
    sa->local_spi = ike_new_ike_spi(event->entropy + IKE_ENTROPY_IKE_SPI);
    sa->role = IKE_INITIATOR;
    sa->state = IKE_SA_HALF_OPEN;
    sa->shard = event->shard;
    sa->local = event->local;
    sa->remote = event->remote;
    sa->next_request_id = 1; /* 0 is IKE_SA_INIT, however often it is asked */
    sa->remote_id = policy->expect.type != 0 ? policy->expect : peer->remote;
    sa->created_ms = event->now_ms;
    sa->local_part.last_inbound_ms = event->now_ms;
    sa->handshake.ke_id = ke->transform_id;
    sa->handshake.ke_private = event->ke.private_key;
    sa->handshake.child_spi_in = ike_new_esp_spi(NULL, event->entropy + IKE_ENTROPY_ESP_SPI);
    memcpy(sa->handshake.nonce_i, event->entropy + IKE_ENTROPY_NONCE, IKE_NONCE_BYTES);
    sa->handshake.nonce_i_len = IKE_NONCE_BYTES;
    if (!write_request(policy, event, span_of(event->ke.public_value, ke->public_bytes), sa))
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    return send_request(out);
}

/* Our own public value stands in the request that we sent. */
static bool own_public(const struct ike_sa *sa, struct span *ke_public)
{
    const struct ike_message *m = &sa->handshake.init_request;
    struct wire_header h;
    struct wire_body body;

    if (wire_header_decode(span_of(m->bytes, m->len), &h) != WIRE_OK ||
        wire_body_decode(h.next_payload,
                         span_of(m->bytes + WIRE_HEADER_BYTES, m->len - WIRE_HEADER_BYTES),
                         &body) != WIRE_OK ||
        !body.has_ke)
        return false;
    *ke_public = body.ke.value;
    return true;
}

/* RFC 7296 2.6: the same request again with the cookie in front. */
static enum ike_outcome with_cookie(const struct ike_policy *policy, const struct ike_sa *before,
                                    const struct ike_event *event, struct span cookie,
                                    struct ike_transition *out)
{
    struct ike_sa *sa = &out->after;
    struct span ke_public;

    if (before->handshake.init_tries >= MAX_TRIES || !own_public(before, &ke_public))
        return ike_init_ignore(out, IKE_REASON_COOKIE_WRONG);
    *sa = *before;
    HF_ASSERT(cookie.len <= IKE_MAX_COOKIE_BYTES); /* wire_notify_decode() saw to it */
    memcpy(sa->handshake.cookie, cookie.data, cookie.len);
    sa->handshake.cookie_len = (uint8_t)cookie.len;
    if (!write_request(policy, event, ke_public, sa))
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    return send_request(out);
}

/* RFC 7296 1.2, 2.6.1: another group, if the policy has it; the cookie and the nonce stay. */
static enum ike_outcome with_group(const struct ike_policy *policy, const struct ike_sa *before,
                                   const struct ike_event *event, struct span data,
                                   struct ike_transition *out)
{
    struct ike_sa *sa = &out->after;
    const struct suite_ke *ke;
    uint16_t group;

    if (data.len != 2 || before->handshake.init_tries >= MAX_TRIES)
        return ike_init_ignore(out, IKE_REASON_INVALID_KE);
    group = get_be16(data.data);
    ke = suite_find_ke(policy->suites, group);
    if (ke == NULL || group == before->handshake.ke_id ||
        !ike_proposal_ike_ke_allowed(policy, group))
        return ike_init_ignore(out, IKE_REASON_INVALID_KE);
    if (!event->ke.done)
        return ike_ke_job_make(out, ke, event, true, NULL, NULL)
                   ? IKE_NEED_JOB
                   : ike_init_ignore(out, IKE_REASON_INVALID_KE);
    if (!event->ke.ok)
        return ike_init_ignore(out, IKE_REASON_INVALID_KE);
    *sa = *before;
    sa->handshake.ke_id = group;
    sa->handshake.ke_private = event->ke.private_key;
    if (!write_request(policy, event, span_of(event->ke.public_value, ke->public_bytes), sa))
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    return send_request(out);
}

/* What the answer agreed on goes into the SA; then keys, path and the IKE_AUTH request. */
static enum ike_outcome accept(const struct ike_policy *policy, const struct ike_sa *before,
                               const struct ike_event *event, const struct wire_header *h,
                               const struct wire_body *body, const struct ike_choice *choice,
                               struct ike_transition *out)
{
    struct ike_sa *sa = &out->after;
    struct ike_handshake *hs = &sa->handshake;
    enum ike_outcome asked;
    bool natt;

    *sa = *before;
    sa->remote_spi = h->spi_r;
    sa->encr_id = choice->row.encr_id;
    sa->encr_bits = choice->row.encr_bits;
    sa->integ_id = choice->row.integ_id;
    sa->prf_id = choice->row.prf_id;
    sa->ke_id = choice->row.ke_id;
    memcpy(hs->nonce_r, body->nonce.data, body->nonce.len);
    hs->nonce_r_len = (uint16_t)body->nonce.len;
    natt = ike_init_find_nat(policy, sa, h, body, event);
    if (!ike_init_keys(policy, sa, secret_long_span(&event->ke.shared)) ||
        !ike_message_keep(&hs->init_response, event->datagram))
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    ike_pending_clear(sa);
    if (natt && (sa->nat_local || sa->nat_remote || policy->force_encap))
        ike_nat_float(sa);
    sa->local_part.last_inbound_ms = event->now_ms;
    sa->local_part.last_outbound_ms = event->now_ms;
    sa->local_part.retransmitted = 0;
    asked = ike_auth_write_request(policy, sa, event, out);
    if (asked != IKE_STEPPED)
        return asked == IKE_NEED_JOB ? asked : ike_init_ignore(out, IKE_REASON_OVERSIZED);
    ike_effect_add(out, IKE_SEND_REQUEST, &sa->local, &sa->remote, ike_nat_marked(&sa->local));
    out->exchange = IKE_EX_AUTH;
    return IKE_STEPPED;
}

static enum ike_reason check_response(const struct ike_sa *before, const struct wire_header *h,
                                      struct span datagram)
{
    if (datagram.len > IKE_MAX_MESSAGE_BYTES)
        return IKE_REASON_OVERSIZED;
    if (h->exchange != WIRE_EX_IKE_SA_INIT)
        return IKE_REASON_UNEXPECTED_EXCHANGE;
    if (!wire_is_response(h) || (h->flags & WIRE_FLAG_INITIATOR) != 0 || h->message_id != 0)
        return IKE_REASON_UNEXPECTED_RESPONSE;
    return h->spi_i == before->local_spi ? IKE_REASON_NONE : IKE_REASON_WRONG_SPI;
}

enum ike_outcome ike_init_handle_response(const struct ike_policy *policy,
                                          const struct ike_sa *before,
                                          const struct ike_event *event, struct ike_transition *out)
{
    struct wire_header h;
    struct wire_body body;
    enum wire_result result = wire_header_decode(event->datagram, &h);
    const struct wire_notify *n;
    struct ike_choice choice;
    enum ike_reason reason;

    ike_init_transition(out, IKE_EX_INIT, IKE_BY_US);
    if (result != WIRE_OK)
        return ike_init_ignore(out, ike_reason_of_wire(result));
    reason = check_response(before, &h, event->datagram);
    if (reason != IKE_REASON_NONE)
        return ike_init_ignore(out, reason);
    result = wire_body_decode(
        h.next_payload,
        span_of(event->datagram.data + WIRE_HEADER_BYTES, event->datagram.len - WIRE_HEADER_BYTES),
        &body);
    if (result != WIRE_OK)
        return ike_init_ignore(out, ike_reason_of_wire(result));
    n = wire_body_notify(&body, WIRE_N_COOKIE);
    if (n != NULL)
        return with_cookie(policy, before, event, n->data, out);
    n = wire_body_notify(&body, WIRE_N_INVALID_KE_PAYLOAD);
    if (n != NULL)
        return with_group(policy, before, event, n->data, out);
    /* Other errors are nobody's word yet (RFC 7296 2.21.1): the request is sent again until it is
     * answered or given up. */
    if (wire_body_error(&body) != NULL)
        return ike_init_ignore(out, IKE_REASON_NO_PROPOSAL);
    if (!body.has_sa || !body.has_ke || !body.has_nonce || h.spi_r == 0)
        return ike_init_ignore(out, IKE_REASON_MALFORMED);
    if (!ike_proposal_accept_ike(policy, &body.sa, 0, before->handshake.ke_id, &choice))
        return ike_init_ignore(out, IKE_REASON_NO_PROPOSAL);
    if (body.ke.group != choice.row.ke_id)
        return ike_init_ignore(out, IKE_REASON_INVALID_KE);
    if (!event->ke.done)
        return ike_ke_job_make(out, suite_find_ke(policy->suites, choice.row.ke_id), event, false,
                               &before->handshake.ke_private, &body.ke.value)
                   ? IKE_NEED_JOB
                   : ike_init_ignore(out, IKE_REASON_MALFORMED);
    if (!event->ke.ok)
        return ike_init_ignore(out, IKE_REASON_MALFORMED);
    return accept(policy, before, event, &h, &body, &choice, out);
}
