#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_auth auth, again;

    if (size > FUZZ_MAX_BYTES || wire_auth_decode(in, &auth) != WIRE_OK)
        return 0;
    inside(in, auth.data);
    wire_put_auth(&b, auth.method, auth.data);
    HF_ASSERT(wire_auth_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.method == auth.method && span_equal(again.data, auth.data));
    return 0;
}
