/* Rekey of a CHILD SA C to N, RFC 7296 1.3.3, 2.8, 2.8.1, 2.25.1.
 *
 *   we began:    C installed ─request─> rekeying ─answer─> deleting ─answer─> gone
 *                                       N sends and receives ─┘
 *   they began:  C installed ─their request, answered─> rekeyed ─their Delete─> gone
 *                                       N receives ─┘ ─ they have it ─> N sends
 *
 * Both began: the SA of the exchange that holds the lowest of the four nonces is redundant. Who
 * began that exchange deletes it; who began the other one deletes C.
 */
#include "ike/create_child.h"

#include "ike/connection.h"
#include "ike/entropy.h"
#include "ike/informational.h"
#include "ike/lifetime.h"
#include "ike/timer.h"

static struct ike_child_terms terms_of(const struct ike_turn *t, const struct ike_child *c)
{
    return ike_connection_terms(t->policy, t->after, c->local_ts, c->n_local_ts);
}

static bool pfs_by_policy(const struct ike_child_terms *terms, const struct ike_child *c)
{
    switch (terms->pfs) {
    case IKE_PFS_ALWAYS:
        return true;
    case IKE_PFS_EVERY:
        return terms->pfs_every != 0 && (c->rekey_count + 1) % terms->pfs_every == 0;
    case IKE_PFS_NEVER:
    default:
        return false;
    }
}

/* Our request for C with this group (0 = without KE). */
static enum ike_outcome begin_with(struct ike_turn *t, struct ike_child *c, uint16_t ke_id)
{
    struct ike_selectors sel = ike_selectors_of(c);
    enum ike_exchange exchange = ke_id == 0 ? IKE_EX_CHILD_REKEY : IKE_EX_CHILD_REKEY_PFS;
    enum ike_outcome o = ike_child_offer(t, exchange, c, &sel, ke_id);

    if (o != IKE_STEPPED)
        return o;
    c->state = IKE_CHILD_REKEYING;
    c->soft_reached = false;
    return ike_turn_stepped(t, exchange, IKE_BY_US);
}

enum ike_outcome ike_rekey_child_begin(struct ike_turn *t, uint32_t spi_in, enum ike_child_pfs pfs)
{
    struct ike_child *c = ike_child_find(t->after, spi_in);
    struct ike_child_terms terms;
    bool with;

    if (c == NULL || c->state != IKE_CHILD_INSTALLED)
        return ike_turn_ignore(t, IKE_REASON_CHILD_NOT_FOUND);
    if (ike_child_room(t->after, true) != IKE_CHILD_ROOM)
        return ike_turn_ignore(t, IKE_REASON_TOO_MANY_CHILDREN);
    terms = terms_of(t, c);
    with = pfs == IKE_CHILD_PFS_ON || (pfs == IKE_CHILD_PFS_POLICY && pfs_by_policy(&terms, c));
    return begin_with(t, c, ike_child_group(t, with));
}

/* The new SA follows the old one, whose Delete the peer owes us. */
static void succeed(struct ike_turn *t, struct ike_child *old, const struct ike_child *next)
{
    struct ike_child_terms terms = terms_of(t, old);

    ike_child_succeed(t->after, old, next,
                      t->event->now_ms + ike_connection_overlap_ms(t->policy, &terms));
}

enum ike_outcome ike_rekey_child_request(struct ike_turn *t, const struct wire_notify *rekey)
{
    /* The SPI is the one that the exchange's initiator receives on: our outbound one (RFC
     * 7296 1.3.3). */
    struct ike_child *old = rekey->protocol == WIRE_PROTO_ESP
                                ? ike_child_find_out(t->after, get_be32(rekey->spi.data))
                                : NULL;
    enum ike_exchange exchange = t->rx->body.has_ke ? IKE_EX_CHILD_REKEY_PFS : IKE_EX_CHILD_REKEY;
    struct ike_pending *p = &t->after->pending;
    struct ike_selectors sel;
    struct ike_child *made;
    enum ike_outcome o;
    struct ike_draft d;

    if (old == NULL) { /* RFC 7296 2.25: with the protocol and SPI that were asked for */
        ike_draft_begin(&d);
        wire_put_notify(&d.b, &(struct wire_notify){.protocol = rekey->protocol,
                                                    .spi = rekey->spi,
                                                    .type = WIRE_N_CHILD_SA_NOT_FOUND});
        t->out->reason = IKE_REASON_CHILD_NOT_FOUND;
        if (rekey->protocol == WIRE_PROTO_ESP) /* the peer drops it now, if it had it */
            ike_child_note_early_delete(p, get_be32(rekey->spi.data));
        return ike_turn_respond(t, exchange, &d);
    }
    if (old->state != IKE_CHILD_INSTALLED && old->state != IKE_CHILD_REKEYING)
        return ike_turn_refuse(t, exchange, WIRE_N_TEMPORARY_FAILURE, (struct span){0},
                               IKE_REASON_TEMPORARY_FAILURE);
    if (old->successor_spi_in != 0) /* our rekey of it is out and the peer's was answered already */
        return ike_turn_refuse(t, exchange, WIRE_N_TEMPORARY_FAILURE, (struct span){0},
                               IKE_REASON_TEMPORARY_FAILURE);
    sel = ike_selectors_of(old);
    o = ike_child_answer(t, exchange, old, &sel, &made);
    if (made == NULL)
        return o;
    made->rekey_count = old->rekey_count + 1;
    if (made->ke_id == 0) /* a KE payload came, but what was agreed has no group */
        t->out->exchange = IKE_EX_CHILD_REKEY;
    if (old->state == IKE_CHILD_INSTALLED) {
        succeed(t, old, made);
        return o;
    }
    old->successor_spi_in = made->spi_in;
    p->peer_new_spi_in = made->spi_in;
    ike_collision_note(p, t->rx->body.nonce,
                       span_of(&t->event->entropy[IKE_ENTROPY_NONCE], IKE_NONCE_BYTES));
    return o;
}

/* The peer refused, or its answer cannot be used: C goes on, or the peer's simultaneous rekey of it
 * stands. */
static void keep_old(struct ike_turn *t, const struct ike_pending *p)
{
    struct ike_child *old = ike_child_find(t->after, p->child_spi_in);
    struct ike_child *theirs = ike_child_find(t->after, p->peer_new_spi_in);

    if (old == NULL || old->state != IKE_CHILD_REKEYING)
        return;
    if (theirs != NULL) {
        succeed(t, old, theirs);
        return;
    }
    old->state = IKE_CHILD_INSTALLED;
    old->soft_reached = true;
    old->retry_ms = t->event->now_ms + ike_lifetime_retry_ms(&t->event->entropy[IKE_ENTROPY_RETRY]);
}

/* Does another CHILD SA stand for the same traffic? */
static bool stands_without(const struct ike_sa *sa, const struct ike_child *gone)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &sa->children[i];

        if (c != gone && c->state != IKE_CHILD_NONE && c->state != IKE_CHILD_DELETING &&
            ike_child_same_selectors(c, gone))
            return true;
    }
    return false;
}

static enum ike_outcome refused(struct ike_turn *t, const struct wire_notify *error)
{
    const struct ike_pending *p = &t->before->pending;
    struct ike_child *old = ike_child_find(t->after, p->child_spi_in);
    uint16_t group = error->data.len == 2 ? get_be16(error->data.data) : 0;

    ike_turn_answered(t);
    ike_create_child_answered(t, error->type);
    t->out->reason = ike_reason_of_error(error->type);
    if (error->type == WIRE_N_INVALID_KE_PAYLOAD && group != p->ke_id && !p->ke_retried &&
        old != NULL && !p->collided &&
        ike_proposal_child_ke_allowed(t->policy, t->after->ke_id, group)) {
        enum ike_outcome o = begin_with(t, old, group);

        t->out->reason = IKE_REASON_INVALID_KE;
        if (o != IKE_IGNORED) {
            t->out->completes = false; /* it goes on with another group */
            t->after->pending.ke_retried = true;
            return o;
        }
    }
    /* RFC 7296 2.25: the SA is removed in silence, a new one made from scratch unless there is one.
     */
    if (error->type == WIRE_N_CHILD_SA_NOT_FOUND && old != NULL && !p->collided) {
        if (!stands_without(t->after, old))
            t->after->wanted |= IKE_WANT_CHILD;
        ike_child_remove(t->after, old);
        return IKE_STEPPED;
    }
    keep_old(t, p);
    return IKE_STEPPED;
}

/* Both rekeyed C: of the two new SAs one is redundant. True: ours is (and is not used at all). The
 * nonces alone decide, whatever has become of the peer's SA since: it may have been rekeyed on. */
static bool ours_is_redundant(struct ike_turn *t, const struct ike_pending *p)
{
    return p->collided && ike_collision_ours_loses(p, t->rx->body.nonce);
}

/* Ours stands: it sends at once, and what it replaces is deleted by us (C) or by the peer (its own
 * redundant SA). */
static bool take_over(struct ike_turn *t, const struct ike_pending *p, struct ike_child *made)
{
    struct ike_child *old = ike_child_find(t->after, p->child_spi_in);
    struct ike_child *theirs = ike_child_find(t->after, p->peer_new_spi_in);

    if (theirs != NULL)
        succeed(t, theirs, made);
    if (old != NULL) {
        made->rekey_count = old->rekey_count + 1;
        ike_child_replace(t->after, old, made);
    }
    ike_child_take_outbound(t->after, made);
    return old == NULL || ike_delete_child_begin(t, old->spi_in);
}

enum ike_outcome ike_rekey_child_response(struct ike_turn *t)
{
    const struct ike_pending *p = &t->before->pending;
    const struct ike_child *old = ike_child_peek(t->before, p->child_spi_in);
    const struct wire_notify *error = wire_body_error(&t->rx->body);
    struct ike_selectors sel =
        old == NULL ? ike_selectors_allowed(t->policy, t->before) : ike_selectors_of(old);
    struct ike_child *made;
    enum ike_outcome o;
    bool built;

    if (t->rx->body_result == WIRE_OK && error != NULL)
        return refused(t, error);
    if (ike_child_answer_is_gone(t)) { /* the peer made it and gave it up already */
        ike_turn_answered(t);
        t->out->reason = IKE_REASON_CHILD_NOT_FOUND;
        keep_old(t, p);
        return IKE_STEPPED;
    }
    if (t->rx->body_result == WIRE_OK && t->rx->body.has_nonce && ours_is_redundant(t, p)) {
        ike_turn_answered(t);
        keep_old(t, p);
        built = ike_delete_child_begin(t, p->new_spi_in);
        return built ? IKE_STEPPED : IKE_IGNORED;
    }
    o = ike_child_accept(t, &sel, &made);
    if (o == IKE_NEED_JOB)
        return o;
    ike_turn_answered(t);
    ike_create_child_answered(t, 0);
    if (o == IKE_STEPPED) {
        built = take_over(t, p, made);
    } else if (ike_child_broken_ke(t, o)) {
        built = ike_delete_ike_begin(t);
    } else { /* the peer has an SA that we cannot use */
        keep_old(t, p);
        built = ike_delete_child_begin(t, p->new_spi_in);
    }
    return built ? IKE_STEPPED : IKE_IGNORED;
}
