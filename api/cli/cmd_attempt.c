/* holdfast attempt list, holdfast explain */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

enum { MOST_ROWS = 200, USUAL_ROWS = 50, ID_DIGITS = 16, WIDTH = 100, INDENT = 2 };
enum { LIST_LIMIT, LIST_PEER, LIST_IDENTITY };
enum { EXPLAIN_PEER, EXPLAIN_LAST };

/* ---- the list ---- */

/* "authentication-failed, revoked", "no-proposal-chosen, asked again". Returns buf. */
static const char *cause_of(const json_t *attempt, char buf[160])
{
    const char *verdict = cli_text(attempt, "certificate"), *said = cli_text(attempt, "said");
    const char *more = verdict[0] != '\0' ? verdict : said;

    (void)snprintf(buf, 160, "%s%s%s%s", cli_text(attempt, "cause"), more[0] != '\0' ? ", " : "",
                   more, cli_true(attempt, "asked_again") ? ", asked again" : "");
    return buf;
}

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void print_attempts(struct cli *cli, const json_t *body)
{
    json_t *list = json_object_get(body, "attempts"), *item;
    struct cli_table t = {0};
    size_t i;

    cli_table_row(&t, 7, "ATTEMPT", "LAST (UTC)", "TIMES", "CLIENT", "IDENTITY", "EXCHANGE",
                  "CAUSE");
    json_array_foreach(list, i, item)
    {
        char when[32], times[24], cause[160];

        (void)snprintf(times, sizeof times, "%" PRId64, cli_number(item, "times"));
        cli_table_row(&t, 7, cli_text(item, "id"), cli_date(when, cli_number(item, "last_wall_ms")),
                      times, cli_text(item, "peer"), or_dash(cli_text(item, "identity")),
                      cli_text(item, "exchange"), cause_of(item, cause));
    }
    cli_table_print(&t, cli->out);
    (void)fprintf(cli->out, "%zu attempts, of node %" PRId64 "%s\n", json_array_size(list),
                  cli_number(body, "node"),
                  json_object_get(body, "next") != NULL ? "; there are more" : "");
}

static int cli_attempt_list(struct cli *cli)
{
    const char *limit = cli->options[LIST_LIMIT], *peer = cli->options[LIST_PEER];
    const char *identity = cli->options[LIST_IDENTITY];
    long rows = limit == NULL ? USUAL_ROWS : strtol(limit, NULL, 10);
    char path[CLI_QUERY_BYTES];

    if (rows < 1 || rows > MOST_ROWS) {
        (void)fprintf(cli->err, "holdfast: --limit takes 1 to %d\n", MOST_ROWS);
        return CLI_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/attempts?limit=%ld", rows);
    if ((peer != NULL && !cli_put_query(path, "peer", peer)) ||
        (identity != NULL && !cli_put_query(path, "identity", identity))) {
        (void)fprintf(cli->err, "holdfast: that is too long for an address or an identity\n");
        return CLI_USAGE;
    }
    return cli_show(cli, path, print_attempts);
}

/* ---- one of them ---- */

/* Did it fail after the other one? Who was asked to begin in another way has not failed: the other one has. */
static bool later(const json_t *attempt, const json_t *than)
{
    bool again = cli_true(attempt, "asked_again");

    if (again != cli_true(than, "asked_again")) {
        return !again;
    }
    return cli_number(attempt, "last_wall_ms") > cli_number(than, "last_wall_ms");
}

/* Of a list with the newest first: an older one counts on each time that it is repeated. NULL: it is empty. */
static const json_t *failed_last(const json_t *list)
{
    const json_t *best = NULL;
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (best == NULL || later(item, best)) {
            best = item;
        }
    }
    return best;
}

/* The id of what failed last, of that peer where there is one. False: *status, and said. */
static bool newest(struct cli *cli, const char *peer, char id[ID_DIGITS + 1], int *status)
{
    char path[CLI_QUERY_BYTES], why[160];
    const char *found;
    json_t *body;

    (void)snprintf(path, sizeof path, "/v1/attempts?limit=%d", MOST_ROWS);
    if (peer != NULL && !cli_put_query(path, "peer", peer)) {
        (void)fprintf(cli->err, "holdfast: that is too long for an address\n");
        *status = CLI_USAGE;
        return false;
    }
    body = cli_ask(cli, "GET", path, NULL, status);
    if (body == NULL) {
        return false;
    }
    found = cli_text(failed_last(json_object_get(body, "attempts")), "id");
    if (strlen(found) != ID_DIGITS || strspn(found, "0123456789abcdef") != ID_DIGITS) {
        (void)snprintf(
            why, sizeof why,
            "node %" PRId64 " keeps no failed attempt%s%.45s: each node keeps its own, for "
            "a day; ask the others, too",
            cli_number(body, "node"), peer != NULL ? " of " : "", peer != NULL ? peer : "");
        *status = cli_refuse(cli, "unknown-attempt", why);
        json_decref(body);
        return false;
    }
    memcpy(id, found, ID_DIGITS + 1);
    json_decref(body);
    return true;
}

static void print_line(struct cli *cli, const char *name, const char *text)
{
    int n = fprintf(cli->out, "  %-9s ", name);

    cli_wrap(cli->out, text, n > 0 ? (unsigned)n : 0, 12, cli_width(cli->out, WIDTH));
}

static void print_facts(struct cli *cli, const json_t *a)
{
    char first[32], last[32], cause[160], text[512];

    (void)fprintf(cli->out, "attempt %s: %s\n", cli_text(a, "id"), cause_of(a, cause));
    if (cli_number(a, "times") > 1) {
        (void)snprintf(text, sizeof text, "%" PRId64 " times, from %s to %s UTC",
                       cli_number(a, "times"), cli_date(first, cli_number(a, "first_wall_ms")),
                       cli_date(last, cli_number(a, "last_wall_ms")));
    } else {
        (void)snprintf(text, sizeof text, "%s UTC", cli_date(last, cli_number(a, "last_wall_ms")));
    }
    print_line(cli, "when", text);
    (void)snprintf(text, sizeof text, "%s%s", cli_text(a, "peer"),
                   cli_true(a, "proven") ? "" : " (an address that anybody may write)");
    print_line(cli, "client", text);
    if (cli_text(a, "identity")[0] != '\0') {
        (void)snprintf(text, sizeof text, "%s %s", cli_text(a, "identity_type"),
                       cli_text(a, "identity"));
        print_line(cli, "identity", text);
    }
    (void)snprintf(text, sizeof text, "%s, begun by the %s, at %s", cli_text(a, "exchange"),
                   cli_text(a, "begun_by"), cli_text(a, "local"));
    print_line(cli, "exchange", text);
}

/* "aes256 aes128" of an array of texts; "-" where it is empty. Owned by the caller. */
static char *joined(const json_t *list)
{
    char *text = NULL;
    size_t bytes = 0, i;
    FILE *out = open_memstream(&text, &bytes);
    json_t *item;

    if (out == NULL) {
        return NULL;
    }
    json_array_foreach(list, i, item)
    {
        const char *one = json_string_value(item);

        (void)fprintf(out, "%s%s", i > 0 ? ", " : "", one != NULL ? one : "-");
    }
    (void)fputs(json_array_size(list) == 0 ? "-" : "", out);
    (void)fclose(out);
    return text;
}

static void print_side(struct cli *cli, const json_t *row, const char *name, const char *says)
{
    char *text = joined(json_object_get(row, name));
    int n = fprintf(cli->out, "    %-8s ", says);

    cli_wrap(cli->out, text != NULL ? text : "-", n > 0 ? (unsigned)n : 0, 13,
             cli_width(cli->out, WIDTH));
    free(text);
}

static void print_evidence(struct cli *cli, const json_t *rows)
{
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        bool offered = json_array_size(json_object_get(row, "offered")) > 0,
             allowed = json_array_size(json_object_get(row, "allowed")) > 0;

        (void)fprintf(cli->out, "  %s%s\n", cli_text(row, "what"),
                      !cli_true(row, "differs") ? ""
                      : offered || allowed      ? ": nothing is in both"
                                                : ": each kind would do, but not all together");
        if (offered) {
            print_side(cli, row, "offered", "client");
        }
        if (allowed) {
            print_side(cli, row, "allowed", "allowed");
        }
    }
}

static void print_explained(struct cli *cli, const json_t *body)
{
    const json_t *e = json_object_get(body, "explain");

    print_facts(cli, json_object_get(body, "attempt"));
    print_evidence(cli, json_object_get(e, "evidence"));
    (void)fputs("what it means\n", cli->out);
    cli_wrap(cli->out, cli_text(e, "meaning"), 0, INDENT, cli_width(cli->out, WIDTH));
    (void)fputs("what to do\n", cli->out);
    cli_wrap(cli->out, cli_text(e, "fix"), 0, INDENT, cli_width(cli->out, WIDTH));
}

static int cli_explain(struct cli *cli)
{
    const char *id = cli->arguments[0], *peer = cli->options[EXPLAIN_PEER];
    bool last = cli->options[EXPLAIN_LAST] != NULL;
    char found[ID_DIGITS + 1], path[64];
    int status = CLI_DONE;

    if ((id != NULL) + (peer != NULL) + last != 1) {
        (void)fprintf(cli->err, "holdfast: say which attempt: its ID (attempt= in the log), --peer "
                                "ADDRESS or --last\n");
        return CLI_USAGE;
    }
    if (id == NULL && !newest(cli, peer, found, &status)) {
        return status;
    }
    (void)snprintf(path, sizeof path, "/v1/attempts/%s", id != NULL ? id : found);
    return cli_show(cli, path, print_explained);
}

const struct cli_command cli_row_attempt_list = {
    .group = "attempt",
    .verb = "list",
    .arguments = "",
    .help = "IKE attempts that failed at this node, the newest first",
    .text =
        "A line for each; the same once more within a minute is counted in TIMES. Each node keeps "
        "its own: 256 of them, 16 of one source, for a day at most, until its next start. "
        "`holdfast explain ATTEMPT` says what one means and what to do.",
    .role = "viewer",
    .asks = "GET /v1/attempts",
    .examples = "holdfast attempt list\nholdfast attempt list --peer 192.0.2.7\nholdfast attempt "
                "list --identity alice@example.org -o json | jq -r '.attempts[].cause'",
    .options = {{"--limit", "N", "so many attempts (50; 200 at most)", CLI_NUMBER, NULL},
                {"--peer", "ADDRESS", "from this IP address alone", CLI_TEXT, NULL},
                {"--identity", "WHO", "of this identity alone, as the list shows it", CLI_TEXT,
                 NULL}},
    .watch = true,
    .run = cli_attempt_list};

const struct cli_command cli_row_explain = {
    .group = "explain",
    .verb = "",
    .arguments = "[ID]",
    .help = "why an attempt failed: what was offered, what is allowed, and what to change",
    .text = "ID stands in the log line of the failure, as attempt=ID, and in `holdfast attempt "
            "list`; its first four digits are the number of the node that keeps it, in "
            "hexadecimal. What the client said of itself is shown as it said it, proven or not.",
    .role = "viewer",
    .asks = "GET /v1/attempts, GET /v1/attempts/{id}",
    .examples = "holdfast explain 0001a3f20000002a\nholdfast explain --peer 192.0.2.7  # what "
                "failed last there\nholdfast explain --last\nholdfast explain --last -o json",
    .options = {{"--peer", "ADDRESS", "what failed last from this IP address", CLI_TEXT, NULL},
                {"--last", NULL, "what failed last, of whom ever", CLI_TEXT, NULL}},
    .n_more = 1,
    .kinds = {CLI_ATTEMPT},
    .run = cli_explain};
