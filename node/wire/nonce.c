#include "wire/nonce.h"

enum wire_result wire_nonce_decode(struct span body, struct span *nonce)
{
    if (body.len < WIRE_NONCE_MIN_BYTES || body.len > WIRE_NONCE_MAX_BYTES)
        return WIRE_MALFORMED;
    *nonce = body;
    return WIRE_OK;
}

void wire_put_nonce(struct wire_builder *b, struct span nonce)
{
    size_t start = wire_payload_begin(b, WIRE_PL_NONCE);

    wire_write_span(&b->w, nonce);
    wire_payload_end(b, start);
}
