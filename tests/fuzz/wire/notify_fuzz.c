#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_notify n, again;

    if (size > FUZZ_MAX_BYTES || wire_notify_decode(in, &n) != WIRE_OK)
        return 0;
    inside(in, n.spi);
    inside(in, n.data);
    HF_ASSERT(n.spi.len <= WIRE_MAX_SPI_BYTES);
    HF_ASSERT(wire_notify_size_fits(n.type, n.data.len));
    HF_ASSERT(n.type != WIRE_N_COOKIE || (n.data.len > 0 && n.data.len <= WIRE_COOKIE_MAX_BYTES));
    wire_put_notify(&b, &n);
    HF_ASSERT(wire_notify_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.type == n.type && again.protocol == n.protocol &&
              span_equal(again.spi, n.spi) && span_equal(again.data, n.data));
    return 0;
}
