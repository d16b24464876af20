/* holdfast cluster recover: says what is lost, then does it when that is typed; holdfast snapshot save. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"
#include "base/hex.h"
#include "base/operator.h"

static void print_contact(struct cli *cli, json_t *c)
{
    char span[32];

    if (cli_true(c, "quorum")) {
        (void)fprintf(cli->out, "This node reaches a majority NOW: nothing is to be recovered.\n");
    } else if (json_is_integer(json_object_get(c, "majority_s"))) {
        (void)fprintf(cli->out, "This node last reached a majority %s ago.\n",
                      cli_span(cli_number(c, "majority_s") * 1000, span));
    } else {
        (void)fprintf(cli->out, "This node has reached no majority since its daemon started.\n");
    }
}

static bool is_member(const char *role)
{
    return strcmp(role, "voter") == 0 || strcmp(role, "learner") == 0 ||
           strcmp(role, "joining") == 0 || strcmp(role, "leaving") == 0;
}

/* Only a warning: what is typed is compared by the node. */
static void print_warning(struct cli *cli, json_t *c)
{
    json_t *item;
    size_t i;

    (void)fprintf(cli->out, "Node %" PRId64 " alone would become the cluster.\n",
                  cli_number(c, "node"));
    print_contact(cli, c);
    (void)fprintf(cli->out,
                  "Lost for good:\n"
                  "  - all tunnels (%" PRId64 " now): clients connect anew\n"
                  "  - what was agreed behind entry %" PRId64 ", the newest that this node has\n",
                  cli_number(c, "sas"), cli_number(c, "last_index"));
    json_array_foreach(json_object_get(c, "nodes"), i, item)
    {
        if (cli_number(item, "id") != cli_number(c, "node") && is_member(cli_text(item, "role"))) {
            (void)fprintf(cli->out, "  - node %" PRId64 " as a member%s\n", cli_number(item, "id"),
                          cli_true(item, "connected") ? ", which is CONNECTED NOW" : "");
        }
    }
    (void)fprintf(cli->out,
                  "Those nodes must be off, and must never be started again with their present "
                  "data: two of them could serve beside this one. Emptied, they join under new "
                  "ids.\n"
                  "Their ids, and all others that this node knows, are never given again; say "
                  "--highest-id N when a node with a higher one than those may have been there.\n");
}

/* NULL: --highest-id is no id. */
static json_t *order_of(struct cli *cli)
{
    const char *why = cli->options[2], *highest = cli->options[3];
    char *end = NULL;
    long id = highest == NULL ? 0 : strtol(highest, &end, 10);
    json_t *body;
    char who[48];

    if (highest != NULL && (*end != '\0' || id < 1 || id > 65535)) {
        (void)fprintf(cli->err, "holdfast: '%s' is no node's id: a number from 1 to 65535\n",
                      highest);
        return NULL;
    }
    operator_name(who, sizeof who);
    body = json_pack("{s:s,s:s,s:s*}", "lost", cli->options[0], "who", who, "why", why);
    if (body != NULL && id > 0)
        (void)json_object_set_new(body, "highest_id", json_integer(id));
    return body;
}

static int cli_cluster_recover(struct cli *cli)
{
    const char *lost = cli->options[0];
    int status = CLI_DONE;
    json_t *body, *order;

    if (cli->options[1] == NULL || lost == NULL) {
        body = cli_ask(cli, "GET", "/v1/cluster", NULL, &status);
        if (body == NULL) {
            return status;
        }
        print_warning(cli, body);
        json_decref(body);
        (void)fprintf(cli->err, "holdfast: nothing was changed. If all of that is meant: "
                                "holdfast cluster recover --lost N,N --force, with those nodes\n");
        return CLI_USAGE;
    }
    order = order_of(cli);
    if (order == NULL) {
        return CLI_USAGE;
    }
    body = cli_ask(cli, "POST", "/v1/cluster/recover", order, &status);
    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out,
                  "ordered: the daemon starts anew as the cluster, without tunnels; see `holdfast "
                  "cluster status`\n");
    json_decref(body);
    return CLI_DONE;
}

/* The newest one; all are in -o json. */
void cli_print_beginnings(struct cli *cli, const json_t *beginnings)
{
    size_t n = json_array_size(beginnings);
    const json_t *b = n == 0 ? NULL : json_array_get(beginnings, n - 1);
    time_t at = (time_t)cli_number(b, "wall_s");
    char date[32] = "at an unknown time";
    struct tm tm;

    if (b == NULL)
        return;
    if (at != 0 && gmtime_r(&at, &tm) != NULL)
        (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &tm);
    (void)fprintf(cli->out,
                  "began anew: %s on node %" PRId64 ", %s, by %s%s%s; nodes %s were given up; "
                  "incarnation %" PRId64 " (it was %" PRId64 "); ids up to %" PRId64 " are used\n",
                  cli_text(b, "how"), cli_number(b, "node"), date, cli_text(b, "who"),
                  cli_text(b, "why")[0] == '\0' ? "" : ": ", cli_text(b, "why"),
                  cli_text(b, "given_up"), cli_number(b, "incarnation"), cli_number(b, "former"),
                  cli_number(b, "highest_id"));
}

/* --- snapshot save --- */

/* malloc'd; NULL: that is no hex. */
static unsigned char *from_hex(const char *text, size_t *n)
{
    unsigned char *out = malloc(strlen(text) / 2 + 1);

    *n = strlen(text) / 2;
    if (out != NULL && !hex_get(text, *n, out)) {
        free(out);
        return NULL;
    }
    return out;
}

static int cli_snapshot_save(struct cli *cli)
{
    const char *path = cli->arguments[0];
    int status = CLI_DONE;
    unsigned char *bytes;
    json_t *body = cli_ask(cli, "POST", "/v1/cluster/backup", json_object(), &status);
    int64_t index, incarnation;
    size_t n = 0;

    if (body == NULL) {
        return status;
    }
    bytes = from_hex(cli_text(body, "backup"), &n);
    index = cli_number(body, "index");
    incarnation = cli_number(body, "incarnation");
    json_decref(body);
    if (bytes == NULL || n == 0) {
        (void)fprintf(cli->err, "holdfast: the node's answer is no backup\n");
        free(bytes);
        return CLI_REFUSED;
    }
    /* Beside its place first, then renamed: an earlier backup stays until this one is whole. */
    if (!cli_file_write(path, bytes, n, 0600, true)) {
        (void)fprintf(cli->err, "holdfast: %s: %s\n", path, strerror(errno));
        status = CLI_REFUSED;
    } else if (cli->json) {
        status = cli_print_json(cli, json_pack("{s:s,s:I,s:I,s:I}", "file", path, "bytes",
                                               (json_int_t)n, "index", (json_int_t)index,
                                               "incarnation", (json_int_t)incarnation));
    } else {
        (void)fprintf(cli->out,
                      "saved %zu bytes, without tunnels and keys, as of entry %" PRId64
                      " of incarnation %" PRId64 ". Keep a copy of a node's configuration.key "
                      "beside it: nothing else opens it\n",
                      n, index, incarnation);
    }
    free(bytes);
    return status;
}

const struct cli_command cli_row_cluster_recover = {
    .group = "cluster",
    .verb = "recover",
    .arguments = "",
    .help =
        "the last resort, when a majority is lost for good: this node alone becomes the cluster",
    .text = "Without --lost and --force it only says what would be lost, and ends with 2. With "
            "both the daemon starts anew as a cluster of one, and all tunnels end. The other "
            "members must be off, and must never be started again with the data that they have.",
    .role = "admin",
    .asks = "GET /v1/cluster, POST /v1/cluster/recover",
    .examples = "holdfast cluster recover  # what would be lost\nholdfast cluster recover --lost "
                "2,3 --force --why \"fire in hall 2\"",
    .options = {{"--lost", "N,N", "all other members, which are dead and stay so", CLI_TEXT, NULL},
                {"--force", NULL, "does it; without, it only says what would be lost", CLI_TEXT,
                 NULL},
                {"--why", "TEXT", "kept with the date in what `cluster status` says", CLI_TEXT,
                 NULL},
                {"--highest-id", "N", "of any node there ever was, if this one may not know it",
                 CLI_TEXT, NULL}},
    .run = cli_cluster_recover};

const struct cli_command cli_row_snapshot_save = {
    .group = "snapshot",
    .verb = "save",
    .arguments = "FILE",
    .help =
        "a backup without tunnels; `holdfastd --restore FILE` needs configuration.key beside it",
    .text = "Written whole or not at all: an earlier FILE stays until the new one is on the disk. "
            "Keep a copy of any node's configuration.key with it, as safe as a shared key: nothing "
            "else opens it.",
    .role = "admin",
    .asks = "POST /v1/cluster/backup",
    .examples = "holdfast snapshot save /backup/cluster.backup",
    .doing = "the node makes its backup",
    .n_arguments = 1,
    .kinds = {CLI_FILE},
    .run = cli_snapshot_save};
