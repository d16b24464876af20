/* Asking the node, and reading what it says without trusting its shape. */
#include <string.h>

#include "api/cli/cli.h"

int cli_print_json(struct cli *cli, json_t *body)
{
    (void)json_dumpf(body, cli->out, JSON_INDENT(2));
    (void)fputc('\n', cli->out);
    json_decref(body);
    return CLI_DONE;
}

json_t *cli_ask(struct cli *cli, const char *method, const char *path, json_t *request, int *exit)
{
    char error[512] = "";
    json_t *body = NULL;
    unsigned status = 0;
    bool good = cli_http(cli->socket, method, path, request, &status, &body, error, sizeof error);

    json_decref(request);
    if (!good) {
        (void)fprintf(cli->err, "holdfast: %s\n", error);
        if (cli->json) {
            (void)cli_print_json(cli, json_pack("{s:s, s:s}", "type",
                                                "urn:holdfast:problem:no-node", "detail", error));
        }
        *exit = CLI_NO_NODE;
        return NULL;
    }
    if (status < 400 && body != NULL) {
        *exit = CLI_DONE;
        return body;
    }
    (void)fprintf(cli->err, "holdfast: %s (%u)\n", cli_text(body, "detail"), status);
    if (cli->json && body != NULL) {
        (void)cli_print_json(cli, json_incref(body));
    }
    json_decref(body);
    *exit = CLI_REFUSED;
    return NULL;
}

const char *cli_families(const json_t *object, const char *v4, const char *v6, char buf[128])
{
    const char *a = json_string_value(json_object_get(object, v4));
    const char *b = json_string_value(json_object_get(object, v6));

    (void)snprintf(buf, 128, "%s%s%s",
                   a != NULL   ? a
                   : b != NULL ? ""
                               : "-",
                   a != NULL && b != NULL ? " " : "", b != NULL ? b : "");
    return buf;
}

const char *cli_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "-";
}

int64_t cli_number(const json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

bool cli_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}
