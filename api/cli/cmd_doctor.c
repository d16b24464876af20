/* holdfast doctor */
#include <inttypes.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

enum { WIDTH = 100, INDENT = 9 };

static bool is_note(const json_t *finding)
{
    return strcmp(cli_text(finding, "severity"), "note") == 0;
}

static void print_part(struct cli *cli, const char *name, const char *text)
{
    int n = fprintf(cli->out, "  %-6s ", name);

    cli_wrap(cli->out, text, n > 0 ? (unsigned)n : 0, INDENT, cli_width(cli->out, WIDTH));
}

static void print_finding(struct cli *cli, const json_t *finding)
{
    (void)fprintf(cli->out, "%s %s: %s\n", cli_text(finding, "severity"), cli_text(finding, "id"),
                  cli_text(finding, "subject"));
    print_part(cli, "seen", cli_text(finding, "evidence"));
    print_part(cli, "means", cli_text(finding, "meaning"));
    print_part(cli, "do", cli_text(finding, "next"));
    (void)fputc('\n', cli->out);
}

static void print_findings(struct cli *cli, const json_t *body)
{
    json_t *list = json_object_get(body, "findings"), *item;
    size_t i, notes = 0, n = json_array_size(list);

    json_array_foreach(list, i, item)
    {
        print_finding(cli, item);
        notes += is_note(item);
    }
    (void)fprintf(cli->out,
                  "%zu findings, %zu of them notes; node %" PRId64 " looked for %" PRId64
                  " things, of the last %" PRId64 " s where it counts\n",
                  n, notes, cli_number(body, "node"), cli_number(body, "checked"),
                  cli_number(body, "window_s"));
}

static int cli_doctor(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *body = cli_ask(cli, "GET", "/v1/doctor", NULL, &status), *list, *item;
    size_t i;

    if (body == NULL) {
        return status;
    }
    list = json_object_get(body, "findings");
    if (!json_is_array(list) || cli_number(body, "checked") < 1) {
        json_decref(body);
        return cli_refuse(cli, "no-findings", "that answer says nothing: is it a holdfast node?");
    }
    json_array_foreach(list, i, item)
    {
        status = is_note(item) ? status : CLI_REFUSED;
    }
    if (cli->json) {
        (void)cli_print_json(cli, body);
        return status;
    }
    print_findings(cli, body);
    json_decref(body);
    return status;
}

const struct cli_command cli_row_doctor = {
    .group = "doctor",
    .verb = "",
    .arguments = "",
    .help = "what is wrong, how it shows, what it means and what to do",
    .text =
        "Looks at the cluster as the node that is asked sees it, at that node itself (links, disk, "
        "MTU, certificate), and at what it counted in the last five minutes: packets that the "
        "kernel refused, replays, clients that stopped answering, UDP 4500 silent, pools that are "
        "empty. Ask each node: what is wrong with a machine shows there.",
    .role = "viewer",
    .asks = "GET /v1/doctor",
    .exits = "0 when nothing but notes was found, 1 when more was",
    .examples = "holdfast doctor\nholdfast doctor -o json | jq -r '.findings[].id'",
    .watch = true,
    .run = cli_doctor};
