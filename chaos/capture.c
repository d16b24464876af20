#include "capture.h"

#include <stdlib.h>

#include "base/bytes.h"

enum { ETH_BYTES = 14, TYPE_IPV4 = 0x0800, TYPE_ARP = 0x0806, TYPE_IPV6 = 0x86dd };
enum { PROTO_UDP = 17, PROTO_ESP = 50, PROTO_ICMPV6 = 58, IPV6_HEADER = 40, ND_ADVERT = 136 };
enum { PORT_IKE = 500, PORT_NATT = 4500, IKE_HEADER = 28, MARKER = 4 };

static void *grown(void *p, size_t *cap, size_t need, size_t unit)
{
    size_t n = *cap ? *cap : 1024;
    void *q;

    if (need <= *cap)
        return p;
    while (n < need)
        n *= 2;
    q = realloc(p, n * unit);
    if (q)
        *cap = n;
    return q;
}

static void decode_ike(struct capture_frame *f, const uint8_t *p, size_t len, size_t at)
{
    f->kind = CAPTURE_IKE;
    f->spi_i = get_be64(p);
    f->spi_r = get_be64(p + 8);
    f->exchange = p[18];
    f->flags = p[19];
    f->message_id = get_be32(p + 20);
    f->message_at = (uint32_t)at;
    f->message_len = (uint32_t)len;
}

/* RFC 3948 2.1-2.3: on port 4500 four zero bytes mark IKE, one 0xFF byte is a keepalive, the rest
 * is ESP. */
static void decode_udp(struct capture_frame *f, const uint8_t *p, size_t len, size_t at)
{
    if (len < 8)
        return;
    f->src_port = get_be16(p);
    f->dst_port = get_be16(p + 2);
    p += 8;
    len -= 8;
    at += 8;
    if (f->src_port == PORT_NATT || f->dst_port == PORT_NATT) {
        if (len == 1 && p[0] == 0xff) {
            f->kind = CAPTURE_KEEPALIVE;
        } else if (len >= MARKER + IKE_HEADER && get_be32(p) == 0) {
            decode_ike(f, p + MARKER, len - MARKER, at + MARKER);
        } else if (len >= 8 && get_be32(p) != 0) {
            f->kind = CAPTURE_ESP;
            f->spi = get_be32(p);
            f->seq = get_be32(p + 4);
        }
    } else if ((f->src_port == PORT_IKE || f->dst_port == PORT_IKE) && len >= IKE_HEADER) {
        decode_ike(f, p, len, at);
    }
}

static void decode_ipv4(struct capture_frame *f, const uint8_t *p, size_t len)
{
    size_t head, total;

    f->kind = CAPTURE_IP_OTHER;
    if (len < 20)
        return;
    head = (size_t)(p[0] & 0xf) * 4;
    total = get_be16(p + 2);
    if (total < len) /* Ethernet padding */
        len = total;
    if (head < 20 || len < head)
        return;
    f->src = get_be32(p + 12);
    f->dst = get_be32(p + 16);
    if ((get_be16(p + 6) & 0x1fff) != 0) /* not the first fragment */
        return;
    if (p[9] == PROTO_UDP) {
        decode_udp(f, p + head, len - head, ETH_BYTES + head);
    } else if (p[9] == PROTO_ESP && len - head >= 8) {
        f->kind = CAPTURE_ESP;
        f->spi = get_be32(p + head);
        f->seq = get_be32(p + head + 4);
    }
}

/* An address of the lab stands for its last four bytes, which are those of its IPv4 twin. */
static uint32_t twin_of(const uint8_t *address)
{
    static const uint8_t prefix[12] = {0xfd, 0x77};

    return memcmp(address, prefix, sizeof prefix) == 0 ? get_be32(address + 12) : 0;
}

/* No extension headers: neither end has a reason to send one (a fragment of a large IKE message
 * stays CAPTURE_IP_OTHER, as with IPv4). */
static void decode_ipv6(struct capture_frame *f, const uint8_t *p, size_t len)
{
    size_t at = ETH_BYTES + IPV6_HEADER;

    f->kind = CAPTURE_IP_OTHER;
    f->v6 = true;
    if (len < IPV6_HEADER)
        return;
    f->src = twin_of(p + 8);
    f->dst = twin_of(p + 24);
    if (IPV6_HEADER + (size_t)get_be16(p + 4) < len)
        len = IPV6_HEADER + (size_t)get_be16(p + 4);
    len -= IPV6_HEADER;
    if (p[6] == PROTO_UDP) {
        decode_udp(f, p + IPV6_HEADER, len, at);
    } else if (p[6] == PROTO_ESP && len >= 8) {
        f->kind = CAPTURE_ESP;
        f->spi = get_be32(p + IPV6_HEADER);
        f->seq = get_be32(p + IPV6_HEADER + 4);
    } else if (p[6] == PROTO_ICMPV6 && len >= 24 && p[IPV6_HEADER] == ND_ADVERT) {
        f->kind = CAPTURE_ARP;
        f->src = twin_of(p + IPV6_HEADER + 8); /* whose neighbour it says to be (RFC 4861 4.4) */
    }
}

bool capture_decode(struct span frame, struct capture_frame *f)
{
    unsigned type;

    *f = (struct capture_frame){0};
    if (frame.len < ETH_BYTES)
        return false;
    type = get_be16(frame.data + 12);
    memcpy(f->src_mac, frame.data + 6, 6);
    if (type == TYPE_IPV4) {
        decode_ipv4(f, frame.data + ETH_BYTES, frame.len - ETH_BYTES);
    } else if (type == TYPE_IPV6) {
        decode_ipv6(f, frame.data + ETH_BYTES, frame.len - ETH_BYTES);
    } else if (type == TYPE_ARP && frame.len >= ETH_BYTES + 28) {
        f->kind = CAPTURE_ARP;
        f->src = get_be32(frame.data + ETH_BYTES + 14);
        f->dst = get_be32(frame.data + ETH_BYTES + 24);
    } else {
        return false;
    }
    return true;
}

bool capture_add(struct capture *c, uint64_t ns, uint8_t port, bool left, struct span frame,
                 size_t wire_len)
{
    struct capture_frame f;
    size_t keep = frame.len;
    void *p;

    if (!capture_decode(frame, &f))
        return false;
    f.ns = ns;
    f.port = port;
    f.left = left;
    f.wire_len = (uint32_t)wire_len;
    if (f.kind != CAPTURE_IKE && port != CAPTURE_CLIENT_PORT && keep > CAPTURE_HEADER_BYTES)
        keep = CAPTURE_HEADER_BYTES;
    if (f.kind != CAPTURE_IKE && !left && keep > CAPTURE_HEADER_BYTES)
        keep = CAPTURE_HEADER_BYTES;
    p = grown(c->bytes, &c->cap_bytes, c->n_bytes + keep, 1);
    if (!p)
        goto out_of_memory;
    c->bytes = p;
    p = grown(c->frames, &c->cap_frames, c->n_frames + 1, sizeof f);
    if (!p)
        goto out_of_memory;
    c->frames = p;
    f.bytes_at = c->n_bytes;
    f.bytes_len = (uint32_t)keep;
    memcpy(c->bytes + c->n_bytes, frame.data, keep);
    c->n_bytes += keep;
    c->frames[c->n_frames++] = f;
    return true;
out_of_memory:
    c->out_of_memory = true;
    return false;
}

struct span capture_bytes(const struct capture *c, const struct capture_frame *f)
{
    return span_of(c->bytes + f->bytes_at, f->bytes_len);
}

struct span capture_message(const struct capture *c, const struct capture_frame *f)
{
    return span_of(c->bytes + f->bytes_at + f->message_at, f->message_len);
}

/* bytes_at grows with arrival, so it settles equal times. */
static int by_time(const void *a, const void *b)
{
    const struct capture_frame *x = a, *y = b;

    if (x->ns != y->ns)
        return x->ns < y->ns ? -1 : 1;
    return x->bytes_at < y->bytes_at ? -1 : x->bytes_at > y->bytes_at;
}

void capture_sort(struct capture *c)
{
    if (c->n_frames)
        qsort(c->frames, c->n_frames, sizeof *c->frames, by_time);
}

const struct capture_frame **capture_list(const struct capture *c)
{
    return calloc(c->n_frames ? c->n_frames : 1, sizeof(void *));
}

void capture_deinit(struct capture *c)
{
    free(c->frames);
    free(c->bytes);
    *c = (struct capture){0};
}
