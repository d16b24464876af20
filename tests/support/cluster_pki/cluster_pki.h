/* A cluster's CA and its nodes' certificates, made in a test's memory by api/cli/pki.h as `holdfast
 * pki cluster-ca` and `pki node` make them; and such as no node should be given. What cannot be made
 * ends the program: it is the test's mistake. */
#ifndef HF_TESTS_CLUSTER_PKI_H
#define HF_TESTS_CLUSTER_PKI_H

#include "api/cli/pki.h"
#include "replication/tls_identity.h"

enum { CLUSTER_PKI_DAY = 86400, CLUSTER_PKI_URN_BYTES = 128 };

struct cluster_pki {
    const char *cluster;
    struct pki_pair ca;
};

void cluster_pki_init(struct cluster_pki *p, const char *cluster);
void cluster_pki_deinit(struct cluster_pki *p);

/* "urn:holdfast:cluster:CLUSTER:node:NODE". Returns urn. */
const char *cluster_pki_urn(const char *cluster, uint32_t node, char urn[CLUSTER_PKI_URN_BYTES]);
/* Both uses, good from yesterday to a year from now; to be changed at will. `urn` is borrowed. */
struct pki_request cluster_pki_request(const char *urn);
/* issuer NULL: signed by itself. The caller frees the pair. */
struct pki_pair cluster_pki_make(const struct cluster_pki *issuer, const struct pki_request *r);

/* As the product loads it, from PEM. crl NULL: no list. */
struct tls_identity *cluster_pki_load(uint32_t node, X509 *ca, const struct pki_pair *pair,
                                      X509_CRL *crl, enum tls_file *which, char why[TLS_WHY_BYTES]);
/* A good one. The caller releases it. */
struct tls_identity *cluster_pki_identity(const struct cluster_pki *p, uint32_t node);

#endif
