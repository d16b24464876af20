#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_header h, again;
    uint8_t room[WIRE_HEADER_BYTES];
    struct wire_builder b;
    struct span out;

    if (wire_header_decode(span_of(data, size), &h) != WIRE_OK)
        return 0;
    HF_ASSERT(h.length == size && h.major == WIRE_MAJOR_VERSION);
    b = wire_builder_message(room, sizeof room, &h);
    HF_ASSERT(wire_builder_finish(&b, &out));
    HF_ASSERT(wire_header_decode(out, &again) == WIRE_OK);
    HF_ASSERT(again.spi_i == h.spi_i && again.spi_r == h.spi_r && again.exchange == h.exchange &&
              again.flags == h.flags && again.message_id == h.message_id);
    return 0;
}
