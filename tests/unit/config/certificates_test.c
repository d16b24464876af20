/* auth.certificates and auth.clients: good files, and each mistake at its place with its cure. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "certs/certs.h"
#include "config/config.h"
#include "crypto/tables.h"
#include "unit/config/pki_folder.h"

static struct pki_pair ca, gateway;

/* Certificates of the real time, since --check asks the real clock. */
static struct pki_request now(struct pki_request r)
{
    r.from_s = (int64_t)time(NULL) - 100 * CERTS_DAY;
    r.until_s = (int64_t)time(NULL) + 100 * CERTS_DAY;
    return r;
}

static void start(void)
{
    const struct pki_request c = now(certs_ca_request("CN=test CA"));
    const struct pki_request g = now(certs_server_request("gw.example.org"));

    strcpy(folder, "/tmp/hf-certs-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    ca = certs_make("p256", &c, NULL);
    gateway = certs_make("p256", &g, &ca);
    put_cert("ca.pem", ca.cert);
    put_cert("gw.pem", gateway.cert);
    put_key("gw.key", gateway.key, 0600);
}

static void end(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(certificates, .init = start, .fini = end);

static const char usual[] = "{ certificates: [{ chain: gw.pem, key: gw.key }], clients: { ca: "
                            "[ca.pem] } }";

static struct config *load(const char *auth, struct config_report *report)
{
    char text[2048], path[128];

    (void)snprintf(text, sizeof text,
                   "node: { id: 1, data: /var/lib/holdfast }\n"
                   "interfaces: { outside: eth0, inside: eth1 }\n"
                   "shards: [{ id: 1, outside: 192.0.2.10, inside: 10.20.0.10, pool: "
                   "10.99.0.0/24 }]\n"
                   "gateway: { identity: gw.example.org, networks: [10.20.0.0/16] }\n"
                   "auth: %s\n",
                   auth);
    put("node.yaml", text, strlen(text), 0644);
    (void)snprintf(path, sizeof path, "%s/node.yaml", folder);
    return config_load(path, report);
}

/* Exactly one mistake, on line 5, with these words. */
static void refused(const char *auth, const char *words)
{
    struct config_report report;
    struct config *c = load(auth, &report);

    cr_assert_null(c, "taken: %s", auth);
    cr_expect_eq(report.n_mistakes, 1, "%zu mistakes, the first %s", report.n_mistakes,
                 report.mistakes[0].text);
    cr_expect_eq(report.mistakes[0].line, 5);
    cr_expect_gt(report.mistakes[0].column, 1);
    cr_expect_not_null(strstr(report.mistakes[0].text, words), "%s, not '%s'",
                       report.mistakes[0].text, words);
    config_report_deinit(&report);
}

Test(certificates, good)
{
    struct config_report report;
    struct config *c = load(usual, &report);
    struct ike_policy p;
    const char *missing;

    cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    cr_assert(config_policy(c, &suite_default, &p, &missing));
    cr_assert(p.n_psks == 0 && p.credentials != NULL && p.credentials->n_own == 1);
    cr_assert(p.credentials->own[0].kind == SUITE_KEY_P256 && p.credentials->n_cas == 1 &&
              p.credentials->trust != NULL && !p.credentials->legacy_rsa_sha1);
    cr_assert(p.credentials->own[0].n_cas == 1, "the CA that a CERTREQ would name");
    cr_assert_eq(memcmp(p.credentials->own[0].cas[0], p.credentials->cas[0], 20), 0);
    cr_assert_eq(p.credentials->own[0].identity.len, strlen("gw.example.org"));
    cr_assert_not(c->out_of_date);
    config_free(c);
    config_report_deinit(&report);
}

Test(certificates, sections_need_each_other)
{
    refused("{ legacy_rsa_sha1: false }", "nobody can come in");
    refused("{ clients: { ca: [ca.pem] } }", "want one of the gateway");
    refused("{ certificates: [{ chain: gw.pem, key: gw.key }], clients: { allow: [\"*\"] } }",
            "'ca' is missing");
}

Test(certificates, keys_are_guarded)
{
    put_key("gw.key", gateway.key, 0644);
    refused(usual, "'key': ");
    refused(usual, "may be read by everyone (mode 0644): chmod 600 it");
    put_key("gw.key", gateway.key, 0620);
    refused(usual, "written by its group");
    put_key("gw.key", gateway.key, 0600);
    put_cert("ca.pem", ca.cert);
    {
        char path[128];

        (void)snprintf(path, sizeof path, "%s/ca.pem", folder);
        cr_assert_eq(chmod(path, 0666), 0);
    }
    refused(usual, "may be written by everyone (mode 0666): chmod 644 it");
}

Test(certificates, what_does_not_belong_together)
{
    const struct pki_request g = now(certs_server_request("gw.example.org"));
    struct pki_pair other = certs_make("p256", &g, &ca);

    put_key("gw.key", other.key, 0600);
    refused(usual, "the key is not the one of this certificate");
    put("gw.key", "nonsense\n", 9, 0600);
    refused(usual, "holds no private key in PEM form");
    put("gw.pem", "nonsense\n", 9, 0644);
    refused(usual, "holds no certificate in PEM form");
    refused("{ certificates: [{ chain: none.pem, key: gw.key }], clients: { ca: [ca.pem] } }",
            "none.pem No such file");
}

Test(certificates, names_and_uses)
{
    const struct pki_request o = now(certs_server_request("other.example.org")),
                             c = now(certs_client_request("gw.example.org"));
    struct pki_pair other = certs_make("p256", &o, &ca), client = certs_make("p256", &c, &ca);
    struct config_report report;
    struct config *config;

    put_cert("gw.pem", other.cert);
    put_key("gw.key", other.key, 0600);
    refused(usual, "does not have the name 'gw.example.org' in its subjectAltName");
    config = load("{ certificates: [{ chain: gw.pem, key: gw.key, identity: other.example.org }], "
                  "clients: { ca: [ca.pem] } }",
                  &report);
    cr_assert_not_null(config);
    config_free(config);
    put_cert("gw.pem", client.cert);
    put_key("gw.key", client.key, 0600);
    refused(usual, "clients want extended key usage serverAuth");
    put_cert("ca.pem", client.cert);
    put_cert("gw.pem", gateway.cert);
    put_key("gw.key", gateway.key, 0600);
    refused(usual, "is not the certificate of a CA");
}

Test(certificates, patterns_and_lists)
{
    refused("{ certificates: [{ chain: gw.pem, key: gw.key }], clients: { ca: [ca.pem], allow: "
            "[\"*@example.org\", \"a*b\"] } }",
            "'allow': 'a*b' is no pattern");
    refused("{ certificates: [{ chain: gw.pem, key: gw.key }], clients: { ca: [ca.pem], crl: "
            "[ca.pem] } }",
            "holds no revocation list");
    refused("{ certificates: [{ chain: gw.pem, key: gw.key, rsa: oaep }], clients: { ca: [ca.pem] "
            "} }",
            "'oaep' is not one of pkcs1, pss");
}

/* Too long for one message together with all else, until RFC 7383. */
Test(certificates, a_chain_that_is_too_long)
{
    const struct pki_request m = now(certs_ca_request("CN=middle")),
                             g = now(certs_server_request("gw.example.org"));
    struct pki_pair middle = certs_make("rsa4096", &m, &ca),
                    low = certs_make("rsa4096", &m, &middle);
    struct pki_pair end_pair = certs_make("rsa4096", &g, &low);
    X509 *chain[] = {end_pair.cert, low.cert, middle.cert};
    size_t len = 0;
    char *pem = pki_cert_pem(chain, 3, &len);

    put("gw.pem", pem, len, 0644);
    put_key("gw.key", end_pair.key, 0600);
    refused(usual, "is too long for one message");
    OPENSSL_free(pem);
}

/* What is wrong with the time is a note; the file is good, a reload does not take it. */
Test(certificates, expired_and_soon)
{
    struct pki_request g = now(certs_server_request("gw.example.org"));
    struct config_report report;
    struct config *c;
    struct pki_pair old;

    g.until_s = (int64_t)time(NULL) - 2 * CERTS_DAY - 60;
    old = certs_make("p256", &g, &ca);
    put_cert("gw.pem", old.cert);
    put_key("gw.key", old.key, 0600);
    c = load(usual, &report);
    cr_assert(c != NULL && c->out_of_date && c->n_notes == 1);
    cr_assert_not_null(strstr(c->notes[0], "node.yaml:5:"), "%s", c->notes[0]);
    cr_assert_not_null(strstr(c->notes[0], "has expired 2 days ago: renew it"), "%s", c->notes[0]);
    config_free(c);
    g.until_s = (int64_t)time(NULL) + 5 * CERTS_DAY + 60;
    old = certs_make("p256", &g, &ca);
    put_cert("gw.pem", old.cert);
    put_key("gw.key", old.key, 0600);
    c = load(usual, &report);
    cr_assert(c != NULL && !c->out_of_date && c->n_notes == 1);
    cr_assert_not_null(strstr(c->notes[0], "expires in 5 days"), "%s", c->notes[0]);
    config_free(c);
}
