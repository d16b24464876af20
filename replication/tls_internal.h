/* Between tls_identity.c, tls_judge.c and tls_layer.c only: what an identity holds, how a peer is
 * judged. */
#ifndef HF_REPL_TLS_INTERNAL_H
#define HF_REPL_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "replication/tls_identity.h"

struct tls_identity {
    _Atomic unsigned references;
    uint32_t node;
    char cluster[TLS_CLUSTER_BYTES];
    SSL_CTX *ctx; /* both roles; its sessions judge peers by their own layer (tls_layer.c) */
    X509_STORE *store;
    X509 *own;
    STACK_OF(X509) * chain; /* of ours, without `own` */
    STACK_OF(X509_CRL) * crls;
    int64_t begins_s, expires_s;
};

/* Is this the certificate of a node of our cluster? `timely` false: whatever the time. As a peer that
 * dialled (a TLS client) or was dialled. False: *why, and *error is X509_V_ERR_*. */
bool tls_judge(const struct tls_identity *identity, X509 *leaf, STACK_OF(X509) * others,
               bool peer_dialled, bool timely, uint32_t *node, int *error,
               char why[TLS_WHY_BYTES]) HF_MUST_USE;
/* The name in its subjectAltName, and no other of ours. */
bool tls_name_of(X509 *cert, char cluster[TLS_CLUSTER_BYTES], uint32_t *node) HF_MUST_USE;

#endif
