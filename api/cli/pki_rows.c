/* holdfast pki: its rows of the table; cmd_pki.c runs them. */
#include "api/cli/cmd_pki.h"
#include "api/cli/commands.h"

/* Options that most of them have: struct cli_option. */
#define DIR_OPTION                                                                                 \
    {                                                                                              \
        "--dir", "DIR", "where the files are written (.)", CLI_DIR, NULL                           \
    }
#define CA_OPTION                                                                                  \
    {                                                                                              \
        "--ca", "DIR", "where ca.pem and ca.key are (as --dir)", CLI_DIR, NULL                     \
    }
#define KEY_OPTION                                                                                 \
    {                                                                                              \
        "--key", "KIND", "of key (p256)", CLI_CHOICE,                                              \
            "p256|p384|p521|ed25519|rsa2048|rsa3072|rsa4096"                                       \
    }
#define DAYS_OPTION(usual)                                                                         \
    {                                                                                              \
        "--days", "N", "how long it is good (" usual ")", CLI_NUMBER, NULL                         \
    }
#define FORCE_OPTION                                                                               \
    {                                                                                              \
        "--force", NULL, "replaces what is there", CLI_TEXT, NULL                                  \
    }
/* What a client's, a server's or a CA's certificate says beside its name. */
#define SUBJECT_OPTIONS                                                                            \
    {"--subject", "DN", "such as \"C=DE, O=Example, CN=name\"", CLI_TEXT, NULL},                   \
    {                                                                                              \
        "--names", "A,B", "further names and addresses", CLI_TEXT, NULL                            \
    }

const struct cli_command cli_row_pki_ca = {
    .group = "pki",
    .verb = "ca",
    .arguments = "",
    .help = "a private CA: ca.pem and ca.key",
    .text = "With --ca it is an intermediate one, below the CA in that folder. Keep ca.key on no "
            "gateway.",
    .examples = "holdfast pki ca --dir ca --subject \"O=Example, CN=Example VPN\"",
    .options = {DIR_OPTION,
                {"--ca", "DIR", "below the CA in DIR, as an intermediate one", CLI_DIR, NULL},
                KEY_OPTION,
                DAYS_OPTION("3650"),
                SUBJECT_OPTIONS,
                FORCE_OPTION},
    .secret = true,
    .run = cli_pki_ca};

const struct cli_command cli_row_pki_server = {
    .group = "pki",
    .verb = "server",
    .arguments = "NAME",
    .help = "a gateway's certificate and key: NAME.pem, NAME.key",
    .text = "NAME is what clients connect to, a DNS name or an address; --names adds further ones.",
    .examples = "holdfast pki server gw.example.org --dir ca --names 192.0.2.10",
    .options = {DIR_OPTION, CA_OPTION, KEY_OPTION, DAYS_OPTION("397"), SUBJECT_OPTIONS,
                FORCE_OPTION},
    .n_arguments = 1,
    .kinds = {CLI_TEXT},
    .secret = true,
    .run = cli_pki_server};

const struct cli_command cli_row_pki_client = {
    .group = "pki",
    .verb = "client",
    .arguments = "NAME",
    .help = "a client's certificate and key, and NAME.p12 for a device",
    .text = "NAME is an email address or a DNS name. The bundle has a password of 120 random bits, "
            "shown once.",
    .examples = "holdfast pki client alice@example.org --dir ca",
    .options = {DIR_OPTION, CA_OPTION, KEY_OPTION, DAYS_OPTION("825"), SUBJECT_OPTIONS,
                FORCE_OPTION},
    .n_arguments = 1,
    .kinds = {CLI_TEXT},
    .secret = true,
    .run = cli_pki_client};

const struct cli_command cli_row_pki_cluster_ca = {
    .group = "pki",
    .verb = "cluster-ca",
    .arguments = "NAME",
    .help = "the CA of the cluster NAME, once, for its nodes alone: ca.pem and ca.key",
    .text = "Not the clients' CA: no client's certificate can be a node's. `holdfast cluster init` "
            "makes it by itself.",
    .examples = "holdfast pki cluster-ca office --dir cluster",
    .options = {DIR_OPTION, KEY_OPTION, DAYS_OPTION("3650"), FORCE_OPTION},
    .n_arguments = 1,
    .kinds = {CLI_TEXT},
    .secret = true,
    .run = cli_pki_cluster_ca};

const struct cli_command cli_row_pki_node = {
    .group = "pki",
    .verb = "node",
    .arguments = "ID",
    .help = "certificate and key of node ID, or new ones: node-ID.pem, node-ID.key",
    .text = "What nodes show each other. To renew it: --force, copy both files, `holdfast reload`. "
            "No tunnel and no link is dropped.",
    .examples =
        "holdfast pki node 2 --dir cluster\nholdfast pki node 2 --dir cluster --force  # a renewal",
    .options = {DIR_OPTION,
                {"--ca", "DIR", "where the cluster's ca.pem and ca.key are (as --dir)", CLI_DIR,
                 NULL},
                KEY_OPTION,
                DAYS_OPTION("825"),
                {"--force", NULL, "replaces what is there: a renewal", CLI_TEXT, NULL}},
    .n_arguments = 1,
    .kinds = {CLI_TEXT},
    .secret = true,
    .run = cli_pki_node};

const struct cli_command cli_row_pki_revoke = {
    .group = "pki",
    .verb = "revoke",
    .arguments = "FILE",
    .help = "takes the certificate in FILE back: ca.crl, for auth.clients.crl or cluster.revoked",
    .text = "What was revoked is kept beside the CA (revoked.pem), so that each list has all of "
            "it. Copy ca.crl to the gateways, then `holdfast reload`; make a new list within the "
            "days that it is good for.",
    .examples = "holdfast pki revoke alice@example.org.pem --dir ca --days 30",
    .options = {DIR_OPTION, KEY_OPTION, DAYS_OPTION("30"), SUBJECT_OPTIONS, FORCE_OPTION},
    .n_arguments = 1,
    .kinds = {CLI_FILE},
    .secret = true,
    .run = cli_pki_revoke};
