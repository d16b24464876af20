/* A token's bytes, as the log may hold them: what is taken is in its bounds, and is written again byte for byte. */
#include "base/assert.h"
#include "daemon/token_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_doc t = {.valid_s = 7};
    uint8_t again[TOKEN_DOC_BYTES];

    if (!token_doc_decode(span_of(data, size), &t)) {
        HF_ASSERT(t.valid_s == 7);
        return 0;
    }
    HF_ASSERT(t.role >= TOKEN_VIEWER && t.role <= TOKEN_DRILL);
    HF_ASSERT(t.valid_s >= 1 && t.valid_s <= TOKEN_MOST_VALID_S && t.name[0] != '\0');
    HF_ASSERT(token_doc_encode(&t, again) == size && memcmp(again, data, size) == 0);
    HF_ASSERT(token_doc_ended(&t, UINT64_MAX, 0) && token_doc_ended(&t, 0, UINT64_MAX));
    HF_ASSERT(!token_doc_ended(&t, t.created_ms, t.created_s));
    return 0;
}
