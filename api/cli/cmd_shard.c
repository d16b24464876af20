/* holdfast shard list | move, node drain | undrain */
#include <inttypes.h>
#include <stdlib.h>

#include "api/cli/cli.h"

/* 1..65535, or 0 after saying what is wrong. */
static long id_of(struct cli *cli, const char *text, const char *what)
{
    char *end = NULL;
    long v = strtol(text, &end, 10);

    if (end != text && *end == '\0' && v >= 1 && v <= 65535) {
        return v;
    }
    (void)fprintf(cli->err,
                  "holdfast: '%s' is no %s: a number from 1 to 65535, see `holdfast shard list`\n",
                  text, what);
    return 0;
}

static const char *number_to(char buf[32], int64_t v)
{
    if (v > 0) {
        (void)snprintf(buf, 32, "%" PRId64, v);
    } else {
        (void)snprintf(buf, 32, "-");
    }
    return buf;
}

int cli_shard_list(struct cli *cli)
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

int cli_shard_move(struct cli *cli)
{
    long shard = id_of(cli, cli->arguments[0], "shard"), to;
    int status = CLI_DONE;
    char path[64];
    json_t *body;

    if (cli->options[0] == NULL) {
        (void)fprintf(cli->err, "holdfast: which node? `holdfast shard move ID --to NODE`\n");
        return CLI_USAGE;
    }
    to = shard != 0 ? id_of(cli, cli->options[0], "node") : 0;
    if (to == 0) {
        return CLI_USAGE;
    }
    (void)snprintf(path, sizeof path, "/v1/shards/%ld/handover", shard);
    body = cli_ask(cli, "POST", path, json_pack("{s:I}", "to", (json_int_t)to), &status);
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
    long node = id_of(cli, cli->arguments[0], "node");
    int status = CLI_DONE;
    char path[64];
    json_t *body;

    if (node == 0) {
        return CLI_USAGE;
    }
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

int cli_node_drain(struct cli *cli)
{
    return drain(cli, true);
}

int cli_node_undrain(struct cli *cli)
{
    return drain(cli, false);
}
