/* Every way an IKE SA can go. IKE_SA_NONE is "no SA" (before == NULL); inside ESTABLISHED the
 * message's exchange type decides (on_message), and what is due when a timer fires (timer.h).
 *
 *   NONE ─init─> HALF_OPEN ─auth─> ESTABLISHED
 *     ├─ rekeyed by the peer ────────────────────> REKEYED ── its Delete ──────> ENDED
 *     ├─ our Delete, also after our own rekey ───> DELETING ─ the answer ──────> ENDED
 *     └─ its Delete, a dead peer, the hard limit, bad syntax ──────────────────> ENDED ── gone
 */
#include "ike/transitions.h"

#include "ike/child.h"
#include "ike/create_child.h"
#include "ike/exchange.h"
#include "ike/informational.h"
#include "ike/nat.h"
#include "ike/sync.h"
#include "ike/timer.h"

static ike_handler ignore, on_new, on_initiate, on_handshake, on_message, on_repeat, on_timer,
    on_command, on_child_soft, on_child_hard, on_child_inbound, on_moved, on_takeover;

enum { N_EVENTS = IKE_EV_TAKEOVER + 1, N_STATES = IKE_SA_ENDED + 1 };

/* clang-format off */
static ike_handler *const transitions[N_EVENTS][N_STATES] = {
    /*                          NONE         HALF_OPEN     ESTABLISHED       REKEYED           DELETING          ENDED      */
    [IKE_EV_DATAGRAM]      = { on_new,      on_handshake, on_message,       on_message,       on_message,       on_repeat },
    [IKE_EV_TIMER]         = { ignore,      on_timer,     on_timer,         on_timer,         on_timer,         on_timer },
    [IKE_EV_COMMAND]       = { ignore,      ignore,       on_command,       ignore,           ignore,           ignore },
    [IKE_EV_INITIATE]      = { on_initiate, ignore,       ignore,           ignore,           ignore,           ignore },
    [IKE_EV_CHILD_SOFT]    = { ignore,      ignore,       on_child_soft,    ignore,           ignore,           ignore },
    [IKE_EV_CHILD_HARD]    = { ignore,      ignore,       on_child_hard,    on_child_hard,    on_child_hard,    ignore },
    [IKE_EV_CHILD_INBOUND] = { ignore,      ignore,       on_child_inbound, on_child_inbound, on_child_inbound, ignore },
    [IKE_EV_PEER_MOVED]    = { ignore,      ignore,       on_moved,         on_moved,         on_moved,         ignore },
    [IKE_EV_TAKEOVER]      = { ignore,      on_takeover,  on_takeover,      on_takeover,      on_takeover,      on_takeover },
};
/* clang-format on */

ike_handler *ike_transition_for(enum ike_event_kind kind, enum ike_sa_state state)
{
    if ((size_t)kind >= N_EVENTS || (size_t)state >= N_STATES)
        return ignore;
    return transitions[kind][state];
}

static enum ike_outcome ignore(struct ike_turn *t)
{
    return ike_turn_ignore(t, IKE_REASON_NOTHING_TO_DO);
}

static enum ike_outcome on_new(struct ike_turn *t)
{
    return ike_init_handle_request(t->policy, t->event, t->out);
}

static enum ike_outcome on_initiate(struct ike_turn *t)
{
    return ike_init_begin(t->policy, t->event, t->out);
}

static enum ike_outcome on_timer(struct ike_turn *t)
{
    return ike_timer_step(t);
}

static enum ike_outcome on_takeover(struct ike_turn *t)
{
    return ike_timer_takeover(t);
}

/* ---- datagrams ---- */

/* The last answer again, byte for byte, to where the repeated request came from. */
static enum ike_outcome repeat_answer(struct ike_turn *t)
{
    ike_turn_send_response(t);
    return IKE_LOCAL;
}

/* An ended SA has no keys: it knows its last request by the digest alone. */
static enum ike_outcome on_repeat(struct ike_turn *t)
{
    uint8_t digest[32];

    if (t->before->last_response.len == 0 ||
        !t->policy->suites->sha256->compute(&t->event->datagram, 1, digest) ||
        memcmp(digest, t->before->last_request_digest, sizeof digest) != 0)
        return ike_turn_ignore(t, IKE_REASON_UNEXPECTED_EXCHANGE);
    return repeat_answer(t);
}

static enum ike_outcome on_handshake(struct ike_turn *t)
{
    const struct ike_sa *sa = t->before;
    struct ike_received rx;
    struct wire_header header;
    enum ike_reason reason;

    if (sa->role == IKE_INITIATOR && sa->pending.exchange == IKE_EX_INIT)
        return ike_init_handle_response(t->policy, sa, t->event, t->out);
    if (sa->role == IKE_RESPONDER && wire_header_decode(t->event->datagram, &header) == WIRE_OK &&
        header.exchange == WIRE_EX_IKE_SA_INIT)
        return ike_init_handle_repeat(t->policy, sa, t->event, t->out);
    switch (ike_message_receive(t->policy, sa, t->event->datagram, &rx, &reason)) {
    case IKE_RX_RETRANSMIT:
        return repeat_answer(t);
    case IKE_RX_REQUEST:
        if (sa->role == IKE_RESPONDER && rx.header.exchange == WIRE_EX_IKE_AUTH)
            return ike_auth_handle_request(t->policy, sa, t->event, &rx, t->out);
        return ike_turn_ignore(t, IKE_REASON_UNEXPECTED_EXCHANGE);
    case IKE_RX_RESPONSE:
        return ike_auth_handle_response(t->policy, sa, t->event, &rx, t->out);
    case IKE_RX_SYNC: /* not agreed on before IKE_AUTH is through */
    case IKE_RX_DROP:
    default:
        return ike_turn_ignore(t, reason);
    }
}

/* RFC 7296 2.5: a critical payload that we do not know costs the request only; 2.21.3: bad syntax
 * under a good ICV costs the SA. */
static enum ike_outcome answer_bad_body(struct ike_turn *t)
{
    bool critical = t->rx->body_result == WIRE_CRITICAL;

    if (!ike_answer_bad_body(t->policy, t->after, t->event->datagram, t->rx))
        return ike_turn_ignore(t, IKE_REASON_MALFORMED);
    ike_turn_send_response(t);
    if (critical) {
        t->out->reason = IKE_REASON_UNSUPPORTED_CRITICAL;
        ike_evidence_payload(&t->out->evidence, t->rx->body.unsupported);
    } else {
        ike_turn_end_sa(t, IKE_REASON_MALFORMED);
    }
    t->out->completes = true;
    return ike_turn_stepped(t, IKE_EX_INFORMATIONAL, IKE_BY_PEER);
}

static enum ike_outcome on_request(struct ike_turn *t)
{
    ike_child_peer_caught_up(t->after);
    if (t->rx->body_result != WIRE_OK)
        return answer_bad_body(t);
    switch (t->rx->header.exchange) {
    case WIRE_EX_CREATE_CHILD_SA:
        return ike_create_child_request(t);
    case WIRE_EX_INFORMATIONAL:
        return ike_informational_request(t);
    default:
        return ike_turn_refuse(t, IKE_EX_INFORMATIONAL, WIRE_N_INVALID_SYNTAX, (struct span){0},
                               IKE_REASON_UNEXPECTED_EXCHANGE);
    }
}

static enum ike_outcome on_response(struct ike_turn *t)
{
    const struct wire_notify *error = wire_body_error(&t->rx->body);

    t->out->peer_error = error == NULL ? 0 : error->type;
    /* RFC 7296 2.21.3: fatal at both ends, whatever it answers. */
    if (wire_body_notify(&t->rx->body, WIRE_N_INVALID_SYNTAX) != NULL) {
        ike_turn_answered(t);
        ike_turn_end_sa(t, IKE_REASON_DELETED_BY_PEER);
        return IKE_STEPPED;
    }
    switch (t->before->pending.exchange) {
    case IKE_EX_CHILD_CREATE:
        return ike_create_child_response(t);
    case IKE_EX_CHILD_REKEY:
    case IKE_EX_CHILD_REKEY_PFS:
        return ike_rekey_child_response(t);
    case IKE_EX_IKE_REKEY:
        return ike_rekey_ike_response(t);
    default:
        return ike_informational_response(t);
    }
}

static enum ike_outcome on_message(struct ike_turn *t)
{
    struct ike_received rx;
    enum ike_reason reason;
    enum ike_rx kind = ike_message_receive(t->policy, t->before, t->event->datagram, &rx, &reason);

    if (kind == IKE_RX_RETRANSMIT)
        return repeat_answer(t);
    if (kind == IKE_RX_DROP)
        return ike_turn_ignore(t, reason);
    t->rx = &rx;
    t->after->local_part.last_inbound_ms = t->event->now_ms;
    (void)ike_nat_follow(t->after, t->event);
    if (kind == IKE_RX_SYNC)
        return ike_sync_request(t);
    return kind == IKE_RX_REQUEST ? on_request(t) : on_response(t);
}

/* ---- commands and what the data path saw ---- */

/* Which CHILD SA a command means: the one it names, or the one that sends. */
static const struct ike_child *commanded(const struct ike_turn *t)
{
    if (t->event->child_spi_in != 0)
        return ike_child_peek(t->before, t->event->child_spi_in);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (t->before->children[i].state == IKE_CHILD_INSTALLED && t->before->children[i].outbound)
            return &t->before->children[i];
    return NULL;
}

/* Begins what is wanted, or leaves it in `wanted` until the window is free. */
static enum ike_outcome on_command(struct ike_turn *t)
{
    const uint32_t known = IKE_WANT_ON_CHILD | IKE_WANT_REKEY_IKE | IKE_WANT_DELETE_IKE |
                           IKE_WANT_DPD | IKE_WANT_CHILD;
    uint32_t want = t->event->want & known;
    enum ike_outcome o;

    if (want == 0)
        return ike_turn_ignore(t, IKE_REASON_NOTHING_TO_DO);
    if ((want & IKE_WANT_ON_CHILD) != 0) {
        const struct ike_child *c = commanded(t);

        if (c == NULL || c->state == IKE_CHILD_DELETING ||
            (c->state != IKE_CHILD_INSTALLED && (want & IKE_WANT_CHILD_REKEYS) != 0))
            return ike_turn_ignore(t, IKE_REASON_CHILD_NOT_FOUND);
        if (t->before->wanted_child_spi_in != 0) /* one at a time waits */
            return ike_turn_ignore(t, IKE_REASON_TEMPORARY_FAILURE);
        t->after->wanted_child_spi_in = c->spi_in;
    }
    t->after->wanted |= want;
    o = ike_timer_begin_exchange(t);
    if (o != IKE_IGNORED)
        return o;
    t->out->reason = IKE_REASON_NONE; /* not now: it waits in the state */
    return IKE_STEPPED;
}

static enum ike_outcome on_child_soft(struct ike_turn *t)
{
    struct ike_child *c = ike_child_find(t->after, t->event->child_spi_in);
    enum ike_outcome o;

    if (c == NULL || c->state != IKE_CHILD_INSTALLED || c->soft_reached)
        return ike_turn_ignore(t, IKE_REASON_NOTHING_TO_DO);
    c->soft_reached = true;
    o = ike_timer_begin_exchange(t);
    if (o != IKE_IGNORED)
        return o;
    t->out->reason = IKE_REASON_NONE; /* not now: it waits in the state */
    return IKE_STEPPED;
}

static enum ike_outcome on_child_hard(struct ike_turn *t)
{
    return ike_timer_child_hard(t, t->event->child_spi_in);
}

/* RFC 7296 2.8: the peer sends on the SA that it rekeyed to, so it has our answer: we send there
 * too. */
static enum ike_outcome on_child_inbound(struct ike_turn *t)
{
    struct ike_child *c = ike_child_find(t->after, t->event->child_spi_in);
    bool changed;

    if (c == NULL)
        return ike_turn_ignore(t, IKE_REASON_CHILD_NOT_FOUND);
    t->after->local_part.last_inbound_ms = t->event->now_ms;
    changed = c->unconfirmed;
    c->unconfirmed = false;
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *old = &t->after->children[i];

        if (old->state == IKE_CHILD_REKEYED && old->outbound &&
            old->successor_spi_in == c->spi_in) {
            ike_child_take_outbound(t->after, c);
            changed = true;
        }
    }
    return changed ? IKE_STEPPED : IKE_LOCAL;
}

static enum ike_outcome on_moved(struct ike_turn *t)
{
    if (!ike_nat_follow(t->after, t->event))
        return ike_turn_ignore(t, IKE_REASON_NOTHING_TO_DO);
    t->after->local_part.last_inbound_ms = t->event->now_ms;
    return IKE_STEPPED;
}
