#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_ke ke, again;

    if (size > FUZZ_MAX_BYTES || wire_ke_decode(in, &ke) != WIRE_OK)
        return 0;
    inside(in, ke.value);
    wire_put_ke(&b, ke.group, ke.value);
    HF_ASSERT(wire_ke_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.group == ke.group && span_equal(again.value, ke.value));
    return 0;
}
