/* Signatures as rows (RFC 7427, RFC 4754, RFC 8420), over EVP_PKEY.
 *
 * PKCS #1 v1.5 is not left to the library's parser: the whole encoded message is made anew and
 * compared (RFC 8017 8.2.2), so nothing can hide in padding, parameters or behind the digest, also
 * with an exponent of 3. PSS: MGF1 by the same hash, the salt exactly as long as the hash. ECDSA:
 * the hash at least as long as the curve (RFC 8247 4.2 pairs them).
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include "crypto/certs.h"

enum { PKCS1 = 1, PSS, ECDSA, EDDSA, ECDSA_RAW = SUITE_SCHEME_ECDSA_RAW };
enum { HASH_SHA1 = 1, HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_IDENTITY };

const struct suite_signature crypto_signatures[CRYPTO_SIGNATURES] = {
    {PKCS1, HASH_SHA1, "RSA_PKCS1_SHA1"}, /* method 1 only; the policy must name it */
    {PKCS1, HASH_SHA256, "RSA_PKCS1_SHA2_256"}, {PKCS1, HASH_SHA384, "RSA_PKCS1_SHA2_384"},
    {PKCS1, HASH_SHA512, "RSA_PKCS1_SHA2_512"}, {PSS, HASH_SHA256, "RSA_PSS_SHA2_256"},
    {PSS, HASH_SHA384, "RSA_PSS_SHA2_384"},     {PSS, HASH_SHA512, "RSA_PSS_SHA2_512"},
    {ECDSA, HASH_SHA256, "ECDSA_SHA2_256"},     {ECDSA, HASH_SHA384, "ECDSA_SHA2_384"},
    {ECDSA, HASH_SHA512, "ECDSA_SHA2_512"},     {EDDSA, HASH_IDENTITY, "ED25519"},
    {ECDSA_RAW, HASH_SHA256, "ECDSA_256"},      {ECDSA_RAW, HASH_SHA384, "ECDSA_384"},
    {ECDSA_RAW, HASH_SHA512, "ECDSA_521"},
};

enum suite_key_kind crypto_key_kind(const EVP_PKEY *key)
{
    char curve[32];
    size_t n = 0;

    if (key == NULL) /* of an algorithm that OpenSSL does not know */
        return SUITE_KEY_NONE;
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return SUITE_KEY_RSA;
    case EVP_PKEY_ED25519:
        return SUITE_KEY_ED25519;
    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(key, curve, sizeof curve, &n) != 1)
            return SUITE_KEY_NONE;
        return strcmp(curve, "prime256v1") == 0  ? SUITE_KEY_P256
               : strcmp(curve, "secp384r1") == 0 ? SUITE_KEY_P384
               : strcmp(curve, "secp521r1") == 0 ? SUITE_KEY_P521
                                                 : SUITE_KEY_NONE;
    default:
        return SUITE_KEY_NONE;
    }
}

bool crypto_key_fits(enum suite_key_kind kind, const struct suite_signature *how)
{
    switch (how->scheme) {
    case PKCS1:
    case PSS:
        return kind == SUITE_KEY_RSA;
    case EDDSA:
        return kind == SUITE_KEY_ED25519;
    case ECDSA: /* not a hash that is weaker than the curve */
        return (kind == SUITE_KEY_P256 && how->hash >= HASH_SHA256) ||
               (kind == SUITE_KEY_P384 && how->hash >= HASH_SHA384) ||
               (kind == SUITE_KEY_P521 && how->hash == HASH_SHA512);
    case ECDSA_RAW: /* RFC 4754: fixed pairs */
        return (kind == SUITE_KEY_P256 && how->hash == HASH_SHA256) ||
               (kind == SUITE_KEY_P384 && how->hash == HASH_SHA384) ||
               (kind == SUITE_KEY_P521 && how->hash == HASH_SHA512);
    default:
        return false;
    }
}

static const EVP_MD *md_of(const struct suite_signature *how)
{
    switch (how->hash) {
    case HASH_SHA1:
        return EVP_sha1();
    case HASH_SHA256:
        return EVP_sha256();
    case HASH_SHA384:
        return EVP_sha384();
    case HASH_SHA512:
        return EVP_sha512();
    default:
        return NULL; /* Ed25519 signs the message itself (RFC 8420 2) */
    }
}

static bool set_padding(EVP_PKEY_CTX *ctx, const struct suite_signature *how)
{
    if (how->scheme == PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
    if (how->scheme == PSS)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(how)) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
    return true;
}

/* Bytes of r, and of s, in RFC 4754 2. */
static size_t half_of(const struct suite_signature *how)
{
    return how->hash == HASH_SHA256 ? 32 : how->hash == HASH_SHA384 ? 48 : 66;
}

/* DER in `in` becomes r | s. */
static bool raw_of_der(const struct suite_signature *how, struct span in, uint8_t *out, size_t cap,
                       size_t *len)
{
    size_t half = half_of(how);
    const uint8_t *p = in.data;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)in.len);
    bool ok = sig != NULL && cap >= 2 * half &&
              BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)half) == (int)half &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, (int)half) == (int)half;

    if (ok)
        *len = 2 * half;
    ECDSA_SIG_free(sig);
    return ok;
}

/* r | s becomes DER (at most cap bytes). */
static bool der_of_raw(const struct suite_signature *how, struct span in, uint8_t *out, size_t cap,
                       size_t *len)
{
    size_t half = half_of(how);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = NULL, *s = NULL;
    uint8_t *p = out;
    int n;
    bool ok = false;

    if (in.len == 2 * half) {
        r = BN_bin2bn(in.data, (int)half, NULL);
        s = BN_bin2bn(in.data + half, (int)half, NULL);
    }
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* the signature's now */
        n = i2d_ECDSA_SIG(sig, NULL);
        ok = n > 0 && (size_t)n <= cap;
        if (ok)
            *len = (size_t)i2d_ECDSA_SIG(sig, &p);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return ok;
}

bool crypto_sign(const void *key, const struct suite_signature *how, struct span data, uint8_t *out,
                 size_t cap, size_t *len)
{
    EVP_PKEY *pkey = (EVP_PKEY *)(uintptr_t)key;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    uint8_t der[160];
    size_t n = how->scheme == ECDSA_RAW ? sizeof der : cap;
    bool ok =
        ctx != NULL && crypto_key_fits(crypto_key_kind(pkey), how) &&
        EVP_DigestSignInit(ctx, &pctx, md_of(how), NULL, pkey) == 1 && set_padding(pctx, how) &&
        EVP_DigestSign(ctx, how->scheme == ECDSA_RAW ? der : out, &n, data.data, data.len) == 1;

    EVP_MD_CTX_free(ctx);
    if (ok && how->scheme == ECDSA_RAW)
        return raw_of_der(how, span_of(der, n), out, cap, len);
    if (ok)
        *len = n;
    return ok;
}

/* DigestInfo without the digest: RFC 8017 9.2 note 1. */
static struct span digest_info(const struct suite_signature *how)
{
    static const uint8_t sha1[] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
                                   0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14};
    static const uint8_t sha2[3][19] = {
        {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
         0x05, 0x00, 0x04, 0x20},
        {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
         0x05, 0x00, 0x04, 0x30},
        {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
         0x05, 0x00, 0x04, 0x40},
    };

    return how->hash == HASH_SHA1 ? span_of(sha1, sizeof sha1)
                                  : span_of(sha2[how->hash - HASH_SHA256], sizeof sha2[0]);
}

/* RFC 8017 8.2.2: EM = 00 01 FF .. FF 00 DigestInfo, of the modulus' length, compared whole. */
static bool verify_pkcs1(EVP_PKEY *key, const struct suite_signature *how, struct span data,
                         struct span signature)
{
    enum { MOST = CERT_RSA_MAX_BITS / 8, LEAST_PADDING = 8 };
    uint8_t em[MOST], want[MOST], digest[EVP_MAX_MD_SIZE];
    size_t k = (size_t)EVP_PKEY_get_size(key), n = sizeof em, behind;
    struct span info = digest_info(how);
    unsigned digest_len = 0;
    EVP_PKEY_CTX *ctx;
    bool ok;

    if (k > sizeof em || signature.len != k ||
        EVP_Digest(data.data, data.len, digest, &digest_len, md_of(how), NULL) != 1)
        return false;
    behind = info.len + digest_len;
    if (k < behind + 3 + LEAST_PADDING)
        return false;
    ctx = EVP_PKEY_CTX_new(key, NULL);
    ok = ctx != NULL && EVP_PKEY_verify_recover_init(ctx) == 1 &&
         EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0 &&
         EVP_PKEY_verify_recover(ctx, em, &n, signature.data, signature.len) == 1 && n == k;
    EVP_PKEY_CTX_free(ctx);
    memset(want, 0xff, k);
    want[0] = 0;
    want[1] = 1;
    want[k - behind - 1] = 0;
    memcpy(want + k - behind, info.data, info.len);
    memcpy(want + k - digest_len, digest, digest_len);
    return ok && memcmp(em, want, k) == 0;
}

bool crypto_verify(EVP_PKEY *key, const struct suite_signature *how, struct span data,
                   struct span signature)
{
    EVP_MD_CTX *ctx;
    EVP_PKEY_CTX *pctx = NULL;
    uint8_t der[160];
    size_t n = 0;
    bool ok;

    if (how->scheme == PKCS1)
        return verify_pkcs1(key, how, data, signature);
    if (how->scheme == ECDSA_RAW) {
        if (!der_of_raw(how, signature, der, sizeof der, &n))
            return false;
        signature = span_of(der, n);
    }
    ctx = EVP_MD_CTX_new();
    ok = ctx != NULL && EVP_DigestVerifyInit(ctx, &pctx, md_of(how), NULL, key) == 1 &&
         set_padding(pctx, how) &&
         EVP_DigestVerify(ctx, signature.data, signature.len, data.data, data.len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}
