/* INFORMATIONAL, RFC 7296 1.4, 1.4.1, 2.25.1, 2.25.2.
 *
 *   Delete(ESP, our SPIs) ─> their side removes the pair and answers Delete(ESP, its SPIs)
 *   Delete(IKE)           ─> everything ends, the answer is empty
 *   nothing               ─> a liveness check, the answer is empty
 *
 * Both delete the same CHILD SA: neither answers with a Delete payload, each removes its own at the
 * answer to its own request.
 */
#include "ike/informational.h"

#include "ike/child.h"
#include "ike/create_child.h"

enum { MAX_DELETED = IKE_MAX_CHILDREN };

/* What a received Delete of CHILD SAs did. */
struct deletion {
    uint32_t spis[MAX_DELETED]; /* ours, for the answer */
    size_t n;
    enum ike_exchange exchange; /* what the step belongs to */
    bool peer_step;
};

static bool deletes_ike(const struct wire_body *body)
{
    for (size_t i = 0; i < body->n_deletes; i++)
        if (body->deletes[i].protocol == WIRE_PROTO_IKE)
            return true;
    return false;
}

/* The Delete that ends a rekey which the peer began is that rekey's last message: it has the
 * rekey's name. */
static void name_deletion(struct ike_sa *sa, const struct ike_child *gone, struct deletion *d)
{
    const struct ike_child *next =
        gone->state == IKE_CHILD_REKEYED ? ike_child_peek(sa, gone->successor_spi_in) : NULL;

    if (next == NULL || next->begun != IKE_BY_PEER)
        return;
    d->exchange = next->ke_id == 0 ? IKE_EX_CHILD_REKEY : IKE_EX_CHILD_REKEY_PFS;
    d->peer_step = true;
}

static void delete_child(struct ike_sa *sa, uint32_t spi_out, struct deletion *d)
{
    struct ike_child *c = ike_child_find_out(sa, spi_out);

    if (c == NULL) { /* RFC 7296 2.25.1: unknown: answered without; perhaps not yet known */
        ike_child_note_early_delete(&sa->pending, spi_out);
        return;
    }
    if (c->state == IKE_CHILD_DELETING) { /* both: ours goes when ours is answered (1.4.1) */
        ike_child_hand_on(sa, c);
        return;
    }
    if (d->n == MAX_DELETED)
        return;
    d->spis[d->n++] = c->spi_in;
    name_deletion(sa, c, d);
    ike_child_remove(sa, c);
}

static enum ike_outcome answer_empty(struct ike_turn *t, enum ike_exchange exchange)
{
    struct ike_draft d;

    ike_draft_begin(&d);
    return ike_turn_respond(t, exchange, &d);
}

/* The peer ends the IKE SA. If it is one that was rekeyed, that is the rekey's last message. */
static enum ike_outcome end_by_peer(struct ike_turn *t, enum ike_reason reason)
{
    bool rekeyed = t->after->state == IKE_SA_REKEYED && t->after->successor_spi != 0;
    bool unsettled = t->after->candidate.local_spi != 0 && !t->after->candidate.settled;
    enum ike_outcome o =
        answer_empty(t, rekeyed || unsettled ? IKE_EX_IKE_REKEY : IKE_EX_IKE_DELETE);

    if (o != IKE_STEPPED)
        return o;
    if (rekeyed || unsettled) {
        t->out->completes = false; /* it did with its answer */
        t->out->peer_step = true;
    }
    /* Unsettled: the peer has not noticed our own rekey: its SA is the successor, and ours is
     * forgotten (RFC 7296 2.8.2). Settled: the redundant SA must still be born, so that it can be
     * deleted. */
    if (t->after->candidate.local_spi != 0)
        ike_rekey_ike_birth(t);
    ike_turn_end_sa(t, reason);
    return o;
}

enum ike_outcome ike_informational_request(struct ike_turn *t)
{
    const struct wire_body *body = &t->rx->body;
    struct deletion gone = {.exchange = IKE_EX_CHILD_DELETE};
    struct ike_draft d;
    enum ike_outcome o;

    /* A peer that cannot authenticate us says so in a request of its own (RFC 7296 2.21.2). */
    if (wire_body_notify(body, WIRE_N_AUTHENTICATION_FAILED) != NULL)
        return end_by_peer(t, IKE_REASON_REFUSED_BY_PEER);
    if (deletes_ike(body))
        return end_by_peer(t, IKE_REASON_DELETED_BY_PEER);
    if (body->n_deletes == 0)
        return answer_empty(t, body->n_notifies == 0 && !body->has_cp ? IKE_EX_DPD
                                                                      : IKE_EX_INFORMATIONAL);
    for (size_t i = 0; i < body->n_deletes; i++)
        for (size_t j = 0;
             body->deletes[i].protocol == WIRE_PROTO_ESP && j < body->deletes[i].n_spis; j++)
            delete_child(t->after, wire_delete_spi(&body->deletes[i], j), &gone);
    ike_draft_begin(&d);
    if (gone.n > 0)
        wire_put_delete_esp(&d.b, gone.spis, gone.n);
    o = ike_turn_respond(t, gone.exchange, &d);
    if (gone.peer_step) {
        t->out->completes = false; /* the rekey completed with its answer */
        t->out->peer_step = true;
    }
    return o;
}

enum ike_outcome ike_informational_response(struct ike_turn *t)
{
    const struct ike_pending *p = &t->before->pending;
    struct ike_child *c = ike_child_find(t->after, p->child_spi_in);

    ike_turn_answered(t);
    if (p->exchange == IKE_EX_IKE_DELETE) {
        if (t->after->candidate.local_spi != 0)
            ike_rekey_ike_birth(t);
        ike_turn_end_sa(t, IKE_REASON_DELETED_BY_US);
        return IKE_STEPPED;
    }
    if (p->exchange == IKE_EX_CHILD_DELETE && c != NULL)
        ike_child_remove(t->after, c);
    return IKE_STEPPED;
}

bool ike_delete_child_begin(struct ike_turn *t, uint32_t spi_in)
{
    struct ike_child *c = ike_child_find(t->after, spi_in);
    struct ike_draft d;

    ike_draft_begin(&d);
    wire_put_delete_esp(&d.b, &spi_in, 1);
    if (!ike_turn_request(t, IKE_EX_CHILD_DELETE, &d))
        return false;
    t->after->pending.child_spi_in = spi_in;
    if (c != NULL)
        c->state = IKE_CHILD_DELETING;
    return true;
}

bool ike_delete_owed_begin(struct ike_turn *t)
{
    struct ike_draft d;

    ike_draft_begin(&d);
    wire_put_delete_esp(&d.b, t->after->owed_deletes, t->after->n_owed_deletes);
    if (!ike_turn_request(t, IKE_EX_CHILD_DELETE, &d))
        return false;
    ike_child_owed_done(t->after);
    return true;
}

bool ike_delete_ike_begin(struct ike_turn *t)
{
    struct ike_draft d;

    ike_draft_begin(&d);
    wire_put_delete_ike(&d.b);
    if (!ike_turn_request(t, IKE_EX_IKE_DELETE, &d))
        return false;
    t->after->state = IKE_SA_DELETING;
    return true;
}

bool ike_dpd_begin(struct ike_turn *t)
{
    struct ike_draft d;

    ike_draft_begin(&d);
    return ike_turn_request(t, IKE_EX_DPD, &d);
}
