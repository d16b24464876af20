#include "frames.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/bytes.h"
#include "chaos/traffic.h"

size_t frame_make(uint8_t *frame, uint32_t src, uint32_t dst, uint16_t port, struct span payload)
{
    memset(frame, 0, 42);
    put_be16(frame + 12, 0x0800);
    frame[14] = 0x45;
    put_be16(frame + 16, (uint16_t)(28 + payload.len));
    frame[23] = 17;
    put_be32(frame + 26, src);
    put_be32(frame + 30, dst);
    put_be16(frame + 34, port);
    put_be16(frame + 36, port);
    put_be16(frame + 38, (uint16_t)(8 + payload.len));
    memcpy(frame + 42, payload.data, payload.len);
    return 42 + payload.len;
}

void frame_add(struct capture *cap, unsigned ms, uint8_t port, bool left, uint32_t src,
               uint32_t dst, uint16_t udp_port, struct span payload)
{
    uint8_t frame[1600];
    size_t len = frame_make(frame, src, dst, udp_port, payload);

    cr_assert(capture_add(cap, FRAME_ZERO + (uint64_t)ms * FRAME_MS, port, left,
                          span_of(frame, len), len));
}

void frame_esp(struct capture *cap, unsigned ms, uint8_t node, uint32_t spi, uint32_t seq)
{
    uint8_t p[64] = {0};

    put_be32(p, spi);
    put_be32(p + 4, seq);
    frame_add(cap, ms, node, true, LAB_VIP, LAB_CLIENT, 4500, span_of(p, sizeof p));
}

void frame_ike(struct capture *cap, unsigned ms, uint8_t port, uint8_t exchange, bool response,
               uint32_t message_id, uint8_t last_byte)
{
    bool client = port == CAPTURE_CLIENT_PORT;
    uint8_t p[4 + 28 + 40] = {0};

    put_be64(p + 4, 0x1111);
    put_be64(p + 12, 0x2222);
    p[4 + 18] = exchange;
    p[4 + 19] = response ? IKE_HDR_FLAG_RESPONSE : 0;
    put_be32(p + 4 + 20, message_id);
    p[sizeof p - 1] = last_byte;
    frame_add(cap, ms, port, true, client ? LAB_CLIENT : LAB_VIP, client ? LAB_VIP : LAB_CLIENT,
              4500, span_of(p, sizeof p));
}
