/* Frames from another node: refused, or the same bytes again. */
#include <stdlib.h>

#include "daemon/stray_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct stray_frame f, again;
    uint8_t bytes[STRAY_HEAD_BYTES + STRAY_PACKET_BYTES];

    if (!stray_frame_decode((struct span){data, len}, &f))
        return 0;
    if (f.packet.len == 0 || f.packet.len > STRAY_PACKET_BYTES || f.hops == 0)
        abort();
    stray_frame_encode(&f, bytes);
    memcpy(bytes + STRAY_HEAD_BYTES, f.packet.data, f.packet.len);
    if (!stray_frame_decode(span_of(bytes, STRAY_HEAD_BYTES + f.packet.len), &again) ||
        again.kind != f.kind || again.hops != f.hops || again.shard != f.shard ||
        again.epoch != f.epoch || !endpoint_equal(&again.from, &f.from) ||
        !endpoint_equal(&again.to, &f.to) || !span_equal(again.packet, f.packet))
        abort();
    return 0;
}
