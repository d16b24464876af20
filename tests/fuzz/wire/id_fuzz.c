#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_id id, again;

    if (size > FUZZ_MAX_BYTES || wire_id_decode(in, &id) != WIRE_OK)
        return 0;
    inside(in, id.data);
    HF_ASSERT(span_equal(id.body, in) && id.data.len > 0);
    HF_ASSERT((id.type != WIRE_ID_IPV4 || id.data.len == 4) &&
              (id.type != WIRE_ID_IPV6 || id.data.len == 16));
    wire_put_id(&b, WIRE_PL_IDI, id.type, id.data);
    HF_ASSERT(wire_id_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.type == id.type && span_equal(again.data, id.data));
    return 0;
}
