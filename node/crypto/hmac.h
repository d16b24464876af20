/* HMAC (RFC 2104) over SHA-1 and SHA-2, for PRFs and for the integrity of packets: no allocation per
 * use, and the two key blocks are hashed once per key. Internal to crypto/. */
#ifndef HF_CRYPTO_HMAC_H
#define HF_CRYPTO_HMAC_H

#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"

enum { CRYPTO_HASH_MAX_BYTES = 64, CRYPTO_HASH_STATE_BYTES = 224 };

/* A hash under way. */
struct crypto_hash_state {
    _Alignas(16) uint8_t opaque[CRYPTO_HASH_STATE_BYTES];
};

/* A hash function. `final` leaves the state for nobody's use. */
struct crypto_hash {
    uint8_t block_bytes, out_bytes;
    void (*init)(struct crypto_hash_state *s);
    void (*update)(struct crypto_hash_state *s, struct span in);
    void (*final)(struct crypto_hash_state *s, uint8_t *out);
};

extern const struct crypto_hash crypto_hash_sha1, crypto_hash_sha256, crypto_hash_sha384,
    crypto_hash_sha512;

/* A key, ready for use: the state after each of the two key blocks. */
struct crypto_hmac {
    const struct crypto_hash *hash;
    struct crypto_hash_state inner, outer;
};

/* A key of any length. */
void crypto_hmac_init(struct crypto_hmac *h, const struct crypto_hash *hash, struct span key);
/* out: the hash's whole output. */
void crypto_hmac_compute(const struct crypto_hmac *h, const struct span *parts, size_t n_parts,
                         uint8_t *out);
void crypto_hmac_deinit(struct crypto_hmac *h);

/* The hash behind an integrity transform (RFC 7296 3.3.2, type 3); NULL when there is none. */
const struct crypto_hash *crypto_integ_hash(uint16_t integ_id);

#endif
