/* Completion scripts: every shell that is here parses its own, and bash completes with it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/cli/cli.h"

static char folder[] = "/tmp/cli-completion-XXXXXX";
static const char *const shells[] = {"bash", "zsh", "fish"};

static void write_scripts(void)
{
    char path[96];

    cr_assert_not_null(mkdtemp(folder));
    for (int i = 0; i < 3; i++) {
        FILE *f;

        (void)snprintf(path, sizeof path, "%s/%s", folder, shells[i]);
        f = fopen(path, "w");
        cr_assert_not_null(f);
        cli_completion(f, (enum cli_shell)i);
        cr_assert_eq(fclose(f), 0);
    }
}

static void remove_scripts(void)
{
    static const char *const names[] = {"bash", "zsh", "fish", "try"};
    char path[96];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    cr_expect_eq(rmdir(folder), 0);
}

TestSuite(cli_completion, .init = write_scripts, .fini = remove_scripts);

Test(cli_completion, every_shell_parses_its_script)
{
    char command[256];

    for (int i = 0; i < 3; i++) {
        (void)snprintf(command, sizeof command, "%s -n %s/%s 2>&1", shells[i], folder, shells[i]);
        cr_expect_eq(system(command), 0, "%s does not parse it (deploy/setup --tests installs it)",
                     shells[i]);
    }
}

/* What bash offers behind these words, one a line, in its own order; the last one is being typed. */
static const char *offered(const char *words)
{
    static char output[8192];
    char path[96], command[160];
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/try", folder);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    (void)fprintf(f,
                  "source %s/bash; cd %s; COMP_WORDS=(holdfast %s); "
                  "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _holdfast; "
                  "for w in \"${COMPREPLY[@]}\"; do printf '%%s\\n' \"$w\"; done\n",
                  folder, folder, words);
    cr_assert_eq(fclose(f), 0);
    (void)snprintf(command, sizeof command, "bash --norc --noprofile %s 2>&1", path);
    f = popen(command, "r");
    cr_assert_not_null(f);
    n = fread(output, 1, sizeof output - 1, f);
    output[n] = '\0';
    cr_assert_eq(WEXITSTATUS(pclose(f)), 0, "%s: %s", words, output);
    return output;
}

static void expect_offer(const char *words, const char *wanted)
{
    const char *got = offered(words);

    cr_expect_str_eq(got, wanted, "holdfast %s offers:\n%s", words, got);
}

Test(cli_completion, bash_completes_words)
{
    expect_offer("cl", "cluster\n");
    expect_offer("cluster sta", "status\n");
    expect_offer("cluster r", "remove\nreplace\nrotate-keys\nrecover\n");
    expect_offer("-o json cluster tr", "transfer\n");
    expect_offer("-o ''", "table\njson\nyaml\n");
    expect_offer("cluster status -o y", "yaml\n");
    expect_offer("cluster status -o = y", "yaml\n"); /* as bash splits -o=y */
    expect_offer("sa rekey 0123456789abcdef --kind ''", "child\nike\n");
    expect_offer("sa rekey 0123456789abcdef --ki", "--kind\n");
    expect_offer("pki client a --key rsa4", "rsa4096\n");
    expect_offer("pki client a --so", "");
    expect_offer("completion ''", "bash\nzsh\nfish\n");
    expect_offer("help sh", "shard\n");
    expect_offer("help shard m", "move\n");
    expect_offer("snapshot save fi", "fish\n"); /* a file that is there */
    expect_offer("--socket fi", "fish\n");
    expect_offer("--server a : 1 cluster st", "status\n"); /* as bash splits a:1 */
    expect_offer("cluster status --wa", "--watch\n");
    expect_offer("cluster remove ''", "");
    expect_offer("token add ci --role ''", "viewer\noperator\nadmin\ndrill\n");
    expect_offer("frob ''", "cluster\nnode\nshard\nsa\nsnapshot\ntoken\naudit\nattempt\nexplain\ndo"
                            "ctor\nevents\nprofile\n"
                            "reload\npki\ndrill\ncompletion\nman\nhelp\n");
}

/* Every command's words and options, from the table. */
Test(cli_completion, bash_offers_every_option_of_every_command)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];
        char words[80], name[64], wanted[64];
        const char *got;

        (void)snprintf(words, sizeof words, "%s -", cli_name(c, name));
        got = offered(words);
        for (size_t k = 0; k < CLI_MOST_OPTIONS && c->options[k].name != NULL; k++) {
            (void)snprintf(wanted, sizeof wanted, "%s\n", c->options[k].name);
            cr_expect_not_null(strstr(got, wanted), "%s offers: %s", words, got);
        }
        cr_expect_not_null(strstr(got, "--help\n"), "%s", words);
        cr_expect_eq(strstr(got, "--socket\n") != NULL, c->asks != NULL, "%s", words);
        got = offered(name);
        (void)snprintf(wanted, sizeof wanted, "%s\n", c->verb[0] != '\0' ? c->verb : c->group);
        cr_expect_not_null(strstr(got, wanted), "%s offers: %s", name, got);
    }
}
