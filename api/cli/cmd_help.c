/* holdfast help | completion | man: the table itself. */
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

static int run_help(struct cli *cli)
{
    const char *group_name = cli->arguments[0], *verb = cli->arguments[1];
    const struct cli_group *group = group_name != NULL ? cli_find_group(group_name) : NULL;
    const struct cli_command *command = NULL;

    if (group_name == NULL) {
        cli_help_all(cli->out);
        return CLI_DONE;
    }
    if (group != NULL) {
        command = cli_find(group_name, verb != NULL ? verb : "");
    }
    if (group == NULL || (command == NULL && verb != NULL)) {
        /* The parser says what is wrong with them, and what was meant. */
        struct cli again = {.out = cli->out, .err = cli->err};
        char *words[] = {NULL, (char *)(uintptr_t)group_name, (char *)(uintptr_t)verb,
                         (char *)(uintptr_t) "--help"};
        int status = CLI_USAGE;

        (void)cli_parse(&again, verb != NULL ? 4 : 2, words, &status);
        return status;
    }
    if (command != NULL) {
        cli_help_command(cli->out, command);
    } else {
        cli_help_group(cli->out, group);
    }
    return CLI_DONE;
}

static int run_completion(struct cli *cli)
{
    const char *shell = cli->arguments[0];

    cli_completion(cli->out, strcmp(shell, "bash") == 0  ? CLI_BASH
                             : strcmp(shell, "zsh") == 0 ? CLI_ZSH
                                                         : CLI_FISH);
    return CLI_DONE;
}

static int run_man(struct cli *cli)
{
    cli_man(cli->out);
    return CLI_DONE;
}

const struct cli_command cli_row_help = {
    .group = "help",
    .verb = "",
    .arguments = "[COMMAND...]",
    .n_more = 2,
    .kinds = {CLI_WORDS, CLI_WORDS},
    .help = "explains a command, a group of them, or all in short",
    .text = "The same as --help behind the command's words. `man holdfast` has everything in one.",
    .examples = "holdfast help\nholdfast help cluster\nholdfast help shard move",
    .run = run_help};

const struct cli_command cli_row_completion = {
    .group = "completion",
    .verb = "",
    .arguments = "SHELL",
    .n_arguments = 1,
    .kinds = {CLI_CHOICE},
    .choices = "bash|zsh|fish",
    .help = "prints a script with which SHELL completes the words of this program",
    .text = "The package holdfast-cli installs these scripts where the shells look for them: "
            "nothing is "
            "to be done then.",
    .examples = "holdfast completion bash >~/.local/share/bash-completion/completions/holdfast\n"
                "holdfast completion zsh >~/.zfunc/_holdfast  # a folder of $fpath\n"
                "holdfast completion fish >~/.config/fish/completions/holdfast.fish",
    .run = run_completion};

const struct cli_command cli_row_man = {.group = "man",
                                        .verb = "",
                                        .arguments = "",
                                        .help = "prints the manual page, holdfast(1), as roff",
                                        .text =
                                            "The package holdfast-cli installs it: `man holdfast`.",
                                        .examples = "holdfast man | man -l -",
                                        .run = run_man};
