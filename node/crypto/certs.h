/* What the certificate files of crypto/ share. Nobody outside crypto/ includes this. */
#ifndef HF_CRYPTO_CERTS_H
#define HF_CRYPTO_CERTS_H

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "crypto/cert.h"

/* sign.c */
enum { CRYPTO_SIGNATURES = 14 };
extern const struct suite_signature crypto_signatures[CRYPTO_SIGNATURES];
enum suite_key_kind crypto_key_kind(const EVP_PKEY *key);
bool crypto_key_fits(enum suite_key_kind kind, const struct suite_signature *how);
bool crypto_sign(const void *key, const struct suite_signature *how, struct span data, uint8_t *out,
                 size_t cap, size_t *len);
bool crypto_verify(EVP_PKEY *key, const struct suite_signature *how, struct span data,
                   struct span signature);

/* cert_names.c */
/* Is this identity in the certificate: subjectAltName, or the subject for a DN (RFC 4945 3.1)? */
bool cert_has_name(X509 *cert, uint8_t type, struct span id);
/* All of them, in the order of the certificate, the subject last. */
size_t cert_names_of(X509 *cert, struct cert_name names[CERT_MAX_NAMES]);
/* A pattern of crypto_trust_allow(), compiled. */
struct cert_pattern;
struct cert_pattern *cert_pattern_new(const char *text, char why[CERT_WHY_BYTES]);
void cert_pattern_free(struct cert_pattern *p);
bool cert_pattern_matches(const struct cert_pattern *p, uint8_t type, struct span id);

/* cert_usage.c */
/* May this end certificate authenticate a gateway (or a client)? */
bool cert_usage_fits(X509 *cert, bool gateway);
/* May a CA's certificate issue for it? One without extended key usage may. */
bool cert_usage_issues(X509 *ca, bool gateway);
/* RSA of 2048 to most bits, or one of the curves. */
bool cert_key_strong(const EVP_PKEY *key, int most_rsa_bits);

bool cert_spki_hash(X509 *cert, uint8_t hash[CERT_HASH_BYTES]);

/* cert_trust.c */
enum suite_verdict crypto_judge(const void *trust, const struct suite_claim *claim);
void crypto_describe(struct span der, struct suite_certificate *out);
/* A CA among `trust` that issued `cert`, or NULL; borrowed. */
X509 *trust_issuer(const struct crypto_trust *trust, X509 *cert);

/* cert_pem.c */
/* Certificates of a PEM text. False: none, or one that does not parse (*why). The caller frees. */
bool pem_certs(struct span pem, STACK_OF(X509) * into, char why[CERT_WHY_BYTES]);
bool pem_crls(struct span pem, STACK_OF(X509_CRL) * into, char why[CERT_WHY_BYTES]);
EVP_PKEY *pem_key(struct span pem, char why[CERT_WHY_BYTES]);

#endif
