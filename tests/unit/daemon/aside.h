/* A test's body in a child process: low descriptors are Criterion's own in the test's process, and there they are the body's. */
#ifndef TESTS_DAEMON_ASIDE_H
#define TESTS_DAEMON_ASIDE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the body, in place of cr_assert(). */
#define NEED(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                          \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static inline void aside(void (*body)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        body();
        _exit(0);
    }
    cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

/* ASIDE(suite, name) { body } */
#define ASIDE(suite, name)                                                                         \
    static void suite##_##name(void);                                                              \
    Test(suite, name)                                                                              \
    {                                                                                              \
        aside(suite##_##name);                                                                     \
    }                                                                                              \
    static void suite##_##name(void)

#endif
