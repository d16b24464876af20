/* HMAC, PRF_HMAC_* (RFC 4868; SHA-1, RFC 2104, for legacy peers) and the plain hashes.
 *
 * The library's low-level functions, not EVP: OpenSSL 3.0 allocates at each start of a digest and at
 * each copy of one, and a packet must not allocate (a test counts). Their states are plain structs.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hmac.h"

#include <openssl/sha.h>

#include "crypto/openssl.h"

enum { INNER = 0x36, OUTER = 0x5c, BLOCK_MAX_BYTES = 128 };

/* The library's functions answer 1, whatever they are given (in <= 3.x; a later one that could fail
 * would have to say so loudly). */
#define HASH(name, block, out, type, init_, update_, final_)                                       \
    HF_STATIC_ASSERT(sizeof(type) <= CRYPTO_HASH_STATE_BYTES);                                     \
    HF_STATIC_ASSERT((block) <= BLOCK_MAX_BYTES && (out) <= CRYPTO_HASH_MAX_BYTES);                \
    static void name##_init(struct crypto_hash_state *s)                                           \
    {                                                                                              \
        int ok = init_((type *)(void *)s->opaque);                                                 \
                                                                                                   \
        HF_ASSERT(ok == 1);                                                                        \
    }                                                                                              \
    static void name##_update(struct crypto_hash_state *s, struct span in)                         \
    {                                                                                              \
        int ok = update_((type *)(void *)s->opaque, in.data, in.len);                              \
                                                                                                   \
        HF_ASSERT(ok == 1);                                                                        \
    }                                                                                              \
    static void name##_final(struct crypto_hash_state *s, uint8_t *at)                             \
    {                                                                                              \
        int ok = final_(at, (type *)(void *)s->opaque);                                            \
                                                                                                   \
        HF_ASSERT(ok == 1);                                                                        \
    }                                                                                              \
    const struct crypto_hash crypto_hash_##name = {block, out, name##_init, name##_update,         \
                                                   name##_final};

HASH(sha1, 64, 20, SHA_CTX, SHA1_Init, SHA1_Update, SHA1_Final)
HASH(sha256, 64, 32, SHA256_CTX, SHA256_Init, SHA256_Update, SHA256_Final)
HASH(sha384, 128, 48, SHA512_CTX, SHA384_Init, SHA384_Update, SHA384_Final)
HASH(sha512, 128, 64, SHA512_CTX, SHA512_Init, SHA512_Update, SHA512_Final)

/* Hashes the key's block under a pad. */
static void begin(const struct crypto_hash *hash, struct crypto_hash_state *s, const uint8_t *key,
                  uint8_t pad)
{
    uint8_t block[BLOCK_MAX_BYTES];

    for (size_t i = 0; i < hash->block_bytes; i++)
        block[i] = key[i] ^ pad;
    hash->init(s);
    hash->update(s, span_of(block, hash->block_bytes));
    secret_wipe_bytes(block, sizeof block);
}

void crypto_hmac_init(struct crypto_hmac *h, const struct crypto_hash *hash, struct span key)
{
    uint8_t block[BLOCK_MAX_BYTES] = {0}; /* the key, padded with zeros */

    memset(h, 0, sizeof *h);
    h->hash = hash;
    if (key.len > hash->block_bytes) {
        hash->init(&h->inner);
        hash->update(&h->inner, key);
        hash->final(&h->inner, block);
    } else if (key.len > 0) {
        memcpy(block, key.data, key.len);
    }
    begin(hash, &h->inner, block, INNER);
    begin(hash, &h->outer, block, OUTER);
    secret_wipe_bytes(block, sizeof block);
}

void crypto_hmac_deinit(struct crypto_hmac *h)
{
    secret_wipe_bytes(h, sizeof *h);
}

void crypto_hmac_compute(const struct crypto_hmac *h, const struct span *parts, size_t n_parts,
                         uint8_t *out)
{
    const struct crypto_hash *hash = h->hash;
    struct crypto_hash_state s = h->inner;
    uint8_t inner[CRYPTO_HASH_MAX_BYTES];

    for (size_t i = 0; i < n_parts; i++)
        if (parts[i].len > 0)
            hash->update(&s, parts[i]);
    hash->final(&s, inner);
    s = h->outer;
    hash->update(&s, span_of(inner, hash->out_bytes));
    hash->final(&s, out);
    secret_wipe_bytes(inner, sizeof inner);
    secret_wipe_bytes(&s, sizeof s);
}

const struct crypto_hash *crypto_integ_hash(uint16_t integ_id)
{
    switch (integ_id) {
    case 2:
        return &crypto_hash_sha1;
    case 12:
        return &crypto_hash_sha256;
    case 13:
        return &crypto_hash_sha384;
    case 14:
        return &crypto_hash_sha512;
    default:
        return NULL;
    }
}

#define PRF(name)                                                                                  \
    static bool prf_##name(struct span key, const struct span *parts, size_t n_parts,              \
                           uint8_t *out)                                                           \
    {                                                                                              \
        struct crypto_hmac h;                                                                      \
                                                                                                   \
        crypto_hmac_init(&h, &crypto_hash_##name, key);                                            \
        crypto_hmac_compute(&h, parts, n_parts, out);                                              \
        crypto_hmac_deinit(&h);                                                                    \
        return true;                                                                               \
    }
PRF(sha1)
PRF(sha256)
PRF(sha384)
PRF(sha512)

static bool plain(const struct crypto_hash *hash, const struct span *parts, size_t n_parts,
                  uint8_t *out)
{
    struct crypto_hash_state s;

    hash->init(&s);
    for (size_t i = 0; i < n_parts; i++)
        if (parts[i].len > 0)
            hash->update(&s, parts[i]);
    hash->final(&s, out);
    return true;
}

static bool sha1(const struct span *parts, size_t n_parts, uint8_t *out)
{
    return plain(&crypto_hash_sha1, parts, n_parts, out);
}

static bool sha256(const struct span *parts, size_t n_parts, uint8_t *out)
{
    return plain(&crypto_hash_sha256, parts, n_parts, out);
}

const struct suite_prf crypto_prfs[CRYPTO_PRF_ROWS] = {
    {5, 32, 32, "PRF_HMAC_SHA2_256", prf_sha256},
    {6, 48, 48, "PRF_HMAC_SHA2_384", prf_sha384},
    {7, 64, 64, "PRF_HMAC_SHA2_512", prf_sha512},
    {2, 20, 20, "PRF_HMAC_SHA1", prf_sha1},
};

const struct suite_hash crypto_sha1 = {.out_bytes = 20, .compute = sha1};
const struct suite_hash crypto_sha256 = {.out_bytes = 32, .compute = sha256};
