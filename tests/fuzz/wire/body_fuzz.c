/* A whole message: header, then all payloads; SK is refused here (ike/message.c opens it). */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_body body;
    const struct span in = span_of(data, size);
    struct wire_header h;

    if (wire_header_decode(in, &h) != WIRE_OK)
        return 0;
    if (wire_body_decode(h.next_payload,
                         span_of(data + WIRE_HEADER_BYTES, size - WIRE_HEADER_BYTES),
                         &body) != WIRE_OK)
        return 0;
    HF_ASSERT(body.n_notifies <= WIRE_MAX_PAYLOADS && body.n_deletes <= WIRE_MAX_DELETES);
    inside(in, body.nonce);
    inside(in, body.ke.value);
    inside(in, body.idi.body);
    inside(in, body.auth.data);
    inside(in, body.eap.message);
    HF_ASSERT(body.n_vendor_ids <= WIRE_MAX_VENDOR_IDS);
    for (size_t i = 0; i < body.n_vendor_ids; i++)
        inside(in, body.vendor_ids[i]);
    for (size_t i = 0; i < body.n_notifies; i++)
        inside(in, body.notifies[i].data);
    return 0;
}
