#include "fuzz.h"

#include "wire/natt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span in = span_of(data, size);
    struct span inner = {0};
    enum wire_natt kind = wire_natt_classify(in, &inner);

    inside(in, inner);
    HF_ASSERT(kind != WIRE_NATT_IKE || inner.len == size - WIRE_MARKER_BYTES);
    HF_ASSERT(kind != WIRE_NATT_ESP || inner.len == size);
    HF_ASSERT((kind == WIRE_NATT_KEEPALIVE) == (size == 1 && data[0] == WIRE_KEEPALIVE_BYTE));
    return 0;
}
