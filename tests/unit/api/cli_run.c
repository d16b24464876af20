#include "unit/api/cli_run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const struct rig *asked;
static char output[1 << 16];

void cli_run_at(const struct rig *rig)
{
    asked = rig;
}

int run_cli(const char *words)
{
    char command[512];
    size_t n;
    FILE *p;

    (void)snprintf(command, sizeof command, "%s --socket %s %s 2>&1", CLI_PROGRAM, asked->socket,
                   words);
    p = popen(command, "r");
    cr_assert_not_null(p);
    n = fread(output, 1, sizeof output - 1, p);
    output[n] = '\0';
    return WEXITSTATUS(pclose(p));
}

const char *cli_said(void)
{
    return output;
}

void expect(const char *words, int status, const char *text)
{
    int got = run_cli(words);

    cr_expect_eq(got, status, "%s ended with %d: %s", words, got, output);
    cr_expect_str_eq(output, text, "%s said:\n%s\nwanted:\n%s", words, output, text);
}

void expect_part(const char *words, int status, const char *part)
{
    int got = run_cli(words);

    cr_expect_eq(got, status, "%s ended with %d: %s", words, got, output);
    cr_expect_not_null(strstr(output, part), "%s said:\n%s\nwanted: %s", words, output, part);
}
