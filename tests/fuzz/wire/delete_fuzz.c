#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    static uint32_t spis[UINT16_MAX];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_delete d, again;

    if (size > FUZZ_MAX_BYTES || wire_delete_decode(in, &d) != WIRE_OK)
        return 0;
    inside(in, d.spis);
    for (size_t i = 0; i < d.n_spis; i++)
        spis[i] = wire_delete_spi(&d, i);
    if (d.protocol == WIRE_PROTO_IKE)
        wire_put_delete_ike(&b);
    else
        wire_put_delete_spis(&b, d.protocol, spis, d.n_spis);
    HF_ASSERT(wire_delete_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.protocol == d.protocol && again.n_spis == d.n_spis &&
              span_equal(again.spis, d.spis));
    return 0;
}
