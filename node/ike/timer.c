#include "ike/timer.h"

#include "ike/child.h"
#include "ike/connection.h"
#include "ike/create_child.h"
#include "ike/informational.h"
#include "ike/nat.h"

enum { MAX_INTERVAL_MS = 1 << 30, ALIGN_SHARE = 10, REPEAT_MS = 5000 };

/* ---- the schedule of retransmissions ---- */

uint64_t ike_retransmit_ms(const struct ike_policy *policy, uint64_t sent_ms, uint32_t n)
{
    uint64_t interval = policy->retransmit_first_ms, at = sent_ms;
    uint64_t cap = policy->retransmit_cap_ms != 0 ? policy->retransmit_cap_ms : MAX_INTERVAL_MS;

    for (uint32_t i = 0; i < n; i++) {
        at += interval;
        interval = interval * policy->retransmit_factor_milli / 1000;
        if (interval > cap)
            interval = cap;
    }
    return at;
}

uint64_t ike_retransmit_total_ms(const struct ike_policy *policy)
{
    return ike_retransmit_ms(policy, 0, policy->retransmit_tries + 1);
}

/* ---- what is due ---- */

static void consider(struct ike_due *best, uint64_t now_ms, uint64_t at_ms, enum ike_due_kind kind,
                     uint32_t spi_in)
{
    uint64_t at = at_ms < now_ms ? now_ms : at_ms;

    if (at_ms != UINT64_MAX && at < best->at_ms)
        *best = (struct ike_due){.kind = kind, .at_ms = at, .spi_in = spi_in};
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void consider_pending(const struct ike_policy *policy, const struct ike_sa *sa,
                             uint64_t now_ms, struct ike_due *best)
{
    uint32_t n = sa->local_part.retransmitted + 1;

    if (ike_window_free(sa))
        return;
    if (n > policy->retransmit_tries)
        consider(best, now_ms,
                 ike_retransmit_ms(policy, sa->pending.sent_ms, policy->retransmit_tries + 1),
                 IKE_DUE_GIVE_UP, 0);
    else
        consider(best, now_ms, ike_retransmit_ms(policy, sa->pending.sent_ms, n),
                 IKE_DUE_RETRANSMIT, 0);
}

/* Does some CHILD SA still wait for the peer's Delete? The peer may have that exchange open and
 * would refuse an IKE rekey. */
static bool rekeys_half_done(const struct ike_sa *sa)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state == IKE_CHILD_REKEYED)
            return true;
    return false;
}

/* The peer may not have our answer yet: a request about that SA would find nothing there, and the
 * SA would stand at one end only. At the latest when its own retransmissions must have ended, it
 * has. */
static uint64_t confirmed_ms(const struct ike_policy *policy, const struct ike_child *c)
{
    return c->unconfirmed ? c->created_ms + ike_retransmit_total_ms(policy) : 0;
}

static void consider_children(const struct ike_policy *policy, const struct ike_sa *sa,
                              uint64_t now_ms, struct ike_due *best)
{

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &sa->children[i];
        bool wanted =
            (sa->wanted & IKE_WANT_CHILD_REKEYS) != 0 && c->spi_in == sa->wanted_child_spi_in;

        if (c->state == IKE_CHILD_INSTALLED)
            consider(best, now_ms,
                     later(confirmed_ms(policy, c), wanted ? 0
                                                    : c->soft_reached
                                                        ? c->retry_ms
                                                        : later(c->soft_ms, c->retry_ms)),
                     IKE_DUE_REKEY_CHILD, c->spi_in);
        else if (c->state == IKE_CHILD_REKEYED) /* the peer owes us a Delete and does not send it */
            consider(best, now_ms, c->soft_ms, IKE_DUE_DELETE_CHILD, c->spi_in);
    }
}

/* Exchanges that we would begin; only with a free window. */
static void consider_exchanges(const struct ike_policy *policy, const struct ike_sa *sa,
                               uint64_t now_ms, struct ike_due *best)
{
    if (!ike_window_free(sa))
        return;
    if (sa->state == IKE_SA_REKEYED && sa->successor_spi != 0) {
        uint64_t repeat_ms = sa->soft_ms + (uint64_t)sa->local_part.retransmitted * REPEAT_MS;

        consider(best, now_ms, repeat_ms < sa->retry_ms ? repeat_ms : sa->retry_ms,
                 IKE_DUE_DELETE_IKE, 0);
        return;
    }
    if (sa->state == IKE_SA_REKEYED) {
        consider(best, now_ms, sa->soft_ms, IKE_DUE_DELETE_IKE, 0);
        return;
    }
    if (sa->state != IKE_SA_ESTABLISHED)
        return;
    if ((sa->wanted & IKE_WANT_DELETE_IKE) != 0)
        consider(best, now_ms, 0, IKE_DUE_DELETE_IKE, 0);
    if (sa->n_owed_deletes > 0)
        consider(best, now_ms, 0, IKE_DUE_DELETE_OWED, 0);
    if ((sa->wanted & IKE_WANT_DELETE_CHILD) != 0) {
        const struct ike_child *c = ike_child_peek(sa, sa->wanted_child_spi_in);

        consider(best, now_ms, c == NULL ? 0 : confirmed_ms(policy, c), IKE_DUE_DELETE_CHILD,
                 sa->wanted_child_spi_in);
    }
    consider_children(policy, sa, now_ms, best);
    if (!rekeys_half_done(sa))
        consider(best, now_ms,
                 (sa->wanted & IKE_WANT_REKEY_IKE) != 0 ? 0 : later(sa->soft_ms, sa->retry_ms),
                 IKE_DUE_REKEY_IKE, 0);
    if ((sa->wanted & IKE_WANT_CHILD) != 0)
        consider(best, now_ms, sa->retry_ms, IKE_DUE_CREATE_CHILD, 0);
    if ((sa->wanted & IKE_WANT_DPD) != 0)
        consider(best, now_ms, 0, IKE_DUE_DPD, 0);
    if (policy->dpd_ms != 0)
        consider(best, now_ms, sa->local_part.last_inbound_ms + policy->dpd_ms, IKE_DUE_DPD, 0);
}

struct ike_due ike_timer_due(const struct ike_policy *policy, const struct ike_sa *sa,
                             uint64_t now_ms)
{
    struct ike_due best = {.kind = IKE_DUE_NOTHING, .at_ms = UINT64_MAX};

    switch (sa->state) {
    case IKE_SA_NONE:
        return best;
    case IKE_SA_HALF_OPEN:
        if (ike_window_free(sa))
            consider(&best, now_ms, sa->created_ms + policy->half_open_ms, IKE_DUE_HALF_OPEN, 0);
        consider_pending(policy, sa, now_ms, &best);
        return best;
    case IKE_SA_ENDED:
        consider(&best, now_ms, sa->linger_until_ms, IKE_DUE_REMOVE, 0);
        return best;
    default:
        break;
    }
    consider(&best, now_ms, sa->hard_ms, IKE_DUE_SA_HARD, 0);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE)
            consider(&best, now_ms, sa->children[i].hard_ms, IKE_DUE_CHILD_HARD,
                     sa->children[i].spi_in);
    if (sa->candidate.local_spi != 0 && sa->candidate.settled)
        consider(&best, now_ms, 0, IKE_DUE_BIRTH, 0);
    consider_pending(policy, sa, now_ms, &best);
    consider_exchanges(policy, sa, now_ms, &best);
    consider(&best, now_ms, ike_nat_keepalive_ms(policy, sa), IKE_DUE_KEEPALIVE, 0);
    return best;
}

uint64_t ike_next_wake_ms(const struct ike_policy *policy, const struct ike_sa *sa)
{
    return ike_timer_due(policy, sa, 0).at_ms;
}

/* ---- doing it ---- */

/* How many retransmissions should have left by now. */
static uint32_t tries_due(const struct ike_policy *policy, const struct ike_sa *sa, uint64_t now_ms)
{
    uint32_t n = 0;

    while (n < policy->retransmit_tries &&
           ike_retransmit_ms(policy, sa->pending.sent_ms, n + 1) <= now_ms)
        n++;
    return n;
}

/* The schedule starts over with the same bytes: for a peer that lives, or when it was us who were
 * away. */
static enum ike_outcome start_over(struct ike_turn *t)
{
    t->after->pending.sent_ms = t->event->now_ms;
    t->after->local_part.retransmitted = 0;
    ike_turn_send_request(t);
    return IKE_STEPPED;
}

/* Once, however many are overdue: a node that was away does not make up for it with a burst. */
static enum ike_outcome retransmit(struct ike_turn *t)
{
    struct ike_sa *sa = t->after;

    t->out->exchange = sa->pending.exchange;
    t->out->begun = IKE_BY_US;
    if (t->event->now_ms >=
        ike_retransmit_ms(t->policy, sa->pending.sent_ms, t->policy->retransmit_tries + 1))
        return start_over(t); /* this node was away for the whole schedule */
    sa->local_part.retransmitted = tries_due(t->policy, sa, t->event->now_ms);
    ike_turn_send_request(t);
    return IKE_LOCAL;
}

static enum ike_outcome give_up(struct ike_turn *t)
{
    struct ike_sa *sa = t->after;
    enum ike_exchange exchange = sa->pending.exchange;
    bool handshake = sa->state == IKE_SA_HALF_OPEN;
    uint64_t last_try =
        ike_retransmit_ms(t->policy, sa->pending.sent_ms, t->policy->retransmit_tries);

    /* Authenticated traffic after the last try: our requests get lost, the peer is alive (RFC
     * 7296 2.4). But not for ever: ESP also verifies when the peer has another IKE SA, or none, and
     * then nothing is ever answered. An SA that we delete anyway need not be asked again. */
    bool lives =
        !handshake && sa->state != IKE_SA_DELETING && sa->local_part.last_inbound_ms > last_try;

    if (lives && ike_rekey_ike_yield(t))
        return ike_turn_stepped(t, exchange, IKE_BY_US);
    if (lives && t->event->now_ms - sa->pending.asked_ms < t->policy->unanswered_ms)
        return start_over(t);
    ike_turn_end_sa(t,
                    sa->state == IKE_SA_DELETING ? IKE_REASON_DELETED_BY_US : IKE_REASON_PEER_DEAD);
    if (handshake && exchange == IKE_EX_INIT) {
        sa->state = IKE_SA_NONE;
        return IKE_LOCAL;
    }
    return IKE_STEPPED;
}

/* The SA's time is over. The peer is told once, if nothing of ours is outstanding; nobody waits for
 * its answer. */
static enum ike_outcome end_with_a_word(struct ike_turn *t, enum ike_reason reason)
{
    struct ike_pending last = {.exchange = IKE_EX_NONE};

    if (ike_window_free(t->after) && ike_delete_ike_begin(t))
        last = t->after->pending;
    ike_turn_end_sa(t, reason);
    /* IKE_SEND_REQUEST finds its bytes in the committed state; an ended SA repeats nothing. */
    t->after->pending = last;
    return ike_turn_stepped(t, IKE_EX_IKE_DELETE, IKE_BY_US);
}

enum ike_outcome ike_timer_child_hard(struct ike_turn *t, uint32_t spi_in)
{
    struct ike_sa *sa = t->after;
    struct ike_child *c = ike_child_find(sa, spi_in);

    if (c == NULL)
        return ike_turn_ignore(t, IKE_REASON_CHILD_NOT_FOUND);
    if (sa->state != IKE_SA_ESTABLISHED || c->state == IKE_CHILD_DELETING)
        ike_child_remove(sa, c); /* our Delete of it, or of the whole IKE SA, is out already */
    else
        ike_child_owe_delete(sa, c);
    t->out->reason = IKE_REASON_HARD_LIFETIME;
    if (sa->n_owed_deletes > 0 && ike_window_free(sa) && !ike_delete_owed_begin(t))
        return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
    return ike_turn_stepped(t, IKE_EX_CHILD_DELETE, IKE_BY_US);
}

static enum ike_outcome built(struct ike_turn *t, bool ok, enum ike_exchange exchange)
{
    if (!ok)
        return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
    return ike_turn_stepped(t, exchange, IKE_BY_US);
}

/* P9: with one CHILD SA that is rekeyed the others of its IKE SA whose time is near are due as well:
 * one after the other (the window is 1), and an IKE rekey that falls due meanwhile after the last
 * (consider_exchanges). Near: within a tenth of their life, which is more than the jitter spreads. */
static void align_others(struct ike_turn *t, const struct ike_child *begun)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        struct ike_child *c = &t->after->children[i];
        struct ike_child_terms terms;

        if (c == begun || c->state != IKE_CHILD_INSTALLED || c->soft_ms == UINT64_MAX ||
            c->hard_ms == UINT64_MAX)
            continue;
        terms = ike_connection_terms(t->policy, t->after, c->local_ts, c->n_local_ts);
        if (terms.align &&
            c->soft_ms - c->created_ms <=
                (t->event->now_ms - c->created_ms) + (c->hard_ms - c->created_ms) / ALIGN_SHARE)
            c->soft_reached = true;
    }
}

static bool aligned(const struct ike_turn *t, const struct ike_child *c)
{
    return ike_connection_terms(t->policy, t->after, c->local_ts, c->n_local_ts).align;
}

static enum ike_outcome rekey_child(struct ike_turn *t, uint32_t spi_in)
{
    struct ike_sa *sa = t->after;
    enum ike_child_pfs pfs = IKE_CHILD_PFS_POLICY;
    bool wanted = sa->wanted_child_spi_in == spi_in;
    struct ike_child *c;
    enum ike_outcome o;

    if (wanted) {
        pfs = (sa->wanted & IKE_WANT_REKEY_CHILD_PFS) != 0     ? IKE_CHILD_PFS_ON
              : (sa->wanted & IKE_WANT_REKEY_CHILD_NOPFS) != 0 ? IKE_CHILD_PFS_OFF
                                                               : IKE_CHILD_PFS_POLICY;
        ike_child_wanted_done(sa, IKE_WANT_CHILD_REKEYS);
    }
    o = ike_rekey_child_begin(t, spi_in, pfs);
    if (o == IKE_STEPPED && !wanted && aligned(t, ike_child_find(sa, spi_in)))
        align_others(t, ike_child_find(sa, spi_in));
    if (o != IKE_IGNORED)
        return o;
    /* It cannot be begun (no slot, no proposal, KE failed): not before the hard limit's own time,
     * or the loop would spin. */
    c = ike_child_find(sa, spi_in);
    if (c != NULL)
        c->retry_ms = t->event->now_ms + ike_retransmit_total_ms(t->policy);
    return IKE_STEPPED;
}

static enum ike_outcome rekey_ike(struct ike_turn *t)
{
    enum ike_outcome o;

    ike_child_wanted_done(t->after, IKE_WANT_REKEY_IKE);
    o = ike_rekey_ike_begin(t);
    if (o != IKE_IGNORED)
        return o;
    t->after->retry_ms = t->event->now_ms + ike_retransmit_total_ms(t->policy);
    return IKE_STEPPED;
}

static enum ike_outcome delete_child(struct ike_turn *t, uint32_t spi_in)
{
    if (t->after->wanted_child_spi_in == spi_in)
        ike_child_wanted_done(t->after, IKE_WANT_DELETE_CHILD);
    return built(t, ike_delete_child_begin(t, spi_in), IKE_EX_CHILD_DELETE);
}

static enum ike_outcome create_child(struct ike_turn *t)
{
    enum ike_outcome o;

    ike_child_wanted_done(t->after, IKE_WANT_CHILD);
    o = ike_create_child_begin(t);
    return o == IKE_IGNORED ? IKE_STEPPED : o; /* the command is spent either way */
}

/* The peer rekeyed it, and its Delete does not come: perhaps the peer has not got our answer, and does
 * not get through to ask again. It is repeated for a while, then the SA ends in silence. A Delete of
 * ours would tell the peer that we never saw its rekey, and where both rekeyed it would go on with
 * the loser (RFC 7296 2.8.2). */
static enum ike_outcome delete_overdue(struct ike_turn *t)
{
    struct ike_sa *sa = t->after;
    uint64_t now_ms = t->event->now_ms;

    if (now_ms >= sa->retry_ms) {
        ike_turn_end_sa(t, IKE_REASON_DELETED_BY_US);
        return ike_turn_stepped(t, IKE_EX_NONE, IKE_BY_US);
    }
    sa->local_part.retransmitted = (uint32_t)((now_ms - sa->soft_ms) / REPEAT_MS) + 1;
    sa->local_part.last_outbound_ms = now_ms;
    ike_effect_add(t->out, IKE_SEND_RESPONSE, &sa->local, &sa->remote, ike_nat_marked(&sa->local));
    return IKE_LOCAL;
}

static enum ike_outcome begin(struct ike_turn *t, const struct ike_due *due)
{
    switch (due->kind) {
    case IKE_DUE_DELETE_IKE:
        /* The peer's redundant SA of a collision, whose Delete did not come: a peer that was told of
         * the other one's Delete first never made this one, and cannot answer (RFC 7296 2.8.2). */
        if (t->after->state == IKE_SA_REKEYED && t->after->successor_spi == 0)
            return end_with_a_word(t, IKE_REASON_DELETED_BY_US);
        if (t->after->state == IKE_SA_REKEYED)
            return delete_overdue(t);
        ike_child_wanted_done(t->after, IKE_WANT_DELETE_IKE);
        return built(t, ike_delete_ike_begin(t), IKE_EX_IKE_DELETE);
    case IKE_DUE_DELETE_OWED:
        return built(t, ike_delete_owed_begin(t), IKE_EX_CHILD_DELETE);
    case IKE_DUE_DELETE_CHILD:
        return delete_child(t, due->spi_in);
    case IKE_DUE_REKEY_CHILD:
        return rekey_child(t, due->spi_in);
    case IKE_DUE_REKEY_IKE:
        return rekey_ike(t);
    case IKE_DUE_CREATE_CHILD:
        return create_child(t);
    case IKE_DUE_DPD:
        ike_child_wanted_done(t->after, IKE_WANT_DPD);
        return built(t, ike_dpd_begin(t), IKE_EX_DPD);
    default:
        return ike_turn_ignore(t, IKE_REASON_NOTHING_TO_DO);
    }
}

enum ike_outcome ike_timer_begin_exchange(struct ike_turn *t)
{
    struct ike_due due = {.kind = IKE_DUE_NOTHING, .at_ms = UINT64_MAX};

    consider_exchanges(t->policy, t->after, t->event->now_ms, &due);
    if (due.at_ms > t->event->now_ms)
        return ike_turn_ignore(t, IKE_REASON_NOTHING_TO_DO);
    return begin(t, &due);
}

enum ike_outcome ike_timer_step(struct ike_turn *t)
{
    struct ike_due due = ike_timer_due(t->policy, t->after, t->event->now_ms);

    if (due.at_ms > t->event->now_ms)
        return ike_turn_ignore(t, IKE_REASON_NOTHING_TO_DO);
    switch (due.kind) {
    case IKE_DUE_HALF_OPEN:
        ike_turn_end_sa(t, IKE_REASON_HALF_OPEN_EXPIRED);
        t->after->state = IKE_SA_NONE;
        return IKE_LOCAL;
    case IKE_DUE_REMOVE:
        t->after->state = IKE_SA_NONE;
        return IKE_STEPPED;
    case IKE_DUE_SA_HARD:
        return end_with_a_word(t, IKE_REASON_HARD_LIFETIME);
    case IKE_DUE_CHILD_HARD:
        return ike_timer_child_hard(t, due.spi_in);
    case IKE_DUE_BIRTH:
        ike_rekey_ike_birth(t);
        return ike_turn_stepped(t, IKE_EX_NONE, IKE_BY_US);
    case IKE_DUE_RETRANSMIT:
        return retransmit(t);
    case IKE_DUE_GIVE_UP:
        return give_up(t);
    case IKE_DUE_KEEPALIVE:
        ike_effect_add(t->out, IKE_SEND_KEEPALIVE, &t->after->local, &t->after->remote, false);
        t->after->local_part.last_outbound_ms = t->event->now_ms;
        return IKE_LOCAL;
    default:
        return begin(t, &due);
    }
}

enum ike_outcome ike_timer_takeover(struct ike_turn *t)
{
    struct ike_sa *sa = t->after;
    uint64_t now_ms = t->event->now_ms;
    uint32_t n;

    memset(&sa->local_part, 0, sizeof sa->local_part);
    sa->local_part.last_inbound_ms = now_ms;
    sa->local_part.last_outbound_ms = now_ms;
    if (ike_window_free(sa) || sa->state == IKE_SA_ENDED)
        return IKE_LOCAL;
    t->out->exchange = sa->pending.exchange;
    t->out->begun = IKE_BY_US;
    n = tries_due(t->policy, sa, now_ms);
    if (n > 0 && n == t->policy->retransmit_tries)
        return start_over(t); /* the outage was ours: it must not count as the peer's death */
    sa->local_part.retransmitted = n;
    ike_turn_send_request(t);
    return IKE_LOCAL;
}
