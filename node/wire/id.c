#include "wire/id.h"

/* The length is judged here, long before anything is authenticated. */
static bool length_fits(uint8_t type, size_t len)
{
    if (type == WIRE_ID_IPV4)
        return len == 4;
    if (type == WIRE_ID_IPV6)
        return len == 16;
    return len > 0;
}

enum wire_result wire_id_decode(struct span body, struct wire_id *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_id id = {.body = body};

    id.type = wire_read_u8(&r);
    (void)wire_read_span(&r, 3);
    id.data = wire_read_rest(&r);
    if (r.truncated)
        return WIRE_TRUNCATED;
    if (!length_fits(id.type, id.data.len))
        return WIRE_MALFORMED;
    *out = id;
    return WIRE_OK;
}

void wire_put_id(struct wire_builder *b, uint8_t payload_type, uint8_t id_type, struct span data)
{
    size_t start = wire_payload_begin(b, payload_type);

    wire_write_u8(&b->w, id_type);
    (void)wire_write_room(&b->w, 3);
    wire_write_span(&b->w, data);
    wire_payload_end(b, start);
}
