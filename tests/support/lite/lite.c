#include "criterion/criterion.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_TIMEOUT = 300, SKIPPED = 77 };

static struct lite_test *tests;
static struct lite_suite *suites;

void lite_register(struct lite_test *test)
{
    test->next = tests;
    tests = test;
}

void lite_register_suite(struct lite_suite *suite)
{
    suite->next = suites;
    suites = suite;
}

static void inherit(struct lite_test *t)
{
    for (const struct lite_suite *s = suites; s != NULL; s = s->next) {
        if (strcmp(s->suite, t->suite) != 0)
            continue;
        t->init = t->init == NULL ? s->init : t->init;
        t->fini = t->fini == NULL ? s->fini : t->fini;
        t->timeout = t->timeout == 0 ? s->timeout : t->timeout;
    }
}

_Noreturn void lite_fail(const char *file, int line, const char *what, const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr, "[----] %s:%d: Assertion Failed: %s\n[----]  ", file, line, what);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    _exit(1);
}

_Noreturn void lite_skip(void)
{
    _exit(SKIPPED);
}

static long (*next_syscall)(long, ...);

__attribute__((constructor)) static void find_next_syscall(void)
{
    *(void **)&next_syscall = dlsym(RTLD_NEXT, "syscall");
}

/* libuv closes by syscall(), which ThreadSanitizer does not see: the next to get the same descriptor would be told as
 * racing with who had it. Found before libc's. */
long syscall(long number, ...)
{
    long a[6];
    va_list args;

    va_start(args, number);
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_close)
        return close((int)a[0]);
    if (next_syscall == NULL) /* another library's constructor */
        find_next_syscall();
    return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int status_of(struct lite_test *t)
{
    pid_t child;
    int status = 0;

    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(t->timeout == 0 ? DEFAULT_TIMEOUT : t->timeout);
        if (t->init != NULL)
            t->init();
        t->run();
        if (t->fini != NULL)
            t->fini();
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return -1;
    return status;
}

int main(void)
{
    unsigned tested = 0, passing = 0, crashing = 0;

    for (struct lite_test *t = tests; t != NULL; t = t->next) {
        int status;

        inherit(t);
        status = status_of(t);

        if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
            (void)fprintf(stderr, "[SKIP] %s::%s\n", t->suite, t->name);
            continue;
        }
        tested++;
        if (status >= 0 &&
            (t->signal != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == t->signal
                            : WIFEXITED(status) && WEXITSTATUS(status) == t->exit_code)) {
            passing++;
            continue;
        }
        crashing += status < 0 || WIFSIGNALED(status);
        (void)fprintf(stderr, "[FAIL] %s::%s (status %x)\n", t->suite, t->name, (unsigned)status);
    }
    (void)fprintf(stderr,
                  "[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u \n",
                  tested, passing, tested - passing, crashing);
    return tested == passing ? 0 : 1;
}
