#include "wire/notify.h"

#include "wire/sa.h"

enum wire_result wire_notify_decode(struct span body, struct wire_notify *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_notify n;
    uint8_t spi_bytes;

    n.protocol = wire_read_u8(&r);
    spi_bytes = wire_read_u8(&r);
    n.type = wire_read_u16(&r);
    n.spi = wire_read_span(&r, spi_bytes);
    n.data = wire_read_rest(&r);
    if (r.truncated)
        return WIRE_TRUNCATED;
    if (spi_bytes != 0 && spi_bytes != 4 && spi_bytes != 8)
        return WIRE_MALFORMED;
    if (!wire_notify_size_fits(n.type, n.data.len))
        return WIRE_MALFORMED;
    *out = n;
    return WIRE_OK;
}

void wire_put_notify(struct wire_builder *b, const struct wire_notify *n)
{
    size_t start = wire_payload_begin(b, WIRE_PL_NOTIFY);

    wire_write_u8(&b->w, n->protocol);
    wire_write_u8(&b->w, (uint8_t)n->spi.len);
    wire_write_u16(&b->w, n->type);
    wire_write_span(&b->w, n->spi);
    wire_write_span(&b->w, n->data);
    wire_payload_end(b, start);
}

void wire_put_notify_plain(struct wire_builder *b, uint16_t type, struct span data)
{
    const struct wire_notify n = {.type = type, .data = data};

    wire_put_notify(b, &n);
}

void wire_put_notify_esp(struct wire_builder *b, uint16_t type, uint32_t spi)
{
    uint8_t bytes[4] = {0};
    const struct wire_notify n = {
        .protocol = WIRE_PROTO_ESP, .spi = span_of(bytes, sizeof bytes), .type = type};

    put_be32(bytes, spi);
    wire_put_notify(b, &n);
}
