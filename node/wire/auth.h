/* Authentication payload, RFC 7296 3.8. */
#ifndef HF_WIRE_AUTH_H
#define HF_WIRE_AUTH_H

#include "wire/payload.h"

enum wire_auth_method {
    WIRE_AUTH_RSA = 1, /* PKCS #1 v1.5 with SHA-1 */
    WIRE_AUTH_PSK = 2,
    WIRE_AUTH_ECDSA_256 = 9, /* RFC 4754: r | s, the hash and the curve are fixed */
    WIRE_AUTH_ECDSA_384 = 10,
    WIRE_AUTH_ECDSA_521 = 11,
    WIRE_AUTH_SIGNATURE = 14 /* RFC 7427: signature.h */
};

struct wire_auth {
    uint8_t method;
    struct span data; /* not empty */
};

enum wire_result wire_auth_decode(struct span body, struct wire_auth *out) HF_MUST_USE;
void wire_put_auth(struct wire_builder *b, uint8_t method, struct span data);

#endif
