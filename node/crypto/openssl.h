/* What the files of crypto/ share: the algorithms as fetched once. Nobody outside crypto/ includes
 * this. */
#ifndef HF_CRYPTO_OPENSSL_H
#define HF_CRYPTO_OPENSSL_H

#include <openssl/evp.h>

#include "crypto/suite.h"

struct crypto_fetched {
    EVP_CIPHER *aes_128_gcm, *aes_256_gcm;
    EVP_MAC *hmac;
    EVP_MD *sha1, *sha256;
};

/* NULL when an algorithm could not be fetched. The result lives as long as the process. */
const struct crypto_fetched *crypto_fetched(void);

extern const struct suite_aead crypto_aes_gcm_16_128, crypto_aes_gcm_16_256;
extern const struct suite_prf crypto_prf_hmac_sha2_256;
extern const struct suite_ke crypto_x25519;
extern const struct suite_hash crypto_sha1, crypto_sha256;

#endif
