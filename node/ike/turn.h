/* One call of ike_step, as its handlers see it, and the few ways in which a handler ends. Internal
 * to ike/.
 *
 *   step.c ─> transitions.c ─┬─ request ────────> create_child, rekey_child, rekey_ike,
 *                            │                    informational ─> ike_turn_respond, _refuse
 *                            ├─ response ───────> the same files (perhaps ike_turn_request: the
 *                            │                    Delete after a rekey)
 *                            └─ timer, command ─> timer.c ─> their *_begin ─> ike_turn_request
 *
 * `after` is out->after, a copy of `before` that handlers change in place: nothing is kept unless
 * the outcome says so.
 */
#ifndef HF_IKE_TURN_H
#define HF_IKE_TURN_H

#include "ike/message.h"
#include "ike/step.h"

struct ike_turn {
    const struct ike_policy *policy;
    const struct ike_sa *before;
    const struct ike_event *event;
    const struct ike_received *rx; /* the message in hand, or NULL */
    struct ike_transition *out;
    struct ike_sa *after;
};

struct ike_turn ike_turn_begin(const struct ike_policy *policy, const struct ike_sa *before,
                               const struct ike_event *event, struct ike_transition *out);

/* Nothing happened, and why. */
enum ike_outcome ike_turn_ignore(struct ike_turn *t, enum ike_reason reason);

/* The step is complete: what it belongs to. */
enum ike_outcome ike_turn_stepped(struct ike_turn *t, enum ike_exchange exchange,
                                  enum ike_begun begun);

/* Our outstanding request was answered by the message in hand: names the step after it (exchange,
 * begun, completes, peer_step) and frees the window. Call before a new request begins in the same
 * step. */
void ike_turn_answered(struct ike_turn *t);

/* What the error Notify of an answer says, as a reason. */
enum ike_reason ike_reason_of_error(uint16_t type);

/* Seals the draft as the answer to the request in hand and ends the step: begun by the peer,
 * completes. */
enum ike_outcome ike_turn_respond(struct ike_turn *t, enum ike_exchange exchange,
                                  const struct ike_draft *d);

/* Answers the request in hand with one Notify. INVALID_SYNTAX is fatal to the SA at both ends (RFC
 * 7296 2.21.3). */
enum ike_outcome ike_turn_refuse(struct ike_turn *t, enum ike_exchange exchange, uint16_t type,
                                 struct span data, enum ike_reason reason);

/* Seals the draft as our next request and sends it. The window must be free. False: it cannot be
 * built; after is as before. */
bool ike_turn_request(struct ike_turn *t, enum ike_exchange exchange,
                      const struct ike_draft *d) HF_MUST_USE;

/* Sends pending.request, or last_response to where the request in hand came from. */
void ike_turn_send_request(struct ike_turn *t);
void ike_turn_send_response(struct ike_turn *t);

/* The SA is over: keys, children, address and pending work are wiped; what it last answered stays
 * until linger_until_ms. */
void ike_turn_end_sa(struct ike_turn *t, enum ike_reason reason);

/* Is no request of ours outstanding? */
static inline bool ike_window_free(const struct ike_sa *sa)
{
    return sa->pending.exchange == IKE_EX_NONE;
}

#endif
