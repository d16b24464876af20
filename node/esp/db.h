/* The SA database: SPI -> inbound SA, inner destination -> outbound SA.
 *
 * One writer (the control loop), many readers (workers), no lock: chained hash tables whose links
 * are stored with release and loaded with acquire. A removed SA keeps its own links, so a reader
 * that stands on it goes on; its memory may be used again only when every worker has passed a
 * quiescent point after the removal (worker_pool_passed). Memory is the caller's.
 *
 * Destinations are found by longest prefix: only prefix lengths in use are tried, so a gateway with
 * virtual addresses only (/32, /128) does one look-up, whatever the number of SAs. Among SAs of one
 * prefix that are `outbound` and whose selectors hold the packet the one with the narrowest selectors
 * is taken (selectors.h), among equals the newest; but one that is `unproven` (sa.h) only where no other.
 */
#ifndef HF_ESP_DB_H
#define HF_ESP_DB_H

#include "esp/sa.h"

typedef _Atomic(struct esp_sa *) esp_spi_bucket;
typedef _Atomic(struct esp_route *) esp_route_bucket;

struct esp_db {
    esp_spi_bucket *by_spi;
    esp_route_bucket *by_destination;
    uint32_t mask; /* buckets - 1, of either table */
    uint32_t count;
    /* Prefix lengths in use: bits for readers, counts for the writer. */
    _Atomic uint64_t lengths_v4;
    _Atomic uint64_t lengths_v6[3];
    uint32_t count_v4[33], count_v6[129];
};

/* Buckets for `capacity` SAs: a power of two, at least capacity. */
uint32_t esp_db_buckets(uint32_t capacity);

/* Both arrays have n_buckets elements (a power of two) and live as long as the db. */
void esp_db_init(struct esp_db *db, esp_spi_bucket *by_spi, esp_route_bucket *by_destination,
                 uint32_t n_buckets);

/* --- control loop --- */

/* Publishes. False: the SPI is there already. The SA must not change but by its own functions until
 * it is reclaimed. */
bool esp_db_insert(struct esp_db *db, struct esp_sa *sa) HF_MUST_USE;
/* Unpublishes (must be there, asserted). */
void esp_db_remove(struct esp_db *db, struct esp_sa *sa);

/* --- any thread --- */

struct esp_sa *esp_db_find_inbound(const struct esp_db *db, uint32_t spi);
/* NULL: no SA for the destination takes this packet. *known: there is one for the destination, but
 * its selectors or its outbound flag say no. */
struct esp_sa *esp_db_find_outbound(const struct esp_db *db, const struct esp_inner *inner,
                                    bool *known);

#endif
