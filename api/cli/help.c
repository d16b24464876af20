/* Help of every level, from the table. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "api/cli/cli.h"

enum { USUAL_WIDTH = 80, LEAST_WIDTH = 40, LEFT = 30 };

unsigned cli_width(FILE *out, unsigned otherwise)
{
    struct winsize size = {0};

    if (fileno(out) < 0 || !isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &size) != 0 ||
        size.ws_col == 0) {
        return otherwise;
    }
    return size.ws_col < LEAST_WIDTH ? LEAST_WIDTH : size.ws_col;
}

static void indent_line(FILE *out, unsigned n)
{
    (void)fprintf(out, "%*s", (int)n, "");
}

void cli_wrap(FILE *out, const char *text, unsigned at, unsigned indent, unsigned width)
{
    bool fresh = at <= indent; /* nothing stands in this line yet */

    indent_line(out, at < indent ? indent - at : 0);
    at = at < indent ? indent : at;
    while (*text != '\0') {
        size_t n = strcspn(text, " \n");

        if (n > 0) {
            if (!fresh && at + 1 + n > width) {
                (void)fputc('\n', out);
                indent_line(out, indent);
                at = indent;
                fresh = true;
            }
            at += (unsigned)fprintf(out, "%s%.*s", fresh ? "" : " ", (int)n, text);
            fresh = false;
            text += n;
        } else if (strncmp(text, "\n\n", 2) == 0) {
            (void)fputs("\n\n", out);
            indent_line(out, indent);
            at = indent;
            fresh = true;
            text += 2;
        } else {
            text++;
        }
    }
    (void)fputc('\n', out);
}

/* LEFT columns for a name, then what it is; a longer name has a line of its own. */
static void print_pair(FILE *out, unsigned width, const char *name, const char *help)
{
    unsigned at = (unsigned)fprintf(out, "  %s", name);

    if (at + 2 > LEFT) {
        (void)fputc('\n', out);
        at = 0;
    }
    cli_wrap(out, help, at, LEFT, width);
}

static void print_commands(FILE *out, unsigned width, const struct cli_group *group)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];
        char name[64], left[160];

        if (strcmp(c->group, group->name) == 0) {
            (void)snprintf(left, sizeof left, "%s%s%s", cli_name(c, name),
                           c->arguments[0] != '\0' ? " " : "", c->arguments);
            print_pair(out, width, left, c->help);
        }
    }
}

static void print_option(FILE *out, unsigned width, const struct cli_option *o)
{
    char left[96], right[320];

    (void)snprintf(left, sizeof left, "%s%s%s", o->name, o->value != NULL ? " " : "",
                   o->value != NULL ? o->value : "");
    (void)snprintf(right, sizeof right, "%s%s%s", o->help, o->choices != NULL ? "; one of " : "",
                   o->choices != NULL ? o->choices : "");
    print_pair(out, width, left, right);
}

static void print_commons(FILE *out, unsigned width, const struct cli_command *command)
{
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (cli_common_fits(command, (enum cli_common)k)) {
            print_option(out, width, &cli_commons[k]);
        }
    }
}

void cli_help_all(FILE *out)
{
    unsigned width = cli_width(out, USUAL_WIDTH);

    (void)fputs("holdfast: shows and changes a cluster of holdfast gateways\n\n"
                "usage: holdfast COMMAND [ARGUMENT...] [OPTION...]\n",
                out);
    for (const struct cli_group *g = cli_groups; g->name != NULL; g++) {
        if (cli_is_group(g)) {
            (void)fprintf(out, "\n%s: %s\n", g->name, g->help);
        } else if (g == cli_groups || cli_is_group(g - 1)) {
            (void)fputs("\nbeside them\n", out);
        }
        print_commands(out, width, g);
    }
    (void)fputs("\neverywhere\n", out);
    print_commons(out, width, NULL);
    (void)fputs("\n`holdfast help COMMAND...` explains one. Exit status: " CLI_EXITS "\n", out);
}

void cli_help_group(FILE *out, const struct cli_group *group)
{
    (void)fprintf(out, "holdfast %s: %s\n\n", group->name, group->help);
    print_commands(out, cli_width(out, USUAL_WIDTH), group);
    (void)fprintf(out, "\n`holdfast help %s COMMAND` explains one.\n", group->name);
}

void cli_usage(FILE *out, const struct cli_command *command)
{
    char name[64];

    (void)fprintf(out, "holdfast %s%s%s", cli_name(command, name),
                  command->arguments[0] != '\0' ? " " : "", command->arguments);
    for (size_t k = 0; k < CLI_MOST_OPTIONS && command->options[k].name != NULL; k++) {
        const struct cli_option *o = &command->options[k];

        (void)fprintf(out, " [%s%s%s]", o->name, o->value != NULL ? " " : "",
                      o->value != NULL ? o->value : "");
    }
}

static void print_examples(FILE *out, const char *examples)
{
    (void)fputs("\nexamples\n", out);
    for (const char *line = examples; *line != '\0';) {
        size_t n = strcspn(line, "\n");

        (void)fprintf(out, "  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

void cli_help_command(FILE *out, const struct cli_command *command)
{
    unsigned width = cli_width(out, USUAL_WIDTH);
    char *usage = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&usage, &bytes);

    if (memory != NULL) {
        cli_usage(memory, command);
        (void)fclose(memory);
        cli_wrap(out, usage, (unsigned)fprintf(out, "usage:"), 9, width);
        free(usage);
    }
    (void)fputc('\n', out);
    cli_wrap(out, command->help, 0, 2, width);
    (void)fputc('\n', out);
    cli_wrap(out, command->text, 0, 2, width);
    (void)fputs("\noptions\n", out);
    for (size_t k = 0; k < CLI_MOST_OPTIONS && command->options[k].name != NULL; k++) {
        print_option(out, width, &command->options[k]);
    }
    print_commons(out, width, command);
    if (command->role != NULL) {
        (void)fprintf(out, "\nneeds: root on the node, or over TLS the role %s (%s)\n",
                      command->role, command->asks);
    } else {
        (void)fputs("\nneeds: no node\n", out);
    }
    (void)fprintf(out, "exit status: %s\n", command->exits != NULL ? command->exits : CLI_EXITS);
    print_examples(out, command->examples);
}
