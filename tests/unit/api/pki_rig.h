/* `holdfast pki` as a program, in a folder of its own that goes with the test. */
#ifndef HF_TESTS_API_PKI_RIG_H
#define HF_TESTS_API_PKI_RIG_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], output[1 << 16];

static inline void start(void)
{
    strcpy(folder, "/tmp/hf-pki-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static inline void end(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

static inline int shell(const char *command)
{
    FILE *p = popen(command, "r");
    size_t n;

    cr_assert_not_null(p);
    n = fread(output, 1, sizeof output - 1, p);
    output[n] = '\0';
    return WEXITSTATUS(pclose(p));
}

static inline int pki(const char *words)
{
    char command[1024];

    (void)snprintf(command, sizeof command, "%s pki %s 2>&1", CLI_PROGRAM, words);
    return shell(command);
}

static inline void good(const char *words)
{
    cr_assert_eq(pki(words), 0, "%s: %s", words, output);
}

static inline void refused(const char *words, int status, const char *part)
{
    int got = pki(words);

    cr_expect_eq(got, status, "%s ended with %d: %s", words, got, output);
    cr_expect_not_null(strstr(output, part), "%s said: %s", words, output);
}

#endif
