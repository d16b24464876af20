/* holdfast token add | list | remove */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

enum { MOST_HOURS = 365 * 24, USUAL_HOURS = 24 };
enum { OPTION_ROLE, OPTION_HOURS };

/* "2026-11-28 04:00 UTC". Returns buf. */
static const char *date_to(char buf[32], int64_t s)
{
    time_t t = (time_t)s;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(buf, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0) {
        (void)snprintf(buf, 32, "-");
    }
    return buf;
}

static int cli_token_add(struct cli *cli)
{
    const char *name = cli->arguments[0], *role = cli->options[OPTION_ROLE];
    const char *given = cli->options[OPTION_HOURS];
    long hours = given == NULL ? USUAL_HOURS : strtol(given, NULL, 10);
    int status = CLI_DONE;
    json_t *body, *request;
    char until[32];

    if (role == NULL) {
        (void)fprintf(cli->err, "holdfast: which role? `holdfast token add NAME --role "
                                "viewer|operator|admin|drill`\n");
        return CLI_USAGE;
    }
    if (hours < 1 || hours > MOST_HOURS) {
        (void)fprintf(cli->err, "holdfast: a token is valid for 1 to %d hours\n", MOST_HOURS);
        return CLI_USAGE;
    }
    request =
        json_pack("{s:s,s:s,s:I}", "name", name, "role", role, "valid_s", (json_int_t)hours * 3600);
    if (request == NULL) {
        (void)fprintf(cli->err, "holdfast: name and role must be UTF-8\n");
        return CLI_USAGE;
    }
    body = cli_ask(cli, "POST", "/v1/tokens", request, &status);
    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "%s\n", cli_text(body, "token"));
    (void)fflush(cli->out);
    (void)fprintf(cli->err,
                  "that is all of it, shown this once: every node takes it in a header\n"
                  "  Authorization: Bearer TOKEN\n"
                  "from '%s', as %s, until %s; `holdfast token remove %s` ends it\n",
                  cli_text(body, "name"), cli_text(body, "role"),
                  date_to(until, cli_number(body, "expires_s")), cli_text(body, "id"));
    json_decref(body);
    return CLI_DONE;
}

static int cli_token_list(struct cli *cli)
{
    struct cli_table t = {0};
    int status = CLI_DONE;
    json_t *body = cli_ask_all(cli, "/v1/tokens", "tokens", &status), *item;
    size_t i;

    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    cli_table_row(&t, 5, "ID", "NAME", "ROLE", "UNTIL", "MADE BY");
    json_array_foreach(json_object_get(body, "tokens"), i, item)
    {
        char until[32];

        cli_table_row(&t, 5, cli_text(item, "id"), cli_text(item, "name"), cli_text(item, "role"),
                      cli_true(item, "expired") ? "expired"
                                                : date_to(until, cli_number(item, "expires_s")),
                      cli_text(item, "made_by"));
    }
    cli_table_print(&t, cli->out);
    json_decref(body);
    return CLI_DONE;
}

static int cli_token_remove(struct cli *cli)
{
    const char *id = cli->arguments[0];
    int status = CLI_DONE;
    char path[64];
    json_t *body;

    (void)snprintf(path, sizeof path, "/v1/tokens/%s", id);
    body = cli_ask(cli, "DELETE", path, NULL, &status);
    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "token %s is removed: no node takes it any more\n", id);
    json_decref(body);
    return CLI_DONE;
}

const struct cli_command cli_row_token_add = {
    .group = "token",
    .verb = "add",
    .arguments = "NAME",
    .help = "a token for the REST API of all nodes, shown this once",
    .text =
        "Prints the token alone on standard output, and on standard error whose it is and until "
        "when. Whoever has it may do what its role may, at any node, until it ends. NAME is 1 to "
        "48 letters, digits or . _ @ - and need not be new: each token has an id of its own, "
        "which the audit tells with the name.",
    .role = "admin",
    .asks = "POST /v1/tokens",
    .examples = "holdfast token add prometheus --role viewer --hours 8760\nholdfast token add ci "
                "--role operator > ci.token  # good for a day",
    .options = {{"--role", "ROLE", "what it may do", CLI_CHOICE, "viewer|operator|admin|drill"},
                {"--hours", "N", "how long it is valid (24; 8760 at most)", CLI_NUMBER, NULL}},
    .n_arguments = 1,
    .kinds = {CLI_TEXT},
    .secret = true,
    .run = cli_token_add};

const struct cli_command cli_row_token_list = {
    .group = "token",
    .verb = "list",
    .arguments = "",
    .help = "who has one, in what role, until when",
    .text =
        "A line for each token of the cluster. No token is shown, and none is kept: only what it "
        "is checked by. ID is what `holdfast token remove` takes.",
    .role = "admin",
    .asks = "GET /v1/tokens",
    .examples = "holdfast token list\nholdfast token list -o json | jq -r '.tokens[].name'",
    .watch = true,
    .run = cli_token_list};

const struct cli_command cli_row_token_remove = {
    .group = "token",
    .verb = "remove",
    .arguments = "ID",
    .help = "ends a token, on all nodes at once",
    .text = "No node takes it any more; one that is cut off from the others takes no token at all. "
            "ID is the first part of the token, behind hf_, and what `holdfast token list` shows.",
    .role = "admin",
    .asks = "DELETE /v1/tokens/{id}",
    .examples = "holdfast token remove 0123456789ab",
    .n_arguments = 1,
    .kinds = {CLI_TOKEN},
    .run = cli_token_remove};
