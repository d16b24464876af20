#include "io/arp_frame.h"

#include <string.h>

/* Ethernet: destination 0, source 6, type 12. ARP: htype 14, ptype 16, hlen 18, plen 19, oper 20,
 * sha 22, spa 28, tha 32, tpa 38. */
enum {
    ETHERNET = 14,
    ARP_BYTES = 42,
    TYPE_ARP = 0x0806,
    TYPE_IPV4 = 0x0800,
    REQUEST = 1,
    REPLY = 2
};

bool arp_request_decode(struct span frame, struct arp_request *out)
{
    const uint8_t *p = frame.data;

    if (frame.len < ARP_BYTES || get_be16(p + 12) != TYPE_ARP || get_be16(p + 14) != 1 ||
        get_be16(p + 16) != TYPE_IPV4 || p[18] != 6 || p[19] != 4 || get_be16(p + 20) != REQUEST)
        return false;
    /* A group address is no sender: an answer to it would go to many. */
    if ((p[22] & 1) != 0)
        return false;
    memcpy(out->sender_mac, p + 22, 6);
    out->sender_ip = get_be32(p + 28);
    out->target_ip = get_be32(p + 38);
    return true;
}

static void encode(uint8_t out[ARP_FRAME_BYTES], const uint8_t to[6], const uint8_t mac[6],
                   uint16_t operation, uint32_t ip)
{
    memset(out, 0, ARP_FRAME_BYTES);
    memcpy(out, to, 6);
    memcpy(out + 6, mac, 6);
    put_be16(out + 12, TYPE_ARP);
    put_be16(out + 14, 1);
    put_be16(out + 16, TYPE_IPV4);
    out[18] = 6;
    out[19] = 4;
    put_be16(out + 20, operation);
    memcpy(out + 22, mac, 6);
    put_be32(out + 28, ip);
}

void arp_reply_encode(const struct arp_request *r, const uint8_t mac[6],
                      uint8_t out[ARP_FRAME_BYTES])
{
    encode(out, r->sender_mac, mac, REPLY, r->target_ip);
    memcpy(out + 32, r->sender_mac, 6);
    put_be32(out + 38, r->sender_ip);
}

void arp_announcement_encode(uint32_t ip, const uint8_t mac[6], uint8_t out[ARP_FRAME_BYTES])
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    encode(out, all, mac, REQUEST, ip);
    put_be32(out + 38, ip);
}

size_t arp_filter(const uint32_t *ips, size_t n, struct sock_filter out[ARP_FILTER_MAX])
{
    size_t at = 0;

    HF_ASSERT(n > 0 && n <= 128);
    out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12);
    out[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE_ARP, 0, (uint8_t)(n + 3));
    out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20);
    out[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, REQUEST, 0, (uint8_t)(n + 1));
    out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 38);
    for (size_t i = 0; i < n; i++)
        out[at++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ips[i], (uint8_t)(n - i), 0);
    out[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    out[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ETHERNET + 256);
    return at;
}
