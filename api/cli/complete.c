/* Completion for bash and zsh: the same functions made of the table, each shell's own glue around them. */
#include "api/cli/complete.h"

#include <string.h>

/* The end of _holdfast() in both: a word that is no option, and what is offered at last. */
#define WORD_AND_END                                                                               \
    "            _holdfast_next \"$hf_path\"\n"                                                    \
    "            if [[ \" $hf_words \" == *\" $word \"* ]]; then\n"                                \
    "                hf_path=${hf_path:+$hf_path }$word\n"                                         \
    "            else\n"                                                                           \
    "                ((n += 1))\n"                                                                 \
    "            fi\n"                                                                             \
    "        fi\n"                                                                                 \
    "    done\n"                                                                                   \
    "    _holdfast_next \"$hf_path\"\n"                                                            \
    "    if [[ $cur == -* ]]; then\n"                                                              \
    "        _holdfast_options \"$hf_path\"\n"                                                     \
    "        _holdfast_offer \"words $hf_options\"\n"                                              \
    "    elif [[ -n $hf_words ]]; then\n"                                                          \
    "        _holdfast_offer \"words $hf_words\"\n"                                                \
    "    else\n"                                                                                   \
    "        _holdfast_argument \"$hf_path\" \"$n\"\n"                                             \
    "        _holdfast_offer \"$hf_kind\"\n"                                                       \
    "    fi\n"                                                                                     \
    "}\n"

static const char bash_glue[] =
    "_holdfast_offer() # what may stand here: file, dir, any, or words and them\n"
    "{\n"
    "    case $1 in\n"
    "    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") "
    ";;\n"
    "    dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") "
    ";;\n"
    "    words*) mapfile -t COMPREPLY < <(compgen -W \"${1#words}\" -- \"$cur\") ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_holdfast()\n"
    "{\n"
    "    local hf_words hf_options hf_kind hf_path='' word n=0 i cur=${COMP_WORDS[COMP_CWORD]}\n"
    "\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == -?* ]]; then\n"
    "            _holdfast_value \"$hf_path\" \"$word\"\n"
    "            [[ -n $hf_kind ]] || continue\n"
    "            ((i += 1))\n"
    "            [[ ${COMP_WORDS[i]} != = ]] || { ((i < COMP_CWORD)) && ((i += 1)) || cur=''; }\n"
    "            if ((i == COMP_CWORD)); then _holdfast_offer \"$hf_kind\"; return; fi\n"
    "        else\n" WORD_AND_END "complete -F _holdfast holdfast\n";

static const char zsh_glue[] =
    "_holdfast_offer() # what may stand here: file, dir, any, or words and them\n"
    "{\n"
    "    case $1 in\n"
    "    file) _files ;;\n"
    "    dir) _files -/ ;;\n"
    "    words*) compadd -- ${=1#words} ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_holdfast()\n"
    "{\n"
    "    local hf_words hf_options hf_kind hf_path='' word cur=${words[CURRENT]}\n"
    "    integer n=0 i\n"
    "\n"
    "    for ((i = 2; i < CURRENT; i++)); do\n"
    "        word=${words[i]}\n"
    "        if [[ $word == -?*=* ]]; then\n"
    "            continue\n"
    "        elif [[ $word == -?* ]]; then\n"
    "            _holdfast_value \"$hf_path\" \"$word\"\n"
    "            [[ -n $hf_kind ]] || continue\n"
    "            ((i += 1))\n"
    "            if ((i == CURRENT)); then _holdfast_offer \"$hf_kind\"; return; fi\n"
    "        else\n" WORD_AND_END
    "if [[ ${funcstack[1]} == _holdfast ]]; then _holdfast \"$@\"; else compdef _holdfast "
    "holdfast; fi\n";

void cli_complete_kind(FILE *out, enum cli_kind kind, const char *choices)
{
    switch (kind) {
    case CLI_FILE:
        (void)fputs("file", out);
        break;
    case CLI_DIR:
        (void)fputs("dir", out);
        break;
    case CLI_CHOICE:
        (void)fputs("'words ", out);
        cli_complete_words(out, choices);
        (void)fputc('\'', out);
        break;
    case CLI_TEXT:
    case CLI_NUMBER:
    case CLI_NODE:
    case CLI_SHARD:
    case CLI_SA:
    case CLI_ATTEMPT:
    case CLI_TOKEN:
    case CLI_WORDS:
        (void)fputs("any", out);
    }
}

void cli_complete_words(FILE *out, const char *choices)
{
    for (const char *p = choices; *p != '\0'; p++) {
        (void)fputc(*p == '|' ? ' ' : *p, out);
    }
}

static void put_verbs(FILE *out, const struct cli_group *group)
{
    const char *space = "";

    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (strcmp(cli_commands[i]->group, group->name) == 0) {
            (void)fprintf(out, "%s%s", space, cli_commands[i]->verb);
            space = " ";
        }
    }
}

static void put_groups(FILE *out)
{
    for (const struct cli_group *g = cli_groups; g->name != NULL; g++) {
        (void)fprintf(out, "%s%s", g == cli_groups ? "" : " ", g->name);
    }
}

static void put_next(FILE *out)
{
    (void)fputs("_holdfast_next() # hf_words: what may follow these words of a command\n"
                "{\n    case $1 in\n    '' | help) hf_words='",
                out);
    put_groups(out);
    (void)fputs("' ;;\n", out);
    for (const struct cli_group *g = cli_groups; g->name != NULL; g++) {
        if (cli_is_group(g)) {
            (void)fprintf(out, "    %s | 'help %s') hf_words='", g->name, g->name);
            put_verbs(out, g);
            (void)fputs("' ;;\n", out);
        }
    }
    (void)fputs("    *) hf_words='' ;;\n    esac\n}\n\n", out);
}

static void put_commons(FILE *out, const struct cli_command *command)
{
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (cli_common_fits(command, (enum cli_common)k)) {
            (void)fprintf(out, " %s", cli_commons[k].name);
        }
    }
}

static void put_options(FILE *out)
{
    char name[64];

    (void)fputs("_holdfast_options() # hf_options: those of command $1\n{\n    case $1 in\n", out);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];

        (void)fprintf(out, "    '%s') hf_options='", cli_name(c, name));
        for (size_t k = 0; k < CLI_MOST_OPTIONS && c->options[k].name != NULL; k++) {
            (void)fprintf(out, "%s ", c->options[k].name);
        }
        put_commons(out, c);
        (void)fputs("' ;;\n", out);
    }
    (void)fputs("    *) hf_options='", out);
    put_commons(out, NULL);
    (void)fputs("' ;;\n    esac\n}\n\n", out);
}

/* An optional value is only taken behind '=': the word that follows may be another's. */
static bool takes_word(const struct cli_option *o)
{
    return o->value != NULL && o->value[0] != '[';
}

static void put_values(FILE *out)
{
    char name[64];

    (void)fputs(
        "_holdfast_value() # hf_kind: what follows option $2 of command $1; empty: nothing\n"
        "{\n    case $1/$2 in\n",
        out);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];

        for (size_t k = 0; k < CLI_MOST_OPTIONS && c->options[k].name != NULL; k++) {
            if (takes_word(&c->options[k])) {
                (void)fprintf(out, "    '%s/%s') hf_kind=", cli_name(c, name), c->options[k].name);
                cli_complete_kind(out, c->options[k].kind, c->options[k].choices);
                (void)fputs(" ;;\n", out);
            }
        }
    }
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (takes_word(&cli_commons[k])) {
            (void)fprintf(out, "    */%s) hf_kind=", cli_commons[k].name);
            cli_complete_kind(out, cli_commons[k].kind, cli_commons[k].choices);
            (void)fputs(" ;;\n", out);
        }
    }
    (void)fputs("    *) hf_kind='' ;;\n    esac\n}\n\n", out);
}

static void put_arguments(FILE *out)
{
    char name[64];

    (void)fputs("_holdfast_argument() # hf_kind: word number $2, from 0, of command $1\n"
                "{\n    case $1/$2 in\n",
                out);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];

        for (unsigned k = 0; k < c->n_arguments && !c->passes; k++) {
            (void)fprintf(out, "    '%s/%u') hf_kind=", cli_name(c, name), k);
            cli_complete_kind(out, c->kinds[k], c->choices);
            (void)fputs(" ;;\n", out);
        }
        if (c->passes) {
            (void)fprintf(out, "    '%s'/*) hf_kind=file ;;\n", cli_name(c, name));
        }
    }
    (void)fputs("    *) hf_kind=any ;;\n    esac\n}\n\n", out);
}

void cli_completion(FILE *out, enum cli_shell shell)
{
    if (shell == CLI_FISH) {
        cli_completion_fish(out);
        return;
    }
    (void)fputs(shell == CLI_ZSH ? "#compdef holdfast\n" : "# shellcheck shell=bash\n", out);
    (void)fputs("# Made by `holdfast completion` from its table of commands.\n\n", out);
    put_next(out);
    put_options(out);
    put_values(out);
    put_arguments(out);
    (void)fputs(shell == CLI_ZSH ? zsh_glue : bash_glue, out);
}
