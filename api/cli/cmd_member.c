/* holdfast cluster token | join | remove | replace */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"
#include "base/secret.h"

/* A token for NODE at ADDRESS, in the option's hours. */
static json_t *make_token(struct cli *cli, const char *node, const char *address, const char *hours,
                          int *status)
{
    long id = cli_id(node), valid = hours == NULL ? 1 : strtol(hours, NULL, 10);

    *status = CLI_USAGE;
    if (valid < 1 || valid > 168) {
        (void)fprintf(cli->err, "holdfast: a token is valid for 1 to 168 hours\n");
        return NULL;
    }
    return cli_ask(cli, "POST", "/v1/cluster/tokens",
                   json_pack("{s:I,s:s,s:I}", "node", (json_int_t)id, "address", address, "valid_s",
                             (json_int_t)valid * 3600),
                   status);
}

/* What the new node's file says of the cluster: itself and this member, nobody else. */
static void print_section(struct cli *cli, const json_t *body, const char *address)
{
    json_t *founders = json_object_get(body, "founders"), *member = json_object_get(body, "member"),
           *id;
    int64_t node = cli_number(body, "node");
    size_t i;

    (void)fprintf(cli->err,
                  "its certificate, where ca.key is: holdfast pki node %" PRId64 "\n"
                  "its configuration is as this node's, but for `node: id` and\n"
                  "  cluster:\n"
                  "    tls: { ca: ca.pem, certificate: node-%" PRId64 ".pem, key: node-%" PRId64
                  ".key }\n"
                  "    founders: [",
                  node, node, node);
    json_array_foreach(founders, i, id)
    {
        (void)fprintf(cli->err, "%s%" PRId64, i > 0 ? ", " : "", (int64_t)json_integer_value(id));
    }
    (void)fprintf(cli->err,
                  "]\n"
                  "    nodes:\n"
                  "      - { id: %" PRId64 ", address: %s }\n"
                  "      - { id: %" PRId64 ", address: %s }\n"
                  "there: holdfastd --init, --guard, start it, then: holdfast cluster join "
                  "--token-file -\n",
                  node, address, cli_number(member, "id"), cli_text(member, "address"));
}

static int print_token(struct cli *cli, json_t *body, const char *address)
{
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "%s\n", cli_text(body, "token"));
    (void)fflush(cli->out);
    print_section(cli, body, address);
    json_decref(body);
    return CLI_DONE;
}

static int cli_cluster_token(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *body = make_token(cli, cli->arguments[0], cli->arguments[1], cli->options[0], &status);

    return body == NULL ? status : print_token(cli, body, cli->arguments[1]);
}

/* The first line of the file, or of standard input. False: it was said why. */
static bool read_token(struct cli *cli, const char *path, char *out, size_t cap)
{
    bool in = strcmp(path, "-") == 0;
    FILE *f = in ? stdin : fopen(path, "re");
    bool ok = f != NULL && setvbuf(f, NULL, _IONBF, 0) == 0 && fgets(out, (int)cap, f) != NULL;

    if (!ok) {
        (void)fprintf(cli->err, "holdfast: no token in %s: %s\n", in ? "standard input" : path,
                      f == NULL ? strerror(errno) : "nothing is there");
    } else {
        out[strcspn(out, "\r\n")] = '\0';
    }
    if (f != NULL && !in) {
        (void)fclose(f);
    }
    return ok;
}

static int cli_cluster_join(struct cli *cli)
{
    int status = CLI_DONE;
    char token[128];
    json_t *body;

    if ((cli->options[0] == NULL) == (cli->options[1] == NULL)) {
        (void)fprintf(cli->err,
                      "holdfast: which token? `holdfast cluster join --token-file -`, or `--token "
                      "TOKEN`; `holdfast cluster token` makes one on a member\n");
        return CLI_USAGE;
    }
    if (cli->options[1] != NULL && !read_token(cli, cli->options[1], token, sizeof token)) {
        return CLI_USAGE;
    }
    body = cli_ask(cli, "POST", "/v1/cluster/join",
                   json_pack("{s:s}", "token", cli->options[1] != NULL ? token : cli->options[0]),
                   &status);
    secret_wipe_bytes(token, sizeof token);
    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "node %" PRId64 " is a member now (%s)\n", cli_number(body, "node"),
                  cli_text(body, "role"));
    json_decref(body);
    return CLI_DONE;
}

static json_t *remove_node(struct cli *cli, const char *node, int *status)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/v1/nodes/%ld/remove", cli_id(node));
    return cli_ask(cli, "POST", path, json_object(), status);
}

static int cli_cluster_remove(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *body = remove_node(cli, cli->arguments[0], &status);

    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "node %s is removed; its id is never used again\n", cli->arguments[0]);
    json_decref(body);
    return CLI_DONE;
}

static int cli_cluster_replace(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *body = remove_node(cli, cli->arguments[0], &status);

    if (body == NULL) {
        return status;
    }
    json_decref(body);
    body = make_token(cli, cli->arguments[1], cli->arguments[2], cli->options[0], &status);
    return body == NULL ? status : print_token(cli, body, cli->arguments[2]);
}

const struct cli_command cli_row_cluster_token = {
    .group = "cluster",
    .verb = "token",
    .arguments = "NODE ADDRESS",
    .help = "on a member: permits a new node, by its id and ADDRESS:PORT, to join, once",
    .text =
        "Prints the token alone on standard output, and on standard error what belongs into the "
        "configuration of the new machine. Whoever has the token, and a certificate of the cluster "
        "for that id, can join once while it is valid. An id that was ever used is refused.",
    .role = "admin",
    .asks = "POST /v1/cluster/tokens",
    .examples =
        "holdfast cluster token 2 10.0.0.2:7400\nholdfast cluster token 2 10.0.0.2:7400 --hours 24",
    .options = {{"--hours", "N", "how long it is valid (1; 168 at most)", CLI_NUMBER, NULL}},
    .n_arguments = 2,
    .kinds = {CLI_NODE, CLI_TEXT},
    .secret = true,
    .run = cli_cluster_token};

const struct cli_command cli_row_cluster_join = {
    .group = "cluster",
    .verb = "join",
    .arguments = "",
    .help = "on the new node: joins by a member's token",
    .text = "Ask the daemon of the new machine. It learns the cluster from the member that its "
            "configuration names, takes over the log, and becomes a voter once it has all of it.",
    .role = "admin",
    .asks = "POST /v1/cluster/join",
    .examples = "holdfast cluster join --token-file -  # then the token, on standard "
                "input\nholdfast cluster join --token-file /root/join.token",
    .doing = "the node joins",
    .options = {{"--token", "TOKEN", "of `cluster token`; others on the machine can see it",
                 CLI_TEXT, NULL},
                {"--token-file", "FILE", "its first line; `-` is standard input", CLI_FILE, NULL}},
    .secret = true,
    .run = cli_cluster_join};

const struct cli_command cli_row_cluster_remove = {
    .group = "cluster",
    .verb = "remove",
    .arguments = "NODE",
    .help = "drains NODE and takes it out for ever (ask another node)",
    .text = "Its shards are handed over first: no packet is lost while the node lives. Its id is "
            "never given again, and what it has on its disk opens nothing any more.",
    .role = "admin",
    .asks = "POST /v1/nodes/{id}/remove",
    .examples = "holdfast cluster remove 3",
    .doing = "the node is drained and removed",
    .n_arguments = 1,
    .kinds = {CLI_NODE},
    .run = cli_cluster_remove};

const struct cli_command cli_row_cluster_replace = {
    .group = "cluster",
    .verb = "replace",
    .arguments = "NODE NEW ADDRESS",
    .help = "removes NODE, dead or alive, and makes a token for NEW",
    .text = "The same as `cluster remove NODE` and `cluster token NEW ADDRESS`, in one go. NEW is "
            "an id that was never used.",
    .role = "admin",
    .asks = "POST /v1/nodes/{id}/remove, POST /v1/cluster/tokens",
    .examples = "holdfast cluster replace 2 4 10.0.0.4:7400",
    .doing = "the node is removed",
    .options = {{"--hours", "N", "how long it is valid (1; 168 at most)", CLI_NUMBER, NULL}},
    .n_arguments = 3,
    .kinds = {CLI_NODE, CLI_NODE, CLI_TEXT},
    .secret = true,
    .run = cli_cluster_replace};
