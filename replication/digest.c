#include "replication/digest.h"

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(struct digest_item *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

static void sip_word(struct digest_item *s, uint64_t m)
{
    s->v3 ^= m;
    sip_round(s);
    sip_round(s);
    s->v0 ^= m;
}

static void sip_bytes(struct digest_item *s, const uint8_t *p, size_t n)
{
    size_t i = 0;

    /* Bring the tail to a word's edge, then whole words, then the rest into the tail. */
    while (i < n && s->len % 8 != 0) {
        s->tail |= (uint64_t)p[i++] << (s->len % 8 * 8);
        if (++s->len % 8 == 0) {
            sip_word(s, s->tail);
            s->tail = 0;
        }
    }
    for (; n - i >= 8; i += 8, s->len += 8) {
        uint64_t m = 0;

        for (unsigned k = 0; k < 8; k++)
            m |= (uint64_t)p[i + k] << (k * 8);
        sip_word(s, m);
    }
    for (; i < n; i++, s->len++)
        s->tail |= (uint64_t)p[i] << (s->len % 8 * 8);
}

static void sip_init(struct digest_item *s, uint64_t key0, uint64_t key1)
{
    *s = (struct digest_item){.v0 = key0 ^ 0x736f6d6570736575u,
                              .v1 = key1 ^ 0x646f72616e646f6du ^ 0xee,
                              .v2 = key0 ^ 0x6c7967656e657261u,
                              .v3 = key1 ^ 0x7465646279746573u};
}

void digest_item_init(struct digest_item *item, uint64_t key, uint64_t kind)
{
    sip_init(item, key, kind);
}

void digest_item_u64(struct digest_item *item, uint64_t value)
{
    uint8_t le[8];

    for (unsigned k = 0; k < 8; k++)
        le[k] = (uint8_t)(value >> (k * 8));
    sip_bytes(item, le, sizeof le);
}

void digest_item_span(struct digest_item *item, struct span bytes)
{
    digest_item_u64(item, bytes.len);
    sip_bytes(item, bytes.data, bytes.len);
}

struct digest digest_item_final(struct digest_item *item)
{
    struct digest out;

    sip_word(item, item->tail | item->len << 56);
    item->v2 ^= 0xee;
    for (int i = 0; i < 4; i++)
        sip_round(item);
    out.a = item->v0 ^ item->v1 ^ item->v2 ^ item->v3;
    item->v1 ^= 0xdd;
    for (int i = 0; i < 4; i++)
        sip_round(item);
    out.b = item->v0 ^ item->v1 ^ item->v2 ^ item->v3;
    return out;
}

struct digest digest_hash(uint64_t key0, uint64_t key1, struct span bytes)
{
    struct digest_item s;

    sip_init(&s, key0, key1);
    sip_bytes(&s, bytes.data, bytes.len);
    return digest_item_final(&s);
}
