/* IKE_SA_INIT as responder, and what both roles share (init.h).
 *
 *   request ─> cookie? ─> proposal? ─> group? ─> [KE job] ─> half-open SA, answer
 *                │           │           └ INVALID_KE_PAYLOAD
 *                └ COOKIE    └ NO_PROPOSAL_CHOSEN          (unprotected, nothing kept)
 */
#include "ike/init.h"

#include "ike/cert_auth.h"
#include "ike/cookie.h"
#include "ike/entropy.h"
#include "ike/keys.h"

/* RFC 7296 2.23: SHA-1(SPIs | address | port). */
static bool nat_hash(const struct ike_policy *policy, uint64_t spi_i, uint64_t spi_r,
                     const struct endpoint *e, uint8_t out[IKE_NAT_HASH_BYTES])
{
    const struct suite_hash *hash = policy->suites->sha1;
    uint8_t spis[16] = {0}, port[2] = {0};
    const struct span parts[] = {span_of(spis, sizeof spis), span_of(e->ip.bytes, addr_len(&e->ip)),
                                 span_of(port, sizeof port)};

    HF_ASSERT(hash->out_bytes == IKE_NAT_HASH_BYTES);
    put_be64(spis, spi_i);
    put_be64(spis + 8, spi_r);
    put_be16(port, e->port);
    return hash->compute(parts, sizeof parts / sizeof parts[0], out);
}

static bool put_nat_detection(const struct ike_policy *policy, struct wire_builder *b,
                              const struct ike_sa *sa, const struct endpoint *local,
                              const struct endpoint *remote)
{
    uint8_t source[IKE_NAT_HASH_BYTES], destination[IKE_NAT_HASH_BYTES];
    /* Forced encapsulation: a source that nobody sees, so the peer finds a NAT before us. */
    const struct endpoint nowhere = {.ip = {.family = local->ip.family}};

    if (!nat_hash(policy, ike_spi_i(sa), ike_spi_r(sa), policy->force_encap ? &nowhere : local,
                  source) ||
        !nat_hash(policy, ike_spi_i(sa), ike_spi_r(sa), remote, destination))
        return false;
    wire_put_notify_plain(b, WIRE_N_NAT_DETECTION_SOURCE_IP, span_of(source, sizeof source));
    wire_put_notify_plain(b, WIRE_N_NAT_DETECTION_DESTINATION_IP,
                          span_of(destination, sizeof destination));
    return true;
}

bool ike_init_write(const struct ike_policy *policy, const struct ike_sa *sa,
                    const struct ike_init_message *m, struct ike_message *out)
{
    const struct wire_header h = {.spi_i = ike_spi_i(sa),
                                  .spi_r = ike_spi_r(sa),
                                  .major = WIRE_MAJOR_VERSION,
                                  .exchange = WIRE_EX_IKE_SA_INIT,
                                  .flags = sa->role == IKE_INITIATOR ? WIRE_FLAG_INITIATOR
                                                                     : WIRE_FLAG_RESPONSE};
    uint8_t bytes[IKE_MAX_MESSAGE_BYTES];
    struct wire_builder b = wire_builder_message(bytes, sizeof bytes, &h);
    struct span whole;

    if (m->cookie.len > 0) /* first of all payloads (RFC 7296 2.6) */
        wire_put_notify_plain(&b, WIRE_N_COOKIE, m->cookie);
    wire_put_sa(&b, m->sa);
    wire_put_ke(&b, m->ke_id, m->ke_public);
    wire_put_nonce(&b, m->nonce);
    if (m->nat_detection && !put_nat_detection(policy, &b, sa, m->local, m->remote))
        return false;
    if (m->hashes)
        ike_cert_put_hashes(policy, &b);
    if (m->certreq)
        ike_cert_put_request(policy, &b);
    return wire_builder_finish(&b, &whole) && ike_message_keep(out, whole);
}

/* Does any notify of this type carry the hash? *present: there is one at all. */
static bool any_hash(const struct wire_body *body, uint16_t type,
                     const uint8_t hash[IKE_NAT_HASH_BYTES], bool *present)
{
    bool found = false;

    *present = false;
    for (size_t i = 0; i < body->n_notifies; i++) {
        const struct wire_notify *n = &body->notifies[i];

        if (n->type != type)
            continue;
        *present = true;
        found = found || span_equal(n->data, span_of(hash, IKE_NAT_HASH_BYTES));
    }
    return found;
}

bool ike_init_find_nat(const struct ike_policy *policy, struct ike_sa *sa,
                       const struct wire_header *h, const struct wire_body *body,
                       const struct ike_event *event)
{
    uint8_t source[IKE_NAT_HASH_BYTES], destination[IKE_NAT_HASH_BYTES];
    bool has_source, has_destination, source_right, destination_right;

    /* With the SPIs of that message: a request's responder SPI is still zero. */
    if (!nat_hash(policy, h->spi_i, h->spi_r, &event->remote, source) ||
        !nat_hash(policy, h->spi_i, h->spi_r, &event->local, destination))
        return false;
    source_right = any_hash(body, WIRE_N_NAT_DETECTION_SOURCE_IP, source, &has_source);
    destination_right =
        any_hash(body, WIRE_N_NAT_DETECTION_DESTINATION_IP, destination, &has_destination);
    if (!has_source || !has_destination)
        return false;
    sa->nat_remote = !source_right;
    sa->nat_local = !destination_right;
    return true;
}

bool ike_init_keys(const struct ike_policy *policy, struct ike_sa *sa, struct span shared)
{
    const struct suite_aead *aead =
        suite_find_aead(policy->suites, sa->encr_id, sa->encr_bits, sa->integ_id);
    const struct suite_prf *prf = suite_find_prf(policy->suites, sa->prf_id);
    struct ike_handshake *hs = &sa->handshake;
    const struct ike_key_inputs in = {.nonce_i = span_of(hs->nonce_i, hs->nonce_i_len),
                                      .nonce_r = span_of(hs->nonce_r, hs->nonce_r_len),
                                      .spi_i = ike_spi_i(sa),
                                      .spi_r = ike_spi_r(sa),
                                      .role = sa->role};

    if (aead == NULL || prf == NULL || !ike_keys_derive(prf, aead, shared, &in, &sa->keys))
        return false;
    secret_wipe(&hs->ke_private);
    return true;
}

void ike_init_transition(struct ike_transition *out, enum ike_exchange exchange,
                         enum ike_begun begun)
{
    out->reason = IKE_REASON_NONE;
    ike_evidence_none(&out->evidence);
    out->peer_error = 0;
    out->exchange = exchange;
    out->begun = begun;
    out->completes = false;
    out->peer_step = false;
    out->has_successor = false;
    out->n_effects = 0;
    out->plain.len = 0;
}

enum ike_outcome ike_init_ignore(struct ike_transition *out, enum ike_reason reason)
{
    out->reason = reason;
    out->n_effects = 0;
    return IKE_IGNORED;
}

/* An unprotected answer; nothing is kept. */
static enum ike_outcome answer_plain(const struct ike_event *event, const struct wire_header *h,
                                     uint16_t type, struct span data, enum ike_reason reason,
                                     struct ike_transition *out)
{
    memset(&out->after, 0, sizeof out->after);
    ike_plain_notify(&out->plain, h, type, data);
    ike_effect_add(out, IKE_SEND_PLAIN, &event->local, &event->remote, event->natt);
    out->reason = reason;
    out->completes = true;
    return IKE_LOCAL;
}

/* Is this the first message that an initiator may send (RFC 7296 3.1)? */
static enum ike_reason check_request(const struct ike_event *event, const struct wire_header *h)
{
    if (event->datagram.len > IKE_MAX_MESSAGE_BYTES)
        return IKE_REASON_OVERSIZED;
    if (h->exchange != WIRE_EX_IKE_SA_INIT || wire_is_response(h))
        return IKE_REASON_UNEXPECTED_EXCHANGE;
    if ((h->flags & WIRE_FLAG_INITIATOR) == 0 || h->message_id != 0 || h->spi_i == 0 ||
        h->spi_r != 0)
        return IKE_REASON_MALFORMED;
    return IKE_REASON_NONE;
}

/* The half-open SA and its answer. All checks are done; keys come of event->ke. */
static bool make_half_open(const struct ike_policy *policy, const struct ike_event *event,
                           const struct wire_header *h, const struct wire_body *body,
                           const struct ike_choice *choice, struct ike_sa *sa)
{
    struct ike_handshake *hs = &sa->handshake;
    const struct suite_ke *ke = suite_find_ke(policy->suites, choice->row.ke_id);
    struct wire_sa answer;
    struct ike_init_message m = {.sa = &answer,
                                 .ke_id = choice->row.ke_id,
                                 .ke_public = span_of(event->ke.public_value, ke->public_bytes),
                                 .nonce = span_of(hs->nonce_r, IKE_NONCE_BYTES),
                                 .local = &event->local,
                                 .remote = &event->remote};

    memset(sa, 0, sizeof *sa);
    sa->local_spi = ike_new_ike_spi(event->entropy + IKE_ENTROPY_IKE_SPI);
    sa->remote_spi = h->spi_i;
    sa->role = IKE_RESPONDER;
    sa->state = IKE_SA_HALF_OPEN;
    sa->shard = event->shard;
    sa->local = event->local;
    sa->remote = event->remote;
    sa->encr_id = choice->row.encr_id;
    sa->encr_bits = choice->row.encr_bits;
    sa->integ_id = choice->row.integ_id;
    sa->prf_id = choice->row.prf_id;
    sa->ke_id = choice->row.ke_id;
    sa->expected_request_id = 1; /* IKE_AUTH; 0 is answered by init_response */
    sa->created_ms = event->now_ms;
    sa->local_part.last_inbound_ms = event->now_ms;
    sa->local_part.last_outbound_ms = event->now_ms;
    memcpy(hs->nonce_i, body->nonce.data, body->nonce.len);
    hs->nonce_i_len = (uint16_t)body->nonce.len;
    memcpy(hs->nonce_r, event->entropy + IKE_ENTROPY_NONCE, IKE_NONCE_BYTES);
    hs->nonce_r_len = IKE_NONCE_BYTES;
    hs->ke_id = choice->row.ke_id;
    m.nat_detection = ike_init_find_nat(policy, sa, h, body, event);
    /* RFC 7427 4: to who sent its own. RFC 7296 1.2: our CAs go with the answer. */
    m.hashes = wire_body_notify(body, WIRE_N_SIGNATURE_HASH_ALGORITHMS) != NULL;
    m.certreq = true;
    ike_proposal_answer(WIRE_PROTO_IKE, choice, span_of(NULL, 0), &answer);
    return ike_init_keys(policy, sa, secret_long_span(&event->ke.shared)) &&
           ike_message_keep(&hs->init_request, event->datagram) &&
           ike_init_write(policy, sa, &m, &hs->init_response);
}

/* Under load only who receives at its address may cost us a key exchange (RFC 7296 2.6). True: go
 * on. */
static bool passes_cookie(const struct ike_policy *policy, const struct ike_event *event,
                          const struct wire_header *h, const struct wire_body *body,
                          struct ike_transition *out, enum ike_outcome *outcome)
{
    const struct wire_notify *n = wire_body_notify(body, WIRE_N_COOKIE);
    uint8_t cookie[IKE_COOKIE_BYTES];

    if (!event->cookie_required)
        return true;
    if (n != NULL && ike_cookie_holds(policy, event, body->nonce, h->spi_i, n->data))
        return true;
    if (!ike_cookie_make(policy, event, body->nonce, h->spi_i, cookie)) {
        *outcome = ike_init_ignore(out, IKE_REASON_COOKIE_WRONG);
        return false;
    }
    *outcome = answer_plain(event, h, WIRE_N_COOKIE, span_of(cookie, sizeof cookie),
                            n != NULL ? IKE_REASON_COOKIE_WRONG : IKE_REASON_COOKIE_SENT, out);
    return false;
}

/* The payloads are there: choose, agree on the group, have the KE done, make the SA. */
static enum ike_outcome negotiate(const struct ike_policy *policy, const struct ike_event *event,
                                  const struct wire_header *h, const struct wire_body *body,
                                  struct ike_transition *out)
{
    struct ike_choice choice;

    if (!ike_proposal_choose_ike(policy, &body->sa, 0, &choice)) {
        ike_evidence_proposals(&out->evidence, policy, WIRE_PROTO_IKE, &body->sa);
        return answer_plain(event, h, WIRE_N_NO_PROPOSAL_CHOSEN, span_of(NULL, 0),
                            ike_proposal_refusal(policy, WIRE_PROTO_IKE, &body->sa), out);
    }
    if (body->ke.group != choice.row.ke_id) { /* RFC 7296 1.2 */
        uint8_t group[2];

        put_be16(group, choice.row.ke_id);
        ike_evidence_group(&out->evidence, body->ke.group, choice.row.ke_id);
        return answer_plain(event, h, WIRE_N_INVALID_KE_PAYLOAD, span_of(group, sizeof group),
                            IKE_REASON_INVALID_KE, out);
    }
    if (!event->ke.done)
        return ike_ke_job_make(out, suite_find_ke(policy->suites, choice.row.ke_id), event, true,
                               NULL, &body->ke.value)
                   ? IKE_NEED_JOB
                   : ike_init_ignore(out, IKE_REASON_MALFORMED);
    if (!event->ke.ok) /* a public value of zero, or off the curve */
        return ike_init_ignore(out, IKE_REASON_MALFORMED);
    if (!make_half_open(policy, event, h, body, &choice, &out->after))
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    out->plain = out->after.handshake.init_response;
    ike_effect_add(out, IKE_SEND_PLAIN, &event->local, &event->remote, event->natt);
    out->completes = true;
    return IKE_LOCAL;
}

enum ike_outcome ike_init_handle_request(const struct ike_policy *policy,
                                         const struct ike_event *event, struct ike_transition *out)
{
    struct wire_header h;
    struct wire_body body;
    enum wire_result result = wire_header_decode(event->datagram, &h);
    enum ike_outcome outcome;
    enum ike_reason reason;

    ike_init_transition(out, IKE_EX_INIT, IKE_BY_PEER);
    if (result == WIRE_VERSION && h.major > WIRE_MAJOR_VERSION && !wire_is_response(&h))
        return answer_plain(event, &h, WIRE_N_INVALID_MAJOR_VERSION, span_of(NULL, 0),
                            IKE_REASON_WRONG_VERSION, out);
    if (result != WIRE_OK)
        return ike_init_ignore(out, ike_reason_of_wire(result));
    reason = check_request(event, &h);
    if (reason != IKE_REASON_NONE)
        return ike_init_ignore(out, reason);
    result = wire_body_decode(
        h.next_payload,
        span_of(event->datagram.data + WIRE_HEADER_BYTES, event->datagram.len - WIRE_HEADER_BYTES),
        &body);
    if (result == WIRE_CRITICAL) {
        ike_evidence_payload(&out->evidence, body.unsupported);
        return answer_plain(event, &h, WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD,
                            span_of(&body.unsupported, 1), IKE_REASON_UNSUPPORTED_CRITICAL, out);
    }
    if (result != WIRE_OK)
        return ike_init_ignore(out, ike_reason_of_wire(result));
    if (!body.has_sa || !body.has_ke || !body.has_nonce)
        return ike_init_ignore(out, IKE_REASON_MALFORMED);
    if (!passes_cookie(policy, event, &h, &body, out, &outcome))
        return outcome;
    return negotiate(policy, event, &h, &body, out);
}

enum ike_outcome ike_init_handle_repeat(const struct ike_policy *policy,
                                        const struct ike_sa *before, const struct ike_event *event,
                                        struct ike_transition *out)
{
    const struct ike_message *asked = &before->handshake.init_request;

    (void)policy;
    ike_init_transition(out, IKE_EX_INIT, IKE_BY_PEER);
    if (before->role != IKE_RESPONDER || asked->len == 0 ||
        !span_equal(event->datagram, span_of(asked->bytes, asked->len)))
        return ike_init_ignore(out, IKE_REASON_REPLAY_DIFFERS);
    out->after = *before;
    out->plain = before->handshake.init_response;
    ike_effect_add(out, IKE_SEND_PLAIN, &event->local, &event->remote, event->natt);
    return IKE_LOCAL;
}
