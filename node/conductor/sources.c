/* How many half-open SAs each source address has, the key exchanges for new ones included. An entry
 * lives as long as there is one, so there are never more than those are bounded to in all. */
#include "conductor/internal.h"

#include <stdlib.h>

static struct conductor_half_open_source *find(struct conductor *c, const struct ip_addr *ip)
{
    struct conductor_half_open_source *s = NULL;

    HASH_FIND(hh, c->half_open_sources, ip, sizeof *ip, s);
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
        s->ip = *ip;
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
