#include "wire/der.h"

/* X.690 10.1: the shortest form; more than 65535 bytes do not come in a message. */
static bool take_length(struct wire_reader *r, size_t *len)
{
    uint8_t first = wire_read_u8(r);

    if (first < 0x80) {
        *len = first;
        return true;
    }
    if (first == 0x81) {
        *len = wire_read_u8(r);
        return *len >= 0x80;
    }
    if (first == 0x82) {
        *len = wire_read_u16(r);
        return *len >= 0x100;
    }
    return false;
}

bool der_take(struct wire_reader *r, uint8_t tag, struct span *content)
{
    size_t len = 0;

    if (wire_read_u8(r) != tag || !take_length(r, &len) || r->truncated)
        return false;
    *content = wire_read_span(r, len);
    return !r->truncated;
}

bool der_next_is(const struct wire_reader *r, uint8_t tag)
{
    struct wire_reader ahead = *r;

    return wire_reader_left(r) > 0 && wire_read_u8(&ahead) == tag;
}
