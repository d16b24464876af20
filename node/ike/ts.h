/* Traffic selectors: narrowing (RFC 7296 2.9), rekeys (2.9.2), wire form. Bounded: what does not
 * fit in IKE_MAX_TS is left out, which only narrows. */
#ifndef HF_IKE_TS_H
#define HF_IKE_TS_H

#include "ike/policy.h"
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

/* Selectors for everything of a family, and for one address. */
struct ike_ts ike_ts_any(uint8_t family);
struct ike_ts ike_ts_host(const struct ip_addr *ip);

void ike_ts_to_wire(const struct ike_ts *ts, size_t n, struct wire_ts_list *out);

#endif
