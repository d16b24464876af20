#include "cluster_pki/cluster_pki.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void must(bool ok, const char *why)
{
    if (!ok) {
        (void)fprintf(stderr, "cluster_pki: %s\n", why);
        hf_panic(__FILE__, __LINE__, "a certificate could not be made");
    }
}

void cluster_pki_init(struct cluster_pki *p, const char *cluster)
{
    char urn[CLUSTER_PKI_URN_BYTES] = "", why[PKI_WHY_BYTES];
    struct pki_request r = cluster_pki_request(urn);

    (void)snprintf(urn, sizeof urn, PKI_CLUSTER_URN "%s", cluster);
    r.subject = cluster;
    r.ca = true;
    r.use = 0;
    p->cluster = cluster;
    p->ca.key = pki_key_new("p256");
    p->ca.cert = pki_certify(&r, p->ca.key, NULL, why);
    must(p->ca.cert != NULL, why);
}

void cluster_pki_deinit(struct cluster_pki *p)
{
    pki_pair_free(&p->ca);
}

const char *cluster_pki_urn(const char *cluster, uint32_t node, char urn[CLUSTER_PKI_URN_BYTES])
{
    (void)snprintf(urn, CLUSTER_PKI_URN_BYTES, PKI_CLUSTER_URN "%s:node:%u", cluster, node);
    return urn;
}

struct pki_request cluster_pki_request(const char *urn)
{
    int64_t now = (int64_t)time(NULL);

    return (struct pki_request){.subject = "node",
                                .names = {urn},
                                .n_names = 1,
                                .use = PKI_USE_SERVER | PKI_USE_CLIENT,
                                .from_s = now - CLUSTER_PKI_DAY,
                                .until_s = now + 365 * (int64_t)CLUSTER_PKI_DAY};
}

struct pki_pair cluster_pki_make(const struct cluster_pki *issuer, const struct pki_request *r)
{
    struct pki_pair pair = {.key = pki_key_new("p256")};
    char why[PKI_WHY_BYTES];

    pair.cert = pki_certify(r, pair.key, issuer != NULL ? &issuer->ca : NULL, why);
    must(pair.cert != NULL, why);
    return pair;
}

struct tls_identity *cluster_pki_load(uint32_t node, X509 *ca, const struct pki_pair *pair,
                                      X509_CRL *crl, enum tls_file *which, char why[TLS_WHY_BYTES])
{
    size_t n[4] = {0};
    char *text[4] = {pki_cert_pem(&ca, 1, &n[0]), pki_cert_pem(&pair->cert, 1, &n[1]),
                     pki_key_pem(pair->key, &n[2]), crl != NULL ? pki_crl_pem(crl, &n[3]) : NULL};
    struct tls_files files = {.ca = span_of(text[0], n[0]),
                              .certificate = span_of(text[1], n[1]),
                              .key = span_of(text[2], n[2]),
                              .revoked = span_of(text[3], n[3])};
    struct tls_identity *identity = tls_identity_load(node, &files, which, why);

    for (size_t i = 0; i < 4; i++)
        OPENSSL_clear_free(text[i], n[i]);
    return identity;
}

struct tls_identity *cluster_pki_identity(const struct cluster_pki *p, uint32_t node)
{
    char urn[CLUSTER_PKI_URN_BYTES], why[TLS_WHY_BYTES] = "";
    struct pki_request r = cluster_pki_request(cluster_pki_urn(p->cluster, node, urn));
    struct pki_pair pair = cluster_pki_make(p, &r);
    enum tls_file which;
    struct tls_identity *identity = cluster_pki_load(node, p->ca.cert, &pair, NULL, &which, why);

    must(identity != NULL, why);
    pki_pair_free(&pair);
    return identity;
}
