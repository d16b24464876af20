#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_eap eap, again;

    if (size > FUZZ_MAX_BYTES || wire_eap_decode(in, &eap) != WIRE_OK)
        return 0;
    inside(in, eap.data);
    HF_ASSERT(span_equal(eap.message, in) && eap.code >= WIRE_EAP_REQUEST &&
              eap.code <= WIRE_EAP_FAILURE);
    HF_ASSERT((eap.type != 0) == (eap.code <= WIRE_EAP_RESPONSE));
    wire_put_eap(&b, eap.message);
    HF_ASSERT(wire_eap_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.code == eap.code && again.identifier == eap.identifier &&
              again.type == eap.type && span_equal(again.data, eap.data));
    return 0;
}
