/* Faults inside the owner's machine: a thread that hangs, a disk that is slow or fails, a wall clock
 * that jumps. Each ends by its own time limit (hinder.c), or with the cell. */
#include "cell.h"

#include <limits.h>

enum { AGAIN = 50, ASK_MS = 10000, HOUR_S = 3600, BEAT_MS = 200 };

/* It ends by its own time limit. */
static bool let_go(struct cell *c, struct node *n)
{
    return proc_wait(&c->lab, &n->hinder, ASK_MS) ||
           lab_fail(&c->lab, "the fault of node %u does not end", n->id);
}

/* Whatever thread it is, the process stays: others take over, and a leader whose disk hangs gives its
 * office away (replication/README.md). */
static bool hang_thread(struct cell *c)
{
    static const char *const threads[] = {[DRILL_WORKER] = "hf-esp-0",
                                          [DRILL_CONTROL] = "main",
                                          [DRILL_REPLICATION] = "hf-repl",
                                          [DRILL_DISK] = "hf-disk"};
    unsigned victim = c->owner;
    uint64_t since = pump_mono_ns(), begins_ns = pump_wall_ns();
    struct cell_takeover *t = cell_begin_takeover(c, victim, begins_ns);
    struct node *n = &c->nodes[victim];

    if (!node_hinder(n, threads[c->spec->mode], "stop", c->drill->for_ms) ||
        !cell_watch(c, t, since, "hangs") || !let_go(c, n))
        return false;
    if (c->spec->mode == DRILL_WORKER) {
        t->goes_on_from_ns = begins_ns + c->drill->for_ms * 1000000ull;
        t->goes_on_to_ns = pump_wall_ns();
    }
    if (node_alive(n))
        return cell_healed(c, victim);
    oracle_violation(&c->report,
                     "hang: node %u did not outlive its thread %s, which hung for %u ms", victim,
                     threads[c->spec->mode], c->drill->for_ms);
    return false;
}

static bool has_ended(void *arg)
{
    return !node_alive(arg);
}

/* A failed write ends the process: what it would say from memory might not be on its disk. */
static bool fail_disk(struct cell *c)
{
    unsigned victim = c->owner;
    struct node *n = &c->nodes[victim];
    struct cell_takeover *t = cell_begin_takeover(c, victim, pump_wall_ns());

    c->broke |= 1u << victim;
    cell_phase(c, "the writes of node %u fail", victim);
    if (!node_hinder(n, "hf-disk", "fail", c->drill->for_ms))
        return false;
    c->reached = true;
    if (!lab_until(&c->lab, has_ended, n, c->drill->takeover_ms)) {
        oracle_violation(&c->report, "disk-error: node %u goes on although its writes fail",
                         victim);
        return false;
    }
    if (!cell_await_move(c, t, "lost its disk"))
        return false;
    return node_restart(n, c->binary) && cell_healed(c, victim);
}

/* Nobody has to take over: traffic goes on beside it, and whoever owns owns on. */
static bool flows_until(struct cell *c, uint64_t since_mono_ns, const char *what)
{
    uint64_t ms;

    do {
        if (!cell_wait_flow(c, AGAIN, c->drill->settle_ms)) {
            oracle_violation(&c->report, "traffic: it stopped while %s", what);
            return false;
        }
        ms = (pump_mono_ns() - since_mono_ns) / 1000000;
        if (ms < c->drill->for_ms)
            (void)lab_until(&c->lab, NULL, NULL, BEAT_MS);
    } while (ms < c->drill->for_ms);
    return true;
}

static bool slow_disk(struct cell *c)
{
    uint64_t since = pump_mono_ns();
    struct node *n = cell_owner(c);

    cell_phase(c, "the disk of node %u is slow", n->id);
    if (!node_hinder(n, "hf-disk", "slow:100", c->drill->for_ms))
        return false;
    c->reached = true;
    return flows_until(c, since, "the owner's disk was slow") && let_go(c, n);
}

/* What each node says that the cluster's time is, and when it was asked. */
struct cluster_times {
    uint64_t ms[LAB_MAX_NODES + 1], mono_ns;
};

static bool read_times(struct cell *c, struct cluster_times *t)
{
    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        struct node_view v;

        node_look(&c->nodes[n], &v);
        if (!v.answered || !v.cluster_ms)
            return cell_inconclusive(c, "node %u does not say what time it is in the cluster", n);
        t->ms[n] = v.cluster_ms;
    }
    return true;
}

/* From before the first was asked to after the last was: nobody's time went on for longer. */
static bool judge_times(struct cell *c, const struct cluster_times *from)
{
    struct cluster_times to = {.mono_ns = 0};
    uint64_t passed_ms;

    if (!read_times(c, &to))
        return false;
    passed_ms = (pump_mono_ns() - from->mono_ns) / 1000000;
    for (unsigned n = 1; n <= c->drill->nodes; n++)
        oracle_cluster_time(n, from->ms[n], to.ms[n], passed_ms, &c->report);
    return true;
}

static bool jump_clock(struct cell *c)
{
    int64_t seconds = c->spec->mode == DRILL_FORWARD ? HOUR_S : -HOUR_S;
    uint64_t since = pump_mono_ns();
    struct cluster_times times = {.mono_ns = since};
    struct node *n = cell_owner(c);
    bool ok;

    if (!read_times(c, &times))
        return false;
    cell_phase(c, "the clock of node %u jumps by %lld s", n->id, (long long)seconds);
    if (!node_shift_clock(n, seconds))
        return false;
    c->reached = true;
    ok = flows_until(c, since, "the owner's clock was wrong") && judge_times(c, &times);
    return node_shift_clock(n, 0) && ok && cell_wait_flow(c, AGAIN, c->drill->settle_ms);
}

/* The owner and one other node, the leader where it can be, do not hear each other. */
static bool cut_partly(struct cell *c)
{
    unsigned other = c->leader != c->owner ? c->leader : c->owner % c->drill->nodes + 1;
    uint64_t since = pump_mono_ns();
    bool ok;

    cell_phase(c, "nodes %u and %u do not hear each other", c->owner, other);
    c->dead = c->owner;
    for (unsigned s = 1; s <= c->drill->shards; s++) /* it may move, or stay */
        c->moving |= c->owners[s] == c->owner ? 1u << s : 0;
    if (!lab_cut_between(&c->lab, c->owner, other))
        return false;
    c->reached = true;
    ok = flows_until(c, since, "two nodes did not hear each other");
    if (!lab_partition(&c->lab, c->owner, false, false) || !ok)
        return false;
    cell_adopt_owners(c);
    return cell_healed(c, other);
}

bool cell_hinder(struct cell *c)
{
    switch (c->drill->fault) {
    case DRILL_HANG:
        return hang_thread(c);
    case DRILL_DISK_ERROR:
        return fail_disk(c);
    case DRILL_DISK_SLOW:
        return slow_disk(c);
    case DRILL_CLOCK_JUMP:
        return jump_clock(c);
    default:
        return cut_partly(c);
    }
}
