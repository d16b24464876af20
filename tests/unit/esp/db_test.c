/* The SA database: both look-ups against a plain list through random change, prefixes, choice among
 * SAs, and readers on other threads. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "pair.h"

enum { BUCKETS = 64, MANY = 400 };

static esp_spi_bucket by_spi[BUCKETS];
static esp_route_bucket by_destination[BUCKETS];
static struct esp_db db;
static struct esp_sa sas[MANY];

static void make(struct esp_sa *sa, uint32_t spi, uint32_t virtual_ip)
{
    struct esp_sa_params p =
        pair_params(&(struct pair_options){.spi = spi, .virtual_ip = virtual_ip}, true);

    cr_assert(esp_sa_init(sa, &p));
}

static struct esp_inner to(uint32_t dst)
{
    static uint8_t b[64];
    struct esp_inner inner;

    cr_assert(esp_inner_decode(pair_packet(b, 64, 0x0a4d020a, dst, 1), &inner));
    return inner;
}

static struct esp_sa *find(uint32_t dst, bool *known)
{
    struct esp_inner inner = to(dst);

    return esp_db_find_outbound(&db, &inner, known);
}

Test(db, buckets_are_enough)
{
    cr_assert_eq(esp_db_buckets(0), 64);
    cr_assert_eq(esp_db_buckets(64), 64);
    cr_assert_eq(esp_db_buckets(65), 128);
    cr_assert_eq(esp_db_buckets(200000), 262144);
}

Test(db, finds_what_is_there_through_random_change)
{
    bool in[MANY] = {false};
    uint64_t state = 1;
    bool known;

    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    for (uint32_t i = 0; i < MANY; i++)
        make(&sas[i], 0x1000 + i * 3, 0x0a630000 + i);
    for (int step = 0; step < 20000; step++) {
        uint32_t i;

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        i = (uint32_t)(state >> 33) % MANY;
        if (in[i])
            esp_db_remove(&db, &sas[i]);
        else
            cr_assert(esp_db_insert(&db, &sas[i]));
        in[i] = !in[i];
        i = (uint32_t)(state >> 40) % MANY;
        cr_assert_eq(esp_db_find_inbound(&db, 0x1000 + i * 3), in[i] ? &sas[i] : NULL);
        cr_assert_null(esp_db_find_inbound(&db, 0x1001 + i * 3));
        cr_assert_eq(find(0x0a630000 + i, &known), in[i] ? &sas[i] : NULL);
        cr_assert_eq(known, in[i]);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        if (in[i])
            esp_db_remove(&db, &sas[i]);
        esp_sa_deinit(&sas[i]);
    }
    cr_assert_eq(db.count, 0);
    cr_assert_eq(atomic_load(&db.lengths_v4), 0);
    for (int i = 0; i < BUCKETS; i++)
        cr_assert(atomic_load(&by_spi[i]) == NULL && atomic_load(&by_destination[i]) == NULL);
}

Test(db, an_spi_is_taken_once)
{
    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    make(&sas[0], 0x1000, 1);
    make(&sas[1], 0x1000, 2);
    cr_assert(esp_db_insert(&db, &sas[0]));
    cr_assert_not(esp_db_insert(&db, &sas[1]));
    cr_assert_eq(db.count, 1);
    esp_sa_deinit(&sas[0]);
    esp_sa_deinit(&sas[1]);
}

Test(db, a_rekey_moves_outbound_by_a_flag)
{
    bool known;

    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    make(&sas[0], 0x1000, 0x0a630005);
    make(&sas[1], 0x1001, 0x0a630005);
    esp_sa_set_outbound(&sas[1], false);
    cr_assert(esp_db_insert(&db, &sas[0]) && esp_db_insert(&db, &sas[1]));
    cr_assert_eq(find(0x0a630005, &known), &sas[0], "the new one receives only, yet");
    esp_sa_set_outbound(&sas[1], true);
    cr_assert_eq(find(0x0a630005, &known), &sas[1], "between the two stores: the newer");
    esp_sa_set_outbound(&sas[0], false);
    cr_assert_eq(find(0x0a630005, &known), &sas[1]);
    esp_db_remove(&db, &sas[0]);
    cr_assert_eq(find(0x0a630005, &known), &sas[1]);
    esp_sa_set_outbound(&sas[1], false);
    cr_assert_null(find(0x0a630005, &known));
    cr_assert(known);
    esp_sa_deinit(&sas[0]);
    esp_sa_deinit(&sas[1]);
}

/* RFC 7296 2.8.3: who authenticates anew beside its old SA has the new one only when the answer arrives. */
Test(db, what_the_peer_may_not_have_sends_where_no_other_does)
{
    bool known;

    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    for (uint32_t i = 0; i < 3; i++)
        make(&sas[i], 0x1000 + i, 0x0a630005);
    atomic_store(&sas[1].unproven, true);
    atomic_store(&sas[2].unproven, true);
    cr_assert(esp_db_insert(&db, &sas[0]) && esp_db_insert(&db, &sas[1]));
    cr_assert_eq(find(0x0a630005, &known), &sas[0], "the older one, which the peer has");
    cr_assert(esp_db_insert(&db, &sas[2]));
    cr_assert_eq(find(0x0a630005, &known), &sas[0]);
    atomic_store(&sas[1].unproven, false);
    cr_assert_eq(find(0x0a630005, &known), &sas[1], "the newest that the peer has");
    esp_db_remove(&db, &sas[1]);
    cr_assert_eq(find(0x0a630005, &known), &sas[0]);
    esp_db_remove(&db, &sas[0]);
    cr_assert_eq(find(0x0a630005, &known), &sas[2], "nothing else sends");
    esp_db_remove(&db, &sas[2]);
    for (unsigned i = 0; i < 3; i++)
        esp_sa_deinit(&sas[i]);
}

Test(db, the_longest_prefix_whose_selectors_hold)
{
    bool known;

    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    make(&sas[0], 0x1000, 0x0a630005);
    for (uint32_t i = 1; i < 4; i++) {
        struct esp_sa_params p =
            pair_params(&(struct pair_options){.spi = 0x1000 + i, .virtual_ip = 0}, true);

        p.selectors.remote[0].low = addr_v4(i == 1 ? 0x0a630000 : i == 2 ? 0x0a000000 : 0);
        p.selectors.remote[0].high = addr_v4(i == 1   ? 0x0a6300ff
                                             : i == 2 ? 0x0affffff
                                                      : UINT32_MAX);
        cr_assert(esp_sa_init(&sas[i], &p));
    }
    for (int i = 0; i < 4; i++)
        cr_assert(esp_db_insert(&db, &sas[i]));
    cr_assert_eq(find(0x0a630005, &known), &sas[0]);
    cr_assert_eq(find(0x0a630006, &known), &sas[1]);
    cr_assert_eq(find(0x0a640006, &known), &sas[2]);
    cr_assert_eq(find(0x0b640006, &known), &sas[3]);
    sas[0].selectors.remote[0].protocol = 6; /* takes TCP only: the packet here is UDP */
    cr_assert_eq(find(0x0a630005, &known), &sas[1]);
    esp_db_remove(&db, &sas[3]);
    cr_assert_null(find(0x0b640006, &known));
    cr_assert_not(known);
    for (int i = 0; i < 4; i++)
        esp_sa_deinit(&sas[i]);
}

/* Several CHILD SAs lead to one virtual address: the narrowest that takes the packet, whatever came
 * first; among equals the newest. */
Test(db, the_narrowest_selectors_win)
{
    static const struct {
        uint32_t low, high; /* behind the gateway */
        uint8_t protocol;
        uint16_t port_low, port_high;
    } rows[] = {{0, UINT32_MAX, 0, 0, 65535},           {0x0a4d0200, 0x0a4d02ff, 0, 0, 65535},
                {0x0a4d0200, 0x0a4d02ff, 17, 0, 65535}, {0x0a4d0200, 0x0a4d02ff, 17, 1000, 1000},
                {0x0a4d020a, 0x0a4d020a, 0, 0, 65535},  {0x0a4d020a, 0x0a4d020a, 6, 0, 65535}};
    enum { N = 6, BEST = 4 }; /* the last takes TCP only */
    unsigned compared = 0;
    bool known;

    for (unsigned first = 0; first < N; first++) {
        esp_db_init(&db, by_spi, by_destination, BUCKETS);
        for (unsigned k = 0; k < N; k++) {
            unsigned i = (first + k) % N;
            struct esp_sa_params p = pair_params(
                &(struct pair_options){.spi = 0x1000 + i, .virtual_ip = 0x0a630005}, true);
            struct esp_selector *l = &p.selectors.local[0];

            l->low = addr_v4(rows[i].low);
            l->high = addr_v4(rows[i].high);
            l->protocol = rows[i].protocol;
            l->port_low = rows[i].port_low;
            l->port_high = rows[i].port_high;
            cr_assert(esp_sa_init(&sas[i], &p) && esp_db_insert(&db, &sas[i]));
        }
        for (int i = BEST; i >= 0; i--, compared++) {
            cr_assert_eq(find(0x0a630005, &known), &sas[i], "%d is not taken, first %u", i, first);
            esp_sa_set_outbound(&sas[i], false); /* then the next narrow one */
        }
        cr_assert_null(find(0x0a630005, &known));
        cr_assert(known);
        for (unsigned i = 0; i < N; i++)
            esp_sa_deinit(&sas[i]);
    }
    printf("compared %u choices\n", compared);
}

Test(db, v6_destinations)
{
    struct esp_inner inner = {.len = 40, .protocol = 17};
    bool known;

    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    inner.src.family = inner.dst.family = ADDR_V6;
    inner.dst.bytes[0] = 0xfd;
    inner.dst.bytes[15] = 9;
    for (uint32_t i = 0; i < 3; i++) {
        struct esp_sa_params p =
            pair_params(&(struct pair_options){.spi = 0x1000 + i, .virtual_ip = 0}, true);
        struct esp_selector *r = &p.selectors.remote[0], *l = &p.selectors.local[0];

        l->low = (struct ip_addr){.family = ADDR_V6};
        l->high = (struct ip_addr){.family = ADDR_V6, .bytes = {0xff}};
        r->low = (struct ip_addr){.family = ADDR_V6, .bytes = {0xfd}};
        r->high = r->low;
        if (i == 0)
            r->low.bytes[15] = r->high.bytes[15] = 9;
        if (i == 1)
            memset(r->high.bytes + 8, 0xff, 8); /* /64 */
        if (i == 2)
            memset(r->high.bytes + 1, 0xff, 15); /* /8 */
        cr_assert(esp_sa_init(&sas[i], &p));
        cr_assert(esp_db_insert(&db, &sas[i]));
    }
    cr_assert_eq(esp_db_find_outbound(&db, &inner, &known), &sas[0]);
    inner.dst.bytes[15] = 10;
    cr_assert_eq(esp_db_find_outbound(&db, &inner, &known), &sas[1]);
    inner.dst.bytes[3] = 10;
    cr_assert_eq(esp_db_find_outbound(&db, &inner, &known), &sas[2]);
    inner.dst.bytes[0] = 0xfc;
    cr_assert_null(esp_db_find_outbound(&db, &inner, &known));
    for (int i = 0; i < 3; i++)
        esp_sa_deinit(&sas[i]);
}

/* --- many SAs: the walk stays short --- */

enum { CROWD = 20000 };

static bool no_cipher(struct suite_aead_context *c, const struct suite_aead *row,
                      const uint8_t *key, const uint8_t *integ_key)
{
    (void)c;
    (void)row;
    (void)key;
    (void)integ_key;
    return true;
}

static void no_cipher_end(struct suite_aead_context *c)
{
    (void)c;
}

/* Keyed contexts are not what is looked up here: this one holds none. */
static const struct suite_aead no_aead = {.key_bytes = 16,
                                          .salt_bytes = 4,
                                          .iv_bytes = 8,
                                          .icv_bytes = 16,
                                          .block_bytes = 1,
                                          .context_init = no_cipher,
                                          .context_deinit = no_cipher_end};

static unsigned longest_spi_chain(const esp_spi_bucket *buckets, uint32_t n)
{
    unsigned longest = 0;

    for (uint32_t i = 0; i < n; i++) {
        unsigned length = 0;

        for (struct esp_sa *sa = atomic_load(&buckets[i]); sa != NULL;
             sa = atomic_load(&sa->next_by_spi))
            length++;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static unsigned longest_route_chain(const esp_route_bucket *buckets, uint32_t n)
{
    unsigned longest = 0;

    for (uint32_t i = 0; i < n; i++) {
        unsigned length = 0;

        for (struct esp_route *r = atomic_load(&buckets[i]); r != NULL; r = atomic_load(&r->next))
            length++;
        longest = length > longest ? length : longest;
    }
    return longest;
}

Test(db, a_crowd_of_neighbours_spreads_over_the_tables)
{
    uint32_t n = esp_db_buckets(CROWD);
    struct esp_sa *crowd = aligned_alloc(ESP_CACHE_LINE, CROWD * sizeof *crowd);
    esp_spi_bucket *spis = calloc(n, sizeof *spis);
    esp_route_bucket *routes = calloc(n, sizeof *routes);
    bool known;

    cr_assert(crowd != NULL && spis != NULL && routes != NULL);
    esp_db_init(&db, spis, routes, n);
    for (uint32_t i = 0; i < CROWD; i++) {
        struct esp_sa_params p = pair_params(&(struct pair_options){.spi = 0x10000 + i,
                                                                    .virtual_ip = 0x0a000000 + i,
                                                                    .key_bits = 128},
                                             true);

        p.aead = &no_aead;
        cr_assert(esp_sa_init(&crowd[i], &p) && esp_db_insert(&db, &crowd[i]));
    }
    /* Random placing of 20,000 in 32,768 has a longest chain of 6 or 7. */
    cr_assert_leq(longest_spi_chain(spis, n), 12);
    cr_assert_leq(longest_route_chain(routes, n), 12);
    for (uint32_t i = 0; i < CROWD; i += 7) {
        cr_assert_eq(esp_db_find_inbound(&db, 0x10000 + i), &crowd[i]);
        cr_assert_eq(find(0x0a000000 + i, &known), &crowd[i]);
    }
    for (uint32_t i = 0; i < CROWD; i++)
        esp_sa_deinit(&crowd[i]);
    free(crowd);
    free(spis);
    free(routes);
}

/* --- readers beside the writer: nothing that stays is ever missed --- */

static _Atomic bool stop;
static _Atomic uint64_t missed, looked;

static void *reader(void *arg)
{
    uint8_t b[64];
    struct esp_inner inner;
    bool known;

    (void)arg;
    if (!esp_inner_decode(pair_packet(b, 64, 0x0a4d020a, 0x0a630000, 1), &inner))
        return NULL;
    while (!atomic_load(&stop))
        for (uint32_t i = 0; i < MANY; i += 2) { /* even ones stay */
            inner.dst = addr_v4(0x0a630000 + i);
            if (esp_db_find_inbound(&db, 0x1000 + i) != &sas[i] ||
                esp_db_find_outbound(&db, &inner, &known) != &sas[i])
                atomic_fetch_add(&missed, 1);
            atomic_fetch_add(&looked, 1);
        }
    return NULL;
}

Test(db, readers_never_miss_what_stays)
{
    pthread_t thread;

    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    for (uint32_t i = 0; i < MANY; i++) {
        make(&sas[i], 0x1000 + i, 0x0a630000 + i);
        cr_assert(esp_db_insert(&db, &sas[i]));
    }
    cr_assert_eq(pthread_create(&thread, NULL, reader, NULL), 0);
    /* The odd ones come and go. A removed one is inserted again only after the reader made a whole
     * round: its links change then. */
    for (int round = 0; round < 30; round++) {
        uint64_t at;

        for (uint32_t i = 1; i < MANY; i += 2)
            esp_db_remove(&db, &sas[i]);
        at = atomic_load(&looked);
        while (atomic_load(&looked) < at + 2)
            sched_yield();
        for (uint32_t i = 1; i < MANY; i += 2)
            cr_assert(esp_db_insert(&db, &sas[i]));
    }
    atomic_store(&stop, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(missed, 0);
    cr_assert_gt(looked, 0);
    for (uint32_t i = 0; i < MANY; i++)
        esp_sa_deinit(&sas[i]);
}

/* --- a rekey under a reader: one of the two always sends --- */

static void *sender(void *arg)
{
    uint8_t b[64];
    struct esp_inner inner;
    bool known;

    (void)arg;
    if (!esp_inner_decode(pair_packet(b, 64, 0x0a4d020a, 0x0a630005, 1), &inner))
        return NULL;
    while (!atomic_load(&stop)) {
        if (esp_db_find_outbound(&db, &inner, &known) == NULL)
            atomic_fetch_add(&missed, 1);
        atomic_fetch_add(&looked, 1);
    }
    return NULL;
}

Test(db, readers_never_miss_the_moment_of_a_rekey)
{
    enum { REKEYS = 200000 };
    pthread_t thread;

    esp_db_init(&db, by_spi, by_destination, BUCKETS);
    for (uint32_t i = 0; i < 2; i++) {
        make(&sas[i], 0x1000 + i, 0x0a630005);
        cr_assert(esp_db_insert(&db, &sas[i]));
    }
    esp_sa_set_outbound(&sas[1], false);
    cr_assert_eq(pthread_create(&thread, NULL, sender, NULL), 0);
    while (atomic_load(&looked) == 0)
        sched_yield();
    for (uint32_t i = 0; i < REKEYS; i++) {
        uint64_t at = atomic_load(&looked);

        esp_sa_set_outbound(&sas[(i + 1) % 2], true);
        esp_sa_set_outbound(&sas[i % 2], false);
        while (atomic_load(&looked) == at) /* one rekey after the other */
            sched_yield();
    }
    atomic_store(&stop, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    printf("compared %llu look-ups over %d rekeys\n", (unsigned long long)looked, REKEYS);
    cr_assert_eq(missed, 0, "%llu packets without an SA", (unsigned long long)missed);
    for (uint32_t i = 0; i < 2; i++)
        esp_sa_deinit(&sas[i]);
}
