#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES], room2[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_builder b2 = wire_builder_chain(room2, sizeof room2);
    static struct wire_ts_list list, again;
    struct span body;

    if (size > FUZZ_MAX_BYTES || wire_ts_decode(in, &list) != WIRE_OK)
        return 0;
    HF_ASSERT(list.n <= WIRE_MAX_TS && (list.n > 0 || list.skipped));
    if (list.n == 0)
        return 0;
    for (size_t i = 0; i < list.n; i++)
        HF_ASSERT(list.items[i].low.family == list.items[i].high.family &&
                  memcmp(list.items[i].low.bytes, list.items[i].high.bytes, 16) <= 0);
    wire_put_ts(&b, WIRE_PL_TSI, &list);
    body = built_body(&b);
    HF_ASSERT(wire_ts_decode(body, &again) == WIRE_OK && again.n == list.n && !again.skipped);
    wire_put_ts(&b2, WIRE_PL_TSI, &again);
    HF_ASSERT(span_equal(body, built_body(&b2)));
    return 0;
}
