/* Authentication payload, RFC 7296 3.8. */
#ifndef HF_WIRE_AUTH_H
#define HF_WIRE_AUTH_H

#include "wire/payload.h"

enum wire_auth_method { WIRE_AUTH_RSA = 1, WIRE_AUTH_PSK = 2, WIRE_AUTH_SIGNATURE = 14 };

struct wire_auth {
    uint8_t method;
    struct span data; /* not empty */
};

enum wire_result wire_auth_decode(struct span body, struct wire_auth *out) HF_MUST_USE;
void wire_put_auth(struct wire_builder *b, uint8_t method, struct span data);

#endif
