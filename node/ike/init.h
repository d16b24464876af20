/* What both roles of IKE_SA_INIT share: the message's form, NAT detection, keys. RFC
 * 7296 1.2, 2.14, 2.23. Internal to ike/. */
#ifndef HF_IKE_INIT_H
#define HF_IKE_INIT_H

#include "ike/exchange.h"
#include "ike/proposal.h"

enum { IKE_NAT_HASH_BYTES = 20 };

struct ike_init_message {
    const struct wire_sa *sa;
    uint16_t ke_id;
    struct span ke_public, nonce, cookie; /* cookie empty: none */
    bool nat_detection;
    bool hashes, certreq; /* SIGNATURE_HASH_ALGORITHMS, CERTREQ */
    const struct endpoint *local, *remote;
};

/* Writes an IKE_SA_INIT message of sa's role. False: too big, or a hash failed. */
bool ike_init_write(const struct ike_policy *policy, const struct ike_sa *sa,
                    const struct ike_init_message *m, struct ike_message *out) HF_MUST_USE;

/* Judges the peer's NAT_DETECTION notifies against the addresses that the message really had: sets
 * nat_local and nat_remote. False: the peer sent none (it does no NAT traversal), or a hash failed.
 */
bool ike_init_find_nat(const struct ike_policy *policy, struct ike_sa *sa,
                       const struct wire_header *h, const struct wire_body *body,
                       const struct ike_event *event) HF_MUST_USE;

/* Keys of sa from its handshake's nonces, its SPIs and the shared value; then the private value is
 * wiped. */
bool ike_init_keys(const struct ike_policy *policy, struct ike_sa *sa,
                   struct span shared) HF_MUST_USE;

/* A fresh transition of this exchange, begun by us or by the peer; out->after is the caller's to
 * write. */
void ike_init_transition(struct ike_transition *out, enum ike_exchange exchange,
                         enum ike_begun begun);

/* IKE_IGNORED with its reason. */
enum ike_outcome ike_init_ignore(struct ike_transition *out, enum ike_reason reason);

#endif
