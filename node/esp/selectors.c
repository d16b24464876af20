#include "esp/selectors.h"

enum {
    PROTO_HOP_BY_HOP = 0,
    PROTO_ICMP = 1,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_DCCP = 33,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_ICMPV6 = 58,
    PROTO_DESTINATION = 60,
    PROTO_SCTP = 132,
    PROTO_MOBILITY = 135,
    PROTO_UDPLITE = 136,
    MAX_EXTENSIONS = 8
};

/* The upper layer's header at `upper`, which may be cut short. */
static void decode_ports(struct span upper, struct esp_inner *inner)
{
    switch (inner->protocol) {
    case PROTO_TCP:
    case PROTO_UDP:
    case PROTO_DCCP:
    case PROTO_SCTP:
    case PROTO_UDPLITE:
        if (upper.len < 4)
            return;
        inner->src_port = get_be16(upper.data);
        inner->dst_port = get_be16(upper.data + 2);
        inner->has_ports = true;
        return;
    case PROTO_ICMP:
    case PROTO_ICMPV6:
        /* RFC 4301 4.4.1.1: type in the most significant eight bits, code in the others. */
        if (upper.len < 2)
            return;
        inner->src_port = inner->dst_port = get_be16(upper.data);
        inner->has_ports = true;
        return;
    case PROTO_MOBILITY:
        if (upper.len < 3)
            return;
        inner->src_port = inner->dst_port = (uint16_t)(upper.data[2] << 8);
        inner->has_ports = true;
        return;
    default:
        return;
    }
}

static bool decode_v4(struct span packet, struct esp_inner *inner)
{
    const uint8_t *p = packet.data;
    size_t header, total;
    uint16_t fragment;

    if (packet.len < 20)
        return false;
    header = (size_t)(p[0] & 0x0f) * 4;
    total = get_be16(p + 2);
    if (header < 20 || total < header || total > packet.len)
        return false;
    fragment = get_be16(p + 6);
    inner->len = total;
    inner->protocol = p[9];
    inner->src = addr_v4(get_be32(p + 12));
    inner->dst = addr_v4(get_be32(p + 16));
    inner->fragment = (fragment & 0x3fff) != 0; /* more fragments, or an offset */
    if (!inner->fragment)
        decode_ports(span_of(p + header, total - header), inner);
    return true;
}

/* Behind the fixed header. False: an extension header runs over the end, or there are too many. */
static bool decode_v6_upper(struct span rest, uint8_t next, struct esp_inner *inner)
{
    for (int i = 0; i <= MAX_EXTENSIONS; i++) {
        size_t n;

        if (next != PROTO_HOP_BY_HOP && next != PROTO_ROUTING && next != PROTO_DESTINATION &&
            next != PROTO_FRAGMENT) {
            inner->protocol = next;
            if (!inner->fragment)
                decode_ports(rest, inner);
            return true;
        }
        if (rest.len < 8)
            return false;
        n = next == PROTO_FRAGMENT ? 8 : ((size_t)rest.data[1] + 1) * 8;
        if (n > rest.len)
            return false;
        if (next == PROTO_FRAGMENT) {
            uint16_t offset = get_be16(rest.data + 2);

            inner->fragment = inner->fragment || (offset & 0xfff9) != 0;
            if ((offset & 0xfff8) != 0) {
                inner->protocol = rest.data[0]; /* what follows is no header */
                return true;
            }
        }
        next = rest.data[0];
        rest = span_of(rest.data + n, rest.len - n);
    }
    return false;
}

static bool decode_v6(struct span packet, struct esp_inner *inner)
{
    const uint8_t *p = packet.data;
    size_t total;

    if (packet.len < 40)
        return false;
    total = 40 + (size_t)get_be16(p + 4);
    if (total > packet.len)
        return false;
    inner->len = total;
    inner->src.family = inner->dst.family = ADDR_V6;
    memcpy(inner->src.bytes, p + 8, 16);
    memcpy(inner->dst.bytes, p + 24, 16);
    return decode_v6_upper(span_of(p + 40, total - 40), p[6], inner);
}

bool esp_inner_decode(struct span packet, struct esp_inner *inner)
{
    struct esp_inner out;
    bool ok = false;

    memset(&out, 0, sizeof out);
    if (packet.len > 0 && packet.data[0] >> 4 == 4)
        ok = decode_v4(packet, &out);
    else if (packet.len > 0 && packet.data[0] >> 4 == 6)
        ok = decode_v6(packet, &out);
    if (ok)
        *inner = out;
    return ok;
}

static bool any_port(const struct esp_selector *s)
{
    return s->port_low == 0 && s->port_high == UINT16_MAX;
}

static bool matches(const struct esp_selector *s, const struct esp_inner *inner,
                    const struct ip_addr *address, uint16_t port)
{
    if (address->family != s->low.family || memcmp(address->bytes, s->low.bytes, 16) < 0 ||
        memcmp(address->bytes, s->high.bytes, 16) > 0)
        return false;
    if (s->protocol != ESP_PROTOCOL_ANY && s->protocol != inner->protocol)
        return false;
    if (any_port(s))
        return true;
    if (s->port_low > s->port_high) /* OPAQUE (RFC 7296 3.13.1) */
        return !inner->has_ports;
    return inner->has_ports && port >= s->port_low && port <= s->port_high;
}

static bool any_matches(const struct esp_selector *s, uint8_t n, const struct esp_inner *inner,
                        const struct ip_addr *address, uint16_t port)
{
    for (uint8_t i = 0; i < n; i++)
        if (matches(&s[i], inner, address, port))
            return true;
    return false;
}

bool esp_selectors_inbound(const struct esp_selectors *s, const struct esp_inner *inner)
{
    return any_matches(s->remote, s->n_remote, inner, &inner->src, inner->src_port) &&
           any_matches(s->local, s->n_local, inner, &inner->dst, inner->dst_port);
}

bool esp_selectors_outbound(const struct esp_selectors *s, const struct esp_inner *inner)
{
    return any_matches(s->local, s->n_local, inner, &inner->src, inner->src_port) &&
           any_matches(s->remote, s->n_remote, inner, &inner->dst, inner->dst_port);
}

/* Of one selector: prefix, then ports, then protocol. Never 0. */
static uint32_t rank_of(const struct esp_selector *s)
{
    uint32_t ports = s->port_low > s->port_high ? 0xffff : 0xffffu - (s->port_high - s->port_low);

    return (uint32_t)esp_selector_prefix(s) << 18 | ports << 1 | (s->protocol != ESP_PROTOCOL_ANY) |
           UINT32_C(1) << 26;
}

/* The narrowest of a list that holds the packet; 0: none does. */
static uint32_t best_rank(const struct esp_selector *s, uint8_t n, const struct esp_inner *inner,
                          const struct ip_addr *address, uint16_t port)
{
    uint32_t best = 0;

    for (uint8_t i = 0; i < n; i++) {
        uint32_t rank = matches(&s[i], inner, address, port) ? rank_of(&s[i]) : 0;

        best = rank > best ? rank : best;
    }
    return best;
}

uint32_t esp_selectors_rank(const struct esp_selectors *s, const struct esp_inner *inner)
{
    uint32_t remote = best_rank(s->remote, s->n_remote, inner, &inner->dst, inner->dst_port);
    uint32_t local = best_rank(s->local, s->n_local, inner, &inner->src, inner->src_port);

    return remote == 0 || local == 0 ? 0 : remote + local;
}

uint8_t esp_selector_prefix(const struct esp_selector *s)
{
    uint8_t bits = 0;
    uint8_t max = (uint8_t)(addr_len(&s->low) * 8);

    while (bits < max) {
        uint8_t bit = (uint8_t)(0x80 >> (bits % 8));

        if (((s->low.bytes[bits / 8] ^ s->high.bytes[bits / 8]) & bit) != 0)
            break;
        bits++;
    }
    return bits;
}
