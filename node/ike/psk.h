/* Authentication by a shared key, RFC 7296 2.15: whose key, our AUTH value, the peer's.
 *
 * An identity that is not known costs the same work as a wrong key and gets the same answer.
 */
#ifndef HF_IKE_PSK_H
#define HF_IKE_PSK_H

#include "ike/state.h"
#include "wire/auth.h"
#include "wire/id.h"

/* The entry for an identity (type and data equal byte for byte), or NULL. Walks all entries, found
 * or not. */
const struct ike_psk_entry *ike_psk_find(const struct ike_policy *policy, uint8_t type,
                                         struct span data);

/* Whom an initiator expects at this address: the entry whose identity is that address, else the
 * first. NULL: no entries. */
const struct ike_psk_entry *ike_psk_expect(const struct ike_policy *policy,
                                           const struct ip_addr *remote);

/* Our AUTH value with this key over sa->handshake's messages. False: an algorithm failed. */
bool ike_psk_sign(const struct ike_policy *policy, const struct ike_sa *sa,
                  const struct secret *psk, uint8_t out[SUITE_PRF_MAX_BYTES],
                  size_t *len) HF_MUST_USE;

/* Does the peer's AUTH payload hold for this identity? entry NULL: works as long, false. Constant
 * time in the value. */
bool ike_psk_verify(const struct ike_policy *policy, const struct ike_sa *sa,
                    const struct ike_psk_entry *entry, const struct wire_id *id,
                    const struct wire_auth *auth) HF_MUST_USE;

#endif
