/* IKE_AUTH as initiator, with a shared key or a certificate.
 *
 *   IDi, [CERT], [CERTREQ], IDr, AUTH, [CP], SA, TSi, TSr
 *     ├─ error without AUTH ───────────> SA ended
 *     ├─ AUTH or IDr does not hold ────> INFORMATIONAL N(AUTHENTICATION_FAILED), deleting
 *     ├─ CHILD SA refused ─────────────> established without a CHILD SA
 *     ├─ CHILD SA not as we asked ─────> INFORMATIONAL Delete, deleting
 *     └─ holds ────────────────────────> established
 */
#include "ike/auth.h"

#include "ike/cert_auth.h"
#include "ike/config_payload.h"
#include "ike/init.h"
#include "ike/nat.h"
#include "ike/psk.h"
#include "ike/sync.h"
#include "ike/ts.h"

/* What proves us: a shared key with that peer, else a certificate. */
struct proof {
    const struct ike_psk_entry *peer;
    struct ike_signing signing;
    const struct ike_identity *id;
    uint8_t value[SUITE_PRF_MAX_BYTES];
    size_t len;
};

/* The gateway's CERTREQs stand in its IKE_SA_INIT answer. */
static bool choose_by_certreq(const struct ike_policy *policy, const struct ike_sa *sa,
                              struct ike_signing *signing)
{
    const struct ike_message *m = &sa->handshake.init_response;
    struct wire_header h;
    struct wire_body body;

    return wire_header_decode(span_of(m->bytes, m->len), &h) == WIRE_OK &&
           wire_body_decode(h.next_payload,
                            span_of(m->bytes + WIRE_HEADER_BYTES, m->len - WIRE_HEADER_BYTES),
                            &body) == WIRE_OK &&
           ike_cert_choose(policy, sa, NULL, &body, signing);
}

static enum ike_outcome prove(const struct ike_policy *policy, const struct ike_sa *sa,
                              const struct ike_event *event, struct proof *p,
                              struct ike_transition *out)
{
    p->peer =
        ike_psk_find(policy, sa->remote_id.type, span_of(sa->remote_id.bytes, sa->remote_id.len));
    p->id = &policy->local_id;
    if (p->peer != NULL)
        return ike_psk_sign(policy, sa, &p->peer->psk, p->value, &p->len) ? IKE_STEPPED
                                                                          : IKE_IGNORED;
    if (!ike_certs_spoken(policy) || !choose_by_certreq(policy, sa, &p->signing))
        return IKE_IGNORED;
    p->id = &p->signing.own->identity;
    if (event->sign.done)
        return event->sign.ok ? IKE_STEPPED : IKE_IGNORED;
    return ike_cert_sign(policy, sa, &p->signing, p->id, out) ? IKE_NEED_JOB : IKE_IGNORED;
}

/* IDi, [CERT], [CERTREQ], IDr, AUTH: RFC 7296 1.2. */
static void put_proof(const struct ike_policy *policy, const struct ike_sa *sa,
                      const struct ike_event *event, const struct proof *p, struct wire_builder *b)
{
    wire_put_id(b, WIRE_PL_IDI, p->id->type, span_of(p->id->bytes, p->id->len));
    if (p->peer == NULL)
        ike_cert_put_chain(b, p->signing.own);
    ike_cert_put_request(policy, b);
    wire_put_id(b, WIRE_PL_IDR, sa->remote_id.type,
                span_of(sa->remote_id.bytes, sa->remote_id.len));
    if (p->peer == NULL)
        ike_cert_put_auth(b, &p->signing, &event->sign);
    else
        wire_put_auth(b, WIRE_AUTH_PSK, span_of(p->value, p->len));
}

enum ike_outcome ike_auth_write_request(const struct ike_policy *policy, struct ike_sa *sa,
                                        const struct ike_event *event, struct ike_transition *out)
{
    struct proof proof = {0};
    enum ike_outcome ready;
    struct ike_auth_selectors ts;
    struct wire_ts_list list;
    struct wire_sa offer;
    struct ike_draft d;
    uint8_t spi[4];

    ike_ts_allowed(policy, sa, ts.local, &ts.n_local, ts.remote, &ts.n_remote);
    put_be32(spi, sa->handshake.child_spi_in);
    ike_proposal_offer_esp(policy, span_of(spi, sizeof spi), 0, &offer);
    if (ts.n_local == 0 || offer.n_proposals == 0)
        return IKE_IGNORED;
    ready = prove(policy, sa, event, &proof, out);
    if (ready != IKE_STEPPED)
        return ready;
    ike_draft_begin(&d);
    put_proof(policy, sa, event, &proof, &d.b);
    if (policy->initial_contact)
        wire_put_notify_plain(&d.b, WIRE_N_INITIAL_CONTACT, span_of(NULL, 0));
    ike_sync_put_supported(&d.b);
    if (policy->request_address || policy->request_address6)
        ike_cp_put_request(&d.b, policy);
    wire_put_sa(&d.b, &offer);
    ike_ts_to_wire(ts.local, ts.n_local, &list);
    wire_put_ts(&d.b, WIRE_PL_TSI, &list);
    ike_ts_to_wire(ts.remote, ts.n_remote, &list);
    wire_put_ts(&d.b, WIRE_PL_TSR, &list);
    return ike_seal_request(policy, sa, IKE_EX_AUTH, event->now_ms, &d) ? IKE_STEPPED : IKE_IGNORED;
}

static enum ike_outcome finish(enum ike_reason reason, struct ike_transition *out)
{
    out->reason = reason;
    out->completes = true;
    out->peer_step = true;
    return IKE_STEPPED;
}

/* The responder believes in an SA that we do not want: tell it, and wait for its answer (RFC
 * 7296 2.21.2, 1.4.1). */
static enum ike_outcome give_up(const struct ike_policy *policy, const struct ike_event *event,
                                enum ike_reason reason, struct ike_transition *out)
{
    struct ike_sa *sa = &out->after;
    struct ike_draft d;

    ike_draft_begin(&d);
    if (reason == IKE_REASON_AUTH_FAILED)
        wire_put_notify_plain(&d.b, WIRE_N_AUTHENTICATION_FAILED, span_of(NULL, 0));
    else
        wire_put_delete_ike(&d.b);
    secret_wipe_bytes(&sa->handshake, sizeof sa->handshake);
    secret_wipe_bytes(sa->children, sizeof sa->children);
    memset(sa->virtual_ip, 0, sizeof sa->virtual_ip);
    if (!ike_seal_request(policy, sa, IKE_EX_IKE_DELETE, event->now_ms, &d)) {
        ike_auth_end(policy, sa, event);
        return finish(reason, out);
    }
    sa->state = IKE_SA_DELETING;
    sa->local_part.retransmitted = 0;
    sa->local_part.last_inbound_ms = event->now_ms;
    sa->local_part.last_outbound_ms = event->now_ms;
    ike_effect_add(out, IKE_SEND_REQUEST, &sa->local, &sa->remote, ike_nat_marked(&sa->local));
    return finish(reason, out);
}

/* An answer without AUTH: an error that ends the attempt (RFC 7296 2.21.2). */
static enum ike_outcome failed(const struct ike_policy *policy, const struct ike_event *event,
                               const struct ike_received *rx, struct ike_transition *out)
{
    const struct wire_notify *n = wire_body_error(&rx->body);
    enum ike_reason reason = IKE_REASON_AUTH_FAILED;

    if (rx->body_result != WIRE_OK)
        reason = ike_reason_of_wire(rx->body_result);
    else if (n == NULL || n->type == WIRE_N_INVALID_SYNTAX)
        reason = IKE_REASON_MALFORMED;
    else if (n->type == WIRE_N_NO_PROPOSAL_CHOSEN)
        reason = IKE_REASON_NO_PROPOSAL;
    ike_auth_end(policy, &out->after, event);
    return finish(reason, out);
}

/* Whatever wider selectors it answered, we send from the addresses that it gave us. False: it gave
 * none that we asked for, or one that its selectors do not hold. */
static bool take_hosts(const struct ike_policy *policy, struct ike_cp_reply *reply,
                       const struct wire_body *body, struct ike_auth_selectors *agreed)
{
    const bool asked[ADDR_SLOTS] = {policy->request_address, policy->request_address6};
    struct ike_ts hosts[ADDR_SLOTS];
    size_t n = 0;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        if (!asked[slot])
            reply->ip[slot] = (struct ip_addr){0};
        if (addr_is_set(&reply->ip[slot]))
            hosts[n++] = ike_ts_host(&reply->ip[slot]);
    }
    return n > 0 && ike_ts_narrow(hosts, n, &body->tsi, agreed->local, &agreed->n_local);
}

/* Takes over address, selectors and keys of the first CHILD SA. False: not what we asked for. */
static bool take_child(const struct ike_policy *policy, const struct ike_event *event,
                       const struct wire_body *body, struct ike_sa *sa)
{
    struct ike_auth_selectors offered, agreed;
    struct ike_cp_reply reply = {0};
    struct ike_choice choice;

    if (!body->has_sa || !body->has_tsi || !body->has_tsr ||
        !ike_proposal_accept_esp(policy, &body->sa, 0, &choice))
        return false;
    ike_ts_allowed(policy, sa, offered.local, &offered.n_local, offered.remote, &offered.n_remote);
    if (!ike_ts_accept(offered.local, offered.n_local, &body->tsi, agreed.local, &agreed.n_local) ||
        !ike_ts_accept(offered.remote, offered.n_remote, &body->tsr, agreed.remote,
                       &agreed.n_remote))
        return false;
    if ((policy->request_address || policy->request_address6) &&
        (!body->has_cp || !ike_cp_read_reply(&body->cp, &reply) ||
         !take_hosts(policy, &reply, body, &agreed)))
        return false;
    if (!ike_auth_install_child(policy, sa, event, &choice, &agreed, sa->handshake.child_spi_in))
        return false;
    memcpy(sa->virtual_ip, reply.ip, sizeof sa->virtual_ip);
    memcpy(sa->dns, reply.dns, sizeof sa->dns);
    sa->n_dns = reply.n_dns;
    return true;
}

static enum ike_reason reason_of_child_error(uint16_t type)
{
    switch (type) {
    case WIRE_N_NO_PROPOSAL_CHOSEN:
        return IKE_REASON_NO_PROPOSAL;
    case WIRE_N_INTERNAL_ADDRESS_FAILURE:
        return IKE_REASON_POOL_EXHAUSTED;
    default:
        return IKE_REASON_TS_UNACCEPTABLE;
    }
}

/* Is the answer from whom we asked for? A shared key proves its entry, a certificate the name that
 * we named. False with *wait: the certificate is to be judged first. */
static bool gateway_holds(const struct ike_policy *policy, const struct ike_event *event,
                          const struct wire_body *body, struct ike_transition *out, bool *wait)
{
    const struct ike_sa *sa = &out->after;
    const struct ike_psk_entry *peer;

    *wait = false;
    if (!ike_same_identity(&sa->remote_id, body->idr.type, body->idr.data))
        return false;
    if (body->auth.method == WIRE_AUTH_PSK) {
        peer = ike_psk_find(policy, body->idr.type, body->idr.data);
        return ike_psk_verify(policy, sa, peer, &body->idr, &body->auth);
    }
    if (event->proof.done)
        return event->proof.verdict == SUITE_GOOD;
    *wait = ike_cert_proof(policy, sa, event, body, &body->idr, out);
    return false;
}

enum ike_outcome ike_auth_handle_response(const struct ike_policy *policy,
                                          const struct ike_sa *before,
                                          const struct ike_event *event,
                                          const struct ike_received *rx, struct ike_transition *out)
{
    const struct wire_body *body = &rx->body;
    const struct wire_notify *error = wire_body_error(body);
    struct ike_sa *sa = &out->after;
    bool wait;

    ike_init_transition(out, IKE_EX_AUTH, IKE_BY_US);
    if (before->pending.exchange != IKE_EX_AUTH || before->role != IKE_INITIATOR)
        return ike_init_ignore(out, IKE_REASON_UNEXPECTED_EXCHANGE);
    *sa = *before;
    out->peer_error = error == NULL ? 0 : error->type;
    ike_pending_clear(sa);
    if (rx->body_result != WIRE_OK || !body->has_idr || !body->has_auth)
        return failed(policy, event, rx, out);
    if (!gateway_holds(policy, event, body, out, &wait))
        return wait ? IKE_NEED_JOB : give_up(policy, event, IKE_REASON_AUTH_FAILED, out);
    ike_sync_agree(sa, body);
    if (error != NULL) {
        ike_auth_establish(policy, sa, event);
        return finish(reason_of_child_error(error->type), out);
    }
    if (!ike_nat_carries_esp(policy, sa))
        return give_up(policy, event, IKE_REASON_NO_UDP_ENCAPSULATION, out);
    if (!take_child(policy, event, body, sa))
        return give_up(policy, event, IKE_REASON_TS_UNACCEPTABLE, out);
    ike_auth_establish(policy, sa, event);
    return finish(IKE_REASON_NONE, out);
}
