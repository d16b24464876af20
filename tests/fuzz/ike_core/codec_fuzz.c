/* Whatever decodes is canonical: it encodes to the very bytes that it came from. */
#include "plain_suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    static struct ike_sa sa;
    size_t len;

    if (!ike_sa_decode(span_of(data, size), &sa))
        return 0;
    HF_ASSERT(ike_sa_encode_as(&sa, data[0], bytes, sizeof bytes, &len));
    HF_ASSERT(len == size && memcmp(bytes, data, size) == 0);
    return 0;
}
