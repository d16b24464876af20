/* Any bytes are an inner packet or not; what is decoded lies inside of the input, and no selector
 * admits what it does not name. */
#include <stddef.h>

#include "esp/selectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct esp_selector take(const uint8_t *p, uint8_t family)
{
    struct esp_selector s = {
        .protocol = p[0] & 1 ? p[1] : 0, .port_low = get_be16(p + 2), .port_high = get_be16(p + 4)};

    if (p[0] & 2) {
        s.port_low = 0;
        s.port_high = UINT16_MAX;
    }
    s.low.family = s.high.family = family;
    memcpy(s.low.bytes, p + 6, 2);
    memcpy(s.high.bytes, p + 6, 2);
    memset(s.high.bytes + 2, 0xff, addr_len(&s.high) - 2);
    return s;
}

static void check(const struct esp_selector *s, const struct esp_inner *in, const struct ip_addr *a)
{
    HF_ASSERT(a->family == s->low.family);
    HF_ASSERT(memcmp(a->bytes, s->low.bytes, 16) >= 0 && memcmp(a->bytes, s->high.bytes, 16) <= 0);
    HF_ASSERT(s->protocol == 0 || s->protocol == in->protocol);
    if (s->port_low <= s->port_high && (s->port_low != 0 || s->port_high != UINT16_MAX))
        HF_ASSERT(in->has_ports && !in->fragment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct esp_selectors s = {.n_local = 1, .n_remote = 1};
    struct esp_inner in;

    if (size < 16 || !esp_inner_decode(span_of(data + 16, size - 16), &in))
        return 0;
    HF_ASSERT(in.len <= size - 16 && in.len >= 20);
    HF_ASSERT(in.src.family == in.dst.family &&
              (in.src.family == ADDR_V4 || in.src.family == ADDR_V6));
    HF_ASSERT(!(in.fragment && in.has_ports));
    s.local[0] = take(data, in.src.family);
    s.remote[0] = take(data + 8, in.src.family);
    HF_ASSERT(esp_selector_prefix(&s.local[0]) <= 16);
    if (esp_selectors_inbound(&s, &in)) {
        check(&s.local[0], &in, &in.dst);
        check(&s.remote[0], &in, &in.src);
    }
    HF_ASSERT((esp_selectors_rank(&s, &in) != 0) == esp_selectors_outbound(&s, &in));
    if (esp_selectors_outbound(&s, &in)) {
        check(&s.local[0], &in, &in.src);
        check(&s.remote[0], &in, &in.dst);
    }
    return 0;
}
