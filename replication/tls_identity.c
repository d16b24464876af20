#include "replication/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "replication/tls_internal.h"

enum { MOST_CAS = 8, MOST_CHAIN = 3, RSA_MIN_BITS = 2048, RSA_MAX_BITS = 4096 };

static bool refuse(enum tls_file *which, enum tls_file file, char why[TLS_WHY_BYTES],
                   const char *text)
{
    *which = file;
    (void)snprintf(why, TLS_WHY_BYTES, "%s", text);
    return false;
}

/* ---- PEM ---- */

static BIO *reader(struct span pem)
{
    BIO *in = pem.len > 0 && pem.len < INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;

    return in;
}

/* No password is asked for on a terminal: a key that needs one is refused. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

/* Whether the text ended because there is no further block, not because one does not parse. */
static bool at_end(void)
{
    unsigned long e = ERR_peek_last_error();
    bool ended =
        e == 0 || (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE);

    ERR_clear_error();
    return ended;
}

static bool read_certs(struct span pem, STACK_OF(X509) * into, int most)
{
    BIO *in = reader(pem);
    X509 *cert;
    bool ok = in != NULL;

    ERR_clear_error();
    while (ok && (cert = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL) {
        ok = sk_X509_num(into) < most;
        if (!ok || sk_X509_push(into, cert) <= 0)
            X509_free(cert);
    }
    BIO_free(in);
    return ok && at_end() && sk_X509_num(into) > 0;
}

static bool read_crls(struct span pem, STACK_OF(X509_CRL) * into)
{
    BIO *in = reader(pem);
    X509_CRL *crl;

    ERR_clear_error();
    while (in != NULL && (crl = PEM_read_bio_X509_CRL(in, NULL, no_password, NULL)) != NULL)
        if (sk_X509_CRL_push(into, crl) <= 0)
            X509_CRL_free(crl);
    BIO_free(in);
    return at_end() && sk_X509_CRL_num(into) > 0;
}

/* ---- the parts ---- */

static bool load_cas(struct tls_identity *t, struct span pem, STACK_OF(X509) * cas,
                     enum tls_file *which, char why[TLS_WHY_BYTES])
{
    if (!read_certs(pem, cas, MOST_CAS))
        return refuse(which, TLS_FILE_CA, why, "holds no certificates that can be read (PEM)");
    for (int i = 0; i < sk_X509_num(cas); i++) {
        if (X509_check_ca(sk_X509_value(cas, i)) != 1)
            return refuse(which, TLS_FILE_CA, why,
                          "holds a certificate that is no CA's: `holdfast pki cluster-ca NAME` "
                          "makes one");
        HF_ASSERT(X509_STORE_add_cert(t->store, sk_X509_value(cas, i)) == 1);
    }
    return true;
}

/* Only whole lists that a CA of ours signed: then one that is missing means that nothing was
 * revoked. */
static bool crl_is_genuine(X509_CRL *crl, STACK_OF(X509) * cas)
{
    if (X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0 ||
        X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
        return false;
    for (int i = 0; i < sk_X509_num(cas); i++) {
        X509 *ca = sk_X509_value(cas, i);

        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) == 0 &&
            X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
            return true;
    }
    return false;
}

static bool load_crls(struct tls_identity *t, struct span pem, STACK_OF(X509) * cas,
                      enum tls_file *which, char why[TLS_WHY_BYTES])
{
    if (pem.len == 0)
        return true;
    if (!read_crls(pem, t->crls))
        return refuse(which, TLS_FILE_REVOKED, why,
                      "holds no revocation list that can be read (PEM)");
    for (int i = 0; i < sk_X509_CRL_num(t->crls); i++) {
        bool genuine = crl_is_genuine(sk_X509_CRL_value(t->crls, i), cas);

        ERR_clear_error();
        if (!genuine)
            return refuse(which, TLS_FILE_REVOKED, why,
                          "holds a list that no CA in 'ca' signed, or only a part of one");
        HF_ASSERT(X509_STORE_add_crl(t->store, sk_X509_CRL_value(t->crls, i)) == 1);
    }
    return true;
}

static bool key_is_strong(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
        return bits == 256 || bits == 384 || bits == 521;
    case EVP_PKEY_ED25519:
        return true;
    case EVP_PKEY_RSA:
        return bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS; /* it signs on the heartbeats' loop */
    default:
        return false;
    }
}

static bool load_own(struct tls_identity *t, struct span pem, enum tls_file *which,
                     char why[TLS_WHY_BYTES])
{
    int bytes;

    if (!read_certs(pem, t->chain, MOST_CHAIN + 1))
        return refuse(which, TLS_FILE_CERTIFICATE, why,
                      "holds no certificate that can be read (PEM), or more than four");
    t->own = sk_X509_shift(t->chain);
    bytes = i2d_X509(t->own, NULL);
    for (int i = sk_X509_num(t->chain); i-- > 0;) { /* peers have the root */
        if (X509_self_signed(sk_X509_value(t->chain, i), 0) == 1)
            X509_free(sk_X509_delete(t->chain, i));
        else
            bytes += i2d_X509(sk_X509_value(t->chain, i), NULL);
    }
    if (bytes > TLS_MAX_CHAIN_BYTES)
        return refuse(which, TLS_FILE_CERTIFICATE, why, "is too long a chain: 8 KiB are taken");
    if (X509_get0_pubkey(t->own) == NULL || !key_is_strong(X509_get0_pubkey(t->own)))
        return refuse(which, TLS_FILE_CERTIFICATE, why,
                      "has a key that is not taken: P-256, P-384, P-521, Ed25519, RSA of 2048 to "
                      "4096 bits");
    return true;
}

static bool name_own(struct tls_identity *t, uint32_t node, enum tls_file *which,
                     char why[TLS_WHY_BYTES])
{
    if (!tls_name_of(t->own, t->cluster, &t->node)) {
        (void)snprintf(why, TLS_WHY_BYTES,
                       "names no node: its subjectAltName needs one URI "
                       "urn:holdfast:cluster:NAME:node:%u (`holdfast pki node %u` makes it)",
                       node, node);
        *which = TLS_FILE_CERTIFICATE;
        return false;
    }
    if (t->node == node)
        return true;
    (void)snprintf(why, TLS_WHY_BYTES,
                   "is of node %u of cluster '%s', this is node %u: `holdfast pki node %u` makes "
                   "its own",
                   t->node, t->cluster, node, node);
    *which = TLS_FILE_CERTIFICATE;
    return false;
}

static bool load_key(struct tls_identity *t, struct span pem, enum tls_file *which,
                     char why[TLS_WHY_BYTES])
{
    BIO *in = reader(pem);
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
    bool fits;

    BIO_free(in);
    ERR_clear_error();
    if (key == NULL)
        return refuse(which, TLS_FILE_KEY, why,
                      "holds no private key that can be read (PEM, without a password)");
    fits = X509_check_private_key(t->own, key) == 1;
    if (fits)
        fits = SSL_CTX_use_certificate(t->ctx, t->own) == 1 &&
               SSL_CTX_use_PrivateKey(t->ctx, key) == 1;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return fits || refuse(which, TLS_FILE_KEY, why, "is not the key of the certificate");
}

/* As a peer in either role would judge it, whatever the time. */
static bool judge_own(struct tls_identity *t, enum tls_file *which, char why[TLS_WHY_BYTES])
{
    uint32_t node;
    int error;

    *which = TLS_FILE_CERTIFICATE;
    return tls_judge(t, t->own, t->chain, true, false, &node, &error, why) &&
           tls_judge(t, t->own, t->chain, false, false, &node, &error, why);
}

/* Those that lead to a CA were judged; what stands beside them OpenSSL judges here, by its key alone. */
static bool send_chain(struct tls_identity *t, enum tls_file *which, char why[TLS_WHY_BYTES])
{
    for (int i = 0; i < sk_X509_num(t->chain); i++)
        if (SSL_CTX_add1_chain_cert(t->ctx, sk_X509_value(t->chain, i)) != 1)
            return refuse(which, TLS_FILE_CERTIFICATE, why,
                          "holds another certificate beside its own that is too weak: take it out");
    return true;
}

/* ---- time ---- */

static int64_t seconds_of(const ASN1_TIME *at)
{
    struct tm tm;

    return at != NULL && ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void narrow(struct tls_identity *t, const X509 *cert)
{
    int64_t from = seconds_of(X509_get0_notBefore(cert)),
            until = seconds_of(X509_get0_notAfter(cert));

    t->begins_s = from > t->begins_s ? from : t->begins_s;
    t->expires_s = until < t->expires_s ? until : t->expires_s;
}

static void span_time(struct tls_identity *t, STACK_OF(X509) * cas)
{
    t->begins_s = INT64_MIN;
    t->expires_s = INT64_MAX;
    narrow(t, t->own);
    for (int i = 0; i < sk_X509_num(t->chain); i++)
        narrow(t, sk_X509_value(t->chain, i));
    for (int i = 0; i < sk_X509_num(cas); i++) {
        X509 *ca = sk_X509_value(cas, i), *last = t->own;

        if (sk_X509_num(t->chain) > 0)
            last = sk_X509_value(t->chain, sk_X509_num(t->chain) - 1);
        if (X509_check_issued(ca, last) == X509_V_OK)
            narrow(t, ca);
    }
}

const char *tls_identity_complaint(const struct tls_identity *t, int64_t now_s, bool *fatal,
                                   char why[TLS_WHY_BYTES])
{
    int64_t left_s = t->expires_s - now_s;

    *fatal = true;
    if (left_s < 0)
        (void)snprintf(why, TLS_WHY_BYTES,
                       "has expired %lld days ago (or its CA has): the other nodes take no new "
                       "connection of this node: renew it",
                       (long long)(-left_s / 86400));
    else if (now_s < t->begins_s)
        (void)snprintf(why, TLS_WHY_BYTES, "is not valid yet: is this machine's clock right?");
    else
        *fatal = false;
    if (!*fatal && left_s < TLS_SOON_S)
        (void)snprintf(why, TLS_WHY_BYTES, "expires in %lld days (or its CA does): renew it",
                       (long long)(left_s / 86400));
    return *fatal || left_s < TLS_SOON_S ? why : NULL;
}

/* ---- all of it ---- */

/* TLS 1.3 and nothing else: two suites, two groups, no tickets, no early data, nothing resumed. */
static SSL_CTX *make_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    HF_ASSERT(ctx != NULL);
    SSL_CTX_set_security_level(ctx, 2);
    HF_ASSERT(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1);
    HF_ASSERT(
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1);
    HF_ASSERT(SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1);
    HF_ASSERT(SSL_CTX_set1_sigalgs_list(
                  ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:RSA-PSS+SHA256:"
                       "RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1);
    /* What was decrypted is overwritten in its buffer as soon as it was read. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_max_early_data(ctx, 0);
    (void)SSL_CTX_set_recv_max_early_data(ctx, 0);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_max_cert_list(ctx, 2 * TLS_MAX_CHAIN_BYTES);
    SSL_CTX_set_quiet_shutdown(ctx, 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return ctx;
}

struct tls_identity *tls_identity_load(uint32_t node, const struct tls_files *files,
                                       enum tls_file *which, char why[TLS_WHY_BYTES])
{
    struct tls_identity *t = calloc(1, sizeof *t);
    STACK_OF(X509) *cas = sk_X509_new_null();
    bool ok;

    HF_ASSERT(t != NULL && cas != NULL);
    atomic_init(&t->references, 1);
    t->ctx = make_ctx();
    t->store = X509_STORE_new();
    t->chain = sk_X509_new_null();
    t->crls = sk_X509_CRL_new_null();
    HF_ASSERT(t->store != NULL && t->chain != NULL && t->crls != NULL);
    ok = load_cas(t, files->ca, cas, which, why) && load_own(t, files->certificate, which, why) &&
         name_own(t, node, which, why) && load_key(t, files->key, which, why) &&
         load_crls(t, files->revoked, cas, which, why) && judge_own(t, which, why) &&
         send_chain(t, which, why);
    if (ok)
        span_time(t, cas);
    sk_X509_pop_free(cas, X509_free);
    ERR_clear_error();
    if (ok)
        return t;
    tls_identity_release(t);
    return NULL;
}

struct tls_identity *tls_identity_hold(struct tls_identity *t)
{
    if (t != NULL)
        (void)atomic_fetch_add(&t->references, 1);
    return t;
}

void tls_identity_release(struct tls_identity *t)
{
    if (t == NULL || atomic_fetch_sub(&t->references, 1) > 1)
        return;
    SSL_CTX_free(t->ctx); /* and the key, which OpenSSL wipes */
    X509_STORE_free(t->store);
    X509_free(t->own);
    sk_X509_pop_free(t->chain, X509_free);
    sk_X509_CRL_pop_free(t->crls, X509_CRL_free);
    free(t);
}

uint32_t tls_identity_node(const struct tls_identity *t)
{
    return t->node;
}

const char *tls_identity_cluster(const struct tls_identity *t)
{
    return t->cluster;
}

int64_t tls_identity_expires(const struct tls_identity *t)
{
    return t->expires_s;
}
