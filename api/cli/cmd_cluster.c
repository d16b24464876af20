/* holdfast cluster status | transfer */
#include <inttypes.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

static const char *print_to(char buf[32], int64_t v)
{
    (void)snprintf(buf, 32, "%" PRId64, v);
    return buf;
}

/* One sentence: how healthy it is and what it still bears. */
static void print_headline(struct cli *cli, json_t *c)
{
    json_t *nodes = json_object_get(c, "nodes"), *shards = json_object_get(c, "shards"), *item;
    int64_t up = 0, all = (int64_t)json_array_size(nodes), served = 0, self = cli_number(c, "node");
    int64_t spare;
    size_t i;

    json_array_foreach(nodes, i, item)
    {
        up += cli_number(item, "id") == self || cli_true(item, "connected");
    }
    json_array_foreach(shards, i, item)
    {
        served += json_is_object(json_object_get(item, "owner"));
    }
    spare = up - (all / 2 + 1);
    (void)fprintf(cli->out, "%" PRId64 " of %" PRId64 " nodes up, ", up, all);
    if (!cli_true(c, "quorum") || spare < 0) {
        (void)fprintf(cli->out, "NO QUORUM: nothing can change");
    } else {
        (void)fprintf(cli->out, "can lose %" PRId64, spare);
    }
    (void)fprintf(cli->out, ", %" PRId64 " of %zu shards owned, %" PRId64 " tunnels\n", served,
                  json_array_size(shards), cli_number(c, "sas"));
}

/* A state that is not the majority's is the worst that can be said of a node, so it comes first. */
static void print_alarms(struct cli *cli, json_t *c)
{
    const char *waits = json_string_value(json_object_get(c, "waits")); /* older daemons say none */
    json_t *rollback = json_object_get(c, "rollback"), *item;
    size_t i;

    if (waits != NULL && waits[0] != '\0')
        (void)fprintf(cli->out, "ALARM: %s\n", waits);
    json_array_foreach(json_object_get(c, "nodes"), i, item)
    {
        const char *state = cli_text(item, "state");
        const char *distrust = cli_text(item, "distrust");

        if (distrust[0] != '\0' && strcmp(distrust, "-") != 0)
            (void)fprintf(cli->out,
                          "ALARM: the disk of node %" PRId64 " is not trusted: %s. It counts for "
                          "nothing until a majority without it has filled its log\n",
                          cli_number(item, "id"), distrust);
        if (strcmp(state, "differs") == 0)
            (void)fprintf(cli->out,
                          "ALARM: the state of node %" PRId64 " differs from the majority's: it "
                          "owns nothing until a sound one has taken its place\n",
                          cli_number(item, "id"));
        if (strcmp(state, "tied") == 0)
            (void)fprintf(cli->out,
                          "ALARM: the state of node %" PRId64 " differs from another node's, and "
                          "no majority tells which is right: bring the missing nodes back. Until "
                          "then no snapshot is taken, and the log grows\n",
                          cli_number(item, "id"));
    }
    if (json_is_false(json_object_get(rollback, "watched")))
        (void)fprintf(cli->out,
                      "ALARM: node %" PRId64 " does not hear when its machine is rolled back: %s. "
                      "Start its daemon anew, and after a rollback with --distrust\n",
                      cli_number(c, "node"), cli_text(rollback, "why"));
    cli_print_key_alarm(cli, json_object_get(c, "keys"));
}

static bool follows(json_t *node)
{
    const char *role = cli_text(node, "role");

    return strcmp(role, "voter") == 0 || strcmp(role, "-") == 0;
}

static void print_nodes(struct cli *cli, json_t *c)
{
    struct cli_table t = {0};
    json_t *item;
    size_t i;

    cli_table_row(&t, 5, "NODE", "ADDRESS", "LINK", "ROLE", "APPLIED");
    json_array_foreach(json_object_get(c, "nodes"), i, item)
    {
        bool self = cli_number(item, "id") == cli_number(c, "node");
        int64_t applied = self ? cli_number(c, "applied_index") : cli_number(item, "applied_index");
        char id[32], index[32];

        cli_table_row(&t, 5, print_to(id, cli_number(item, "id")), cli_text(item, "address"),
                      self                          ? "this node"
                      : cli_true(item, "connected") ? "up"
                                                    : "DOWN",
                      cli_number(item, "id") == cli_number(c, "leader") ? "leader"
                      : follows(item)                                   ? "follower"
                                                                        : cli_text(item, "role"),
                      applied > 0 ? print_to(index, applied) : "-");
    }
    cli_table_print(&t, cli->out);
}

static void print_shards(struct cli *cli, json_t *c)
{
    struct cli_table t = {0};
    json_t *item;
    size_t i;

    cli_table_row(&t, 6, "SHARD", "OUTSIDE", "INSIDE", "OWNER", "EPOCH", "HERE");
    json_array_foreach(json_object_get(c, "shards"), i, item)
    {
        json_t *owner = json_object_get(item, "owner"), *epoch = json_object_get(item, "epoch");
        json_t *lease = json_object_get(item, "lease");
        char id[32], node[64], number[64], here[64], out[128], in[128];

        (void)snprintf(node, sizeof node, json_is_object(owner) ? "node %" PRId64 : "nobody",
                       cli_number(owner, "node"));
        (void)snprintf(number, sizeof number, "%" PRId64 ".%" PRId64,
                       cli_number(epoch, "incarnation"), cli_number(epoch, "index"));
        (void)snprintf(here, sizeof here,
                       cli_true(item, "acting") ? "acting, lease %" PRId64 "ms" : "standing by",
                       cli_number(lease, "remaining_ms"));
        cli_table_row(&t, 6, print_to(id, cli_number(item, "id")),
                      cli_families(item, "outside", "outside6", out),
                      cli_families(item, "inside", "inside6", in), node, number, here);
    }
    cli_table_print(&t, cli->out);
}

static void print_certificate(struct cli *cli, const json_t *cert)
{
    if (json_is_object(cert))
        (void)fprintf(cli->out, "cluster '%s', this node's certificate %s (until %.10s)\n",
                      cli_text(cert, "cluster"),
                      json_is_string(json_object_get(cert, "problem")) ? cli_text(cert, "problem")
                                                                       : "is good",
                      cli_text(cert, "until"));
    (void)fputc('\n', cli->out);
}

static int cli_cluster_status(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *c = cli_ask(cli, "GET", "/v1/cluster", NULL, &status);

    if (c == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, c);
    }
    print_headline(cli, c);
    print_alarms(cli, c);
    (void)fprintf(cli->out,
                  "term %" PRId64 ", committed %" PRId64 ", applied %" PRId64 ", digest %.16s\n",
                  cli_number(c, "term"), cli_number(c, "commit_index"),
                  cli_number(c, "applied_index"), cli_text(c, "digest"));
    cli_print_keys(cli, json_object_get(c, "keys"));
    cli_print_beginnings(cli, json_object_get(c, "beginnings"));
    print_certificate(cli, json_object_get(c, "certificate"));
    print_nodes(cli, c);
    (void)fputc('\n', cli->out);
    print_shards(cli, c);
    json_decref(c);
    return CLI_DONE;
}

static int cli_cluster_transfer(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *body =
        cli_ask(cli, "POST", "/v1/cluster/leader",
                json_pack("{s:I}", "node", (json_int_t)cli_id(cli->arguments[0])), &status);

    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "node %" PRId64 " leads\n", cli_number(body, "leader"));
    json_decref(body);
    return CLI_DONE;
}

const struct cli_command cli_row_cluster_status = {
    .group = "cluster",
    .verb = "status",
    .arguments = "",
    .help = "how healthy the cluster is: nodes, leader, shards and who owns them",
    .text =
        "The first line says how many nodes are up, how many more may fail, how many shards have "
        "an owner, and how many tunnels there are. Lines that begin with ALARM say what is wrong "
        "and what to do. -o json has all that the node tells, in the fields of GET /v1/cluster.",
    .role = "viewer",
    .asks = "GET /v1/cluster",
    .examples = "holdfast cluster status\nholdfast cluster status -o json | jq .leader",
    .watch = true,
    .run = cli_cluster_status};

const struct cli_command cli_row_cluster_transfer = {
    .group = "cluster",
    .verb = "transfer",
    .arguments = "NODE",
    .help = "makes NODE the leader (ask the present leader)",
    .text = "The leader decides who owns a shard; it need not own any. No tunnel notices. "
            "`holdfast cluster status` says who leads; another node refuses and names it.",
    .role = "operator",
    .asks = "POST /v1/cluster/leader",
    .examples = "holdfast cluster transfer 2",
    .doing = "the leader hands over",
    .n_arguments = 1,
    .kinds = {CLI_NODE},
    .run = cli_cluster_transfer};
