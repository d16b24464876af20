#include "wire/cursor.h"

struct wire_reader wire_reader_of(struct span in)
{
    return (struct wire_reader){.in = in};
}

size_t wire_reader_left(const struct wire_reader *r)
{
    return r->in.len - r->at;
}

/* The next n bytes, or NULL (and truncated) when there are fewer. After a failure nothing is left.
 */
static const uint8_t *take(struct wire_reader *r, size_t n)
{
    const uint8_t *p;

    if (r->truncated || n > wire_reader_left(r)) {
        r->truncated = true;
        r->at = r->in.len;
        return NULL;
    }
    if (n == 0)
        return r->in.data;
    p = r->in.data + r->at;
    r->at += n;
    return p;
}

uint8_t wire_read_u8(struct wire_reader *r)
{
    const uint8_t *p = take(r, 1);

    return p != NULL ? p[0] : 0;
}

uint16_t wire_read_u16(struct wire_reader *r)
{
    const uint8_t *p = take(r, 2);

    return p != NULL ? get_be16(p) : 0;
}

uint32_t wire_read_u32(struct wire_reader *r)
{
    const uint8_t *p = take(r, 4);

    return p != NULL ? get_be32(p) : 0;
}

uint64_t wire_read_u64(struct wire_reader *r)
{
    const uint8_t *p = take(r, 8);

    return p != NULL ? get_be64(p) : 0;
}

struct span wire_read_span(struct wire_reader *r, size_t len)
{
    const uint8_t *p = take(r, len);

    return p != NULL && len > 0 ? span_of(p, len) : span_of(NULL, 0);
}

struct span wire_read_rest(struct wire_reader *r)
{
    return wire_read_span(r, wire_reader_left(r));
}

struct wire_writer wire_writer_of(uint8_t *data, size_t cap)
{
    return (struct wire_writer){.data = data, .cap = cap};
}

uint8_t *wire_write_room(struct wire_writer *w, size_t n)
{
    uint8_t *p;

    if (w->overflow || n > w->cap - w->len) {
        w->overflow = true;
        return NULL;
    }
    p = w->data + w->len;
    memset(p, 0, n);
    w->len += n;
    return p;
}

void wire_write_u8(struct wire_writer *w, uint8_t v)
{
    uint8_t *p = wire_write_room(w, 1);

    if (p != NULL)
        p[0] = v;
}

void wire_write_u16(struct wire_writer *w, uint16_t v)
{
    uint8_t *p = wire_write_room(w, 2);

    if (p != NULL)
        put_be16(p, v);
}

void wire_write_u32(struct wire_writer *w, uint32_t v)
{
    uint8_t *p = wire_write_room(w, 4);

    if (p != NULL)
        put_be32(p, v);
}

void wire_write_u64(struct wire_writer *w, uint64_t v)
{
    uint8_t *p = wire_write_room(w, 8);

    if (p != NULL)
        put_be64(p, v);
}

void wire_write_span(struct wire_writer *w, struct span bytes)
{
    uint8_t *p;

    if (bytes.len == 0)
        return;
    p = wire_write_room(w, bytes.len);
    if (p != NULL)
        memcpy(p, bytes.data, bytes.len);
}

/* Where n written bytes begin at `at`; NULL after an overflow, when offsets may lie beyond what was
 * written. */
static uint8_t *written_at(struct wire_writer *w, size_t at, size_t n)
{
    if (w->overflow)
        return NULL;
    HF_ASSERT(at <= w->len && n <= w->len - at);
    return w->data + at;
}

void wire_patch_u8(struct wire_writer *w, size_t at, uint8_t v)
{
    uint8_t *p = written_at(w, at, 1);

    if (p != NULL)
        p[0] = v;
}

void wire_patch_u16(struct wire_writer *w, size_t at, uint16_t v)
{
    uint8_t *p = written_at(w, at, 2);

    if (p != NULL)
        put_be16(p, v);
}

void wire_patch_u32(struct wire_writer *w, size_t at, uint32_t v)
{
    uint8_t *p = written_at(w, at, 4);

    if (p != NULL)
        put_be32(p, v);
}

struct span wire_written(const struct wire_writer *w)
{
    return w->overflow ? span_of(NULL, 0) : span_of(w->data, w->len);
}
