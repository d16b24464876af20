/* Faults that move the owner, or might: each begins, is watched until others act and traffic flows,
 * and heals by itself when its time is over. */
#include "cell.h"

#include <limits.h>

enum { RETURN_MS = 10000, ASK_MS = 10000, AGAIN = 50, LEADER_TRIES = 5 };

/* What is left of the fault's time, at most `most`. */
static unsigned left_ms(const struct cell *c, uint64_t since_mono_ns, unsigned most)
{
    uint64_t gone_ms = (pump_mono_ns() - since_mono_ns) / 1000000;
    unsigned left = gone_ms < c->drill->for_ms ? c->drill->for_ms - (unsigned)gone_ms : 0;

    return left < most ? left : most;
}

bool cell_watch(struct cell *c, struct cell_takeover *t, uint64_t since_mono_ns, const char *after)
{
    const struct drill *d = c->drill;
    bool ok;

    c->reached = true;
    cell_phase(c, "node %u %s", t->from, after);
    ok = cell_await_acting(c, t, left_ms(c, since_mono_ns, d->takeover_ms), after) &&
         cell_await_flow(c, t, left_ms(c, since_mono_ns, d->settle_ms));
    if (ok) {
        cell_phase(c, "node %u took over", t->to);
        (void)cell_read_owner(c);
    }
    (void)lab_until(&c->lab, NULL, NULL, left_ms(c, since_mono_ns, UINT_MAX));
    return ok;
}

bool cell_healed(struct cell *c, unsigned node)
{
    cell_phase(c, "node %u is whole again", node);
    if (!cell_came_back(c, node, RETURN_MS))
        return false;
    if (cell_wait_flow(c, AGAIN, c->drill->settle_ms))
        return true;
    oracle_violation(&c->report, "traffic: it stopped when node %u was whole again", node);
    return false;
}

static bool pause_owner(struct cell *c)
{
    unsigned victim = c->owner;
    uint64_t since = pump_mono_ns();
    struct cell_takeover *t = cell_begin_takeover(c, victim, pump_wall_ns());
    bool ok;

    if (!node_pause(&c->nodes[victim], true))
        return false;
    t->stopped_ns = pump_wall_ns();
    ok = cell_watch(c, t, since, "was stopped");
    t->continued_ns = t->goes_on_from_ns = pump_wall_ns();
    if (!node_pause(&c->nodes[victim], false))
        return false;
    t->goes_on_to_ns = pump_wall_ns();
    return ok && cell_healed(c, victim);
}

static bool pull_cable(struct cell *c)
{
    static const char *const cables[] = {
        [DRILL_OUTSIDE] = "out", [DRILL_INSIDE] = "in", [DRILL_RAFT] = "raft"};
    const char *cable = cables[c->spec->mode];
    unsigned victim = c->owner;
    uint64_t since = pump_mono_ns();
    struct cell_takeover *t = cell_begin_takeover(c, victim, pump_wall_ns());
    bool ok;

    if (!lab_cable(&c->lab, victim, cable, false))
        return false;
    ok = cell_watch(c, t, since, "lost a link");
    return lab_cable(&c->lab, victim, cable, true) && ok && cell_healed(c, victim);
}

static bool cut_off(struct cell *c)
{
    enum drill_mode mode = c->spec->mode;
    unsigned victim = c->owner;
    uint64_t since = pump_mono_ns();
    struct cell_takeover *t;
    bool ok;

    if (mode == DRILL_PARTIAL)
        return cell_hinder(c);
    t = cell_begin_takeover(c, victim, pump_wall_ns());
    if (!lab_partition(&c->lab, victim, mode != DRILL_DEAF, mode != DRILL_MUTE))
        return false;
    ok = cell_watch(c, t, since, "was cut off");
    return lab_partition(&c->lab, victim, false, false) && ok && cell_healed(c, victim);
}

static bool fill_disk(struct cell *c)
{
    unsigned victim = c->owner;
    uint64_t since = pump_mono_ns();
    struct cell_takeover *t = cell_begin_takeover(c, victim, pump_wall_ns());
    bool ok;

    if (!node_fill_disk(&c->nodes[victim], true))
        return false;
    ok = cell_watch(c, t, since, "has a full disk");
    return node_fill_disk(&c->nodes[victim], false) && ok && cell_healed(c, victim);
}

/* Shard 1 goes to the next node. */
static bool hand_over_once(struct cell *c)
{
    unsigned from = c->owner, to = from % c->drill->nodes + 1;
    struct cell_takeover *t = cell_begin_takeover(c, from, pump_wall_ns());
    int status;

    c->moving = t->shards = 1u << 1;
    status = node_handover(&c->nodes[from], 1, to, ASK_MS);
    if (status < 200 || status > 299) {
        oracle_violation(&c->report,
                         "handover: node %u does not give shard 1 to node %u: status %d", from, to,
                         status);
        return false;
    }
    c->reached = true;
    if (!cell_await_acting(c, t, c->drill->takeover_ms, "handed over"))
        return false;
    if (t->to != to) {
        oracle_violation(&c->report, "handover: shard 1 went to node %u, asked for was node %u",
                         t->to, to);
        return false;
    }
    (void)cell_read_owner(c);
    return cell_await_flow(c, t, c->drill->settle_ms);
}

static bool hand_over(struct cell *c)
{
    for (unsigned i = 1; i <= c->drill->times; i++) {
        cell_phase(c, "handover %u of %u", i, c->drill->times);
        if (!hand_over_once(c))
            return false;
    }
    return true;
}

static bool drain(struct cell *c)
{
    unsigned victim = c->owner;
    struct cell_takeover *t = cell_begin_takeover(c, victim, pump_wall_ns());
    int status;

    cell_phase(c, "node %u is drained", victim);
    status = node_drain(&c->nodes[victim], victim, false, ASK_MS);
    if (status < 200 || status > 299) {
        oracle_violation(&c->report, "drain: node %u does not take it: status %d", victim, status);
        return false;
    }
    c->reached = true;
    if (!cell_await_move(c, t, "was drained"))
        return false;
    status = node_drain(&c->nodes[victim], victim, true, ASK_MS);
    if (status < 200 || status > 299) {
        oracle_violation(&c->report, "undrain: node %u does not take it: status %d", victim,
                         status);
        return false;
    }
    return cell_healed(c, victim);
}

/* Asked to end it has the time limit of a takeover for it; killed it has none. */
bool cell_end_daemon(struct cell *c, unsigned victim, struct cell_takeover *t)
{
    if (c->spec->mode == DRILL_PROCESS) {
        c->killed |= 1u << victim;
        if (!node_kill(&c->nodes[victim], false))
            return false;
        if (t)
            t->dead_ns = c->nodes[victim].step.dead_ns;
        return true;
    }
    c->ended |= 1u << victim;
    if (node_end(&c->nodes[victim], c->drill->takeover_ms))
        return true;
    oracle_violation(&c->report, "restart: node %u did not end within %u ms after SIGTERM", victim,
                     c->drill->takeover_ms);
    return false;
}

static bool restart(struct cell *c)
{
    unsigned victim = c->owner;
    struct cell_takeover *t = cell_begin_takeover(c, victim, pump_wall_ns());

    cell_phase(c, "node %u is restarted", victim);
    if (!cell_end_daemon(c, victim, t))
        return false;
    c->reached = true;
    t->return_ns = pump_wall_ns();
    if (!node_restart(&c->nodes[victim], c->binary) || !cell_await_move(c, t, "was restarted"))
        return false;
    return cell_healed(c, victim);
}

struct leader_wait {
    struct cell *c;
    unsigned wanted;
};

static bool leads(void *arg)
{
    const struct leader_wait *w = arg;
    struct node_view v;

    node_look(&w->c->nodes[w->wanted], &v);
    return v.answered && v.leader == w->wanted;
}

/* The owner stays what it is; only who decides changes. */
static bool change_leader(struct cell *c)
{
    for (unsigned i = 1; i <= c->drill->times; i++) {
        struct leader_wait w = {c, c->leader % c->drill->nodes + 1};
        uint64_t since = pump_mono_ns();
        bool moved = false;

        cell_phase(c, "leader change %u of %u", i, c->drill->times);
        for (unsigned tries = 0; tries < LEADER_TRIES && !moved; tries++) {
            (void)node_make_leader(&c->nodes[c->leader], w.wanted);
            moved = lab_until(&c->lab, leads, &w, ASK_MS / LEADER_TRIES);
        }
        if (!moved)
            return cell_inconclusive(c, "leadership did not move to node %u", w.wanted);
        c->reached = true;
        c->leader = w.wanted;
        if (!cell_wait_flow(c, AGAIN, c->drill->settle_ms)) {
            oracle_violation(&c->report, "traffic: it stopped when node %u became leader",
                             c->leader);
            return false;
        }
        if ((pump_mono_ns() - since) / 1000000 < c->drill->every_ms)
            (void)lab_until(&c->lab, NULL, NULL,
                            c->drill->every_ms - (unsigned)((pump_mono_ns() - since) / 1000000));
    }
    return true;
}

struct election {
    struct cell *c;
    unsigned dead;
    unsigned leader; /* of the term in which the living agree; 0 = of none yet */
    uint64_t term;
};

/* All who live follow one of them. */
static bool elected(void *arg)
{
    struct election *e = arg;
    struct cell *c = e->c;
    unsigned leader = 0;
    uint64_t term = 0;

    for (unsigned n = 1; n <= c->drill->nodes; n++) {
        struct node_view v;

        if (n == e->dead)
            continue;
        node_look(&c->nodes[n], &v);
        if (!v.answered || !v.quorum || !v.leader || v.leader == e->dead ||
            (leader && (v.leader != leader || v.term != term)))
            return false;
        leader = v.leader;
        term = v.term;
    }
    e->leader = leader;
    e->term = term;
    return leader != 0;
}

/* The leader dies, the owner lives: it stays the owner, by its lease from those who are left. What it has been
 * granted lasts outward until one of them leads, inward traffic stands for an election at most: one, so a vote
 * that was split shows nothing of it. */
static bool kill_leader(struct cell *c)
{
    struct election e = {.c = c, .dead = c->leader};
    struct node *victim = &c->nodes[c->leader];
    struct node_view before;

    node_look(victim, &before);
    if (!before.answered || before.leader != e.dead || e.dead == c->owner)
        return cell_inconclusive(c, "node %u is to die: it does not lead alone", e.dead);
    c->recoveries_gone += before.recoveries;
    c->killed |= 1u << e.dead;
    cell_phase(c, "node %u, the leader, dies", e.dead);
    if (!node_kill(victim, c->spec->mode == DRILL_MACHINE))
        return false;
    c->reached = true;
    if (!lab_until(&c->lab, elected, &e, c->drill->takeover_ms)) {
        oracle_violation(&c->report, "leader: nobody leads %u ms after node %u died",
                         c->drill->takeover_ms, e.dead);
        return false;
    }
    c->leader = e.leader;
    if (!cell_wait_flow(c, AGAIN, c->drill->settle_ms)) {
        oracle_violation(&c->report, "traffic: it stopped when node %u, the leader, died", e.dead);
        return false;
    }
    c->vote_split = e.term > before.term + 1;
    if (c->vote_split)
        (void)cell_inconclusive(c, "the vote was split: from term %llu to %llu",
                                (unsigned long long)before.term, (unsigned long long)e.term);
    return node_restart(victim, c->binary) && cell_healed(c, e.dead);
}

bool cell_move(struct cell *c)
{
    bool ok;
    static bool (*const by_fault[])(struct cell *) = {[DRILL_PAUSE] = pause_owner,
                                                      [DRILL_LINK_DOWN] = pull_cable,
                                                      [DRILL_PARTITION] = cut_off,
                                                      [DRILL_HANDOVER] = hand_over,
                                                      [DRILL_DRAIN] = drain,
                                                      [DRILL_DISK_FULL] = fill_disk,
                                                      [DRILL_RESTART] = restart,
                                                      [DRILL_LEADER_CHANGE] = change_leader,
                                                      [DRILL_LEADER_KILL] = kill_leader,
                                                      [DRILL_QUORUM_LOSS] = cell_nodes,
                                                      [DRILL_ROLLING] = cell_nodes,
                                                      [DRILL_WIPED] = cell_nodes,
                                                      [DRILL_REBIND] = cell_nodes,
                                                      [DRILL_ALL_DIE] = cell_all,
                                                      [DRILL_HANG] = cell_hinder,
                                                      [DRILL_DISK_ERROR] = cell_hinder,
                                                      [DRILL_DISK_SLOW] = cell_hinder,
                                                      [DRILL_CLOCK_JUMP] = cell_hinder};

    c->owner_before = c->owner;
    c->leader_before = c->leader;
    cell_take_spis(cell_owner(c), &c->before);
    c->fault_from_ns = pump_wall_ns();
    ok = by_fault[c->drill->fault](c);
    c->fault_to_ns = pump_wall_ns();
    if (!ok)
        return false;
    if (!cell_wait_quiet(c, 1) || !cell_ends_agree(c))
        return false;
    cell_take_spis(cell_owner(c), &c->after);
    return true;
}
