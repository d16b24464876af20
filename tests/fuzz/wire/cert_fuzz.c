/* CERT and CERTREQ bodies. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_certreq req, req_again;
    struct wire_cert cert, again;

    if (size > FUZZ_MAX_BYTES)
        return 0;
    if (wire_cert_decode(in, &cert) == WIRE_OK) {
        inside(in, cert.data);
        wire_put_cert(&b, cert.encoding, cert.data);
        HF_ASSERT(wire_cert_decode(built_body(&b), &again) == WIRE_OK);
        HF_ASSERT(again.encoding == cert.encoding && span_equal(again.data, cert.data));
    }
    if (wire_certreq_decode(in, &req) == WIRE_OK) {
        inside(in, req.hashes);
        b = wire_builder_chain(room, sizeof room);
        wire_put_certreq(&b, req.encoding, req.hashes);
        HF_ASSERT(wire_certreq_decode(built_body(&b), &req_again) == WIRE_OK);
        HF_ASSERT(span_equal(req_again.hashes, req.hashes));
    }
    return 0;
}
