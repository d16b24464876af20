#include "wire/cp.h"

enum { ATTR_RESERVED_BIT = 0x8000 };

enum wire_result wire_cp_decode(struct span body, struct wire_cp *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_cp cp = {0};

    cp.type = wire_read_u8(&r);
    (void)wire_read_span(&r, 3);
    if (r.truncated)
        return WIRE_TRUNCATED;
    while (wire_reader_left(&r) > 0) {
        struct wire_cp_attr attr;
        uint16_t length;

        attr.type = wire_read_u16(&r) & (uint16_t)~ATTR_RESERVED_BIT;
        length = wire_read_u16(&r);
        attr.value = wire_read_span(&r, length);
        if (r.truncated)
            return WIRE_TRUNCATED;
        if (!wire_cp_size_fits(attr.type, length))
            return WIRE_MALFORMED;
        if (cp.n == WIRE_MAX_CP_ATTRIBUTES)
            return WIRE_TOO_MANY;
        cp.attrs[cp.n++] = attr;
    }
    *out = cp;
    return WIRE_OK;
}

void wire_put_cp(struct wire_builder *b, const struct wire_cp *cp)
{
    size_t start = wire_payload_begin(b, WIRE_PL_CP);

    HF_ASSERT(cp->n <= WIRE_MAX_CP_ATTRIBUTES);
    wire_write_u8(&b->w, cp->type);
    (void)wire_write_room(&b->w, 3);
    for (size_t i = 0; i < cp->n; i++) {
        wire_write_u16(&b->w, cp->attrs[i].type);
        wire_write_u16(&b->w, (uint16_t)cp->attrs[i].value.len);
        wire_write_span(&b->w, cp->attrs[i].value);
    }
    wire_payload_end(b, start);
}
