#include "ike/create_child.h"

#include "ike/connection.h"
#include "ike/entropy.h"
#include "ike/informational.h"
#include "ike/lifetime.h"

static enum ike_outcome begin_with(struct ike_turn *t, uint16_t ke_id)
{
    struct ike_selectors sel = ike_selectors_allowed(t->policy, t->after);
    enum ike_outcome o = ike_child_offer(t, IKE_EX_CHILD_CREATE, NULL, &sel, ke_id);

    return o == IKE_STEPPED ? ike_turn_stepped(t, IKE_EX_CHILD_CREATE, IKE_BY_US) : o;
}

enum ike_outcome ike_create_child_begin(struct ike_turn *t)
{
    struct ike_selectors sel = ike_selectors_allowed(t->policy, t->after);
    struct ike_child_terms terms =
        ike_connection_terms(t->policy, t->after, sel.local, sel.n_local);

    if (ike_child_room(t->after, false) != IKE_CHILD_ROOM)
        return ike_turn_ignore(t, IKE_REASON_TOO_MANY_CHILDREN);
    return begin_with(t, ike_child_group(t, terms.pfs == IKE_PFS_ALWAYS));
}

/* Is another CHILD SA already sending for these selectors? Then a new one of the peer's making does
 * not take over. */
static bool has_sender(const struct ike_sa *sa, const struct ike_child *like)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &sa->children[i];

        if (c != like && c->state != IKE_CHILD_NONE && c->outbound &&
            ike_child_same_selectors(c, like))
            return true;
    }
    return false;
}

static enum ike_outcome answer_new_child(struct ike_turn *t)
{
    struct ike_selectors sel = ike_selectors_allowed(t->policy, t->after);
    struct ike_child *made;
    enum ike_outcome o = ike_child_answer(t, IKE_EX_CHILD_CREATE, NULL, &sel, &made);

    if (made != NULL && !has_sender(t->after, made))
        ike_child_take_outbound(t->after, made);
    return o;
}

/* What we are doing ourselves decides first, RFC 7296 2.25.1, 2.25.2: nothing is created in an SA
 * that is on its way out, no CHILD SA while we rekey the IKE SA, no new IKE SA while we create,
 * rekey or delete a CHILD SA. */
static bool must_wait(const struct ike_sa *sa, bool rekeys_ike)
{
    if (sa->state != IKE_SA_ESTABLISHED)
        return true;
    switch (sa->pending.exchange) {
    case IKE_EX_IKE_REKEY: /* both rekey the IKE SA: answered as usual, once */
        return !rekeys_ike || sa->candidate.local_spi != 0;
    case IKE_EX_CHILD_CREATE:
    case IKE_EX_CHILD_REKEY:
    case IKE_EX_CHILD_REKEY_PFS:
    case IKE_EX_CHILD_DELETE:
        return rekeys_ike;
    default:
        return false;
    }
}

enum ike_outcome ike_create_child_request(struct ike_turn *t)
{
    const struct wire_body *body = &t->rx->body;
    const struct wire_notify *rekey = wire_body_notify(body, WIRE_N_REKEY_SA);
    bool rekeys_ike = body->has_sa && body->sa.n_proposals > 0 &&
                      body->sa.proposals[0].protocol == WIRE_PROTO_IKE;
    enum ike_exchange exchange = rekeys_ike      ? IKE_EX_IKE_REKEY
                                 : rekey == NULL ? IKE_EX_CHILD_CREATE
                                 : body->has_ke  ? IKE_EX_CHILD_REKEY_PFS
                                                 : IKE_EX_CHILD_REKEY;
    struct span none = {0};

    /* RFC 7296 3.10: the protocol of REKEY_SA is AH or ESP, its SPI 4 octets; it has no place in a
     * rekey of the IKE SA. */
    if (rekey != NULL && (rekeys_ike || rekey->spi.len != 4 ||
                          (rekey->protocol != WIRE_PROTO_ESP && rekey->protocol != WIRE_PROTO_AH)))
        return ike_turn_refuse(t, exchange, WIRE_N_INVALID_SYNTAX, none, IKE_REASON_MALFORMED);
    if (must_wait(t->after, rekeys_ike))
        return ike_turn_refuse(t, exchange, WIRE_N_TEMPORARY_FAILURE, none,
                               IKE_REASON_TEMPORARY_FAILURE);
    if (rekeys_ike)
        return ike_rekey_ike_request(t);
    if (rekey != NULL)
        return ike_rekey_child_request(t, rekey);
    return answer_new_child(t);
}

void ike_create_child_answered(struct ike_turn *t, uint16_t error)
{
    struct ike_sa *sa = t->after;
    uint64_t now_ms = t->event->now_ms;

    if (error != WIRE_N_TEMPORARY_FAILURE) {
        sa->refused_since_ms = sa->refused_last_ms = 0;
        return;
    }
    if (sa->refused_last_ms == 0 || now_ms - sa->refused_last_ms > IKE_REFUSED_GAP_MS)
        sa->refused_since_ms = now_ms;
    sa->refused_last_ms = now_ms;
    if (now_ms - sa->refused_since_ms >= IKE_REFUSED_MS)
        sa->wanted |= IKE_WANT_DELETE_IKE;
}

static enum ike_outcome refused(struct ike_turn *t, const struct wire_notify *error)
{
    const struct ike_pending *p = &t->before->pending;
    uint16_t group = error->data.len == 2 ? get_be16(error->data.data) : 0;

    ike_turn_answered(t);
    ike_create_child_answered(t, error->type);
    t->out->reason = ike_reason_of_error(error->type);
    if (error->type == WIRE_N_INVALID_KE_PAYLOAD && group != p->ke_id && !p->ke_retried &&
        ike_proposal_child_ke_allowed(t->policy, t->after->ke_id, group)) {
        enum ike_outcome o = begin_with(t, group);

        t->out->reason = IKE_REASON_INVALID_KE;
        if (o != IKE_IGNORED) {
            t->out->completes = false; /* it goes on with another group */
            t->after->pending.ke_retried = true;
            return o;
        }
    }
    if (error->type == WIRE_N_TEMPORARY_FAILURE) {
        t->after->wanted |= IKE_WANT_CHILD;
        t->after->retry_ms =
            t->event->now_ms + ike_lifetime_retry_ms(&t->event->entropy[IKE_ENTROPY_RETRY]);
    }
    return IKE_STEPPED;
}

enum ike_outcome ike_create_child_response(struct ike_turn *t)
{
    const struct wire_notify *error = wire_body_error(&t->rx->body);
    struct ike_selectors sel = ike_selectors_allowed(t->policy, t->before);
    uint32_t spi = t->before->pending.new_spi_in;
    struct ike_child *made;
    enum ike_outcome o;

    if (t->rx->body_result == WIRE_OK && error != NULL)
        return refused(t, error);
    if (ike_child_answer_is_gone(t)) { /* the peer made it and gave it up already */
        ike_turn_answered(t);
        t->out->reason = IKE_REASON_CHILD_NOT_FOUND;
        return IKE_STEPPED;
    }
    o = ike_child_accept(t, &sel, &made);
    if (o == IKE_NEED_JOB)
        return o;
    ike_turn_answered(t);
    ike_create_child_answered(t, 0);
    if (ike_child_broken_ke(t, o))
        return ike_delete_ike_begin(t) ? IKE_STEPPED : IKE_IGNORED;
    if (o == IKE_STEPPED)
        ike_child_take_outbound(t->after, made);
    else if (!ike_delete_child_begin(t, spi)) /* the peer has it, we do not want it */
        return IKE_IGNORED;
    return IKE_STEPPED;
}
