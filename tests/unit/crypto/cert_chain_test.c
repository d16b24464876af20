/* What may stand in a chain, and what a certificate is for: RFC 5280 4.2, 6; RFC 4945 5.1. Certificates
 * here are bent after they were made, and signed again. */
#include <criterion/criterion.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "certs/certs.h"
#include "crypto/tables.h"

enum { IPV4 = 1, FQDN = 2, RFC822 = 3, IPV6 = 5, DER_DN = 9, KEY_ID = 11, ECDSA = 3, PKCS1 = 1 };

static const char message[] = "octets of RFC 7296 2.15";
static unsigned compared;

/* Replaces (or, value NULL, takes out) an extension, and signs it all again. */
static void bend(struct pki_pair *pair, const struct pki_pair *issuer, int nid, const char *value,
                 const EVP_MD *md)
{
    X509V3_CTX ctx;
    int at = nid != 0 ? X509_get_ext_by_NID(pair->cert, nid, -1) : -1;
    X509_EXTENSION *e;
    /* A copy, or what OpenSSL noted of the old extensions would stay. */
    uint8_t *der = NULL;
    const uint8_t *p;
    int n;

    if (at >= 0)
        X509_EXTENSION_free(X509_delete_ext(pair->cert, at));
    if (value != NULL) {
        X509V3_set_ctx(&ctx, issuer->cert, pair->cert, NULL, NULL, 0);
        e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
        cr_assert(e != NULL && X509_add_ext(pair->cert, e, -1) == 1, "%s", value);
        X509_EXTENSION_free(e);
    }
    cr_assert(X509_sign(pair->cert, issuer->key, md) > 0);
    n = i2d_X509(pair->cert, &der);
    p = der;
    pair->cert = certs_keep(d2i_X509(NULL, &p, n));
    OPENSSL_free(der);
}

static enum suite_verdict judge(const struct crypto_trust *trust, const struct pki_pair *leaf,
                                X509 *middle, uint8_t id_type, struct span id, bool gateway)
{
    bool rsa = EVP_PKEY_get_base_id(leaf->key) == EVP_PKEY_RSA;
    struct suite_claim claim = {
        .certs = {certs_der(leaf->cert)},
        .n_certs = 1,
        .id_type = id_type,
        .id = id,
        .gateway = gateway,
        .wall_s = CERTS_NOW,
        .how = suite_find_signature(&suite_default, rsa ? PKCS1 : ECDSA, 2),
        .data = span_of(message, sizeof message),
    };
    uint8_t value[1024];
    size_t len = 0;

    compared++;
    if (middle != NULL)
        claim.certs[claim.n_certs++] = certs_der(middle);
    cr_assert(crypto_auth.sign(leaf->key, claim.how, claim.data, value, sizeof value, &len));
    claim.signature = span_of(value, len);
    return crypto_auth.verify(trust, &claim);
}

/* root -> middle -> leaf (alice@example.org), each to be bent before it is judged. */
struct chain {
    struct pki_pair root, middle, leaf;
};

static struct chain chain_of(const char *middle_kind)
{
    const struct pki_request root = certs_ca_request("CN=root"),
                             middle = certs_ca_request("CN=middle"),
                             leaf = certs_client_request("alice@example.org");
    struct chain c;

    c.root = certs_make("p256", &root, NULL);
    c.middle = certs_make(middle_kind, &middle, &c.root);
    c.leaf = certs_make("p256", &leaf, &c.middle);
    return c;
}

static enum suite_verdict judge_chain(const struct chain *c, bool gateway)
{
    return judge(certs_trust(&c->root.cert, 1), &c->leaf, c->middle.cert, RFC822,
                 span_of("alice@example.org", 17), gateway);
}

static bool taken(X509 *ca)
{
    struct crypto_trust *trust = crypto_trust_new();
    char why[CERT_WHY_BYTES] = "", *pem;
    size_t len = 0;
    bool ok;

    pem = pki_cert_pem(&ca, 1, &len);
    ok = crypto_trust_add_cas(trust, span_of(pem, len), why);
    cr_assert_eq(ok, why[0] == '\0', "%s", why);
    compared++;
    OPENSSL_free(pem);
    crypto_trust_free(trust);
    return ok;
}

/* RFC 4945 5.1.3.9: a CA is what says so in basicConstraints, and may sign certificates. */
Test(cert_chain, who_is_a_ca)
{
    const struct pki_request r = certs_ca_request("CN=root"),
                             end = certs_client_request("alice@example.org");
    struct pki_pair ca = certs_make("p256", &r, NULL), weak = certs_make("rsa1024", &r, NULL),
                    leaf = certs_make("p256", &end, NULL), old = ca;

    cr_assert(taken(ca.cert));
    cr_assert_not(taken(leaf.cert), "an end certificate");
    cr_assert_not(taken(weak.cert), "RSA of 1024 bits");
    bend(&ca, &ca, NID_basic_constraints, NULL, EVP_sha256());
    cr_assert_not(taken(ca.cert), "keyCertSign without basicConstraints");
    bend(&ca, &ca, NID_key_usage, NULL, EVP_sha256());
    cr_assert_not(taken(ca.cert), "neither of them");
    bend(&ca, &ca, NID_basic_constraints, "critical,CA:TRUE", EVP_sha256());
    cr_assert(taken(ca.cert), "no key usage allows every one");
    bend(&ca, &ca, NID_key_usage, "critical,digitalSignature", EVP_sha256());
    cr_assert_not(taken(ca.cert), "it may not sign certificates");
    old = certs_make("p256", &r, NULL);
    while (X509_get_ext_count(old.cert) > 0)
        X509_EXTENSION_free(X509_delete_ext(old.cert, 0));
    cr_assert_eq(X509_set_version(old.cert, X509_VERSION_1), 1);
    bend(&old, &old, 0, NULL, EVP_sha256());
    cr_assert_not(taken(old.cert), "version 1 says nothing of what it is");
    printf("compared %u\n", compared);
}

/* Found by fuzz/crypto: a CA's file with a key of an algorithm that this OpenSSL does not know (a newer
 * one's, say) ended the program at its start, and a daemon that only reloaded. */
Test(cert_chain, a_ca_with_a_key_of_an_unknown_kind)
{
    static const uint8_t ec[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    struct pki_request r = certs_ca_request("CN=tomorrow");
    struct pki_pair pair = certs_make("p256", &r, NULL);
    struct span der = certs_der(pair.cert);
    uint8_t *bytes = certs_keep(memcpy(malloc(der.len), der.data, der.len));
    uint8_t *oid = memmem(bytes, der.len, ec, sizeof ec);
    const uint8_t *at = bytes;
    X509 *odd;

    cr_assert_not_null(oid);
    oid[sizeof ec - 1] = 0x7f;
    odd = d2i_X509(NULL, &at, (long)der.len);
    cr_assert_not_null(odd);
    cr_assert_not(taken(odd));
    X509_free(odd);
    printf("compared %u\n", compared);
}

Test(cert_chain, what_an_intermediate_must_be)
{
    struct chain c = chain_of("p256");

    cr_assert_eq(judge_chain(&c, false), SUITE_GOOD);
    bend(&c.middle, &c.root, NID_key_usage, "critical,digitalSignature", EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_BAD_CERTIFICATE, "no keyCertSign");
    bend(&c.middle, &c.root, NID_key_usage, "critical,keyCertSign", EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_GOOD);
    bend(&c.middle, &c.root, NID_basic_constraints, NULL, EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_BAD_CERTIFICATE, "no basicConstraints");
    bend(&c.middle, &c.root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0", EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_GOOD);
    bend(&c.root, &c.root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0", EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_BAD_CERTIFICATE, "one CA too many");
    printf("compared %u\n", compared);
}

/* RFC 8247 4.2; 112 bits at least, everywhere in the chain. */
Test(cert_chain, weak_hashes_and_keys)
{
    struct chain c = chain_of("p256"), weak = chain_of("rsa1024");

    bend(&c.leaf, &c.middle, 0, NULL, EVP_sha1());
    cr_assert_eq(judge_chain(&c, false), SUITE_WEAK_KEY, "a leaf signed with SHA-1");
    bend(&c.leaf, &c.middle, 0, NULL, EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_GOOD);
    bend(&c.middle, &c.root, 0, NULL, EVP_sha1());
    cr_assert_eq(judge_chain(&c, false), SUITE_WEAK_KEY, "a CA signed with SHA-1");
    bend(&c.middle, &c.root, 0, NULL, EVP_sha256());
    bend(&c.root, &c.root, 0, NULL, EVP_sha1());
    cr_assert_eq(judge_chain(&c, false), SUITE_GOOD, "the root's own signature proves nothing");
    cr_assert_eq(judge_chain(&weak, false), SUITE_WEAK_KEY, "an intermediate of RSA 1024");
    printf("compared %u\n", compared);
}

/* RFC 5280 4.2: what is critical and unknown, refuses. */
Test(cert_chain, unknown_critical_extension)
{
    struct chain c = chain_of("p256");

    bend(&c.leaf, &c.middle, NID_netscape_comment, "not critical", EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_GOOD);
    bend(&c.leaf, &c.middle, NID_netscape_comment, "critical,unknown to RFC 5280", EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_BAD_CERTIFICATE);
    c = chain_of("p256");
    bend(&c.middle, &c.root, NID_netscape_comment, "critical,unknown to RFC 5280", EVP_sha256());
    cr_assert_eq(judge_chain(&c, false), SUITE_BAD_CERTIFICATE);
    printf("compared %u\n", compared);
}

/* Nobody vouches for it, under whatever name. */
Test(cert_chain, signed_by_itself)
{
    const struct pki_request root = certs_ca_request("CN=root");
    struct pki_request r = certs_client_request("alice@example.org");
    struct pki_pair ca = certs_make("p256", &root, NULL), leaf = certs_make("p256", &r, NULL);
    struct crypto_trust *trust = certs_trust(&ca.cert, 1);
    const struct span id = span_of("alice@example.org", 17);

    cr_assert_eq(judge(trust, &leaf, NULL, RFC822, id, false), SUITE_UNTRUSTED);
    r.subject = "CN=root";
    leaf = certs_make("p256", &r, NULL);
    cr_assert_eq(judge(trust, &leaf, NULL, RFC822, id, false), SUITE_UNTRUSTED, "the CA's name");
    cr_assert_eq(judge(trust, &leaf, leaf.cert, RFC822, id, false), SUITE_UNTRUSTED);
    r.ca = true;
    r.path_length = -1;
    leaf = certs_make("p256", &r, NULL);
    cr_assert_neq(judge(trust, &leaf, leaf.cert, RFC822, id, false), SUITE_GOOD, "its own CA");
    printf("compared %u\n", compared);
}

/* RFC 4945 5.1.3.12, RFC 5280 4.2.1.12. */
Test(cert_chain, extended_key_usage)
{
    static const struct {
        const char *usage;
        enum suite_verdict client, gateway;
    } cases[] = {
        {NULL, SUITE_GOOD, SUITE_WRONG_USAGE},
        {"serverAuth", SUITE_WRONG_USAGE, SUITE_GOOD},
        {"clientAuth", SUITE_GOOD, SUITE_WRONG_USAGE},
        {"serverAuth,clientAuth", SUITE_GOOD, SUITE_GOOD},
        {"anyExtendedKeyUsage", SUITE_GOOD, SUITE_GOOD},
        {"1.3.6.1.5.5.7.3.17", SUITE_GOOD, SUITE_WRONG_USAGE}, /* ipsecIKE */
        {"codeSigning", SUITE_WRONG_USAGE, SUITE_WRONG_USAGE},
        {"critical,codeSigning,clientAuth", SUITE_GOOD, SUITE_WRONG_USAGE},
        {"1.3.6.1.5.5.7.3.170,2.5.29.37.1", SUITE_WRONG_USAGE, SUITE_WRONG_USAGE},
    };
    struct chain c = chain_of("p256");

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bend(&c.leaf, &c.middle, NID_ext_key_usage, cases[i].usage, EVP_sha256());
        cr_expect_eq(judge_chain(&c, false), cases[i].client, "client: %s", cases[i].usage);
        cr_expect_eq(judge_chain(&c, true), cases[i].gateway, "gateway: %s", cases[i].usage);
    }
    bend(&c.leaf, &c.middle, NID_ext_key_usage, "serverAuth,clientAuth", EVP_sha256());
    bend(&c.leaf, &c.middle, NID_key_usage, "critical,keyAgreement", EVP_sha256());
    cr_expect_eq(judge_chain(&c, false), SUITE_WRONG_USAGE);
    bend(&c.leaf, &c.middle, NID_key_usage, "critical,nonRepudiation", EVP_sha256());
    cr_expect_eq(judge_chain(&c, false), SUITE_GOOD, "RFC 4945 5.1.3.2 takes either");
    printf("compared %u\n", compared);
}

/* Every type of identity against a certificate that has one name of each kind (RFC 4945 3.1). */
Test(cert_chain, identities)
{
    static const uint8_t v4[] = {192, 0, 2, 7}, v6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 7};
    static const uint8_t other6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 8};
    const struct {
        uint8_t type;
        const void *id;
        size_t len;
        enum suite_verdict verdict;
    } cases[] = {
        {IPV4, v4, 4, SUITE_GOOD},
        {IPV4, "\xc0\x00\x02\x08", 4, SUITE_WRONG_NAME},
        {IPV4, v4, 3, SUITE_WRONG_NAME},
        {IPV4, v6, 16, SUITE_WRONG_NAME},
        {IPV6, v6, 16, SUITE_GOOD},
        {IPV6, other6, 16, SUITE_WRONG_NAME},
        {IPV6, v4, 4, SUITE_WRONG_NAME},
        {FQDN, "host7.example.org", 17, SUITE_GOOD},
        {FQDN, "alice@example.org", 17, SUITE_WRONG_NAME},
        {FQDN, "192.0.2.7", 9, SUITE_WRONG_NAME},
        {FQDN, "alice", 5, SUITE_WRONG_NAME}, /* the common name */
        {FQDN, "host7.example.org.", 18, SUITE_WRONG_NAME},
        {RFC822, "alice@example.org", 17, SUITE_GOOD},
        {RFC822, "host7.example.org", 17, SUITE_WRONG_NAME},
        {KEY_ID, "alice@example.org", 17, SUITE_WRONG_NAME}, /* no certificate has one */
        {KEY_ID, "host7.example.org", 17, SUITE_WRONG_NAME},
        {KEY_ID, "", 0, SUITE_WRONG_NAME},
        {0, "host7.example.org", 17, SUITE_WRONG_NAME},
        {0, "", 0, SUITE_WRONG_NAME},
        {DER_DN, "host7.example.org", 17, SUITE_WRONG_NAME},
        {201, v4, 4, SUITE_WRONG_NAME},
    };
    const struct pki_request root = certs_ca_request("CN=root");
    struct pki_request r = certs_client_request("alice@example.org");
    struct pki_pair ca = certs_make("p256", &root, NULL), leaf;

    r.subject = "CN=alice";
    r.names[1] = "host7.example.org";
    r.names[2] = "192.0.2.7";
    r.names[3] = "2001:db8::7";
    r.n_names = 4;
    leaf = certs_make("p256", &r, &ca);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(judge(certs_trust(&ca.cert, 1), &leaf, NULL, cases[i].type,
                           span_of(cases[i].id, cases[i].len), false),
                     cases[i].verdict, "case %zu", i);
    /* A name of a kind that is no identity proves nothing, whatever type is claimed. */
    bend(&leaf, &ca, NID_subject_alt_name, "URI:a@example.org,RID:1.2.3", EVP_sha256());
    for (unsigned type = 0; type < 256; type++)
        cr_expect_eq(judge(certs_trust(&ca.cert, 1), &leaf, NULL, (uint8_t)type,
                           span_of("a@example.org", 13), false),
                     SUITE_WRONG_NAME, "type %u", type);
    printf("compared %u\n", compared);
}
