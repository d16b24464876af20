/* Virtual addresses of this node's view. The log is the judge (a taken address is refused at
 * apply); picking here only avoids asking for one that is known to be taken. */
#include "conductor/internal.h"
#include "conductor/many.h"

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

static const struct conductor_shard_options *options_of(const struct conductor *c, uint32_t shard)
{
    for (uint32_t i = 0; i < c->options.n_shards; i++)
        if (c->options.shards[i].id == shard)
            return &c->options.shards[i];
    return NULL;
}

bool pool_exists(const struct conductor *c, uint32_t shard, unsigned slot)
{
    const struct conductor_shard_options *o = options_of(c, shard);

    return o != NULL && addr_is_set(&o->pool_first[slot]);
}

static struct ip_addr at_offset(const struct ip_addr *first, uint64_t offset)
{
    struct ip_addr ip = *first;
    uint64_t low;

    if (ip.family == ADDR_V4)
        return addr_v4(get_be32(ip.bytes) + (uint32_t)offset);
    low = get_be64(ip.bytes + 8) + offset;
    put_be64(ip.bytes, get_be64(ip.bytes) + (low < offset));
    put_be64(ip.bytes + 8, low);
    return ip;
}

/* Of a pool of IPv6 the first 2^62 addresses, if it has more, which nobody fills. */
static uint64_t size_of(const struct ip_addr *first, const struct ip_addr *last)
{
    const uint64_t most = UINT64_C(1) << 62;
    uint64_t high, low;

    if (first->family == ADDR_V4)
        return (uint64_t)get_be32(last->bytes) - get_be32(first->bytes) + 1;
    low = get_be64(last->bytes + 8) - get_be64(first->bytes + 8);
    high = get_be64(last->bytes) - get_be64(first->bytes) -
           (get_be64(last->bytes + 8) < get_be64(first->bytes + 8));
    return high != 0 || low >= most ? most : low + 1;
}

static bool in_range(const struct conductor_shard_options *o, unsigned slot,
                     const struct ip_addr *ip)
{
    return ip->family == o->pool_first[slot].family &&
           memcmp(ip->bytes, o->pool_first[slot].bytes, sizeof ip->bytes) >= 0 &&
           memcmp(ip->bytes, o->pool_last[slot].bytes, sizeof ip->bytes) <= 0;
}

/* Where an identity's search begins: the same on every node and after every restart, so who comes
 * again gets the address that it had, where it is free, and no record is kept of it. */
static uint64_t place_of(const struct ike_identity *identity, uint64_t size)
{
    const struct ike_identity key = identity_key(identity);
    uint64_t hash = span_fnv1a64(span_of(key.bytes, key.len)) + key.type;

    /* FNV's low bits are its weak ones (MurmurHash3's finalizer). */
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (hash ^ hash >> 33) % size;
}

struct ip_addr pool_pick(struct conductor *c, uint32_t shard, unsigned slot,
                         const struct ip_addr *wish, const struct ike_identity *identity)
{
    const struct conductor_shard_options *o = options_of(c, shard);
    uint64_t size, at;

    if (o == NULL || !addr_is_set(&o->pool_first[slot]))
        return (struct ip_addr){0};
    if (addr_is_set(wish) && in_range(o, slot, wish) && may_pick(c, wish))
        return *wish;
    size = size_of(&o->pool_first[slot], &o->pool_last[slot]);
    at = place_of(identity, size);
    for (uint64_t n = 0; n < size; n++) {
        struct ip_addr ip = at_offset(&o->pool_first[slot], at);

        if (may_pick(c, &ip))
            return ip;
        at = at + 1 == size ? 0 : at + 1;
    }
    return (struct ip_addr){0};
}
