#include "ike/turn.h"

#include "ike/child.h"
#include "ike/nat.h"

struct ike_turn ike_turn_begin(const struct ike_policy *policy, const struct ike_sa *before,
                               const struct ike_event *event, struct ike_transition *out)
{
    out->reason = IKE_REASON_NONE;
    ike_evidence_none(&out->evidence);
    out->peer_error = 0;
    out->exchange = IKE_EX_NONE;
    out->begun = IKE_BY_PEER;
    out->completes = false;
    out->peer_step = false;
    out->has_successor = false;
    out->n_effects = 0;
    out->plain.len = 0;
    if (before != NULL)
        out->after = *before;
    else
        memset(&out->after, 0, sizeof out->after);
    return (struct ike_turn){
        .policy = policy, .before = before, .event = event, .out = out, .after = &out->after};
}

enum ike_outcome ike_turn_ignore(struct ike_turn *t, enum ike_reason reason)
{
    t->out->reason = reason;
    return IKE_IGNORED;
}

enum ike_outcome ike_turn_stepped(struct ike_turn *t, enum ike_exchange exchange,
                                  enum ike_begun begun)
{
    t->out->exchange = exchange;
    t->out->begun = begun;
    return IKE_STEPPED;
}

void ike_turn_answered(struct ike_turn *t)
{
    t->out->exchange = t->after->pending.exchange;
    t->out->begun = IKE_BY_US;
    t->out->completes = true;
    t->out->peer_step = true;
    ike_pending_clear(t->after);
}

enum ike_reason ike_reason_of_error(uint16_t type)
{
    switch (type) {
    case WIRE_N_TEMPORARY_FAILURE:
        return IKE_REASON_TEMPORARY_FAILURE;
    case WIRE_N_CHILD_SA_NOT_FOUND:
        return IKE_REASON_CHILD_NOT_FOUND;
    case WIRE_N_INVALID_KE_PAYLOAD:
        return IKE_REASON_INVALID_KE;
    case WIRE_N_NO_ADDITIONAL_SAS:
        return IKE_REASON_TOO_MANY_CHILDREN;
    case WIRE_N_TS_UNACCEPTABLE:
        return IKE_REASON_TS_UNACCEPTABLE;
    default:
        return IKE_REASON_NO_PROPOSAL;
    }
}

void ike_turn_send_request(struct ike_turn *t)
{
    struct ike_sa *sa = t->after;

    ike_effect_add(t->out, IKE_SEND_REQUEST, &sa->local, &sa->remote, ike_nat_marked(&sa->local));
    sa->local_part.last_outbound_ms = t->event->now_ms;
}

void ike_turn_send_response(struct ike_turn *t)
{
    /* RFC 7296 2.11: the answer goes to the address and port that the request came from. */
    ike_effect_add(t->out, IKE_SEND_RESPONSE, &t->event->local, &t->event->remote, t->event->natt);
    /* A copy from elsewhere says nothing about the NAT's mapping on the way to the peer. */
    if (endpoint_equal(&t->event->remote, &t->after->remote))
        t->after->local_part.last_outbound_ms = t->event->now_ms;
}

enum ike_outcome ike_turn_respond(struct ike_turn *t, enum ike_exchange exchange,
                                  const struct ike_draft *d)
{
    if (!ike_seal_response(t->policy, t->after, t->event->datagram, &t->rx->header, d))
        return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
    ike_turn_send_response(t);
    t->out->completes = true;
    return ike_turn_stepped(t, exchange, IKE_BY_PEER);
}

enum ike_outcome ike_turn_refuse(struct ike_turn *t, enum ike_exchange exchange, uint16_t type,
                                 struct span data, enum ike_reason reason)
{
    if (!ike_answer_notify(t->policy, t->after, t->event->datagram, &t->rx->header, type, data))
        return ike_turn_ignore(t, IKE_REASON_OVERSIZED);
    ike_turn_send_response(t);
    if (type == WIRE_N_INVALID_SYNTAX)
        ike_turn_end_sa(t, reason);
    t->out->reason = reason;
    t->out->completes = true;
    return ike_turn_stepped(t, exchange, IKE_BY_PEER);
}

bool ike_turn_request(struct ike_turn *t, enum ike_exchange exchange, const struct ike_draft *d)
{
    if (!ike_seal_request(t->policy, t->after, exchange, t->event->now_ms, d))
        return false;
    t->after->local_part.retransmitted = 0;
    ike_turn_send_request(t);
    return true;
}

void ike_turn_end_sa(struct ike_turn *t, enum ike_reason reason)
{
    struct ike_sa *sa = t->after;

    sa->state = IKE_SA_ENDED;
    sa->linger_until_ms = t->event->now_ms + t->policy->linger_ms;
    sa->wanted = 0;
    sa->wanted_child_spi_in = 0;
    memset(sa->virtual_ip, 0, sizeof sa->virtual_ip);
    ike_child_remove_all(sa);
    ike_pending_clear(sa);
    secret_wipe_bytes(&sa->keys, sizeof sa->keys);
    secret_wipe_bytes(&sa->candidate, sizeof sa->candidate);
    secret_wipe_bytes(&sa->handshake, sizeof sa->handshake);
    t->out->reason = reason;
}
