/* holdfast drill arm; every other drill command is holdfast-drill's, beside this program. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

static int cli_drill_arm(struct cli *cli)
{
    const char *mode = cli->options[0] != NULL ? cli->options[0] : "process";
    int status = CLI_DONE;
    json_t *request = json_pack("{s:s, s:s}", "point", cli->arguments[0], "mode", mode), *body;

    if (request == NULL) {
        (void)fprintf(
            cli->err,
            "holdfast: a step point is exchange:role:point, such as child-rekey:gateway:sent\n");
        return CLI_USAGE;
    }
    body = cli_ask(cli, "POST", "/v1/drills/arm", request, &status);
    if (body == NULL || cli->json) {
        return body == NULL ? status : cli_print_json(cli, body);
    }
    (void)fprintf(cli->out, "armed: the node dies when it reaches %s\n", cli->arguments[0]);
    json_decref(body);
    return CLI_DONE;
}

static int cli_drill_pass(struct cli *cli)
{
    char path[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    char **words = calloc((size_t)cli->n_rest + 5, sizeof *words);
    int k = 0;

    if (n < 0 || words == NULL) {
        (void)fprintf(stderr, "holdfast: %s\n", strerror(errno));
        free(words);
        return CLI_REFUSED;
    }
    path[n] = '\0';
    (void)snprintf(strrchr(path, '/'), 16, "/holdfast-drill");
    words[k++] = path;
    words[k++] = (char *)(uintptr_t)cli->command->verb;
    for (int i = 0; i < cli->n_rest; i++) {
        words[k++] = cli->rest[i];
    }
    if (cli->json) {
        words[k++] = (char[]){"-o"};
        words[k++] = (char[]){"json"};
    }
    (void)execv(path, words);
    (void)fprintf(stderr, "holdfast: %s: %s (it is built beside this program)\n", path,
                  strerror(errno));
    free(words);
    return CLI_REFUSED;
}

const struct cli_command cli_row_drill_arm = {
    .group = "drill",
    .verb = "arm",
    .arguments = "POINT",
    .help = "lets this node die when it reaches the step POINT (needs `drills: enabled`)",
    .text = "POINT is exchange:role:point, such as child-rekey:gateway:sent: who began the "
            "exchange (client, gateway), and stepped, submitted, committed, sent or peer.",
    .role = "drill",
    .asks = "POST /v1/drills/arm",
    .examples = "holdfast drill arm child-rekey:gateway:sent --mode machine",
    .options = {{"--mode", "MODE", "how it dies (process)", CLI_CHOICE, "process|machine"}},
    .n_arguments = 1,
    .kinds = {CLI_TEXT},
    .run = cli_drill_arm};

const struct cli_command cli_row_drill_run = {
    .group = "drill",
    .verb = "run",
    .arguments = "FILE...",
    .help = "runs drills in a lab of their own, as root",
    .text =
        "FILE is a drill or a folder of them. Real clients with traffic run in network namespaces, "
        "the fault is injected, and an oracle judges every packet. All words behind it are those "
        "of holdfast-drill, which is built beside this program and is in no package.",
    .exits = "0 pass; 1 fail; 2 inconclusive; 3 aborted, also a bad drill; 64 a bad command line",
    .examples = "holdfast drill run chaos/drills/mid-rekey/\nholdfast drill run "
                "chaos/drills/handover.yaml --only '*:1' -o json",
    .options = {{"--repeat", "N", "each cell N times", CLI_NUMBER, NULL},
                {"--seed", "S", "instead of the drill's own", CLI_NUMBER, NULL},
                {"--only", "GLOB", "cells whose id matches", CLI_TEXT, NULL},
                {"--sample", "N", "N of them, chosen by the seed", CLI_NUMBER, NULL},
                {"--jobs", "N", "N at once, where gaps are not measured", CLI_NUMBER, NULL},
                {"--evidence", "DIR", "captures and logs", CLI_DIR, NULL},
                {"--stay", NULL, "keep the lab until Ctrl-C", CLI_TEXT, NULL},
                {"--screen", NULL, "a live screen", CLI_TEXT, NULL},
                {"-q", NULL, "say nothing while it runs", CLI_TEXT, NULL},
                {"--bin", "DIR", "where holdfastd is", CLI_DIR, NULL}},
    .n_arguments = 1,
    .kinds = {CLI_FILE},
    .passes = true,
    .run = cli_drill_pass};

const struct cli_command cli_row_drill_validate = {
    .group = "drill",
    .verb = "validate",
    .arguments = "FILE...",
    .help = "reads drills and says what is wrong in them, with the line",
    .text = "Nothing is run. All words behind it are those of holdfast-drill, which is built "
            "beside this program and is in no package.",
    .exits = "0 pass; 1 fail; 2 inconclusive; 3 aborted, also a bad drill; 64 a bad command line",
    .examples = "holdfast drill validate chaos/drills/",
    .n_arguments = 1,
    .kinds = {CLI_FILE},
    .passes = true,
    .run = cli_drill_pass};

const struct cli_command cli_row_drill_plan = {
    .group = "drill",
    .verb = "plan",
    .arguments = "FILE...",
    .help = "the cells that drills expand to, by their ids",
    .text = "Nothing is run. All words behind it are those of holdfast-drill, which is built "
            "beside this program and is in no package.",
    .exits = "0 pass; 1 fail; 2 inconclusive; 3 aborted, also a bad drill; 64 a bad command line",
    .examples = "holdfast drill plan chaos/drills/mid-rekey/",
    .n_arguments = 1,
    .kinds = {CLI_FILE},
    .passes = true,
    .run = cli_drill_pass};

const struct cli_command cli_row_drill_list = {
    .group = "drill",
    .verb = "list",
    .arguments = "FILE...",
    .help = "the drills in a folder, by name",
    .text = "Nothing is run. All words behind it are those of holdfast-drill, which is built "
            "beside this program and is in no package.",
    .exits = "0 pass; 1 fail; 2 inconclusive; 3 aborted, also a bad drill; 64 a bad command line",
    .examples = "holdfast drill list chaos/drills/",
    .n_arguments = 1,
    .kinds = {CLI_FILE},
    .passes = true,
    .run = cli_drill_pass};
