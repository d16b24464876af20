/* What stands in AUTH by method 14 (RFC 7427 3): the length of an ASN.1 AlgorithmIdentifier, it, and
 * the signature. And the list of hashes in SIGNATURE_HASH_ALGORITHMS (RFC 7427 4).
 *
 * The AlgorithmIdentifier is read strictly (DER, shortest lengths, nothing behind): RSA with SHA-2
 * (parameters NULL or absent, RFC 4055 5), ECDSA (absent, RFC 5758 3.2), Ed25519 (absent, RFC 8410
 * 3), RSASSA-PSS with one hash for message and MGF1, a salt as long as the hash, trailer 1. What is
 * well-formed but none of these is WIRE_SCHEME_UNKNOWN.
 */
#ifndef HF_WIRE_SIGNATURE_H
#define HF_WIRE_SIGNATURE_H

#include "wire/payload.h"

enum wire_scheme {
    WIRE_SCHEME_UNKNOWN,
    WIRE_SCHEME_RSA_PKCS1,
    WIRE_SCHEME_RSA_PSS,
    WIRE_SCHEME_ECDSA,
    WIRE_SCHEME_EDDSA
};

/* IANA "IKEv2 Hash Algorithms" (RFC 7427 7, RFC 8420 3). SHA-1 is known, never announced. */
enum wire_hash {
    WIRE_HASH_SHA1 = 1,
    WIRE_HASH_SHA256 = 2,
    WIRE_HASH_SHA384 = 3,
    WIRE_HASH_SHA512 = 4,
    WIRE_HASH_IDENTITY = 5
};

enum { WIRE_ALGORITHM_MAX_BYTES = 72 }; /* of those written here */

struct wire_signature {
    uint8_t scheme; /* enum wire_scheme */
    uint8_t hash;   /* enum wire_hash; 0 with WIRE_SCHEME_UNKNOWN */
    struct span value;
};

/* data: an AUTH payload's, of method 14. */
enum wire_result wire_signature_decode(struct span data, struct wire_signature *out) HF_MUST_USE;

/* The whole AUTH payload of method 14. The scheme and hash must be ones that decode (asserted). */
void wire_put_auth_signature(struct wire_builder *b, const struct wire_signature *s);

/* SIGNATURE_HASH_ALGORITHMS: two bytes each. Bit n of the result = hash n, for n below 16; others
 * pass. An odd byte at the end is ignored: the notify only widens what may be used. */
uint16_t wire_hashes_decode(struct span data);

#endif
