#include "io/nd_frame.h"

#include <string.h>

/* Ethernet: destination 0, source 6, type 12. IPv6 at 14: payload length 18, next header 20, hop
 * limit 21, source 22, destination 38. ICMPv6 at 54: type, code, checksum 56, flags 58, target 62,
 * options 78. */
enum {
    IPV6 = 14,
    ICMP = 54,
    TARGET = 62,
    OPTIONS = 78,
    ICMP_BYTES = 24, /* without options */
    OPTION_BYTES = 8,
    TYPE_IPV6 = 0x86dd,
    PROTO_ICMPV6 = 58,
    SOLICITATION = 135,
    ADVERTISEMENT = 136,
    OPTION_SOURCE = 1,
    OPTION_TARGET = 2,
    ROUTER = 0x80,
    SOLICITED = 0x40,
    OVERRIDE = 0x20
};

static uint32_t add(uint32_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += get_be16(p + i);
    return n % 2 != 0 ? sum + ((uint32_t)p[n - 1] << 8) : sum;
}

/* RFC 4443 2.3, over the pseudo-header of RFC 8200 8.1. Of a good message it is 0. */
static uint16_t checksum(const uint8_t *frame, size_t icmp_bytes)
{
    uint32_t sum = add(0, frame + 22, 32) + (uint32_t)icmp_bytes + PROTO_ICMPV6;

    sum = add(sum, frame + ICMP, icmp_bytes);
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static bool is_unspecified(const struct ip_addr *ip)
{
    static const uint8_t zero[16];

    return memcmp(ip->bytes, zero, sizeof zero) == 0;
}

/* The link-layer address of the wanted kind; *found false: there is none. False: options that RFC
 * 4861 7.1.1 bids to discard, or a group address, to which an answer would go to many. */
static bool read_options(const uint8_t *p, size_t n, uint8_t kind, uint8_t mac[6], bool *found)
{
    *found = false;
    while (n > 0) {
        size_t len = n >= 2 ? (size_t)p[1] * 8 : 0;

        if (len == 0 || len > n)
            return false;
        if (p[0] == kind && !*found) {
            if ((p[2] & 1) != 0)
                return false;
            memcpy(mac, p + 2, 6);
            *found = true;
        }
        p += len;
        n -= len;
    }
    return true;
}

static bool probe_holds(const uint8_t *p, bool has_source, const struct ip_addr *target)
{
    struct ip_addr group = nd_group(target);

    return !has_source && memcmp(p + 38, group.bytes, 16) == 0;
}

bool nd_decode(struct span frame, struct nd_message *out)
{
    const uint8_t *p = frame.data;
    struct nd_message m = {.advertisement = false};
    bool has_mac;
    size_t n;

    if (frame.len < OPTIONS || get_be16(p + 12) != TYPE_IPV6 || p[IPV6] >> 4 != 6 ||
        p[20] != PROTO_ICMPV6 || p[21] != 255)
        return false;
    n = get_be16(p + 18);
    if (n < ICMP_BYTES || n > frame.len - ICMP || p[ICMP + 1] != 0 || checksum(p, n) != 0)
        return false;
    m.advertisement = p[ICMP] == ADVERTISEMENT;
    m.source = addr_v6(p + 22);
    m.target = addr_v6(p + TARGET);
    /* RFC 4291 2.7: no group is a source; an answer to it would go to many. */
    if ((!m.advertisement && p[ICMP] != SOLICITATION) || m.target.bytes[0] == 0xff ||
        m.source.bytes[0] == 0xff)
        return false;
    memcpy(m.mac, p + 6, 6);
    if (!read_options(p + OPTIONS, n - ICMP_BYTES, m.advertisement ? OPTION_TARGET : OPTION_SOURCE,
                      m.mac, &has_mac) ||
        (m.mac[0] & 1) != 0)
        return false;
    if (m.advertisement && p[38] == 0xff && (p[58] & SOLICITED) != 0)
        return false;
    if (!m.advertisement && is_unspecified(&m.source) && !probe_holds(p, has_mac, &m.target))
        return false;
    *out = m;
    return true;
}

void nd_advertisement_encode(const struct ip_addr *target, const uint8_t mac[6],
                             const struct nd_message *asked, uint8_t out[ND_FRAME_BYTES])
{
    static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
    static const uint8_t all_macs[6] = {0x33, 0x33, 0, 0, 0, 1};
    bool to_all = asked == NULL || is_unspecified(&asked->source);

    memset(out, 0, ND_FRAME_BYTES);
    memcpy(out, to_all ? all_macs : asked->mac, 6);
    memcpy(out + 6, mac, 6);
    put_be16(out + 12, TYPE_IPV6);
    out[IPV6] = 0x60;
    put_be16(out + 18, ICMP_BYTES + OPTION_BYTES);
    out[20] = PROTO_ICMPV6;
    out[21] = 255;
    memcpy(out + 22, target->bytes, 16);
    memcpy(out + 38, to_all ? all_nodes : asked->source.bytes, 16);
    out[ICMP] = ADVERTISEMENT;
    out[58] = (uint8_t)(ROUTER | OVERRIDE | (to_all ? 0 : SOLICITED));
    memcpy(out + TARGET, target->bytes, 16);
    out[OPTIONS] = OPTION_TARGET;
    out[OPTIONS + 1] = 1;
    memcpy(out + OPTIONS + 2, mac, 6);
    put_be16(out + 56, checksum(out, ICMP_BYTES + OPTION_BYTES));
}

struct ip_addr nd_group(const struct ip_addr *target)
{
    uint8_t group[16] = {0xff, 0x02, [11] = 1, [12] = 0xff};

    memcpy(group + 13, target->bytes + 13, 3);
    return addr_v6(group);
}

size_t nd_filter(const struct ip_addr *ips, size_t n, struct sock_filter out[ND_FILTER_MAX])
{
    size_t at = 0;

    HF_ASSERT(n > 0 && n <= 128);
    out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12);
    out[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE_IPV6, 0, (uint8_t)(n + 6));
    out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20);
    out[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_ICMPV6, 0, (uint8_t)(n + 4));
    out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ICMP);
    out[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOLICITATION, 1, 0);
    out[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ADVERTISEMENT, 0, (uint8_t)(n + 1));
    out[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, TARGET + 12);
    for (size_t i = 0; i < n; i++)
        out[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                 get_be32(ips[i].bytes + 12), (uint8_t)(n - i), 0);
    out[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    out[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 512);
    return at;
}
