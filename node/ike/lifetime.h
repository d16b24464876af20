/* Soft and hard limits of SAs, in cluster time, packets and bytes. Pure arithmetic; who acts on a
 * limit is timer.c.
 *
 *   created ───────── soft - jitter ──── soft ───────────── hard
 *                     a rekey begins somewhere here          the SA is gone, whatever else failed
 *
 * The soft limit depends on who began the SA, so that both ends do not rekey at once, and moves
 * earlier by a random share, so that SAs made together do not rekey together. RFC 7296 2.8. So do
 * configured soft limits by packets and bytes: they run at both ends alike. SAs made
 * in a crowd (a cluster's clients come back together) are rekeyed anywhere in their life, once: that
 * dissolves the crowd.
 */
#ifndef HF_IKE_LIFETIME_H
#define HF_IKE_LIFETIME_H

#include "ike/policy.h"
#include "ike/state.h"

/* Sequence numbers that a CHILD SA without ESN may use: far enough below 2^32 that every
 * outstanding reservation fits (I1c). */
enum { IKE_CHILD_PACKET_RESERVE = 1 << 20 };

/* An SA's start. */
struct ike_start {
    uint64_t now_ms;
    const uint8_t *entropy; /* 8 random bytes */
    bool crowded;           /* many start now */
};

/* When a soft limit is reached for an SA that lives life->hard_ms from the start; UINT64_MAX for
 * hard_ms 0 (no limit). */
uint64_t ike_lifetime_soft_ms(const struct ike_lifetime *life, enum ike_begun begun,
                              const struct ike_start *start);
/* now_ms + life->hard_ms; UINT64_MAX for 0. */
uint64_t ike_lifetime_hard_ms(const struct ike_lifetime *life, uint64_t now_ms);

/* Sets created, soft and hard of an IKE SA that is established now, by its connection's terms. */
void ike_lifetime_start_sa(const struct ike_policy *policy, struct ike_sa *sa, enum ike_begun begun,
                           const struct ike_start *start);
/* Sets created, soft and hard, and the limits by packets and bytes, of a CHILD SA that is made now
 * (begun, esn and encr_id are set). */
void ike_lifetime_start_child(const struct ike_child_terms *terms, struct ike_child *child,
                              const struct ike_start *start);

/* Bytes of inner packets that one key of this cipher may protect in one direction; UINT64_MAX: the
 * count of packets comes first. */
uint64_t ike_lifetime_cipher_bytes(uint16_t encr_id);

/* How long to wait before a refused rekey is tried again: 5 to 15 s, from 8 random bytes (RFC
 * 7296 2.25: not at once). */
uint64_t ike_lifetime_retry_ms(const uint8_t entropy[8]);

#endif
