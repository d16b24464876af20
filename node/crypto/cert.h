/* Certificates and private keys as files hold them, and as the engine borrows them: RFC 5280, RFC
 * 4945. OpenSSL behind it; everything here allocates and belongs to the shell (config, pki, tests).
 *
 *   PEM files ─> crypto_own_load ──> struct crypto_own      our chain, its names, the private key
 *             ─> crypto_trust_new, _add_cas, _add_crls, _allow ─> struct crypto_trust
 *
 * suite_default.auth signs with crypto_own_key() and judges a peer's claim against a crypto_trust;
 * both only read them, from any thread. Nothing is ever fetched: URLs in certificates (CRL
 * distribution points, OCSP, caIssuers) are not looked at.
 *
 * Errors are one sentence in `why`, fit to stand behind the name of a file.
 */
#ifndef HF_CRYPTO_CERT_H
#define HF_CRYPTO_CERT_H

#include "crypto/suite.h"

enum {
    CERT_WHY_BYTES = 256,
    CERT_MAX_FILE = 1 << 20, /* bytes of a PEM file */
    CERT_MAX_NAME = 255,     /* bytes of an identity */
    CERT_MAX_NAMES = 16,
    CERT_MAX_CHAIN = 4,
    CERT_MAX_CAS = 16,
    CERT_HASH_BYTES = 20,
    CERT_RSA_MIN_BITS = 2048,
    CERT_RSA_MAX_BITS = 8192,    /* of a peer */
    CERT_RSA_OWN_MAX_BITS = 4096 /* its signature is kept in an event: IKE_MAX_SIGNATURE_BYTES */
};

struct crypto_own;
struct crypto_trust;

/* An identity as in an ID payload (RFC 7296 3.5). */
struct cert_name {
    uint8_t type, len;
    uint8_t bytes[CERT_MAX_NAME];
};

/* From PEM text: our certificate first, then intermediates (a self-signed root is left out), and
 * the key that fits it, not encrypted. NULL: *why. The caller frees. */
struct crypto_own *crypto_own_load(struct span chain, struct span key, char why[CERT_WHY_BYTES]);
void crypto_own_free(struct crypto_own *own); /* wipes the key; NULL is allowed */

size_t crypto_own_chain(const struct crypto_own *own, struct span chain[CERT_MAX_CHAIN]); /* DER */
size_t crypto_own_names(const struct crypto_own *own, const struct cert_name **names);
const void *crypto_own_key(const struct crypto_own *own);
enum suite_key_kind crypto_own_kind(const struct crypto_own *own);
/* SHA-1 of the SubjectPublicKeyInfo of each CA in the chain, and of those in `trust` (NULL: none)
 * that issued its last certificate: what a CERTREQ that fits names. */
size_t crypto_own_cas(const struct crypto_own *own, const struct crypto_trust *trust,
                      uint8_t hashes[CERT_MAX_CHAIN + 1][CERT_HASH_BYTES]);
/* What a client would hold against this certificate as a gateway's: NULL, or one sentence. Severity
 * in *fatal: it will be refused by everyone. */
const char *crypto_own_complaint(const struct crypto_own *own, uint64_t wall_s, bool *fatal,
                                 char why[CERT_WHY_BYTES]);
/* Seconds since 1970. */
int64_t crypto_own_expires(const struct crypto_own *own);

struct crypto_trust *crypto_trust_new(void);
void crypto_trust_free(struct crypto_trust *trust);
/* PEM text with one CA certificate or more; each must be one (basicConstraints). */
bool crypto_trust_add_cas(struct crypto_trust *trust, struct span pem, char why[CERT_WHY_BYTES]);
/* PEM text with one CRL or more. An issuer whose CRL is given is checked, also for being up to
 * date; others are not. */
bool crypto_trust_add_crls(struct crypto_trust *trust, struct span pem, char why[CERT_WHY_BYTES]);
/* Whom to let in: "*", "*@example.org", "*.example.org", a full name or address, or a subject such
 * as "C=DE, O=Example, CN=*" (attributes in order, CN=* matches any value). Without a call: everyone
 * that a CA vouches for. */
bool crypto_trust_allow(struct crypto_trust *trust, const char *pattern, char why[CERT_WHY_BYTES]);
size_t crypto_trust_cas(const struct crypto_trust *trust,
                        uint8_t hashes[CERT_MAX_CAS][CERT_HASH_BYTES]);
size_t crypto_trust_count(const struct crypto_trust *trust);
/* The first CA or CRL that is out of date at wall_s, or NULL; NULL also when it is only near. */
const char *crypto_trust_complaint(const struct crypto_trust *trust, uint64_t wall_s,
                                   char why[CERT_WHY_BYTES]);

/* An identity as text: the name, the address, or "C=DE, O=..., CN=..." Returns buf. */
const char *cert_name_text(uint8_t type, struct span data, char *buf, size_t cap);

extern const struct suite_auth crypto_auth;

#endif
