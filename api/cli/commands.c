/* The one table of commands: parsing and help follow from it. */
#include <string.h>

#include "api/cli/cli.h"

#define PKI_OPTIONS(ca_help)                                                                       \
    {                                                                                              \
        {"--dir", "DIR", "where the files are written (.)"}, {"--ca", "DIR", ca_help},             \
            {"--key", "KIND", "p256 (usual), p384, p521, ed25519, rsa2048, rsa3072, rsa4096"},     \
            {"--days", "N", "how long it is good"},                                                \
            {"--subject", "DN", "such as \"C=DE, O=Example, CN=name\""},                           \
            {"--names", "A,B", "further names and addresses"},                                     \
        {                                                                                          \
            "--force", NULL, "replaces what is there"                                              \
        }                                                                                          \
    }

const struct cli_command cli_commands[] = {
    {.group = "cluster",
     .verb = "init",
     .arguments = "NAME NODE ADDRESS",
     .n_arguments = 3,
     .help =
         "on the first machine, once: founds the cluster NAME of this NODE alone, at ADDRESS:PORT",
     .options = {{"--config", "FILE",
                  "its configuration, without `cluster` (/etc/holdfast/node.yaml)"},
                 {"--dir", "DIR", "for its CA and certificate (`cluster` beside FILE)"},
                 {"--keep-data", NULL, "it ran alone so far: its data directory stays"}},
     .secret = true,
     .run = cli_cluster_init},
    {.group = "cluster",
     .verb = "status",
     .arguments = "",
     .help = "nodes, leader, shards and who owns them",
     .run = cli_cluster_status},
    {.group = "cluster",
     .verb = "transfer",
     .arguments = "NODE",
     .n_arguments = 1,
     .help = "makes NODE the leader (ask the present leader)",
     .run = cli_cluster_transfer},
    {.group = "cluster",
     .verb = "token",
     .arguments = "NODE ADDRESS",
     .n_arguments = 2,
     .help = "on a member: permits a new node, by its id and ADDRESS:PORT, to join, once",
     .options = {{"--hours", "N", "how long it is valid (1)"}},
     .secret = true,
     .run = cli_cluster_token},
    {.group = "cluster",
     .verb = "join",
     .arguments = "",
     .help = "on the new node: joins by a member's token",
     .options = {{"--token", "TOKEN", "of `cluster token`; others on the machine can see it"},
                 {"--token-file", "FILE", "its first line; `-` is standard input"}},
     .secret = true,
     .run = cli_cluster_join},
    {.group = "cluster",
     .verb = "remove",
     .arguments = "NODE",
     .n_arguments = 1,
     .help = "drains NODE and takes it out for ever (ask another node)",
     .run = cli_cluster_remove},
    {.group = "cluster",
     .verb = "replace",
     .arguments = "NODE NEW ADDRESS",
     .n_arguments = 3,
     .help = "removes NODE, dead or alive, and makes a token for NEW",
     .options = {{"--hours", "N", "how long it is valid (1)"}},
     .secret = true,
     .run = cli_cluster_replace},
    {.group = "cluster",
     .verb = "recover",
     .arguments = "",
     .help =
         "the last resort, when a majority is lost for good: this node alone becomes the cluster",
     .options = {{"--lost", "N,N", "all other members, which are dead and stay so"},
                 {"--force", NULL, "does it; without, it only says what would be lost"},
                 {"--why", "TEXT", "kept with the date in what `cluster status` says"},
                 {"--highest-id", "N", "of any node there ever was, if this one may not know it"}},
     .run = cli_cluster_recover},
    {.group = "snapshot",
     .verb = "save",
     .arguments = "FILE",
     .n_arguments = 1,
     .help =
         "a backup without tunnels; `holdfastd --restore FILE` needs configuration.key beside it",
     .run = cli_snapshot_save},
    {.group = "cluster",
     .verb = "rotate-keys",
     .arguments = "",
     .help =
         "seals what is stored of sessions with another key, and erases the former (ask any node)",
     .run = cli_cluster_rotate_keys},
    {.group = "shard",
     .verb = "list",
     .arguments = "",
     .help = "who owns which shard, and who should",
     .run = cli_shard_list},
    {.group = "shard",
     .verb = "move",
     .arguments = "ID",
     .n_arguments = 1,
     .help = "hands shard ID over to a node, which is its home from then on (ask any node)",
     .options = {{"--to", "NODE", "who gets it"}},
     .run = cli_shard_move},
    {.group = "node",
     .verb = "drain",
     .arguments = "NODE",
     .n_arguments = 1,
     .help = "NODE hands over all its shards and is given none (ask any node)",
     .run = cli_node_drain},
    {.group = "node",
     .verb = "undrain",
     .arguments = "NODE",
     .n_arguments = 1,
     .help = "NODE takes shards again",
     .run = cli_node_undrain},
    {.group = "sa",
     .verb = "list",
     .arguments = "",
     .help = "every tunnel with its CHILD SAs",
     .run = cli_sa_list},
    {.group = "sa",
     .verb = "rekey",
     .arguments = "ID",
     .n_arguments = 1,
     .help = "begins a rekey of the tunnel ID (ask its owner)",
     .options = {{"--kind", "child|ike", "what to rekey"},
                 {"--child", "SPI", "which CHILD SA, by its inbound SPI"},
                 {"--pfs", NULL, "with a key exchange, whatever the policy says"},
                 {"--no-pfs", NULL, "without one"}},
     .run = cli_sa_rekey},
    {.group = "token",
     .verb = "add",
     .arguments = "NAME",
     .n_arguments = 1,
     .help = "a token for the REST API of all nodes, shown this once",
     .options = {{"--role", "ROLE", "viewer, operator, admin or drill"},
                 {"--hours", "N", "how long it is valid (24; 8760 at most)"}},
     .secret = true,
     .run = cli_token_add},
    {.group = "token",
     .verb = "list",
     .arguments = "",
     .help = "who has one, in what role, until when",
     .run = cli_token_list},
    {.group = "token",
     .verb = "remove",
     .arguments = "ID",
     .n_arguments = 1,
     .help = "ends a token, on all nodes at once",
     .run = cli_token_remove},
    {.group = "audit",
     .verb = "list",
     .arguments = "",
     .help = "what operators did and were refused, the newest first",
     .options = {{"--limit", "N", "so many entries (50; 200 at most)"},
                 {"--oldest", NULL, "the oldest kept first"},
                 {"--principal", "WHO", "of one alone, such as root or email:alice@example.org"},
                 {"--operation", "WHAT", "of one kind, such as token.add"}},
     .run = cli_audit_list},
    {.group = "audit",
     .verb = "verify",
     .arguments = "",
     .help =
         "is the chain of what the node keeps whole? Or of a file; names the first broken entry",
     .options = {{"--file", "FILE", "what `audit list -o json` printed, or an audit.jsonl"},
                 {"--node", NULL, "... and is its end the node's, or was some of it cut off?"}},
     .run = cli_audit_verify},
    {.group = "drill",
     .verb = "arm",
     .arguments = "POINT",
     .n_arguments = 1,
     .help = "lets this node die when it reaches the step POINT (needs `drills: enabled`)",
     .options = {{"--mode", "process|machine", "how it dies (process)"}},
     .run = cli_drill_arm},
    {.group = "reload",
     .verb = "",
     .arguments = "",
     .help = "reads shared keys, certificates, CAs and revocation lists anew; tunnels stay",
     .run = cli_reload},
    {.group = "pki",
     .verb = "ca",
     .arguments = "",
     .help = "a private CA: ca.pem and ca.key",
     .options = PKI_OPTIONS("below the CA in DIR, as an intermediate one"),
     .secret = true,
     .run = cli_pki_ca},
    {.group = "pki",
     .verb = "server",
     .arguments = "NAME",
     .n_arguments = 1,
     .help = "a gateway's certificate and key: NAME.pem, NAME.key",
     .options = PKI_OPTIONS("where ca.pem and ca.key are (as --dir)"),
     .secret = true,
     .run = cli_pki_server},
    {.group = "pki",
     .verb = "client",
     .arguments = "NAME",
     .n_arguments = 1,
     .help = "a client's certificate and key, and NAME.p12 for a device",
     .options = PKI_OPTIONS("where ca.pem and ca.key are (as --dir)"),
     .secret = true,
     .run = cli_pki_client},
    {.group = "pki",
     .verb = "cluster-ca",
     .arguments = "NAME",
     .n_arguments = 1,
     .help = "the CA of the cluster NAME, once, for its nodes alone: ca.pem and ca.key",
     .options = {{"--dir", "DIR", "where the files are written (.)"},
                 {"--key", "KIND", "p256 (usual), p384, p521, ed25519, rsa2048, rsa3072, rsa4096"},
                 {"--days", "N", "how long it is good (3650)"},
                 {"--force", NULL, "replaces what is there"}},
     .secret = true,
     .run = cli_pki_cluster_ca},
    {.group = "pki",
     .verb = "node",
     .arguments = "ID",
     .n_arguments = 1,
     .help = "certificate and key of node ID, or new ones: node-ID.pem, node-ID.key",
     .options = {{"--dir", "DIR", "where the files are written (.)"},
                 {"--ca", "DIR", "where the cluster's ca.pem and ca.key are (as --dir)"},
                 {"--key", "KIND", "p256 (usual), p384, p521, ed25519, rsa2048, rsa3072, rsa4096"},
                 {"--days", "N", "how long it is good (825)"},
                 {"--force", NULL, "replaces what is there: a renewal"}},
     .secret = true,
     .run = cli_pki_node},
    {.group = "pki",
     .verb = "revoke",
     .arguments = "FILE",
     .n_arguments = 1,
     .help = "takes the certificate in FILE back: ca.crl, for auth.clients.crl or cluster.revoked",
     .options = PKI_OPTIONS("(not used)"),
     .secret = true,
     .run = cli_pki_revoke},
    {0},
};

static void print_command(FILE *out, const struct cli_command *c)
{
    (void)fprintf(out, "  holdfast %s%s%s%s%s", c->group, c->verb[0] != '\0' ? " " : "", c->verb,
                  c->arguments[0] != '\0' ? " " : "", c->arguments);
    for (size_t i = 0; i < CLI_MOST_OPTIONS && c->options[i].name != NULL; i++) {
        (void)fprintf(out, " [%s%s%s]", c->options[i].name, c->options[i].value != NULL ? " " : "",
                      c->options[i].value != NULL ? c->options[i].value : "");
    }
    (void)fprintf(out, "\n      %s\n", c->help);
    for (size_t i = 0; i < CLI_MOST_OPTIONS && c->options[i].name != NULL; i++) {
        (void)fprintf(out, "      %-10s %s\n", c->options[i].name, c->options[i].help);
    }
}

void cli_help(FILE *out, const char *group)
{
    (void)fprintf(out, "holdfast: talks to the holdfastd of this machine, as root\n\n");
    for (const struct cli_command *c = cli_commands; c->group != NULL; c++) {
        if (group == NULL || strcmp(group, c->group) == 0) {
            print_command(out, c);
        }
    }
    if (group == NULL || strcmp(group, "drill") == 0) {
        (void)fprintf(out, "  holdfast drill run|validate|plan|list ...\n      drills in a lab of "
                           "their own: `holdfast drill --help`\n");
    }
    (void)fprintf(out,
                  "\nEverywhere: --socket PATH (%s), -o json, --help, --version\n"
                  "Exit status: 0 done, 1 refused, 2 wrong use, 3 no node answers\n",
                  CLI_SOCKET);
}

static bool stop(struct cli *cli, int *status, const char *what, const char *word)
{
    (void)fprintf(cli->err, "holdfast: %s%s%s%s\n", what, word[0] != '\0' ? " '" : "", word,
                  word[0] != '\0' ? "'" : "");
    (void)fprintf(cli->err, "`holdfast --help` lists the commands\n");
    *status = CLI_USAGE;
    return false;
}

/* An option of every command. 1: taken, with *i moved; 0: not one; -1: its value is missing or
 * wrong. */
static int take_common(struct cli *cli, int argc, char **argv, int *i)
{
    const char *word = argv[*i];

    if (strcmp(word, "--socket") != 0 && strcmp(word, "-o") != 0) {
        return 0;
    }
    if (*i + 1 == argc) {
        return -1;
    }
    *i += 1;
    if (strcmp(word, "--socket") == 0) {
        cli->socket = argv[*i];
    } else if (strcmp(argv[*i], "json") == 0 || strcmp(argv[*i], "table") == 0) {
        cli->json = strcmp(argv[*i], "json") == 0;
    } else {
        return -1;
    }
    return 1;
}

/* The same for the command's own options. */
static int take_own(struct cli *cli, int argc, char **argv, int *i)
{
    for (size_t k = 0; k < CLI_MOST_OPTIONS && cli->command->options[k].name != NULL; k++) {
        const struct cli_option *o = &cli->command->options[k];

        if (strcmp(argv[*i], o->name) != 0) {
            continue;
        }
        if (o->value == NULL) {
            cli->options[k] = "";
            return 1;
        }
        if (*i + 1 == argc) {
            return -1;
        }
        *i += 1;
        cli->options[k] = argv[*i];
        return 1;
    }
    return 0;
}

static const struct cli_command *find_command(const char *group, const char *verb)
{
    for (const struct cli_command *c = cli_commands; c->group != NULL; c++) {
        if (strcmp(group, c->group) == 0 && strcmp(verb, c->verb) == 0) {
            return c;
        }
    }
    return NULL;
}

static bool is_group(const char *group)
{
    for (const struct cli_command *c = cli_commands; c->group != NULL; c++) {
        if (strcmp(group, c->group) == 0) {
            return true;
        }
    }
    return false;
}

/* Words before the command: common options, --help, --version. True: argv[*i] is the group. */
static bool parse_front(struct cli *cli, int argc, char **argv, int *i, int *status)
{
    for (*i = 1; *i < argc && argv[*i][0] == '-'; *i += 1) {
        int taken = take_common(cli, argc, argv, i);

        if (strcmp(argv[*i], "--help") == 0 || strcmp(argv[*i], "-h") == 0) {
            cli_help(cli->out, NULL);
            *status = CLI_DONE;
            return false;
        }
        if (strcmp(argv[*i], "--version") == 0) {
            (void)fprintf(cli->out, "holdfast %s\n", HOLDFAST_VERSION);
            *status = CLI_DONE;
            return false;
        }
        if (taken <= 0) {
            return stop(
                cli, status,
                taken == 0 ? "unknown option" : "this option needs another value:", argv[*i]);
        }
    }
    if (*i == argc || strcmp(argv[*i], "help") == 0) {
        cli_help(*i == argc ? cli->err : cli->out, NULL);
        *status = *i == argc ? CLI_USAGE : CLI_DONE;
        return false;
    }
    return true;
}

static bool parse_rest(struct cli *cli, int argc, char **argv, int i, int *status)
{
    unsigned n = 0;

    for (; i < argc; i++) {
        int taken = take_common(cli, argc, argv, &i);

        taken = taken == 0 ? take_own(cli, argc, argv, &i) : taken;
        if (taken < 0) {
            return stop(cli, status, "this option needs another value:", argv[i]);
        }
        if (taken > 0) {
            continue;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            cli_help(cli->out, cli->command->group);
            *status = CLI_DONE;
            return false;
        }
        if (argv[i][0] == '-') {
            return stop(cli, status, "unknown option", argv[i]);
        }
        if (n == cli->command->n_arguments) {
            return stop(cli, status, "one word too many:", argv[i]);
        }
        cli->arguments[n++] = argv[i];
    }
    if (n < cli->command->n_arguments) {
        return stop(cli, status, "this command needs", cli->command->arguments);
    }
    return true;
}

bool cli_parse(struct cli *cli, int argc, char **argv, int *status)
{
    const char *group, *verb;
    int i = 1;

    if (!parse_front(cli, argc, argv, &i, status)) {
        return false;
    }
    group = argv[i];
    cli->command = find_command(group, "");
    if (cli->command != NULL) {
        return parse_rest(cli, argc, argv, i + 1, status);
    }
    verb = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(group, "drill") == 0 && strcmp(verb, "arm") != 0) {
        *status = cli_drill_exec(argc - i - 1, argv + i + 1, cli->json);
        return false;
    }
    if (!is_group(group)) {
        return stop(cli, status, "unknown command", group);
    }
    if (verb[0] == '\0' || strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        cli_help(verb[0] == '\0' ? cli->err : cli->out, group);
        *status = verb[0] == '\0' ? CLI_USAGE : CLI_DONE;
        return false;
    }
    cli->command = find_command(group, verb);
    if (cli->command == NULL) {
        return stop(cli, status, "unknown command", verb);
    }
    return parse_rest(cli, argc, argv, i + 2, status);
}
