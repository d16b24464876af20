/* Traffic selectors: narrowing (RFC 7296 2.9), rekeys (2.9.2), wire form. Bounded: what does not
 * fit in IKE_MAX_TS is left out, which only narrows. */
#ifndef HF_IKE_TS_H
#define HF_IKE_TS_H

#include "ike/state.h"
#include "wire/ts.h"

/* Responder: the offer cut to what `allowed` permits, in the order of `allowed`. False: nothing is
 * left (TS_UNACCEPTABLE). */
bool ike_ts_narrow(const struct ike_ts *allowed, size_t n_allowed, const struct wire_ts_list *offer,
                   struct ike_ts out[IKE_MAX_TS], uint8_t *n_out) HF_MUST_USE;

/* Responder of a rekey: a superset of the old selectors is accepted and answered with the old ones
 * (Windows sends 0/0); so is what overlaps them. False: no overlap. */
bool ike_ts_rekey(const struct ike_ts *old, size_t n_old, const struct wire_ts_list *offer,
                  struct ike_ts out[IKE_MAX_TS], uint8_t *n_out) HF_MUST_USE;

/* Initiator: every selector of the answer lies inside one of ours. False: the peer widened them (or
 * sent none, or too many). */
bool ike_ts_accept(const struct ike_ts *offered, size_t n_offered,
                   const struct wire_ts_list *answer, struct ike_ts out[IKE_MAX_TS],
                   uint8_t *n_out) HF_MUST_USE;

/* What a CHILD SA of this SA may carry: what we offer, and what we narrow the peer's offer to.
 * Behind a gateway: the policy's networks against the peer's virtual addresses (without one, its
 * outer address). A client that asks for addresses: those (any of the families it asks for, as long
 * as there is none) against everything. Independent of sa->role, which an IKE rekey may turn. */
void ike_ts_allowed(const struct ike_policy *policy, const struct ike_sa *sa,
                    struct ike_ts local[IKE_MAX_TS], uint8_t *n_local,
                    struct ike_ts remote[IKE_MAX_TS], uint8_t *n_remote);

/* Does each of `inner` lie inside one of `outer`? False for none at all. */
bool ike_ts_inside(const struct ike_ts *inner, size_t n_inner, const struct ike_ts *outer,
                   size_t n_outer);

/* Selectors for everything of a family, and for one address. */
struct ike_ts ike_ts_any(uint8_t family);
struct ike_ts ike_ts_host(const struct ip_addr *ip);

/* A packet has one family: what stands on one side only is left out of both. False: then nothing is
 * left. */
bool ike_ts_match_families(struct ike_ts local[IKE_MAX_TS], uint8_t *n_local,
                           struct ike_ts remote[IKE_MAX_TS], uint8_t *n_remote) HF_MUST_USE;

void ike_ts_to_wire(const struct ike_ts *ts, size_t n, struct wire_ts_list *out);

#endif
