/* holdfast audit list */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

enum { MOST_ROWS = 200, USUAL_ROWS = 50 };
enum { OPTION_LIMIT, OPTION_OLDEST, OPTION_PRINCIPAL, OPTION_OPERATION };

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void print_entries(struct cli *cli, const json_t *body)
{
    struct cli_table t = {0};
    json_t *item;
    size_t i;

    cli_table_row(&t, 7, "ENTRY", "WHEN (UTC)", "WHO", "ROLE", "WHAT", "OF WHAT", "OUTCOME");
    json_array_foreach(json_object_get(body, "entries"), i, item)
    {
        char sequence[24], when[32];

        (void)snprintf(sequence, sizeof sequence, "%" PRId64, cli_number(item, "sequence"));
        cli_table_row(&t, 7, sequence, cli_date(when, cli_number(item, "wall_ms")),
                      or_dash(cli_text(item, "principal")), or_dash(cli_text(item, "role")),
                      or_dash(cli_text(item, "operation")), or_dash(cli_text(item, "target")),
                      or_dash(cli_text(item, "outcome")));
    }
    cli_table_print(&t, cli->out);
    item = json_object_get(body, "head");
    (void)fprintf(cli->out, "head: entry %" PRId64 ", %s\n", cli_number(item, "sequence"),
                  cli_text(item, "hash"));
}

static int cli_audit_list(struct cli *cli)
{
    const char *limit = cli->options[OPTION_LIMIT], *principal = cli->options[OPTION_PRINCIPAL];
    const char *operation = cli->options[OPTION_OPERATION];
    long rows = limit == NULL ? USUAL_ROWS : strtol(limit, NULL, 10);
    char path[CLI_QUERY_BYTES];
    bool fits;

    if (rows < 1 || rows > MOST_ROWS) {
        (void)fprintf(cli->err, "holdfast: --limit takes 1 to %d\n", MOST_ROWS);
        return CLI_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/audit?limit=%ld&order=%s", rows,
                   cli->options[OPTION_OLDEST] != NULL ? "oldest" : "newest");
    fits = (principal == NULL || cli_put_query(path, "principal", principal)) &&
           (operation == NULL || cli_put_query(path, "operation", operation));
    if (!fits) {
        (void)fprintf(cli->err, "holdfast: that is no text of the audit: it is too long\n");
        return CLI_USAGE;
    }
    return cli_show(cli, path, print_entries);
}

const struct cli_command cli_row_audit_list = {
    .group = "audit",
    .verb = "list",
    .arguments = "",
    .help = "what operators did and were refused, the newest first",
    .text =
        "A line for each entry, and last the newest one of all with its hash. All nodes have the "
        "same entries, each with the hash of the one before; -o json shows them whole.",
    .role = "operator",
    .asks = "GET /v1/audit",
    .examples = "holdfast audit list\nholdfast audit list --limit 200 --operation "
                "token.add\nholdfast audit list --principal email:alice@example.org --oldest -o "
                "yaml",
    .options = {{"--limit", "N", "so many entries (50; 200 at most)", CLI_NUMBER, NULL},
                {"--oldest", NULL, "the oldest kept first", CLI_TEXT, NULL},
                {"--principal", "WHO", "of one alone, such as root or email:alice@example.org",
                 CLI_TEXT, NULL},
                {"--operation", "WHAT", "of one kind, such as token.add", CLI_TEXT, NULL}},
    .watch = true,
    .run = cli_audit_list};
