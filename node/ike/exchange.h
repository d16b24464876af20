/* Entry points of the exchanges for step.c, and what they share. A handler is given an event that
 * was already judged by the message layer, fills *out and answers as ike_step() does. Inside:
 * nothing of the network, the clock or randomness.
 *
 *   step.c ─┬─ before == NULL ─┬─ IKE_EV_INITIATE ──────────────> ike_init_begin
 *           │                  └─ datagram, IKE_SA_INIT request ─> ike_init_handle_request
 *           ├─ pending IKE_EX_INIT, unprotected response ────────> ike_init_handle_response
 *           └─ half-open, IKE_AUTH ──> ike_auth_handle_request, ike_auth_handle_response
 *
 * Outcomes here: IKE_LOCAL with out->after.state == IKE_SA_NONE means "perform the effects (an
 * unprotected answer), keep nothing". A half-open SA (after.state == IKE_SA_HALF_OPEN) from
 * IKE_SA_INIT is IKE_LOCAL: it lives in memory only. The initiator's step that builds its IKE_AUTH
 * request is IKE_STEPPED (that request is protected by SK_*, so it is committed before it leaves),
 * state still IKE_SA_HALF_OPEN. The responder's IKE_AUTH is IKE_STEPPED, also when it ends the SA.
 */
#ifndef HF_IKE_EXCHANGE_H
#define HF_IKE_EXCHANGE_H

#include "ike/message.h"

/* SPIs from entropy: an ESP SPI is never below 256 (RFC 4303 2.1) and differs from those of `sa`'s
 * children (NULL: no SA yet); an IKE SPI is never 0. Unique in the cluster because the log refuses
 * a second one. */
uint32_t ike_new_esp_spi(const struct ike_sa *sa, const uint8_t entropy[4]);
uint64_t ike_new_ike_spi(const uint8_t entropy[8]);

/* Fills out->job for IKE_NEED_JOB. Generate: private key from the event's entropy at
 * IKE_ENTROPY_KE. Derive: with peer_public (its length is checked against the method's: false =
 * wrong, answer as for bad syntax). private_key NULL: the one being generated. */
bool ike_ke_job_make(struct ike_transition *out, const struct suite_ke *ke,
                     const struct ike_event *event, bool generate, const struct secret *private_key,
                     const struct span *peer_public) HF_MUST_USE;

/* before == NULL, an IKE_SA_INIT datagram. Answers COOKIE, INVALID_KE_PAYLOAD, NO_PROPOSAL_CHOSEN,
 * INVALID_MAJOR_VERSION or UNSUPPORTED_CRITICAL_PAYLOAD unprotected; IKE_NEED_JOB; else a half-open
 * SA and its answer in out->plain (IKE_SEND_PLAIN). */
enum ike_outcome ike_init_handle_request(const struct ike_policy *policy,
                                         const struct ike_event *event,
                                         struct ike_transition *out) HF_MUST_USE;

/* before: half-open responder; the datagram is an IKE_SA_INIT request. The very bytes of
 * handshake.init_request: IKE_LOCAL, the same answer again (IKE_SEND_PLAIN); any other:
 * IKE_IGNORED. */
enum ike_outcome ike_init_handle_repeat(const struct ike_policy *policy,
                                        const struct ike_sa *before, const struct ike_event *event,
                                        struct ike_transition *out) HF_MUST_USE;

/* IKE_EV_INITIATE: IKE_NEED_JOB, then IKE_LOCAL with a half-open SA whose pending.request is to be
 * sent. */
enum ike_outcome ike_init_begin(const struct ike_policy *policy, const struct ike_event *event,
                                struct ike_transition *out) HF_MUST_USE;

/* before: half-open initiator, pending.exchange == IKE_EX_INIT. Judges the datagram itself (it is
 * unprotected). COOKIE and INVALID_KE_PAYLOAD give a new request (IKE_LOCAL); an answer gives keys
 * and the IKE_AUTH request (IKE_STEPPED). */
enum ike_outcome ike_init_handle_response(const struct ike_policy *policy,
                                          const struct ike_sa *before,
                                          const struct ike_event *event,
                                          struct ike_transition *out) HF_MUST_USE;

/* before: half-open responder, rx an IKE_AUTH request. */
enum ike_outcome ike_auth_handle_request(const struct ike_policy *policy,
                                         const struct ike_sa *before, const struct ike_event *event,
                                         const struct ike_received *rx,
                                         struct ike_transition *out) HF_MUST_USE;

/* before: half-open initiator, pending.exchange == IKE_EX_AUTH, rx its response. */
enum ike_outcome ike_auth_handle_response(const struct ike_policy *policy,
                                          const struct ike_sa *before,
                                          const struct ike_event *event,
                                          const struct ike_received *rx,
                                          struct ike_transition *out) HF_MUST_USE;

#endif
