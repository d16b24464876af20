/* PRF_HMAC_SHA2_256 (RFC 4868) and the plain hashes. */
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/openssl.h"

static bool hmac_sha256(struct span key, const struct span *parts, size_t n_parts, uint8_t *out)
{
    static const uint8_t empty[1];
    const struct crypto_fetched *f = crypto_fetched();
    char digest[] = "SHA2-256";
    OSSL_PARAM params[2];
    EVP_MAC_CTX *ctx;
    size_t n = 0;
    bool ok;

    if (f == NULL)
        return false;
    ctx = EVP_MAC_CTX_new(f->hmac);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[1] = OSSL_PARAM_construct_end();
    /* An empty key is a key; a NULL one would mean "keep the key of before". */
    ok = ctx != NULL && EVP_MAC_init(ctx, key.len > 0 ? key.data : empty, key.len, params) == 1;
    for (size_t i = 0; ok && i < n_parts; i++)
        ok = parts[i].len == 0 || EVP_MAC_update(ctx, parts[i].data, parts[i].len) == 1;
    ok = ok && EVP_MAC_final(ctx, out, &n, 32) == 1 && n == 32;
    EVP_MAC_CTX_free(ctx);
    return ok;
}

static bool hash(const EVP_MD *md, const struct span *parts, size_t n_parts, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex2(ctx, md, NULL) == 1;

    for (size_t i = 0; ok && i < n_parts; i++)
        ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].data, parts[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool sha1(const struct span *parts, size_t n_parts, uint8_t *out)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f != NULL && hash(f->sha1, parts, n_parts, out);
}

static bool sha256(const struct span *parts, size_t n_parts, uint8_t *out)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f != NULL && hash(f->sha256, parts, n_parts, out);
}

const struct suite_prf crypto_prf_hmac_sha2_256 = {
    .transform_id = 5,
    .out_bytes = 32,
    .key_bytes = 32,
    .name = "PRF_HMAC_SHA2_256",
    .compute = hmac_sha256,
};

const struct suite_hash crypto_sha1 = {.out_bytes = 20, .compute = sha1};
const struct suite_hash crypto_sha256 = {.out_bytes = 32, .compute = sha256};
