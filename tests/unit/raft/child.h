/* A scenario in a process of its own: it may end by an assertion of the driver's, by a crash, or by DEMAND. */
#ifndef HF_UNIT_RAFT_CHILD_H
#define HF_UNIT_RAFT_CHILD_H

#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void (*scenario)(uint32_t unwrapped);

/* The outcome is wrong: not an assertion of the driver's but of the scenario. */
#define DEMAND(x) ((x) ? (void)0 : _exit(3))

/* Its wait status. seconds: it is ended after so many; 0 = it has all the time. */
static inline int in_child(scenario run, uint32_t unwrapped, unsigned seconds)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        int null = open("/dev/null", O_WRONLY);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setrlimit(RLIMIT_CORE, &none);
        dup2(null, 1);
        dup2(null, 2);
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        alarm(seconds);
        run(unwrapped);
        _exit(0);
    }
    int status = -1;
    cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

/* A rule of our own that the test library can take away: it is kept, and missed without. */
static inline void green_then_red(scenario run, unsigned rule)
{
    int with = in_child(run, 0, 0), without = in_child(run, 1U << (rule - 1), 0);
    cr_assert(WIFEXITED(with) && WEXITSTATUS(with) == 0, "rule %u: fails: status %x", rule, with);
    cr_assert(!(WIFEXITED(without) && WEXITSTATUS(without) == 0),
              "rule %u: nothing is seen without it", rule);
}

#endif
