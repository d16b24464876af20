#include "wire/sa.h"

enum { MORE_PROPOSALS = 2, MORE_TRANSFORMS = 3, ATTR_FORMAT_TV = 0x8000 };
enum { PROPOSAL_HEADER_BYTES = 8, TRANSFORM_HEADER_BYTES = 8 };

/* Attributes, RFC 7296 3.3.5: Key Length in the short form is the only one that is defined. */
static enum wire_result decode_attributes(struct span bytes, struct wire_transform *t)
{
    struct wire_reader r = wire_reader_of(bytes);

    while (wire_reader_left(&r) > 0) {
        uint16_t type = wire_read_u16(&r);
        uint16_t value = wire_read_u16(&r); /* or the length of the long form */

        if (r.truncated)
            return WIRE_TRUNCATED;
        if ((type & ATTR_FORMAT_TV) == 0) {
            (void)wire_read_span(&r, value);
            if (r.truncated)
                return WIRE_TRUNCATED;
            t->unknown_attribute = true;
        } else if ((type & ~ATTR_FORMAT_TV) != WIRE_ATTR_KEY_LENGTH) {
            t->unknown_attribute = true;
        } else if (t->key_bits != 0 || value == 0) {
            return WIRE_MALFORMED;
        } else {
            t->key_bits = value;
        }
    }
    return WIRE_OK;
}

static enum wire_result decode_transform(struct wire_reader *r, bool last, struct wire_sa *sa)
{
    struct wire_transform t = {0};
    uint8_t more = wire_read_u8(r);
    uint16_t length;
    struct span attributes;
    enum wire_result result;

    (void)wire_read_u8(r);
    length = wire_read_u16(r);
    t.type = wire_read_u8(r);
    (void)wire_read_u8(r);
    t.id = wire_read_u16(r);
    if (r->truncated)
        return WIRE_TRUNCATED;
    if (more != (last ? 0 : MORE_TRANSFORMS) || length < TRANSFORM_HEADER_BYTES)
        return WIRE_MALFORMED;
    attributes = wire_read_span(r, (size_t)length - TRANSFORM_HEADER_BYTES);
    if (r->truncated)
        return WIRE_TRUNCATED;
    result = decode_attributes(attributes, &t);
    if (result != WIRE_OK)
        return result;
    if (sa->n_transforms == WIRE_MAX_TRANSFORMS)
        return WIRE_TOO_MANY;
    sa->transforms[sa->n_transforms++] = t;
    return WIRE_OK;
}

/* One proposal and its transforms; *more tells whether another follows. */
static enum wire_result decode_proposal(struct wire_reader *r, struct wire_sa *sa, bool *more)
{
    struct wire_proposal p = {.first = sa->n_transforms};
    uint8_t more_byte = wire_read_u8(r);
    uint16_t length;
    uint8_t spi_bytes;
    struct wire_reader in;

    (void)wire_read_u8(r);
    length = wire_read_u16(r);
    if (r->truncated)
        return WIRE_TRUNCATED;
    if ((more_byte != 0 && more_byte != MORE_PROPOSALS) || length < PROPOSAL_HEADER_BYTES)
        return WIRE_MALFORMED;
    in = wire_reader_of(wire_read_span(r, (size_t)length - 4));
    if (r->truncated)
        return WIRE_TRUNCATED;
    p.number = wire_read_u8(&in);
    p.protocol = wire_read_u8(&in);
    spi_bytes = wire_read_u8(&in);
    p.n = wire_read_u8(&in);
    p.spi = wire_read_span(&in, spi_bytes);
    if (in.truncated)
        return WIRE_TRUNCATED;
    if (p.n == 0 || (spi_bytes != 0 && spi_bytes != 4 && spi_bytes != 8))
        return WIRE_MALFORMED;
    for (size_t i = 0; i < p.n; i++) {
        enum wire_result result = decode_transform(&in, i + 1 == p.n, sa);

        if (result != WIRE_OK)
            return result;
    }
    if (wire_reader_left(&in) != 0)
        return WIRE_MALFORMED;
    if (sa->n_proposals == WIRE_MAX_PROPOSALS)
        return WIRE_TOO_MANY;
    sa->proposals[sa->n_proposals++] = p;
    *more = more_byte == MORE_PROPOSALS;
    return WIRE_OK;
}

enum wire_result wire_sa_decode(struct span body, struct wire_sa *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_sa sa = {0};
    bool more = true;

    while (more) {
        enum wire_result result = decode_proposal(&r, &sa, &more);

        if (result != WIRE_OK)
            return result;
    }
    if (wire_reader_left(&r) != 0)
        return WIRE_MALFORMED;
    *out = sa;
    return WIRE_OK;
}

static void put_transform(struct wire_writer *w, const struct wire_transform *t, bool last)
{
    wire_write_u8(w, last ? 0 : MORE_TRANSFORMS);
    wire_write_u8(w, 0);
    wire_write_u16(w, (uint16_t)(TRANSFORM_HEADER_BYTES + (t->key_bits != 0 ? 4 : 0)));
    wire_write_u8(w, t->type);
    wire_write_u8(w, 0);
    wire_write_u16(w, t->id);
    if (t->key_bits != 0) {
        wire_write_u16(w, ATTR_FORMAT_TV | WIRE_ATTR_KEY_LENGTH);
        wire_write_u16(w, t->key_bits);
    }
}

void wire_put_sa(struct wire_builder *b, const struct wire_sa *sa)
{
    size_t start = wire_payload_begin(b, WIRE_PL_SA);

    for (size_t i = 0; i < sa->n_proposals; i++) {
        const struct wire_proposal *p = &sa->proposals[i];
        size_t at = b->w.len;

        wire_write_u8(&b->w, i + 1 == sa->n_proposals ? 0 : MORE_PROPOSALS);
        wire_write_u8(&b->w, 0);
        wire_write_u16(&b->w, 0);
        wire_write_u8(&b->w, p->number);
        wire_write_u8(&b->w, p->protocol);
        wire_write_u8(&b->w, (uint8_t)p->spi.len);
        wire_write_u8(&b->w, (uint8_t)p->n);
        wire_write_span(&b->w, p->spi);
        for (size_t j = 0; j < p->n; j++)
            put_transform(&b->w, &sa->transforms[p->first + j], j + 1 == p->n);
        wire_patch_u16(&b->w, at + 2, (uint16_t)(b->w.len - at));
    }
    wire_payload_end(b, start);
}

void wire_sa_add_proposal(struct wire_sa *sa, uint8_t number, uint8_t protocol, struct span spi)
{
    HF_ASSERT(sa->n_proposals < WIRE_MAX_PROPOSALS && spi.len <= WIRE_MAX_SPI_BYTES);
    sa->proposals[sa->n_proposals++] = (struct wire_proposal){
        .number = number, .protocol = protocol, .spi = spi, .first = sa->n_transforms};
}

void wire_sa_add_transform(struct wire_sa *sa, uint8_t type, uint16_t id, uint16_t key_bits)
{
    HF_ASSERT(sa->n_proposals > 0 && sa->n_transforms < WIRE_MAX_TRANSFORMS);
    sa->transforms[sa->n_transforms++] =
        (struct wire_transform){.type = type, .id = id, .key_bits = key_bits};
    sa->proposals[sa->n_proposals - 1].n++;
    HF_ASSERT(sa->proposals[sa->n_proposals - 1].n <= UINT8_MAX);
}
