#include "esp/db.h"

uint32_t esp_db_buckets(uint32_t capacity)
{
    uint32_t n = 64;

    while (n < capacity && n < UINT32_C(1) << 30)
        n *= 2;
    return n;
}

void esp_db_init(struct esp_db *db, esp_spi_bucket *by_spi, esp_route_bucket *by_destination,
                 uint32_t n_buckets)
{
    HF_ASSERT(n_buckets > 0 && (n_buckets & (n_buckets - 1)) == 0);
    memset(db, 0, sizeof *db);
    for (uint32_t i = 0; i < n_buckets; i++) {
        atomic_init(&by_spi[i], NULL);
        atomic_init(&by_destination[i], NULL);
    }
    db->by_spi = by_spi;
    db->by_destination = by_destination;
    db->mask = n_buckets - 1;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static uint32_t spi_bucket(const struct esp_db *db, uint32_t spi)
{
    return (uint32_t)mix(spi) & db->mask;
}

static uint32_t route_bucket(const struct esp_db *db, const struct ip_addr *prefix, uint8_t bits)
{
    uint64_t h = mix(get_be64(prefix->bytes) ^ (uint64_t)bits << 8 ^ prefix->family);

    return (uint32_t)mix(h ^ get_be64(prefix->bytes + 8)) & db->mask;
}

/* --- prefix lengths in use --- */

static _Atomic uint64_t *length_word(struct esp_db *db, uint8_t family, uint8_t bits)
{
    return family == ADDR_V4 ? &db->lengths_v4 : &db->lengths_v6[bits / 64];
}

static uint32_t *length_count(struct esp_db *db, uint8_t family, uint8_t bits)
{
    return family == ADDR_V4 ? &db->count_v4[bits] : &db->count_v6[bits];
}

static void length_used(struct esp_db *db, uint8_t family, uint8_t bits)
{
    if ((*length_count(db, family, bits))++ == 0)
        atomic_fetch_or_explicit(length_word(db, family, bits), UINT64_C(1) << (bits % 64),
                                 memory_order_release);
}

static void length_unused(struct esp_db *db, uint8_t family, uint8_t bits)
{
    if (--(*length_count(db, family, bits)) == 0)
        atomic_fetch_and_explicit(length_word(db, family, bits), ~(UINT64_C(1) << (bits % 64)),
                                  memory_order_release);
}

/* --- writer --- */

bool esp_db_insert(struct esp_db *db, struct esp_sa *sa)
{
    esp_spi_bucket *bucket = &db->by_spi[spi_bucket(db, sa->spi_in)];

    if (esp_db_find_inbound(db, sa->spi_in) != NULL)
        return false;
    atomic_store_explicit(&sa->next_by_spi, atomic_load_explicit(bucket, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(bucket, sa, memory_order_release);
    for (uint8_t i = 0; i < sa->selectors.n_remote; i++) {
        struct esp_route *r = &sa->routes[i];
        esp_route_bucket *head = &db->by_destination[route_bucket(db, &r->prefix, r->bits)];

        atomic_store_explicit(&r->next, atomic_load_explicit(head, memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(head, r, memory_order_release);
        length_used(db, r->prefix.family, r->bits);
    }
    db->count++;
    return true;
}

void esp_db_remove(struct esp_db *db, struct esp_sa *sa)
{
    esp_spi_bucket *link = &db->by_spi[spi_bucket(db, sa->spi_in)];
    struct esp_sa *at;

    /* The removed one keeps its own links: a reader that stands on it goes on. */
    for (;;) {
        at = atomic_load_explicit(link, memory_order_relaxed);
        HF_ASSERT(at != NULL);
        if (at == sa)
            break;
        link = &at->next_by_spi;
    }
    atomic_store_explicit(link, atomic_load_explicit(&sa->next_by_spi, memory_order_relaxed),
                          memory_order_release);
    for (uint8_t i = 0; i < sa->selectors.n_remote; i++) {
        struct esp_route *r = &sa->routes[i];
        esp_route_bucket *p = &db->by_destination[route_bucket(db, &r->prefix, r->bits)];
        struct esp_route *q;

        while ((q = atomic_load_explicit(p, memory_order_relaxed)) != r) {
            HF_ASSERT(q != NULL);
            p = &q->next;
        }
        atomic_store_explicit(p, atomic_load_explicit(&r->next, memory_order_relaxed),
                              memory_order_release);
        length_unused(db, r->prefix.family, r->bits);
    }
    db->count--;
}

/* --- readers --- */

struct esp_sa *esp_db_find_inbound(const struct esp_db *db, uint32_t spi)
{
    struct esp_sa *sa =
        atomic_load_explicit(&db->by_spi[spi_bucket(db, spi)], memory_order_acquire);

    while (sa != NULL && sa->spi_in != spi)
        sa = atomic_load_explicit(&sa->next_by_spi, memory_order_acquire);
    return sa;
}

static bool proven(const struct esp_sa *sa)
{
    return !atomic_load_explicit(&sa->unproven, memory_order_acquire);
}

/* The SA of exactly this prefix that takes the packet by the narrowest selectors; among equals the
 * newest that its peer is known to have, else the newest. The chain of one virtual address is as
 * long as its peer has CHILD SAs. *passed_over: one that does not send would have taken it. */
static struct esp_sa *scan_prefix(const struct esp_db *db, const struct ip_addr *prefix,
                                  uint8_t bits, const struct esp_inner *inner, bool *known,
                                  bool *passed_over)
{
    struct esp_route *r = atomic_load_explicit(&db->by_destination[route_bucket(db, prefix, bits)],
                                               memory_order_acquire);
    struct esp_sa *best = NULL;
    uint32_t best_rank = 0;

    *passed_over = false;
    for (; r != NULL; r = atomic_load_explicit(&r->next, memory_order_acquire)) {
        uint32_t rank;

        if (r->bits != bits || !addr_equal(&r->prefix, prefix))
            continue;
        *known = true;
        rank = esp_selectors_rank(&r->sa->selectors, inner);
        if (rank < best_rank || rank == 0 ||
            (rank == best_rank && (proven(best) || !proven(r->sa))))
            continue;
        if (atomic_load_explicit(&r->sa->outbound, memory_order_acquire)) {
            best = r->sa;
            best_rank = rank;
        } else {
            *passed_over = true;
        }
    }
    return best;
}

/* A rekey lets the new SA send before the old one ceases to, but a reader may pass the new one
 * before the one store and reach the old one after the other. Having seen the second it will see
 * the first, so it looks again; more than once only when rekey follows upon rekey meanwhile. */
static struct esp_sa *find_prefix(const struct esp_db *db, const struct ip_addr *prefix,
                                  uint8_t bits, const struct esp_inner *inner, bool *known)
{
    struct esp_sa *sa = NULL;
    bool passed_over = true;

    for (int look = 0; sa == NULL && passed_over && look < 4; look++)
        sa = scan_prefix(db, prefix, bits, inner, known, &passed_over);
    return sa;
}

/* Longest first. `prefix` is shortened as the lengths go down. */
static struct esp_sa *find_word(const struct esp_db *db, uint64_t lengths, uint8_t base,
                                struct ip_addr *prefix, uint8_t *at, const struct esp_inner *inner,
                                bool *known)
{
    while (lengths != 0) {
        uint8_t bit = (uint8_t)(63 - __builtin_clzll(lengths));
        uint8_t bits = (uint8_t)(base + bit);
        struct esp_sa *sa;

        lengths &= ~(UINT64_C(1) << bit);
        while (*at > bits) {
            uint8_t last = --(*at);

            prefix->bytes[last / 8] =
                (uint8_t)(prefix->bytes[last / 8] & ~(0x80u >> ((unsigned)last % 8)));
        }
        sa = find_prefix(db, prefix, bits, inner, known);
        if (sa != NULL)
            return sa;
    }
    return NULL;
}

struct esp_sa *esp_db_find_outbound(const struct esp_db *db, const struct esp_inner *inner,
                                    bool *known)
{
    struct ip_addr prefix = inner->dst;
    uint8_t at = (uint8_t)(addr_len(&prefix) * 8);
    struct esp_sa *sa = NULL;

    *known = false;
    if (prefix.family == ADDR_V4)
        return find_word(db, atomic_load_explicit(&db->lengths_v4, memory_order_acquire), 0,
                         &prefix, &at, inner, known);
    for (int word = 2; word >= 0 && sa == NULL; word--)
        sa = find_word(db, atomic_load_explicit(&db->lengths_v6[word], memory_order_acquire),
                       (uint8_t)(word * 64), &prefix, &at, inner, known);
    return sa;
}
