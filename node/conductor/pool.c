/* Virtual addresses of this node's view. The log is the judge (a taken address is refused at
 * apply); picking here only avoids asking for one that is known to be taken. */
#include "conductor/internal.h"

#include <stdlib.h>

static struct conductor_address *find(struct conductor *c, const struct ip_addr *ip)
{
    struct conductor_address *a = NULL;

    HASH_FIND(hh, c->addresses, ip, sizeof *ip, a);
    return a;
}

void pool_hold(struct conductor *c, const struct ip_addr *ip, uint64_t holder)
{
    struct conductor_address *a = find(c, ip);

    if (a == NULL) {
        a = calloc(1, sizeof *a);
        HF_ASSERT(a != NULL);
        a->ip = *ip;
        HASH_ADD(hh, c->addresses, ip, sizeof a->ip, a);
    }
    a->holder = holder;
    a->avoid_until_ms = 0;
}

void pool_avoid(struct conductor *c, const struct ip_addr *ip)
{
    if (find(c, ip) != NULL) /* its holder became known meanwhile */
        return;
    pool_hold(c, ip, 0);
    find(c, ip)->avoid_until_ms = c->ops.now_ms(c->ops.self) + CONDUCTOR_AVOID_MS;
}

static bool may_pick(struct conductor *c, const struct ip_addr *ip)
{
    const struct conductor_address *a = find(c, ip);

    return a == NULL || (a->avoid_until_ms != 0 && a->avoid_until_ms <= c->ops.now_ms(c->ops.self));
}

/* Released by address, but only by who holds it: an IKE rekey's old SA no longer does. */
void pool_release(struct conductor *c, const struct ip_addr *ip, uint64_t holder)
{
    struct conductor_address *a = find(c, ip);

    if (a == NULL || a->holder != holder)
        return;
    HASH_DELETE(hh, c->addresses, a);
    free(a);
}

bool pool_holds(struct conductor *c, const struct ip_addr *ip, uint64_t holder)
{
    const struct conductor_address *a = ip->family != ADDR_NONE ? find(c, ip) : NULL;

    return a != NULL && a->holder == holder;
}

static uint32_t v4(const struct ip_addr *a)
{
    return get_be32(a->bytes);
}

struct ip_addr pool_pick(struct conductor *c, uint32_t shard, const struct ip_addr *wish)
{
    const struct conductor_shard_options *o = NULL;
    struct ip_addr ip;

    for (uint32_t i = 0; i < c->options.n_shards; i++)
        if (c->options.shards[i].id == shard)
            o = &c->options.shards[i];
    if (o == NULL || o->pool_first.family != ADDR_V4)
        return (struct ip_addr){0};
    if (wish->family == ADDR_V4 && v4(wish) >= v4(&o->pool_first) &&
        v4(wish) <= v4(&o->pool_last) && may_pick(c, wish))
        return *wish;
    for (uint64_t n = v4(&o->pool_first); n <= v4(&o->pool_last); n++) {
        ip = addr_v4((uint32_t)n);
        if (may_pick(c, &ip))
            return ip;
    }
    return (struct ip_addr){0};
}
