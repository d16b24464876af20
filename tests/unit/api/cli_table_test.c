/* The table of commands: each row is whole, and what is made of it says all that is in it. */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/internal.h"

enum { MOST_WORDS = 24 };

static char *said;
static size_t said_bytes;

static void hear(FILE **out)
{
    free(said);
    said = NULL;
    *out = open_memstream(&said, &said_bytes);
    cr_assert_not_null(*out);
}

/* Parses the words of a line as a shell would (quotes, no expansions), up to a comment, a pipe or a
 * redirection. Returns what cli_parse does; all it says is in `said`. */
static bool parse(const char *line, struct cli *cli, int *status)
{
    static char copy[512];
    char *words[MOST_WORDS + 1] = {NULL};
    char *to = copy, quote = '\0';
    int n = 0;
    FILE *out;
    bool inside = false, good;

    for (const char *p = line;; p++) {
        bool end = *p == '\0' || (quote == '\0' && (*p == '#' || *p == '|' || *p == '>'));

        if (end || (*p == ' ' && quote == '\0')) {
            *to = '\0';
            to += inside;
            inside = false;
            if (end) {
                break;
            }
        } else {
            if (!inside) {
                cr_assert_lt(n, MOST_WORDS);
                words[n++] = to;
                inside = true;
            }
            if (*p == quote || (quote == '\0' && (*p == '\'' || *p == '"'))) {
                quote = quote == '\0' ? *p : '\0';
            } else {
                *to++ = *p;
            }
        }
    }
    hear(&out);
    *cli = (struct cli){.out = out, .err = out};
    good = cli_parse(cli, n, words, status);
    cr_assert_eq(fclose(out), 0);
    return good;
}

static unsigned words_of(const char *text)
{
    unsigned n = 0;

    for (size_t k; *(text += strspn(text, " ")) != '\0'; text += k, n++) {
        k = strcspn(text, " ");
    }
    return n;
}

static void check_option(const char *name, const struct cli_option *o)
{
    cr_expect(o->name[0] == '-' && o->help != NULL && o->help[0] != '\0', "%s %s", name, o->name);
    cr_expect_null(strchr(o->help, '\n'), "%s %s: help is a line", name, o->name);
    cr_expect_eq(o->kind == CLI_CHOICE, o->choices != NULL, "%s %s", name, o->name);
    cr_expect(o->value != NULL || o->kind == CLI_TEXT, "%s %s: a switch has no kind", name,
              o->name);
}

static void check_row(const struct cli_command *c)
{
    char name[64];
    unsigned choices = 0;

    (void)cli_name(c, name);
    cr_expect_not_null(cli_find_group(c->group), "%s: its group is in no list", name);
    cr_expect_eq(cli_find(c->group, c->verb), c, "%s stands twice in the table", name);
    cr_expect(c->help != NULL && c->help[0] != '\0' && strchr(c->help, '\n') == NULL, "%s: help",
              name);
    cr_expect(c->text != NULL && strlen(c->text) > 10, "%s: no longer text", name);
    cr_expect(c->examples != NULL && strncmp(c->examples, "holdfast ", 9) == 0, "%s: examples",
              name);
    cr_expect_not_null(c->run, "%s runs nothing", name);
    cr_expect_eq(c->role == NULL, c->asks == NULL, "%s: role and operation", name);
    cr_expect_eq(words_of(c->arguments) + (c->n_more > 1 ? c->n_more - 1 : 0),
                 c->n_arguments + c->n_more, "%s: arguments", name);
    cr_assert_leq(c->n_arguments + c->n_more, CLI_MOST_ARGUMENTS);
    for (size_t k = 0; k < CLI_MOST_ARGUMENTS; k++) {
        choices += c->kinds[k] == CLI_CHOICE;
    }
    cr_expect_eq(choices > 0, c->choices != NULL, "%s: choices", name);
    for (size_t k = 0; k < CLI_MOST_OPTIONS && c->options[k].name != NULL; k++) {
        check_option(name, &c->options[k]);
    }
}

Test(cli_table, every_row_has_all_texts)
{
    size_t n = 0;

    for (; cli_commands[n] != NULL; n++) {
        check_row(cli_commands[n]);
    }
    cr_expect_gt(n, 30);
    for (const struct cli_group *g = cli_groups; g->name != NULL; g++) {
        bool used = false;

        for (size_t i = 0; cli_commands[i] != NULL; i++) {
            used = used || strcmp(cli_commands[i]->group, g->name) == 0;
        }
        cr_expect(used, "%s has no command", g->name);
        cr_expect_eq(cli_is_group(g), g->help != NULL, "%s", g->name);
    }
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        cr_assert_not_null(cli_commons[k].name);
        check_option("everywhere", &cli_commons[k]);
    }
}

/* A command's role is the strictest of its operations', as the server has them. */
Test(cli_table, roles_are_those_of_the_operations)
{
    size_t n, checked = 0;
    const struct api_route *routes = api_routes(&n);

    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];
        enum api_role role = API_ROLE_NONE;

        for (const char *p = c->asks; p != NULL; p = strchr(p, ',') ? strchr(p, ',') + 2 : NULL) {
            bool found = false;

            for (size_t k = 0; k < n; k++) {
                char text[128];
                size_t len =
                    (size_t)snprintf(text, sizeof text, "%s %s", routes[k].method, routes[k].path);

                if (strcspn(p, ",") == len && strncmp(p, text, len) == 0) {
                    found = true;
                    checked++;
                    role = routes[k].role > role ? routes[k].role : role;
                }
            }
            cr_expect(found, "%s %s asks %s, which is not there", c->group, c->verb, p);
        }
        if (c->role != NULL) {
            cr_expect_str_eq(c->role, api_role_name(role), "%s %s", c->group, c->verb);
        }
    }
    cr_expect_gt(checked, 15);
}

/* An option's name takes a value everywhere or nowhere: completion knows words before it knows the
 * command. */
Test(cli_table, an_option_takes_a_value_everywhere_or_nowhere)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        for (size_t k = 0; k < CLI_MOST_OPTIONS && cli_commands[i]->options[k].name != NULL; k++) {
            const struct cli_option *o = &cli_commands[i]->options[k];

            for (size_t m = 0; m < CLI_COMMONS; m++) {
                cr_expect(strcmp(o->name, cli_commons[m].name) != 0 ||
                              (o->value == NULL) == (cli_commons[m].value == NULL),
                          "%s", o->name);
            }
            for (size_t j = 0; cli_commands[j] != NULL; j++) {
                for (size_t m = 0; m < CLI_MOST_OPTIONS && cli_commands[j]->options[m].name; m++) {
                    const struct cli_option *p = &cli_commands[j]->options[m];

                    cr_expect(strcmp(o->name, p->name) != 0 ||
                                  (o->value == NULL) == (p->value == NULL),
                              "%s", o->name);
                }
            }
        }
    }
}

Test(cli_table, every_example_parses_to_its_command)
{
    unsigned n = 0;

    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];

        for (const char *line = c->examples; *line != '\0'; n++) {
            size_t len = strcspn(line, "\n");
            char copy[256];
            struct cli cli;
            int status = -1;

            (void)snprintf(copy, sizeof copy, "%.*s", (int)len, line);
            cr_expect(parse(copy, &cli, &status), "%s: %s", copy, said);
            cr_expect_eq(cli.command, c, "%s is another command", copy);
            line += len + (line[len] == '\n');
        }
    }
    cr_expect_gt(n, 35);
}

static void expect_help(const char *line, const char *part)
{
    struct cli cli;
    int status = -1;

    cr_expect_not(parse(line, &cli, &status), "%s", line);
    cr_expect_eq(status, CLI_DONE, "%s: %s", line, said);
    cr_expect_not_null(strstr(said, part), "%s said:\n%s\nwanted: %s", line, said, part);
}

Test(cli_table, help_at_every_level)
{
    char name[64], line[160];

    expect_help("holdfast --help", "cluster status");
    expect_help("holdfast -h", "Exit status: 0 done");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];

        (void)snprintf(line, sizeof line, "holdfast %s --help", cli_name(c, name));
        expect_help(line, "exit status: ");
        expect_help(line, c->options[0].name != NULL ? c->options[0].name : "--help");
        expect_help(line, c->role != NULL ? c->role : "needs: no node");
        (void)snprintf(line, sizeof line, "holdfast %s --help", c->group);
        expect_help(line, name);
        expect_help("holdfast --help", name);
    }
}

static void expect_wrong(const char *line, const char *part)
{
    struct cli cli;
    int status = -1;

    cr_expect_not(parse(line, &cli, &status), "%s was taken", line);
    cr_expect_eq(status, CLI_USAGE, "%s", line);
    cr_expect_not_null(strstr(said, part), "%s said:\n%s\nwanted: %s", line, said, part);
}

Test(cli_table, says_which_word_was_meant)
{
    expect_wrong("holdfast clutser status", "unknown command 'clutser': did you mean 'cluster'?");
    expect_wrong("holdfast cluster stauts", "unknown command 'stauts': did you mean 'status'?");
    expect_wrong("holdfast status", "unknown command 'status': did you mean 'cluster status'?");
    expect_wrong("holdfast sa rekey 0123456789abcdef --knd ike", "did you mean '--kind'?");
    expect_wrong("holdfast sa rekey 0123456789abcdef --kind chlid",
                 "it must be one of child|ike, not 'chlid': did you mean 'child'?");
    expect_wrong("holdfast sa list -o jsno", "not 'jsno': did you mean 'json'?");
    expect_wrong("holdfast cluster --sokcet x status", "did you mean '--socket'?");
    expect_wrong("holdfast frobnicate", "unknown command 'frobnicate'\n");
    expect_wrong("holdfast cluster remove 3 --frobnicate", "unknown option '--frobnicate'\n");
    expect_wrong("holdfast cluster remove 3 --frobnicate", "`holdfast cluster remove --help`");
}

Test(cli_table, distances)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } rows[] = {{"", "", 0},
                {"", "abc", 3},
                {"abc", "abc", 0},
                {"abc", "acb", 1},
                {"kitten", "sitting", 3},
                {"ca", "abc", 3},
                {"status", "stats", 1},
                {"stauts", "status", 1}};
    char longer[64];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(cli_distance(rows[i].a, rows[i].b), rows[i].distance, "%s %s", rows[i].a,
                     rows[i].b);
        cr_expect_eq(cli_distance(rows[i].b, rows[i].a), rows[i].distance, "%s %s", rows[i].b,
                     rows[i].a);
    }
    memset(longer, 'a', sizeof longer);
    longer[41] = '\0';
    cr_expect_eq(cli_distance(longer, "a"), UINT_MAX);
    longer[40] = '\0';
    cr_expect_eq(cli_distance(longer, longer), 0);
    cr_expect_eq(cli_distance(longer, "a"), 39);
}

Test(cli_table, the_parser_takes_words_as_documented)
{
    struct cli cli;
    int status;

    cr_expect(parse("holdfast -o json cluster --socket /a status", &cli, &status));
    cr_expect(cli.json && !cli.yaml && strcmp(cli.common[CLI_SOCKET_PATH], "/a") == 0);
    cr_expect(parse("holdfast cluster status -o yaml --socket=/b", &cli, &status));
    cr_expect(cli.json && cli.yaml && strcmp(cli.common[CLI_SOCKET_PATH], "/b") == 0);
    cr_expect(parse("holdfast shard move 7 --to=3", &cli, &status));
    cr_expect(strcmp(cli.options[0], "3") == 0 && strcmp(cli.arguments[0], "7") == 0);
    cr_expect(parse("holdfast snapshot save -- --odd", &cli, &status));
    cr_expect_str_eq(cli.arguments[0], "--odd");
    cr_expect(parse("holdfast cluster join --token-file -", &cli, &status));
    cr_expect_str_eq(cli.options[1], "-");
    cr_expect(parse("holdfast drill run --seed 7 --frob -o json x", &cli, &status));
    cr_expect(cli.n_rest == 6 && strcmp(cli.rest[2], "--frob") == 0 && !cli.json);
    cr_expect(parse("holdfast sa list --watch -o yaml", &cli, &status));
    cr_expect(cli.watch_s == 2 && cli.yaml && cli.line);
    cr_expect(parse("holdfast sa list --watch 5", &cli, &status));
    cr_expect(cli.watch_s == 5 && cli.json && cli.line, "no terminal: documents");
    cr_expect(parse("holdfast sa list --watch=7 -o table", &cli, &status));
    cr_expect(cli.watch_s == 7 && !cli.json);
    cr_expect(parse("holdfast pki client a --ca /b --key p256", &cli, &status));
    cr_expect(cli.options[1] != NULL && cli.common[CLI_CA] == NULL);
    expect_wrong("holdfast sa list --watch=0", "from 1 to 3600 seconds, not '0'");
    expect_wrong("holdfast sa list --watch=99999999999", "from 1 to 3600 seconds");
    expect_wrong("holdfast sa list --watch=x", "'x' is no number");
    expect_wrong("holdfast reload --watch", "unknown option '--watch'");
    expect_wrong("holdfast --watch reload", "this command has no option '--watch'");
    expect_wrong("holdfast cluster recover --force=yes", "takes no value");
    expect_wrong("holdfast shard move 7 --to", "a value is missing behind '--to'");
    expect_wrong("holdfast shard move 65536 --to 1", "'65536' is no shard");
    expect_wrong("holdfast shard move 7 --to 0", "'0' is no node");
    expect_wrong("holdfast cluster token 2 a:1 --hours two", "'two' is no number");
    expect_wrong("holdfast token remove 0123456789AB", "'0123456789AB' is no token");
    expect_wrong("holdfast token remove 0123456789abc", "is no token");
    expect_wrong("holdfast --socket /a pki ca", "this command has no option '--socket'");
    expect_wrong("holdfast pki ca --socket /a", "unknown option '--socket'");
    expect_wrong("holdfast completion csh", "one of bash|zsh|fish");
    expect_wrong("holdfast", "usage: holdfast COMMAND");
    expect_wrong("holdfast cluster", "holdfast cluster: ");
}

/* Lines that begin with a dot or an apostrophe are requests: only those of man(7) that are meant. */
Test(cli_table, the_manual_says_everything)
{
    static const char *const requests[] = {".TH ", ".SH ", ".SS ", ".TP", ".PP",  ".nf", ".fi",
                                           ".RS",  ".RE",  ".B ",  ".I ", ".RI ", ".BR "};
    FILE *out;
    char name[64], wanted[96];

    hear(&out);
    cli_man(out);
    cr_assert_eq(fclose(out), 0);
    for (const char *line = said; *line != '\0'; line = strchr(line, '\n') + 1) {
        bool known = *line != '.' && *line != '\'';

        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
            known = known || strncmp(line, requests[i], strlen(requests[i])) == 0;
        }
        cr_expect(known, "%.*s", (int)strcspn(line, "\n"), line);
        cr_assert_not_null(strchr(line, '\n'));
    }
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        int n = snprintf(wanted, sizeof wanted, ".SS \"holdfast ");

        (void)cli_name(cli_commands[i], name);
        for (const char *p = name; *p != '\0'; p++) {
            n += snprintf(wanted + n, sizeof wanted - (size_t)n, *p == '-' ? "\\-" : "%c", *p);
        }
        cr_expect_not_null(strstr(said, wanted), "%s", wanted);
    }
}
