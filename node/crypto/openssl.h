/* What the files of crypto/ share: the algorithms as fetched once. Nobody outside crypto/ includes
 * this. */
#ifndef HF_CRYPTO_OPENSSL_H
#define HF_CRYPTO_OPENSSL_H

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto/suite.h"

enum {
    CRYPTO_COMBINED_ROWS = 3,
    CRYPTO_COMPOSED_ROWS = 16,
    CRYPTO_PRF_ROWS = 4,
    CRYPTO_ECP_ROWS = 3,
    CRYPTO_MODP_ROWS = 4
};

struct crypto_fetched {
    EVP_CIPHER *aes_128_gcm, *aes_256_gcm, *chacha20_poly1305;
    EVP_CIPHER *aes_128_cbc, *aes_256_cbc, *aes_128_ctr, *aes_256_ctr, *aes_128_ecb, *aes_256_ecb;
    EC_GROUP *ecp[CRYPTO_ECP_ROWS]; /* in the order of crypto_ecps */
    BIGNUM *modp[CRYPTO_MODP_ROWS]; /* the primes, in the order of crypto_modps */
};

/* NULL when an algorithm could not be fetched. The result lives as long as the process; it is only
 * read, by any thread. */
const struct crypto_fetched *crypto_fetched(void);

/* The cipher of a row; NULL when nothing was fetched. */
const EVP_CIPHER *crypto_cipher(const struct suite_aead *row);
/* A context keyed for encryption. NULL: cipher is NULL, or the library failed. Padding is not switched
 * off, which would cost 100 cycles at each packet: whole blocks come out at once, and the end of the
 * text is never told to the library, which alone would bring padding. */
EVP_CIPHER_CTX *crypto_keyed(const EVP_CIPHER *cipher, const uint8_t *key);
/* All of `in` through the context; out NULL: associated data. */
bool crypto_update(EVP_CIPHER_CTX *evp, uint8_t *out, struct span in) HF_MUST_USE;

extern const struct suite_aead crypto_combined[CRYPTO_COMBINED_ROWS];
extern const struct suite_aead crypto_composed[CRYPTO_COMPOSED_ROWS];
extern const struct suite_prf crypto_prfs[CRYPTO_PRF_ROWS];
extern const struct suite_ke crypto_x25519;
extern const struct suite_ke crypto_ecps[CRYPTO_ECP_ROWS];
extern const struct suite_ke crypto_modps[CRYPTO_MODP_ROWS];
extern const struct suite_hash crypto_sha1, crypto_sha256;

#endif
