/* holdfast token add | list | remove */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/cli/cli.h"

enum { MOST_HOURS = 365 * 24, USUAL_HOURS = 24, ID_DIGITS = 12 };

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

int cli_token_add(struct cli *cli)
{
    const char *name = cli->arguments[0], *role = cli->options[0];
    char *end = NULL, until[32];
    long hours = cli->options[1] == NULL ? USUAL_HOURS : strtol(cli->options[1], &end, 10);
    int status = CLI_DONE;
    json_t *body, *request;

    if (role == NULL) {
        (void)fprintf(cli->err, "holdfast: which role? `holdfast token add NAME --role "
                                "viewer|operator|admin|drill`\n");
        return CLI_USAGE;
    }
    if (hours < 1 || hours > MOST_HOURS || (end != NULL && *end != '\0')) {
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

int cli_token_list(struct cli *cli)
{
    struct cli_table t = {0};
    int status = CLI_DONE;
    json_t *body = cli_ask(cli, "GET", "/v1/tokens", NULL, &status), *item;
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

int cli_token_remove(struct cli *cli)
{
    const char *id = cli->arguments[0];
    int status = CLI_DONE;
    char path[64];
    json_t *body;

    if (strlen(id) != ID_DIGITS || strspn(id, "0123456789abcdef") != ID_DIGITS) {
        (void)fprintf(cli->err,
                      "holdfast: '%s' is no token: an id is %d hexadecimal digits, see `holdfast "
                      "token list`\n",
                      id, ID_DIGITS);
        return CLI_USAGE;
    }
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
