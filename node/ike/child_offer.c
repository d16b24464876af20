/* What a new CHILD SA and a rekeyed one have in common: SA, nonces, KE, selectors, keys. RFC
 * 7296 1.3.1, 2.9, 2.17. */
#include "ike/create_child.h"

#include "ike/connection.h"
#include "ike/entropy.h"
#include "ike/exchange.h"
#include "ike/keys.h"
#include "ike/lifetime.h"
#include "ike/nat.h"
#include "ike/ts.h"

struct ike_selectors ike_selectors_allowed(const struct ike_policy *policy, const struct ike_sa *sa)
{
    struct ike_selectors s = {0};

    ike_ts_allowed(policy, sa, s.local, &s.n_local, s.remote, &s.n_remote);
    return s;
}

struct ike_selectors ike_selectors_of(const struct ike_child *child)
{
    struct ike_selectors s = {.n_local = child->n_local_ts, .n_remote = child->n_remote_ts};

    memcpy(s.local, child->local_ts, sizeof s.local);
    memcpy(s.remote, child->remote_ts, sizeof s.remote);
    return s;
}

uint16_t ike_child_group(const struct ike_turn *t, bool pfs)
{
    return pfs ? ike_proposal_child_ke(t->policy, t->after->ke_id) : 0;
}

bool ike_nonce_lower(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.data, b.data, n);

    return order < 0 || (order == 0 && a.len < b.len);
}

void ike_collision_note(struct ike_pending *pending, struct span peer_nonce, struct span our_nonce)
{
    struct span lowest = ike_nonce_lower(our_nonce, peer_nonce) ? our_nonce : peer_nonce;
    size_t n = lowest.len < sizeof pending->peer_lowest_nonce ? lowest.len
                                                              : sizeof pending->peer_lowest_nonce;

    pending->collided = true;
    pending->peer_lowest_nonce_len = (uint8_t)n;
    memcpy(pending->peer_lowest_nonce, lowest.data, n);
}

bool ike_collision_ours_loses(const struct ike_pending *pending, struct span peer_nonce)
{
    struct span ours = span_of(pending->nonce, IKE_NONCE_BYTES);
    struct span theirs = span_of(pending->peer_lowest_nonce, pending->peer_lowest_nonce_len);

    return ike_nonce_lower(ike_nonce_lower(peer_nonce, ours) ? peer_nonce : ours, theirs);
}

static void put_selectors(struct wire_builder *b, uint8_t type, const struct ike_ts *ts, size_t n)
{
    struct wire_ts_list list;

    ike_ts_to_wire(ts, n, &list);
    wire_put_ts(b, type, &list);
}

enum ike_outcome ike_child_offer(struct ike_turn *t, enum ike_exchange exchange,
                                 const struct ike_child *old, const struct ike_selectors *sel,
                                 uint16_t ke_id)
{
    const struct ike_event *ev = t->event;
    struct ike_pending *p = &t->after->pending;
    const struct suite_ke *ke = suite_find_ke(t->policy->suites, ke_id);
    uint32_t spi = ike_new_esp_spi(t->after, &ev->entropy[IKE_ENTROPY_ESP_SPI]);
    uint8_t spi_bytes[4];
    struct wire_sa offer;
    struct ike_draft d;

    if (!ike_nat_carries_esp(t->policy, t->after))
        return ike_turn_ignore(t, IKE_REASON_NO_UDP_ENCAPSULATION);
    put_be32(spi_bytes, spi);
    ike_proposal_offer_esp(t->policy, span_of(spi_bytes, sizeof spi_bytes), ke_id, &offer);
    if (offer.n_proposals == 0 || (ke_id != 0 && ke == NULL))
        return ike_turn_ignore(t, IKE_REASON_NO_PROPOSAL);
    if (ke != NULL && !ev->ke.done) {
        if (!ike_ke_job_make(t->out, ke, ev, true, NULL, NULL))
            return ike_turn_ignore(t, IKE_REASON_INVALID_KE);
        return IKE_NEED_JOB;
    }
    if (ke != NULL && !ev->ke.ok)
        return ike_turn_ignore(t, IKE_REASON_INVALID_KE);
    ike_draft_begin(&d);
    if (old != NULL)
        wire_put_notify_esp(&d.b, WIRE_N_REKEY_SA, old->spi_in);
    wire_put_sa(&d.b, &offer);
    wire_put_nonce(&d.b, span_of(&ev->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES));
    if (ke != NULL)
        wire_put_ke(&d.b, ke_id, span_of(ev->ke.public_value, ke->public_bytes));
    put_selectors(&d.b, WIRE_PL_TSI, sel->local, sel->n_local);
    put_selectors(&d.b, WIRE_PL_TSR, sel->remote, sel->n_remote);
    if (!ike_turn_request(t, exchange, &d))
        return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
    memcpy(p->nonce, &ev->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES);
    p->child_spi_in = old == NULL ? 0 : old->spi_in;
    p->new_spi_in = spi;
    p->ke_id = ke_id;
    if (ke != NULL)
        p->ke_private = ev->ke.private_key;
    return IKE_STEPPED;
}

/* Fills a new CHILD SA's slot: agreed row, SPIs, keys. in.role says who began. NULL: no
 * slot, or an algorithm failed. */
static struct ike_child *make_child(struct ike_turn *t, const struct ike_choice *choice,
                                    uint32_t spi_in, const struct ike_key_inputs *in)
{
    struct ike_sa *sa = t->after;
    struct ike_child *c = ike_child_free_slot(sa);
    struct span shared = {0};

    if (choice->row.ke_id != 0)
        shared = secret_long_span(&t->event->ke.shared);
    if (c == NULL || !ike_child_take_suite(t->policy, sa, &choice->row, shared, in, c))
        return NULL;
    c->state = IKE_CHILD_INSTALLED;
    c->begun = in->role == IKE_INITIATOR ? IKE_BY_US : IKE_BY_PEER;
    c->spi_in = spi_in;
    c->spi_out = ike_spi32(choice->spi);
    return c;
}

/* The new CHILD SA is complete: what it may carry, and so how long it lives. */
static void set_selectors(struct ike_turn *t, struct ike_child *c, const struct ike_selectors *sel)
{
    struct ike_child_terms terms;

    memcpy(c->local_ts, sel->local, sizeof c->local_ts);
    memcpy(c->remote_ts, sel->remote, sizeof c->remote_ts);
    c->n_local_ts = sel->n_local;
    c->n_remote_ts = sel->n_remote;
    terms = ike_connection_terms(t->policy, t->after, c->local_ts, c->n_local_ts);
    ike_lifetime_start_child(&terms, c,
                             &(struct ike_start){t->event->now_ms,
                                                 &t->event->entropy[IKE_ENTROPY_JITTER_CHILD],
                                                 t->event->crowded});
}

/* The selectors of the answer to the request in hand: its TSi is the peer's side. */
static bool agree_selectors(const struct wire_body *body, const struct ike_selectors *allowed,
                            bool rekey, struct ike_selectors *out)
{
    bool (*agree)(const struct ike_ts *, size_t, const struct wire_ts_list *, struct ike_ts *,
                  uint8_t *) = rekey ? ike_ts_rekey : ike_ts_narrow;

    memset(out, 0, sizeof *out);
    return agree(allowed->remote, allowed->n_remote, &body->tsi, out->remote, &out->n_remote) &&
           agree(allowed->local, allowed->n_local, &body->tsr, out->local, &out->n_local) &&
           ike_ts_match_families(out->local, &out->n_local, out->remote, &out->n_remote);
}

/* What the responder finds wrong with a request, 0 when nothing: the notify to answer with. */
static uint16_t judge_offer(struct ike_turn *t, const struct ike_child *old,
                            const struct ike_selectors *allowed, struct ike_choice *choice,
                            struct ike_selectors *agreed, enum ike_reason *reason)
{
    const struct wire_body *body = &t->rx->body;

    *reason = IKE_REASON_MALFORMED;
    if (!body->has_sa || !body->has_nonce || !body->has_tsi || !body->has_tsr)
        return WIRE_N_INVALID_SYNTAX;
    *reason = IKE_REASON_NO_UDP_ENCAPSULATION;
    if (!ike_nat_carries_esp(t->policy, t->after))
        return WIRE_N_NO_PROPOSAL_CHOSEN;
    if (!ike_proposal_choose_esp(t->policy, &body->sa, IKE_CHILD_KE_OPTIONAL, t->after->ke_id,
                                 choice)) {
        *reason = ike_proposal_refusal(t->policy, WIRE_PROTO_ESP, &body->sa);
        ike_evidence_proposals(&t->out->evidence, t->policy, WIRE_PROTO_ESP, &body->sa);
        return WIRE_N_NO_PROPOSAL_CHOSEN;
    }
    *reason = IKE_REASON_INVALID_KE;
    if (choice->row.ke_id != 0 && (!body->has_ke || body->ke.group != choice->row.ke_id)) {
        ike_evidence_group(&t->out->evidence, body->has_ke ? body->ke.group : 0, choice->row.ke_id);
        return WIRE_N_INVALID_KE_PAYLOAD;
    }
    *reason = IKE_REASON_TS_UNACCEPTABLE;
    if (!agree_selectors(body, allowed, old != NULL, agreed)) {
        ike_evidence_selectors(&t->out->evidence, body, allowed->local, allowed->n_local,
                               allowed->remote, allowed->n_remote);
        return WIRE_N_TS_UNACCEPTABLE;
    }
    switch (ike_child_room(t->after, old != NULL)) {
    case IKE_CHILD_ROOM_NONE:
        *reason = IKE_REASON_TOO_MANY_CHILDREN;
        return WIRE_N_NO_ADDITIONAL_SAS; /* RFC 7296 1.3 */
    case IKE_CHILD_ROOM_LATER: /* RFC 7296 2.25: our own exchange is in the way, for now */
        *reason = IKE_REASON_TEMPORARY_FAILURE;
        return WIRE_N_TEMPORARY_FAILURE;
    case IKE_CHILD_ROOM:
    default:
        *reason = IKE_REASON_NONE;
        return 0;
    }
}

enum ike_outcome ike_child_answer(struct ike_turn *t, enum ike_exchange exchange,
                                  const struct ike_child *old, const struct ike_selectors *sel,
                                  struct ike_child **made)
{
    const struct wire_body *body = &t->rx->body;
    const struct ike_event *ev = t->event;
    struct span nonce = span_of(&ev->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES), none = {0};
    struct ike_choice choice;
    struct ike_selectors agreed;
    enum ike_reason reason;
    uint16_t wrong = judge_offer(t, old, sel, &choice, &agreed, &reason);
    const struct suite_ke *ke;
    struct ike_key_inputs in = {.nonce_r = nonce, .role = IKE_RESPONDER};
    uint8_t bytes[4];
    uint32_t spi;
    struct wire_sa answer;
    struct ike_draft d;

    *made = NULL;
    if (wrong == WIRE_N_INVALID_KE_PAYLOAD) { /* RFC 7296 1.3: the group that we want */
        put_be16(bytes, choice.row.ke_id);
        return ike_turn_refuse(t, exchange, wrong, span_of(bytes, 2), reason);
    }
    if (wrong != 0)
        return ike_turn_refuse(t, exchange, wrong, none, reason);
    ke = suite_find_ke(t->policy->suites, choice.row.ke_id);
    if (ke != NULL && !ev->ke.done && ike_ke_job_make(t->out, ke, ev, true, NULL, &body->ke.value))
        return IKE_NEED_JOB;
    if (ke != NULL &&
        (!ev->ke.done || !ev->ke.ok)) /* a value of a wrong length, or off the curve */
        return ike_turn_refuse(t, exchange, WIRE_N_INVALID_SYNTAX, none, IKE_REASON_INVALID_KE);
    in.nonce_i = body->nonce;
    spi = ike_new_esp_spi(t->after, &ev->entropy[IKE_ENTROPY_ESP_SPI]);
    put_be32(bytes, spi);
    *made = make_child(t, &choice, spi, &in);
    if (*made == NULL)
        return ike_turn_ignore(t, IKE_REASON_NO_PROPOSAL);
    (*made)->unconfirmed = true;
    set_selectors(t, *made, &agreed);
    ike_draft_begin(&d);
    ike_proposal_answer(WIRE_PROTO_ESP, &choice, span_of(bytes, sizeof bytes), &answer);
    wire_put_sa(&d.b, &answer);
    wire_put_nonce(&d.b, nonce);
    if (ke != NULL)
        wire_put_ke(&d.b, choice.row.ke_id, span_of(ev->ke.public_value, ke->public_bytes));
    put_selectors(&d.b, WIRE_PL_TSI, agreed.remote, agreed.n_remote);
    put_selectors(&d.b, WIRE_PL_TSR, agreed.local, agreed.n_local);
    return ike_turn_respond(t, exchange, &d);
}

bool ike_child_broken_ke(const struct ike_turn *t, enum ike_outcome o)
{
    return o == IKE_IGNORED && t->out->reason == IKE_REASON_INVALID_KE;
}

bool ike_child_answer_is_gone(const struct ike_turn *t)
{
    const struct wire_sa *sa = &t->rx->body.sa;

    return t->rx->body_result == WIRE_OK && sa->n_proposals == 1 && sa->proposals[0].spi.len == 4 &&
           ike_child_deleted_early(&t->before->pending, get_be32(sa->proposals[0].spi.data));
}

enum ike_outcome ike_child_accept(struct ike_turn *t, const struct ike_selectors *sel,
                                  struct ike_child **made)
{
    const struct ike_pending *p = &t->before->pending;
    const struct wire_body *body = &t->rx->body;
    struct ike_key_inputs in = {.nonce_i = span_of(p->nonce, IKE_NONCE_BYTES),
                                .nonce_r = body->nonce,
                                .role = IKE_INITIATOR};
    const struct suite_ke *ke = suite_find_ke(t->policy->suites, p->ke_id);
    struct ike_selectors agreed = {0};
    struct ike_choice choice;

    *made = NULL;
    if (t->rx->body_result != WIRE_OK || !body->has_sa || !body->has_nonce || !body->has_tsi ||
        !body->has_tsr || (ke != NULL && (!body->has_ke || body->ke.group != p->ke_id)))
        return ike_turn_ignore(t, IKE_REASON_MALFORMED);
    if (!ike_proposal_accept_esp(t->policy, &body->sa, p->ke_id, &choice))
        return ike_turn_ignore(t, IKE_REASON_NO_PROPOSAL);
    if (!ike_ts_accept(sel->local, sel->n_local, &body->tsi, agreed.local, &agreed.n_local) ||
        !ike_ts_accept(sel->remote, sel->n_remote, &body->tsr, agreed.remote, &agreed.n_remote))
        return ike_turn_ignore(t, IKE_REASON_TS_UNACCEPTABLE);
    if (ke != NULL && !t->event->ke.done &&
        ike_ke_job_make(t->out, ke, t->event, false, &p->ke_private, &body->ke.value))
        return IKE_NEED_JOB;
    if (ke != NULL && (!t->event->ke.done || !t->event->ke.ok))
        return ike_turn_ignore(t, IKE_REASON_INVALID_KE);
    *made = make_child(t, &choice, p->new_spi_in, &in);
    if (*made == NULL)
        return ike_turn_ignore(t, IKE_REASON_TOO_MANY_CHILDREN);
    set_selectors(t, *made, &agreed);
    return IKE_STEPPED;
}
