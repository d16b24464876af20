/* holdfast cluster token | join | remove | replace */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "base/secret.h"

static long id_of(struct cli *cli, const char *text)
{
    char *end = NULL;
    long v = strtol(text, &end, 10);

    if (end != text && *end == '\0' && v >= 1 && v <= 65535) {
        return v;
    }
    (void)fprintf(cli->err,
                  "holdfast: '%s' is no node: a number from 1 to 65535, see `holdfast cluster "
                  "status`\n",
                  text);
    return 0;
}

/* A token for NODE at ADDRESS, in the option's hours. */
static json_t *make_token(struct cli *cli, const char *node, const char *address, const char *hours,
                          int *status)
{
    long id = id_of(cli, node), valid = hours == NULL ? 1 : strtol(hours, NULL, 10);

    *status = CLI_USAGE;
    if (id == 0) {
        return NULL;
    }
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

int cli_cluster_token(struct cli *cli)
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

int cli_cluster_join(struct cli *cli)
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
    long id = id_of(cli, node);
    char path[64];

    *status = CLI_USAGE;
    if (id == 0) {
        return NULL;
    }
    (void)snprintf(path, sizeof path, "/v1/nodes/%ld/remove", id);
    return cli_ask(cli, "POST", path, json_object(), status);
}

int cli_cluster_remove(struct cli *cli)
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

int cli_cluster_replace(struct cli *cli)
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
