#include "wire/auth.h"

enum wire_result wire_auth_decode(struct span body, struct wire_auth *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_auth auth;

    auth.method = wire_read_u8(&r);
    (void)wire_read_span(&r, 3);
    auth.data = wire_read_rest(&r);
    if (r.truncated)
        return WIRE_TRUNCATED;
    if (auth.data.len == 0)
        return WIRE_MALFORMED;
    *out = auth;
    return WIRE_OK;
}

void wire_put_auth(struct wire_builder *b, uint8_t method, struct span data)
{
    size_t start = wire_payload_begin(b, WIRE_PL_AUTH);

    wire_write_u8(&b->w, method);
    (void)wire_write_room(&b->w, 3);
    wire_write_span(&b->w, data);
    wire_payload_end(b, start);
}
