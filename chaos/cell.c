#include "cell.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { CELL_TICK_MS = 100 };

bool cell_is_reference(const struct cell *c)
{
    return c->drill->gateway == DRILL_STRONGSWAN;
}

bool cell_by_lifetime(const struct cell *c)
{
    return c->spec->exchange != DRILL_AT_REST && c->spec->role == DRILL_GATEWAY &&
           c->spec->point == DRILL_STEPPED;
}

bool cell_has_relay(const struct cell *c)
{
    return c->drill->relay.n_rules || c->drill->fault == DRILL_COLLISION ||
           c->drill->fault == DRILL_REBIND;
}

struct node *cell_owner(struct cell *c)
{
    return &c->nodes[c->owner];
}

/* One JSON line for whoever watches. The screen is not part of the experiment: a full pipe loses
 * the line. */
static void tell(struct cell *c)
{
    struct numbers_summary in, out;
    uint64_t now = pump_wall_ns(), from = now, to = now;
    json_t *j;
    char *text;

    if (c->options->events_fd < 0)
        return;
    if (c->n_takeovers) { /* the newest death, until traffic flowed again */
        from = c->takeovers[c->n_takeovers - 1].kill_ns;
        to = c->takeovers[c->n_takeovers - 1].flowing_ns;
        to = to ? to : now;
    }
    traffic_judge(&c->traffic, TRAFFIC_IN, from, to, &in);
    traffic_judge(&c->traffic, TRAFFIC_OUT, from, to, &out);
    j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:{s:I, s:I, s:I, s:I, s:f}, s:{s:I, s:I, s:I, "
                  "s:I, s:f}, s:I, s:i}",
                  "cell", c->spec->id, "phase", c->phase, "round", (int)c->spec->round, "owner",
                  (int)c->owner, "leader", (int)c->leader, "t", (double)(now - c->zero_ns) / 1e9,
                  "in", "sent", (json_int_t)in.sent, "received", (json_int_t)(in.sent - in.lost),
                  "lost", (json_int_t)in.lost, "duplicated", (json_int_t)in.duplicated, "gap",
                  (double)in.gap_ns / 1e6, "out", "sent", (json_int_t)out.sent, "received",
                  (json_int_t)(out.sent - out.lost), "lost", (json_int_t)out.lost, "duplicated",
                  (json_int_t)out.duplicated, "gap", (double)out.gap_ns / 1e6, "upload",
                  (json_int_t)c->traffic.upload_received, "violations", (int)c->report.n);
    text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (text) {
        size_t len = strlen(text);

        text[len] = '\n'; /* json_dumps gave us the byte behind it for the zero */
        (void)!write(c->options->events_fd, text, len + 1);
    }
    free(text);
    json_decref(j);
}

void cell_phase(struct cell *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(c->phase, sizeof c->phase, format, args);
    va_end(args);
    tell(c);
}

bool cell_inconclusive(struct cell *c, const char *format, ...)
{
    va_list args;

    if (c->inconclusive)
        return false;
    c->inconclusive = true;
    va_start(args, format);
    (void)vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    return false;
}

static void ticked(void *arg, uint32_t events)
{
    struct cell *c = arg;
    uint64_t times;

    (void)events;
    if (read(c->ticker.fd, &times, sizeof times) == (ssize_t)sizeof times)
        tell(c);
}

static bool start_ticker(struct cell *c)
{
    struct timespec every = {0, CELL_TICK_MS * 1000000L};
    struct itimerspec its = {every, every};

    c->ticker =
        (struct pump_watch){timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), ticked, c};
    if (c->ticker.fd < 0 || timerfd_settime(c->ticker.fd, 0, &its, NULL) != 0 ||
        !pump_add(&c->lab.pump, &c->ticker, EPOLLIN))
        return lab_fail(&c->lab, "timer: %s", strerror(errno));
    return true;
}

void cell_stay(struct cell *c)
{
    for (;;)
        pump_turn(&c->lab.pump, -1);
}

/* Nothing happens for a while but what the path does. From a second on after it became as bad as it
 * is no end has a reason to ask whether the other lives. */
static void watch_traffic(struct cell *c)
{
    enum { SETTLE_MS = 1000 };

    if (!c->drill->for_ms)
        return;
    cell_phase(c, "watching");
    (void)lab_until(&c->lab, NULL, NULL, SETTLE_MS);
    if (c->drill->expect & DRILL_EXP_NO_DPD)
        c->quiet_from_ns = pump_wall_ns();
    (void)lab_until(&c->lab, NULL, NULL, c->drill->for_ms);
    if (c->drill->expect & DRILL_EXP_NO_DPD)
        c->quiet_to_ns = pump_wall_ns();
}

/* The steps in order; each says by itself why it went wrong. */
static void run_script(struct cell *c)
{
    if (!cell_bring_up(c))
        return;
    switch (c->drill->fault) {
    case DRILL_NONE:
        watch_traffic(c);
        break;
    case DRILL_KILL:
        if (!cell_inject(c))
            return;
        if (c->drill->expect & DRILL_EXP_EXCHANGE && c->spec->exchange != DRILL_AT_REST &&
            !cell_exchange_ends(c))
            return;
        break;
    case DRILL_COLLISION:
        if (!cell_collide(c))
            return;
        break;
    default:
        if (!cell_move(c))
            return;
    }
    c->finished = cell_after_checks(c);
}

static void tear_down(struct cell *c)
{
    if (c->ticker.fd >= 0) {
        pump_remove(&c->lab.pump, &c->ticker);
        (void)close(c->ticker.fd);
    }
    traffic_close(&c->traffic);
    relay_stop(&c->relay);
    for (unsigned n = 1; n <= c->lab.nodes; n++)
        node_deinit(&c->nodes[n]);
    proc_deinit(&c->lab, &c->client.proc);
    proc_deinit(&c->lab, &c->reference.proc);
    sniff_stop(&c->sniff);
    capture_deinit(&c->sniff.capture);
    lab_deinit(&c->lab);
}

json_t *cell_run(const struct drill_cell *spec, const struct cell_options *options,
                 struct cell **kept)
{
    struct cell *c = calloc(1, sizeof *c);
    json_t *verdict;

    if (!c)
        return NULL;
    c->spec = spec;
    c->drill = spec->drill;
    c->options = options;
    c->ticker.fd = -1;
    c->zero_ns = pump_wall_ns();
    c->began_mono_ns = pump_mono_ns();
    c->want_pfs_child = spec->exchange == DRILL_CHILD_REKEY && spec->role == DRILL_CLIENT;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(c->binary, sizeof c->binary, "%s/holdfastd", options->bin_dir);
    cell_phase(c, "building the lab");
    if (lab_build(&c->lab, options->prefix,
                  &(struct lab_plan){.nodes = cell_is_reference(c) ? 1 : c->drill->nodes,
                                     .shards = c->drill->shards,
                                     .beside = options->beside,
                                     .v6 = c->drill->outside_v6 || c->drill->inside_v6,
                                     .relay = cell_has_relay(c)}) &&
        start_ticker(c))
        run_script(c);
    cell_phase(c, c->lab.failed ? "aborted" : c->inconclusive ? "inconclusive" : "judging");
    c->ended_mono_ns = pump_mono_ns();
    cell_judge(c);
    verdict = cell_verdict(c);
    cell_save_evidence(c, verdict);
    *kept = NULL;
    if (options->stay) {
        *kept = c;
    } else {
        tear_down(c);
        free(c);
    }
    return verdict;
}
