#include "wire/ke.h"

enum wire_result wire_ke_decode(struct span body, struct wire_ke *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_ke ke;

    ke.group = wire_read_u16(&r);
    (void)wire_read_u16(&r);
    ke.value = wire_read_rest(&r);
    if (r.truncated)
        return WIRE_TRUNCATED;
    if (ke.value.len == 0)
        return WIRE_MALFORMED;
    *out = ke;
    return WIRE_OK;
}

void wire_put_ke(struct wire_builder *b, uint16_t group, struct span value)
{
    size_t start = wire_payload_begin(b, WIRE_PL_KE);

    wire_write_u16(&b->w, group);
    wire_write_u16(&b->w, 0);
    wire_write_span(&b->w, value);
    wire_payload_end(b, start);
}
