#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES], room2[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_builder b2 = wire_builder_chain(room2, sizeof room2);
    static struct wire_sa sa, again;
    struct span body;

    if (size > FUZZ_MAX_BYTES || wire_sa_decode(in, &sa) != WIRE_OK)
        return 0;
    HF_ASSERT(sa.n_proposals > 0 && sa.n_proposals <= WIRE_MAX_PROPOSALS &&
              sa.n_transforms <= WIRE_MAX_TRANSFORMS);
    for (size_t i = 0; i < sa.n_proposals; i++) {
        inside(in, sa.proposals[i].spi);
        HF_ASSERT(sa.proposals[i].n > 0 &&
                  sa.proposals[i].first + sa.proposals[i].n <= sa.n_transforms);
    }
    wire_put_sa(&b, &sa);
    body = built_body(&b);
    HF_ASSERT(wire_sa_decode(body, &again) == WIRE_OK);
    wire_put_sa(&b2, &again);
    HF_ASSERT(span_equal(body, built_body(&b2)));
    return 0;
}
