#include "daemon/stray_frame.h"

#include "base/bytes.h"

enum { FORMAT = 1, ENDPOINT_BYTES = 20 };

static void put_endpoint(uint8_t *out, const struct endpoint *e)
{
    out[0] = e->ip.family;
    out[1] = 0;
    put_be16(out + 2, e->port);
    memcpy(out + 4, e->ip.bytes, 16);
}

static bool get_endpoint(const uint8_t *in, struct endpoint *e)
{
    memset(e, 0, sizeof *e);
    if (in[0] != ADDR_NONE && in[0] != ADDR_V4 && in[0] != ADDR_V6)
        return false;
    e->ip.family = in[0];
    e->port = get_be16(in + 2);
    memcpy(e->ip.bytes, in + 4, addr_len(&e->ip)); /* what lies beyond is nobody's */
    return true;
}

void stray_frame_encode(const struct stray_frame *f, uint8_t out[STRAY_HEAD_BYTES])
{
    out[0] = FORMAT;
    out[1] = (uint8_t)f->kind;
    out[2] = f->hops;
    out[3] = 0;
    put_be32(out + 4, f->shard);
    put_be64(out + 8, f->epoch);
    put_endpoint(out + 16, &f->from);
    put_endpoint(out + 16 + ENDPOINT_BYTES, &f->to);
}

bool stray_frame_decode(struct span bytes, struct stray_frame *frame)
{
    struct stray_frame f;

    if (bytes.len <= STRAY_HEAD_BYTES || bytes.len > STRAY_HEAD_BYTES + STRAY_PACKET_BYTES ||
        bytes.data[0] != FORMAT || bytes.data[1] > STRAY_INNER || bytes.data[2] == 0)
        return false;
    f.kind = (enum stray_kind)bytes.data[1];
    f.hops = bytes.data[2];
    f.shard = get_be32(bytes.data + 4);
    f.epoch = get_be64(bytes.data + 8);
    if (!get_endpoint(bytes.data + 16, &f.from) ||
        !get_endpoint(bytes.data + 16 + ENDPOINT_BYTES, &f.to))
        return false;
    if (f.kind != STRAY_INNER && (f.from.ip.family == ADDR_NONE || f.to.ip.family == ADDR_NONE))
        return false;
    f.packet = span_of(bytes.data + STRAY_HEAD_BYTES, bytes.len - STRAY_HEAD_BYTES);
    *frame = f;
    return true;
}
