#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    static struct wire_cp cp, again;

    if (size > FUZZ_MAX_BYTES || wire_cp_decode(in, &cp) != WIRE_OK)
        return 0;
    HF_ASSERT(cp.n <= WIRE_MAX_CP_ATTRIBUTES);
    wire_put_cp(&b, &cp);
    HF_ASSERT(wire_cp_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.type == cp.type && again.n == cp.n);
    for (size_t i = 0; i < cp.n; i++) {
        inside(in, cp.attrs[i].value);
        HF_ASSERT(again.attrs[i].type == cp.attrs[i].type && cp.attrs[i].type < 0x8000 &&
                  span_equal(again.attrs[i].value, cp.attrs[i].value));
    }
    return 0;
}
