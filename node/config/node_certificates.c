/* Who this node is to the others: the files of `cluster.tls`, held against each other and against
 * node.id. As with the gateway's own certificates, what is wrong with the time alone is a note. */
#include <stdlib.h>
#include <time.h>

#include "config/internal.h"
#include "replication/tls_identity.h"

enum { FILES = 4 };

/* In the order of enum tls_file. */
static const char *const keys[FILES] = {
    [TLS_FILE_CA] = "ca",
    [TLS_FILE_CERTIFICATE] = "certificate",
    [TLS_FILE_KEY] = "key",
    [TLS_FILE_REVOKED] = "revoked",
};

static char *path_of(struct config *c, size_t i)
{
    char *paths[FILES] = {c->node_ca, c->node_certificate, c->node_key, c->node_revoked};

    return paths[i];
}

static void judge_time(struct walk *walk)
{
    struct config *c = walk->config;
    char why[TLS_WHY_BYTES];
    bool fatal;

    if (tls_identity_complaint(c->tls, (int64_t)time(NULL), &fatal, why) != NULL) {
        config_note(walk, node_at(walk, "/cluster/tls/certificate"), c->node_certificate, why,
                    fatal);
    }
}

void config_read_node_certificates(struct walk *walk)
{
    struct config *c = walk->config;
    char *pem[FILES] = {NULL}, why[TLS_WHY_BYTES];
    size_t len[FILES] = {0};
    enum tls_file which;
    bool good = c->node_ca[0] != '\0';

    if (!good && c->n_nodes > 1) {
        report_at(
            walk, node_at(walk, "/cluster/nodes"),
            "more than one node need certificates, to know each other: give 'tls: { ca: "
            "ca.pem, certificate: node-%u.pem, key: node-%u.key }' under 'cluster' (`holdfast "
            "pki cluster-ca NAME` makes the CA, once; `holdfast pki node %u` this node's)",
            c->node_id, c->node_id, c->node_id);
    }
    for (size_t i = 0; i < FILES; i++) {
        const struct yaml_node *at = node_at(walk, "/cluster/tls/%s", keys[i]);

        if (path_of(c, i)[0] == '\0') {
            continue;
        }
        good = config_join_path(walk, at, keys[i], path_of(c, i)) && good;
        if (good && walk->read_secrets) {
            pem[i] = config_read_pem(walk, at, keys[i], path_of(c, i), i == TLS_FILE_KEY, &len[i]);
            good = pem[i] != NULL;
        }
    }
    if (good && walk->read_secrets) {
        struct tls_files files = {.ca = span_of(pem[TLS_FILE_CA], len[TLS_FILE_CA]),
                                  .certificate =
                                      span_of(pem[TLS_FILE_CERTIFICATE], len[TLS_FILE_CERTIFICATE]),
                                  .key = span_of(pem[TLS_FILE_KEY], len[TLS_FILE_KEY]),
                                  .revoked = span_of(pem[TLS_FILE_REVOKED], len[TLS_FILE_REVOKED])};

        c->tls = tls_identity_load(c->node_id, &files, &which, why);
        if (c->tls == NULL) {
            report_at(walk, node_at(walk, "/cluster/tls/%s", keys[which]), "'%s': %s %s",
                      keys[which], path_of(c, which), why);
        } else {
            judge_time(walk);
        }
    }
    for (size_t i = 0; i < FILES; i++) {
        if (pem[i] != NULL) {
            secret_wipe_bytes(pem[i], len[i]);
        }
        free(pem[i]);
    }
}
