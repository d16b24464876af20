/* holdfast reload */
#include <inttypes.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

static int cli_reload(struct cli *cli)
{
    int status = CLI_DONE;
    json_t *body = cli_ask(cli, "POST", "/v1/reload", json_object(), &status);

    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    (void)fprintf(cli->out,
                  "in force: %" PRId64 " shared keys, %" PRId64 " certificates, %" PRId64
                  " client CA files; tunnels stay\n",
                  cli_number(body, "psks"), cli_number(body, "certificates"),
                  cli_number(body, "client_ca_files"));
    json_decref(body);
    return CLI_DONE;
}

const struct cli_command cli_row_reload = {
    .group = "reload",
    .verb = "",
    .arguments = "",
    .help = "reads shared keys, certificates, CAs and revocation lists anew; tunnels stay",
    .text = "The same as SIGHUP to the daemon. A bad file is refused as a whole: what was in force "
            "stays so.",
    .role = "admin",
    .asks = "POST /v1/reload",
    .examples = "holdfast reload",
    .run = cli_reload};
