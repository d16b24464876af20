/* Certificates as files hold them: names, what is refused and in which words, time. */
#include <criterion/criterion.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cluster_pki/cluster_pki.h"

static bool parse(const char *text, size_t len, char cluster[TLS_CLUSTER_BYTES], uint32_t *node)
{
    return tls_name_parse(span_of(text, len), cluster, node);
}

Test(tls_identity, names)
{
    static const char *const bad[] = {
        "",
        "urn:holdfast:",
        "urn:holdfast:cluster:",
        "urn:holdfast:cluster:lab",
        "urn:holdfast:cluster:lab:node:",
        "urn:holdfast:cluster::node:1",
        "urn:holdfast:cluster:lab:node:0",
        "urn:holdfast:cluster:lab:node:01",
        "urn:holdfast:cluster:lab:node:65536",
        "urn:holdfast:cluster:lab:node:4294967297",
        "urn:holdfast:cluster:lab:node:1 ",
        "urn:holdfast:cluster:lab:node:1a",
        "urn:holdfast:cluster:lab:node:-1",
        "urn:holdfast:cluster:Lab:node:1",
        "urn:holdfast:cluster:la_b:node:1",
        "urn:holdfast:cluster:lab:nod:1",
        "URN:holdfast:cluster:lab:node:1",
        "urn:holdfast:cluster:lab:node:1:more",
        "xurn:holdfast:cluster:lab:node:1",
    };
    char cluster[TLS_CLUSTER_BYTES], longest[128];
    uint32_t node;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!parse(bad[i], strlen(bad[i]), cluster, &node), "%s", bad[i]);
    cr_assert(!parse("urn:holdfast:cluster:lab:node:1\0", 32, cluster, &node));
    cr_assert(parse("urn:holdfast:cluster:lab:node:1", 31, cluster, &node));
    cr_assert(node == 1);
    cr_assert_str_eq(cluster, "lab");
    for (int n = 63; n <= 64; n++) {
        int len = snprintf(longest, sizeof longest, "urn:holdfast:cluster:%0*d:node:65535", n, 7);

        cr_assert(parse(longest, (size_t)len, cluster, &node) == (n == 63), "%s", longest);
    }
    cr_assert(node == 65535 && strlen(cluster) == 63);
    printf("compared %zu names\n", sizeof bad / sizeof bad[0] + 4);
}

static struct cluster_pki pki, other;

static void begin(void)
{
    cluster_pki_init(&pki, "lab");
    cluster_pki_init(&other, "other");
}

static void end(void)
{
    cluster_pki_deinit(&pki);
    cluster_pki_deinit(&other);
}

TestSuite(tls_identity_load, .init = begin, .fini = end);

/* Node 2's files from these parts are refused: that file, in these words. */
static void refuses(X509 *ca, const struct pki_pair *pair, X509_CRL *crl, enum tls_file file,
                    const char *says)
{
    char why[TLS_WHY_BYTES] = "";
    enum tls_file which = (enum tls_file)9;

    cr_assert(cluster_pki_load(2, ca, pair, crl, &which, why) == NULL, "%s: taken", says);
    cr_assert(which == file && strstr(why, says) != NULL, "file %d: '%s' instead of '%s'", which,
              why, says);
}

static void refuses_certificate(struct pki_request r, enum tls_file file, const char *says)
{
    struct pki_pair pair = cluster_pki_make(&pki, &r);

    refuses(pki.ca.cert, &pair, NULL, file, says);
    pki_pair_free(&pair);
}

Test(tls_identity_load, mistakes_are_told_of_the_file_that_has_them)
{
    char urn[CLUSTER_PKI_URN_BYTES], urn3[CLUSTER_PKI_URN_BYTES], why[PKI_WHY_BYTES];
    struct pki_request good = cluster_pki_request(cluster_pki_urn("lab", 2, urn)), r = good;
    struct pki_pair pair = cluster_pki_make(&pki, &good), second = cluster_pki_make(&pki, &good),
                    mixed = {.key = second.key, .cert = pair.cert};
    int64_t now = (int64_t)time(NULL);
    X509_CRL *own = pki_revoke(&pki.ca, &pair.cert, 1, now - 60, now + 60, why),
             *foreign = pki_revoke(&other.ca, NULL, 0, now - 60, now + 60, why);

    refuses(other.ca.cert, &pair, NULL, TLS_FILE_CERTIFICATE, "unable to get local issuer");
    refuses(pair.cert, &pair, NULL, TLS_FILE_CA, "no CA's");
    refuses(pki.ca.cert, &mixed, NULL, TLS_FILE_KEY, "not the key of the certificate");
    refuses(pki.ca.cert, &pair, own, TLS_FILE_CERTIFICATE, "revoked");
    refuses(pki.ca.cert, &pair, foreign, TLS_FILE_REVOKED, "no CA in 'ca' signed");
    r.names[0] = cluster_pki_urn("lab", 3, urn3);
    refuses_certificate(r, TLS_FILE_CERTIFICATE, "is of node 3 of cluster 'lab', this is node 2");
    r.names[0] = "gw.example.org";
    refuses_certificate(r, TLS_FILE_CERTIFICATE, "`holdfast pki node 2`");
    r = good;
    r.use = PKI_USE_SERVER;
    refuses_certificate(r, TLS_FILE_CERTIFICATE, "serverAuth and clientAuth");
    X509_CRL_free(own);
    X509_CRL_free(foreign);
    pki_pair_free(&pair);
    pki_pair_free(&second);
}

Test(tls_identity_load, text_that_is_none)
{
    static const char *const texts[] = {"", "noise", "-----BEGIN CERTIFICATE-----\nMIIB\n",
                                        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END "
                                        "CERTIFICATE-----\n"};
    char urn[CLUSTER_PKI_URN_BYTES], why[TLS_WHY_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    size_t n[3] = {0}, compared = 0;
    char *good[3] = {pki_cert_pem(&pki.ca.cert, 1, &n[0]), pki_cert_pem(&pair.cert, 1, &n[1]),
                     pki_key_pem(pair.key, &n[2])};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int file = TLS_FILE_CA; file <= TLS_FILE_REVOKED; file++) {
            struct span parts[4] = {
                span_of(good[0], n[0]), span_of(good[1], n[1]), span_of(good[2], n[2]), {0}};
            enum tls_file which = (enum tls_file)9;
            struct tls_identity *identity;
            struct tls_files files;

            parts[file] = span_of(texts[i], strlen(texts[i]));
            files = (struct tls_files){parts[0], parts[1], parts[2], parts[3]};
            identity = tls_identity_load(2, &files, &which, why);
            if (file == TLS_FILE_REVOKED && i == 0) { /* there need be none */
                cr_assert(identity != NULL, "%s", why);
                tls_identity_release(identity);
                continue;
            }
            cr_assert(identity == NULL && (int)which == file, "text %zu as file %d: %d", i, file,
                      which);
            compared++;
        }
    for (int i = 0; i < 3; i++)
        OPENSSL_free(good[i]);
    pki_pair_free(&pair);
    printf("compared %zu files\n", compared);
    cr_assert(compared == 15);
}

/* Nothing leads through it, so nobody judged it, and the program ended by an assertion where OpenSSL
 * would not take it: also one that was only to take other certificates into force. */
Test(tls_identity_load, a_weak_certificate_beside_its_own_is_refused)
{
    char urn[CLUSTER_PKI_URN_BYTES], why[TLS_WHY_BYTES] = "";
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r), weak = {.key = pki_key_new("rsa1024")};
    enum tls_file which = (enum tls_file)9;
    X509 *both[2] = {pair.cert, NULL};
    struct tls_files files;
    size_t n[3];
    char *text[3];

    r.ca = true;
    r.use = 0;
    weak.cert = pki_certify(&r, weak.key, &pki.ca, why);
    cr_assert(weak.cert != NULL, "%s", why);
    both[1] = weak.cert;
    text[0] = pki_cert_pem(&pki.ca.cert, 1, &n[0]);
    text[1] = pki_cert_pem(both, 2, &n[1]);
    text[2] = pki_key_pem(pair.key, &n[2]);
    files = (struct tls_files){.ca = span_of(text[0], n[0]),
                               .certificate = span_of(text[1], n[1]),
                               .key = span_of(text[2], n[2])};
    cr_assert(tls_identity_load(2, &files, &which, why) == NULL);
    cr_assert(which == TLS_FILE_CERTIFICATE && strstr(why, "too weak") != NULL, "%s", why);
    for (size_t i = 0; i < 3; i++)
        OPENSSL_clear_free(text[i], n[i]);
    pki_pair_free(&weak);
    pki_pair_free(&pair);
}

Test(tls_identity_load, the_end_is_told_in_time)
{
    char urn[CLUSTER_PKI_URN_BYTES], why[TLS_WHY_BYTES];
    int64_t now = (int64_t)time(NULL);
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair;
    struct tls_identity *identity;
    enum tls_file which;
    bool fatal = true;

    r.until_s = now + 100 * (int64_t)CLUSTER_PKI_DAY;
    pair = cluster_pki_make(&pki, &r);
    identity = cluster_pki_load(2, pki.ca.cert, &pair, NULL, &which, why);
    cr_assert(identity != NULL && tls_identity_node(identity) == 2, "%s", why);
    cr_assert_str_eq(tls_identity_cluster(identity), "lab");
    cr_assert(tls_identity_expires(identity) == r.until_s);
    cr_assert(tls_identity_complaint(identity, now, &fatal, why) == NULL && !fatal);
    cr_assert(tls_identity_complaint(identity, r.until_s - TLS_SOON_S, &fatal, why) == NULL);
    cr_assert(tls_identity_complaint(identity, r.until_s - TLS_SOON_S + 1, &fatal, why) != NULL);
    cr_assert(!fatal && strstr(why, "expires in 29 days") != NULL, "%s", why);
    cr_assert(tls_identity_complaint(identity, r.until_s + 2 * CLUSTER_PKI_DAY, &fatal, why) &&
              fatal && strstr(why, "expired 2 days ago") != NULL);
    cr_assert(tls_identity_complaint(identity, r.from_s - 1, &fatal, why) && fatal &&
              strstr(why, "not valid yet") != NULL);
    tls_identity_release(identity);
    pki_pair_free(&pair);
    /* The CA ends first. */
    r.until_s = now + 5000 * (int64_t)CLUSTER_PKI_DAY;
    pair = cluster_pki_make(&pki, &r);
    identity = cluster_pki_load(2, pki.ca.cert, &pair, NULL, &which, why);
    cr_assert(identity != NULL && tls_identity_expires(identity) < r.until_s);
    tls_identity_release(identity);
    pki_pair_free(&pair);
}
