/* The whole replicated state as bytes and back: a run of length-prefixed, sealed items (proto/
 * snapshot.proto), closed by a footer with their number and the state's digest. What does not
 * restore to exactly that digest is refused.
 */
#ifndef HF_REPL_SNAPSHOT_H
#define HF_REPL_SNAPSHOT_H

#include "replication/fsm.h"
#include "replication/image.h"
#include "replication/seal.h"

/* --- encoding, in pieces: head (with the state at hand), batches of an image, end --- */

/* Bytes under construction; free(bytes) is the caller's. */
struct snapshot_piece {
    uint8_t *bytes;
    size_t len, cap;
};

struct snapshot_scratch { /* where one item stands in plain; wiped whenever it is given up */
    uint8_t *bytes;
    size_t cap;
};

struct snapshot_encoder {
    const struct seal *seal;
    struct digest digest; /* of the whole state at the image's instant */
    uint64_t items, bytes;
    bool failed; /* no key, or larger than REPL_MAX_SNAPSHOT_BYTES */
    struct snapshot_scratch plain;
};

/* Each appends to *piece. The first is to be called at the image's very instant. The other two only
 * read what they are given: any thread, one at a time (the seal must allow that). False: failed. */
bool snapshot_encode_head(struct snapshot_encoder *e, const struct fsm *fsm,
                          const struct seal *seal, struct snapshot_piece *piece) HF_MUST_USE;
bool snapshot_encode_batch(struct snapshot_encoder *e, const struct image_batch *batch,
                           struct snapshot_piece *piece) HF_MUST_USE;
bool snapshot_encode_end(struct snapshot_encoder *e, struct snapshot_piece *piece) HF_MUST_USE;
void snapshot_encoder_deinit(struct snapshot_encoder *e);

/* All of it at once: malloc'd, *n bytes; NULL when larger than REPL_MAX_SNAPSHOT_BYTES or when
 * there is no key. No image may be under way. */
uint8_t *snapshot_encode(const struct fsm *fsm, const struct seal *seal, size_t *n) HF_MUST_USE;

/* --- restoring, in pieces of any size --- */

struct snapshot_decoder {
    const struct seal *seal;
    struct fsm *fsm;
    uint64_t items;
    bool complete, failed;
    uint64_t lacking; /* failed: since this key is not here */
    uint64_t blind; /* the key that is given up: its items are left out, and no digest is compared;
                         0 = none. Set after init */
    bool sessionless;        /* likewise, whatever key sealed the sessions. Set after init */
    struct audit_head audit; /* to which the kept entries must lead */
    uint8_t *partial;        /* the beginning of an item that goes on in the next piece */
    size_t partial_len, partial_cap;
    struct snapshot_scratch plain;
};

/* Into an fsm that was not initialised, and is the decoder's until its end. incarnation 0: any, the
 * state has the snapshot's. */
void snapshot_decoder_init(struct snapshot_decoder *d, const struct seal *seal,
                           uint64_t incarnation, struct fsm *fsm);
/* False: malformed, contradicting itself, of an unknown format or another incarnation; for good. */
bool snapshot_decode(struct snapshot_decoder *d, struct span bytes) HF_MUST_USE;
/* True: all of it came, up to the footer, and the state has the digest that it names. False: *fsm
 * is all zero and needs no deinit. */
bool snapshot_decoder_end(struct snapshot_decoder *d) HF_MUST_USE;

/* The key that its header is sealed with, the configuration's; 0: none, or no snapshot. */
uint64_t snapshot_key(struct span bytes);
/* All of it at once, with the same outcome. */
bool snapshot_restore(struct span bytes, const struct seal *seal, uint64_t incarnation,
                      struct fsm *fsm) HF_MUST_USE;

#endif
