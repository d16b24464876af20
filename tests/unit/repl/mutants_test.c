/* Runs each mutant of mutants.cmake, group by group, two groups at a time: its tests must be red. */
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

/* Exit status of bin/mutants/repl_mutant_<name>, beside bin/tests/ where this program stands. */
static int run(const char *name)
{
    char self[PATH_MAX] = "";
    char path[PATH_MAX + 64];
    int status = 0;
    pid_t pid;

    cr_assert_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    (void)snprintf(path, sizeof path, "%s/../mutants/repl_mutant_%s", dirname(self), name);
    cr_assert_eq(access(path, X_OK), 0, "%s is missing", path);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        /* Not our environment: Criterion's would make it one of this program's workers. */
        (void)execle(path, path, "--jobs", "1", "--fail-fast", (char *)NULL,
                     (char *[]){(char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL});
        _exit(0); /* not run at all: counts as green, so as a failure */
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* The group-th group of names: its control, which must stay green, then its mutants. */
static void judge(int group)
{
    char names[] = MUTANTS;
    int n = 0, green = 0, at = -1;

    for (char *rest = names, *name; (name = strsep(&rest, ",")) != NULL;) {
        bool control = strncmp(name, "control", 7) == 0;

        at += control;
        if (at != group)
            continue;
        if (control) {
            cr_assert_eq(run(name), 0, "%s: the tests are red without any change", name);
            continue;
        }
        n++;
        if (run(name) != 0)
            continue;
        green++;
        (void)fprintf(stderr, "mutant %s stays green: no test holds its rule\n", name);
    }
    (void)fprintf(stderr, "compared %d mutants, %d stayed green\n", n, green);
    cr_assert_eq(green, 0);
    cr_assert_gt(n, 5);
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
GROUP(5, of_members)
GROUP(6, of_documents)
GROUP(7, of_a_tie)

Test(repl_mutants, there_is_no_other_group)
{
    int groups = 0;

    for (const char *at = MUTANTS; (at = strstr(at, "control")) != NULL; at++)
        groups++;
    cr_assert_eq(groups, 8);
}
