/* The files of a node's certificate: CA, certificate, key, revocation list. Made true first, each by
 * its fields from the input (names, uses, who signs), then spoiled in PEM's text or in DER. Loaded, they
 * are this node's, or one of them is to blame and a sentence says why.
 *
 *   first byte: 1 a revocation list is there; 2 signed by another CA; 4 a CA itself; 8 one more in the
 *   chain; then a name: n 1, n bytes; then edits: file and kind 1 | place 2 | value 1
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_pki/cluster_pki.h"
#include "fuzz/tls/pem_spoil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODE = 2, FILES = 4, NAME_ROOM = 256 };

static struct cluster_pki pki, other;
static EVP_PKEY *node_key;

static void put(struct pem_file *f, char *text, size_t n)
{
    HF_ASSERT(text != NULL && n <= PEM_ROOM);
    memcpy(f->bytes, text, n);
    f->n = n;
    OPENSSL_free(text);
}

static bool true_files(const uint8_t *data, const char *name, struct pem_file files[FILES])
{
    struct pki_request r = cluster_pki_request(name);
    struct pki_pair pair = {.key = node_key};
    char why[PKI_WHY_BYTES], *text;
    X509 *chain[2] = {NULL, other.ca.cert};
    X509_CRL *crl;
    size_t n;

    r.ca = (data[0] & 4) != 0;
    r.path_length = -1;
    pair.cert = pki_certify(&r, pair.key, (data[0] & 2) != 0 ? &other.ca : &pki.ca, why);
    if (pair.cert == NULL) {
        HF_ASSERT(why[0] != '\0');
        return false;
    }
    chain[0] = pair.cert;
    text = pki_cert_pem(&pki.ca.cert, 1, &n);
    put(&files[TLS_FILE_CA], text, n);
    text = pki_cert_pem(chain, (data[0] & 8) != 0 ? 2 : 1, &n);
    put(&files[TLS_FILE_CERTIFICATE], text, n);
    text = pki_key_pem(node_key, &n);
    put(&files[TLS_FILE_KEY], text, n);
    files[TLS_FILE_REVOKED].n = 0;
    if ((data[0] & 1) != 0) {
        crl = pki_revoke(&pki.ca, chain, (data[0] & 16) != 0, r.from_s, r.until_s, why);
        if (crl != NULL) { /* it lists only what it signed */
            text = pki_crl_pem(crl, &n);
            put(&files[TLS_FILE_REVOKED], text, n);
            X509_CRL_free(crl);
        }
    }
    X509_free(pair.cert);
    return true;
}

static void judge(const struct pem_file files[FILES])
{
    struct span parts[FILES];
    struct tls_files all;
    char why[TLS_WHY_BYTES] = "";
    enum tls_file which = (enum tls_file)9;
    struct tls_identity *t;
    bool fatal;

    for (int i = 0; i < FILES; i++) {
        uint8_t *exact = malloc(files[i].n + 1);

        HF_ASSERT(exact != NULL);
        memcpy(exact, files[i].bytes, files[i].n);
        parts[i] = span_of(exact, files[i].n);
    }
    all = (struct tls_files){.ca = parts[TLS_FILE_CA],
                             .certificate = parts[TLS_FILE_CERTIFICATE],
                             .key = parts[TLS_FILE_KEY],
                             .revoked = parts[TLS_FILE_REVOKED]};
    t = tls_identity_load(NODE, &all, &which, why);
    if (t == NULL) {
        HF_ASSERT(which <= TLS_FILE_REVOKED && why[0] != '\0' && strlen(why) < sizeof why);
    } else {
        HF_ASSERT(tls_identity_node(t) == NODE && tls_identity_cluster(t)[0] != '\0');
        (void)tls_identity_complaint(t, tls_identity_expires(t) - 5, &fatal, why);
        tls_identity_release(t);
    }
    for (int i = 0; i < FILES; i++)
        free((void *)(uintptr_t)parts[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pem_file files[FILES];
    char name[NAME_ROOM];
    size_t n;

    if (node_key == NULL) {
        cluster_pki_init(&pki, "lab");
        cluster_pki_init(&other, "other");
        node_key = pki_key_new("p256");
        HF_ASSERT(node_key != NULL);
    }
    if (size < 2)
        return 0;
    n = data[1] < size - 2 ? data[1] : size - 2;
    memcpy(name, data + 2, n);
    name[n] = '\0';
    if (!true_files(data, n == 0 ? "urn:holdfast:cluster:lab:node:2" : name, files))
        return 0;
    for (size_t at = 2 + n; at + 4 <= size; at += 4)
        pem_spoil(files, FILES, data[at], (size_t)data[at + 1] << 8 | data[at + 2], data[at + 3]);
    judge(files);
    return 0;
}
