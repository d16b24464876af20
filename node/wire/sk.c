#include "wire/sk.h"

enum wire_result wire_sk_split(struct span body, size_t iv_bytes, size_t icv_bytes,
                               struct wire_sk *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_sk sk;

    if (body.len < iv_bytes + 1 + icv_bytes)
        return WIRE_TRUNCATED;
    sk.iv = wire_read_span(&r, iv_bytes);
    sk.ciphertext = wire_read_span(&r, body.len - iv_bytes - icv_bytes);
    sk.icv = wire_read_span(&r, icv_bytes);
    *out = sk;
    return WIRE_OK;
}

enum wire_result wire_sk_unpad(struct span plaintext, struct span *payloads)
{
    size_t pad;

    if (plaintext.len == 0)
        return WIRE_TRUNCATED;
    pad = (size_t)plaintext.data[plaintext.len - 1] + 1;
    if (pad > plaintext.len)
        return WIRE_MALFORMED;
    *payloads = span_of(plaintext.data, plaintext.len - pad);
    return WIRE_OK;
}

struct wire_sk_room wire_put_sk(struct wire_builder *b, uint8_t inner_first, size_t iv_bytes,
                                size_t text_bytes, size_t icv_bytes)
{
    size_t start = wire_payload_begin(b, WIRE_PL_SK);

    wire_patch_u8(&b->w, start, inner_first);
    return wire_sk_room_end(b, start, iv_bytes, text_bytes, icv_bytes);
}

struct wire_sk_room wire_sk_room_end(struct wire_builder *b, size_t start, size_t iv_bytes,
                                     size_t text_bytes, size_t icv_bytes)
{
    struct wire_sk_room room;

    room.aad_bytes = b->w.len;
    room.iv = wire_write_room(&b->w, iv_bytes);
    room.ciphertext = wire_write_room(&b->w, text_bytes + 1);
    room.icv = wire_write_room(&b->w, icv_bytes);
    wire_payload_end(b, start);
    if (b->w.overflow)
        room = (struct wire_sk_room){0};
    return room;
}
