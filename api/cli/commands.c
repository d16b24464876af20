/* The one table of commands: its rows stand in cmd_*.c beside what runs them. */
#include "api/cli/commands.h"

#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"

const struct cli_group cli_groups[] = {
    {"cluster", "the cluster: its nodes, its leader, its keys"},
    {"node", "one node and the shards that it owns"},
    {"shard", "shards: a service address and all that is behind it"},
    {"sa", "tunnels and their CHILD SAs"},
    {"snapshot", "backups"},
    {"token", "who may use the REST API without a certificate"},
    {"audit", "what operators did and were refused"},
    {"attempt", "IKE attempts that failed"},
    {"explain", NULL},
    {"doctor", NULL},
    {"events", NULL},
    {"profile", NULL},
    {"reload", NULL},
    {"pki", "certificates and keys; asks no node"},
    {"drill", "faults on purpose, in a lab or at a step of this node"},
    {"completion", NULL},
    {"man", NULL},
    {"help", NULL},
    {0},
};

const struct cli_command *const cli_commands[] = {
    &cli_row_cluster_status,
    &cli_row_cluster_init,
    &cli_row_cluster_token,
    &cli_row_cluster_join,
    &cli_row_cluster_remove,
    &cli_row_cluster_replace,
    &cli_row_cluster_transfer,
    &cli_row_cluster_rotate_keys,
    &cli_row_cluster_recover,
    &cli_row_node_drain,
    &cli_row_node_undrain,
    &cli_row_shard_list,
    &cli_row_shard_move,
    &cli_row_sa_list,
    &cli_row_sa_rekey,
    &cli_row_snapshot_save,
    &cli_row_token_add,
    &cli_row_token_list,
    &cli_row_token_remove,
    &cli_row_audit_list,
    &cli_row_audit_verify,
    &cli_row_attempt_list,
    &cli_row_explain,
    &cli_row_doctor,
    &cli_row_events,
    &cli_row_profile,
    &cli_row_reload,
    &cli_row_pki_ca,
    &cli_row_pki_server,
    &cli_row_pki_client,
    &cli_row_pki_cluster_ca,
    &cli_row_pki_node,
    &cli_row_pki_revoke,
    &cli_row_drill_run,
    &cli_row_drill_validate,
    &cli_row_drill_plan,
    &cli_row_drill_list,
    &cli_row_drill_arm,
    &cli_row_completion,
    &cli_row_man,
    &cli_row_help,
    NULL,
};

const struct cli_option cli_commons[CLI_COMMONS] = {
    [CLI_OUTPUT] = {"-o", "FORMAT", "table for people, json or yaml for programs (table)",
                    CLI_CHOICE, "table|json|yaml"},
    [CLI_HELP] = {"--help", NULL, "explains the command", CLI_TEXT, NULL},
    [CLI_VERSION] = {"--version", NULL, "says which version this is", CLI_TEXT, NULL},
    [CLI_WATCH] = {"--watch", "[SECONDS]",
                   "again and again, each 2 s or so many: redrawn on a terminal, else a document a "
                   "line",
                   CLI_NUMBER, NULL},
    [CLI_SOCKET_PATH] = {"--socket", "PATH", "the daemon's admin socket (" CLI_SOCKET ")", CLI_FILE,
                         NULL},
    [CLI_SERVER] = {"--server", "HOST:PORT",
                    "a node's REST API over TLS; several with commas, tried in order", CLI_TEXT,
                    NULL},
    [CLI_CA] = {"--ca", "FILE", "who must have signed the server's certificate", CLI_FILE, NULL},
    [CLI_CERT] = {"--cert", "FILE", "a certificate to show, with its chain", CLI_FILE, NULL},
    [CLI_KEY] = {"--key", "FILE", "its key, which nobody else may read", CLI_FILE, NULL},
    [CLI_TOKEN_FILE] = {"--token-file", "FILE",
                        "its first line is a token to show; nobody else may read it", CLI_FILE,
                        NULL},
    [CLI_PROFILE] = {"--profile", "NAME", "all of that, by a name in ~/.config/holdfast/cli.yaml",
                     CLI_TEXT, NULL},
};

bool cli_common_fits(const struct cli_command *command, enum cli_common which)
{
    if (which == CLI_WATCH) {
        return command == NULL || command->watch;
    }
    return which < CLI_SOCKET_PATH || command == NULL || command->asks != NULL;
}

const struct cli_command *cli_find(const char *group, const char *verb)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (strcmp(cli_commands[i]->group, group) == 0 &&
            strcmp(cli_commands[i]->verb, verb) == 0) {
            return cli_commands[i];
        }
    }
    return NULL;
}

const struct cli_group *cli_find_group(const char *name)
{
    for (const struct cli_group *g = cli_groups; g->name != NULL; g++) {
        if (strcmp(g->name, name) == 0) {
            return g;
        }
    }
    return NULL;
}

bool cli_is_group(const struct cli_group *group)
{
    return cli_find(group->name, "") == NULL;
}

const char *cli_name(const struct cli_command *command, char buf[64])
{
    (void)snprintf(buf, 64, "%s%s%s", command->group, command->verb[0] != '\0' ? " " : "",
                   command->verb);
    return buf;
}

const char *cli_option_value(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < CLI_MOST_OPTIONS && cli->command->options[i].name != NULL; i++) {
        if (strcmp(cli->command->options[i].name, name) == 0) {
            return cli->options[i];
        }
    }
    return NULL;
}

long cli_id(const char *text)
{
    return strtol(text, NULL, 10);
}
