/* Runs each mutant of ownership, of sessions' keys, of recovery, of distrust and of a leader whose disk
 * hangs (mutants.cmake): its tests must be red. */
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

Test(repl_mutants, each_rule_removed_turns_the_tests_red, .timeout = 280)
{
    char names[] = MUTANTS;
    int n = 0, green = 0, controls = 0;

    for (char *rest = names, *name; (name = strsep(&rest, ",")) != NULL; n++)
        if (strncmp(name, "control", 7) == 0) {
            controls++;
            cr_assert_eq(run(name), 0, "%s: the tests are red without any change", name);
        } else if (run(name) == 0) {
            green++;
            (void)fprintf(stderr, "mutant %s stays green: no test holds its rule\n", name);
        }
    (void)fprintf(stderr, "%d mutants, %d stayed green\n", n - controls, green);
    cr_assert_eq(green, 0);
    cr_assert(n > 20 && controls == 6);
}
