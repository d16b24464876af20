/* What is due when: one list for ike_next_wake_ms() and for the timer's step, so that a wake always
 * finds something to do.
 *
 *   hard limits > redundant SA of an IKE rekey > retransmission, give-up > our exchange > keepalive
 *
 * Retransmissions are a pure function of pending.sent_ms (RFC 7296 2.1, 2.4): the n-th leaves
 * first * (1 + f + ... + f^(n-1)) after it. One interval after the last the peer is dead, unless it
 * was heard since: then they start over, until policy->unanswered_ms after pending.asked_ms.
 */
#ifndef HF_IKE_TIMER_H
#define HF_IKE_TIMER_H

#include "ike/turn.h"

enum ike_due_kind {
    IKE_DUE_NOTHING,
    IKE_DUE_HALF_OPEN, /* a half-open SA's time is over */
    IKE_DUE_REMOVE,    /* an ended SA has lingered enough */
    IKE_DUE_SA_HARD,
    IKE_DUE_CHILD_HARD, /* spi_in */
    IKE_DUE_BIRTH,      /* the redundant SA of a simultaneous IKE rekey (candidate) */
    IKE_DUE_RETRANSMIT,
    IKE_DUE_GIVE_UP,
    IKE_DUE_DELETE_IKE,
    IKE_DUE_DELETE_OWED,  /* of all CHILD SAs that ended while the window was taken, in one */
    IKE_DUE_DELETE_CHILD, /* spi_in */
    IKE_DUE_REKEY_CHILD,  /* spi_in */
    IKE_DUE_REKEY_IKE,
    IKE_DUE_CREATE_CHILD,
    IKE_DUE_DPD,
    IKE_DUE_KEEPALIVE
};

struct ike_due {
    enum ike_due_kind kind;
    uint64_t at_ms;  /* UINT64_MAX with NOTHING */
    uint32_t spi_in; /* of the CHILD SA meant */
};

/* The first thing to do at or after now_ms; what is overdue counts as due now, and the order above
 * decides. */
struct ike_due ike_timer_due(const struct ike_policy *policy, const struct ike_sa *sa,
                             uint64_t now_ms);

/* When the n-th retransmission (1..tries) of a request first sent at sent_ms leaves; n = tries + 1
 * is the give-up. */
uint64_t ike_retransmit_ms(const struct ike_policy *policy, uint64_t sent_ms, uint32_t n);
/* From the first sending to the give-up: how long we wait for any single answer, and for a Delete
 * that the peer owes us. */
uint64_t ike_retransmit_total_ms(const struct ike_policy *policy);

/* Does whatever is due at event->now_ms; at most one thing, the next wake comes at once when there
 * is more. */
enum ike_outcome ike_timer_step(struct ike_turn *t);

/* Only what opens an exchange of ours; IKE_IGNORED when there is nothing or the window is taken.
 * For commands and packet limits. */
enum ike_outcome ike_timer_begin_exchange(struct ike_turn *t);

/* This node goes on with an SA: the outstanding request leaves again at once, byte for byte. */
enum ike_outcome ike_timer_takeover(struct ike_turn *t);

/* The CHILD SA is at a hard limit: removed now, whatever its exchange does; the peer is told when
 * the window allows. */
enum ike_outcome ike_timer_child_hard(struct ike_turn *t, uint32_t spi_in);

#endif
