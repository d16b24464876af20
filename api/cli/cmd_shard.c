/* holdfast shard list | move, node drain | undrain */
#include <inttypes.h>
#include <stdlib.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

static const char *number_to(char buf[32], int64_t v)
{
    if (v > 0) {
        (void)snprintf(buf, 32, "%" PRId64, v);
    } else {
        (void)snprintf(buf, 32, "-");
    }
    return buf;
}

static int cli_shard_list(struct cli *cli)
{
    struct cli_table t = {0};
    int status = CLI_DONE;
    json_t *c = cli_ask(cli, "GET", "/v1/cluster", NULL, &status), *item;
    size_t i;

    if (c == NULL) {
        return status;
    }
    if (cli->json) {
        json_t *shards = json_incref(json_object_get(c, "shards"));

        json_decref(c);
        return cli_print_json(cli, json_pack("{s:o}", "shards", shards));
    }
    cli_table_row(&t, 6, "SHARD", "OUTSIDE", "INSIDE", "OWNER", "HOME", "MOVING TO");
    json_array_foreach(json_object_get(c, "shards"), i, item)
    {
        json_t *owner = json_object_get(item, "owner");
        char id[32], node[32], home[32], to[32];

        cli_table_row(&t, 6, number_to(id, cli_number(item, "id")), cli_text(item, "outside"),
                      cli_text(item, "inside"), number_to(node, cli_number(owner, "node")),
                      number_to(home, cli_number(item, "home")),
                      number_to(to, cli_number(item, "moving_to")));
    }
    cli_table_print(&t, cli->out);
    json_decref(c);
    return CLI_DONE;
}

static int cli_shard_move(struct cli *cli)
{
    int status = CLI_DONE;
    char path[64];
    json_t *body;

    if (cli->options[0] == NULL) {
        (void)fprintf(cli->err, "holdfast: which node? `holdfast shard move ID --to NODE`\n");
        return CLI_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/shards/%ld/handover", cli_id(cli->arguments[0]));
    body = cli_ask(cli, "POST", path, json_pack("{s:I}", "to", (json_int_t)cli_id(cli->options[0])),
                   &status);
    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "shard %" PRId64 " is with node %" PRId64 "\n",
                  cli_number(body, "shard"), cli_number(body, "owner"));
    json_decref(body);
    return CLI_DONE;
}

static int drain(struct cli *cli, bool drained)
{
    long node = cli_id(cli->arguments[0]);
    int status = CLI_DONE;
    char path[64];
    json_t *body;

    (void)snprintf(path, sizeof path, "/v1/nodes/%ld/drain", node);
    body = cli_ask(cli, "POST", path, json_pack("{s:b}", "drained", drained), &status);
    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out,
                  drained ? "node %ld is drained: it owns nothing and is given nothing\n"
                          : "node %ld takes shards again\n",
                  node);
    json_decref(body);
    return CLI_DONE;
}

static int cli_node_drain(struct cli *cli)
{
    return drain(cli, true);
}

static int cli_node_undrain(struct cli *cli)
{
    return drain(cli, false);
}

const struct cli_command cli_row_shard_list = {
    .group = "shard",
    .verb = "list",
    .arguments = "",
    .help = "who owns which shard, and who should",
    .text = "HOME is the node that the shard goes back to when that has been well for a minute; a "
            "dash: it is as well with any. MOVING TO: a handover is under way.",
    .role = "viewer",
    .asks = "GET /v1/cluster",
    .examples = "holdfast shard list\nholdfast shard list -o yaml",
    .watch = true,
    .run = cli_shard_list};

const struct cli_command cli_row_shard_move = {
    .group = "shard",
    .verb = "move",
    .arguments = "ID",
    .help = "hands shard ID over to a node, which is its home from then on (ask any node)",
    .text = "Its tunnels go on there: no packet is lost, no client notices.",
    .role = "operator",
    .asks = "POST /v1/shards/{id}/handover",
    .examples = "holdfast shard move 2 --to 3",
    .doing = "the owner hands over",
    .options = {{"--to", "NODE", "who gets it", CLI_NODE, NULL}},
    .n_arguments = 1,
    .kinds = {CLI_SHARD},
    .run = cli_shard_move};

const struct cli_command cli_row_node_drain = {
    .group = "node",
    .verb = "drain",
    .arguments = "NODE",
    .help = "NODE hands over all its shards and is given none (ask any node)",
    .text = "For work on a machine: its tunnels go on elsewhere without a lost packet. It stays a "
            "member. `holdfast node undrain` ends it.",
    .role = "operator",
    .asks = "POST /v1/nodes/{id}/drain",
    .examples = "holdfast node drain 2",
    .doing = "the node hands over its shards",
    .n_arguments = 1,
    .kinds = {CLI_NODE},
    .run = cli_node_drain};

const struct cli_command cli_row_node_undrain = {
    .group = "node",
    .verb = "undrain",
    .arguments = "NODE",
    .help = "NODE takes shards again",
    .text = "The end of `holdfast node drain`. Its shards come back by themselves, unless "
            "`cluster: rebalance` is manual.",
    .role = "operator",
    .asks = "POST /v1/nodes/{id}/drain",
    .examples = "holdfast node undrain 2",
    .n_arguments = 1,
    .kinds = {CLI_NODE},
    .run = cli_node_undrain};
