#include "wire/payload.h"

enum { CRITICAL_BIT = 0x80, HEADER_NEXT_AT = 16, HEADER_LENGTH_AT = 24 };

bool wire_payload_is_known(uint8_t type)
{
    return (type >= WIRE_PL_SA && type <= WIRE_PL_EAP) || type == WIRE_PL_SKF;
}

/* One generic payload; *next is the type of the following one. */
static enum wire_result take_payload(struct wire_reader *r, uint8_t type, struct wire_payload *out)
{
    uint8_t next = wire_read_u8(r);
    uint8_t flags = wire_read_u8(r);
    uint16_t length = wire_read_u16(r);
    struct span body;

    if (r->truncated)
        return WIRE_TRUNCATED;
    if (length < WIRE_PAYLOAD_HEADER_BYTES)
        return WIRE_MALFORMED;
    body = wire_read_span(r, (size_t)length - WIRE_PAYLOAD_HEADER_BYTES);
    if (r->truncated)
        return WIRE_TRUNCATED;
    *out = (struct wire_payload){
        .type = type, .critical = (flags & CRITICAL_BIT) != 0, .next = next, .body = body};
    return WIRE_OK;
}

enum wire_result wire_chain_decode(uint8_t first, struct span bytes, struct wire_chain *out,
                                   uint8_t *unsupported)
{
    struct wire_reader r = wire_reader_of(bytes);
    struct wire_chain chain;
    uint8_t type = first;
    size_t seen = 0;

    chain.n = 0;
    while (type != WIRE_PL_NONE) {
        struct wire_payload p;
        enum wire_result result = take_payload(&r, type, &p);

        if (result != WIRE_OK)
            return result;
        if (++seen > WIRE_MAX_PAYLOADS)
            return WIRE_TOO_MANY;
        if (wire_payload_is_known(type)) {
            chain.items[chain.n++] = p;
        } else if (p.critical) {
            *unsupported = type;
            return WIRE_CRITICAL;
        }
        if (type == WIRE_PL_SK || type == WIRE_PL_SKF)
            break; /* the last one: its next payload is the first inside (3.14) */
        type = p.next;
    }
    if (wire_reader_left(&r) != 0)
        return WIRE_MALFORMED;
    memcpy(out->items, chain.items, chain.n * sizeof chain.items[0]);
    out->n = chain.n;
    return WIRE_OK;
}

struct wire_builder wire_builder_message(uint8_t *room, size_t cap, const struct wire_header *h)
{
    struct wire_builder b = {.w = wire_writer_of(room, cap), .has_header = true};

    wire_write_u64(&b.w, h->spi_i);
    wire_write_u64(&b.w, h->spi_r);
    wire_write_u8(&b.w, WIRE_PL_NONE);
    wire_write_u8(&b.w, (uint8_t)(h->major << 4 | h->minor));
    wire_write_u8(&b.w, h->exchange);
    wire_write_u8(&b.w, h->flags);
    wire_write_u32(&b.w, h->message_id);
    wire_write_u32(&b.w, 0);
    b.next_at = HEADER_NEXT_AT;
    b.has_next_at = true;
    return b;
}

struct wire_builder wire_builder_chain(uint8_t *room, size_t cap)
{
    return (struct wire_builder){.w = wire_writer_of(room, cap)};
}

size_t wire_payload_begin(struct wire_builder *b, uint8_t type)
{
    size_t start = b->w.len;

    if (b->first == WIRE_PL_NONE)
        b->first = type;
    if (b->has_next_at)
        wire_patch_u8(&b->w, b->next_at, type);
    b->next_at = start;
    b->has_next_at = true;
    wire_write_u8(&b->w, WIRE_PL_NONE);
    wire_write_u8(&b->w, 0); /* critical bit: never for the payloads of RFC 7296 (2.5) */
    wire_write_u16(&b->w, 0);
    return start;
}

void wire_payload_end(struct wire_builder *b, size_t start)
{
    size_t length = b->w.len - start;

    if (length > UINT16_MAX)
        b->w.overflow = true;
    else
        wire_patch_u16(&b->w, start + 2, (uint16_t)length);
}

bool wire_builder_finish(struct wire_builder *b, struct span *out)
{
    if (b->has_header)
        wire_patch_u32(&b->w, HEADER_LENGTH_AT, (uint32_t)b->w.len);
    if (b->w.overflow || b->w.len > WIRE_MAX_MESSAGE_BYTES)
        return false;
    *out = wire_written(&b->w);
    return true;
}
