/* What a step begins and ends, for the counters: found out while `before` is at hand, counted when its
 * record is applied (what is in memory alone: at once).
 *
 *   exchanges_note(before, transition) ─> struct exchanges_note, kept by the op ─> exchanges_count()
 */
#ifndef HF_CONDUCTOR_EXCHANGES_H
#define HF_CONDUCTOR_EXCHANGES_H

#include "conductor/counters.h"

struct exchanges_note {
    enum ike_exchange began; /* a request of ours; IKE_EX_NONE: none */
    enum ike_exchange ended; /* likewise, or the peer's, which begins and ends with one step */
    enum ike_begun side;     /* of `ended` */
    bool failed;
    uint64_t since_ms; /* cluster time at which `ended` began; 0 = not known */
    bool replaced;     /* an SA has a successor from now on: */
    enum counter_life life;
    uint64_t due_ms; /* ... its soft limit by time */
};

/* before NULL: there was no SA. event_ms: when the step's event came. */
struct exchanges_note exchanges_note(const struct ike_sa *before, const struct ike_transition *t,
                                     uint64_t event_ms);
void exchanges_count(struct counters *c, const struct exchanges_note *note, uint64_t now_ms);
/* A step that changed nothing replicated sends something again, or a keepalive (RFC 3948 2.3). */
void exchanges_count_repeats(struct counters *c, const struct ike_transition *t);

#endif
