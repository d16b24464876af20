#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

enum { PROC_READ_BYTES = 4096, PROC_STEP_FD = 3, PROC_ENV_MAX = 16 };

bool lab_fail(struct chaos_lab *lab, const char *format, ...)
{
    va_list args;

    if (lab->failed)
        return false;
    lab->failed = true;
    va_start(args, format);
    (void)vsnprintf(lab->error, sizeof lab->error, format, args);
    va_end(args);
    return false;
}

bool lab_until(struct chaos_lab *lab, bool (*done)(void *arg), void *arg, unsigned ms)
{
    return pump_until(&lab->pump, done, arg, pump_mono_ns() + (uint64_t)ms * 1000000u);
}

static void reap(void *arg, uint32_t events)
{
    struct chaos_lab *lab = arg;
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    (void)events;
    while (read(lab->signals.fd, &info, sizeof info) == (ssize_t)sizeof info)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < lab->n_children; i++) {
            if (lab->children[i]->pid == pid && !lab->children[i]->ended) {
                lab->children[i]->ended = true;
                lab->children[i]->status = status;
            }
        }
    }
}

bool lab_watch_children(struct chaos_lab *lab)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return lab_fail(lab, "sigprocmask: %s", strerror(errno));
    lab->signals = (struct pump_watch){signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), reap, lab};
    if (lab->signals.fd < 0 || !pump_add(&lab->pump, &lab->signals, EPOLLIN))
        return lab_fail(lab, "signalfd: %s", strerror(errno));
    return true;
}

/* The lines that end in what begins at `from`; before it none does. */
static void take_lines(struct chaos_proc *p, size_t from)
{
    char *end;

    for (; (end = memchr(p->log + from, '\n', p->log_len - from)) != NULL; from = p->line_at) {
        char *line = p->log + p->line_at;

        p->line_at = (size_t)(end - p->log) + 1;
        if (p->line) {
            *end = '\0';
            p->line(p->arg, line);
            *end = '\n';
        }
    }
}

/* Room in a log that may not grow: its second half is given up, but for the line that is not yet
 * complete; one as long as the half goes too. */
static void lose_middle(struct chaos_proc *p)
{
    size_t half = p->log_cap / 2, open = p->log_len - p->line_at;

    if (open + PROC_READ_BYTES + 1 > p->log_cap - half)
        open = 0;
    memmove(p->log + half, p->log + p->log_len - open, open);
    p->line_at = half;
    p->log_len = half + open;
}

void proc_take(struct chaos_proc *p, const char *text, size_t len)
{
    HF_ASSERT(len <= PROC_READ_BYTES);
    if (p->log_len + len + 1 > p->log_cap) {
        size_t cap = p->log_cap ? p->log_cap * 2 : 16384;
        char *log = cap <= PROC_LOG_MAX ? realloc(p->log, cap) : NULL;

        HF_ASSERT(log || p->log_cap);
        if (log) {
            p->log = log;
            p->log_cap = cap;
        } else {
            lose_middle(p);
        }
    }
    memcpy(p->log + p->log_len, text, len);
    p->log_len += len;
    p->log[p->log_len] = '\0';
    take_lines(p, p->log_len - len);
}

struct out_owner {
    struct chaos_lab *lab;
    struct chaos_proc *proc;
};

static void out_ready(void *arg, uint32_t events)
{
    struct out_owner *o = arg;
    struct chaos_proc *p = o->proc;
    char text[PROC_READ_BYTES];
    ssize_t n;

    (void)events;
    for (;;) {
        n = read(p->out.fd, text, sizeof text);
        if (n < 0)
            return; /* EAGAIN */
        if (n == 0) {
            pump_remove(&o->lab->pump, &p->out);
            (void)close(p->out.fd);
            p->out.fd = -1;
            free(o);
            p->out.arg = NULL;
            return;
        }
        proc_take(p, text, (size_t)n);
    }
}

/* A readable descriptor with the text in it, or /dev/null. */
static int input_fd(const char *text)
{
    int fd;

    if (!text)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    fd = memfd_create("input", MFD_CLOEXEC);
    if (fd >= 0 &&
        (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || lseek(fd, 0, SEEK_SET) != 0)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void make_env(const struct chaos_spawn *what, const char *env[PROC_ENV_MAX])
{
    static char path[1024], asan[512], ubsan[512], tsan[512];
    size_t n = 0;
    const char *v = getenv("PATH");

    (void)snprintf(path, sizeof path, "PATH=%s:/usr/sbin:/sbin", v ? v : "/usr/bin:/bin");
    env[n++] = path;
    if ((v = getenv("ASAN_OPTIONS")) && snprintf(asan, sizeof asan, "ASAN_OPTIONS=%s", v) > 0)
        env[n++] = asan;
    if ((v = getenv("UBSAN_OPTIONS")) && snprintf(ubsan, sizeof ubsan, "UBSAN_OPTIONS=%s", v) > 0)
        env[n++] = ubsan;
    if ((v = getenv("TSAN_OPTIONS")) && snprintf(tsan, sizeof tsan, "TSAN_OPTIONS=%s", v) > 0)
        env[n++] = tsan;
    for (size_t i = 0; what->env && what->env[i]; i++) {
        HF_ASSERT(n < PROC_ENV_MAX - 1);
        env[n++] = what->env[i];
    }
    env[n] = NULL;
}

/* posix_spawn in the namespace that the caller has entered. */
static int spawn_here(struct chaos_proc *p, const struct chaos_spawn *what, int in, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    const char *env[PROC_ENV_MAX];
    int rc;

    make_env(what, env);
    sigemptyset(&none);
    sigfillset(&all);
    HF_ASSERT(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    rc = posix_spawn_file_actions_adddup2(&files, in, 0);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, out, 1);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, out, 2);
    if (!rc && what->step_fd >= 0)
        rc = posix_spawn_file_actions_adddup2(&files, what->step_fd, PROC_STEP_FD);
    rc = rc ? rc : posix_spawnattr_setsigmask(&attr, &none);
    rc = rc ? rc : posix_spawnattr_setsigdefault(&attr, &all);
    rc = rc ? rc : posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!rc) /* argv and env are not written to; the interface lacks the const */
        rc = posix_spawnp(&p->pid, what->argv[0], &files, &attr,
                          (char *const *)(uintptr_t)what->argv, (char *const *)(uintptr_t)env);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attr);
    return rc;
}

bool proc_start(struct chaos_lab *lab, struct chaos_proc *p, const struct chaos_spawn *what)
{
    struct out_owner *owner = calloc(1, sizeof *owner);
    int in = input_fd(what->input), out[2] = {-1, -1}, rc = 0;

    HF_ASSERT(!p->started && lab->n_children < LAB_MAX_CHILDREN);
    if (!owner)
        rc = ENOMEM;
    else if (in < 0 || pipe2(out, O_CLOEXEC) != 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) != 0)
        rc = errno;
    if (!rc && !lab_enter(lab, what->place))
        rc = EIO;
    if (!rc) {
        rc = spawn_here(p, what, in, out[1]);
        lab_leave(lab);
    }
    if (in >= 0)
        (void)close(in);
    if (out[1] >= 0)
        (void)close(out[1]);
    if (rc || !owner) {
        free(owner);
        if (out[0] >= 0)
            (void)close(out[0]);
        return lab_fail(lab, "cannot start %s: %s", what->argv[0], strerror(rc));
    }
    *owner = (struct out_owner){lab, p};
    p->out = (struct pump_watch){out[0], out_ready, owner};
    p->started = true;
    lab->children[lab->n_children++] = p;
    if (!pump_add(&lab->pump, &p->out, EPOLLIN))
        return lab_fail(lab, "epoll_ctl: %s", strerror(errno));
    return true;
}

static bool has_ended(void *arg)
{
    const struct chaos_proc *p = arg;

    return p->ended && p->out.fd < 0;
}

bool proc_wait(struct chaos_lab *lab, struct chaos_proc *p, unsigned ms)
{
    return lab_until(lab, has_ended, p, ms);
}

void proc_deinit(struct chaos_lab *lab, struct chaos_proc *p)
{
    if (!p->started)
        return;
    if (!p->ended) {
        (void)kill(p->pid, SIGKILL);
        (void)proc_wait(lab, p, 5000);
    }
    if (p->out.fd >= 0) {
        pump_remove(&lab->pump, &p->out);
        (void)close(p->out.fd);
        free(p->out.arg);
    }
    for (size_t i = 0; i < lab->n_children; i++) {
        if (lab->children[i] == p) {
            lab->children[i] = lab->children[--lab->n_children];
            break;
        }
    }
    free(p->log);
    *p = (struct chaos_proc){0};
}

/* Waits for it and judges its end. */
static bool ended_well(struct chaos_lab *lab, struct chaos_proc *p, const struct chaos_spawn *what,
                       unsigned ms, bool quiet)
{
    const char *verb = what->argv[1] ? what->argv[1] : "";

    if (!proc_wait(lab, p, ms))
        return !quiet && lab_fail(lab, "%s %s: no end after %u ms", what->argv[0], verb, ms);
    if (WIFEXITED(p->status) && WEXITSTATUS(p->status) == 0)
        return true;
    return !quiet && lab_fail(lab, "%s %s: status %#x: %.300s", what->argv[0], verb,
                              (unsigned)p->status, p->log ? p->log : "");
}

bool proc_run(struct chaos_lab *lab, const struct chaos_spawn *what, unsigned ms, bool quiet,
              char **output)
{
    struct chaos_proc p = {0};
    bool ok;

    if (output)
        *output = NULL;
    if (!proc_start(lab, &p, what))
        return false;
    ok = ended_well(lab, &p, what, ms, quiet);
    if (output) {
        *output = p.log;
        p.log = NULL;
    }
    proc_deinit(lab, &p);
    return ok;
}

bool proc_run_together(struct chaos_lab *lab, const struct chaos_spawn *what, size_t n, unsigned ms)
{
    struct chaos_proc p[PROC_TOGETHER];
    bool ok = true;

    HF_ASSERT(n <= PROC_TOGETHER);
    memset(p, 0, sizeof p);
    for (size_t i = 0; i < n && ok; i++)
        ok = proc_start(lab, &p[i], &what[i]);
    for (size_t i = 0; i < n && ok; i++)
        ok = ended_well(lab, &p[i], &what[i], ms, false);
    for (size_t i = 0; i < n; i++)
        proc_deinit(lab, &p[i]);
    return ok;
}
