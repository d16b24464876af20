/* Which of the design's collisions a run has reached, from how both ends' states move: an end answers the
 * other's request while its own is out, or has its answer when something else happened in between. */
#include <inttypes.h>

#include "sim/sim_watch_internal.h"

static const char *const names[] = {
#define SIM_WATCH_CASE(name, words) #name,
#include "sim/sim_watch_cases.def"
#undef SIM_WATCH_CASE
};

static const char *const texts[] = {
#define SIM_WATCH_CASE(name, words) words,
#include "sim/sim_watch_cases.def"
#undef SIM_WATCH_CASE
};

const char *sim_watch_case_name(enum sim_watch_case which)
{
    HF_ASSERT(which < SIM_WATCH_CASES);
    return names[which];
}

const char *sim_watch_case_words(enum sim_watch_case which)
{
    HF_ASSERT(which < SIM_WATCH_CASES);
    return texts[which];
}

#define REACHED(w, name) ((void)(w)->reached[SIM_WATCH_CASE_##name]++)

static bool rekeys_child(enum ike_exchange e)
{
    return e == IKE_EX_CHILD_REKEY || e == IKE_EX_CHILD_REKEY_PFS;
}

static const struct ike_child *by_in(const struct ike_sa *sa, uint32_t spi_in)
{
    for (size_t i = 0; spi_in != 0 && i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi_in)
            return &sa->children[i];
    return NULL;
}

static const struct ike_child *by_out(const struct ike_sa *sa, uint32_t spi_out)
{
    for (size_t i = 0; spi_out != 0 && i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_out == spi_out)
            return &sa->children[i];
    return NULL;
}

/* Is it the successor of another one that is still there? */
static bool succeeds(const struct ike_sa *sa, const struct ike_child *child)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE &&
            sa->children[i].successor_spi_in == child->spi_in)
            return true;
    return false;
}

const struct sim_watch_sa *sim_watch_other_end(struct sim_watch *w, const struct sim_watch_sa *sa,
                                               uint64_t remote_spi)
{
    const struct sim_watch_sa *other = NULL;

    if (sa->owner_of != 0)
        return sim_watch_sa_of(w, 0, remote_spi);
    for (uint32_t i = 0; i < SIM_WATCH_CLIENTS; i++) {
        other = sim_watch_sa_of(w, i + 1, remote_spi);
        if (other != NULL && other->remote_spi == sa->id)
            return other;
    }
    return NULL;
}

/* Both rekeyed the SA with these two SPIs, and this end goes on with what the client's exchange made,
 * or the gateway's. */
static void decides(struct sim_watch *w, uint64_t local_spi, uint64_t remote_spi, bool gateways)
{
    uint64_t low = local_spi < remote_spi ? local_spi : remote_spi;
    bool made;
    struct sim_watch_entry *e =
        sim_watch_at(w, &w->winners, sim_watch_mix(low, local_spi ^ remote_spi), &made);

    if (e == NULL)
        return;
    if (made)
        e->a = 1 + gateways;
    SIM_WATCH_JUDGE(w, SIM_WATCH_same_winner, e->a == 1u + gateways,
                    "SA %016" PRIx64 "/%016" PRIx64
                    " was rekeyed by both: one end goes on with the "
                    "client's, the other with the gateway's",
                    local_spi, remote_spi);
}

/* --- this end answers a request of the other's --- */

struct meeting {
    struct sim_watch *w;
    bool gateway; /* this end is the gateway's */
    const struct ike_sa *before, *after;
    const struct ike_sa *asking;      /* the other end */
    const struct ike_pending *theirs; /* what is answered: its pending */
    enum ike_exchange own;            /* what this end has outstanding */
    const struct ike_child *child;    /* of this end, that the request is about; NULL = none */
};

static void child_rekey_answered(const struct meeting *m)
{
    bool own_child = m->own == IKE_EX_CHILD_DELETE || rekeys_child(m->own);
    bool same = m->child != NULL && m->before->pending.child_spi_in == m->child->spi_in;

    if (own_child && m->child != NULL && !same)
        REACHED(m->w, two_children);
    if (m->theirs->ke_retried && (m->child == NULL || m->child->state == IKE_CHILD_DELETING ||
                                  m->child->state == IKE_CHILD_REKEYED))
        REACHED(m->w, ke_retry_delayed_child);
    if (m->child == NULL &&
        (m->before->n_owed_deletes > 0 ||
         (m->own == IKE_EX_CHILD_DELETE && m->before->pending.child_spi_in == 0)))
        REACHED(m->w, rekey_finds_nothing);
    if (m->own == IKE_EX_IKE_REKEY) {
        REACHED(m->w, child_against_ike_rekey);
    } else if (m->own == IKE_EX_IKE_DELETE) {
        REACHED(m->w, child_against_ike_delete);
    } else if (m->child == NULL) {
        REACHED(m->w, request_past_all);
    } else if (m->child->state == IKE_CHILD_DELETING && m->child->successor_spi_in == 0) {
        REACHED(m->w, rekey_against_delete);
    } else if (m->child->state == IKE_CHILD_DELETING || m->child->state == IKE_CHILD_REKEYED) {
        REACHED(m->w, request_past_delete);
    } else if (m->child->state == IKE_CHILD_REKEYING && m->after->pending.collided) {
        REACHED(m->w, both_rekey_child);
        if (m->own == IKE_EX_CHILD_REKEY_PFS && m->theirs->exchange == IKE_EX_CHILD_REKEY_PFS)
            REACHED(m->w, both_rekey_child_pfs);
    } else if (m->gateway) {
        REACHED(m->w, client_rekeys_child);
    } else {
        REACHED(m->w, gateway_rekeys_child);
    }
}

static void child_delete_answered(const struct meeting *m)
{
    bool same = m->child != NULL && m->before->pending.child_spi_in == m->child->spi_in;

    if (m->own == IKE_EX_IKE_REKEY)
        REACHED(m->w, child_delete_against_ike_rekey);
    else if (m->own == IKE_EX_IKE_DELETE)
        REACHED(m->w, child_delete_against_ike_delete);
    else if (m->own == IKE_EX_CHILD_DELETE && same)
        REACHED(m->w, both_delete_child);
    else if (rekeys_child(m->own) && same)
        REACHED(m->w, rekey_against_delete);
    else if ((m->own == IKE_EX_CHILD_DELETE || rekeys_child(m->own)) && m->child != NULL)
        REACHED(m->w, two_children);
    if (m->after->pending.n_early_deletes > m->before->pending.n_early_deletes)
        REACHED(m->w, delete_of_unknown);
    if (m->child != NULL && succeeds(m->before, m->child))
        REACHED(m->w, new_one_deleted_early);
}

static void ike_rekey_answered(const struct meeting *m)
{
    if (m->theirs->ke_retried && m->before->state != IKE_SA_ESTABLISHED)
        REACHED(m->w, ke_retry_delayed_ike);
    if (m->own == IKE_EX_IKE_REKEY)
        REACHED(m->w, both_rekey_ike);
    else if (m->own == IKE_EX_IKE_DELETE && m->before->successor_spi == 0)
        REACHED(m->w, ike_delete_against_ike_rekey);
    else if (m->before->successor_spi != 0)
        REACHED(m->w, request_past_ike_rekey);
    else if (rekeys_child(m->own))
        REACHED(m->w, child_against_ike_rekey);
    else if (m->own == IKE_EX_CHILD_CREATE)
        REACHED(m->w, create_against_ike_rekey);
    else if (m->own == IKE_EX_CHILD_DELETE)
        REACHED(m->w, child_delete_against_ike_rekey);
    else if (m->gateway)
        REACHED(m->w, client_rekeys_ike);
    else
        REACHED(m->w, gateway_rekeys_ike);
}

static void ike_delete_answered(const struct meeting *m)
{
    bool met = m->before->candidate.local_spi != 0 && !m->before->candidate.settled;

    if (met) /* it takes the asker's for the successor */
        decides(m->w, m->before->local_spi, m->before->remote_spi, !m->gateway);
    if (m->own == IKE_EX_IKE_DELETE)
        REACHED(m->w, both_delete_ike);
    else if (m->own == IKE_EX_IKE_REKEY && met &&
             m->asking->expected_request_id > m->before->pending.message_id)
        REACHED(m->w, response_behind_ike_delete);
    else if (m->own == IKE_EX_IKE_REKEY && met)
        REACHED(m->w, collision_unseen_ike);
    else if (m->own == IKE_EX_IKE_REKEY)
        REACHED(m->w, ike_delete_against_ike_rekey);
    else if (rekeys_child(m->own))
        REACHED(m->w, child_against_ike_delete);
    else if (m->own == IKE_EX_CHILD_DELETE)
        REACHED(m->w, child_delete_against_ike_delete);
}

static void answered(const struct meeting *m)
{
    switch (m->theirs->exchange) {
    case IKE_EX_CHILD_REKEY:
    case IKE_EX_CHILD_REKEY_PFS:
        child_rekey_answered(m);
        break;
    case IKE_EX_CHILD_CREATE:
        if (m->own == IKE_EX_IKE_REKEY)
            REACHED(m->w, create_against_ike_rekey);
        break;
    case IKE_EX_CHILD_DELETE:
        child_delete_answered(m);
        break;
    case IKE_EX_IKE_REKEY:
        ike_rekey_answered(m);
        break;
    case IKE_EX_IKE_DELETE:
        ike_delete_answered(m);
        break;
    default:
        break;
    }
}

/* --- this end has the answer to its own --- */

static void wins(struct sim_watch *w, bool gateway, bool ike, bool own)
{
    if (ike && own == gateway)
        REACHED(w, gateway_wins_ike);
    else if (ike)
        REACHED(w, client_wins_ike);
    else if (own == gateway)
        REACHED(w, gateway_wins_child);
    else
        REACHED(w, client_wins_child);
}

static void child_rekey_done(struct sim_watch *w, struct sim_watch_sa *sa,
                             const struct ike_sa *before, const struct ike_sa *after,
                             const struct ike_pending *theirs)
{
    const struct ike_pending *p = &before->pending;
    const struct ike_child *old = by_in(after, p->child_spi_in);
    bool gateway = sa->owner_of == 0, old_gone = by_in(before, p->child_spi_in) == NULL;

    if (rekeys_child(after->pending.exchange) && after->pending.ke_retried && !p->ke_retried) {
        REACHED(w, ke_retried_child);
        if (theirs != NULL && rekeys_child(theirs->exchange) && theirs->ke_retried)
            REACHED(w, ke_retried_child_both);
        return;
    }
    if (p->collided && old_gone &&
        (p->n_early_deletes > 0 || by_in(before, p->peer_new_spi_in) == NULL))
        REACHED(w, response_past_both);
    if (old_gone || p->n_early_deletes > 0) {
        if (p->collided)
            REACHED(w, response_past_delete);
        else
            REACHED(w, delete_before_response);
        return;
    }
    if (old == NULL && by_in(after, p->new_spi_in) == NULL)
        REACHED(w, not_found);
    if (old == NULL || !p->collided || old->successor_spi_in == 0)
        return;
    wins(w, gateway, false, old->successor_spi_in == p->new_spi_in);
    decides(w, old->spi_in, old->spi_out, (old->successor_spi_in == p->new_spi_in) == gateway);
    sa->lost_child = old->successor_spi_in == p->new_spi_in ? 0 : old->spi_in;
}

static bool has_children(const struct ike_sa *sa)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE)
            return true;
    return false;
}

static void ike_rekey_done(struct sim_watch *w, bool gateway, const struct ike_sa *before,
                           const struct ike_sa *after, const struct ike_pending *theirs)
{
    const struct ike_pending *p = &before->pending;

    if (after->pending.exchange == IKE_EX_IKE_REKEY && after->pending.ke_retried &&
        !p->ke_retried) {
        REACHED(w, ke_retried_ike);
        if (theirs != NULL && theirs->exchange == IKE_EX_IKE_REKEY && theirs->ke_retried)
            REACHED(w, ke_retried_ike_both);
    } else if (p->collided && after->successor_spi != 0) {
        wins(w, gateway, true, after->successor_spi == p->new_ike_spi);
        decides(w, before->local_spi, before->remote_spi,
                (after->successor_spi == p->new_ike_spi) == gateway);
        if (has_children(before) && !has_children(after))
            REACHED(w, children_to_winner_ike);
    }
}

/* --- what happens by time --- */

static void timed(struct sim_watch *w, const struct sim_watch_sa *sa, const struct ike_sa *before,
                  const struct ike_sa *after)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *was = &before->children[i];
        const struct ike_child *is = by_in(after, was->spi_in);

        if (was->state == IKE_CHILD_REKEYED && is != NULL && is->state == IKE_CHILD_DELETING) {
            REACHED(w, delete_times_out);
            if (was->spi_in == sa->lost_child)
                REACHED(w, loser_sends_delete);
        }
        if ((was->state == IKE_CHILD_REKEYED || was->state == IKE_CHILD_DELETING) && is == NULL &&
            after->state == IKE_SA_ESTABLISHED && after->successor_spi == 0)
            REACHED(w, hard_while_delete_awaited);
    }
}

static bool rekeys(enum ike_exchange e)
{
    return rekeys_child(e) || e == IKE_EX_IKE_REKEY;
}

void sim_watch_case_takeover(struct sim_watch *w, uint32_t shard)
{
    for (size_t i = 0; i < w->n_sa; i++) {
        const struct sim_watch_sa *sa = w->sa[i], *other;

        if (sa->owner_of != 0 || sa->state == NULL || sa->state->shard != shard)
            continue;
        other = sim_watch_other_end(w, sa, sa->remote_spi);
        if (rekeys(sa->state->pending.exchange) ||
            (other != NULL && other->state != NULL && rekeys(other->state->pending.exchange)))
            REACHED(w, takeover_in_rekey);
    }
}

/* A CHILD SA waits for its Delete, ours (its answer) or the peer's, and meanwhile its soft limit comes:
 * it must not be rekeyed again. */
static void soft_limits(struct sim_watch *w, struct sim_watch_sa *sa, const struct ike_sa *before,
                        const struct ike_sa *after)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *was = &before->children[i];
        const struct ike_child *is = by_in(after, was->spi_in);

        if ((was->state == IKE_CHILD_INSTALLED || was->state == IKE_CHILD_REKEYING) && is != NULL &&
            (is->state == IKE_CHILD_REKEYED || is->state == IKE_CHILD_DELETING) &&
            is->successor_spi_in != 0 && was->soft_ms > w->event_ms) {
            sa->awaits = was->spi_in;
            sa->awaits_soft_ms = was->soft_ms;
        }
        if (is == NULL && was->state != IKE_CHILD_NONE && was->spi_in == sa->awaits &&
            after->successor_spi == 0 && w->event_ms >= sa->awaits_soft_ms)
            REACHED(w, soft_while_delete_awaited);
    }
}

void sim_watch_case_step(struct sim_watch *w, struct sim_watch_sa *sa, const struct ike_sa *before,
                         const struct ike_sa *after)
{
    const struct sim_watch_sa *other;
    const struct ike_pending *p, *theirs = NULL;
    bool gateway = sa->owner_of == 0, answers, has_answer;

    if (before == NULL || after == NULL || before->state == IKE_SA_HALF_OPEN)
        return;
    soft_limits(w, sa, before, after);
    p = &before->pending;
    other = sim_watch_other_end(w, sa, before->remote_spi);
    if (other != NULL && other->state != NULL)
        theirs = &other->state->pending;
    answers = after->expected_request_id != before->expected_request_id;
    has_answer = p->exchange != IKE_EX_NONE && (after->pending.exchange == IKE_EX_NONE ||
                                                after->pending.message_id != p->message_id);
    if (answers && theirs != NULL && theirs->exchange != IKE_EX_NONE &&
        theirs->message_id == before->expected_request_id) {
        struct meeting m = {.w = w,
                            .gateway = gateway,
                            .before = before,
                            .after = after,
                            .asking = other->state,
                            .theirs = theirs,
                            .own = p->exchange,
                            .child = by_out(before, theirs->child_spi_in)};

        answered(&m);
    } else if (has_answer && rekeys_child(p->exchange)) {
        child_rekey_done(w, sa, before, after, theirs);
    } else if (has_answer && p->exchange == IKE_EX_IKE_REKEY) {
        ike_rekey_done(w, gateway, before, after, theirs);
    } else if (!answers && !has_answer) {
        timed(w, sa, before, after);
    }
}
