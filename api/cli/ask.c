/* Asking the node, and reading what it says without trusting its shape. */
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/problems.h"

enum { MOST_PAGES = 5000 };

int cli_print_json(struct cli *cli, json_t *body)
{
    if (cli->yaml) {
        (void)fputs(cli->line ? "---\n" : "", cli->out);
        cli_yaml(cli->out, body);
    } else {
        (void)json_dumpf(body, cli->out, cli->line ? JSON_COMPACT : JSON_INDENT(2));
        (void)fputc('\n', cli->out);
    }
    json_decref(body);
    return CLI_DONE;
}

/* Texts of others must not steer the terminal. In a document they are left as they are: it escapes
 * them. */
static void clean(json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;

    json_object_foreach(v, key, item)
    {
        clean(item);
    }
    json_array_foreach(v, i, item)
    {
        clean(item);
    }
    if (json_is_string(v)) {
        char *copy = strdup(json_string_value(v));

        if (copy != NULL) {
            cli_clean(copy);
            (void)json_string_set(v, copy);
        }
        free(copy);
    }
}

/* What is wrong, what that means, and where it is told. */
static void tell_problem(struct cli *cli, json_t *body, unsigned status)
{
    const char *type = json_string_value(json_object_get(body, "type"));
    const char *colon = type != NULL ? strrchr(type, ':') : NULL;
    const char *meaning = colon != NULL ? api_problem_meaning(colon + 1) : NULL;
    json_t *copy = json_deep_copy(body), *item;
    size_t i;

    clean(copy);
    (void)fprintf(cli->err, "holdfast: %s (%u)\n", cli_text(copy, "detail"), status);
    json_array_foreach(json_object_get(copy, "errors"), i, item)
    {
        const char *what = cli_text(item, "detail");
        bool same = strcmp(what, cli_text(copy, "detail")) == 0;

        (void)fprintf(cli->err, "  at %s%s%s\n", cli_text(item, "pointer"), same ? "" : ": ",
                      same ? "" : what);
    }
    if (meaning != NULL) {
        cli_wrap(cli->err, meaning, 0, 2, cli_width(cli->err, 100));
    }
    if (json_is_string(json_object_get(copy, "docs"))) {
        (void)fprintf(cli->err, "  see %s\n", cli_text(copy, "docs"));
    }
    json_decref(copy);
}

int cli_refuse(struct cli *cli, const char *name, const char *detail)
{
    char type[80];
    json_t *text = json_string(detail);

    (void)snprintf(type, sizeof type, "urn:holdfast:problem:%s", name);
    (void)fprintf(cli->err, "holdfast: %s\n", detail);
    if (cli->json) {
        (void)cli_print_json(cli, json_pack("{s:s, s:o}", "type", type, "detail",
                                            text != NULL ? text : json_string(name)));
    } else {
        json_decref(text);
    }
    return CLI_REFUSED;
}

int cli_refused(struct cli *cli, unsigned status, json_t *body)
{
    tell_problem(cli, body, status);
    if (cli->json && body != NULL) {
        (void)cli_print_json(cli, json_incref(body));
    }
    json_decref(body);
    return CLI_REFUSED;
}

json_t *cli_ask_exact(struct cli *cli, const char *method, const char *path, json_t *request,
                      int *exit)
{
    char error[CLI_WHY_BYTES] = "";
    json_t *body = NULL;
    unsigned status = 0;
    bool good = cli_http(cli, method, path, request, &status, &body, error, sizeof error);

    json_decref(request);
    if (!good) {
        (void)cli_refuse(cli, "no-node", error);
        *exit = CLI_NO_NODE;
        return NULL;
    }
    if (status >= 200 && status < 300 && body != NULL) {
        *exit = CLI_DONE;
        return body;
    }
    *exit = cli_refused(cli, status, body);
    return NULL;
}

json_t *cli_ask(struct cli *cli, const char *method, const char *path, json_t *request, int *exit)
{
    json_t *body = cli_ask_exact(cli, method, path, request, exit);

    if (body != NULL && !cli->json) {
        clean(body);
    }
    return body;
}

bool cli_put_query(char path[CLI_QUERY_BYTES], const char *name, const char *value)
{
    size_t n = strlen(path);
    int more = snprintf(path + n, CLI_QUERY_BYTES - n, "&%s=", name);

    for (; more > 0 && (size_t)more < CLI_QUERY_BYTES - n && *value != '\0'; value++) {
        bool plain = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "-._~:@/") > 0;

        n += (size_t)more;
        more =
            snprintf(path + n, CLI_QUERY_BYTES - n, plain ? "%c" : "%%%02X", (unsigned char)*value);
    }
    return more >= 0 && (size_t)more < CLI_QUERY_BYTES - n;
}

json_t *cli_ask_all(struct cli *cli, const char *path, const char *member, int *exit)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    json_t *all = cli_ask(cli, "GET", path, NULL, exit);
    json_t *next = all != NULL ? json_incref(json_object_get(all, "next")) : NULL;
    char more_path[160];

    for (unsigned page = 1; json_is_string(next) && page < MOST_PAGES; page++) {
        const char *cursor = json_string_value(next);
        json_t *more = NULL;

        if (strlen(cursor) > 100 || strspn(cursor, safe) != strlen(cursor)) {
            break;
        }
        (void)snprintf(more_path, sizeof more_path, "%s?cursor=%s", path, cursor);
        more = cli_ask(cli, "GET", more_path, NULL, exit);
        if (more == NULL) {
            json_decref(next);
            json_decref(all);
            return NULL;
        }
        (void)json_array_extend(json_object_get(all, member), json_object_get(more, member));
        json_decref(next);
        next = json_incref(json_object_get(more, "next"));
        json_decref(more);
    }
    if (next == NULL && all != NULL) {
        (void)json_object_del(all, "next");
    }
    json_decref(next);
    return all;
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

int cli_show(struct cli *cli, const char *path, void (*print)(struct cli *cli, const json_t *body))
{
    int status = CLI_DONE;
    json_t *body = cli_ask(cli, "GET", path, NULL, &status);

    if (body == NULL) {
        return status;
    }
    if (cli->json) {
        return cli_print_json(cli, body);
    }
    print(cli, body);
    json_decref(body);
    return CLI_DONE;
}
