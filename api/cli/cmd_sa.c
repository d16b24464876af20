/* holdfast sa list | rekey */
#include <inttypes.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

enum { OPTION_KIND, OPTION_CHILD, OPTION_PFS, OPTION_NO_PFS };

static void add_child(struct cli_table *t, json_t *child)
{
    char in[32], out[32], name[32], numbers[96];

    (void)snprintf(name, sizeof name, "  %s", cli_text(child, "spi_in"));
    (void)snprintf(in, sizeof in, "in %" PRId64, cli_number(child, "packets_in"));
    (void)snprintf(out, sizeof out, "out %" PRId64, cli_number(child, "packets_out"));
    (void)snprintf(numbers, sizeof numbers,
                   "next %" PRId64 " of %" PRId64 ", last %" PRId64 " of %" PRId64,
                   cli_number(child, "next_out"), cli_number(child, "reservation_end"),
                   cli_number(child, "last_in"), cli_number(child, "ceiling"));
    cli_table_row(t, 7, name, cli_text(child, "spi_out"), in, out, cli_text(child, "state"), "",
                  numbers);
}

static void add_sa(struct cli_table *t, json_t *sa, int64_t now)
{
    char age[32], soft[32], life[96], addresses[128];
    json_t *child;
    size_t i;

    (void)snprintf(life, sizeof life, "%s old, rekey in %s",
                   cli_span(now - cli_number(sa, "established_ms"), age),
                   cli_span(cli_number(sa, "soft_ms") - now, soft));
    cli_table_row(t, 7, cli_text(sa, "id"), cli_text(sa, "identity"), cli_text(sa, "peer"),
                  cli_families(sa, "virtual_ip", "virtual_ip6", addresses), cli_text(sa, "state"),
                  cli_text(sa, "role"), life);
    json_array_foreach(json_object_get(sa, "children"), i, child)
    {
        add_child(t, child);
    }
}

static int cli_sa_list(struct cli *cli)
{
    struct cli_table t = {0};
    int status = CLI_DONE;
    json_t *body = cli_ask_all(cli, "/v1/sas", "sas", &status), *cluster, *sa;
    size_t i;

    if (body == NULL || cli->json) {
        return body == NULL ? status : cli_print_json(cli, body);
    }
    cluster = cli_ask(cli, "GET", "/v1/cluster", NULL, &status);
    if (cluster == NULL) {
        json_decref(body);
        return status;
    }
    cli_table_row(&t, 7, "SA", "IDENTITY", "PEER", "ADDRESS", "STATE", "ROLE", "LIFE");
    json_array_foreach(json_object_get(body, "sas"), i, sa)
    {
        add_sa(&t, sa, cli_number(cluster, "cluster_ms"));
    }
    cli_table_print(&t, cli->out);
    (void)fprintf(cli->out, "%zu SAs\n", json_array_size(json_object_get(body, "sas")));
    json_decref(cluster);
    json_decref(body);
    return CLI_DONE;
}

/* NULL, or what is wrong with the options. */
static const char *check_rekey(struct cli *cli)
{
    const char *kind = cli->options[OPTION_KIND];
    bool pfs = cli->options[OPTION_PFS] != NULL, no_pfs = cli->options[OPTION_NO_PFS] != NULL;

    if (kind == NULL) {
        return "say --kind child or --kind ike";
    }
    if (pfs && no_pfs) {
        return "--pfs and --no-pfs contradict each other";
    }
    if (strcmp(kind, "ike") == 0 && (pfs || no_pfs || cli->options[OPTION_CHILD] != NULL)) {
        return "--child, --pfs and --no-pfs belong to --kind child: an IKE rekey always has a key "
               "exchange";
    }
    return NULL;
}

static int cli_sa_rekey(struct cli *cli)
{
    const char *id = cli->arguments[0], *wrong = check_rekey(cli);
    int status = CLI_DONE;
    json_t *request, *body;
    char path[64];

    if (wrong != NULL) {
        (void)fprintf(cli->err, "holdfast: %s\n", wrong);
        return CLI_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/sas/%s/rekey", id);
    request = json_pack("{s:s}", "kind", cli->options[OPTION_KIND]);
    if (cli->options[OPTION_CHILD] != NULL) {
        json_object_set_new(request, "child", json_string(cli->options[OPTION_CHILD]));
    }
    if (cli->options[OPTION_PFS] != NULL || cli->options[OPTION_NO_PFS] != NULL) {
        json_object_set_new(request, "pfs", json_boolean(cli->options[OPTION_PFS] != NULL));
    }
    body = cli_ask(cli, "POST", path, request, &status);
    if (body == NULL || cli->json) {
        return body == NULL ? status : cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "rekey of %s has begun\n", id);
    json_decref(body);
    return CLI_DONE;
}

const struct cli_command cli_row_sa_list = {
    .group = "sa",
    .verb = "list",
    .arguments = "",
    .help = "every tunnel with its CHILD SAs",
    .text = "A line for each IKE SA, and under it one for each of its CHILD SAs: SPIs in and out, "
            "packets, and the numbers that are reserved. ID is what `holdfast sa rekey` takes. "
            "LIFE says when the gateway will rekey it.",
    .role = "viewer",
    .asks = "GET /v1/sas, GET /v1/cluster",
    .examples = "holdfast sa list\nholdfast sa list -o json | jq -r '.sas[].identity'",
    .watch = true,
    .run = cli_sa_list};

const struct cli_command cli_row_sa_rekey = {
    .group = "sa",
    .verb = "rekey",
    .arguments = "ID",
    .help = "begins a rekey of the tunnel ID (ask its owner)",
    .text = "It only begins it: the exchange with the peer takes a round trip or more. `holdfast "
            "sa list` shows the new SPIs.",
    .role = "operator",
    .asks = "POST /v1/sas/{id}/rekey",
    .examples = "holdfast sa rekey 0123456789abcdef --kind child\nholdfast sa rekey "
                "0123456789abcdef --kind child --child c0ffee01 --pfs",
    .options = {{"--kind", "KIND", "what to rekey", CLI_CHOICE, "child|ike"},
                {"--child", "SPI", "which CHILD SA, by its inbound SPI", CLI_TEXT, NULL},
                {"--pfs", NULL, "with a key exchange, whatever the policy says", CLI_TEXT, NULL},
                {"--no-pfs", NULL, "without one", CLI_TEXT, NULL}},
    .n_arguments = 1,
    .kinds = {CLI_SA},
    .run = cli_sa_rekey};
