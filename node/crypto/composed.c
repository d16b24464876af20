/* Encrypt-then-MAC: AES-CBC (RFC 3602) and AES-CTR (RFC 3686, in IKE RFC 5930) with HMAC (RFC 4868;
 * SHA-1, RFC 2404, for legacy peers). The ICV is compared before anything is deciphered.
 *
 *   CBC  IV = AES(key of its own, 0 | number): unique for each number, since a block cipher is a
 *        permutation, and not to be foretold without the key (NIST SP 800-38A, appendix C)
 *   CTR  IV = number; counter block = nonce (from the key material) | IV | 1   (RFC 3686 4)
 *
 * The key of CBC's IVs is HMAC-SHA-256(cipher key, label), so every node that has the SA makes the
 * same IVs from it, and no random byte is drawn per packet.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include "base/bytes.h"
#include "crypto/hmac.h"
#include "crypto/openssl.h"

enum { CBC = 12, CTR = 13, BLOCK_BYTES = 16, CTR_SALT_BYTES = 4, CTR_IV_BYTES = 8 };

struct composed {
    const struct suite_aead *row;
    EVP_CIPHER_CTX *seal, *open; /* CTR: the same one */
    EVP_CIPHER_CTX *iv;          /* CBC only */
    struct crypto_hmac mac;
    uint8_t salt[CTR_SALT_BYTES];
};

/* What lies in suite_aead_context.opaque: a pointer, the HMAC key is larger than the room. */
struct handle {
    struct composed *own;
};
HF_STATIC_ASSERT(sizeof(struct handle) <= SUITE_AEAD_CONTEXT_BYTES);

static struct composed *own_of(struct suite_aead_context *c)
{
    return ((struct handle *)(void *)c->opaque)->own;
}

static void context_deinit(struct suite_aead_context *c)
{
    struct composed *o = own_of(c);

    if (o != NULL) {
        if (o->open != o->seal)
            EVP_CIPHER_CTX_free(o->open);
        EVP_CIPHER_CTX_free(o->seal);
        EVP_CIPHER_CTX_free(o->iv);
        crypto_hmac_deinit(&o->mac);
        OPENSSL_clear_free(o, sizeof *o);
    }
    secret_wipe_bytes(c->opaque, sizeof c->opaque);
}

static EVP_CIPHER_CTX *keyed_iv(const struct suite_aead *row, const uint8_t *key)
{
    static const char label[] = "holdfast CBC IV";
    const struct crypto_fetched *f = crypto_fetched();
    const struct span part = span_of(label, sizeof label - 1);
    struct crypto_hmac mac;
    uint8_t derived[32];
    EVP_CIPHER_CTX *evp = NULL;

    HF_ASSERT(row->key_bytes <= sizeof derived);
    crypto_hmac_init(&mac, &crypto_hash_sha256, span_of(key, row->key_bytes));
    crypto_hmac_compute(&mac, &part, 1, derived);
    crypto_hmac_deinit(&mac);
    if (f != NULL)
        evp = crypto_keyed(row->key_bits == 128 ? f->aes_128_ecb : f->aes_256_ecb, derived);
    secret_wipe_bytes(derived, sizeof derived);
    return evp;
}

static bool init_ciphers(struct composed *o, const uint8_t *key)
{
    const struct suite_aead *row = o->row;

    o->seal = crypto_keyed(crypto_cipher(row), key);
    if (row->transform_id == CTR) { /* one keystream both ways */
        memcpy(o->salt, key + row->key_bytes, sizeof o->salt);
        o->open = o->seal;
        return o->seal != NULL;
    }
    o->iv = keyed_iv(row, key);
    o->open = EVP_CIPHER_CTX_new();
    return o->seal != NULL && o->iv != NULL && o->open != NULL &&
           EVP_DecryptInit_ex2(o->open, crypto_cipher(row), key, NULL, NULL) == 1 &&
           EVP_CIPHER_CTX_set_padding(o->open, 0) == 1;
}

static bool context_init(struct suite_aead_context *c, const struct suite_aead *row,
                         const uint8_t *key, const uint8_t *integ_key)
{
    struct composed *o = OPENSSL_zalloc(sizeof *o);

    ((struct handle *)(void *)c->opaque)->own = o;
    if (o == NULL)
        return false;
    o->row = row;
    if (crypto_cipher(row) == NULL || !init_ciphers(o, key)) {
        context_deinit(c);
        return false;
    }
    crypto_hmac_init(&o->mac, crypto_integ_hash(row->integ_id),
                     span_of(integ_key, row->integ_bytes));
    return true;
}

/* What the cipher starts from, and the IV as it stands on the wire. */
static bool make_iv(struct composed *o, uint64_t number, uint8_t *iv)
{
    uint8_t block[BLOCK_BYTES] = {0};

    if (o->row->transform_id == CTR) {
        put_be64(iv, number);
        return true;
    }
    put_be64(block + 8, number);
    return crypto_update(o->iv, iv, span_of(block, sizeof block));
}

static const uint8_t *start_of(const struct composed *o, const uint8_t *iv,
                               uint8_t block[BLOCK_BYTES])
{
    if (o->row->transform_id == CBC)
        return iv;
    memcpy(block, o->salt, CTR_SALT_BYTES);
    memcpy(block + CTR_SALT_BYTES, iv, CTR_IV_BYTES);
    put_be32(block + CTR_SALT_BYTES + CTR_IV_BYTES, 1);
    return block;
}

static void authenticate(struct composed *o, const struct suite_covered *covered, const uint8_t *iv,
                         struct span ciphertext, uint8_t *mac)
{
    const struct span parts[] = {covered->before, span_of(iv, o->row->iv_bytes), ciphertext,
                                 covered->behind};

    crypto_hmac_compute(&o->mac, parts, 4, mac);
}

static bool context_seal(struct suite_aead_context *c, uint64_t number,
                         const struct suite_covered *covered, struct span in, uint8_t *iv,
                         uint8_t *out, uint8_t *icv)
{
    struct composed *o = own_of(c);
    uint8_t mac[CRYPTO_HASH_MAX_BYTES], block[BLOCK_BYTES];

    HF_ASSERT(in.len % o->row->block_bytes == 0);
    if (!make_iv(o, number, iv) ||
        EVP_EncryptInit_ex2(o->seal, NULL, NULL, start_of(o, iv, block), NULL) != 1 ||
        !crypto_update(o->seal, out, in))
        return false;
    authenticate(o, covered, iv, span_of(out, in.len), mac);
    memcpy(icv, mac, o->row->icv_bytes);
    return true;
}

static bool context_open(struct suite_aead_context *c, const uint8_t *iv,
                         const struct suite_covered *covered, struct span in, const uint8_t *icv,
                         uint8_t *out)
{
    struct composed *o = own_of(c);
    uint8_t mac[CRYPTO_HASH_MAX_BYTES], block[BLOCK_BYTES];

    authenticate(o, covered, iv, in, mac);
    return secret_equal_bytes(mac, icv, o->row->icv_bytes) && in.len % o->row->block_bytes == 0 &&
           EVP_DecryptInit_ex2(o->open, NULL, NULL, start_of(o, iv, block), NULL) == 1 &&
           crypto_update(o->open, out, in);
}

/* cipher(id, bits, salt, IV, block) with integrity(id, key bytes, ICV bytes) */
#define COMPOSED(id, bits, salt, iv, block, integ, integ_key, icv, text)                           \
    {                                                                                              \
        .transform_id = (id), .key_bits = (bits), .integ_id = (integ), .key_bytes = (bits) / 8,    \
        .salt_bytes = (salt), .integ_bytes = (integ_key), .iv_bytes = (iv), .icv_bytes = (icv),    \
        .block_bytes = (block), .name = (text), .context_init = context_init,                      \
        .context_deinit = context_deinit, .context_seal = context_seal,                            \
        .context_open = context_open                                                               \
    }
#define WITH_EACH_HMAC(id, bits, salt, iv, block, text)                                            \
    COMPOSED(id, bits, salt, iv, block, 12, 32, 16, text "-HMAC_SHA2_256_128"),                    \
        COMPOSED(id, bits, salt, iv, block, 13, 48, 24, text "-HMAC_SHA2_384_192"),                \
        COMPOSED(id, bits, salt, iv, block, 14, 64, 32, text "-HMAC_SHA2_512_256"),                \
        COMPOSED(id, bits, salt, iv, block, 2, 20, 12, text "-HMAC_SHA1_96")

const struct suite_aead crypto_composed[CRYPTO_COMPOSED_ROWS] = {
    WITH_EACH_HMAC(CBC, 256, 0, BLOCK_BYTES, BLOCK_BYTES, "AES_CBC_256"),
    WITH_EACH_HMAC(CBC, 128, 0, BLOCK_BYTES, BLOCK_BYTES, "AES_CBC_128"),
    WITH_EACH_HMAC(CTR, 256, CTR_SALT_BYTES, CTR_IV_BYTES, 1, "AES_CTR_256"),
    WITH_EACH_HMAC(CTR, 128, CTR_SALT_BYTES, CTR_IV_BYTES, 1, "AES_CTR_128"),
};
