/* Connections: which terms (lifetimes, PFS, alignment, overlap) hold for which peer and for which of
 * its CHILD SAs.
 *
 *   authenticated identity ─> first connection with a pattern for it ─> ike_sa.connection (its id)
 *   ike_sa.connection ─> its lifetime, and for a CHILD SA the first override that has all of the
 *                        selectors on our side, else the connection's own
 *
 * The record names the connection by an id that its name alone decides: another order of the list,
 * or another node's, changes nothing. An id that the policy does not know (any more), and 0, mean
 * the policy's own terms.
 */
#ifndef HF_IKE_CONNECTION_H
#define HF_IKE_CONNECTION_H

#include "ike/state.h"

/* Of the name's bytes; never 0. Two names of a policy must not share one (the configuration sees to
 * it). */
static inline uint32_t ike_connection_id(struct span name)
{
    uint64_t hash = span_fnv1a64(name);
    uint32_t folded = (uint32_t)(hash ^ hash >> 32);

    return folded == 0 ? 1 : folded;
}

/* The pattern is for this identity. Letters of domain names count alike, large and small. */
bool ike_pattern_matches(const struct ike_pattern *pattern, const struct ike_identity *identity);

/* The SA's connection by its remote_id, which has been authenticated: once, before its lifetimes
 * start. */
void ike_connection_choose(const struct ike_policy *policy, struct ike_sa *sa);

/* NULL: the policy's own terms. */
const struct ike_connection *ike_connection_of(const struct ike_policy *policy,
                                               const struct ike_sa *sa);

/* What an IKE SA lives by. */
const struct ike_lifetime *ike_connection_life(const struct ike_policy *policy,
                                               const struct ike_sa *sa);
/* What a CHILD SA with these selectors on our side lives by. */
struct ike_child_terms ike_connection_terms(const struct ike_policy *policy,
                                            const struct ike_sa *sa, const struct ike_ts *local_ts,
                                            uint8_t n_local_ts);

/* How long the SA that the peer has rekeyed waits for its Delete. */
uint64_t ike_connection_overlap_ms(const struct ike_policy *policy,
                                   const struct ike_child_terms *terms);

#endif
