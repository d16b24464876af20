#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct span nonce, again;

    if (wire_nonce_decode(in, &nonce) != WIRE_OK)
        return 0;
    inside(in, nonce);
    HF_ASSERT(nonce.len >= WIRE_NONCE_MIN_BYTES && nonce.len <= WIRE_NONCE_MAX_BYTES);
    wire_put_nonce(&b, nonce);
    HF_ASSERT(wire_nonce_decode(built_body(&b), &again) == WIRE_OK && span_equal(nonce, again));
    return 0;
}
