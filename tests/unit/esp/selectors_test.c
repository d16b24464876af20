/* Inner packets against traffic selectors. */
#include <criterion/criterion.h>

#include "esp/selectors.h"

static struct esp_selector sel(uint8_t protocol, uint16_t low, uint16_t high, uint32_t from,
                               uint32_t to)
{
    return (struct esp_selector){protocol, low, high, addr_v4(from), addr_v4(to)};
}

enum { HERE = 0x0a4d020a, THERE = 0x0a630005 };

static struct span v4(uint8_t *b, uint8_t protocol, uint16_t fragment, uint32_t src, uint32_t dst,
                      uint16_t sp, uint16_t dp)
{
    memset(b, 0, 40);
    b[0] = 0x45;
    put_be16(b + 2, 40);
    put_be16(b + 6, fragment);
    b[9] = protocol;
    put_be32(b + 12, src);
    put_be32(b + 16, dst);
    put_be16(b + 20, sp);
    put_be16(b + 22, dp);
    return span_of(b, 40);
}

Test(selectors, decodes_v4)
{
    uint8_t b[64];
    struct esp_inner in;

    cr_assert(esp_inner_decode(v4(b, 6, 0x4000, THERE, HERE, 1234, 80),
                               &in)); /* don't fragment is no fragment */
    cr_assert_eq(in.src.family, ADDR_V4);
    cr_assert_eq(get_be32(in.dst.bytes), HERE);
    cr_assert(in.has_ports && !in.fragment && in.src_port == 1234 && in.dst_port == 80 &&
              in.len == 40);
    cr_assert(esp_inner_decode(v4(b, 6, 0x2000, THERE, HERE, 1234, 80), &in));
    cr_assert(in.fragment && !in.has_ports, "the first fragment is one, too");
    cr_assert(esp_inner_decode(v4(b, 6, 0x0001, THERE, HERE, 1234, 80), &in));
    cr_assert(in.fragment && !in.has_ports);
    cr_assert(esp_inner_decode(v4(b, 1, 0, THERE, HERE, 0x0803, 0), &in));
    cr_assert(in.has_ports && in.src_port == 0x0803 && in.dst_port == 0x0803);
    cr_assert(esp_inner_decode(v4(b, 50, 0, THERE, HERE, 1, 2), &in));
    cr_assert_not(in.has_ports);
    memset(b + 40, 0xee, 24); /* traffic-flow padding behind the packet (RFC 4303 2.7) */
    (void)v4(b, 17, 0, THERE, HERE, 1, 2);
    cr_assert(esp_inner_decode(span_of(b, 64), &in));
    cr_assert_eq(in.len, 40);
}

Test(selectors, refuses_what_is_no_packet)
{
    uint8_t b[64];
    struct esp_inner in = {.len = 5};
    struct span p = v4(b, 6, 0, THERE, HERE, 1, 2);

    for (size_t n = 0; n < 40; n++)
        cr_assert_not(esp_inner_decode(span_of(b, n), &in), "%zu bytes", n);
    cr_assert_not(esp_inner_decode(span_of(NULL, 0), &in));
    b[0] = 0x44; /* header of 16 bytes */
    cr_assert_not(esp_inner_decode(p, &in));
    b[0] = 0x4f; /* header longer than the total length */
    cr_assert_not(esp_inner_decode(p, &in));
    b[0] = 0x55;
    cr_assert_not(esp_inner_decode(p, &in));
    b[0] = 0x45;
    put_be16(b + 2, 19);
    cr_assert_not(esp_inner_decode(p, &in));
    cr_assert_eq(in.len, 5, "written on failure");
    put_be16(b + 2, 22); /* the transport header is cut short: a packet, without ports */
    cr_assert(esp_inner_decode(p, &in));
    cr_assert_not(in.has_ports);
}

/* IPv6 header, then `rest`. */
static struct span v6(uint8_t *b, uint8_t next, const uint8_t *rest, size_t n)
{
    memset(b, 0, 40);
    b[0] = 0x60;
    put_be16(b + 4, (uint16_t)n);
    b[6] = next;
    b[8] = 0x20;
    b[24] = 0xfd;
    memcpy(b + 40, rest, n);
    return span_of(b, 40 + n);
}

Test(selectors, decodes_v6_and_its_extension_headers)
{
    uint8_t b[256];
    struct esp_inner in;
    const uint8_t plain[] = {0x12, 0x34, 0, 80, 0, 0, 0, 0};
    const uint8_t chain[] = {60, 0, 0, 0, 0, 0, 0, 0, 43, 1, 0, 0, 0, 0, 0, 0, 0, 0,
                             0,  0, 0, 0, 0, 0, 6, 0, 0,  0, 0, 0, 0, 0, 0, 7, 0, 9};
    const uint8_t whole[] = {17, 0, 0, 0, 0, 0, 0, 1, 0, 7, 0, 9}; /* atomic fragment: one piece */
    const uint8_t first[] = {17, 0, 0, 1, 0, 0, 0, 1, 0, 7, 0, 9};
    const uint8_t later[] = {17, 0, 0, 8, 0, 0, 0, 1, 0, 7, 0, 9};
    const uint8_t icmp[] = {135, 0, 0, 0};
    const uint8_t over[] = {6, 2, 0, 0, 0, 0, 0, 0};
    uint8_t many[80];

    cr_assert(esp_inner_decode(v6(b, 17, plain, 8), &in));
    cr_assert(in.src.family == ADDR_V6 && in.dst.bytes[0] == 0xfd && in.protocol == 17 &&
              in.src_port == 0x1234 && in.len == 48);
    cr_assert(esp_inner_decode(v6(b, 0, chain, sizeof chain), &in));
    cr_assert(in.protocol == 6 && in.has_ports && in.dst_port == 9);
    cr_assert(esp_inner_decode(v6(b, 44, whole, 12), &in));
    cr_assert(in.protocol == 17 && in.has_ports && !in.fragment);
    cr_assert(esp_inner_decode(v6(b, 44, first, 12), &in));
    cr_assert(in.protocol == 17 && in.fragment && !in.has_ports);
    cr_assert(esp_inner_decode(v6(b, 44, later, 12), &in));
    cr_assert(in.protocol == 17 && in.fragment && !in.has_ports);
    cr_assert(esp_inner_decode(v6(b, 58, icmp, 4), &in));
    cr_assert_eq(in.src_port, 135 << 8);
    cr_assert_not(esp_inner_decode(v6(b, 0, over, 8), &in),
                  "an extension header runs over the end");
    memset(many, 0, sizeof many);
    cr_assert_not(esp_inner_decode(v6(b, 0, many, 80), &in),
                  "more extension headers than anyone needs");
    for (size_t n = 1; n < 40; n++)
        cr_assert_not(esp_inner_decode(span_of(b, n), &in));
}

Test(selectors, both_directions_addresses_and_protocol)
{
    struct esp_selectors s = {.n_local = 1, .n_remote = 2};
    uint8_t b[64];
    struct esp_inner in;

    s.local[0] = sel(0, 0, 65535, 0x0a4d0200, 0x0a4d02ff);
    s.remote[0] = sel(0, 0, 65535, THERE, THERE);
    s.remote[1] = sel(17, 0, 65535, THERE + 2, THERE + 4);
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, HERE, 1, 2), &in));
    cr_assert(esp_selectors_inbound(&s, &in));
    cr_assert_not(esp_selectors_outbound(&s, &in), "the wrong way round");
    cr_assert(esp_inner_decode(v4(b, 6, 0, HERE, THERE, 1, 2), &in));
    cr_assert(esp_selectors_outbound(&s, &in) && !esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE + 1, HERE, 1, 2), &in));
    cr_assert_not(esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, 0x0a4d0300, 1, 2), &in));
    cr_assert_not(esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE + 3, HERE, 1, 2), &in));
    cr_assert_not(esp_selectors_inbound(&s, &in), "the second range is UDP's");
    cr_assert(esp_inner_decode(v4(b, 17, 0, THERE + 3, HERE, 1, 2), &in));
    cr_assert(esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 17, 0x0001, THERE + 3, HERE, 1, 2), &in));
    cr_assert(esp_selectors_inbound(&s, &in), "ports are not narrowed: a fragment passes");
}

Test(selectors, narrowed_ports_refuse_fragments)
{
    struct esp_selectors s = {.n_local = 1, .n_remote = 1};
    uint8_t b[64];
    struct esp_inner in;

    s.local[0] = sel(6, 80, 81, HERE, HERE);
    s.remote[0] = sel(6, 0, 65535, THERE, THERE);
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, HERE, 999, 80), &in) &&
              esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, HERE, 999, 81), &in) &&
              esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, HERE, 999, 82), &in) &&
              !esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, HERE, 80, 999), &in) &&
              !esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0x2000, THERE, HERE, 999, 80), &in) &&
              !esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0x0010, THERE, HERE, 999, 80), &in) &&
              !esp_selectors_inbound(&s, &in));
    s.local[0].port_low = 65535; /* OPAQUE (RFC 7296 3.13.1) */
    s.local[0].port_high = 0;
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, HERE, 999, 80), &in) &&
              !esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 6, 0x0010, THERE, HERE, 999, 80), &in) &&
              esp_selectors_inbound(&s, &in));
    s.local[0] = sel(1, 0x0800, 0x08ff, HERE, HERE); /* echo requests only */
    s.remote[0] = sel(1, 0, 65535, THERE, THERE);
    cr_assert(esp_inner_decode(v4(b, 1, 0, THERE, HERE, 0x0800, 0), &in) &&
              esp_selectors_inbound(&s, &in));
    cr_assert(esp_inner_decode(v4(b, 1, 0, THERE, HERE, 0x0500, 0), &in) &&
              !esp_selectors_inbound(&s, &in));
}

Test(selectors, families_do_not_mix)
{
    struct esp_selectors s = {.n_local = 1, .n_remote = 1};
    uint8_t b[64];
    struct esp_inner in;

    s.local[0] = (struct esp_selector){0, 0, 65535, {ADDR_V6, {0}}, {ADDR_V6, {0xff, 0xff}}};
    s.remote[0] = sel(0, 0, 65535, 0, UINT32_MAX);
    cr_assert(esp_inner_decode(v4(b, 6, 0, THERE, HERE, 1, 2), &in));
    cr_assert_not(esp_selectors_inbound(&s, &in));
    s.n_local = 0;
    cr_assert_not(esp_selectors_inbound(&s, &in), "no selector admits nothing");
}

Test(selectors, prefix_of_a_range)
{
    struct esp_selector s = sel(0, 0, 65535, THERE, THERE);

    cr_assert_eq(esp_selector_prefix(&s), 32);
    s = sel(0, 0, 65535, 0x0a4d0200, 0x0a4d02ff);
    cr_assert_eq(esp_selector_prefix(&s), 24);
    s = sel(0, 0, 65535, 0x0a4d0201, 0x0a4d0202);
    cr_assert_eq(esp_selector_prefix(&s), 30);
    s = sel(0, 0, 65535, 0, UINT32_MAX);
    cr_assert_eq(esp_selector_prefix(&s), 0);
    s = (struct esp_selector){0, 0, 65535, {ADDR_V6, {0xfd}}, {ADDR_V6, {0xfd}}};
    cr_assert_eq(esp_selector_prefix(&s), 128);
    s.high.bytes[8] = 1;
    cr_assert_eq(esp_selector_prefix(&s), 71);
}
