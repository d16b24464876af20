/* Chains, lists and time: what vouches for a certificate, what takes it back, and when. */
#include <criterion/criterion.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ends.h"

enum { MOST_INTERMEDIATES = 3, LINKS = MOST_INTERMEDIATES + 2 };

/* The time of day of this program, OpenSSL's included: a certificate ends without anybody waiting. */
static int64_t ahead_s;

time_t time(time_t *out)
{
    struct timespec now;
    time_t at;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    at = now.tv_sec + (time_t)ahead_s;
    if (out != NULL)
        *out = at;
    return at;
}

static struct cluster_pki pki;
static struct end node; /* node 1 */

/* `pki cluster-ca` allows no CA below its own; an operator's own may. */
static void allow_intermediates(void)
{
    struct pki_request r = cluster_pki_request(PKI_CLUSTER_URN "lab");
    char why[PKI_WHY_BYTES];

    r.subject = "lab";
    r.ca = true;
    r.path_length = -1;
    r.use = 0;
    X509_free(pki.ca.cert);
    pki.ca.cert = pki_certify(&r, pki.ca.key, NULL, why);
    cr_assert(pki.ca.cert != NULL, "%s", why);
}

static void begin(void)
{
    ahead_s = 0;
    cluster_pki_init(&pki, "lab");
    allow_intermediates();
    end_init(&node, cluster_pki_identity(&pki, 1));
}

static void end(void)
{
    end_deinit(&node);
    cluster_pki_deinit(&pki);
}

TestSuite(tls_chain, .init = begin, .fini = end);

/* Node 2's certificate behind n intermediates: [0] is its own, [n] what the CA signed. */
struct chain {
    struct pki_pair link[LINKS];
    size_t n;
};

static void chain_init(struct chain *c, size_t n)
{
    struct cluster_pki above = pki;
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request("intermediate.example.org");

    cr_assert(n < LINKS);
    c->n = n;
    r.ca = true;
    r.use = 0;
    r.path_length = -1;
    for (size_t i = n; i > 0; i--) {
        char name[48];

        (void)snprintf(name, sizeof name, "intermediate %zu", i);
        r.subject = name;
        c->link[i] = cluster_pki_make(&above, &r);
        above.ca = c->link[i];
    }
    r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    c->link[0] = cluster_pki_make(&above, &r);
}

static void chain_deinit(struct chain *c)
{
    for (size_t i = 0; i <= c->n; i++)
        pki_pair_free(&c->link[i]);
}

/* A stranger with these certificates dials. NULL: it was let in; else why not. */
static const char *met(const struct pki_pair *own, const struct chain *c, size_t copies)
{
    struct stranger s;
    const char *why;

    end_open(&node, false, 0);
    stranger_init(&s, own, TLS1_3_VERSION, true);
    for (size_t k = 0; k < copies; k++)
        for (size_t i = 1; i <= c->n; i++)
            cr_assert(SSL_add1_chain_cert(s.ssl, c->link[i].cert) == 1);
    stranger_meet(&s, &node, "HFHELLO");
    cr_assert(end_ready(&node) == (node.plain.len > 0), "heard, but not believed");
    why = end_ready(&node) ? NULL : node.i->why(node.session);
    stranger_deinit(&s);
    return why;
}

#define REFUSED(why, says)                                                                         \
    do {                                                                                           \
        const char *why_ = (why);                                                                  \
                                                                                                   \
        cr_assert(why_ != NULL, "it was let in, instead of '%s'", says);                           \
        cr_assert(strstr(why_, says) != NULL, "'%s' instead of '%s'", why_, says);                 \
    } while (0)

Test(tls_chain, so_many_intermediates_and_no_more)
{
    for (size_t n = 0; n < LINKS; n++) {
        struct chain c;

        chain_init(&c, n);
        if (n <= MOST_INTERMEDIATES)
            cr_assert(met(&c.link[0], &c, 1) == NULL, "%zu: %s", n, node.i->why(node.session));
        else
            REFUSED(met(&c.link[0], &c, 1), "certificate chain too long");
        chain_deinit(&c);
    }
}

/* What a chain may take is bounded before anything of it is parsed. */
Test(tls_chain, one_that_is_too_long_on_the_wire)
{
    struct chain c;

    chain_init(&c, MOST_INTERMEDIATES);
    REFUSED(met(&c.link[0], &c, 2 * TLS_MAX_CHAIN_BYTES / 1000), "excessive message size");
    chain_deinit(&c);
}

/* A CA that signs what is too weak to prove anything. */
Test(tls_chain, a_weak_key)
{
    char urn[CLUSTER_PKI_URN_BYTES], why[PKI_WHY_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair weak = {.key = pki_key_new("rsa1024")};
    struct chain none = {0};

    weak.cert = pki_certify(&r, weak.key, &pki.ca, why);
    cr_assert(weak.cert != NULL, "%s", why);
    REFUSED(met(&weak, &none, 0), "key too weak");
    pki_pair_free(&weak);
}

/* ---- lists ---- */

/* Node 1 loads its files with this list. NULL: it does, and lives by it; else why not. */
static const char *load_with(X509_CRL *crl)
{
    static char why[TLS_WHY_BYTES];
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 1, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    enum tls_file which = TLS_FILE_CA;
    struct tls_identity *identity = cluster_pki_load(1, pki.ca.cert, &pair, crl, &which, why);

    pki_pair_free(&pair);
    if (identity == NULL) {
        cr_assert(which == TLS_FILE_REVOKED, "file %d: %s", which, why);
        return why;
    }
    tls_layer_replace(node.layer, identity);
    tls_identity_release(identity);
    return NULL;
}

static X509_CRL *list_in(const struct pki_pair *issuer, X509 *revoked, int64_t from, int64_t until)
{
    char why[PKI_WHY_BYTES];
    int64_t now = (int64_t)time(NULL);
    X509_CRL *crl =
        pki_revoke(issuer, &revoked, revoked != NULL ? 1 : 0, now + from, now + until, why);

    cr_assert(crl != NULL, "%s", why);
    return crl;
}

static X509_CRL *list_of(const struct pki_pair *issuer, X509 *revoked)
{
    return list_in(issuer, revoked, -60, 60);
}

/* As an operator keeps them: one list behind the other, in one file. Node 1 lives by both. */
static void load_both(X509_CRL *first, X509_CRL *second)
{
    char urn[CLUSTER_PKI_URN_BYTES], why[TLS_WHY_BYTES] = "";
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 1, urn));
    struct pki_pair pair = cluster_pki_make(&pki, &r);
    size_t n[5];
    char *text[5] = {pki_cert_pem(&pki.ca.cert, 1, &n[0]), pki_cert_pem(&pair.cert, 1, &n[1]),
                     pki_key_pem(pair.key, &n[2]), pki_crl_pem(first, &n[3]),
                     pki_crl_pem(second, &n[4])};
    struct bytes both = {.len = 0};
    struct tls_identity *identity;
    enum tls_file which;

    bytes_add(&both, text[3], n[3]);
    bytes_add(&both, text[4], n[4]);
    identity = tls_identity_load(1,
                                 &(struct tls_files){.ca = span_of(text[0], n[0]),
                                                     .certificate = span_of(text[1], n[1]),
                                                     .key = span_of(text[2], n[2]),
                                                     .revoked = span_of(both.data, both.len)},
                                 &which, why);
    cr_assert(identity != NULL, "file %d: %s", which, why);
    tls_layer_replace(node.layer, identity);
    tls_identity_release(identity);
    for (size_t i = 0; i < 5; i++)
        OPENSSL_clear_free(text[i], n[i]);
    free(both.data);
    pki_pair_free(&pair);
}

Test(tls_chain, an_intermediate_that_was_revoked)
{
    X509_CRL *crl;
    struct chain c;

    chain_init(&c, 1);
    cr_assert(met(&c.link[0], &c, 1) == NULL);
    crl = list_of(&pki.ca, NULL);
    cr_assert(load_with(crl) == NULL);
    cr_assert(met(&c.link[0], &c, 1) == NULL,
              "the intermediate has no list, so it revoked nobody: %s", node.i->why(node.session));
    X509_CRL_free(crl);
    crl = list_of(&pki.ca, c.link[1].cert);
    cr_assert(load_with(crl) == NULL);
    REFUSED(met(&c.link[0], &c, 1), "revoked");
    X509_CRL_free(crl);
    chain_deinit(&c);
}

/* Of several lists of one CA OpenSSL looks at one only, by their times: who stands in any is out. */
Test(tls_chain, who_is_in_one_of_several_lists)
{
    static const struct {
        int64_t from, until;
    } times[] = {{-60, 60}, {-60, -30}, {30, 60}, {-6000, 6000}};
    struct chain c;
    size_t n = 0;

    chain_init(&c, 0);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        for (int order = 0; order < 2; order++, n++) {
            X509_CRL *names = list_in(&pki.ca, c.link[0].cert, times[i].from, times[i].until);
            X509_CRL *others = list_of(&pki.ca, NULL);

            load_both(others, others);
            cr_assert(met(&c.link[0], &c, 0) == NULL, "%s", node.i->why(node.session));
            load_both(order == 0 ? names : others, order == 0 ? others : names);
            REFUSED(met(&c.link[0], &c, 0), "revoked");
            X509_CRL_free(names);
            X509_CRL_free(others);
        }
    chain_deinit(&c);
    (void)printf("compared %zu pairs of lists\n", n);
}

/* Only a list that a CA of ours signed, and by its own name. */
Test(tls_chain, lists_that_are_not_ours)
{
    struct cluster_pki namesake, other;
    struct pki_pair renamed;
    X509_CRL *crl;

    cluster_pki_init(&namesake, "lab"); /* the same name, another key */
    cluster_pki_init(&other, "other");
    crl = list_of(&namesake.ca, NULL);
    REFUSED(load_with(crl), "no CA in 'ca' signed");
    X509_CRL_free(crl);
    renamed = (struct pki_pair){.key = pki.ca.key, .cert = other.ca.cert};
    crl = list_of(&renamed, NULL);
    REFUSED(load_with(crl), "no CA in 'ca' signed");
    X509_CRL_free(crl);
    crl = list_of(&pki.ca, NULL);
    cr_assert(load_with(crl) == NULL);
    X509_CRL_free(crl);
    cluster_pki_deinit(&namesake);
    cluster_pki_deinit(&other);
}

/* One that holds only changes, or only some kinds of certificates, leaves open whom it does not
 * name. */
Test(tls_chain, lists_that_are_not_whole)
{
    ISSUING_DIST_POINT *only = ISSUING_DIST_POINT_new();
    ASN1_INTEGER *base = ASN1_INTEGER_new();
    X509_CRL *delta = list_of(&pki.ca, NULL), *part = list_of(&pki.ca, NULL);

    cr_assert(only != NULL && base != NULL && ASN1_INTEGER_set(base, 1) == 1);
    only->onlyCA = 0xff;
    cr_assert(X509_CRL_add1_ext_i2d(delta, NID_delta_crl, base, 1, 0) == 1);
    cr_assert(X509_CRL_add1_ext_i2d(part, NID_issuing_distribution_point, only, 1, 0) == 1);
    cr_assert(X509_CRL_sign(delta, pki.ca.key, EVP_sha256()) > 0);
    cr_assert(X509_CRL_sign(part, pki.ca.key, EVP_sha256()) > 0);
    REFUSED(load_with(delta), "only a part");
    REFUSED(load_with(part), "only a part");
    X509_CRL_free(delta);
    X509_CRL_free(part);
    ASN1_INTEGER_free(base);
    ISSUING_DIST_POINT_free(only);
}

/* ---- time ---- */

/* A peer's certificate ends while its link stands; then ours are replaced: the link goes on, and no
 * new one begins. */
Test(tls_chain, a_peers_certificate_ends_under_a_link_that_stands)
{
    char urn[CLUSTER_PKI_URN_BYTES];
    struct pki_request r = cluster_pki_request(cluster_pki_urn("lab", 2, urn));
    struct pki_pair pair;
    struct chain none = {0};
    struct stranger s;

    r.until_s = (int64_t)time(NULL) + 100;
    pair = cluster_pki_make(&pki, &r);
    end_open(&node, false, 0);
    stranger_init(&s, &pair, TLS1_3_VERSION, true);
    stranger_meet(&s, &node, "HFHELLO");
    cr_assert(end_ready(&node), "%s", node.i->why(node.session));
    ahead_s = 1000;
    cr_assert(load_with(NULL) == NULL);
    cr_assert(node.i->recheck(node.session), "%s", node.i->why(node.session));
    cr_assert(end_ready(&node) && end_send(&node, "x", 1));
    stranger_deinit(&s);
    REFUSED(met(&pair, &none, 0), "expired");
    pki_pair_free(&pair);
}
