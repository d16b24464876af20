#include "wire/skf.h"

enum wire_result wire_skf_split(uint8_t next, struct span body, size_t iv_bytes, size_t icv_bytes,
                                struct wire_skf *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_skf f = {.inner_first = next};
    enum wire_result result;

    f.number = wire_read_u16(&r);
    f.total = wire_read_u16(&r);
    if (r.truncated)
        return WIRE_TRUNCATED;
    if (f.number == 0 || f.number > f.total)
        return WIRE_MALFORMED;
    if (f.number > 1 && next != WIRE_PL_NONE)
        return WIRE_MALFORMED;
    result = wire_sk_split(wire_read_rest(&r), iv_bytes, icv_bytes, &f.sk);
    if (result == WIRE_OK)
        *out = f;
    return result;
}

struct wire_sk_room wire_put_skf(struct wire_builder *b, const struct wire_skf *fragment,
                                 size_t iv_bytes, size_t text_bytes, size_t icv_bytes)
{
    size_t start = wire_payload_begin(b, WIRE_PL_SKF);

    HF_ASSERT(fragment->number > 0 && fragment->number <= fragment->total);
    HF_ASSERT(fragment->number == 1 || fragment->inner_first == WIRE_PL_NONE);
    wire_patch_u8(&b->w, start, fragment->inner_first);
    wire_write_u16(&b->w, fragment->number);
    wire_write_u16(&b->w, fragment->total);
    return wire_sk_room_end(b, start, iv_bytes, text_bytes, icv_bytes);
}
