/* From words to a command with its values, by the table alone. What is wrong is said with the word that
 * was meant, where there is one near, and where help is. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli/cli.h"

enum { USUAL_WATCH_S = 2, MOST_WATCH_S = 3600 };

struct words {
    int argc, i;
    char **argv;
    bool literal; /* behind "--" */
};

/* Ends with CLI_USAGE; `meant` may be empty. */
static bool stop(struct cli *cli, int *status, const char *what, const char *word,
                 const char *meant)
{
    char name[64] = "";

    if (cli->command != NULL) {
        (void)cli_name(cli->command, name);
    }
    (void)fprintf(cli->err, "holdfast: %s%s%.80s%s", what, word[0] != '\0' ? " '" : "", word,
                  word[0] != '\0' ? "'" : "");
    (void)fprintf(cli->err, meant[0] != '\0' ? ": did you mean '%s'?\n" : "%s\n", meant);
    (void)fprintf(cli->err, "`holdfast%s%s --help` %s\n", name[0] != '\0' ? " " : "", name,
                  name[0] != '\0' ? "explains it" : "lists the commands");
    *status = CLI_USAGE;
    return false;
}

static bool is_one_of(const char *word, const char *choices)
{
    size_t n = strlen(word);

    for (const char *p = choices; n > 0; p++) {
        const char *end = strchrnul(p, '|');

        if ((size_t)(end - p) == n && memcmp(p, word, n) == 0) {
            return true;
        }
        if (*end == '\0') {
            return false;
        }
        p = end;
    }
    return false;
}

static bool is_number(const char *word, size_t most_digits)
{
    size_t n = strlen(word);

    return n > 0 && n <= most_digits && strspn(word, "0123456789") == n;
}

static bool is_id(const char *word)
{
    return is_number(word, 5) && cli_id(word) >= 1 && cli_id(word) <= 65535;
}

/* "did you mean" for one of several words. */
static void nearest_choice(struct cli_nearest *nearest, const char *choices)
{
    char copy[160];
    char *at = NULL;

    (void)snprintf(copy, sizeof copy, "%s", choices);
    for (char *p = strtok_r(copy, "|", &at); p != NULL; p = strtok_r(NULL, "|", &at)) {
        cli_nearest_try(nearest, p, "");
    }
}

static bool refuse_choice(struct cli *cli, int *status, const char *choices, const char *word)
{
    struct cli_nearest nearest = {.word = word};
    char what[200];

    nearest_choice(&nearest, choices);
    (void)snprintf(what, sizeof what, "it must be one of %s, not", choices);
    return stop(cli, status, what, word, nearest.said);
}

static bool refuse_value(struct cli *cli, int *status, const char *word, const char *wanted)
{
    (void)fprintf(cli->err, "holdfast: '%.40s' is no %s\n", word, wanted);
    *status = CLI_USAGE;
    return false;
}

static bool check_value(struct cli *cli, int *status, enum cli_kind kind, const char *choices,
                        const char *word)
{
    switch (kind) {
    case CLI_NUMBER:
        return is_number(word, 15) || refuse_value(cli, status, word, "number");
    case CLI_NODE:
        return is_id(word) ||
               refuse_value(cli, status, word,
                            "node: a number from 1 to 65535, see `holdfast cluster status`");
    case CLI_SHARD:
        return is_id(word) ||
               refuse_value(cli, status, word,
                            "shard: a number from 1 to 65535, see `holdfast shard list`");
    case CLI_SA:
        return (strlen(word) == 16 && strspn(word, "0123456789abcdefABCDEF") == 16) ||
               refuse_value(cli, status, word, "SA: 16 hexadecimal digits, see `holdfast sa list`");
    case CLI_ATTEMPT:
        return (strlen(word) == 16 && strspn(word, "0123456789abcdefABCDEF") == 16) ||
               refuse_value(cli, status, word,
                            "attempt: 16 hexadecimal digits, see `holdfast attempt list`");
    case CLI_TOKEN:
        return (strlen(word) == 12 && strspn(word, "0123456789abcdef") == 12) ||
               refuse_value(cli, status, word,
                            "token: an id is 12 hexadecimal digits, see `holdfast token list`");
    case CLI_CHOICE:
        return is_one_of(word, choices) || refuse_choice(cli, status, choices, word);
    case CLI_TEXT:
    case CLI_FILE:
    case CLI_DIR:
    case CLI_WORDS:
        break;
    }
    return true;
}

/* The value of an option whose name is the first `n` bytes of the word. False: *status. */
static bool take_value(struct cli *cli, struct words *w, const struct cli_option *o, size_t n,
                       const char **value, int *status)
{
    const char *word = w->argv[w->i], *next = w->i + 1 < w->argc ? w->argv[w->i + 1] : NULL;
    bool joined = word[n] == '=', optional = o->value != NULL && o->value[0] == '[';

    if (o->value == NULL) {
        *value = "";
        return !joined || stop(cli, status, "this option takes no value:", o->name, "");
    }
    if (joined) {
        *value = word + n + 1;
    } else if (optional && (next == NULL || !is_number(next, 15))) {
        *value = "";
        return true;
    } else if (next == NULL) {
        return stop(cli, status, "a value is missing behind", o->name, "");
    } else {
        *value = next;
        w->i++;
    }
    return check_value(cli, status, o->kind, o->choices, *value);
}

static bool fits(const char *word, size_t n, const struct cli_option *o)
{
    return strlen(o->name) == n && memcmp(o->name, word, n) == 0;
}

static bool unknown_option(struct cli *cli, const char *word, size_t n, int *status)
{
    char name[80];
    struct cli_nearest nearest = {.word = name};

    (void)snprintf(name, sizeof name, "%.*s", (int)(n < 79 ? n : 79), word);
    for (size_t k = 0; cli->command != NULL && k < CLI_MOST_OPTIONS; k++) {
        if (cli->command->options[k].name != NULL) {
            cli_nearest_try(&nearest, cli->command->options[k].name, "");
        }
    }
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (cli_common_fits(cli->command, (enum cli_common)k)) {
            cli_nearest_try(&nearest, cli_commons[k].name, "");
        }
    }
    return stop(cli, status, "unknown option", name, nearest.said);
}

/* The command's own options come first: where one is called as a common one, that one is not meant. */
static bool take_option(struct cli *cli, struct words *w, int *status)
{
    const char *word = w->argv[w->i];
    size_t n = strncmp(word, "--", 2) == 0 ? strcspn(word, "=") : strlen(word);

    if (strcmp(word, "-h") == 0) {
        cli->common[CLI_HELP] = "";
        return true;
    }
    for (size_t k = 0; cli->command != NULL && k < CLI_MOST_OPTIONS; k++) {
        const struct cli_option *o = &cli->command->options[k];

        if (o->name != NULL && fits(word, n, o)) {
            return take_value(cli, w, o, n, &cli->options[k], status);
        }
    }
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (cli_common_fits(cli->command, (enum cli_common)k) && fits(word, n, &cli_commons[k])) {
            return take_value(cli, w, &cli_commons[k], n, &cli->common[k], status);
        }
    }
    return unknown_option(cli, word, n, status);
}

static bool unknown_word(struct cli *cli, const char *group, const char *word, int *status)
{
    struct cli_nearest nearest = {.word = word};

    for (const struct cli_group *g = cli_groups; group == NULL && g->name != NULL; g++) {
        cli_nearest_try(&nearest, g->name, "");
    }
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];
        char before[64] = "";

        if (group == NULL) {
            (void)snprintf(before, sizeof before, "%s ", c->group);
        }
        if (c->verb[0] != '\0' && (group == NULL || strcmp(group, c->group) == 0)) {
            cli_nearest_try(&nearest, c->verb, before);
        }
    }
    return stop(cli, status, "unknown command", word, nearest.said);
}

/* Options before the next word. False: there is none, or *status says what is wrong (not CLI_DONE). */
static bool next_word(struct cli *cli, struct words *w, int *status)
{
    for (; w->i < w->argc; w->i++) {
        if (w->argv[w->i][0] != '-' || w->argv[w->i][1] == '\0') {
            return true;
        }
        if (!take_option(cli, w, status)) {
            return false;
        }
    }
    return false;
}

/* The words that name the command. False: nothing more is to be done. */
static bool parse_name(struct cli *cli, struct words *w, int *status)
{
    const struct cli_group *group;

    if (!next_word(cli, w, status)) {
        bool asked = cli->common[CLI_HELP] != NULL;

        if (*status == CLI_DONE && cli->common[CLI_VERSION] != NULL) {
            (void)fprintf(cli->out, "holdfast %s\n", HOLDFAST_VERSION);
        } else if (*status == CLI_DONE) {
            cli_help_all(asked ? cli->out : cli->err);
            *status = asked ? CLI_DONE : CLI_USAGE;
        }
        return false;
    }
    group = cli_find_group(w->argv[w->i]);
    if (group == NULL) {
        return unknown_word(cli, NULL, w->argv[w->i], status);
    }
    w->i++;
    cli->command = cli_find(group->name, "");
    if (cli->command != NULL) {
        return true;
    }
    if (!next_word(cli, w, status)) {
        if (*status == CLI_DONE) {
            bool asked = cli->common[CLI_HELP] != NULL;

            cli_help_group(asked ? cli->out : cli->err, group);
            *status = asked ? CLI_DONE : CLI_USAGE;
        }
        return false;
    }
    cli->command = cli_find(group->name, w->argv[w->i]);
    if (cli->command == NULL) {
        return unknown_word(cli, group->name, w->argv[w->i], status);
    }
    w->i++;
    return true;
}

static bool take_argument(struct cli *cli, struct words *w, unsigned *n, int *status)
{
    const struct cli_command *c = cli->command;
    const char *word = w->argv[w->i];

    if (*n == c->n_arguments + c->n_more) {
        return stop(cli, status, "one word too many:", word, "");
    }
    if (!check_value(cli, status, c->kinds[*n], c->choices, word)) {
        return false;
    }
    cli->arguments[(*n)++] = word;
    return true;
}

static bool parse_rest(struct cli *cli, struct words *w, int *status)
{
    unsigned n = 0;

    for (; w->i < w->argc; w->i++) {
        const char *word = w->argv[w->i];

        if (!w->literal && strcmp(word, "--") == 0) {
            w->literal = true;
        } else if (w->literal || word[0] != '-' || word[1] == '\0') {
            if (!take_argument(cli, w, &n, status)) {
                return false;
            }
        } else if (!take_option(cli, w, status)) {
            return false;
        }
    }
    if (cli->common[CLI_HELP] == NULL && n < cli->command->n_arguments) {
        return stop(cli, status, "this command needs", cli->command->arguments, "");
    }
    return true;
}

/* Its words are another program's, but for the wish to be told about it. */
static void pass_rest(struct cli *cli, struct words *w)
{
    cli->rest = w->argv + w->i;
    cli->n_rest = w->argc - w->i;
    for (int i = 0; i < cli->n_rest; i++) {
        if (strcmp(cli->rest[i], "--help") == 0 || strcmp(cli->rest[i], "-h") == 0) {
            cli->common[CLI_HELP] = "";
        }
    }
}

/* What was said before the command was known must belong to it. */
static bool check_common(struct cli *cli, int *status)
{
    for (size_t k = 0; k < CLI_COMMONS; k++) {
        if (cli->common[k] != NULL && !cli_common_fits(cli->command, (enum cli_common)k)) {
            return stop(cli, status, "this command has no option", cli_commons[k].name, "");
        }
    }
    return true;
}

static bool take_output(struct cli *cli, int *status)
{
    const char *output = cli->common[CLI_OUTPUT], *watch = cli->common[CLI_WATCH];
    bool terminal = fileno(cli->out) >= 0 && isatty(fileno(cli->out));

    cli->yaml = output != NULL && strcmp(output, "yaml") == 0;
    cli->json = cli->yaml || (output != NULL && strcmp(output, "json") == 0) ||
                (watch != NULL && output == NULL && !terminal);
    if (watch == NULL) {
        return true;
    }
    cli->watch_s = watch[0] == '\0' ? USUAL_WATCH_S : (unsigned)strtoul(watch, NULL, 10);
    cli->line = true;
    if (cli->watch_s < 1 || cli->watch_s > MOST_WATCH_S || strlen(watch) > 5) {
        return stop(cli, status, "from 1 to 3600 seconds, not", watch, "");
    }
    return true;
}

bool cli_parse(struct cli *cli, int argc, char **argv, int *status)
{
    struct words w = {.argc = argc, .i = 1, .argv = argv};

    *status = CLI_DONE;
    if (!parse_name(cli, &w, status)) {
        return false;
    }
    if (cli->command->passes) {
        pass_rest(cli, &w);
    } else if (!parse_rest(cli, &w, status)) {
        return false;
    }
    if (cli->common[CLI_HELP] != NULL) {
        cli_help_command(cli->out, cli->command);
        return false;
    }
    if (cli->common[CLI_VERSION] != NULL) {
        (void)fprintf(cli->out, "holdfast %s\n", HOLDFAST_VERSION);
        return false;
    }
    if (!check_common(cli, status)) {
        return false;
    }
    return take_output(cli, status);
}
