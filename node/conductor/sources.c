/* How many half-open SAs each source has, the key exchanges for new ones included. An entry
 * lives as long as there is one, so there are never more than those are bounded to in all. */
#include "conductor/internal.h"

#include <stdlib.h>

/* Whom an address stands for. A host has 2^64 addresses of IPv6: its /64 is the source (RFC 4291
 * 2.5.4), or the bounds by source would bound nobody. */
struct ip_addr source_of(const struct ip_addr *ip)
{
    struct ip_addr source = *ip;

    if (ip->family == ADDR_V6)
        memset(source.bytes + 8, 0, 8);
    return source;
}

static struct conductor_half_open_source *find(struct conductor *c, const struct ip_addr *ip)
{
    const struct ip_addr source = source_of(ip);
    struct conductor_half_open_source *s = NULL;

    HASH_FIND(hh, c->half_open_sources, &source, sizeof source, s);
    return s;
}

unsigned half_open_from(struct conductor *c, const struct ip_addr *ip)
{
    const struct conductor_half_open_source *s = find(c, ip);

    return s != NULL ? s->n : 0;
}

void half_open_count(struct conductor *c, const struct ip_addr *ip)
{
    struct conductor_half_open_source *s = find(c, ip);

    if (s == NULL) {
        s = calloc(1, sizeof *s);
        HF_ASSERT(s != NULL);
        s->ip = source_of(ip);
        HASH_ADD(hh, c->half_open_sources, ip, sizeof s->ip, s);
    }
    s->n++;
}

void half_open_uncount(struct conductor *c, const struct ip_addr *ip)
{
    struct conductor_half_open_source *s = find(c, ip);

    HF_ASSERT(s != NULL && s->n > 0);
    if (--s->n > 0)
        return;
    HASH_DELETE(hh, c->half_open_sources, s);
    /* uthash's deletion is beyond the analyzer. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    free(s);
}
