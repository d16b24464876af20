/* The digest of the replicated state: a sum, over all items, of a keyed hash of each item's
 * canonical bytes. Adding and taking away one item costs one hash, and equal sets give equal sums,
 * whatever the order in which they came to be (I11).
 *
 * The hash is SipHash-2-4 with 128 bits of output (Aumasson, Bernstein: "SipHash: a fast
 * short-input PRF", 2012, and its 128-bit variant), the sum is modulo 2^64 in each half. It finds
 * divergence; it is no signature: whoever may write records may choose the state anyway.
 */
#ifndef HF_REPL_DIGEST_H
#define HF_REPL_DIGEST_H

#include "base/span.h"

struct digest {
    uint64_t a, b;
};

/* A hash being computed. Values are taken as little-endian 64-bit words and length-prefixed spans,
 * so that no two items share their bytes. */
struct digest_item {
    uint64_t v0, v1, v2, v3, tail;
    uint64_t len; /* bytes taken in */
};

/* `key` separates clusters (their incarnation); `kind` separates the kinds of items. */
void digest_item_init(struct digest_item *item, uint64_t key, uint64_t kind);
void digest_item_u64(struct digest_item *item, uint64_t value);
void digest_item_span(struct digest_item *item, struct span bytes);
struct digest digest_item_final(struct digest_item *item);

/* The plain hash of some bytes under a 128-bit key (key0, key1). */
struct digest digest_hash(uint64_t key0, uint64_t key1, struct span bytes);

static inline void digest_add(struct digest *sum, struct digest item)
{
    sum->a += item.a;
    sum->b += item.b;
}

static inline void digest_sub(struct digest *sum, struct digest item)
{
    sum->a -= item.a;
    sum->b -= item.b;
}

static inline bool digest_equal(struct digest x, struct digest y)
{
    return x.a == y.a && x.b == y.b;
}

#endif
