/* The generic chain: the first byte of the input is the type of the first payload. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in;
    struct wire_chain chain;
    uint8_t unsupported = 0;
    enum wire_result result;

    if (size == 0)
        return 0;
    in = span_of(data + 1, size - 1);
    result = wire_chain_decode(data[0], in, &chain, &unsupported);
    if (result == WIRE_CRITICAL)
        HF_ASSERT(unsupported < WIRE_PL_SA || unsupported > WIRE_PL_EAP);
    if (result != WIRE_OK)
        return 0;
    HF_ASSERT(chain.n <= WIRE_MAX_PAYLOADS);
    for (size_t i = 0; i < chain.n; i++) {
        inside(in, chain.items[i].body);
        HF_ASSERT(chain.items[i].type != WIRE_PL_SK || i + 1 == chain.n);
    }
    return 0;
}
