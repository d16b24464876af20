/* Profiles of clients: each follows the configuration that it is made of, and who can do nothing of it gets none. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/tables.h"
#include "daemon/client_profile.h"
#include "unit/config/sample.h"

static struct config *config;
static struct ike_policy policy;
static struct client_profile made;
static char why[CLIENT_WHY_BYTES];

static const char ECP_SHA2[] = "  proposals: { ike: [aes256gcm16-prfsha256-x25519, "
                               "aes256-sha256-prfsha256-ecp384-modp2048], esp: [aes128gcm16] }";

/* The sample, with `line` (or nothing) in the place of the line that begins as it does. */
static void load(const char *line)
{
    static char text[8192];
    size_t key = line != NULL ? strcspn(line, ":") + 1 : 0;
    struct config_report report;
    const char *missing = NULL, *at, *end;

    (void)snprintf(text, sizeof text, "%s", SAMPLE);
    if (line != NULL) {
        char begins[64];

        (void)snprintf(begins, sizeof begins, "%.*s", (int)key, line);
        at = strstr(SAMPLE, begins);
        cr_assert_not_null(at, "%s", begins);
        end = strchr(at, '\n');
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - SAMPLE), SAMPLE, line, end);
    }
    config_report_init(&report);
    config = config_parse("n.yaml", span_of(text, strlen(text)), false, &report);
    cr_assert_not_null(config, "%s", report.n_mistakes ? report.mistakes[0].text : "");
    config_report_deinit(&report);
    cr_assert(config_policy(config, &suite_default, &policy, &missing));
}

static void done(void)
{
    config->n_certificates = config->n_client_cas = 0;
    config_free(config);
    free(made.text);
    made.text = NULL;
}

/* As if auth had a certificate and a client CA: that is all that a profile asks of them. */
static void with_certificates(void)
{
    config->n_certificates = config->n_client_cas = 1;
}

static enum client_refusal make(enum client_kind kind, const char *identity, const char *server)
{
    free(made.text);
    made.text = NULL;
    why[0] = '\0';
    return client_profile(config, &policy, kind, identity, server, &made, why);
}

static bool says(const char *part)
{
    return strstr(made.text, part) != NULL;
}

#define EXPECT(part) cr_expect(says(part), "no '%s' in\n%s", (part), made.text)

Test(client_profile, of_strongswan_is_the_gateway_policy)
{
    load(NULL);
    cr_assert_eq(make(CLIENT_SWANCTL, "client@holdfast.test", NULL), CLIENT_MADE, "%s", why);
    cr_expect_str_eq(made.file, "gw.holdfast.test.conf");
    cr_expect_str_eq(strstr(made.text, "connections {"),
                     "connections {\n"
                     "  holdfast {\n"
                     "    version = 2\n"
                     "    remote_addrs = 10.77.1.100\n"
                     "    vips = 0.0.0.0\n"
                     "    proposals = aes256gcm16-prfsha256-x25519\n"
                     "    rekey_time = 4320s\n"
                     "    over_time = 2880s\n"
                     "    dpd_delay = 10s\n"
                     "    local {\n"
                     "      auth = psk\n"
                     "      id = client@holdfast.test\n"
                     "    }\n"
                     "    remote {\n"
                     "      auth = psk\n"
                     "      id = gw.holdfast.test\n"
                     "    }\n"
                     "    children {\n"
                     "      net {\n"
                     "        remote_ts = 10.77.2.0/24\n"
                     "        esp_proposals = aes128gcm16-x25519, aes256gcm16-x25519\n"
                     "        rekey_time = 2520s\n"
                     "        life_time = 3600s\n"
                     "        dpd_action = restart\n"
                     "      }\n"
                     "    }\n"
                     "  }\n"
                     "}\n");
    done();
}

Test(client_profile, follows_pfs_and_encapsulation)
{
    load("  pfs: never");
    cr_assert_eq(make(CLIENT_SWANCTL, "client@holdfast.test", "vpn.example.org"), CLIENT_MADE);
    EXPECT("esp_proposals = aes128gcm16, aes256gcm16\n");
    EXPECT("remote_addrs = vpn.example.org\n");
    cr_expect(!says("encap"));
    done();
    load("  force_encapsulation: true");
    cr_assert_eq(make(CLIENT_SWANCTL, "client@holdfast.test", NULL), CLIENT_MADE);
    EXPECT("    encap = yes\n");
    done();
}

Test(client_profile, has_the_terms_of_the_clients_own_connection)
{
    load("admin: { socket: /run/holdfast/admin.sock }\nconnections:\n  - { name: fast, match: "
         "[client@holdfast.test], profile: high-security }");
    cr_assert_eq(make(CLIENT_SWANCTL, "client@holdfast.test", NULL), CLIENT_MADE);
    EXPECT("life_time = 3600s\n"); /* 1 h */
    cr_expect(!says("over_time = 2880s"), "not the default connection's: %s", made.text);
    done();
}

Test(client_profile, of_windows_has_its_words)
{
    load(ECP_SHA2);
    with_certificates();
    cr_assert_eq(make(CLIENT_WINDOWS, "alice@holdfast.test", "vpn.example.org"), CLIENT_MADE, "%s",
                 why);
    EXPECT("Add-VpnConnection -Name $name -ServerAddress 'vpn.example.org' -TunnelType IKEv2");
    EXPECT("-EncryptionMethod AES256 -IntegrityCheckMethod SHA256 -DHGroup ECP384 ");
    EXPECT("-CipherTransformConstants GCMAES128 -AuthenticationTransformConstants GCMAES128 "
           "-PfsGroup ECP384");
    EXPECT("-DestinationPrefix '10.77.2.0/24'");
    cr_expect_str_eq(made.file, "gw.holdfast.test.ps1");
    done();
}

Test(client_profile, of_apple_has_its_words)
{
    load("  pfs: never");
    cr_assert_eq(make(CLIENT_APPLE, "client@holdfast.test", NULL), CLIENT_MADE, "%s", why);
    EXPECT("<key>EncryptionAlgorithm</key><string>AES-256-GCM</string>");
    EXPECT("<key>DiffieHellmanGroup</key><integer>31</integer>");
    EXPECT("<key>EnablePFS</key><integer>0</integer>");
    EXPECT("<key>LifeTimeInMinutes</key><integer>72</integer>"); /* 60 % of 2 h */
    EXPECT("<key>AuthenticationMethod</key><string>SharedSecret</string>");
    cr_expect(!says("<key>SharedSecret</key>"), "no secret is in it");
    with_certificates();
    cr_assert_eq(make(CLIENT_APPLE, "alice@holdfast.test", NULL), CLIENT_MADE);
    EXPECT("<key>AuthenticationMethod</key><string>Certificate</string>");
    done();
}

Test(client_profile, is_refused_to_who_can_do_nothing_of_it)
{
    load(NULL);
    cr_assert_eq(make(CLIENT_WINDOWS, "client@holdfast.test", NULL), CLIENT_UNFIT);
    cr_expect_not_null(strstr(why, "no shared keys for IKEv2"), "%s", why);
    cr_assert_eq(make(CLIENT_ANDROID, "client@holdfast.test", NULL), CLIENT_UNFIT);
    cr_assert_eq(make(CLIENT_NETWORKMANAGER, "client@holdfast.test", NULL), CLIENT_UNFIT);
    cr_assert_eq(make(CLIENT_SWANCTL, "bob@holdfast.test", NULL), CLIENT_UNKNOWN);
    cr_expect_not_null(strstr(why, "bob@holdfast.test has no shared key"), "%s", why);
    with_certificates();
    cr_assert_eq(make(CLIENT_SWANCTL, "bob@holdfast.test", NULL), CLIENT_MADE);
    EXPECT("auth = pubkey");
    EXPECT("certs = bob@holdfast.test.pem");
    cr_assert_eq(make(CLIENT_WINDOWS, "bob@holdfast.test", NULL), CLIENT_UNFIT); /* x25519 alone */
    cr_expect_not_null(strstr(why, "none of the gateway's IKE proposals"), "%s", why);
    cr_expect_null(made.text);
    done();
}

/* Nothing that means something in one of the formats comes into a text. */
Test(client_profile, takes_plain_names_alone)
{
    static const char *const bad[] = {"",     "a b", "a\nb", "a\"b", "a'b",  "a<b",      "a&b",
                                      "a{b",  "a}b", "a#b",  "a;b",  "a,b",  "a$b",      "a`b",
                                      "a\\b", "a/b", "-rf",  "a%b",  "a(b)", "\xc3\xa4", "a|b"};
    char longest[CLIENT_NAME_BYTES + 1];
    unsigned n = 0;

    load(NULL);
    with_certificates();
    memset(longest, 'a', CLIENT_NAME_BYTES);
    longest[CLIENT_NAME_BYTES] = '\0';
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++) {
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++, n += 2) {
            cr_expect_eq(make(kind, bad[i], NULL), CLIENT_MALFORMED, "%s", bad[i]);
            cr_expect_eq(make(kind, "a", bad[i]), CLIENT_MALFORMED, "%s", bad[i]);
        }
        cr_expect_eq(make(kind, longest, NULL), CLIENT_MALFORMED);
        longest[CLIENT_NAME_BYTES - 1] = '\0';
        cr_expect_neq(make(kind, longest, NULL), CLIENT_MALFORMED);
        longest[CLIENT_NAME_BYTES - 1] = 'a';
    }
    printf("compared %u names\n", n);
    done();
}

Test(client_profile, kinds_have_names)
{
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++)
        cr_expect_eq(client_kind_of(client_kind_name(kind)), kind);
    cr_expect_eq(client_kind_of("xyz"), CLIENT_KINDS);
    cr_expect_null(client_kind_name(CLIENT_KINDS));
}

/* The same twice is the same: what a device replaces by its identifier is replaced. */
Test(client_profile, is_a_function_of_what_it_is_asked_for)
{
    char *first;

    load(ECP_SHA2);
    with_certificates();
    for (unsigned kind = 0; kind < CLIENT_KINDS; kind++) {
        cr_assert_eq(make(kind, "alice@holdfast.test", NULL), CLIENT_MADE, "%s: %s",
                     client_kind_name(kind), why);
        first = made.text;
        made.text = NULL;
        cr_assert_eq(make(kind, "alice@holdfast.test", NULL), CLIENT_MADE);
        cr_expect_str_eq(first, made.text);
        free(first);
    }
    done();
}
