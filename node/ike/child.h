/* The CHILD SA slots of an IKE SA, and which of them carries our traffic.
 *
 *   INSTALLED ──our rekey──> REKEYING ──answer──> DELETING ──answer──> gone        (we began)
 *       └───────their rekey, answered──> REKEYED ──their Delete──> gone            (they began)
 *
 * RFC 7296 2.8: both old and new receive until the Delete. We send on the new one as soon as the
 * peer is known to have it: at once when we began; when it began, at its first packet on the new
 * SA, its next request, or its Delete of the old. Pointers are into the SA's own array: valid until
 * a slot is removed or the SA copied.
 */
#ifndef HF_IKE_CHILD_H
#define HF_IKE_CHILD_H

#include "ike/state.h"

/* NULL when there is none; SPI 0 is never found. */
struct ike_child *ike_child_find(struct ike_sa *sa, uint32_t spi_in);
const struct ike_child *ike_child_peek(const struct ike_sa *sa, uint32_t spi_in);
/* By the SPI that the peer receives on, as its Delete and REKEY_SA name it. */
struct ike_child *ike_child_find_out(struct ike_sa *sa, uint32_t spi_out);
/* An unused slot, all zero, or NULL. A Delete that is owed counts as a slot in use. */
struct ike_child *ike_child_free_slot(struct ike_sa *sa);

/* May one more be made: a rekey's, or one that replaces none? For our own request: before it is out. */
enum ike_child_room {
    IKE_CHILD_ROOM,
    IKE_CHILD_ROOM_LATER, /* what is left is kept for what our own outstanding request is to make */
    IKE_CHILD_ROOM_NONE
};
enum ike_child_room ike_child_room(const struct ike_sa *sa, bool rekey);

bool ike_child_same_selectors(const struct ike_child *a, const struct ike_child *b);

/* Our traffic for this child's selectors leaves by it from now on: takes `outbound` from any other
 * with the same selectors and from the one it succeeded. */
void ike_child_take_outbound(struct ike_sa *sa, struct ike_child *child);

/* The peer has shown that it has everything we answered before (any later request of its): outbound
 * moves from each CHILD SA that it rekeyed to the successor. */
void ike_child_peer_caught_up(struct ike_sa *sa);

/* The wanted commands that name a CHILD SA as their target. */
enum {
    IKE_WANT_CHILD_REKEYS =
        IKE_WANT_REKEY_CHILD | IKE_WANT_REKEY_CHILD_PFS | IKE_WANT_REKEY_CHILD_NOPFS,
    IKE_WANT_ON_CHILD = IKE_WANT_CHILD_REKEYS | IKE_WANT_DELETE_CHILD
};

/* Those bits are done with; the target is forgotten when none of its kind is left. */
void ike_child_wanted_done(struct ike_sa *sa, uint32_t bits);

/* `next` replaces `old`. What was wanted of the old one: a rekey has happened, a deletion now means
 * the new one. */
void ike_child_replace(struct ike_sa *sa, struct ike_child *old, const struct ike_child *next);

/* The same by the peer's doing: it owes us the Delete of `old` by until_ms. */
void ike_child_succeed(struct ike_sa *sa, struct ike_child *old, const struct ike_child *next,
                       uint64_t until_ms);

/* Our traffic leaves by it no more: its successor, else its living predecessor, else any other
 * installed one with the same selectors goes on. */
void ike_child_hand_on(struct ike_sa *sa, struct ike_child *child);

/* Hands on, wipes the slot, and what was wanted of it. */
void ike_child_remove(struct ike_sa *sa, struct ike_child *child);

/* The same, and the peer is to be told when the window allows: its SPI is owed a Delete. */
void ike_child_owe_delete(struct ike_sa *sa, struct ike_child *child);
/* No Delete is owed any more. */
void ike_child_owed_done(struct ike_sa *sa);

/* The peer gave up an SPI of its own that is not known here (its Delete, or our answer that it is not
 * found). Remembered while our CREATE_CHILD_SA is out: its answer may be what made it. */
void ike_child_note_early_delete(struct ike_pending *pending, uint32_t spi_out);
bool ike_child_deleted_early(const struct ike_pending *pending, uint32_t spi_out);

/* Removes all (their keys are wiped), and what is owed. */
void ike_child_remove_all(struct ike_sa *sa);

#endif
