/* Synchronization of message IDs with a peer that is a cluster and failed over, RFC 6311 5.1.
 *
 *   the peer's new member                                   we
 *   INFORMATIONAL, ID 0: SYNC(nonce, M1, P1)  ──>
 *                        M1: its next request's ID, P1: what it expects of us next
 *                                             <──  INFORMATIONAL, ID 0: SYNC(nonce, P2, M2)
 *                                                  P2: our next request's ID, M2: what we expect
 *
 * Our own takeovers need none: the IDs are in the replicated state. So we answer and never ask.
 * Replay counters (IPSEC_REPLAY_COUNTER_SYNC) are not spoken: they are never announced.
 */
#ifndef HF_IKE_SYNC_H
#define HF_IKE_SYNC_H

#include "ike/turn.h"

/* In IKE_AUTH: says that we answer it; the responder only to who said so (RFC 6311 4). */
void ike_sync_put_supported(struct wire_builder *b);
/* Notes what the other end said in its IKE_AUTH. */
void ike_sync_agree(struct ike_sa *sa, const struct wire_body *body);

/* The message in hand is an IKE_RX_SYNC. IKE_IGNORED: an old one, dropped in silence. */
enum ike_outcome ike_sync_request(struct ike_turn *t);

#endif
