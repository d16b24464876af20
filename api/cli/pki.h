/* A private certification authority: keys, certificates, revocation lists, PKCS #12 bundles, over
 * OpenSSL. For `holdfast pki`, and for tests, which also ask for what no gateway should be given
 * (expired, of the wrong use, constrained).
 *
 * Everything returned is the caller's; errors are one sentence in `why`.
 */
#ifndef HF_API_CLI_PKI_H
#define HF_API_CLI_PKI_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

enum { PKI_WHY_BYTES = 256, PKI_MAX_NAMES = 16, PKI_PASSWORD_BYTES = 25 };

/* Before a cluster's name, in the CA's certificate; NAME:node:ID in a node's (tls_identity.h). */
#define PKI_CLUSTER_URN "urn:holdfast:cluster:"

enum pki_use { PKI_USE_NONE = 0, PKI_USE_SERVER = 1, PKI_USE_CLIENT = 2, PKI_USE_OTHER = 4 };

struct pki_request {
    const char *subject; /* "C=DE, O=Example, CN=gw.example.org"; without '=': a common name; NULL:
                            the first name */
    const char *names[PKI_MAX_NAMES]; /* subjectAltName: a domain name, name@domain, an address, or
                                         what begins with PKI_CLUSTER_URN */
    size_t n_names;
    bool ca;
    int path_length;         /* of a CA; below 0: no limit */
    unsigned use;            /* enum pki_use, together */
    int64_t from_s, until_s; /* seconds since 1970 */
    const char *permit;      /* name constraints in OpenSSL's words, or NULL */
    const char *urls; /* CRL distribution point (and OCSP) to name, or NULL; nobody here asks it */
    bool no_signing;  /* key usage without digitalSignature */
};

/* A key and its certificate. */
struct pki_pair {
    EVP_PKEY *key;
    X509 *cert;
};

/* "ed25519", "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096" (and "rsa2048e3",
 * "rsa1024": for tests). NULL: no such kind, or it could not be made. */
EVP_PKEY *pki_key_new(const char *kind);
extern const char *const pki_key_kinds[]; /* those to choose from, ended by NULL */

/* Signs a certificate for `key`. issuer NULL: by itself. NULL: *why. */
X509 *pki_certify(const struct pki_request *request, EVP_PKEY *key, const struct pki_pair *issuer,
                  char why[PKI_WHY_BYTES]);
/* A list of what `issuer` has taken back, good until until_s. NULL: *why. */
X509_CRL *pki_revoke(const struct pki_pair *issuer, X509 *const *revoked, size_t n, int64_t from_s,
                     int64_t until_s, char why[PKI_WHY_BYTES]);

/* PEM and DER, in memory of OPENSSL_malloc(), ended by a zero byte that *len does not count. NULL:
 * out of memory. */
char *pki_cert_pem(X509 *const *certs, size_t n, size_t *len);
char *pki_key_pem(const EVP_PKEY *key, size_t *len);
char *pki_crl_pem(X509_CRL *crl, size_t *len);
/* Key, certificate and chain for a client's device. 3DES and SHA-1: what every Windows and Apple
 * imports; the password must be a random one. */
char *pki_bundle(const struct pki_pair *pair, X509 *const *chain, size_t n, const char *name,
                 const char *password, size_t *len);
/* 24 characters of a-z and 2-7 (120 bits), for pki_bundle(). False: no randomness. */
bool pki_password(char out[PKI_PASSWORD_BYTES]);

void pki_pair_free(struct pki_pair *pair);

#endif
