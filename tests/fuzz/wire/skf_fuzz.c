/* The first three bytes are the payload's next payload field and the sizes of IV and ICV, as a suite
 * would say them; then the body of an SKF payload. */
#include "fuzz.h"

#include "wire/skf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_skf skf, again;
    struct wire_sk_room put;
    struct span in;
    size_t iv, icv;

    if (size < 3 || size > FUZZ_MAX_BYTES)
        return 0;
    iv = data[1] % 33u;
    icv = data[2] % 33u;
    in = span_of(data + 3, size - 3);
    if (wire_skf_split(data[0], in, iv, icv, &skf) != WIRE_OK)
        return 0;
    inside(in, skf.sk.iv);
    inside(in, skf.sk.ciphertext);
    inside(in, skf.sk.icv);
    HF_ASSERT(skf.number >= 1 && skf.number <= skf.total && skf.sk.ciphertext.len > 0);
    HF_ASSERT(skf.number == 1 || skf.inner_first == WIRE_PL_NONE);
    put = wire_put_skf(&b, &skf, iv, skf.sk.ciphertext.len - 1, icv);
    HF_ASSERT(put.ciphertext != NULL && put.aad_bytes == 8);
    HF_ASSERT(wire_skf_split(room[0], built_body(&b), iv, icv, &again) == WIRE_OK);
    HF_ASSERT(again.number == skf.number && again.total == skf.total &&
              again.inner_first == skf.inner_first &&
              again.sk.ciphertext.len == skf.sk.ciphertext.len);
    return 0;
}
