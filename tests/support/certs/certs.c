#include "certs/certs.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_KEPT = 4096 };
static void *kept[MOST_KEPT];
static size_t n_kept;

static _Noreturn void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "certs: %s: %s\n", what, why);
    abort();
}

void *certs_keep(void *p)
{
    if (n_kept == MOST_KEPT)
        give_up("too many", "");
    kept[n_kept++] = p;
    return p;
}

struct pki_request certs_ca_request(const char *subject)
{
    return (struct pki_request){.subject = subject,
                                .ca = true,
                                .path_length = -1,
                                .from_s = CERTS_NOW - CERTS_DAY,
                                .until_s = CERTS_NOW + 365 * CERTS_DAY};
}

struct pki_request certs_server_request(const char *name)
{
    return (struct pki_request){.names = {name},
                                .n_names = 1,
                                .use = PKI_USE_SERVER,
                                .from_s = CERTS_NOW - CERTS_DAY,
                                .until_s = CERTS_NOW + 365 * CERTS_DAY};
}

struct pki_request certs_client_request(const char *name)
{
    struct pki_request r = certs_server_request(name);

    r.use = PKI_USE_CLIENT;
    return r;
}

X509 *certs_certify(const struct pki_request *r, EVP_PKEY *key, const struct pki_pair *issuer)
{
    char why[PKI_WHY_BYTES];
    X509 *cert = pki_certify(r, key, issuer, why);

    if (cert == NULL)
        give_up("certificate", why);
    return certs_keep(cert);
}

struct pki_pair certs_make(const char *kind, const struct pki_request *r,
                           const struct pki_pair *issuer)
{
    struct pki_pair made = {.key = pki_key_new(kind)};

    if (made.key == NULL)
        give_up("key", kind);
    (void)certs_keep(made.key);
    made.cert = certs_certify(r, made.key, issuer);
    return made;
}

struct crypto_own *certs_own(const struct pki_pair *pair, X509 *const *chain, size_t n)
{
    X509 *all[CERT_MAX_CHAIN] = {pair->cert};
    size_t pem_len = 0, key_len = 0;
    char why[CERT_WHY_BYTES], *pem, *key;
    struct crypto_own *own;

    for (size_t i = 0; i < n; i++)
        all[i + 1] = chain[i];
    pem = pki_cert_pem(all, n + 1, &pem_len);
    key = pki_key_pem(pair->key, &key_len);
    own = crypto_own_load(span_of(pem, pem_len), span_of(key, key_len), why);
    if (own == NULL)
        give_up("own", why);
    OPENSSL_free(pem);
    OPENSSL_free(key);
    return certs_keep(own);
}

struct crypto_trust *certs_trust(X509 *const *cas, size_t n)
{
    struct crypto_trust *trust = crypto_trust_new();
    char why[CERT_WHY_BYTES], *pem;
    size_t len = 0;

    pem = pki_cert_pem(cas, n, &len);
    if (!crypto_trust_add_cas(trust, span_of(pem, len), why))
        give_up("trust", why);
    OPENSSL_free(pem);
    return certs_keep(trust);
}

struct span certs_der(X509 *cert)
{
    uint8_t *der = NULL;
    int n = i2d_X509(cert, &der);

    if (n <= 0)
        give_up("DER", "");
    return span_of(certs_keep(der), (size_t)n);
}

struct credentials *certs_credentials(const struct pki_pair *pair, X509 *const *chain, size_t n,
                                      X509 *trusted_ca)
{
    struct credentials *c = certs_keep(credentials_new());

    if (pair != NULL)
        credentials_add_own(c, certs_own(pair, chain, n), NULL, false);
    if (trusted_ca != NULL)
        credentials_set_trust(c, certs_trust(&trusted_ca, 1));
    return c;
}

struct span certs_crl(const struct pki_pair *issuer, X509 *const *revoked, size_t n)
{
    char why[PKI_WHY_BYTES], *pem;
    X509_CRL *crl = pki_revoke(issuer, revoked, n, CERTS_NOW - 60, CERTS_NOW + 60, why);
    size_t len = 0;

    if (crl == NULL)
        give_up("CRL", why);
    pem = pki_crl_pem(crl, &len);
    X509_CRL_free(crl);
    return span_of(certs_keep(pem), len);
}
