/* Certificates made in a test's memory by api/cli/pki.h: CAs, gateways, clients, and what goes wrong
 * with each. What cannot be made ends the program: it is the test's mistake. What is made here lives
 * as long as the process, and is reachable until then, so that a leak checker has nothing to say. */
#ifndef HF_TESTS_CERTS_H
#define HF_TESTS_CERTS_H

#include "api/cli/pki.h"
#include "config/credentials.h"

enum { CERTS_NOW = 1764000000, CERTS_DAY = 86400 }; /* wall clock of the tests, seconds */

/* Usual requests, valid from a day before CERTS_NOW to a year behind it; to be changed at will. */
struct pki_request certs_ca_request(const char *subject);
struct pki_request certs_server_request(const char *name);
struct pki_request certs_client_request(const char *name);

/* issuer NULL: signed by itself. */
struct pki_pair certs_make(const char *kind, const struct pki_request *r,
                           const struct pki_pair *issuer);
/* The same for a key that exists; it keeps its reference. */
X509 *certs_certify(const struct pki_request *r, EVP_PKEY *key, const struct pki_pair *issuer);

/* As the product loads it, through PEM. chain: what goes along, n of them. */
struct crypto_own *certs_own(const struct pki_pair *pair, X509 *const *chain, size_t n);
/* Trusts these CAs. */
struct crypto_trust *certs_trust(X509 *const *cas, size_t n);

/* Something else that is to live as long as the process. Returns it. */
void *certs_keep(void *p);

/* A revocation list as PEM, good from CERTS_NOW - 60 to CERTS_NOW + 60. */
struct span certs_crl(const struct pki_pair *issuer, X509 *const *revoked, size_t n);

/* DER of a certificate. */
struct span certs_der(X509 *cert);

/* One end's credentials: a certificate of ours (or NULL) and a CA that we trust. */
struct credentials *certs_credentials(const struct pki_pair *pair, X509 *const *chain, size_t n,
                                      X509 *trusted_ca);

#endif
