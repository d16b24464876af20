/* Whom to believe: the name in a certificate, and what vouches for it. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "replication/tls_internal.h"

enum { MOST_DEPTH = 3, AUTH_LEVEL = 2 /* 112 bits: RSA 2048, no SHA-1 in the chain */ };

static const char prefix[] = "urn:holdfast:";

/* Takes what `text` begins with off the span. */
static bool skip(struct span *at, const char *text)
{
    size_t n = strlen(text);

    if (at->len < n || memcmp(at->data, text, n) != 0)
        return false;
    at->data += n;
    at->len -= n;
    return true;
}

bool tls_name_parse(struct span uri, char cluster[TLS_CLUSTER_BYTES], uint32_t *node)
{
    const uint8_t *name;
    uint32_t id = 0;
    size_t n = 0;

    if (!skip(&uri, prefix) || !skip(&uri, "cluster:"))
        return false;
    name = uri.data;
    while (n < uri.len && ((name[n] >= 'a' && name[n] <= 'z') ||
                           (name[n] >= '0' && name[n] <= '9') || name[n] == '-'))
        n++;
    if (n == 0 || n >= TLS_CLUSTER_BYTES)
        return false;
    uri.data += n;
    uri.len -= n;
    if (!skip(&uri, ":node:") || uri.len == 0 || uri.len > 5 || uri.data[0] == '0')
        return false;
    for (size_t i = 0; i < uri.len; i++) {
        if (uri.data[i] < '0' || uri.data[i] > '9')
            return false;
        id = id * 10 + (uint32_t)(uri.data[i] - '0');
    }
    if (id > TLS_MAX_NODE)
        return false;
    memcpy(cluster, name, n);
    cluster[n] = '\0';
    *node = id;
    return true;
}

bool tls_name_of(X509 *cert, char cluster[TLS_CLUSTER_BYTES], uint32_t *node)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int found = 0;
    bool good = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        struct span uri, rest;

        if (name->type != GEN_URI)
            continue;
        uri = span_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                      (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier));
        rest = uri;
        if (!skip(&rest, prefix))
            continue;
        found++;
        good = tls_name_parse(uri, cluster, node);
    }
    GENERAL_NAMES_free(names);
    return good && found == 1;
}

/* Lists that were loaded are genuine and whole (tls_identity.c), so an issuer without one has none;
 * and their age does not matter (tls_identity.h). */
static int on_problem(int ok, X509_STORE_CTX *ctx)
{
    switch (ok ? X509_V_OK : X509_STORE_CTX_get_error(ctx)) {
    case X509_V_OK:
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    default:
        return 0;
    }
}

/* Of the lists of one issuer OpenSSL looks at one, the best by its times: where an older one is in time
 * and a newer one is not (a clock ahead, a short life), whom the newer names would be let in. A list that
 * was signed never takes a revocation back for us: who stands in any of them is out. */
static bool is_listed(const struct tls_identity *identity, X509_STORE_CTX *ctx)
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

    for (int i = 0; i < sk_X509_num(chain); i++)
        for (int k = 0; k < sk_X509_CRL_num(identity->crls); k++) {
            X509_REVOKED *entry = NULL;

            if (X509_CRL_get0_by_cert(sk_X509_CRL_value(identity->crls, k), &entry,
                                      sk_X509_value(chain, i)) != 0)
                return true;
        }
    return false;
}

/* X509_V_OK, or why the chain does not lead to a CA of ours. */
static int chain_error(const struct tls_identity *identity, X509 *leaf, STACK_OF(X509) * others,
                       bool peer_dialled, bool timely)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int error = X509_V_ERR_OUT_OF_MEM;
    X509_VERIFY_PARAM *param;

    if (ctx != NULL && X509_STORE_CTX_init(ctx, identity->store, leaf, others) == 1) {
        param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
        X509_VERIFY_PARAM_set_depth(param, MOST_DEPTH);
        (void)X509_VERIFY_PARAM_set_purpose(param, peer_dialled ? X509_PURPOSE_SSL_CLIENT
                                                                : X509_PURPOSE_SSL_SERVER);
        (void)X509_VERIFY_PARAM_set_flags(param,
                                          X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
        if (!timely)
            (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
        if (sk_X509_CRL_num(identity->crls) > 0)
            (void)X509_VERIFY_PARAM_set_flags(param,
                                              X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        X509_STORE_CTX_set_verify_cb(ctx, on_problem);
        error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
        if (error == X509_V_OK && X509_STORE_CTX_get0_chain(ctx) == NULL)
            error = X509_V_ERR_UNSPECIFIED;
        if (error == X509_V_OK && is_listed(identity, ctx))
            error = X509_V_ERR_CERT_REVOKED;
    }
    X509_STORE_CTX_free(ctx);
    return error;
}

static bool refuse(int *error, int code, char why[TLS_WHY_BYTES], const char *text)
{
    *error = code;
    (void)snprintf(why, TLS_WHY_BYTES, "%s", text);
    return false;
}

bool tls_judge(const struct tls_identity *identity, X509 *leaf, STACK_OF(X509) * others,
               bool peer_dialled, bool timely, uint32_t *node, int *error, char why[TLS_WHY_BYTES])
{
    char cluster[TLS_CLUSTER_BYTES];
    int code = chain_error(identity, leaf, others, peer_dialled, timely);
    uint32_t id;

    ERR_clear_error();
    /* A purpose that does not fit is told in words that help, below. */
    if (code != X509_V_OK && code != X509_V_ERR_INVALID_PURPOSE) {
        *error = code;
        (void)snprintf(why, TLS_WHY_BYTES, "the certificate is refused: %s",
                       X509_verify_cert_error_string(code));
        return false;
    }
    if (code != X509_V_OK || (X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) == 0 ||
        (~X509_get_extended_key_usage(leaf) & (XKU_SSL_SERVER | XKU_SSL_CLIENT)) != 0 ||
        (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
        return refuse(error, X509_V_ERR_INVALID_PURPOSE, why,
                      "the certificate is not for a node: it needs serverAuth and clientAuth");
    if (!tls_name_of(leaf, cluster, &id))
        return refuse(error, X509_V_ERR_SUBJECT_ISSUER_MISMATCH, why,
                      "the certificate names no node: one URI "
                      "urn:holdfast:cluster:NAME:node:ID is needed in its subjectAltName");
    if (identity->cluster[0] != '\0' && strcmp(cluster, identity->cluster) != 0) {
        *error = X509_V_ERR_SUBJECT_ISSUER_MISMATCH;
        (void)snprintf(why, TLS_WHY_BYTES, "the certificate is of cluster '%s', ours is '%s'",
                       cluster, identity->cluster);
        return false;
    }
    *node = id;
    *error = X509_V_OK;
    return true;
}
