/* AES-GCM with a 16-byte ICV, for IKE (RFC 5282) and ESP (RFC 4106). */
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/openssl.h"

enum { ICV_BYTES = 16, MAX_INPUT_BYTES = 1 << 24 };

/* What lies in suite_aead_context.opaque. */
struct handle {
    EVP_CIPHER_CTX *evp;
};
HF_STATIC_ASSERT(sizeof(struct handle) <= SUITE_AEAD_CONTEXT_BYTES);

static struct handle *handle_of(struct suite_aead_context *c)
{
    return (struct handle *)(void *)c->opaque;
}

/* EVP counts in int; nothing here comes near the bound, but a length must never be cut silently. */
static bool update(EVP_CIPHER_CTX *evp, uint8_t *out, struct span in)
{
    int n = 0;

    if (in.len == 0)
        return true;
    if (in.len > MAX_INPUT_BYTES)
        return false;
    return EVP_CipherUpdate(evp, out, &n, in.data, (int)in.len) == 1 && (size_t)n == in.len;
}

static bool seal_keyed(EVP_CIPHER_CTX *evp, const uint8_t *nonce, struct span aad, struct span in,
                       uint8_t *out, uint8_t *tag)
{
    OSSL_PARAM params[2];
    int n = 0;

    params[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, ICV_BYTES);
    params[1] = OSSL_PARAM_construct_end();
    return EVP_EncryptInit_ex2(evp, NULL, NULL, nonce, NULL) == 1 && update(evp, NULL, aad) &&
           update(evp, out, in) && EVP_EncryptFinal_ex(evp, out + in.len, &n) == 1 && n == 0 &&
           EVP_CIPHER_CTX_get_params(evp, params) == 1;
}

static bool open_keyed(EVP_CIPHER_CTX *evp, const uint8_t *nonce, struct span aad, struct span in,
                       const uint8_t *tag, uint8_t *out)
{
    uint8_t expected[ICV_BYTES];
    OSSL_PARAM params[2];
    int n = 0;

    memcpy(expected, tag, sizeof expected);
    params[0] =
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected, sizeof expected);
    params[1] = OSSL_PARAM_construct_end();
    /* The tag is compared by the library, in constant time, in EVP_DecryptFinal_ex. */
    return EVP_DecryptInit_ex2(evp, NULL, NULL, nonce, params) == 1 && update(evp, NULL, aad) &&
           update(evp, out, in) && EVP_DecryptFinal_ex(evp, out + in.len, &n) == 1 && n == 0;
}

static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *cipher, const uint8_t *key)
{
    EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();

    if (evp != NULL && EVP_EncryptInit_ex2(evp, cipher, key, NULL, NULL) != 1) {
        EVP_CIPHER_CTX_free(evp);
        evp = NULL;
    }
    return evp;
}

static bool seal_once(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *nonce,
                      struct span aad, struct span in, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *evp = keyed(cipher, key);
    bool ok = evp != NULL && seal_keyed(evp, nonce, aad, in, out, tag);

    EVP_CIPHER_CTX_free(evp);
    return ok;
}

static bool open_once(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *nonce,
                      struct span aad, struct span in, const uint8_t *tag, uint8_t *out)
{
    EVP_CIPHER_CTX *evp = keyed(cipher, key);
    bool ok = evp != NULL && open_keyed(evp, nonce, aad, in, tag, out);

    EVP_CIPHER_CTX_free(evp);
    return ok;
}

static bool seal_128(const uint8_t *key, const uint8_t nonce[SUITE_NONCE_BYTES], struct span aad,
                     struct span in, uint8_t *out, uint8_t *tag)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f != NULL && seal_once(f->aes_128_gcm, key, nonce, aad, in, out, tag);
}

static bool seal_256(const uint8_t *key, const uint8_t nonce[SUITE_NONCE_BYTES], struct span aad,
                     struct span in, uint8_t *out, uint8_t *tag)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f != NULL && seal_once(f->aes_256_gcm, key, nonce, aad, in, out, tag);
}

static bool open_128(const uint8_t *key, const uint8_t nonce[SUITE_NONCE_BYTES], struct span aad,
                     struct span in, const uint8_t *tag, uint8_t *out)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f != NULL && open_once(f->aes_128_gcm, key, nonce, aad, in, tag, out);
}

static bool open_256(const uint8_t *key, const uint8_t nonce[SUITE_NONCE_BYTES], struct span aad,
                     struct span in, const uint8_t *tag, uint8_t *out)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f != NULL && open_once(f->aes_256_gcm, key, nonce, aad, in, tag, out);
}

static bool context_init_128(struct suite_aead_context *c, const uint8_t *key)
{
    const struct crypto_fetched *f = crypto_fetched();

    handle_of(c)->evp = f == NULL ? NULL : keyed(f->aes_128_gcm, key);
    return handle_of(c)->evp != NULL;
}

static bool context_init_256(struct suite_aead_context *c, const uint8_t *key)
{
    const struct crypto_fetched *f = crypto_fetched();

    handle_of(c)->evp = f == NULL ? NULL : keyed(f->aes_256_gcm, key);
    return handle_of(c)->evp != NULL;
}

/* The library overwrites the key schedule before it frees it. */
static void context_deinit(struct suite_aead_context *c)
{
    EVP_CIPHER_CTX_free(handle_of(c)->evp);
    handle_of(c)->evp = NULL;
}

static bool context_seal(struct suite_aead_context *c, const uint8_t nonce[SUITE_NONCE_BYTES],
                         struct span aad, struct span in, uint8_t *out, uint8_t *tag)
{
    return seal_keyed(handle_of(c)->evp, nonce, aad, in, out, tag);
}

static bool context_open(struct suite_aead_context *c, const uint8_t nonce[SUITE_NONCE_BYTES],
                         struct span aad, struct span in, const uint8_t *tag, uint8_t *out)
{
    return open_keyed(handle_of(c)->evp, nonce, aad, in, tag, out);
}

const struct suite_aead crypto_aes_gcm_16_128 = {
    .transform_id = 20,
    .key_bits = 128,
    .key_bytes = 16,
    .salt_bytes = 4,
    .iv_bytes = 8,
    .icv_bytes = ICV_BYTES,
    .name = "AES_GCM_16_128",
    .seal = seal_128,
    .open = open_128,
    .context_init = context_init_128,
    .context_deinit = context_deinit,
    .context_seal = context_seal,
    .context_open = context_open,
};

const struct suite_aead crypto_aes_gcm_16_256 = {
    .transform_id = 20,
    .key_bits = 256,
    .key_bytes = 32,
    .salt_bytes = 4,
    .iv_bytes = 8,
    .icv_bytes = ICV_BYTES,
    .name = "AES_GCM_16_256",
    .seal = seal_256,
    .open = open_256,
    .context_init = context_init_256,
    .context_deinit = context_deinit,
    .context_seal = context_seal,
    .context_open = context_open,
};
