/* The state as of one instant, taken while it goes on changing, without a copy of it all.
 *
 *   image_begin ─> image_walk … image_walk ─> image_take: a batch, for any thread to encode
 *                     │ so many SAs a call      ▲
 *   a record changes ─┴─> what was not reached yet is kept first, as it was ─┘
 *
 * A batch holds the small parts of SAs and leases by value and their state bytes by reference:
 * those are never changed in place (fsm_parts.h), so keeping one costs no copy of it. Documents and
 * entries of the audit never change either: references to all of them are taken at the instant. They
 * come first, then all SAs, then all leases. What came after the instant is left out.
 *
 * Single-threaded but for the batches, which nobody changes any more: made and freed by the state
 * machine's thread, read by another in between. Memory: 400 bytes an SA of a batch, and old
 * states for as long as a batch holds them.
 */
#ifndef HF_REPL_IMAGE_H
#define HF_REPL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replication/grant.h"

struct fsm;
struct fsm_sa;
struct fsm_lease;
struct repl_document;
struct audit_entry;
struct image;

struct image_claim {
    uint32_t spi_in, spi_out;
    bool esn;
    struct repl_claim claim; /* as stored: implicit grants not counted */
};

struct image_sa {
    uint64_t id, version, touched;
    uint32_t shard;
    uint8_t *state; /* a reference */
    size_t state_len;
    size_t first_claim, n_claims; /* in the batch's claims[] */
};

struct image_lease {
    uint8_t address[16];
    uint8_t address_len;
    uint32_t shard;
    uint64_t sa_id;    /* 0 = none */
    uint8_t *identity; /* a copy */
    size_t identity_len;
};

struct image_batch {
    struct repl_document **documents; /* references */
    size_t n_documents;
    struct audit_entry **audit; /* likewise, the oldest first */
    size_t n_audit;
    struct image_sa *sas;
    size_t n_sas, cap_sas;
    struct image_claim *claims;
    size_t n_claims, cap_claims;
    struct image_lease *leases;
    size_t n_leases, cap_leases;
    size_t state_bytes;
};

/* The instant is now. One at a time (asserted); the fsm must outlive it, and end it before its own
 * end. */
struct image *image_begin(struct fsm *fsm);
/* Also before it is complete: it is given up. */
void image_end(struct image *image);

/* Goes on by at most `items` documents, entries, SAs or leases, and no further once the batch holds `bytes` of states.
 * True: everything is kept, no more walk is needed. */
bool image_walk(struct image *image, size_t items, size_t bytes);
/* What was kept since the last take, or NULL. The caller's: image_batch_free(). */
struct image_batch *image_take(struct image *image);
void image_batch_free(struct image_batch *batch);

/* For the state machine: fsm_keep_*(), and an object that is about to go. `image` may be NULL for
 * the latter. */
void image_keep_sa(struct image *image, struct fsm_sa *sa);
void image_keep_lease(struct image *image, struct fsm_lease *lease);
void image_pass_sa(struct image *image, const struct fsm_sa *sa);
void image_pass_lease(struct image *image, const struct fsm_lease *lease);

#endif
