/* IKE_AUTH as responder, with a shared key or a certificate, and what both roles share (auth.h).
 *
 *   IDi, [CERT], [CERTREQ], [IDr], AUTH, [CP], SA, TSi, TSr
 *     ├─ AUTH does not hold ──> N(AUTHENTICATION_FAILED), SA ended (the answer is kept)
 *     ├─ CHILD SA refused ────> IDr, AUTH, N(why), [N(IP4_ALLOWED)], [N(IP6_ALLOWED)]; IKE SA established
 *     └─ [addresses] ─────────> IDr, AUTH, [CP, N(IPx_ALLOWED)...], SA, TSi, TSr; both established
 */
#include "ike/auth.h"

#include "ike/cert_auth.h"
#include "ike/config_payload.h"
#include "ike/connection.h"
#include "ike/entropy.h"
#include "ike/init.h"
#include "ike/keys.h"
#include "ike/lifetime.h"
#include "ike/nat.h"
#include "ike/psk.h"
#include "ike/sync.h"
#include "ike/ts.h"

bool ike_auth_install_child(const struct ike_policy *policy, struct ike_sa *sa,
                            const struct ike_event *event, const struct ike_choice *choice,
                            const struct ike_auth_selectors *ts, uint32_t spi_in)
{
    const struct ike_handshake *hs = &sa->handshake;
    const struct ike_key_inputs in = {.nonce_i = span_of(hs->nonce_i, hs->nonce_i_len),
                                      .nonce_r = span_of(hs->nonce_r, hs->nonce_r_len),
                                      .role = sa->role};
    struct ike_child *child = &sa->children[0];
    struct ike_child_terms terms;

    if (!ike_child_take_suite(policy, sa, &choice->row, span_of(NULL, 0), &in, child))
        return false;
    child->state = IKE_CHILD_INSTALLED;
    child->begun = sa->role == IKE_INITIATOR ? IKE_BY_US : IKE_BY_PEER;
    child->spi_in = spi_in;
    child->spi_out = ike_spi32(choice->spi);
    child->outbound = true;
    memcpy(child->local_ts, ts->local, ts->n_local * sizeof ts->local[0]);
    memcpy(child->remote_ts, ts->remote, ts->n_remote * sizeof ts->remote[0]);
    child->n_local_ts = ts->n_local;
    child->n_remote_ts = ts->n_remote;
    ike_connection_choose(policy, sa);
    terms = ike_connection_terms(policy, sa, child->local_ts, child->n_local_ts);
    ike_lifetime_start_child(&terms, child,
                             &(struct ike_start){event->now_ms,
                                                 event->entropy + IKE_ENTROPY_JITTER_CHILD,
                                                 event->crowded});
    return true;
}

void ike_auth_establish(const struct ike_policy *policy, struct ike_sa *sa,
                        const struct ike_event *event)
{
    sa->state = IKE_SA_ESTABLISHED;
    ike_connection_choose(policy, sa);
    ike_lifetime_start_sa(policy, sa, sa->role == IKE_INITIATOR ? IKE_BY_US : IKE_BY_PEER,
                          &(struct ike_start){event->now_ms, event->entropy + IKE_ENTROPY_JITTER_SA,
                                              event->crowded_sas});
    secret_wipe_bytes(&sa->handshake, sizeof sa->handshake);
    sa->local_part.last_inbound_ms = event->now_ms;
    sa->local_part.last_outbound_ms = event->now_ms;
    sa->local_part.retransmitted = 0;
}

void ike_auth_end(const struct ike_policy *policy, struct ike_sa *sa, const struct ike_event *event)
{
    sa->state = IKE_SA_ENDED;
    sa->linger_until_ms = event->now_ms + policy->linger_ms;
    secret_wipe_bytes(&sa->keys, sizeof sa->keys);
    secret_wipe_bytes(&sa->handshake, sizeof sa->handshake);
    secret_wipe_bytes(sa->children, sizeof sa->children);
    ike_pending_clear(sa);
    memset(sa->virtual_ip, 0, sizeof sa->virtual_ip);
}

/* The step is done: the answer goes to where the request came from. */
static enum ike_outcome answered(const struct ike_event *event, enum ike_reason reason,
                                 struct ike_transition *out)
{
    ike_effect_add(out, IKE_SEND_RESPONSE, &event->local, &event->remote, event->natt);
    out->reason = reason;
    out->completes = true;
    return IKE_STEPPED;
}

/* One error Notify, and the SA is over. The answer stays, so that a retransmission gets the same
 * bytes (RFC 7296 2.1). */
static enum ike_outcome refuse(const struct ike_policy *policy, const struct ike_event *event,
                               const struct ike_received *rx, uint16_t type, enum ike_reason reason,
                               struct ike_transition *out)
{
    bool sealed = rx->body_result != WIRE_OK
                      ? ike_answer_bad_body(policy, &out->after, event->datagram, rx)
                      : ike_answer_notify(policy, &out->after, event->datagram, &rx->header, type,
                                          span_of(NULL, 0));

    if (!sealed)
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    if (rx->body_result == WIRE_CRITICAL)
        ike_evidence_payload(&out->evidence, rx->body.unsupported);
    ike_auth_end(policy, &out->after, event);
    return answered(event, reason, out);
}

/* Why a CHILD SA was refused while the IKE SA stands (RFC 7296 1.2, 2.21.2, 3.15.4). */
struct refusal {
    uint16_t type; /* 0 = not refused */
    enum ike_reason reason;
};

struct first_child {
    struct ike_choice choice;
    struct ike_auth_selectors ts;
    bool with_address;      /* it asked for one at least */
    bool wants[ADDR_SLOTS]; /* ... of these families, that there are */
    struct ike_cp_request request;
    struct ike_evidence evidence; /* of its refusal */
};

static struct refusal refused(uint16_t type, enum ike_reason reason)
{
    return (struct refusal){.type = type, .reason = reason};
}

/* What the client asks for: addresses of a family that this gateway has none of are no reason to look
 * at anything else (RFC 8983 5). */
static struct refusal judge_wishes(const struct ike_event *event, const struct wire_body *body,
                                   struct first_child *child)
{
    bool any = false;

    if (!body->has_cp)
        return (struct refusal){0};
    if (!ike_cp_read_request(&body->cp, &child->request))
        return refused(WIRE_N_FAILED_CP_REQUIRED, IKE_REASON_MALFORMED);
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        child->with_address = child->with_address || child->request.wants[slot];
        child->wants[slot] = child->request.wants[slot] && event->has_pool[slot];
        any = any || child->wants[slot];
    }
    ike_evidence_addresses(&child->evidence, child->request.wants, event->has_pool);
    if (child->with_address && !any)
        return refused(WIRE_N_INTERNAL_ADDRESS_FAILURE, IKE_REASON_POOL_EXHAUSTED);
    return (struct refusal){0};
}

/* Could the selectors be those of any address that the client may get? */
static bool may_fit(const struct ike_policy *policy, const struct wire_body *body,
                    const struct ike_sa *sa, const struct first_child *child)
{
    struct ike_ts local[IKE_MAX_TS], remote[IKE_MAX_TS], any[ADDR_SLOTS];
    struct ike_auth_selectors ts;
    uint8_t n_local, n_remote;
    size_t n_any = 0;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (child->wants[slot])
            any[n_any++] = ike_ts_any(addr_family_of(slot));
    ike_ts_allowed(policy, sa, local, &n_local, remote, &n_remote);
    return ike_ts_narrow(local, n_local, &body->tsr, ts.local, &ts.n_local) &&
           ike_ts_narrow(any, n_any, &body->tsi, ts.remote, &ts.n_remote) &&
           ike_ts_match_families(ts.local, &ts.n_local, ts.remote, &ts.n_remote);
}

/* What is allowed on its side: the addresses that it has by now, any of the families that it would have
 * got, or where it comes from. */
static struct refusal refused_selectors(const struct ike_policy *policy,
                                        const struct wire_body *body, const struct ike_sa *sa,
                                        struct first_child *child)
{
    struct ike_ts local[IKE_MAX_TS], remote[IKE_MAX_TS];
    uint8_t n_local, n_remote;
    bool has = addr_is_set(&sa->virtual_ip[SLOT_V4]) || addr_is_set(&sa->virtual_ip[SLOT_V6]);

    ike_ts_allowed(policy, sa, local, &n_local, remote, &n_remote);
    if (child->with_address && !has) {
        n_remote = 0;
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
            if (child->wants[slot])
                remote[n_remote++] = ike_ts_any(addr_family_of(slot));
    }
    ike_evidence_selectors(&child->evidence, body, local, n_local, remote, n_remote);
    return refused(WIRE_N_TS_UNACCEPTABLE, IKE_REASON_TS_UNACCEPTABLE);
}

/* The virtual addresses. One family of two is enough (RFC 7296 3.15.4: the failure is for no address
 * at all). */
static struct refusal take_addresses(const struct ike_event *event, struct ike_sa *sa,
                                     const struct first_child *child)
{
    bool any = false;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        if (child->wants[slot])
            sa->virtual_ip[slot] = event->address.ip[slot];
        any = any || addr_is_set(&sa->virtual_ip[slot]);
    }
    return any ? (struct refusal){0}
               : refused(WIRE_N_INTERNAL_ADDRESS_FAILURE, IKE_REASON_POOL_EXHAUSTED);
}

/* Everything that can be refused is judged before an address is asked for, so that none is taken in
 * vain. *wait: they must be found first. Sets sa->virtual_ip. */
static struct refusal judge_child(const struct ike_policy *policy, const struct ike_event *event,
                                  const struct wire_body *body, struct ike_sa *sa,
                                  struct first_child *child, bool *wait)
{
    struct ike_ts local[IKE_MAX_TS], remote[IKE_MAX_TS];
    uint8_t n_local, n_remote;
    struct refusal r;

    if (!ike_nat_carries_esp(policy, sa))
        return refused(WIRE_N_NO_PROPOSAL_CHOSEN, IKE_REASON_NO_UDP_ENCAPSULATION);
    if (!ike_proposal_choose_esp(policy, &body->sa, IKE_CHILD_KE_NONE, 0, &child->choice)) {
        ike_evidence_proposals(&child->evidence, policy, WIRE_PROTO_ESP, &body->sa);
        return refused(WIRE_N_NO_PROPOSAL_CHOSEN,
                       ike_proposal_refusal(policy, WIRE_PROTO_ESP, &body->sa));
    }
    r = judge_wishes(event, body, child);
    if (r.type != 0)
        return r;
    if (child->with_address && !may_fit(policy, body, sa, child))
        return refused_selectors(policy, body, sa, child);
    *wait = child->with_address && !event->address.done;
    if (*wait)
        return r;
    if (child->with_address)
        r = take_addresses(event, sa, child);
    if (r.type != 0)
        return r;
    ike_ts_allowed(policy, sa, local, &n_local, remote, &n_remote);
    if (!ike_ts_narrow(local, n_local, &body->tsr, child->ts.local, &child->ts.n_local) ||
        !ike_ts_narrow(remote, n_remote, &body->tsi, child->ts.remote, &child->ts.n_remote) ||
        !ike_ts_match_families(child->ts.local, &child->ts.n_local, child->ts.remote,
                               &child->ts.n_remote))
        return refused_selectors(policy, body, sa, child);
    return r;
}

/* RFC 8983 5: an initiator that asked for addresses hears which families this gateway gives out, also
 * when it got none. */
static void put_families(const struct first_child *child, const struct ike_event *event,
                         struct wire_builder *b)
{
    if (!child->with_address)
        return;
    if (event->has_pool[SLOT_V4])
        wire_put_notify_plain(b, WIRE_N_IP4_ALLOWED, span_of(NULL, 0));
    if (event->has_pool[SLOT_V6])
        wire_put_notify_plain(b, WIRE_N_IP6_ALLOWED, span_of(NULL, 0));
}

static void put_child(const struct ike_policy *policy, const struct ike_sa *sa,
                      const struct first_child *child, struct wire_builder *b)
{
    uint8_t spi[4];
    struct wire_sa answer;
    struct wire_ts_list list;

    if (child->with_address)
        ike_cp_put_reply(b, policy, &child->request, sa->virtual_ip);
    put_be32(spi, sa->children[0].spi_in);
    ike_proposal_answer(WIRE_PROTO_ESP, &child->choice, span_of(spi, sizeof spi), &answer);
    wire_put_sa(b, &answer);
    ike_ts_to_wire(child->ts.remote, child->ts.n_remote, &list);
    wire_put_ts(b, WIRE_PL_TSI, &list);
    ike_ts_to_wire(child->ts.local, child->ts.n_local, &list);
    wire_put_ts(b, WIRE_PL_TSR, &list);
}

/* What proves us to this peer: by certificate who came by one; who came by a shared key gets its
 * like, unless the policy has us show a certificate to everyone. */
struct own_proof {
    const struct ike_psk_entry *peer; /* by its shared key; NULL: by `signing` */
    struct ike_signing signing;
    const struct ike_identity *id;
    uint8_t value[SUITE_PRF_MAX_BYTES];
    size_t len;
};

/* IKE_STEPPED: ready. IKE_NEED_JOB: our signature comes first. IKE_IGNORED: nothing that we have is
 * anything that this peer could verify. */
static enum ike_outcome prove(const struct ike_policy *policy, const struct ike_event *event,
                              const struct wire_body *body, const struct ike_psk_entry *peer,
                              struct own_proof *p, struct ike_transition *out)
{
    const struct wire_id *asked = body->has_idr ? &body->idr : NULL;
    const struct ike_sa *sa = &out->after;

    p->peer =
        peer != NULL && ike_certs_spoken(policy) && policy->credentials->for_psk ? NULL : peer;
    p->id = &policy->local_id;
    if (p->peer != NULL)
        return ike_psk_sign(policy, sa, &peer->psk, p->value, &p->len) ? IKE_STEPPED : IKE_IGNORED;
    if (!ike_cert_choose(policy, sa, asked, body, &p->signing))
        return IKE_IGNORED;
    p->id = ike_cert_identity(&p->signing, asked);
    if (event->sign.done)
        return event->sign.ok ? IKE_STEPPED : IKE_IGNORED;
    return ike_cert_sign(policy, sa, &p->signing, p->id, out) ? IKE_NEED_JOB : IKE_IGNORED;
}

static void put_proof(const struct ike_event *event, const struct own_proof *p,
                      struct wire_builder *b)
{
    wire_put_id(b, WIRE_PL_IDR, p->id->type, span_of(p->id->bytes, p->id->len));
    if (p->peer != NULL) {
        wire_put_auth(b, WIRE_AUTH_PSK, span_of(p->value, p->len));
        return;
    }
    ike_cert_put_chain(b, p->signing.own);
    ike_cert_put_auth(b, &p->signing, &event->sign);
}

/* The peer is who it says: answer with our own AUTH, and the first CHILD SA or why there is none.
 */
static enum ike_outcome establish(const struct ike_policy *policy, const struct ike_event *event,
                                  const struct ike_received *rx, const struct own_proof *proof,
                                  struct ike_transition *out)
{
    struct ike_sa *sa = &out->after;
    struct first_child child = {0};
    struct ike_draft d;
    bool wait = false;
    struct refusal r = judge_child(policy, event, &rx->body, sa, &child, &wait);

    /* Only now, authenticated, may it speak of other SAs of its identity (RFC 7296 2.4). */
    ike_sync_agree(sa, &rx->body);
    sa->peer_initial_contact = wire_body_notify(&rx->body, WIRE_N_INITIAL_CONTACT) != NULL;
    if (wait) {
        out->address_for = sa->remote_id;
        memcpy(out->address_wanted, child.wants, sizeof out->address_wanted);
        memcpy(out->address_wish, child.request.wish, sizeof out->address_wish);
        out->address_contact = sa->peer_initial_contact;
        return IKE_NEED_ADDRESS;
    }
    if (r.type != 0) {
        memset(sa->virtual_ip, 0, sizeof sa->virtual_ip);
        out->evidence = child.evidence;
    } else if (!ike_auth_install_child(policy, sa, event, &child.choice, &child.ts,
                                       ike_new_esp_spi(sa, event->entropy + IKE_ENTROPY_ESP_SPI))) {
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    } else {
        ike_evidence_gateway(&out->evidence, rx->body.has_idr ? &rx->body.idr : NULL, proof->id,
                             proof->peer == NULL);
    }
    ike_draft_begin(&d);
    put_proof(event, proof, &d.b);
    if (r.type != 0)
        wire_put_notify_plain(&d.b, r.type, span_of(NULL, 0));
    if (sa->sync_agreed)
        ike_sync_put_supported(&d.b);
    put_families(&child, event, &d.b);
    if (r.type == 0)
        put_child(policy, sa, &child, &d.b);
    if (!ike_seal_response(policy, sa, event->datagram, &rx->header, &d))
        return ike_init_ignore(out, IKE_REASON_OVERSIZED);
    ike_auth_establish(policy, sa, event);
    return answered(event, r.reason, out);
}

static void remember_identity(struct ike_sa *sa, const struct wire_id *id)
{
    if (id->data.len > IKE_MAX_ID_BYTES)
        return;
    memset(&sa->remote_id, 0, sizeof sa->remote_id);
    sa->remote_id.type = id->type;
    sa->remote_id.len = (uint8_t)id->data.len;
    memcpy(sa->remote_id.bytes, id->data.data, id->data.len);
}

/* Is the peer who it says? *peer: by whose shared key, NULL: by certificate. False with *wait: its
 * certificate is to be judged first. */
static bool peer_holds(const struct ike_policy *policy, const struct ike_event *event,
                       const struct wire_body *body, const struct ike_psk_entry **peer,
                       struct ike_transition *out, bool *wait)
{
    *wait = false;
    *peer = NULL;
    if (body->auth.method == WIRE_AUTH_PSK) {
        *peer = ike_psk_find(policy, body->idi.type, body->idi.data);
        return ike_psk_verify(policy, &out->after, *peer, &body->idi, &body->auth);
    }
    if (event->proof.done)
        return event->proof.verdict == SUITE_GOOD;
    *wait = ike_cert_proof(policy, &out->after, event, body, &body->idi, out);
    return false;
}

/* The peer is told nothing of what the evidence says: an identity that is not known gets the same answer
 * as a wrong key (psk.h). */
static enum ike_outcome refuse_credentials(const struct ike_policy *policy,
                                           const struct ike_event *event,
                                           const struct ike_received *rx, bool psk_found,
                                           struct ike_transition *out)
{
    ike_evidence_credentials(&out->evidence, policy, &rx->body, psk_found, &event->proof);
    return refuse(policy, event, rx, WIRE_N_AUTHENTICATION_FAILED, IKE_REASON_AUTH_FAILED, out);
}

enum ike_outcome ike_auth_handle_request(const struct ike_policy *policy,
                                         const struct ike_sa *before, const struct ike_event *event,
                                         const struct ike_received *rx, struct ike_transition *out)
{
    const struct wire_body *body = &rx->body;
    const struct ike_psk_entry *peer = NULL;
    struct own_proof proof = {0};
    struct ike_sa *sa = &out->after;
    enum ike_outcome ready;
    bool wait = false;

    ike_init_transition(out, IKE_EX_AUTH, IKE_BY_PEER);
    if (rx->header.exchange != WIRE_EX_IKE_AUTH || before->role != IKE_RESPONDER)
        return ike_init_ignore(out, IKE_REASON_UNEXPECTED_EXCHANGE);
    *sa = *before;
    ike_nat_adopt(sa, event);
    sa->encap = event->natt && (sa->nat_local || sa->nat_remote || policy->force_encap);
    if (rx->body_result != WIRE_OK)
        return refuse(policy, event, rx, 0, ike_reason_of_wire(rx->body_result), out);
    if (!body->has_idi)
        return refuse(policy, event, rx, WIRE_N_INVALID_SYNTAX, IKE_REASON_MALFORMED, out);
    /* Kept for the log line, also when it turns out to be a lie: such an SA is ended. */
    remember_identity(sa, &body->idi);
    /* Without AUTH it is EAP (RFC 7296 2.16), which is not spoken here. */
    if (!body->has_auth || !peer_holds(policy, event, body, &peer, out, &wait))
        return body->has_auth && wait ? IKE_NEED_JOB
                                      : refuse_credentials(policy, event, rx, peer != NULL, out);
    if (!body->has_sa || !body->has_tsi || !body->has_tsr)
        return refuse(policy, event, rx, WIRE_N_INVALID_SYNTAX, IKE_REASON_MALFORMED, out);
    /* The signature before the address, which would have to be given back for so long. */
    ready = prove(policy, event, body, peer, &proof, out);
    if (ready == IKE_IGNORED)
        return refuse(policy, event, rx, WIRE_N_AUTHENTICATION_FAILED,
                      IKE_REASON_NO_COMMON_SIGNATURE, out);
    return ready == IKE_NEED_JOB ? ready : establish(policy, event, rx, &proof, out);
}
