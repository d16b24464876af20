/* Networks as a first address and a length (RFC 4632, RFC 4291 2.3), for IPv4 and IPv6 alike. */
#include <arpa/inet.h>

#include "config/internal.h"

static uint8_t mask_byte(uint8_t bits, size_t i)
{
    if (bits >= 8 * (i + 1)) {
        return 0xff;
    }
    return (uint8_t)(bits <= 8 * i ? 0u : 0xff00u >> (bits - 8 * i));
}

struct ip_addr prefix_first(const struct ip_prefix *prefix)
{
    struct ip_addr a = {.family = prefix->ip.family};

    for (size_t i = 0; i < addr_len(&prefix->ip); i++) {
        a.bytes[i] = prefix->ip.bytes[i] & mask_byte(prefix->bits, i);
    }
    return a;
}

struct ip_addr prefix_last(const struct ip_prefix *prefix)
{
    struct ip_addr a = {.family = prefix->ip.family};

    for (size_t i = 0; i < addr_len(&prefix->ip); i++) {
        a.bytes[i] = (uint8_t)(prefix->ip.bytes[i] | (uint8_t)~mask_byte(prefix->bits, i));
    }
    return a;
}

void pool_range(const struct ip_prefix *pool, struct ip_addr *first, struct ip_addr *last)
{
    *first = prefix_first(pool);
    *last = prefix_last(pool);
    if (pool->ip.family == ADDR_NONE || pool->bits + 2u > 8 * addr_len(&pool->ip)) {
        return; /* none, or too small a network to have such addresses */
    }
    first->bytes[addr_len(first) - 1]++; /* its lowest bits are 0, those of `last` 1 */
    if (pool->ip.family == ADDR_V4) {
        last->bytes[addr_len(last) - 1]--;
    }
}

bool prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *ip)
{
    if (ip->family == ADDR_NONE || ip->family != prefix->ip.family) {
        return false;
    }
    for (size_t i = 0; i < addr_len(ip); i++) {
        if ((ip->bytes[i] ^ prefix->ip.bytes[i]) & mask_byte(prefix->bits, i)) {
            return false;
        }
    }
    return true;
}

bool prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return prefix_contains(a, &b->ip) || prefix_contains(b, &a->ip);
}

const char *addr_text(const struct ip_addr *ip, char buf[64])
{
    if (ip->family == ADDR_NONE ||
        inet_ntop(ip->family == ADDR_V4 ? AF_INET : AF_INET6, ip->bytes, buf, 64) == NULL) {
        return "none";
    }
    return buf;
}

const char *prefix_text(const struct ip_prefix *prefix, char buf[72])
{
    char ip[64];

    (void)snprintf(buf, 72, "%s/%u", addr_text(&prefix->ip, ip), prefix->bits);
    return buf;
}
