#include "crypto/tables.h"

#include <pthread.h>

#include "crypto/cert.h"
#include "crypto/openssl.h"

static const struct suite_aead *const aeads[] = {&crypto_aes_gcm_16_256, &crypto_aes_gcm_16_128};
static const struct suite_prf *const prfs[] = {&crypto_prf_hmac_sha2_256};
static const struct suite_ke *const kes[] = {&crypto_x25519};

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

static void fetch_all(void)
{
    fetched.aes_128_gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    fetched.aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    fetched.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    fetched.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    fetched.sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    complete = fetched.aes_128_gcm != NULL && fetched.aes_256_gcm != NULL && fetched.hmac != NULL &&
               fetched.sha1 != NULL && fetched.sha256 != NULL;
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
