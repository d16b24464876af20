/* holdfast audit list */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/cli/cli.h"

enum { MOST_ROWS = 200, USUAL_ROWS = 50, PATH_BYTES = 1600 };

/* What a path's query may hold as it is; the rest as %XX. False: too long. */
static bool put_query(char path[PATH_BYTES], const char *name, const char *value)
{
    size_t n = strlen(path);
    int more = snprintf(path + n, PATH_BYTES - n, "&%s=", name);

    for (; more > 0 && (size_t)more < PATH_BYTES - n && *value != '\0'; value++) {
        bool plain = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "-._~:@/") > 0;

        n += (size_t)more;
        more = snprintf(path + n, PATH_BYTES - n, plain ? "%c" : "%%%02X", (unsigned char)*value);
    }
    return more >= 0 && (size_t)more < PATH_BYTES - n;
}

/* When, by the clock of the node that was asked: "2026-11-28 04:00:07". Returns buf. */
static const char *date_to(char buf[32], int64_t ms)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;

    if (ms == 0 || gmtime_r(&t, &tm) == NULL || strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        (void)snprintf(buf, 32, "-");
    }
    return buf;
}

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
        cli_table_row(&t, 7, sequence, date_to(when, cli_number(item, "wall_ms")),
                      or_dash(cli_text(item, "principal")), or_dash(cli_text(item, "role")),
                      or_dash(cli_text(item, "operation")), or_dash(cli_text(item, "target")),
                      or_dash(cli_text(item, "outcome")));
    }
    cli_table_print(&t, cli->out);
    item = json_object_get(body, "head");
    (void)fprintf(cli->out, "head: entry %" PRId64 ", %s\n", cli_number(item, "sequence"),
                  cli_text(item, "hash"));
}

int cli_audit_list(struct cli *cli)
{
    char path[PATH_BYTES], *end = NULL;
    long rows = cli->options[0] == NULL ? USUAL_ROWS : strtol(cli->options[0], &end, 10);
    int status = CLI_DONE;
    json_t *body;
    bool fits;

    if (rows < 1 || rows > MOST_ROWS || (end != NULL && *end != '\0')) {
        (void)fprintf(cli->err, "holdfast: --limit takes 1 to %d\n", MOST_ROWS);
        return CLI_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/audit?limit=%ld&order=%s", rows,
                   cli->options[1] != NULL ? "oldest" : "newest");
    fits = (cli->options[2] == NULL || put_query(path, "principal", cli->options[2])) &&
           (cli->options[3] == NULL || put_query(path, "operation", cli->options[3]));
    if (!fits) {
        (void)fprintf(cli->err, "holdfast: that is no text of the audit: it is too long\n");
        return CLI_USAGE;
    }
    body = cli_ask(cli, "GET", path, NULL, &status);
    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    print_entries(cli, body);
    json_decref(body);
    return CLI_DONE;
}
