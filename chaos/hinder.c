/* holdfast-hinder PID THREAD HOW MS: hinders one thread of a running daemon, for MS milliseconds, and
 * lets it go. It is told by its name ("hf-esp-0"; "main" is the first). HOW:
 *
 *   stop         it does nothing
 *   slow:N       each write and fsync of its takes N ms more
 *   fail         each of them fails with EIO
 *
 * By ptrace, so the daemon is the one that is shipped and knows of nothing; and whatever ends this
 * program, the kernel lets the thread go (a drill's fault ends by itself, I17). Says "in force" when
 * it is. Nothing but this thread stops: the others find out by what it does not do.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 64, MAX_MS = 3600000 };
enum how { HOW_STOP, HOW_SLOW, HOW_FAIL };

static int complain(const char *what)
{
    (void)fprintf(stderr, "holdfast-hinder: %s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 0: no such thread. */
static pid_t find_thread(long pid, const char *name)
{
    char path[64], comm[32];
    struct dirent *e;
    pid_t found = 0;
    DIR *d;

    if (strcmp(name, "main") == 0)
        return (pid_t)pid;
    (void)snprintf(path, sizeof path, "/proc/%ld/task", pid);
    d = opendir(path);
    while (d && !found && (e = readdir(d)) != NULL) {
        FILE *f;

        (void)snprintf(path, sizeof path, "/proc/%ld/task/%.16s/comm", pid, e->d_name);
        f = fopen(path, "re");
        if (f && fgets(comm, sizeof comm, f) && strcspn(comm, "\n") == strlen(name) &&
            strncmp(comm, name, strlen(name)) == 0)
            found = (pid_t)strtol(e->d_name, NULL, 10);
        if (f)
            (void)fclose(f);
    }
    if (d)
        (void)closedir(d);
    errno = found ? errno : ENOENT;
    return found;
}

static bool writes(uint64_t call)
{
    return call == SYS_pwrite64 || call == SYS_fdatasync || call == SYS_fsync;
}

static void in_force(void)
{
    (void)printf("in force\n");
    (void)fflush(stdout);
}

/* The call that it is about to make. */
static bool entering(pid_t tid, uint64_t *call)
{
    struct __ptrace_syscall_info info = {0};

    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) < 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return false;
    *call = info.entry.nr;
    return true;
}

/* On entry the call becomes none at all; on its exit that is what it came to. */
static bool fail_call(pid_t tid, bool exit)
{
#if defined(__x86_64__)
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) != 0)
        return false;
    if (exit)
        regs.rax = (unsigned long long)-EIO;
    else
        regs.orig_rax = (unsigned long long)-1;
    return ptrace(PTRACE_SETREGS, tid, NULL, &regs) == 0;
#else
    (void)tid;
    (void)exit;
    errno = ENOSYS;
    return false;
#endif
}

/* From one stop of it to the next. False: it is gone, or the time is over (then it is stopped). */
static bool next_stop(pid_t tid, uint64_t until_ms, int signal, int *status)
{
    if (ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)signal) != 0)
        return false;
    for (;;) {
        pid_t got = waitpid(tid, status, __WALL | WNOHANG);

        if (got == tid)
            return WIFSTOPPED(*status);
        if (got < 0)
            return false;
        if (now_ms() >= until_ms) { /* it sleeps in a call: nothing to let go of but itself */
            (void)ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
            return waitpid(tid, status, __WALL) == tid && WIFSTOPPED(*status);
        }
        (void)poll(NULL, 0, 1);
    }
}

/* Its calls one by one, until the time is over. */
static void trace(pid_t tid, enum how how, unsigned slow_ms, uint64_t until_ms)
{
    int status = 0, signal = 0;
    bool failing = false;
    uint64_t call;

    while (now_ms() < until_ms && next_stop(tid, until_ms, signal, &status)) {
        int why = WSTOPSIG(status);

        signal = why == (SIGTRAP | 0x80) || status >> 16 != 0 ? 0 : why; /* its own signals go on */
        if (why != (SIGTRAP | 0x80))
            continue;
        if (failing) {
            failing = false;
            (void)fail_call(tid, true);
        } else if (entering(tid, &call) && writes(call)) {
            if (how == HOW_SLOW)
                (void)poll(NULL, 0, (int)slow_ms);
            else
                failing = fail_call(tid, false);
        }
    }
    if (failing && next_stop(tid, until_ms, 0, &status))
        (void)fail_call(tid, true);
}

static int hinder(pid_t tid, enum how how, unsigned slow_ms, unsigned ms)
{
    uint64_t until_ms = now_ms() + ms;
    int status;

    if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACESYSGOOD) != 0 ||
        ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0 || waitpid(tid, &status, __WALL) != tid)
        return complain("the thread cannot be stopped");
    in_force();
    if (how == HOW_STOP)
        (void)poll(NULL, 0, (int)ms);
    else
        trace(tid, how, slow_ms, until_ms);
    (void)ptrace(PTRACE_DETACH, tid, NULL, NULL); /* gone: nothing to let go */
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    long pid = argc > 1 ? strtol(argv[1], NULL, 10) : 0,
         ms = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    unsigned slow_ms = 0;
    enum how how;
    pid_t tid;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 5 || pid < 1 || ms < 1 || ms > MAX_MS) {
        (void)fprintf(stderr, "usage: holdfast-hinder PID THREAD stop|slow:N|fail MS\n");
        return EXIT_USAGE;
    }
    if (strcmp(argv[3], "stop") == 0) {
        how = HOW_STOP;
    } else if (strcmp(argv[3], "fail") == 0) {
        how = HOW_FAIL;
    } else if (strncmp(argv[3], "slow:", 5) == 0) {
        how = HOW_SLOW;
        slow_ms = (unsigned)strtoul(argv[3] + 5, NULL, 10);
    } else {
        return EXIT_USAGE;
    }
    tid = find_thread(pid, argv[2]);
    if (tid == 0)
        return complain(argv[2]);
    return hinder(tid, how, slow_ms, (unsigned)ms);
}
