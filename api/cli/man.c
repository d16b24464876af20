/* holdfast(1), from the table. */
#include <string.h>

#include "api/cli/cli.h"

/* Text as roff: no request at the start of a line, no escape that was not meant. */
static void put(FILE *out, const char *text, size_t n)
{
    bool fresh = true;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (fresh && (c == '.' || c == '\'')) {
            (void)fputs("\\&", out);
        }
        switch (c) {
        case '\\':
            (void)fputs("\\e", out);
            break;
        case '-':
            (void)fputs("\\-", out);
            break;
        case '`':
            (void)fputs("\\(ga", out);
            break;
        case '\'':
            (void)fputs("\\(aq", out);
            break;
        case '"':
            (void)fputs("\\(dq", out);
            break;
        case '~':
            (void)fputs("\\(ti", out);
            break;
        case '^':
            (void)fputs("\\(ha", out);
            break;
        default:
            (void)fputc(c, out);
        }
        fresh = c == '\n';
    }
}

static void put_text(FILE *out, const char *text)
{
    put(out, text, strlen(text));
}

/* Paragraphs, the first without a request before it. */
static void put_paragraphs(FILE *out, const char *text, const char *between)
{
    const char *end;

    while ((end = strstr(text, "\n\n")) != NULL) {
        put(out, text, (size_t)(end - text));
        (void)fprintf(out, "\n%s\n", between);
        text = end + 2;
    }
    put_text(out, text);
    (void)fputc('\n', out);
}

static void put_option(FILE *out, const struct cli_option *o)
{
    (void)fputs(".TP\n\\fB", out);
    put_text(out, o->name);
    (void)fputs("\\fR", out);
    if (o->value != NULL) {
        (void)fputs(" \\fI", out);
        put_text(out, o->value);
        (void)fputs("\\fR", out);
    }
    (void)fputc('\n', out);
    put_text(out, o->help);
    if (o->choices != NULL) {
        (void)fputs("; one of ", out);
        put_text(out, o->choices);
    }
    (void)fputc('\n', out);
}

static void put_command(FILE *out, const struct cli_command *c)
{
    char name[64];

    (void)fputs(".SS \"holdfast ", out);
    put_text(out, cli_name(c, name));
    if (c->arguments[0] != '\0') {
        (void)fputc(' ', out);
        put_text(out, c->arguments);
    }
    (void)fputs("\"\n", out);
    put_text(out, c->help);
    (void)fputs(".\n.PP\n", out);
    put_paragraphs(out, c->text, ".PP");
    for (size_t k = 0; k < CLI_MOST_OPTIONS && c->options[k].name != NULL; k++) {
        put_option(out, &c->options[k]);
    }
    (void)fputs(".PP\n", out);
    if (c->role != NULL) {
        (void)fprintf(out, "Role over TLS: %s (", c->role);
        put_text(out, c->asks);
        (void)fputs(").\n", out);
    } else {
        (void)fputs("Asks no node.\n", out);
    }
    if (c->exits != NULL) {
        (void)fputs("Exit status: ", out);
        put_text(out, c->exits);
        (void)fputs(".\n", out);
    }
    (void)fputs(".PP\n.nf\n.RS\n", out);
    put_text(out, c->examples);
    (void)fputs("\n.RE\n.fi\n", out);
}

void cli_man(FILE *out)
{
    (void)fputs(".TH HOLDFAST 1 \"2026-11-28\" \"holdfast " HOLDFAST_VERSION "\"\n"
                ".SH NAME\nholdfast \\- shows and changes a cluster of holdfast gateways\n"
                ".SH SYNOPSIS\n.B holdfast\n.I COMMAND\n"
                ".RI [ ARGUMENT... ]\n.RI [ OPTION... ]\n"
                ".SH DESCRIPTION\n",
                out);
    put_paragraphs(out, CLI_ABOUT, ".PP");
    (void)fputs(".SH OPTIONS\nThese belong to every command that they make sense for.\n", out);
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        put_option(out, &cli_commons[k]);
    }
    (void)fputs(".SH COMMANDS\n", out);
    for (const struct cli_group *g = cli_groups; g->name != NULL; g++) {
        for (size_t i = 0; cli_commands[i] != NULL; i++) {
            if (strcmp(cli_commands[i]->group, g->name) == 0) {
                put_command(out, cli_commands[i]);
            }
        }
    }
    (void)fputs(".SH ENVIRONMENT\n", out);
    put_paragraphs(out, CLI_ENVIRONMENT, ".PP");
    (void)fputs(".SH FILES\n", out);
    put_paragraphs(out, CLI_FILES, ".PP");
    (void)fputs(".nf\n.RS\n", out);
    put_text(out, CLI_FILE_EXAMPLE);
    (void)fputs(".RE\n.fi\n.SH EXIT STATUS\n", out);
    put_text(out, CLI_EXITS);
    (void)fputs(".\nCommands with others say so.\n.SH SEE ALSO\n.BR holdfastd (8)\n", out);
}
