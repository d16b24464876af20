/* CREATE_CHILD_SA, RFC 7296 1.3: new CHILD SAs, and rekeys of CHILD SAs (1.3.3, 2.8) and of the IKE
 * SA (1.3.2, 2.18).
 *
 *   a CHILD SA, new or rekeyed:
 *   SK {[N(REKEY_SA)] SA Ni [KEi] TSi TSr}  ──>
 *                                           <──  SK {SA Nr [KEr] TSi TSr}
 *   the IKE SA:
 *   SK {SA Ni KEi}                          ──>
 *                                           <──  SK {SA Nr KEr}
 *
 * Every *_begin needs a free window and may answer IKE_NEED_JOB; IKE_IGNORED from it means that it
 * cannot be begun now.
 */
#ifndef HF_IKE_CREATE_CHILD_H
#define HF_IKE_CREATE_CHILD_H

#include "ike/child.h"
#include "ike/proposal.h"
#include "ike/turn.h"

enum ike_child_pfs { IKE_CHILD_PFS_POLICY, IKE_CHILD_PFS_ON, IKE_CHILD_PFS_OFF };

/* create_child.c */
enum ike_outcome ike_create_child_begin(struct ike_turn *t);
/* Any CREATE_CHILD_SA request: tells the three kinds apart, refuses what collides (RFC 7296 2.25).
 */
enum ike_outcome ike_create_child_request(struct ike_turn *t);
enum ike_outcome ike_create_child_response(struct ike_turn *t);

/* The peer answered our CREATE_CHILD_SA: with this error, or 0. Who answers TEMPORARY_FAILURE to
 * everything for several minutes is out of step with us: the IKE SA is to be closed (RFC 7296 2.25:
 * SHOULD). */
void ike_create_child_answered(struct ike_turn *t, uint16_t error);

/* rekey_child.c */
enum ike_outcome ike_rekey_child_begin(struct ike_turn *t, uint32_t spi_in, enum ike_child_pfs pfs);
/* rekey: the REKEY_SA notify of the request in hand. */
enum ike_outcome ike_rekey_child_request(struct ike_turn *t, const struct wire_notify *rekey);
enum ike_outcome ike_rekey_child_response(struct ike_turn *t);

/* rekey_ike.c */
enum ike_outcome ike_rekey_ike_begin(struct ike_turn *t);
enum ike_outcome ike_rekey_ike_request(struct ike_turn *t);
enum ike_outcome ike_rekey_ike_response(struct ike_turn *t);
/* The SA's candidate becomes a successor of its own: as the winner, with the children (settled
 * false), or as the redundant one, childless, so that its creator can delete it. */
void ike_rekey_ike_birth(struct ike_turn *t);

/* Our rekey finds no answer. True where it has lost to the peer's own whatever the answer would say,
 * our nonce being the lowest already: the peer's stands (a successor is made), and it waits for no
 * answer any more. False: nothing is done; who won is unknown, or there is one rekey only. */
bool ike_rekey_ike_yield(struct ike_turn *t);

/* Shared between the files above (child_offer.c). */

/* Traffic selectors from our side. */
struct ike_selectors {
    struct ike_ts local[IKE_MAX_TS], remote[IKE_MAX_TS];
    uint8_t n_local, n_remote;
};

/* What this IKE SA's CHILD SAs may carry, as in IKE_AUTH (ts.h). */
struct ike_selectors ike_selectors_allowed(const struct ike_policy *policy,
                                           const struct ike_sa *sa);
struct ike_selectors ike_selectors_of(const struct ike_child *child);

/* The group of our KE payload when PFS is wanted, or 0. */
uint16_t ike_child_group(const struct ike_turn *t, bool pfs);

/* Builds and sends a request for a CHILD SA with these selectors; old NULL or the CHILD SA being
 * rekeyed; ke_id 0 = no KE. IKE_STEPPED, IKE_NEED_JOB, or IKE_IGNORED: it cannot be built. */
enum ike_outcome ike_child_offer(struct ike_turn *t, enum ike_exchange exchange,
                                 const struct ike_child *old, const struct ike_selectors *sel,
                                 uint16_t ke_id);
/* Answers the request in hand. *made is the new CHILD SA in `after` (outbound false), or NULL when
 * it was refused (IKE_STEPPED too) or the outcome is another one. */
enum ike_outcome ike_child_answer(struct ike_turn *t, enum ike_exchange exchange,
                                  const struct ike_child *old, const struct ike_selectors *sel,
                                  struct ike_child **made);
/* Makes the CHILD SA from before->pending and the response in hand. IKE_STEPPED: *made, outbound
 * false. IKE_IGNORED: the answer is unacceptable, `after` is untouched. IKE_NEED_JOB as ever. */
enum ike_outcome ike_child_accept(struct ike_turn *t, const struct ike_selectors *sel,
                                  struct ike_child **made);

/* Did ike_child_accept() end so (`o`) because the peer's public value is none? RFC 6989 2.5: the IKE
 * SA is dropped; at the other end of the exchange INVALID_SYNTAX does it (RFC 7296 2.21.3). */
bool ike_child_broken_ke(const struct ike_turn *t, enum ike_outcome o);

/* Does the answer in hand make a CHILD SA that the peer has given up since (ike_child_deleted_early)?
 * RFC 7296 2.25.1: it would stand at our end only. */
bool ike_child_answer_is_gone(const struct ike_turn *t);

/* Octet by octet; the one that ends first is the lower (RFC 7296 2.8.1). */
bool ike_nonce_lower(struct span a, struct span b);
/* The peer's simultaneous exchange: remembers the lower of its two nonces in pending. */
void ike_collision_note(struct ike_pending *pending, struct span peer_nonce, struct span our_nonce);
/* True when our exchange holds the lowest of the four nonces: its SA is the redundant one, and ours
 * to delete. */
bool ike_collision_ours_loses(const struct ike_pending *pending, struct span peer_nonce);

#endif
