/* Runs each mutant of mutants.cmake, group by group, two groups at a time: its tests are red. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum outcome { GREEN, RED, OTHER };
enum { SAID_MAX = 65536 };

/* By what the program says of its tests at its end and how it ended. Red is nothing but a red test:
 * one that did not start, or came to another end, has shown nothing. */
static enum outcome outcome_of(const char *said, int status)
{
    const char *end = strstr(said, "Synthesis:");
    unsigned tested, passing, failing, crashing;

    if (!WIFEXITED(status) || end == NULL ||
        sscanf(end, "Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u", &tested,
               &passing, &failing, &crashing) != 4 ||
        tested == 0)
        return OTHER;
    if (WEXITSTATUS(status) == 0)
        return failing + crashing == 0 ? GREEN : OTHER;
    return WEXITSTATUS(status) == 1 && failing + crashing > 0 ? RED : OTHER;
}

static enum outcome read_outcome(int out, pid_t pid)
{
    static char said[SAID_MAX];
    size_t len = 0;
    int status;
    ssize_t n;

    while ((n = read(out, said + len, sizeof said - 1 - len)) > 0) {
        len += (size_t)n;
        if (len > SAID_MAX / 2) { /* the end is what counts */
            memmove(said, said + len - SAID_MAX / 4, SAID_MAX / 4);
            len = SAID_MAX / 4;
        }
    }
    said[len] = '\0';
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return outcome_of(said, status);
}

/* Of bin/mutants/repl_mutant_<name>, beside bin/tests/ where this program stands. */
static enum outcome run(const char *name)
{
    char self[PATH_MAX] = "";
    char path[PATH_MAX + 64];
    int out[2];
    enum outcome outcome;
    pid_t pid;

    cr_assert_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    (void)snprintf(path, sizeof path, "%s/../mutants/repl_mutant_%s", dirname(self), name);
    cr_assert_eq(access(path, X_OK), 0, "%s is missing", path);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(out[1], STDERR_FILENO);
        /* Not our environment: Criterion's would make it one of this program's workers. */
        (void)execle(path, path, "--jobs", "1", "--fail-fast", "--color=never", (char *)NULL,
                     (char *[]){(char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL});
        _exit(127);
    }
    (void)close(out[1]);
    outcome = read_outcome(out[0], pid);
    (void)close(out[0]);
    return outcome;
}

/* The group-th group of names: its control, which must stay green, then its mutants. */
static void judge(int group)
{
    char names[] = MUTANTS;
    int n = 0, wrong = 0, at = -1;

    for (char *rest = names, *name; (name = strsep(&rest, ",")) != NULL;) {
        bool control = strncmp(name, "control", 7) == 0;
        enum outcome outcome;

        at += control;
        if (at != group)
            continue;
        if (control) {
            cr_assert_eq(run(name), GREEN, "%s: the tests are red without any change", name);
            continue;
        }
        n++;
        outcome = run(name);
        if (outcome == RED)
            continue;
        wrong++;
        (void)fprintf(stderr, "mutant %s %s\n", name,
                      outcome == GREEN ? "stays green: no test holds its rule"
                                       : "ends otherwise than by a red test");
    }
    (void)fprintf(stderr, "compared %d mutants, %d not caught\n", n, wrong);
    cr_assert_eq(wrong, 0);
    cr_assert_gt(n, 5);
}

Test(repl_mutants, only_a_red_test_is_red)
{
    static const char green[] =
        "[====] Synthesis: Tested: 2 | Passing: 2 | Failing: 0 | Crashing: 0 ",
                      red[] =
                          "[====] Synthesis: Tested: 2 | Passing: 1 | Failing: 1 | Crashing: 0 ",
                      crash[] =
                          "[====] Synthesis: Tested: 1 | Passing: 0 | Failing: 0 | Crashing: 1 ",
                      none[] =
                          "[====] Synthesis: Tested: 0 | Passing: 0 | Failing: 0 | Crashing: 0 ";
    const int one = 1 << 8;

    cr_assert_eq(outcome_of(green, 0), GREEN);
    cr_assert_eq(outcome_of(red, one), RED);
    cr_assert_eq(outcome_of(crash, one), RED);
    cr_assert_eq(outcome_of(none, 0), OTHER);
    cr_assert_eq(outcome_of(none, one), OTHER);
    cr_assert_eq(outcome_of(green, one), OTHER);
    cr_assert_eq(outcome_of(red, 0), OTHER);
    cr_assert_eq(outcome_of(red, 127 << 8), OTHER);
    cr_assert_eq(outcome_of(red, SIGSEGV), OTHER);
    cr_assert_eq(outcome_of("", one), OTHER);
}

/* Each rule that is removed turns the tests red. */
#define GROUP(number, name)                                                                        \
    Test(repl_mutants, name, .timeout = 560)                                                       \
    {                                                                                              \
        judge(number);                                                                             \
    }

GROUP(0, of_ownership)
GROUP(1, of_keys)
GROUP(2, of_recovery)
GROUP(3, of_distrust)
GROUP(4, of_a_hanging_disk)
GROUP(5, of_histories)
GROUP(6, of_members)
GROUP(7, of_documents)
GROUP(8, of_a_tie)

Test(repl_mutants, there_is_no_other_group)
{
    int groups = 0;

    for (const char *at = MUTANTS; (at = strstr(at, "control")) != NULL; at++)
        groups++;
    cr_assert_eq(groups, 9);
}
