#include "api/cli/pki.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

const char *const pki_key_kinds[] = {"p256",    "p384",    "p521",    "ed25519",
                                     "rsa2048", "rsa3072", "rsa4096", NULL};

static EVP_PKEY *rsa_new(size_t bits, unsigned long exponent)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *e = BN_new();
    EVP_PKEY *key = NULL;

    if (ctx == NULL || e == NULL || BN_set_word(e, exponent) != 1 ||
        EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) != 1 ||
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) != 1 || EVP_PKEY_generate(ctx, &key) != 1)
        key = NULL;
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

EVP_PKEY *pki_key_new(const char *kind)
{
    static const struct {
        const char *kind, *curve;
        size_t rsa_bits;
        unsigned long exponent;
    } kinds[] = {
        {"p256", "P-256", 0, 0},        {"p384", "P-384", 0, 0},
        {"p521", "P-521", 0, 0},        {"ed25519", NULL, 0, 0},
        {"rsa2048", NULL, 2048, 65537}, {"rsa3072", NULL, 3072, 65537},
        {"rsa4096", NULL, 4096, 65537}, {"rsa2048e3", NULL, 2048, 3},
        {"rsa1024", NULL, 1024, 65537},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].kind) != 0)
            continue;
        if (kinds[i].rsa_bits > 0)
            return rsa_new(kinds[i].rsa_bits, kinds[i].exponent);
        return kinds[i].curve != NULL ? EVP_EC_gen(kinds[i].curve)
                                      : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    return NULL;
}

static bool refuse(char why[PKI_WHY_BYTES], const char *what, const char *about)
{
    (void)snprintf(why, PKI_WHY_BYTES, "'%.100s' %s", about, what);
    return false;
}

/* One "CN=value" into the name; [from, until) is the value. */
static bool add_attribute(X509_NAME *name, const char *type, const char *from, const char *until,
                          const char *whole, char why[PKI_WHY_BYTES])
{
    if (until == from)
        return refuse(why, "has an attribute without a value", whole);
    if (X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)from,
                                   (int)(until - from), -1, 0) == 1)
        return true;
    return refuse(why, "is no subject: write C=DE, O=Example, CN=name", whole);
}

static bool set_subject(X509_NAME *name, const char *text, char why[PKI_WHY_BYTES])
{
    const char *at = text;

    if (strchr(text, '=') == NULL)
        return add_attribute(name, "CN", text, text + strlen(text), text, why);
    while (*at != '\0') {
        const char *equals, *end;
        char type[32];
        size_t n;

        at += strspn(at, " ");
        equals = strchr(at, '=');
        n = equals != NULL ? (size_t)(equals - at) : sizeof type;
        if (n == 0 || n >= sizeof type)
            return refuse(why, "is no subject: write C=DE, O=Example, CN=name", text);
        memcpy(type, at, n);
        type[n] = '\0';
        at = equals + 1;
        end = at + strcspn(at, ",");
        if (!add_attribute(name, type, at, end, text, why))
            return false;
        at = *end == ',' ? end + 1 : end;
    }
    return true;
}

/* The name in OpenSSL's words. Nothing gets through that could end it and begin another. */
static bool alt_name(const char *name, char *out, size_t cap, char why[PKI_WHY_BYTES])
{
    uint8_t ip[16];
    const char *kind = strchr(name, '@') != NULL ? "email" : "DNS";
    size_t n = strlen(name);

    if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
        kind = "IP";
    else if (strncmp(name, PKI_CLUSTER_URN, sizeof PKI_CLUSTER_URN - 1) == 0)
        kind = "URI";
    else if (n == 0 || n > 200 || name[0] == '@' || name[0] == '.' || name[n - 1] == '.' ||
             name[n - 1] == '@' || strchr(name, '@') != strrchr(name, '@'))
        return refuse(why, "is neither a domain name, name@domain nor an address", name);
    for (const char *p = name; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr(".-_@+:", *p) == NULL)
            return refuse(why, "has a character that no such name has", name);
    (void)snprintf(out, cap, "%s:%s", kind, name);
    return true;
}

static bool add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, ctx, nid, value);
    bool ok = e != NULL && X509_add_ext(cert, e, -1) == 1;

    X509_EXTENSION_free(e);
    return ok;
}

static bool add_names(X509 *cert, X509V3_CTX *ctx, const struct pki_request *r,
                      char why[PKI_WHY_BYTES])
{
    char all[PKI_MAX_NAMES * 216] = "", one[216];
    size_t used = 0;

    for (size_t i = 0; i < r->n_names; i++) {
        if (!alt_name(r->names[i], one, sizeof one, why))
            return false;
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? "," : "", one);
    }
    return r->n_names == 0 || add_extension(cert, ctx, NID_subject_alt_name, all) ||
           refuse(why, "does not make a subjectAltName", all);
}

static bool add_use(X509 *cert, X509V3_CTX *ctx, const struct pki_request *r)
{
    char constraints[64] = "critical,CA:FALSE", use[96];

    if (r->ca)
        (void)snprintf(constraints, sizeof constraints,
                       r->path_length >= 0 ? "critical,CA:TRUE,pathlen:%d" : "critical,CA:TRUE",
                       r->path_length);
    (void)snprintf(use, sizeof use, "%s%s%s", (r->use & PKI_USE_SERVER) != 0 ? ",serverAuth" : "",
                   (r->use & PKI_USE_CLIENT) != 0 ? ",clientAuth" : "",
                   (r->use & PKI_USE_OTHER) != 0 ? ",codeSigning" : "");
    return add_extension(cert, ctx, NID_basic_constraints, constraints) &&
           add_extension(cert, ctx, NID_key_usage,
                         r->ca           ? "critical,keyCertSign,cRLSign"
                         : r->no_signing ? "critical,keyEncipherment"
                                         : "critical,digitalSignature") &&
           (use[0] == '\0' || add_extension(cert, ctx, NID_ext_key_usage, use + 1));
}

static bool add_extensions(X509 *cert, X509 *issuer, const struct pki_request *r,
                           char why[PKI_WHY_BYTES])
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    if (!add_use(cert, &ctx, r) || !add_extension(cert, &ctx, NID_subject_key_identifier, "hash") ||
        (issuer != cert && !add_extension(cert, &ctx, NID_authority_key_identifier, "keyid")) ||
        (r->permit != NULL && !add_extension(cert, &ctx, NID_name_constraints, r->permit)) ||
        (r->urls != NULL &&
         (!add_extension(cert, &ctx, NID_crl_distribution_points, r->urls) ||
          !add_extension(cert, &ctx, NID_info_access, "OCSP;URI:http://127.0.0.1/"))))
        return refuse(why, "cannot be put into a certificate",
                      r->subject != NULL ? r->subject : "");
    return add_names(cert, &ctx, r, why);
}

/* 16 bytes, positive, never twice (RFC 5280 4.1.2.2). */
static bool set_serial(X509 *cert)
{
    uint8_t bytes[16];
    BIGNUM *n;
    bool ok;

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    n = BN_bin2bn(bytes, sizeof bytes, NULL);
    ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return ok;
}

/* Ed25519 hashes by itself; a curve signs with a hash of its size. */
static const EVP_MD *hash_for(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return NULL;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        return bits > 384 ? EVP_sha512() : bits > 256 ? EVP_sha384() : EVP_sha256();
    return EVP_sha256();
}

X509 *pki_certify(const struct pki_request *r, EVP_PKEY *key, const struct pki_pair *issuer,
                  char why[PKI_WHY_BYTES])
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_NAME_new();
    EVP_PKEY *signer = issuer != NULL ? issuer->key : key;
    const char *text = r->subject != NULL ? r->subject : r->n_names > 0 ? r->names[0] : "";
    bool ok;

    (void)snprintf(why, PKI_WHY_BYTES, "out of memory");
    ok = cert != NULL && subject != NULL && set_subject(subject, text, why) &&
         X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
         X509_set_subject_name(cert, subject) == 1 &&
         X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer->cert)
                                                   : subject) == 1 &&
         ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)r->from_s) != NULL &&
         ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)r->until_s) != NULL &&
         X509_set_pubkey(cert, key) == 1 &&
         add_extensions(cert, issuer != NULL ? issuer->cert : cert, r, why);
    if (ok && X509_sign(cert, signer, hash_for(signer)) == 0)
        ok = refuse(why, "cannot be signed", text);
    X509_NAME_free(subject);
    ERR_clear_error();
    if (ok)
        return cert;
    X509_free(cert);
    return NULL;
}

static bool revoke_one(X509_CRL *crl, X509 *cert, int64_t at_s)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)at_s);
    bool ok = entry != NULL && at != NULL &&
              X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert)) == 1 &&
              X509_REVOKED_set_revocationDate(entry, at) == 1 &&
              X509_CRL_add0_revoked(crl, entry) == 1;

    if (!ok)
        X509_REVOKED_free(entry);
    ASN1_TIME_free(at);
    return ok;
}

X509_CRL *pki_revoke(const struct pki_pair *issuer, X509 *const *revoked, size_t n, int64_t from_s,
                     int64_t until_s, char why[PKI_WHY_BYTES])
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)from_s);
    ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)until_s);
    bool ok = crl != NULL && from != NULL && until != NULL && X509_CRL_set_version(crl, 1) == 1 &&
              X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert)) == 1 &&
              X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, until) == 1;

    for (size_t i = 0; ok && i < n; i++) {
        ok = X509_verify(revoked[i], issuer->key) == 1; /* names may be the same */
        if (!ok)
            (void)snprintf(why, PKI_WHY_BYTES, "certificate %zu was not issued by this CA", i + 1);
        ok = ok && revoke_one(crl, revoked[i], from_s);
    }
    ok = ok && X509_CRL_sort(crl) == 1 &&
         X509_CRL_sign(crl, issuer->key, hash_for(issuer->key)) != 0;
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    ERR_clear_error();
    if (ok)
        return crl;
    X509_CRL_free(crl);
    return NULL;
}

/* What was written to `out`, which is freed. */
static char *take_text(BIO *out, bool ok, size_t *len)
{
    char *data = NULL, *copy = NULL;
    long n = ok ? BIO_get_mem_data(out, &data) : 0;

    if (n > 0 && (copy = OPENSSL_malloc((size_t)n + 1)) != NULL) {
        memcpy(copy, data, (size_t)n);
        copy[n] = '\0';
        *len = (size_t)n;
    }
    BIO_free(out);
    return copy;
}

char *pki_cert_pem(X509 *const *certs, size_t n, size_t *len)
{
    BIO *out = BIO_new(BIO_s_mem());
    bool ok = out != NULL;

    for (size_t i = 0; ok && i < n; i++)
        ok = PEM_write_bio_X509(out, certs[i]) == 1;
    return take_text(out, ok, len);
}

char *pki_key_pem(const EVP_PKEY *key, size_t *len)
{
    BIO *out = BIO_new(BIO_s_secmem());

    return take_text(
        out, out != NULL && PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1,
        len);
}

char *pki_crl_pem(X509_CRL *crl, size_t *len)
{
    BIO *out = BIO_new(BIO_s_mem());

    return take_text(out, out != NULL && PEM_write_bio_X509_CRL(out, crl) == 1, len);
}

char *pki_bundle(const struct pki_pair *pair, X509 *const *chain, size_t n, const char *name,
                 const char *password, size_t *len)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    BIO *out = BIO_new(BIO_s_mem());
    PKCS12 *bundle = NULL;
    bool ok = others != NULL && out != NULL;

    for (size_t i = 0; ok && i < n; i++)
        ok = sk_X509_push(others, chain[i]) > 0;
    if (ok)
        bundle = PKCS12_create(password, name, pair->key, pair->cert, others,
                               NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
                               NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 20000, -1, 0);
    ok = bundle != NULL && PKCS12_set_mac(bundle, password, -1, NULL, 0, 20000, EVP_sha1()) == 1 &&
         i2d_PKCS12_bio(out, bundle) == 1;
    PKCS12_free(bundle);
    sk_X509_free(others);
    return take_text(out, ok, len);
}

bool pki_password(char out[PKI_PASSWORD_BYTES])
{
    static const char letters[33] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t bytes[PKI_PASSWORD_BYTES - 1];

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        out[i] = letters[bytes[i] % 32];
    out[sizeof bytes] = '\0';
    OPENSSL_cleanse(bytes, sizeof bytes);
    return true;
}

void pki_pair_free(struct pki_pair *pair)
{
    EVP_PKEY_free(pair->key);
    X509_free(pair->cert);
    *pair = (struct pki_pair){0};
}
