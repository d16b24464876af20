#include "wire/eap.h"

enum { EAP_HEADER_BYTES = 4 };

enum wire_result wire_eap_decode(struct span body, struct wire_eap *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_eap eap = {.message = body};
    uint16_t length;

    eap.code = wire_read_u8(&r);
    eap.identifier = wire_read_u8(&r);
    length = wire_read_u16(&r);
    if (r.truncated || length > body.len)
        return WIRE_TRUNCATED;
    if (length != body.len)
        return WIRE_MALFORMED;
    if (eap.code == WIRE_EAP_SUCCESS || eap.code == WIRE_EAP_FAILURE) {
        if (length != EAP_HEADER_BYTES)
            return WIRE_MALFORMED;
    } else if (eap.code == WIRE_EAP_REQUEST || eap.code == WIRE_EAP_RESPONSE) {
        eap.type = wire_read_u8(&r);
        if (r.truncated || eap.type == 0)
            return WIRE_MALFORMED;
        eap.data = wire_read_rest(&r);
    } else {
        return WIRE_MALFORMED;
    }
    *out = eap;
    return WIRE_OK;
}

void wire_put_eap(struct wire_builder *b, struct span message)
{
    size_t start = wire_payload_begin(b, WIRE_PL_EAP);

    wire_write_span(&b->w, message);
    wire_payload_end(b, start);
}
