/* Completion for fish: a line for each word and option of the table. */
#include <string.h>

#include "api/cli/complete.h"

static const char head[] =
    "# Made by `holdfast completion` from its table of commands.\n"
    "\n"
    "function __holdfast_path # the words so far, without options and their values\n"
    "    set -l all (commandline -opc)\n"
    "    set -l path\n"
    "    set -l value 0\n"
    "    set -e all[1]\n"
    "    for word in $all\n"
    "        if test $value = 1\n"
    "            set value 0\n"
    "        else if string match -q -- '-*' $word\n"
    "            if contains -- $word $__holdfast_valued\n"
    "                set value 1\n"
    "            end\n"
    "        else\n"
    "            set -a path $word\n"
    "        end\n"
    "    end\n"
    "    echo \"$path\"\n"
    "end\n"
    "function __holdfast_at # they are just these\n"
    "    test (__holdfast_path) = \"$argv\"\n"
    "end\n"
    "function __holdfast_in # they begin with these\n"
    "    string match -q -- \"$argv *\" (__holdfast_path)' '\n"
    "end\n"
    "\n"
    "complete -c holdfast -f\n";

static void put_quoted(FILE *out, const char *text)
{
    (void)fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            (void)fputc('\\', out);
        }
        (void)fputc(*text, out);
    }
    (void)fputc('\'', out);
}

static bool takes_word(const struct cli_option *o)
{
    return o->value != NULL && o->value[0] != '[';
}

static void put_valued(FILE *out)
{
    (void)fputs("set -g __holdfast_valued", out);
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (takes_word(&cli_commons[k])) {
            (void)fprintf(out, " %s", cli_commons[k].name);
        }
    }
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        for (size_t k = 0; k < CLI_MOST_OPTIONS && cli_commands[i]->options[k].name != NULL; k++) {
            if (takes_word(&cli_commands[i]->options[k])) {
                (void)fprintf(out, " %s", cli_commands[i]->options[k].name);
            }
        }
    }
    (void)fputc('\n', out);
}

static void put_kind(FILE *out, enum cli_kind kind, const char *choices)
{
    if (kind == CLI_FILE) {
        (void)fputs(" -r -F", out);
    } else if (kind == CLI_DIR) {
        (void)fputs(" -x -a '(__fish_complete_directories)'", out);
    } else if (kind == CLI_CHOICE) {
        (void)fputs(" -x -a '", out);
        cli_complete_words(out, choices);
        (void)fputc('\'', out);
    } else {
        (void)fputs(" -x", out);
    }
}

static void put_option(FILE *out, const struct cli_command *command, const struct cli_option *o)
{
    char name[64];

    (void)fputs("complete -c holdfast", out);
    if (command != NULL) {
        (void)fprintf(out, " -n '__holdfast_in %s'", cli_name(command, name));
    }
    (void)fprintf(out, o->name[1] == '-' ? " -l %s" : " -s %s",
                  o->name + (o->name[1] == '-' ? 2 : 1));
    if (takes_word(o)) {
        put_kind(out, o->kind, o->choices);
    }
    (void)fputs(" -d ", out);
    put_quoted(out, o->help);
    (void)fputc('\n', out);
}

/* Common options that not every command has are told command by command. */
static bool fits_all(enum cli_common which)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (!cli_common_fits(cli_commands[i], which)) {
            return false;
        }
    }
    return true;
}

static void put_word(FILE *out, const char *at, const char *word, const char *help)
{
    (void)fprintf(out, "complete -c holdfast -n '__holdfast_at%s%s' -a %s -d ",
                  at[0] != '\0' ? " " : "", at, word);
    put_quoted(out, help);
    (void)fputc('\n', out);
}

static void put_arguments(FILE *out, const struct cli_command *c)
{
    char name[64];

    if (c->n_arguments == 0) {
        return;
    }
    if (c->kinds[0] == CLI_FILE || c->kinds[0] == CLI_DIR) {
        (void)fprintf(out, "complete -c holdfast -n '__holdfast_in %s' -F\n", cli_name(c, name));
    } else if (c->kinds[0] == CLI_CHOICE) {
        (void)fprintf(out, "complete -c holdfast -n '__holdfast_at %s' -a '", cli_name(c, name));
        cli_complete_words(out, c->choices);
        (void)fputs("'\n", out);
    }
}

static void put_command(FILE *out, const struct cli_command *c)
{
    char help[96];

    if (c->verb[0] == '\0') {
        put_word(out, "", c->group, c->help);
    } else {
        (void)snprintf(help, sizeof help, "help %s", c->group);
        put_word(out, c->group, c->verb, c->help);
        put_word(out, help, c->verb, c->help);
    }
    put_arguments(out, c);
    for (size_t k = 0; k < CLI_MOST_OPTIONS && c->options[k].name != NULL; k++) {
        put_option(out, c, &c->options[k]);
    }
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (!fits_all((enum cli_common)k) && cli_common_fits(c, (enum cli_common)k)) {
            put_option(out, c, &cli_commons[k]);
        }
    }
}

void cli_completion_fish(FILE *out)
{
    put_valued(out);
    (void)fputs(head, out);
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (fits_all((enum cli_common)k)) {
            put_option(out, NULL, &cli_commons[k]);
        }
    }
    for (const struct cli_group *g = cli_groups; g->name != NULL; g++) {
        if (cli_is_group(g)) {
            put_word(out, "", g->name, g->help);
        }
        put_word(out, "help", g->name, g->help != NULL ? g->help : cli_find(g->name, "")->help);
    }
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        put_command(out, cli_commands[i]);
    }
}
