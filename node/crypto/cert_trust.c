/* Judging a peer: chain, identity, usage, signature (RFC 5280 6, RFC 4945). The cheap questions
 * come first, so that a stranger's certificate costs little. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/certs.h"

enum { MOST_PATTERNS = 256, AUTH_LEVEL = 2 /* 112 bits: RSA 2048, no SHA-1 in the chain */ };

struct crypto_trust {
    X509_STORE *store;
    STACK_OF(X509) * cas;
    STACK_OF(X509_CRL) * crls;
    struct cert_pattern *patterns[MOST_PATTERNS];
    size_t n_patterns;
};

struct crypto_trust *crypto_trust_new(void)
{
    struct crypto_trust *t = calloc(1, sizeof *t);

    HF_ASSERT(t != NULL);
    t->store = X509_STORE_new();
    t->cas = sk_X509_new_null();
    t->crls = sk_X509_CRL_new_null();
    HF_ASSERT(t->store != NULL && t->cas != NULL && t->crls != NULL);
    return t;
}

void crypto_trust_free(struct crypto_trust *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n_patterns; i++)
        cert_pattern_free(t->patterns[i]);
    sk_X509_pop_free(t->cas, X509_free);
    sk_X509_CRL_pop_free(t->crls, X509_CRL_free);
    X509_STORE_free(t->store);
    free(t);
}

static bool add_ca(struct crypto_trust *t, X509 *ca, char why[CERT_WHY_BYTES])
{
    char subject[128];

    (void)X509_NAME_oneline(X509_get_subject_name(ca), subject, sizeof subject);
    /* 1: by basicConstraints. What else the library would take (version 1, key usage alone) is to be
     * refused: RFC 4945 5.1.3.9. */
    if (X509_check_ca(ca) != 1) {
        (void)snprintf(
            why, CERT_WHY_BYTES,
            "'%.100s' is not the certificate of a CA (basicConstraints CA:TRUE, key usage "
            "keyCertSign)",
            subject);
        return false;
    }
    if (!cert_key_strong(X509_get0_pubkey(ca), CERT_RSA_MAX_BITS)) {
        (void)snprintf(why, CERT_WHY_BYTES,
                       "'%.100s' has a weak key: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or "
                       "Ed25519 is taken",
                       subject);
        return false;
    }
    if (sk_X509_num(t->cas) == CERT_MAX_CAS) {
        (void)snprintf(why, CERT_WHY_BYTES, "has too many CAs: %d in all are taken", CERT_MAX_CAS);
        return false;
    }
    HF_ASSERT(X509_up_ref(ca) == 1 && sk_X509_push(t->cas, ca) > 0);
    HF_ASSERT(X509_STORE_add_cert(t->store, ca) == 1);
    return true;
}

bool crypto_trust_add_cas(struct crypto_trust *t, struct span pem, char why[CERT_WHY_BYTES])
{
    STACK_OF(X509) *found = sk_X509_new_null();
    bool ok = pem_certs(pem, found, why);

    for (int i = 0; ok && i < sk_X509_num(found); i++)
        ok = add_ca(t, sk_X509_value(found, i), why);
    sk_X509_pop_free(found, X509_free);
    return ok;
}

bool crypto_trust_add_crls(struct crypto_trust *t, struct span pem, char why[CERT_WHY_BYTES])
{
    STACK_OF(X509_CRL) *found = sk_X509_CRL_new_null();
    bool ok = pem_crls(pem, found, why);

    for (int i = 0; ok && i < sk_X509_CRL_num(found); i++) {
        X509_CRL *crl = sk_X509_CRL_value(found, i);

        HF_ASSERT(X509_CRL_up_ref(crl) == 1 && sk_X509_CRL_push(t->crls, crl) > 0);
        HF_ASSERT(X509_STORE_add_crl(t->store, crl) == 1);
    }
    sk_X509_CRL_pop_free(found, X509_CRL_free);
    return ok;
}

bool crypto_trust_allow(struct crypto_trust *t, const char *pattern, char why[CERT_WHY_BYTES])
{
    struct cert_pattern *p;

    if (t->n_patterns == MOST_PATTERNS) {
        (void)snprintf(why, CERT_WHY_BYTES, "there are too many patterns: %d", MOST_PATTERNS);
        return false;
    }
    p = cert_pattern_new(pattern, why);
    if (p == NULL)
        return false;
    t->patterns[t->n_patterns++] = p;
    return true;
}

size_t crypto_trust_count(const struct crypto_trust *t)
{
    return (size_t)sk_X509_num(t->cas);
}

size_t crypto_trust_cas(const struct crypto_trust *t, uint8_t hashes[CERT_MAX_CAS][CERT_HASH_BYTES])
{
    size_t n = 0;

    for (int i = 0; i < sk_X509_num(t->cas); i++)
        if (cert_spki_hash(sk_X509_value(t->cas, i), hashes[n]))
            n++;
    return n;
}

X509 *trust_issuer(const struct crypto_trust *t, X509 *cert)
{
    for (int i = 0; i < sk_X509_num(t->cas); i++)
        if (X509_check_issued(sk_X509_value(t->cas, i), cert) == X509_V_OK)
            return sk_X509_value(t->cas, i);
    return NULL;
}

/* Is it over (or not begun) at wall_s? */
static bool outside(const ASN1_TIME *from, const ASN1_TIME *until, uint64_t wall_s)
{
    time_t now = (time_t)wall_s;

    return (from != NULL && X509_cmp_time(from, &now) > 0) ||
           (until != NULL && X509_cmp_time(until, &now) < 0);
}

const char *crypto_trust_complaint(const struct crypto_trust *t, uint64_t wall_s,
                                   char why[CERT_WHY_BYTES])
{
    char name[128];

    for (int i = 0; i < sk_X509_num(t->cas); i++) {
        X509 *ca = sk_X509_value(t->cas, i);

        if (outside(X509_get0_notBefore(ca), X509_get0_notAfter(ca), wall_s)) {
            (void)X509_NAME_oneline(X509_get_subject_name(ca), name, sizeof name);
            (void)snprintf(why, CERT_WHY_BYTES, "the CA '%.100s' is out of date", name);
            return why;
        }
    }
    for (int i = 0; i < sk_X509_CRL_num(t->crls); i++) {
        X509_CRL *crl = sk_X509_CRL_value(t->crls, i);

        if (outside(X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl), wall_s)) {
            (void)X509_NAME_oneline(X509_CRL_get_issuer(crl), name, sizeof name);
            (void)snprintf(
                why, CERT_WHY_BYTES,
                "the revocation list of '%.100s' is out of date: its clients are refused "
                "until there is a new one",
                name);
            return why;
        }
    }
    return NULL;
}

/* ---- one claim ---- */

static int trust_index = -1;

/* An issuer without a CRL of ours is not checked for revocation; everything else counts. */
static int on_problem(int ok, X509_STORE_CTX *ctx)
{
    const struct crypto_trust *t = X509_STORE_CTX_get_ex_data(ctx, trust_index);
    const X509_NAME *issuer;

    if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNABLE_TO_GET_CRL)
        return ok;
    issuer = X509_get_issuer_name(X509_STORE_CTX_get_current_cert(ctx));
    for (int i = 0; i < sk_X509_CRL_num(t->crls); i++)
        if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(t->crls, i)), issuer) == 0)
            return 0;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

static enum suite_verdict verdict_of(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return SUITE_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return SUITE_NOT_YET_VALID;
    case X509_V_ERR_CERT_REVOKED:
        return SUITE_REVOKED;
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        return SUITE_BAD_CRL;
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
        return SUITE_NAME_CONSTRAINT;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return SUITE_UNTRUSTED;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return SUITE_WEAK_KEY;
    default:
        return SUITE_BAD_CERTIFICATE;
    }
}

/* Every CA above it must be one for this purpose, too. */
static bool chain_issues(X509_STORE_CTX *ctx, bool gateway)
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

    for (int i = 1; i < sk_X509_num(chain); i++)
        if (!cert_usage_issues(sk_X509_value(chain, i), gateway))
            return false;
    return true;
}

static enum suite_verdict judge_chain(const struct crypto_trust *t, X509 *leaf,
                                      STACK_OF(X509) * others, const struct suite_claim *claim)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    enum suite_verdict v = SUITE_BAD_CERTIFICATE;
    X509_VERIFY_PARAM *param;

    if (ctx != NULL && X509_STORE_CTX_init(ctx, t->store, leaf, others) == 1 &&
        X509_STORE_CTX_set_ex_data(ctx, trust_index, (void *)(uintptr_t)t) == 1) {
        param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_time(param, (time_t)claim->wall_s);
        X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
        X509_VERIFY_PARAM_set_depth(param, SUITE_MAX_CERTS);
        (void)X509_VERIFY_PARAM_set_flags(param,
                                          X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
        if (sk_X509_CRL_num(t->crls) > 0)
            (void)X509_VERIFY_PARAM_set_flags(param,
                                              X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        X509_STORE_CTX_set_verify_cb(ctx, on_problem);
        if (X509_verify_cert(ctx) != 1)
            v = verdict_of(X509_STORE_CTX_get_error(ctx));
        else
            v = chain_issues(ctx, claim->gateway) ? SUITE_GOOD : SUITE_WRONG_USAGE;
    }
    X509_STORE_CTX_free(ctx);
    return v;
}

static bool allowed(const struct crypto_trust *t, const struct suite_claim *claim)
{
    if (t->n_patterns == 0)
        return true;
    for (size_t i = 0; i < t->n_patterns; i++)
        if (cert_pattern_matches(t->patterns[i], claim->id_type, claim->id))
            return true;
    return false;
}

static enum suite_verdict judge_parsed(const struct crypto_trust *t, STACK_OF(X509) * certs,
                                       const struct suite_claim *claim)
{
    X509 *leaf = sk_X509_value(certs, 0);
    EVP_PKEY *key = X509_get0_pubkey(leaf);

    if (key == NULL || !cert_key_strong(key, CERT_RSA_MAX_BITS))
        return SUITE_WEAK_KEY;
    if (!crypto_key_fits(crypto_key_kind(key), claim->how))
        return SUITE_WRONG_KEY;
    if (!cert_has_name(leaf, claim->id_type, claim->id))
        return SUITE_WRONG_NAME;
    if (!allowed(t, claim))
        return SUITE_NOT_ALLOWED;
    if (!cert_usage_fits(leaf, claim->gateway))
        return SUITE_WRONG_USAGE;
    if (!crypto_verify(key, claim->how, claim->data, claim->signature))
        return SUITE_BAD_SIGNATURE;
    return judge_chain(t, leaf, certs, claim);
}

static void make_index(void)
{
    trust_index = X509_STORE_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

enum suite_verdict crypto_judge(const void *trust, const struct suite_claim *claim)
{
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
    STACK_OF(X509) *certs = sk_X509_new_null();
    enum suite_verdict v = SUITE_GOOD;

    HF_ASSERT(CRYPTO_THREAD_run_once(&once, make_index) == 1 && trust_index >= 0);
    if (claim->n_certs == 0)
        v = SUITE_NO_CERTIFICATE;
    for (uint8_t i = 0; v == SUITE_GOOD && i < claim->n_certs; i++) {
        const uint8_t *p = claim->certs[i].data;
        X509 *cert = d2i_X509(NULL, &p, (long)claim->certs[i].len);

        if (cert == NULL || p != claim->certs[i].data + claim->certs[i].len)
            v = SUITE_BAD_CERTIFICATE;
        if (cert != NULL && sk_X509_push(certs, cert) <= 0)
            X509_free(cert);
    }
    if (v == SUITE_GOOD)
        v = judge_parsed(trust, certs, claim);
    sk_X509_pop_free(certs, X509_free);
    ERR_clear_error();
    return v;
}

/* ---- for people ---- */

static void name_text(const X509_NAME *name, char out[SUITE_NAME_CHARS])
{
    BIO *b = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n = 0;

    out[0] = '\0';
    if (b != NULL && name != NULL &&
        X509_NAME_print_ex(b, name, 0,
                           (XN_FLAG_ONELINE | ASN1_STRFLGS_ESC_MSB) & ~XN_FLAG_SPC_EQ) >= 0)
        n = BIO_get_mem_data(b, &text);
    for (long i = 0; i < n && i < SUITE_NAME_CHARS - 1; i++) {
        out[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
        out[i + 1] = '\0';
    }
    BIO_free(b);
}

static uint64_t seconds_of(const ASN1_TIME *time)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    int64_t s = 0;

    if (epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1)
        s = (int64_t)days * 86400 + seconds;
    ASN1_TIME_free(epoch);
    return s > 0 ? (uint64_t)s : 0;
}

void crypto_describe(struct span der, struct suite_certificate *out)
{
    const uint8_t *p = der.data;
    X509 *cert = d2i_X509(NULL, &p, (long)der.len);

    memset(out, 0, sizeof *out);
    if (cert != NULL) {
        name_text(X509_get_subject_name(cert), out->subject);
        name_text(X509_get_issuer_name(cert), out->issuer);
        out->from_s = seconds_of(X509_get0_notBefore(cert));
        out->until_s = seconds_of(X509_get0_notAfter(cert));
    }
    X509_free(cert);
    ERR_clear_error();
}
