/* The first two bytes are the sizes of IV and ICV, as a suite would say them; then the body of an
 * SK payload. */
#include "fuzz.h"

#include "wire/sk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_sk sk;
    struct span in, payloads;

    if (size < 2)
        return 0;
    in = span_of(data + 2, size - 2);
    if (wire_sk_split(in, data[0] % 33u, data[1] % 33u, &sk) != WIRE_OK)
        return 0;
    inside(in, sk.iv);
    inside(in, sk.ciphertext);
    inside(in, sk.icv);
    HF_ASSERT(sk.iv.len + sk.ciphertext.len + sk.icv.len == in.len && sk.ciphertext.len > 0);
    if (wire_sk_unpad(sk.ciphertext, &payloads) == WIRE_OK) {
        inside(sk.ciphertext, payloads);
        HF_ASSERT(payloads.len < sk.ciphertext.len);
    }
    return 0;
}
