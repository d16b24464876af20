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

/* A signal just before poll() is seen this late. */
enum { LISTEN_MS = 500 };

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

void run_catch_signals(void)
{
    struct sigaction a = {.sa_handler = stop};

    HF_ASSERT(sigaction(SIGINT, &a, NULL) == 0 && sigaction(SIGTERM, &a, NULL) == 0 &&
              sigaction(SIGHUP, &a, NULL) == 0);
}

/* One cell under way, as the runner sees it. */
struct running {
    pid_t outer;            /* 0 = nothing runs here */
    size_t index;           /* in the plan, round by round */
    int alive;              /* write end: the cell sees its other end close when the runner dies */
    int events_fd, fd;      /* read ends; -1 once at the end */
    char *events, *verdict; /* read so far */
    size_t n_events, n_verdict;
};

struct pool {
    const struct run_plan *plan;
    const struct run_options *options;
    struct run_kept *kept; /* options.stay: where the lab goes */
    struct running slots[RUN_MAX_JOBS];
    unsigned n_slots;
    size_t next, total; /* cells, rounds counted */
    json_t **verdicts;  /* by index */
};

/* The write ends, in the cell. */
struct ends {
    int events_fd, fd, alive_fd;
};

static struct drill_cell cell_of(const struct pool *p, size_t index)
{
    struct drill_cell cell = p->plan->cells[index % p->plan->n_cells];

    cell.round = (unsigned)(index / p->plan->n_cells);
    return cell;
}

/* Where a cell's evidence goes: the folder and the id, as one name. */
static const char *evidence_of(const struct run_options *options, const struct drill_cell *cell,
                               char *dir, size_t size)
{
    if (!options->evidence_dir)
        return NULL;
    (void)snprintf(dir, size, "%s/%s-%u", options->evidence_dir, cell->id, cell->round);
    for (char *p = dir + strlen(options->evidence_dir) + 1; *p; p++) {
        if (*p == '/' || *p == ':')
            *p = '_';
    }
    return dir;
}

/* The child's side: never returns. */
_Noreturn static void be_cell(const struct pool *p, size_t index, const struct ends *ends,
                              pid_t runner)
{
    char prefix[24], dir[600];
    struct drill_cell spec = cell_of(p, index);
    struct cell_options o = {.bin_dir = p->options->bin_dir,
                             .beside = p->options->beside,
                             .stay = p->options->stay,
                             .events_fd = ends->events_fd,
                             .evidence_dir = evidence_of(p->options, &spec, dir, sizeof dir),
                             .prefix = prefix};
    struct pollfd alive = {.fd = ends->alive_fd, .events = POLLIN};
    struct cell *kept;
    json_t *verdict;
    FILE *f;

    /* The runner may have died before the request to die with it was in force: then the pipe is
     * closed. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || poll(&alive, 1, 0) != 0)
        _exit(3);
    (void)setsid();
    (void)snprintf(prefix, sizeof prefix, "hfd%d-", (int)runner);
    verdict = cell_run(&spec, &o, &kept);
    f = fdopen(ends->fd, "w");
    if (!verdict || !f || json_dumpf(verdict, f, JSON_COMPACT) != 0 || fclose(f) != 0)
        _exit(3);
    json_decref(verdict);
    if (kept)
        cell_stay(kept);
    _exit(0);
}

/* The first child makes the namespaces, the second is process 1 in them; both die with the runner.
 */
_Noreturn static void be_outer(const struct pool *p, size_t index, const struct ends *ends,
                               pid_t runner)
{
    pid_t pid;
    int status;

    /* A pipe of another cell must not stay open through this one. */
    for (unsigned i = 0; i < p->n_slots; i++) {
        if (p->slots[i].outer) {
            (void)close(p->slots[i].alive);
            (void)close(p->slots[i].fd);
            (void)close(p->slots[i].events_fd);
        }
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET) != 0) {
        (void)fprintf(stderr, "holdfast-drill: new namespaces: %s (root is needed)\n",
                      strerror(errno));
        _exit(3);
    }
    pid = fork();
    if (pid == 0)
        be_cell(p, index, ends, runner);
    (void)close(ends->events_fd);
    (void)close(ends->fd);
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    _exit(0);
}

static void close_pair(const int fds[2])
{
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* Starts a cell in the slot; false: no pipes or no process. */
static bool begin(struct pool *p, struct running *slot, size_t index)
{
    int events[2], verdict[2], alive[2];
    pid_t runner = getpid(), outer;

    if (pipe2(events, O_CLOEXEC) != 0)
        return false;
    if (pipe2(verdict, O_CLOEXEC) != 0) {
        close_pair(events);
        return false;
    }
    if (pipe2(alive, O_CLOEXEC) != 0) {
        close_pair(events);
        close_pair(verdict);
        return false;
    }
    (void)fcntl(events[1], F_SETFL, O_NONBLOCK);
    outer = fork();
    if (outer == 0) {
        struct ends ends = {events[1], verdict[1], alive[0]};

        (void)close(alive[1]);
        (void)close(events[0]);
        (void)close(verdict[0]);
        be_outer(p, index, &ends, runner);
    }
    (void)close(events[1]);
    (void)close(verdict[1]);
    (void)close(alive[0]);
    *slot = (struct running){.outer = outer,
                             .index = index,
                             .alive = alive[1],
                             .events_fd = events[0],
                             .fd = verdict[0]};
    if (outer > 0)
        return true;
    (void)close(alive[1]);
    (void)close(events[0]);
    (void)close(verdict[0]);
    slot->outer = 0;
    return false;
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

/* Waits until something was said by some cell, and takes it. */
static void listen_once(struct pool *p)
{
    struct pollfd fds[2 * RUN_MAX_JOBS];

    for (unsigned i = 0; i < p->n_slots; i++) {
        const struct running *r = &p->slots[i];

        fds[2 * i] = (struct pollfd){.fd = r->outer ? r->events_fd : -1, .events = POLLIN};
        fds[2 * i + 1] = (struct pollfd){.fd = r->outer ? r->fd : -1, .events = POLLIN};
    }
    if (poll(fds, 2 * p->n_slots, LISTEN_MS) <= 0)
        return;
    for (unsigned i = 0; i < p->n_slots; i++) {
        struct running *r = &p->slots[i];

        if (fds[2 * i].revents) {
            if (!take(r->events_fd, &r->events, &r->n_events)) {
                (void)close(r->events_fd);
                r->events_fd = -1;
            } else if (r->n_events) {
                show_lines(p->options->screen, r->events, &r->n_events);
            }
        }
        if (fds[2 * i + 1].revents && !take(r->fd, &r->verdict, &r->n_verdict)) {
            (void)close(r->fd);
            r->fd = -1;
        }
    }
}

static json_t *aborted(const struct drill_cell *cell, const char *why)
{
    return json_pack("{s:s, s:i, s:s, s:s}", "id", cell->id, "round", (int)cell->round, "verdict",
                     "aborted", "why", why);
}

static void end_lab(pid_t outer, int alive, bool now)
{
    int status;

    if (now)
        (void)kill(outer, SIGKILL);
    while (waitpid(outer, &status, 0) < 0 && errno == EINTR)
        ;
    (void)close(alive);
}

/* The cell ended, or the runner is told to stop: its verdict, always one. */
static json_t *end(struct pool *p, struct running *r)
{
    struct drill_cell spec = cell_of(p, r->index);
    json_t *verdict = !stopped && r->verdict ? json_loadb(r->verdict, r->n_verdict, 0, NULL) : NULL;

    if (verdict && p->options->stay)
        *p->kept = (struct run_kept){r->outer, r->alive};
    else
        end_lab(r->outer, r->alive, stopped);
    if (r->events_fd >= 0)
        (void)close(r->events_fd);
    if (r->fd >= 0)
        (void)close(r->fd);
    free(r->events);
    free(r->verdict);
    *r = (struct running){0};
    if (verdict)
        return verdict;
    return aborted(&spec, stopped ? "stopped by a signal" : "the cell ended without a verdict");
}

static void give(struct pool *p, size_t index, json_t *verdict)
{
    screen_end_cell(p->options->screen, verdict);
    p->verdicts[index] = verdict;
}

/* Gives each free slot the next cell. */
static void fill(struct pool *p)
{
    for (unsigned i = 0; i < p->n_slots && p->next < p->total && !stopped; i++) {
        struct drill_cell cell = cell_of(p, p->next);
        struct screen *screen = p->options->screen;

        if (p->slots[i].outer)
            continue;
        (void)snprintf(screen->drill, sizeof screen->drill, "%s", cell.drill->name);
        screen->nodes = cell.drill->gateway == DRILL_STRONGSWAN ? 1 : cell.drill->nodes;
        screen_begin_cell(screen, p->next + 1, cell.id);
        if (!begin(p, &p->slots[i], p->next))
            give(p, p->next, aborted(&cell, "no process for it"));
        p->next++;
    }
}

/* Takes the verdicts of the cells that ended; returns how many still run. */
static unsigned gather(struct pool *p)
{
    unsigned running = 0;

    for (unsigned i = 0; i < p->n_slots; i++) {
        struct running *r = &p->slots[i];
        size_t index = r->index;

        if (!r->outer)
            continue;
        if (!stopped && r->fd >= 0)
            running++;
        else
            give(p, index, end(p, r));
    }
    return running;
}

void run_stay(struct run_kept *kept, struct screen *screen)
{
    screen_stay(screen, kept->outer);
    while (!stopped)
        (void)poll(NULL, 0, LISTEN_MS);
    end_lab(kept->outer, kept->alive, true);
    *kept = (struct run_kept){0};
}

json_t *run_cells(const struct run_plan *plan, const struct run_options *options,
                  struct run_kept *kept)
{
    size_t total = plan->n_cells * plan->repeat;
    struct pool p = {.plan = plan,
                     .options = options,
                     .kept = kept,
                     .n_slots = plan->jobs,
                     .total = total,
                     .verdicts = calloc(total ? total : 1, sizeof(json_t *))};
    json_t *list = json_array();
    unsigned running = 0;

    HF_ASSERT(plan->jobs >= 1 && plan->jobs <= RUN_MAX_JOBS && p.verdicts && list);
    HF_ASSERT(!options->stay || (kept && total == 1));
    while (running || (p.next < total && !stopped)) {
        fill(&p);
        if (!stopped)
            listen_once(&p);
        running = gather(&p);
    }
    for (size_t i = 0; i < total; i++) {
        if (p.verdicts[i]) /* none: it was not begun before the stop */
            (void)json_array_append_new(list, p.verdicts[i]);
    }
    free(p.verdicts);
    return list;
}
