/* holdfast cluster rotate-keys */
#include <inttypes.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

static int cli_cluster_rotate_keys(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *body = cli_ask(cli, "POST", "/v1/cluster/keys", json_object(), &status);

    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out,
                  "sessions are sealed with the key %s; %s is erased: nobody can open what it "
                  "sealed\n",
                  cli_text(body, "session"), cli_text(body, "erased"));
    json_decref(body);
    return CLI_DONE;
}

void cli_print_keys(struct cli *cli, const json_t *keys)
{
    int64_t minutes = cli_number(keys, "age_ms") / 60000;

    if (!json_is_object(keys))
        return;
    (void)fprintf(cli->out, "key of sessions: %" PRId64 " min old, replaced ",
                  cli_number(keys, "since_ms") / 60000);
    if (minutes > 0)
        (void)fprintf(cli->out, "after %" PRId64 " min", minutes);
    else
        (void)fputs("by command", cli->out);
    if (json_is_string(json_object_get(keys, "former")))
        (void)fputs("; the former one waits for a majority's snapshots", cli->out);
    (void)fputc('\n', cli->out);
    if (!json_is_integer(json_object_get(keys, "erased_within_ms")))
        (void)fputs("keys of a deleted tunnel: no time is promised within which nobody can read "
                    "them any more\n",
                    cli->out);
    else
        (void)fprintf(cli->out,
                      "keys of a deleted tunnel: nobody can read them any more after at most "
                      "%" PRId64 " min\n",
                      (cli_number(keys, "erased_within_ms") + 59999) / 60000);
}

void cli_print_key_alarm(struct cli *cli, const json_t *keys)
{
    bool former = json_is_string(json_object_get(keys, "former"));

    if (!cli_true(keys, "overdue"))
        return;
    (void)fprintf(cli->out,
                  "ALARM: %s for %" PRId64
                  " min: what was stored of tunnels deleted since can still be read. %s\n",
                  former ? "a former key of sessions waits to be erased"
                         : "the key of sessions has been in use",
                  cli_number(keys, former ? "former_since_ms" : "since_ms") / 60000,
                  former ? "A majority of the nodes must have made a snapshot: look at their disks"
                         : "See the leader's log");
}

const struct cli_command cli_row_cluster_rotate_keys = {
    .group = "cluster",
    .verb = "rotate-keys",
    .arguments = "",
    .help =
        "seals what is stored of sessions with another key, and erases the former (ask any node)",
    .text = "It waits until the former key is erased: from then on nobody can open what was stored "
            "of tunnels that are deleted by now, with all disks and the memory of all nodes.",
    .role = "admin",
    .asks = "POST /v1/cluster/keys",
    .examples = "holdfast cluster rotate-keys",
    .doing = "a majority makes snapshots without the former key",
    .run = cli_cluster_rotate_keys};
