/* Judging a peer: chain, name, usage, time, revocation, constraints, signature. Each test has the
 * good case beside the bad one, so that it cannot be red for another reason. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs/certs.h"
#include "crypto/tables.h"

enum { FQDN = 2, RFC822 = 3, DER_DN = 9, PKCS1 = 1, PSS = 2, ECDSA = 3, EDDSA = 4, RAW = 5 };

static const char message[] = "octets of RFC 7296 2.15";

static const struct suite_signature *row(uint8_t scheme, uint8_t hash)
{
    const struct suite_signature *how = suite_find_signature(&suite_default, scheme, hash);

    cr_assert_not_null(how);
    return how;
}

/* A claim by these certificates, signed with `key`. */
struct claimed {
    struct suite_claim claim;
    uint8_t value[1024];
};

static void claim_begin(struct claimed *c, EVP_PKEY *key, uint8_t scheme, uint8_t hash,
                        uint8_t id_type, const char *id)
{
    size_t len = 0;

    memset(c, 0, sizeof *c);
    c->claim = (struct suite_claim){.id_type = id_type,
                                    .id = span_of(id, strlen(id)),
                                    .wall_s = CERTS_NOW,
                                    .how = row(scheme, hash),
                                    .data = span_of(message, sizeof message)};
    cr_assert(crypto_auth.sign(key, c->claim.how, c->claim.data, c->value, sizeof c->value, &len));
    c->claim.signature = span_of(c->value, len);
}

static void add_cert(struct claimed *c, X509 *cert)
{
    c->claim.certs[c->claim.n_certs++] = certs_der(cert);
}

static enum suite_verdict judge(const struct crypto_trust *trust, const struct claimed *c)
{
    return crypto_auth.verify(trust, &c->claim);
}

/* A CA, a client below it, and the client's claim. */
struct scene {
    struct pki_pair ca, client;
    struct crypto_trust *trust;
    struct claimed c;
};

static void scene_of(struct scene *s, const struct pki_request *client, const char *name)
{
    const struct pki_request ca = certs_ca_request("CN=test CA");

    s->ca = certs_make("p256", &ca, NULL);
    s->client = certs_make("p256", client, &s->ca);
    s->trust = certs_trust(&s->ca.cert, 1);
    claim_begin(&s->c, s->client.key, ECDSA, 2, strchr(name, '@') != NULL ? RFC822 : FQDN, name);
    add_cert(&s->c, s->client.cert);
}

static void expect(const struct pki_request *client, const char *name, enum suite_verdict verdict)
{
    struct scene s;

    scene_of(&s, client, name);
    cr_expect_eq(judge(s.trust, &s.c), verdict, "%s: %s, not %s", name,
                 suite_verdict_name(judge(s.trust, &s.c)), suite_verdict_name(verdict));
}

Test(cert, client_by_mail_and_by_name)
{
    struct pki_request r = certs_client_request("alice@example.org");

    expect(&r, "alice@example.org", SUITE_GOOD);
    expect(&r, "alice@EXAMPLE.org", SUITE_GOOD);
    expect(&r, "Alice@example.org", SUITE_WRONG_NAME);
    expect(&r, "bob@example.org", SUITE_WRONG_NAME);
    expect(&r, "alice@example.org.evil.test", SUITE_WRONG_NAME);
    r = certs_client_request("host7.example.org");
    expect(&r, "HOST7.example.org", SUITE_GOOD);
    expect(&r, "host7.example.com", SUITE_WRONG_NAME);
    /* The common name is no host name, and a wildcard in a certificate stands for nothing. */
    r = certs_client_request("other.example.org");
    r.subject = "CN=host7.example.org";
    expect(&r, "host7.example.org", SUITE_WRONG_NAME);
}

Test(cert, subject_as_identity)
{
    struct pki_request r = certs_client_request("alice@example.org");
    struct scene s;
    uint8_t *der = NULL;
    int n;

    r.subject = "C=DE, O=Example, CN=alice";
    scene_of(&s, &r, "alice@example.org");
    n = i2d_X509_NAME(X509_get_subject_name(s.client.cert), &der);
    (void)certs_keep(der);
    s.c.claim.id_type = DER_DN;
    s.c.claim.id = span_of(der, (size_t)n);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_GOOD);
    s.c.claim.id.len--;
    cr_assert_eq(judge(s.trust, &s.c), SUITE_WRONG_NAME, "cut short");
    s.c.claim.id = span_of("\x30\x00", 2);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_WRONG_NAME, "no name at all");
    der = NULL;
    n = i2d_X509_NAME(X509_get_subject_name(s.ca.cert), &der);
    s.c.claim.id = span_of(certs_keep(der), (size_t)n);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_WRONG_NAME, "the issuer's");
}

/* A zero byte ends no name. */
Test(cert, zero_byte_in_an_identity)
{
    const struct pki_request r = certs_client_request("alice@example.org");
    struct scene s;

    scene_of(&s, &r, "alice@example.org");
    s.c.claim.id = span_of("alice@example.org\0@evil.test", 28);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_WRONG_NAME);
    s.c.claim.id = span_of("", 0);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_WRONG_NAME);
}

Test(cert, validity)
{
    struct pki_request r = certs_client_request("alice@example.org");

    r.until_s = CERTS_NOW - 1;
    expect(&r, "alice@example.org", SUITE_EXPIRED);
    r.until_s = CERTS_NOW + 60;
    expect(&r, "alice@example.org", SUITE_GOOD);
    r.from_s = CERTS_NOW + 1;
    r.until_s = CERTS_NOW + 60;
    expect(&r, "alice@example.org", SUITE_NOT_YET_VALID);
}

/* Of a certificate that nobody has judged: for people, and nothing of it steers a terminal. */
Test(cert, is_described_by_its_own_words)
{
    struct pki_request r = certs_client_request("alice@example.org");
    struct suite_certificate about;
    struct scene s;

    r.from_s = CERTS_NOW - 7;
    r.until_s = CERTS_NOW + 60;
    scene_of(&s, &r, "alice@example.org");
    crypto_auth.describe(s.c.claim.certs[0], &about);
    cr_assert_str_eq(about.issuer, "CN=test CA");
    cr_assert_gt(strlen(about.subject), strlen("CN="));
    cr_assert(about.from_s == CERTS_NOW - 7 && about.until_s == CERTS_NOW + 60);
    memset(&about, 0xff, sizeof about);
    crypto_auth.describe(span_of("no certificate", 14), &about);
    cr_assert(about.subject[0] == '\0' && about.issuer[0] == '\0' && about.until_s == 0);
    memset(&about, 0xff, sizeof about);
    crypto_auth.describe((struct span){0}, &about);
    cr_assert_eq(about.from_s, 0);
}

Test(cert, a_name_is_cut_and_printable)
{
    const struct pki_request r =
        certs_ca_request("CN=\x1b[2J\xc3\xa9 "
                         "0123456789012345678901234567890123456789,O="
                         "01234567890123456789012345678901234567890123456789");
    struct pki_pair ca = certs_make("p256", &r, NULL);
    struct suite_certificate about;
    unsigned char *der = NULL;
    int n = i2d_X509(ca.cert, &der);

    cr_assert_gt(n, 0);
    crypto_auth.describe(span_of(der, (size_t)n), &about);
    cr_assert_eq(strlen(about.subject), SUITE_NAME_CHARS - 1, "%s", about.subject);
    for (const char *p = about.subject; *p != '\0'; p++)
        cr_assert(*p >= ' ' && *p <= '~', "%s", about.subject);
    OPENSSL_free(der);
}

Test(cert, usage)
{
    struct pki_request r = certs_client_request("alice@example.org");

    r.use = PKI_USE_SERVER;
    expect(&r, "alice@example.org", SUITE_WRONG_USAGE);
    r.use = PKI_USE_OTHER;
    expect(&r, "alice@example.org", SUITE_WRONG_USAGE);
    r.use = PKI_USE_NONE; /* no list: customary for clients */
    expect(&r, "alice@example.org", SUITE_GOOD);
    r.use = PKI_USE_SERVER | PKI_USE_CLIENT;
    expect(&r, "alice@example.org", SUITE_GOOD);
    r.no_signing = true;
    expect(&r, "alice@example.org", SUITE_WRONG_USAGE);
}

static enum suite_verdict as_gateway(unsigned use)
{
    struct pki_request r = certs_server_request("gw.example.org");
    struct scene s;

    r.use = use;
    scene_of(&s, &r, "gw.example.org");
    s.c.claim.gateway = true;
    return judge(s.trust, &s.c);
}

/* A client's certificate does not make a gateway. */
Test(cert, gateway_needs_server_auth)
{
    cr_assert_eq(as_gateway(PKI_USE_SERVER), SUITE_GOOD);
    cr_assert_eq(as_gateway(PKI_USE_CLIENT), SUITE_WRONG_USAGE);
    cr_assert_eq(as_gateway(PKI_USE_NONE), SUITE_WRONG_USAGE);
}

Test(cert, unknown_ca)
{
    const struct pki_request r = certs_client_request("alice@example.org");
    const struct pki_request ca = certs_ca_request("CN=test CA"); /* of the same name */
    struct pki_pair other = certs_make("p256", &ca, NULL);
    struct scene s;

    scene_of(&s, &r, "alice@example.org");
    cr_assert_eq(judge(certs_trust(&other.cert, 1), &s.c), SUITE_UNTRUSTED);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_GOOD);
    /* Its own CA sent along makes no trust. */
    add_cert(&s.c, s.ca.cert);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_GOOD);
    cr_assert_neq(judge(certs_trust(&other.cert, 1), &s.c), SUITE_GOOD);
}

/* root -> intermediate -> client; the peer sends the intermediate. */
struct deep {
    struct pki_pair root, middle, client;
    struct crypto_trust *trust;
    struct claimed c;
};

static enum suite_verdict deep_verdict(const struct pki_request *root,
                                       const struct pki_request *middle, bool send_it)
{
    const struct pki_request client = certs_client_request("alice@example.org");
    struct deep d = {.root = certs_make("p256", root, NULL)};

    d.middle = certs_make("p256", middle, &d.root);
    d.client = certs_make("p256", &client, &d.middle);
    d.trust = certs_trust(&d.root.cert, 1);
    claim_begin(&d.c, d.client.key, ECDSA, 2, RFC822, "alice@example.org");
    add_cert(&d.c, d.client.cert);
    if (send_it)
        add_cert(&d.c, d.middle.cert);
    return judge(d.trust, &d.c);
}

Test(cert, chains)
{
    struct pki_request root = certs_ca_request("CN=root"), middle = certs_ca_request("CN=middle");

    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_GOOD);
    cr_assert_eq(deep_verdict(&root, &middle, false), SUITE_UNTRUSTED, "not sent, not known");
    root.path_length = 0;
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_BAD_CERTIFICATE, "path length");
    root.path_length = 1;
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_GOOD);
    middle.ca = false; /* an end certificate that issues others */
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_BAD_CERTIFICATE, "basicConstraints");
    middle.ca = true;
    middle.use = PKI_USE_SERVER;
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_WRONG_USAGE, "a CA for servers only");
    middle.use = PKI_USE_CLIENT;
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_GOOD);
}

Test(cert, name_constraints)
{
    struct pki_request root = certs_ca_request("CN=root"), middle = certs_ca_request("CN=middle");

    middle.permit = "critical,permitted;email:example.org";
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_GOOD);
    middle.permit = "critical,permitted;email:example.com";
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_NAME_CONSTRAINT);
    middle.permit = "critical,excluded;email:example.org";
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_NAME_CONSTRAINT);
    middle.permit = NULL;
    root.permit = "critical,permitted;email:example.com"; /* of the CA that we trust */
    cr_assert_eq(deep_verdict(&root, &middle, true), SUITE_NAME_CONSTRAINT);
}

Test(cert, revocation)
{
    const struct pki_request r = certs_client_request("alice@example.org");
    char why[CERT_WHY_BYTES];
    struct scene s;

    scene_of(&s, &r, "alice@example.org");
    cr_assert(crypto_trust_add_crls(s.trust, certs_crl(&s.ca, NULL, 0), why), "%s", why);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_GOOD, "nothing is revoked");
    s.c.claim.wall_s = CERTS_NOW + 61;
    cr_assert_eq(judge(s.trust, &s.c), SUITE_BAD_CRL, "the list is out of date");
    s.c.claim.wall_s = CERTS_NOW;
    scene_of(&s, &r, "alice@example.org");
    cr_assert(crypto_trust_add_crls(s.trust, certs_crl(&s.ca, &s.client.cert, 1), why), "%s", why);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_REVOKED);
}

/* A list of another CA says nothing about this one's clients; a list that this CA did not sign
 * lets nobody in. */
Test(cert, revocation_lists_of_others)
{
    const struct pki_request r = certs_client_request("alice@example.org");
    const struct pki_request other = certs_ca_request("CN=other CA"),
                             same = certs_ca_request("CN=test CA");
    struct pki_pair stranger = certs_make("p256", &other, NULL),
                    forger = certs_make("p256", &same, NULL);
    char why[CERT_WHY_BYTES];
    struct scene s;

    scene_of(&s, &r, "alice@example.org");
    cr_assert(crypto_trust_add_crls(s.trust, certs_crl(&stranger, NULL, 0), why), "%s", why);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_GOOD);
    cr_assert(crypto_trust_add_crls(s.trust, certs_crl(&forger, NULL, 0), why), "%s", why);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_BAD_CRL);
}

Test(cert, who_is_let_in)
{
    static const struct {
        const char *pattern;
        enum suite_verdict verdict;
    } cases[] = {
        {"*", SUITE_GOOD},
        {"*@example.org", SUITE_GOOD},
        {"*@EXAMPLE.org", SUITE_GOOD},
        {"alice@example.org", SUITE_GOOD},
        {"*@ample.org", SUITE_NOT_ALLOWED},
        {"*.example.org", SUITE_NOT_ALLOWED},
        {"bob@example.org", SUITE_NOT_ALLOWED},
        {"C=DE, O=Example, CN=*", SUITE_NOT_ALLOWED}, /* the identity is no subject */
    };
    const struct pki_request r = certs_client_request("alice@example.org");
    char why[CERT_WHY_BYTES];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene s;

        scene_of(&s, &r, "alice@example.org");
        cr_assert(crypto_trust_allow(s.trust, cases[i].pattern, why), "%s", why);
        cr_expect_eq(judge(s.trust, &s.c), cases[i].verdict, "%s", cases[i].pattern);
    }
}

Test(cert, subject_patterns)
{
    static const struct {
        const char *pattern;
        bool in;
    } cases[] = {
        {"C=DE, O=Example, CN=*", true},        {"C=de, O=example, CN=ALICE", true},
        {"C=DE, O=Example, CN=bob", false},     {"C=DE, O=Example", false},
        {"O=Example, C=DE, CN=*", false},       {"C=DE, O=*, CN=*", true},
        {"C=DE, O=Example, OU=x, CN=*", false},
    };
    struct pki_request r = certs_client_request("alice@example.org");
    char why[CERT_WHY_BYTES];

    r.subject = "C=DE, O=Example, CN=alice";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene s;
        uint8_t *der = NULL;

        scene_of(&s, &r, "alice@example.org");
        s.c.claim.id_type = DER_DN;
        s.c.claim.id.len = (size_t)i2d_X509_NAME(X509_get_subject_name(s.client.cert), &der);
        s.c.claim.id.data = certs_keep(der);
        cr_assert(crypto_trust_allow(s.trust, cases[i].pattern, why), "%s", why);
        cr_expect_eq(judge(s.trust, &s.c), cases[i].in ? SUITE_GOOD : SUITE_NOT_ALLOWED, "%s",
                     cases[i].pattern);
    }
}

Test(cert, patterns_refused)
{
    static const char *const bad[] = {"",       "**",     "a*",       "*@",       "*.",
                                      "x*.org", "@a.org", "a@",       "CN",       "=x",
                                      "CN=",    "CN=a*",  "NOSUCH=a", "C=DE, =x", "*@*.org"};
    struct crypto_trust *t = crypto_trust_new();
    char why[CERT_WHY_BYTES];
    size_t n = 0;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (strcmp(bad[i], "CN") != 0) { /* "CN" alone is a host's name */
            cr_expect_not(crypto_trust_allow(t, bad[i], why), "'%s'", bad[i]);
            n++;
        }
    cr_assert(n > 10);
    crypto_trust_free(t);
}

/* The URLs of a certificate that nobody vouches for (nor of one that somebody does) are asked. */
Test(cert, no_url_is_fetched)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct pki_request r = certs_client_request("alice@example.org");
    const struct pki_request ca = certs_ca_request("CN=nobody knows");
    struct pki_pair unknown = certs_make("p256", &ca, NULL);
    char url[64];
    struct scene s;

    cr_assert(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 4) == 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(url, sizeof url, "URI:http://127.0.0.1:%u/ca.crl", ntohs(at.sin_port));
    r.urls = url;
    scene_of(&s, &r, "alice@example.org");
    cr_assert_eq(judge(s.trust, &s.c), SUITE_GOOD);
    cr_assert_neq(judge(certs_trust(&unknown.cert, 1), &s.c), SUITE_GOOD);
    cr_assert_eq(accept(listener, NULL, NULL), -1, "somebody asked for the list");
    (void)close(listener);
}

/* The key of one certificate behind another one: "key that matches the wrong certificate". */
Test(cert, key_of_another_certificate)
{
    const struct pki_request r = certs_client_request("alice@example.org"),
                             m = certs_client_request("mallory@example.org");
    struct scene s;
    struct pki_pair mallory;

    scene_of(&s, &r, "alice@example.org");
    mallory = certs_make("p256", &m, &s.ca);
    claim_begin(&s.c, mallory.key, ECDSA, 2, RFC822, "alice@example.org");
    add_cert(&s.c, s.client.cert);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_BAD_SIGNATURE);
    add_cert(&s.c, mallory.cert); /* the key fits the second certificate only */
    cr_assert_eq(judge(s.trust, &s.c), SUITE_BAD_SIGNATURE);
    s.c.claim.certs[0] = certs_der(mallory.cert);
    s.c.claim.certs[1] = certs_der(s.client.cert);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_WRONG_NAME);
}

Test(cert, garbage)
{
    const struct pki_request r = certs_client_request("alice@example.org");
    struct scene s;
    struct span whole;
    uint8_t longer[2048] = {0};
    size_t n = 0;

    scene_of(&s, &r, "alice@example.org");
    whole = s.c.claim.certs[0];
    s.c.claim.n_certs = 0;
    cr_assert_eq(judge(s.trust, &s.c), SUITE_NO_CERTIFICATE);
    s.c.claim.n_certs = 1;
    for (size_t len = 0; len < whole.len; len += 7, n++) {
        s.c.claim.certs[0] = span_of(whole.data, len);
        cr_assert_eq(judge(s.trust, &s.c), SUITE_BAD_CERTIFICATE);
    }
    memcpy(longer, whole.data, whole.len);
    s.c.claim.certs[0] = span_of(longer, whole.len + 1);
    cr_assert_eq(judge(s.trust, &s.c), SUITE_BAD_CERTIFICATE, "a byte behind it");
    for (size_t i = 0; i < whole.len; i++, n++) {
        memcpy(longer, whole.data, whole.len);
        longer[i] ^= 0x10;
        s.c.claim.certs[0] = span_of(longer, whole.len);
        cr_assert_neq(judge(s.trust, &s.c), SUITE_GOOD, "byte %zu changed", i);
    }
    s.c.claim.certs[0] = whole;
    cr_assert_eq(judge(s.trust, &s.c), SUITE_GOOD);
    printf("compared %zu\n", n);
}
