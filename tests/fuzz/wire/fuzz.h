/* What every wire fuzz target checks: decoded spans lie inside the input, and what was decoded and
 * encoded again decodes to the same bytes. A finding is an assertion or a sanitizer's report.
 */
#ifndef TEST_FUZZ_WIRE_H
#define TEST_FUZZ_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void inside(struct span in, struct span part)
{
    if (part.len == 0)
        return;
    HF_ASSERT(part.data >= in.data && part.len <= in.len &&
              (size_t)(part.data - in.data) <= in.len - part.len);
}

/* What was built, without the generic header of its only payload. */
static inline struct span built_body(struct wire_builder *b)
{
    struct span whole;
    bool fits = wire_builder_finish(b, &whole);

    HF_ASSERT(fits && whole.len >= WIRE_PAYLOAD_HEADER_BYTES);
    return span_of(whole.data + WIRE_PAYLOAD_HEADER_BYTES, whole.len - WIRE_PAYLOAD_HEADER_BYTES);
}

enum { FUZZ_MAX_BYTES = 60000 }; /* larger inputs do not fit in a payload again */

#endif
