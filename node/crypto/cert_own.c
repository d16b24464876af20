/* Our own certificate, its chain and its key. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/certs.h"

enum { SOON_S = 30 * 86400 };

struct crypto_own {
    STACK_OF(X509) * certs; /* as sent: ours, then intermediates */
    EVP_PKEY *key;
    struct {
        uint8_t *bytes;
        size_t len;
    } der[CERT_MAX_CHAIN];
    struct cert_name names[CERT_MAX_NAMES];
    size_t n_names;
};

void crypto_own_free(struct crypto_own *own)
{
    if (own == NULL)
        return;
    sk_X509_pop_free(own->certs, X509_free);
    EVP_PKEY_free(own->key); /* wipes what is private */
    for (size_t i = 0; i < CERT_MAX_CHAIN; i++)
        OPENSSL_free(own->der[i].bytes);
    free(own);
}

/* A root goes along for nothing: who trusts it has it (RFC 7296 3.6). */
static void drop_roots(STACK_OF(X509) * certs)
{
    for (int i = sk_X509_num(certs) - 1; i > 0; i--)
        if (X509_self_signed(sk_X509_value(certs, i), 0) == 1)
            X509_free(sk_X509_delete(certs, i));
}

static bool good(struct crypto_own *own, char why[CERT_WHY_BYTES])
{
    int n = sk_X509_num(own->certs);

    if (n > CERT_MAX_CHAIN) {
        (void)snprintf(why, CERT_WHY_BYTES, "has %d certificates; at most %d are sent", n,
                       CERT_MAX_CHAIN);
        return false;
    }
    for (int i = 1; i < n; i++) {
        if (X509_check_issued(sk_X509_value(own->certs, i), sk_X509_value(own->certs, i - 1)) !=
            X509_V_OK) {
            (void)snprintf(why, CERT_WHY_BYTES,
                           "certificate %d did not issue certificate %d: ours first, then each "
                           "one's issuer",
                           i + 1, i);
            return false;
        }
    }
    if (X509_check_private_key(sk_X509_value(own->certs, 0), own->key) != 1) {
        (void)snprintf(why, CERT_WHY_BYTES, "the key is not the one of this certificate");
        return false;
    }
    if (!cert_key_strong(own->key, CERT_RSA_OWN_MAX_BITS)) {
        (void)snprintf(why, CERT_WHY_BYTES,
                       "the key is not one of RSA 2048 to 4096 bits, P-256, P-384, P-521, Ed25519");
        return false;
    }
    return true;
}

struct crypto_own *crypto_own_load(struct span chain, struct span key, char why[CERT_WHY_BYTES])
{
    struct crypto_own *own = calloc(1, sizeof *own);
    bool ok;

    HF_ASSERT(own != NULL);
    own->certs = sk_X509_new_null();
    ok = pem_certs(chain, own->certs, why) && (own->key = pem_key(key, why)) != NULL;
    if (ok)
        drop_roots(own->certs);
    ok = ok && good(own, why);
    for (int i = 0; ok && i < sk_X509_num(own->certs); i++) {
        int n = i2d_X509(sk_X509_value(own->certs, i), &own->der[i].bytes);

        HF_ASSERT(n > 0);
        own->der[i].len = (size_t)n;
    }
    ERR_clear_error();
    if (!ok) {
        crypto_own_free(own);
        return NULL;
    }
    own->n_names = cert_names_of(sk_X509_value(own->certs, 0), own->names);
    return own;
}

size_t crypto_own_chain(const struct crypto_own *own, struct span chain[CERT_MAX_CHAIN])
{
    size_t n = (size_t)sk_X509_num(own->certs);

    for (size_t i = 0; i < n; i++)
        chain[i] = span_of(own->der[i].bytes, own->der[i].len);
    return n;
}

size_t crypto_own_names(const struct crypto_own *own, const struct cert_name **names)
{
    *names = own->names;
    return own->n_names;
}

const void *crypto_own_key(const struct crypto_own *own)
{
    return own->key;
}

enum suite_key_kind crypto_own_kind(const struct crypto_own *own)
{
    return crypto_key_kind(own->key);
}

size_t crypto_own_cas(const struct crypto_own *own, const struct crypto_trust *trust,
                      uint8_t hashes[CERT_MAX_CHAIN + 1][CERT_HASH_BYTES])
{
    int n = sk_X509_num(own->certs);
    X509 *root = trust != NULL ? trust_issuer(trust, sk_X509_value(own->certs, n - 1)) : NULL;
    size_t found = 0;

    for (int i = 1; i < n; i++)
        if (cert_spki_hash(sk_X509_value(own->certs, i), hashes[found]))
            found++;
    if (root != NULL && cert_spki_hash(root, hashes[found]))
        found++;
    return found;
}

/* Seconds from `wall_s` to `t`; before it, negative. */
static int64_t seconds_to(const ASN1_TIME *t, uint64_t wall_s)
{
    ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)wall_s);
    int days = 0, seconds = 0;
    bool ok = now != NULL && ASN1_TIME_diff(&days, &seconds, now, t) == 1;

    ASN1_TIME_free(now);
    return ok ? (int64_t)days * 86400 + seconds : -1;
}

int64_t crypto_own_expires(const struct crypto_own *own)
{
    return seconds_to(X509_get0_notAfter(sk_X509_value(own->certs, 0)), 0);
}

const char *crypto_own_complaint(const struct crypto_own *own, uint64_t wall_s, bool *fatal,
                                 char why[CERT_WHY_BYTES])
{
    X509 *cert = sk_X509_value(own->certs, 0);
    int64_t left = seconds_to(X509_get0_notAfter(cert), wall_s);

    *fatal = true;
    if (!cert_usage_fits(cert, true)) {
        (void)snprintf(why, CERT_WHY_BYTES,
                       "is not for a gateway: clients want extended key usage serverAuth, and key "
                       "usage digitalSignature (`holdfast pki server` makes such a one)");
        return why;
    }
    if (left < 0) {
        (void)snprintf(why, CERT_WHY_BYTES, "has expired %lld days ago: renew it",
                       (long long)(-left / 86400));
        return why;
    }
    if (seconds_to(X509_get0_notBefore(cert), wall_s) > 0) {
        (void)snprintf(why, CERT_WHY_BYTES, "is not valid yet: is this machine's clock right?");
        return why;
    }
    *fatal = false;
    if (left < SOON_S) {
        (void)snprintf(why, CERT_WHY_BYTES, "expires in %lld days: renew it",
                       (long long)(left / 86400));
        return why;
    }
    return NULL;
}

const struct suite_auth crypto_auth = {
    .rows = crypto_signatures,
    .n_rows = CRYPTO_SIGNATURES,
    .sign = crypto_sign,
    .verify = crypto_judge,
    .describe = crypto_describe,
};
