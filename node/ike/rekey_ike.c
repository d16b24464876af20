/* Rekey of the IKE SA, RFC 7296 1.3.2, 2.8.2, 2.18, 2.25.2.
 *
 *   we began:    old ─request─> ─answer─> deleting ─answer─> ended
 *                    successor born ──────┘ with children and address
 *   they began:  old ─their request, answered─> rekeyed ─their Delete─> ended
 *                    successor born ────────────┘ with children and address
 *
 * Both began: their request is answered, its SA waits as `candidate`; our answer decides by the
 * four nonces. The winner is born with the children in that step, the redundant one childless in
 * the next, and who made it deletes it. Children and virtual address move in the one transition
 * that makes the winner, so they are never in two SAs nor in none.
 */
#include "ike/create_child.h"

#include "ike/entropy.h"
#include "ike/exchange.h"
#include "ike/informational.h"
#include "ike/keys.h"
#include "ike/lifetime.h"
#include "ike/timer.h"

/* The step's KE answer: true when it is there; else *o is what to return (IKE_NEED_JOB, or
 * IKE_IGNORED for a bad value). */
static bool have_ke(struct ike_turn *t, const struct suite_ke *ke, bool generate,
                    const struct secret *private_key, const struct span *peer, enum ike_outcome *o)
{
    *o = IKE_NEED_JOB;
    if (t->event->ke.done && t->event->ke.ok)
        return true;
    if (t->event->ke.done || !ike_ke_job_make(t->out, ke, t->event, generate, private_key, peer))
        *o = ike_turn_ignore(t, IKE_REASON_INVALID_KE);
    return false;
}

static enum ike_outcome begin_with(struct ike_turn *t, uint16_t ke_id)
{
    const struct ike_event *ev = t->event;
    const struct suite_ke *ke = suite_find_ke(t->policy->suites, ke_id);
    struct ike_pending *p = &t->after->pending;
    uint64_t spi = ike_new_ike_spi(&ev->entropy[IKE_ENTROPY_IKE_SPI]);
    uint8_t spi_bytes[8];
    struct wire_sa offer;
    struct ike_draft d;
    enum ike_outcome o;

    if (ke == NULL)
        return ike_turn_ignore(t, IKE_REASON_NO_PROPOSAL);
    if (!have_ke(t, ke, true, NULL, NULL, &o))
        return o;
    put_be64(spi_bytes, spi);
    ike_proposal_offer_ike(t->policy, span_of(spi_bytes, sizeof spi_bytes), &offer);
    ike_draft_begin(&d);
    wire_put_sa(&d.b, &offer);
    wire_put_nonce(&d.b, span_of(&ev->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES));
    wire_put_ke(&d.b, ke_id, span_of(ev->ke.public_value, ke->public_bytes));
    if (!ike_turn_request(t, IKE_EX_IKE_REKEY, &d))
        return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
    memcpy(p->nonce, &ev->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES);
    p->new_ike_spi = spi;
    p->ke_id = ke_id;
    p->ke_private = ev->ke.private_key;
    return ike_turn_stepped(t, IKE_EX_IKE_REKEY, IKE_BY_US);
}

enum ike_outcome ike_rekey_ike_begin(struct ike_turn *t)
{
    uint16_t ke_id = t->after->ke_id;

    if (!ike_proposal_ike_ke_allowed(t->policy, ke_id))
        ke_id = ike_proposal_first_ke(t->policy);
    return begin_with(t, ke_id);
}

/* Everything of the new IKE SA that the exchange decided, into the old one's candidate. spi_i,
 * spi_r: the new SA's. */
static bool fill_candidate(struct ike_turn *t, const struct ike_choice *choice,
                           const struct ike_key_inputs *in)
{
    const struct suite_table *suites = t->policy->suites;
    struct ike_candidate *c = &t->after->candidate;
    const struct suite_prf *old_prf = suite_find_prf(suites, t->before->prf_id);
    const struct suite_prf *prf = suite_find_prf(suites, choice->row.prf_id);
    const struct suite_aead *aead =
        suite_find_aead(suites, choice->row.encr_id, choice->row.encr_bits, choice->row.integ_id);

    memset(c, 0, sizeof *c);
    c->role = in->role;
    c->local_spi = in->role == IKE_INITIATOR ? in->spi_i : in->spi_r;
    c->remote_spi = in->role == IKE_INITIATOR ? in->spi_r : in->spi_i;
    c->encr_id = choice->row.encr_id;
    c->encr_bits = choice->row.encr_bits;
    c->integ_id = choice->row.integ_id;
    c->prf_id = choice->row.prf_id;
    c->ke_id = choice->row.ke_id;
    return old_prf != NULL && prf != NULL && aead != NULL &&
           ike_keys_rekey(old_prf, &t->before->keys.sk_d, prf, aead,
                          secret_long_span(&t->event->ke.shared), in, &c->keys);
}

/* The winner gets what the old SA stands for. */
static void inherit(struct ike_sa *old, struct ike_sa *next)
{
    memcpy(next->children, old->children, sizeof next->children);
    memcpy(next->owed_deletes, old->owed_deletes, sizeof next->owed_deletes);
    next->n_owed_deletes = old->n_owed_deletes;
    ike_child_remove_all(old);
    memcpy(next->virtual_ip, old->virtual_ip, sizeof next->virtual_ip);
    memset(old->virtual_ip, 0, sizeof old->virtual_ip);
    memcpy(next->dns, old->dns, sizeof next->dns);
    next->n_dns = old->n_dns;
    next->wanted = old->wanted & ~(uint32_t)IKE_WANT_REKEY_IKE;
    next->wanted_child_spi_in = old->wanted_child_spi_in;
    old->wanted = 0;
    old->wanted_child_spi_in = 0;
    old->successor_spi = next->local_spi;
}

void ike_rekey_ike_birth(struct ike_turn *t)
{
    struct ike_sa *old = t->after, *next = &t->out->successor;
    const struct ike_candidate *c = &old->candidate;
    enum ike_begun begun = c->role == IKE_INITIATOR ? IKE_BY_US : IKE_BY_PEER;

    memset(next, 0, sizeof *next);
    next->state = IKE_SA_ESTABLISHED;
    next->local_spi = c->local_spi;
    next->remote_spi = c->remote_spi;
    next->role = c->role;
    next->shard = old->shard;
    next->local = old->local;
    next->remote = old->remote;
    next->nat_local = old->nat_local;
    next->nat_remote = old->nat_remote;
    next->encap = old->encap;
    next->encr_id = c->encr_id;
    next->encr_bits = c->encr_bits;
    next->integ_id = c->integ_id;
    next->prf_id = c->prf_id;
    next->ke_id = c->ke_id;
    next->keys = c->keys;
    next->iv_next = 1;
    next->remote_id = old->remote_id;
    next->connection = old->connection;
    next->sync_agreed = old->sync_agreed;
    next->local_part.last_inbound_ms = t->event->now_ms;
    next->local_part.last_outbound_ms = t->event->now_ms;
    ike_lifetime_start_sa(t->policy, next, begun,
                          &(struct ike_start){t->event->now_ms,
                                              &t->event->entropy[IKE_ENTROPY_JITTER_SA],
                                              t->event->crowded_sas});
    if (!c->settled) {
        inherit(old, next);
    } else if (c->role == IKE_INITIATOR) {
        next->wanted = IKE_WANT_DELETE_IKE;
    } else { /* the peer's own redundant SA: only its Delete is left, for a while */
        next->state = IKE_SA_REKEYED;
        next->soft_ms = t->event->now_ms + ike_retransmit_total_ms(t->policy);
    }
    secret_wipe_bytes(&old->candidate, sizeof old->candidate);
    t->out->has_successor = true;
}

/* From soft_ms on our answer is repeated, at retry_ms it ends (timer.c). */
static void await_their_delete(struct ike_turn *t)
{
    uint64_t total_ms = ike_retransmit_total_ms(t->policy);

    t->after->state = IKE_SA_REKEYED;
    t->after->soft_ms = t->event->now_ms + total_ms;
    t->after->retry_ms =
        t->after->soft_ms + (total_ms > IKE_OVERDUE_MS ? total_ms : IKE_OVERDUE_MS);
    t->after->local_part.retransmitted = 0;
}

static void put_answer(struct ike_turn *t, const struct ike_choice *choice, uint64_t spi,
                       const struct suite_ke *ke, struct ike_draft *d)
{
    uint8_t spi_bytes[8];
    struct wire_sa answer;

    put_be64(spi_bytes, spi);
    ike_draft_begin(d);
    ike_proposal_answer(WIRE_PROTO_IKE, choice, span_of(spi_bytes, sizeof spi_bytes), &answer);
    wire_put_sa(&d->b, &answer);
    wire_put_nonce(&d->b, span_of(&t->event->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES));
    wire_put_ke(&d->b, choice->row.ke_id, span_of(t->event->ke.public_value, ke->public_bytes));
}

/* The keys are there: answers and makes the new SA, or keeps it back while our own rekey is out. */
static enum ike_outcome answer(struct ike_turn *t, const struct ike_choice *choice,
                               const struct suite_ke *ke)
{
    struct span ours = span_of(&t->event->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES);
    struct span theirs = t->rx->body.nonce;
    struct ike_key_inputs in = {
        .nonce_i = theirs,
        .nonce_r = ours,
        .spi_i = ike_spi64(choice->spi),
        .spi_r = ike_new_ike_spi(&t->event->entropy[IKE_ENTROPY_IKE_SPI]),
        .role = IKE_RESPONDER,
    };
    struct ike_pending *p = &t->after->pending;
    struct ike_draft d;
    enum ike_outcome o;

    if (!fill_candidate(t, choice, &in))
        return ike_turn_ignore(t, IKE_REASON_NO_PROPOSAL);
    put_answer(t, choice, in.spi_r, ke, &d);
    o = ike_turn_respond(t, IKE_EX_IKE_REKEY, &d);
    if (o != IKE_STEPPED)
        return o;
    if (p->exchange == IKE_EX_IKE_REKEY) {
        p->peer_new_ike_spi = in.spi_r;
        ike_collision_note(p, theirs, ours);
        return o;
    }
    ike_rekey_ike_birth(t);
    await_their_delete(t);
    return o;
}

enum ike_outcome ike_rekey_ike_request(struct ike_turn *t)
{
    const struct wire_body *body = &t->rx->body;
    const struct suite_ke *ke;
    struct ike_choice choice;
    struct span none = {0};
    uint8_t group[2];
    enum ike_outcome o;

    if (!body->has_nonce || !body->has_ke)
        return ike_turn_refuse(t, IKE_EX_IKE_REKEY, WIRE_N_INVALID_SYNTAX, none,
                               IKE_REASON_MALFORMED);
    if (!ike_proposal_choose_ike(t->policy, &body->sa, 8, &choice)) {
        ike_evidence_proposals(&t->out->evidence, t->policy, WIRE_PROTO_IKE, &body->sa);
        return ike_turn_refuse(t, IKE_EX_IKE_REKEY, WIRE_N_NO_PROPOSAL_CHOSEN, none,
                               ike_proposal_refusal(t->policy, WIRE_PROTO_IKE, &body->sa));
    }
    if (body->ke.group != choice.row.ke_id) {
        ike_evidence_group(&t->out->evidence, body->ke.group, choice.row.ke_id);
        put_be16(group, choice.row.ke_id);
        return ike_turn_refuse(t, IKE_EX_IKE_REKEY, WIRE_N_INVALID_KE_PAYLOAD,
                               span_of(group, sizeof group), IKE_REASON_INVALID_KE);
    }
    ke = suite_find_ke(t->policy->suites, choice.row.ke_id);
    if (ike_spi64(choice.spi) == 0 || ke == NULL)
        return ike_turn_refuse(t, IKE_EX_IKE_REKEY, WIRE_N_INVALID_SYNTAX, none,
                               IKE_REASON_MALFORMED);
    if (!have_ke(t, ke, true, NULL, &body->ke.value, &o)) {
        if (o == IKE_NEED_JOB)
            return o;
        return ike_turn_refuse(t, IKE_EX_IKE_REKEY, WIRE_N_INVALID_SYNTAX, none,
                               IKE_REASON_INVALID_KE);
    }
    return answer(t, &choice, ke);
}

/* The peer did not accept ours. If it has a rekey of its own, that one stands; else ours is tried
 * again later. */
static enum ike_outcome refused(struct ike_turn *t, const struct wire_notify *error)
{
    const struct ike_pending *p = &t->before->pending;
    uint16_t group = error->data.len == 2 ? get_be16(error->data.data) : 0;

    ike_turn_answered(t);
    ike_create_child_answered(t, error->type);
    t->out->reason = ike_reason_of_error(error->type);
    if (t->after->candidate.local_spi != 0) {
        ike_rekey_ike_birth(t);
        await_their_delete(t);
        return IKE_STEPPED;
    }
    if (error->type == WIRE_N_INVALID_KE_PAYLOAD && group != p->ke_id && !p->ke_retried &&
        ike_proposal_ike_ke_allowed(t->policy, group)) {
        enum ike_outcome o = begin_with(t, group);

        t->out->reason = IKE_REASON_INVALID_KE;
        if (o != IKE_IGNORED) {
            t->out->completes = false; /* it goes on with another group */
            t->after->pending.ke_retried = true;
            return o;
        }
    }
    t->after->soft_ms = t->event->now_ms;
    t->after->retry_ms =
        t->event->now_ms + ike_lifetime_retry_ms(&t->event->entropy[IKE_ENTROPY_RETRY]);
    return IKE_STEPPED;
}

bool ike_rekey_ike_yield(struct ike_turn *t)
{
    const struct ike_pending *p = &t->before->pending;

    if (p->exchange != IKE_EX_IKE_REKEY || t->after->candidate.local_spi == 0 ||
        !ike_collision_ours_loses(p, span_of(p->nonce, IKE_NONCE_BYTES)))
        return false;
    ike_pending_clear(t->after);
    ike_rekey_ike_birth(t);
    await_their_delete(t);
    return true;
}

/* Our answer is in and good. With a candidate of the peer's making the nonces decide who is the
 * successor. */
static enum ike_outcome settle(struct ike_turn *t, const struct ike_choice *choice,
                               const struct ike_key_inputs *in)
{
    struct ike_candidate theirs = t->after->candidate;
    bool both = theirs.local_spi != 0;
    bool lost = both && ike_collision_ours_loses(&t->before->pending, t->rx->body.nonce);
    struct ike_candidate ours;

    if (!fill_candidate(t, choice, in))
        return ike_turn_ignore(t, IKE_REASON_NO_PROPOSAL);
    ours = t->after->candidate;
    ike_turn_answered(t);
    if (lost)
        t->after->candidate = theirs;
    ike_rekey_ike_birth(t);
    if (both) {
        t->after->candidate = lost ? ours : theirs;
        t->after->candidate.settled = true;
    }
    secret_wipe_bytes(&ours, sizeof ours);
    secret_wipe_bytes(&theirs, sizeof theirs);
    if (lost) {
        await_their_delete(t);
        return IKE_STEPPED;
    }
    return ike_delete_ike_begin(t) ? IKE_STEPPED : IKE_IGNORED;
}

enum ike_outcome ike_rekey_ike_response(struct ike_turn *t)
{
    const struct ike_pending *p = &t->before->pending;
    const struct wire_body *body = &t->rx->body;
    const struct wire_notify *error = wire_body_error(body);
    const struct suite_ke *ke = suite_find_ke(t->policy->suites, p->ke_id);
    struct ike_key_inputs in = {.nonce_i = span_of(p->nonce, IKE_NONCE_BYTES),
                                .nonce_r = body->nonce,
                                .spi_i = p->new_ike_spi,
                                .role = IKE_INITIATOR};
    struct ike_choice choice;
    enum ike_outcome o = IKE_IGNORED;

    if (t->rx->body_result == WIRE_OK && error != NULL)
        return refused(t, error);
    if (t->rx->body_result == WIRE_OK && ke != NULL && body->has_sa && body->has_nonce &&
        body->has_ke && body->ke.group == p->ke_id &&
        ike_proposal_accept_ike(t->policy, &body->sa, 8, p->ke_id, &choice) &&
        ike_spi64(choice.spi) != 0) {
        in.spi_r = ike_spi64(choice.spi);
        if (have_ke(t, ke, false, &p->ke_private, &body->ke.value, &o))
            return settle(t, &choice, &in);
        if (o == IKE_NEED_JOB)
            return o;
    }
    /* The peer has an IKE SA that we cannot make: only the end of the old one tells it so. */
    ike_turn_answered(t);
    t->out->reason = IKE_REASON_MALFORMED;
    secret_wipe_bytes(&t->after->candidate, sizeof t->after->candidate);
    return ike_delete_ike_begin(t) ? IKE_STEPPED : IKE_IGNORED;
}
