#include "ns.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void ns_need_root(void)
{
    cr_assert(geteuid() == 0, "this test makes network namespaces: run it as root");
}

void ns_own(void)
{
    ns_need_root();
    cr_assert(unshare(CLONE_NEWNET) == 0, "no network namespace");
    ns_run(0, "ip link set lo up");
}

pid_t ns_create(void)
{
    int ready[2];
    char byte;
    pid_t pid;

    cr_assert(pipe2(ready, O_CLOEXEC) == 0);
    pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) != 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        (void)close(ready[0]);
        (void)close(ready[1]);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    cr_assert(read(ready[0], &byte, 1) == 1, "no network namespace");
    (void)close(ready[0]);
    ns_run(pid, "ip link set lo up");
    return pid;
}

pid_t ns_fork(pid_t holder)
{
    pid_t pid = fork();
    char path[64];
    int fd;

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (holder == 0)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)holder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
        _exit(125);
    (void)close(fd);
    return 0;
}

/* Words are parted by single spaces: no shell. */
_Noreturn static void become(char *command)
{
    char *words[32], *rest = command;
    size_t n = 0;

    while (n < 31 && (words[n] = strsep(&rest, " ")) != NULL)
        n++;
    words[n] = NULL;
    (void)execvp(words[0], words);
    _exit(127);
}

void ns_run(pid_t holder, const char *format, ...)
{
    char command[512];
    va_list args;
    int status;
    pid_t pid;

    va_start(args, format);
    (void)vsnprintf(command, sizeof command, format, args);
    va_end(args);
    pid = ns_fork(holder);
    if (pid == 0)
        become(command);
    cr_assert(waitpid(pid, &status, 0) == pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "failed: %s", command);
}

bool ns_output(pid_t holder, char *out, size_t size, const char *command)
{
    char copy[512];
    size_t len = 0;
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    (void)snprintf(copy, sizeof copy, "%s", command);
    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    pid = ns_fork(holder);
    if (pid == 0) {
        (void)dup2(fds[1], 1);
        become(copy);
    }
    (void)close(fds[1]);
    while (len + 1 < size && (n = read(fds[0], out + len, size - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    (void)close(fds[0]);
    cr_assert(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
    (void)close(fd);
}

char read_setting(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char value = '?';

    cr_assert(fd >= 0 && read(fd, &value, 1) == 1, "%s", path);
    (void)close(fd);
    return value;
}
