#include "crypto/tables.h"

#include <openssl/obj_mac.h>
#include <pthread.h>

#include "crypto/cert.h"
#include "crypto/openssl.h"

static const struct suite_aead *const aeads[] = {
    &crypto_combined[0],  &crypto_combined[1],  &crypto_combined[2],  &crypto_composed[0],
    &crypto_composed[1],  &crypto_composed[2],  &crypto_composed[3],  &crypto_composed[4],
    &crypto_composed[5],  &crypto_composed[6],  &crypto_composed[7],  &crypto_composed[8],
    &crypto_composed[9],  &crypto_composed[10], &crypto_composed[11], &crypto_composed[12],
    &crypto_composed[13], &crypto_composed[14], &crypto_composed[15],
};
static const struct suite_prf *const prfs[] = {&crypto_prfs[0], &crypto_prfs[1], &crypto_prfs[2],
                                               &crypto_prfs[3]};
static const struct suite_ke *const kes[] = {
    &crypto_x25519,   &crypto_ecps[0],  &crypto_ecps[1],  &crypto_ecps[2],
    &crypto_modps[0], &crypto_modps[1], &crypto_modps[2], &crypto_modps[3],
};
HF_STATIC_ASSERT(sizeof aeads / sizeof aeads[0] == CRYPTO_COMBINED_ROWS + CRYPTO_COMPOSED_ROWS);
HF_STATIC_ASSERT(sizeof prfs / sizeof prfs[0] == CRYPTO_PRF_ROWS);
HF_STATIC_ASSERT(sizeof kes / sizeof kes[0] == 1 + CRYPTO_ECP_ROWS + CRYPTO_MODP_ROWS);

const struct suite_table suite_default = {
    .aeads = aeads,
    .n_aeads = sizeof aeads / sizeof aeads[0],
    .prfs = prfs,
    .n_prfs = sizeof prfs / sizeof prfs[0],
    .kes = kes,
    .n_kes = sizeof kes / sizeof kes[0],
    .sha1 = &crypto_sha1,
    .sha256 = &crypto_sha256,
    .auth = &crypto_auth,
};

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static struct crypto_fetched fetched;
static bool complete;

static void fetch_ciphers(struct crypto_fetched *f)
{
    f->aes_128_gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    f->aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    f->chacha20_poly1305 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    f->aes_128_cbc = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    f->aes_256_cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    f->aes_128_ctr = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    f->aes_256_ctr = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    f->aes_128_ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    f->aes_256_ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
}

static void fetch_groups(struct crypto_fetched *f)
{
    static const int curves[CRYPTO_ECP_ROWS] = {NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};

    for (size_t i = 0; i < CRYPTO_ECP_ROWS; i++)
        f->ecp[i] = EC_GROUP_new_by_curve_name(curves[i]);
    f->modp[0] = BN_get_rfc3526_prime_2048(NULL);
    f->modp[1] = BN_get_rfc3526_prime_3072(NULL);
    f->modp[2] = BN_get_rfc3526_prime_4096(NULL);
    f->modp[3] = BN_get_rfc2409_prime_1024(NULL);
}

static void fetch_all(void)
{
    struct crypto_fetched *f = &fetched;

    fetch_ciphers(f);
    fetch_groups(f);
    complete = f->aes_128_gcm != NULL && f->aes_256_gcm != NULL && f->chacha20_poly1305 != NULL &&
               f->aes_128_cbc != NULL && f->aes_256_cbc != NULL && f->aes_128_ctr != NULL &&
               f->aes_256_ctr != NULL && f->aes_128_ecb != NULL && f->aes_256_ecb != NULL;
    for (size_t i = 0; i < CRYPTO_ECP_ROWS; i++)
        complete = complete && f->ecp[i] != NULL;
    for (size_t i = 0; i < CRYPTO_MODP_ROWS; i++)
        complete = complete && f->modp[i] != NULL;
}

const struct crypto_fetched *crypto_fetched(void)
{
    (void)pthread_once(&fetch_once, fetch_all);
    return complete ? &fetched : NULL;
}

bool crypto_ready(void)
{
    return crypto_fetched() != NULL;
}

const EVP_CIPHER *crypto_cipher(const struct suite_aead *row)
{
    const struct crypto_fetched *f = crypto_fetched();
    bool small = row->key_bits == 128;

    if (f == NULL)
        return NULL;
    switch (row->transform_id) {
    case 12:
        return small ? f->aes_128_cbc : f->aes_256_cbc;
    case 13:
        return small ? f->aes_128_ctr : f->aes_256_ctr;
    case 20:
        return small ? f->aes_128_gcm : f->aes_256_gcm;
    case 28:
        return f->chacha20_poly1305;
    default:
        return NULL;
    }
}

EVP_CIPHER_CTX *crypto_keyed(const EVP_CIPHER *cipher, const uint8_t *key)
{
    EVP_CIPHER_CTX *evp = cipher != NULL ? EVP_CIPHER_CTX_new() : NULL;

    if (evp != NULL && EVP_EncryptInit_ex2(evp, cipher, key, NULL, NULL) != 1) {
        EVP_CIPHER_CTX_free(evp);
        evp = NULL;
    }
    return evp;
}

/* EVP counts in int; nothing here comes near the bound, but a length must never be cut silently. */
bool crypto_update(EVP_CIPHER_CTX *evp, uint8_t *out, struct span in)
{
    enum { MAX_INPUT_BYTES = 1 << 24 };
    int n = 0;

    if (in.len == 0)
        return true;
    if (in.len > MAX_INPUT_BYTES)
        return false;
    return EVP_CipherUpdate(evp, out, &n, in.data, (int)in.len) == 1 && (size_t)n == in.len;
}
