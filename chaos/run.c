#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

bool run_stopped(void)
{
    return stopped != 0;
}

void run_catch_signals(void)
{
    struct sigaction a = {.sa_handler = stop};

    HF_ASSERT(sigaction(SIGINT, &a, NULL) == 0 && sigaction(SIGTERM, &a, NULL) == 0 &&
              sigaction(SIGHUP, &a, NULL) == 0);
}

struct channel {
    int events[2], verdict[2];
};

/* The child's side: never returns. */
_Noreturn static void be_cell(const struct drill_cell *spec, const struct run_options *options,
                              const struct channel *ch, pid_t runner, int alive_fd)
{
    char prefix[24], dir[600] = "";
    struct cell_options o = {.bin_dir = options->bin_dir,
                             .stay = options->stay,
                             .events_fd = ch->events[1],
                             .prefix = prefix};
    struct pollfd alive = {.fd = alive_fd, .events = POLLIN};
    struct cell *kept;
    json_t *verdict;
    FILE *f;

    /* The runner may have died before the request to die with it was in force: then the pipe is
     * closed. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || poll(&alive, 1, 0) != 0)
        _exit(3);
    (void)setsid();
    (void)close(ch->events[0]);
    (void)close(ch->verdict[0]);
    (void)snprintf(prefix, sizeof prefix, "hfd%d-", (int)runner);
    if (options->evidence_dir) {
        (void)snprintf(dir, sizeof dir, "%s/%s-%u", options->evidence_dir, spec->id, spec->round);
        for (char *p = dir + strlen(options->evidence_dir) + 1; *p; p++) {
            if (*p == '/' || *p == ':')
                *p = '_';
        }
        o.evidence_dir = dir;
    }
    verdict = cell_run(spec, &o, &kept);
    f = fdopen(ch->verdict[1], "w");
    if (!verdict || !f || json_dumpf(verdict, f, JSON_COMPACT) != 0 || fclose(f) != 0)
        _exit(3);
    json_decref(verdict);
    if (kept)
        cell_stay(kept);
    _exit(0);
}

/* Reads what there is; false at the end. */
static bool take(int fd, char **text, size_t *len)
{
    char buffer[4096], *p;
    ssize_t n = read(fd, buffer, sizeof buffer);

    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN);
    p = realloc(*text, *len + (size_t)n + 1);
    HF_ASSERT(p != NULL);
    memcpy(p + *len, buffer, (size_t)n);
    *text = p;
    *len += (size_t)n;
    p[*len] = '\0';
    return true;
}

static void show_lines(struct screen *screen, char *text, size_t *len)
{
    char *line = text, *end;

    while ((end = memchr(line, '\n', *len - (size_t)(line - text))) != NULL) {
        *end = '\0';
        screen_event(screen, line);
        line = end + 1;
    }
    *len -= (size_t)(line - text);
    memmove(text, line, *len + 1);
}

static json_t *listen_to(const struct run_options *options, const struct channel *ch)
{
    struct pollfd fds[] = {{.fd = ch->events[0], .events = POLLIN},
                           {.fd = ch->verdict[0], .events = POLLIN}};
    char *events = NULL, *verdict = NULL;
    size_t n_events = 0, n_verdict = 0;
    json_t *j = NULL;

    while (!stopped && fds[1].fd >= 0) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].fd >= 0 && fds[0].revents) {
            if (!take(ch->events[0], &events, &n_events))
                fds[0].fd = -1;
            else if (n_events)
                show_lines(options->screen, events, &n_events);
        }
        if (fds[1].revents && !take(ch->verdict[0], &verdict, &n_verdict))
            fds[1].fd = -1;
    }
    if (!stopped && verdict)
        j = json_loadb(verdict, n_verdict, 0, NULL);
    free(events);
    free(verdict);
    return j;
}

json_t *run_cell(const struct drill_cell *spec, const struct run_options *options)
{
    struct channel ch;
    int alive[2], status;
    pid_t runner = getpid(), outer, pid;
    json_t *verdict = NULL;

    /* The first child makes the namespaces, the second is process 1 in them; both die with the
     * runner. */
    if (pipe2(ch.events, O_CLOEXEC) != 0 || pipe2(ch.verdict, O_CLOEXEC) != 0 ||
        pipe2(alive, O_CLOEXEC) != 0)
        return NULL;
    (void)fcntl(ch.events[1], F_SETFL, O_NONBLOCK);
    outer = fork();
    if (outer == 0) {
        (void)close(alive[1]);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
            unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET) != 0) {
            (void)fprintf(stderr, "holdfast-drill: new namespaces: %s (root is needed)\n",
                          strerror(errno));
            _exit(3);
        }
        pid = fork();
        if (pid == 0)
            be_cell(spec, options, &ch, runner, alive[0]);
        (void)close(ch.events[1]);
        (void)close(ch.verdict[1]);
        if (pid > 0) {
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        }
        _exit(0);
    }
    (void)close(ch.events[1]);
    (void)close(ch.verdict[1]);
    (void)close(alive[0]);
    if (outer > 0)
        verdict = listen_to(options, &ch);
    if (outer > 0 && verdict && options->stay) {
        screen_stay(options->screen, outer);
        while (!stopped)
            (void)poll(NULL, 0, 500);
    }
    if (outer > 0) {
        if (stopped)
            (void)kill(outer, SIGKILL);
        while (waitpid(outer, &status, 0) < 0 && errno == EINTR)
            ;
    }
    (void)close(ch.events[0]);
    (void)close(ch.verdict[0]);
    (void)close(alive[1]);
    return verdict;
}
