/* holdfast profile */
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

enum { PROFILE_IDENTITY, PROFILE_ADDRESS, PROFILE_FILE };

static int cli_profile(struct cli *cli)
{
    const char *identity = cli->options[PROFILE_IDENTITY], *at = cli->options[PROFILE_ADDRESS];
    const char *file = cli->options[PROFILE_FILE], *text;
    int status = CLI_DONE;
    json_t *ask, *body;

    if (identity == NULL) {
        (void)fprintf(cli->err, "holdfast: say whose it is: --identity alice@example.org\n");
        return CLI_USAGE;
    }
    ask =
        json_pack("{s:s,s:s,s:s*}", "kind", cli->arguments[0], "identity", identity, "server", at);
    if (ask == NULL) {
        (void)fprintf(cli->err, "holdfast: those are no texts\n");
        return CLI_USAGE;
    }
    /* To the byte: it is a file for another program. */
    body = cli_ask_exact(cli, "POST", "/v1/profiles", ask, &status);
    if (body == NULL) {
        return status;
    }
    text = cli_text(body, "text");
    if (file != NULL && !cli_file_write(file, text, strlen(text), 0644, false)) {
        (void)fprintf(cli->err, "holdfast: %s was not written: is it there already?\n", file);
        json_decref(body);
        return CLI_REFUSED;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    if (file == NULL) {
        (void)fputs(text, cli->out);
    }
    json_decref(body);
    return CLI_DONE;
}

const struct cli_command cli_row_profile = {
    .group = "profile",
    .verb = "",
    .arguments = "KIND",
    .help = "a client's configuration, made of the gateway's own policy",
    .text =
        "KIND is swanctl (strongSwan), apple (iOS, macOS), windows, android (strongSwan's app) or "
        "networkmanager. What it offers, how long its SAs live and whether rekeys make a new key "
        "exchange are the gateway's own, so that nothing mismatches at the first rekey.\n\n"
        "No secret is in it: the shared key, or the certificate of `holdfast pki client`, comes to "
        "the client in another way, and the text says where it belongs. A client that can do none "
        "of what the gateway offers gets none; why is told.",
    .role = "viewer",
    .asks = "POST /v1/profiles",
    .examples = "holdfast profile swanctl --identity alice@example.org --address vpn.example.org\n"
                "holdfast profile apple --identity alice@example.org --file alice.mobileconfig",
    .options = {{"--identity", "WHO", "the client: a name or an e-mail address", CLI_TEXT, NULL},
                {"--address", "WHERE",
                 "where it finds the gateway: a name or an IP address (the first service address)",
                 CLI_TEXT, NULL},
                {"--file", "FILE", "written there, where nothing is yet; else to stdout", CLI_FILE,
                 NULL}},
    .n_arguments = 1,
    .kinds = {CLI_CHOICE},
    .choices = "swanctl|apple|windows|android|networkmanager",
    .run = cli_profile};
