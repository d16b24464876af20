/* `api`: a good section with its files, and each mistake at its place with its cure. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "certs/certs.h"
#include "config/config.h"
#include "unit/config/pki_folder.h"

static struct pki_pair ca, server;

static struct pki_request at(struct pki_request r, int64_t until_s)
{
    r.from_s = (int64_t)time(NULL) - 100 * CERTS_DAY;
    r.until_s = (int64_t)time(NULL) + until_s;
    return r;
}

static void start(void)
{
    const struct pki_request c = at(certs_ca_request("CN=operators"), 100 * CERTS_DAY);
    const struct pki_request s = at(certs_server_request("node1.example.org"), 100 * CERTS_DAY);
    const struct pki_request old = at(certs_server_request("node1.example.org"), -CERTS_DAY);
    struct pki_pair other = certs_make("p256", &s, NULL), expired;

    strcpy(folder, "/tmp/hf-api-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    ca = certs_make("p256", &c, NULL);
    server = certs_make("p256", &s, &ca);
    expired = certs_make("p256", &old, &ca);
    put("client.psk", "0123456789abcdef0123456789abcdef", 32, 0600);
    put_cert("ca.pem", ca.cert);
    put_cert("api.pem", server.cert);
    put_key("api.key", server.key, 0600);
    put_key("open.key", server.key, 0644);
    put_key("other.key", other.key, 0600);
    put_cert("old.pem", expired.cert);
    put_key("old.key", expired.key, 0600);
}

static void end(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(config_api, .init = start, .fini = end);

/* The section stands on line 6. */
static struct config *load(const char *api, struct config_report *report)
{
    char text[2048], path[128];

    (void)snprintf(text, sizeof text,
                   "node: { id: 1, data: /var/lib/holdfast }\n"
                   "interfaces: { outside: eth0, inside: eth1 }\n"
                   "shards: [{ id: 1, outside: 192.0.2.10, inside: 10.20.0.10, pool: "
                   "10.99.0.0/24 }]\n"
                   "gateway: { identity: gw.example.org, networks: [10.20.0.0/16] }\n"
                   "auth: { psk: [{ identity: a@example.org, secret_file: client.psk }] }\n"
                   "api: %s\n",
                   api);
    put("node.yaml", text, strlen(text), 0644);
    (void)snprintf(path, sizeof path, "%s/node.yaml", folder);
    return config_load(path, report);
}

#define SECTION(listen, certificate, key, more)                                                    \
    "{ listen: " listen ", certificate: " certificate ", key: " key ", " more " }"
#define CLIENTS "clients: [{ name: \"email:a@example.org\", role: operator }]"

static void refused(const char *api, const char *words)
{
    struct config_report report;
    struct config *c = load(api, &report);

    cr_assert_null(c, "taken: %s", api);
    cr_expect_eq(report.n_mistakes, 1, "%zu mistakes, the first %s", report.n_mistakes,
                 report.mistakes[0].text);
    cr_expect_eq(report.mistakes[0].line, 6, "%s", report.mistakes[0].text);
    cr_expect_geq(report.mistakes[0].column, 1); /* what is missing is told at its section */
    cr_expect_not_null(strstr(report.mistakes[0].text, words), "%s, not '%s'",
                       report.mistakes[0].text, words);
    config_report_deinit(&report);
}

Test(config_api, good)
{
    struct config_report report;
    struct config *c = load(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                                    "client_ca: ca.pem, client_certificates: optional, limits: { "
                                    "rate: 7, connections: 9, per_address: 8 }, " CLIENTS),
                            &report);

    cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    cr_assert_eq(c->api.listen.port, 7443);
    cr_assert(c->api.pem[CONFIG_API_KEY] != NULL && c->api.pem[CONFIG_API_REVOKED] == NULL);
    cr_assert_eq(c->api.client_certificates, CONFIG_API_OPTIONAL);
    cr_assert(c->api.n_clients == 1 && c->api.clients[0].role == CONFIG_API_OPERATOR);
    cr_assert_str_eq(c->api.clients[0].name, "email:a@example.org");
    cr_assert(c->api.rate == 7 && c->api.burst == 200 && c->api.connections == 9 &&
              c->api.per_address == 8);
    cr_assert_not(c->out_of_date);
    config_free(c);
    config_report_deinit(&report);
}

Test(config_api, each_mistake_where_it_stands)
{
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key", CLIENTS), "'client_ca' is missing");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key", "client_ca: ca.pem"),
            "'clients' is missing");
    refused(SECTION("10.0.0.1", "api.pem", "api.key", "client_ca: ca.pem, " CLIENTS),
            "is not an address and a port");
    refused(SECTION("0.0.0.0:7443", "api.pem", "api.key", "client_ca: ca.pem, " CLIENTS),
            "'listen'");
    refused(SECTION("10.0.0.1:7443", "api.pem", "none.key", "client_ca: ca.pem, " CLIENTS),
            "No such file");
    refused(SECTION("10.0.0.1:7443", "api.pem", "open.key", "client_ca: ca.pem, " CLIENTS),
            "open.key");
    refused(SECTION("10.0.0.1:7443", "api.pem", "other.key", "client_ca: ca.pem, " CLIENTS),
            "'key'");
    refused(SECTION("10.0.0.1:7443", "api.key", "api.key", "client_ca: ca.pem, " CLIENTS),
            "'certificate'");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key", "client_ca: api.key, " CLIENTS),
            "'client_ca'");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, revoked: ca.pem, " CLIENTS),
            "'revoked'");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, clients: [{ name: alice, role: admin }]"),
            "email:alice@example.org (known: cn:, dns:, email:, uri:)");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, clients: [{ name: \"cn:\", role: admin }]"),
            "is no name of a certificate");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, clients: [{ name: \"cn:a\", role: root }]"),
            "'root' is not one of viewer, operator, admin, drill");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, clients: [{ name: \"cn:a\" }]"),
            "'role' is missing");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, clients: [{ name: \"cn:a\", role: admin }, { name: "
                    "\"cn:a\", role: viewer }]"),
            "has a role already");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, client_certificates: never, " CLIENTS),
            "'never' is not one of required, optional");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, limits: { connections: 4, per_address: 5 }, " CLIENTS),
            "may not have more connections (5) than there are in all (4)");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_ca: ca.pem, limits: { rate: 0 }, " CLIENTS),
            "0 is out of range");
}

/* Nobody's certificate counts, nobody has a role by name: that must be meant. */
Test(config_api, tokens_alone_do_only_where_that_is_said)
{
    struct config_report report;
    struct config *c = load(
        SECTION("10.0.0.1:7443", "api.pem", "api.key", "client_certificates: optional"), &report);

    cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    cr_assert(c->api.n_clients == 0 && c->api.pem[CONFIG_API_CLIENT_CA] == NULL);
    config_free(c);
    config_report_deinit(&report);
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key", "limits: { rate: 7 }"),
            "say 'client_certificates: optional'");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key", "client_certificates: required"),
            "'client_ca' is missing");
    refused(
        SECTION("10.0.0.1:7443", "api.pem", "api.key", "client_certificates: optional, " CLIENTS),
        "without 'client_ca' none counts");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_certificates: optional, revoked: ca.pem"),
            "without 'client_ca' none counts");
    refused(SECTION("10.0.0.1:7443", "api.pem", "api.key",
                    "client_certificates: optional, client_ca: ca.pem"),
            "'clients' is missing");
}

Test(config_api, out_of_date_is_a_note)
{
    struct config_report report;
    struct config *c = load(
        SECTION("10.0.0.1:7443", "old.pem", "old.key", "client_ca: ca.pem, " CLIENTS), &report);

    cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    cr_assert(c->out_of_date && c->n_notes == 1);
    cr_assert_not_null(strstr(c->notes[0], "node.yaml:6:"), "%s", c->notes[0]);
    cr_assert_not_null(strstr(c->notes[0], "old.pem"), "%s", c->notes[0]);
    config_free(c);
    config_report_deinit(&report);
}
