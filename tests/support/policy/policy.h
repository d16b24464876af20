/* The policy that tests begin with: the product's defaults, one suite, no identity and no secret.
 * What a test, a trace or a test program wants otherwise it changes, and says so there. */
#ifndef HF_TEST_POLICY_H
#define HF_TEST_POLICY_H

#include "ike/policy.h"

/* IANA numbers of the one suite. */
enum { POLICY_AES_GCM_16 = 20, POLICY_PRF_SHA256 = 5, POLICY_X25519 = 31 };

/* AES-GCM-16 with 256 bits and PRF-HMAC-SHA-256, X25519; ESP the same, with X25519 and without; 24 h
 * and 4 h; everything of 10.77.2.0/24; encapsulation forced. psks and local_id are the caller's. */
void test_policy_init(struct ike_policy *p);

/* An identity of that type (RFC 7296 3.5: 2 FQDN, 3 RFC822 address); text: 1 to IKE_MAX_ID_BYTES
 * bytes. */
struct ike_identity test_policy_identity(uint8_t type, const char *text);

#endif
