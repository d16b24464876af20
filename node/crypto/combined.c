/* Combined modes with a 16-byte ICV, for IKE and ESP alike: AES-GCM (RFC 5282, RFC 4106) and
 * ChaCha20-Poly1305 (RFC 7634). The nonce is 4 bytes of salt from the key material, then the 8-byte
 * explicit IV, which is the number itself. */
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "crypto/openssl.h"

enum { SALT_BYTES = 4, IV_BYTES = 8, NONCE_BYTES = SALT_BYTES + IV_BYTES, ICV_BYTES = 16 };

/* What lies in suite_aead_context.opaque. */
struct handle {
    EVP_CIPHER_CTX *evp;
    uint8_t salt[SALT_BYTES];
};
HF_STATIC_ASSERT(sizeof(struct handle) <= SUITE_AEAD_CONTEXT_BYTES);

static struct handle *handle_of(struct suite_aead_context *c)
{
    return (struct handle *)(void *)c->opaque;
}

static bool context_init(struct suite_aead_context *c, const struct suite_aead *row,
                         const uint8_t *key, const uint8_t *integ_key)
{
    struct handle *h = handle_of(c);

    (void)integ_key;
    h->evp = crypto_keyed(crypto_cipher(row), key);
    memcpy(h->salt, key + row->key_bytes, sizeof h->salt);
    return h->evp != NULL;
}

/* The library overwrites the key schedule before it frees it. */
static void context_deinit(struct suite_aead_context *c)
{
    EVP_CIPHER_CTX_free(handle_of(c)->evp);
    secret_wipe_bytes(c->opaque, sizeof c->opaque);
}

static bool context_seal(struct suite_aead_context *c, uint64_t number,
                         const struct suite_covered *covered, struct span in, uint8_t *iv,
                         uint8_t *out, uint8_t *icv)
{
    struct handle *h = handle_of(c);
    uint8_t nonce[NONCE_BYTES];
    OSSL_PARAM params[2];
    int n = 0;

    HF_ASSERT(covered->behind.len == 0);
    put_be64(iv, number);
    memcpy(nonce, h->salt, SALT_BYTES);
    memcpy(nonce + SALT_BYTES, iv, IV_BYTES);
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, icv, ICV_BYTES);
    params[1] = OSSL_PARAM_construct_end();
    return EVP_EncryptInit_ex2(h->evp, NULL, NULL, nonce, NULL) == 1 &&
           crypto_update(h->evp, NULL, covered->before) && crypto_update(h->evp, out, in) &&
           EVP_EncryptFinal_ex(h->evp, out + in.len, &n) == 1 && n == 0 &&
           EVP_CIPHER_CTX_get_params(h->evp, params) == 1;
}

static bool context_open(struct suite_aead_context *c, const uint8_t *iv,
                         const struct suite_covered *covered, struct span in, const uint8_t *icv,
                         uint8_t *out)
{
    struct handle *h = handle_of(c);
    uint8_t nonce[NONCE_BYTES], expected[ICV_BYTES];
    OSSL_PARAM params[2];
    int n = 0;

    HF_ASSERT(covered->behind.len == 0);
    memcpy(nonce, h->salt, SALT_BYTES);
    memcpy(nonce + SALT_BYTES, iv, IV_BYTES);
    memcpy(expected, icv, sizeof expected);
    params[0] =
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected, sizeof expected);
    params[1] = OSSL_PARAM_construct_end();
    /* The tag is compared by the library, in constant time, in EVP_DecryptFinal_ex. */
    return EVP_DecryptInit_ex2(h->evp, NULL, NULL, nonce, params) == 1 &&
           crypto_update(h->evp, NULL, covered->before) && crypto_update(h->evp, out, in) &&
           EVP_DecryptFinal_ex(h->evp, out + in.len, &n) == 1 && n == 0;
}

#define COMBINED(id, bits, bytes, text)                                                            \
    {                                                                                              \
        .transform_id = (id), .key_bits = (bits), .key_bytes = (bytes), .salt_bytes = SALT_BYTES,  \
        .iv_bytes = IV_BYTES, .icv_bytes = ICV_BYTES, .block_bytes = 1, .name = (text),            \
        .context_init = context_init, .context_deinit = context_deinit,                            \
        .context_seal = context_seal, .context_open = context_open                                 \
    }

const struct suite_aead crypto_combined[CRYPTO_COMBINED_ROWS] = {
    COMBINED(20, 256, 32, "AES_GCM_16_256"),
    COMBINED(20, 128, 16, "AES_GCM_16_128"),
    COMBINED(28, 0, 32, "CHACHA20_POLY1305"),
};
