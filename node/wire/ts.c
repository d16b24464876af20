#include "wire/ts.h"

enum { TS_HEADER_BYTES = 8, PORT_ANY = 65535 };

static struct ip_addr read_addr(struct wire_reader *r, uint8_t family)
{
    struct ip_addr a = {.family = family};
    struct span bytes = wire_read_span(r, addr_len(&a));

    if (bytes.len > 0)
        memcpy(a.bytes, bytes.data, bytes.len);
    return a;
}

static enum wire_result decode_selector(struct wire_reader *in, uint8_t family, uint8_t protocol,
                                        struct wire_ts *out)
{
    struct wire_ts ts = {.protocol = protocol};
    bool opaque;

    ts.port_low = wire_read_u16(in);
    ts.port_high = wire_read_u16(in);
    ts.low = read_addr(in, family);
    ts.high = read_addr(in, family);
    if (in->truncated || wire_reader_left(in) != 0)
        return WIRE_MALFORMED;
    opaque = ts.port_low == PORT_ANY && ts.port_high == 0;
    if (ts.port_low > ts.port_high && !opaque)
        return WIRE_MALFORMED;
    if (memcmp(ts.low.bytes, ts.high.bytes, addr_len(&ts.low)) > 0)
        return WIRE_MALFORMED;
    *out = ts;
    return WIRE_OK;
}

enum wire_result wire_ts_decode(struct span body, struct wire_ts_list *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_ts_list list = {0};
    size_t count = wire_read_u8(&r);

    (void)wire_read_span(&r, 3);
    if (r.truncated)
        return WIRE_TRUNCATED;
    for (size_t i = 0; i < count; i++) {
        uint8_t type = wire_read_u8(&r);
        uint8_t protocol = wire_read_u8(&r);
        uint16_t length = wire_read_u16(&r);
        uint8_t family = type == WIRE_TS_IPV4   ? ADDR_V4
                         : type == WIRE_TS_IPV6 ? ADDR_V6
                                                : ADDR_NONE;
        struct wire_reader in;
        enum wire_result result;

        if (r.truncated)
            return WIRE_TRUNCATED;
        if (length < 4)
            return WIRE_MALFORMED;
        in = wire_reader_of(wire_read_span(&r, (size_t)length - 4));
        if (r.truncated)
            return WIRE_TRUNCATED;
        if (family == ADDR_NONE) {
            list.skipped = true;
            continue;
        }
        if (list.n == WIRE_MAX_TS)
            return WIRE_TOO_MANY;
        result = decode_selector(&in, family, protocol, &list.items[list.n]);
        if (result != WIRE_OK)
            return result;
        list.n++;
    }
    if (count == 0 || wire_reader_left(&r) != 0)
        return WIRE_MALFORMED;
    *out = list;
    return WIRE_OK;
}

void wire_put_ts(struct wire_builder *b, uint8_t payload_type, const struct wire_ts_list *list)
{
    size_t start = wire_payload_begin(b, payload_type);

    HF_ASSERT(list->n > 0 && list->n <= WIRE_MAX_TS);
    wire_write_u8(&b->w, (uint8_t)list->n);
    (void)wire_write_room(&b->w, 3);
    for (size_t i = 0; i < list->n; i++) {
        const struct wire_ts *ts = &list->items[i];
        size_t len = addr_len(&ts->low);

        HF_ASSERT(len > 0 && ts->high.family == ts->low.family);
        wire_write_u8(&b->w, ts->low.family == ADDR_V4 ? WIRE_TS_IPV4 : WIRE_TS_IPV6);
        wire_write_u8(&b->w, ts->protocol);
        wire_write_u16(&b->w, (uint16_t)(TS_HEADER_BYTES + 2 * len));
        wire_write_u16(&b->w, ts->port_low);
        wire_write_u16(&b->w, ts->port_high);
        wire_write_span(&b->w, span_of(ts->low.bytes, len));
        wire_write_span(&b->w, span_of(ts->high.bytes, len));
    }
    wire_payload_end(b, start);
}
