/* Nonce payload, RFC 7296 3.9: 16 to 256 bytes, checked. */
#ifndef HF_WIRE_NONCE_H
#define HF_WIRE_NONCE_H

#include "wire/payload.h"

enum { WIRE_NONCE_MIN_BYTES = 16, WIRE_NONCE_MAX_BYTES = 256 };

enum wire_result wire_nonce_decode(struct span body, struct span *nonce) HF_MUST_USE;
void wire_put_nonce(struct wire_builder *b, struct span nonce);

#endif
