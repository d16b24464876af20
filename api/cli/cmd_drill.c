/* holdfast drill arm; every other drill command is holdfast-drill's, beside this program. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli/cli.h"

int cli_drill_arm(struct cli *cli)
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

int cli_drill_exec(int argc, char **argv, bool json)
{
    char path[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    char **words = calloc((size_t)argc + 4, sizeof *words);
    int k = 0;

    if (n < 0 || words == NULL) {
        (void)fprintf(stderr, "holdfast: %s\n", strerror(errno));
        free(words);
        return CLI_REFUSED;
    }
    path[n] = '\0';
    (void)snprintf(strrchr(path, '/'), 16, "/holdfast-drill");
    words[k++] = path;
    for (int i = 0; i < argc; i++) {
        words[k++] = argv[i];
    }
    if (json) {
        words[k++] = (char[]){"-o"};
        words[k++] = (char[]){"json"};
    }
    (void)execv(path, words);
    (void)fprintf(stderr, "holdfast: %s: %s (it is built beside this program)\n", path,
                  strerror(errno));
    free(words);
    return CLI_REFUSED;
}
