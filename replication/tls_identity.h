/* Who a node is to the other nodes, and whom it believes: certificate, key, the cluster's CA, what
 * was revoked.
 *
 *   subjectAltName   URI:urn:holdfast:cluster:NAME:node:ID     exactly one of "urn:holdfast:"
 *   keyUsage         digitalSignature; extendedKeyUsage: serverAuth and clientAuth, both
 *   issued by        a CA of the file `ca` (the cluster's own: `holdfast pki cluster-ca`)
 *
 * A peer is believed when its chain leads to such a CA, is in time, not in a list of `revoked`, and
 * its name is of our cluster. NAME keeps two clusters apart that share a CA. A list that is past its
 * nextUpdate still counts: it comes from a file of ours, its age proves nothing against anybody, and
 * a cluster that no longer speaks to itself helps nobody.
 *
 * Immutable once loaded; counted, for links made under it outlive a reload. Any thread.
 */
#ifndef HF_REPL_TLS_IDENTITY_H
#define HF_REPL_TLS_IDENTITY_H

#include "base/assert.h"
#include "base/span.h"

enum {
    TLS_WHY_BYTES = 256,
    TLS_CLUSTER_BYTES = 64,    /* a cluster's name: 1 to 63 of a-z, 0-9 and '-', and the zero */
    TLS_MAX_NODE = 65535,      /* ids as the configuration has them */
    TLS_SOON_S = 30 * 86400,   /* a certificate that ends sooner is complained of */
    TLS_MAX_CHAIN_BYTES = 8192 /* of a certificate and its intermediates, on the wire */
};

struct tls_identity;

/* PEM text. revoked.len 0: there is no list. */
struct tls_files {
    struct span ca, certificate, key, revoked;
};

enum tls_file { TLS_FILE_CA, TLS_FILE_CERTIFICATE, TLS_FILE_KEY, TLS_FILE_REVOKED };

/* NULL: *which is the file to blame, and *why one sentence fit to stand behind its name. The caller
 * owns one reference. Time is not looked at here. */
struct tls_identity *tls_identity_load(uint32_t node, const struct tls_files *files,
                                       enum tls_file *which, char why[TLS_WHY_BYTES]) HF_MUST_USE;
struct tls_identity *tls_identity_hold(struct tls_identity *identity);
/* Wipes the key with the last reference. NULL is allowed. */
void tls_identity_release(struct tls_identity *identity);

uint32_t tls_identity_node(const struct tls_identity *identity);
const char *tls_identity_cluster(const struct tls_identity *identity);
/* When the first of our certificate, its intermediates and its CA ends; seconds since 1970. */
int64_t tls_identity_expires(const struct tls_identity *identity);
/* NULL, or what is wrong with the time, or soon will be (TLS_SOON_S). *fatal: peers refuse us
 * now. */
const char *tls_identity_complaint(const struct tls_identity *identity, int64_t now_s, bool *fatal,
                                   char why[TLS_WHY_BYTES]);

/* "urn:holdfast:cluster:NAME:node:ID"; false: not such a name. */
bool tls_name_parse(struct span uri, char cluster[TLS_CLUSTER_BYTES], uint32_t *node) HF_MUST_USE;

#endif
