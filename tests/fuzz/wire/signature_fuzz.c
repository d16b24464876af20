/* AUTH data of method 14: what decodes to a known way of signing decodes to the same when it is
 * written by us. */
#include "fuzz.h"
#include "wire/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_signature s, again;
    struct wire_auth auth;

    (void)wire_hashes_decode(in);
    if (size > FUZZ_MAX_BYTES || wire_signature_decode(in, &s) != WIRE_OK)
        return 0;
    inside(in, s.value);
    HF_ASSERT(s.scheme <= WIRE_SCHEME_EDDSA && (s.hash == 0) == (s.scheme == WIRE_SCHEME_UNKNOWN));
    if (s.scheme == WIRE_SCHEME_UNKNOWN)
        return 0;
    wire_put_auth_signature(&b, &s);
    HF_ASSERT(wire_auth_decode(built_body(&b), &auth) == WIRE_OK);
    HF_ASSERT(wire_signature_decode(auth.data, &again) == WIRE_OK);
    HF_ASSERT(again.scheme == s.scheme && again.hash == s.hash && span_equal(again.value, s.value));
    return 0;
}
