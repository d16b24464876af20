/* Events of replication that concern every SA of a shard: a takeover of 100,000 of them takes several
 * turns of the loop, so that its signs of life (without which the lease is lost again) go on.
 *
 *   conductor_replication_some ─> so many SAs ─> false: the same event again ─> ... ─> true
 *
 * Nothing else is applied meanwhile, and no timer steps an SA that was not reached yet.
 */
#include "conductor/internal.h"

enum {
    TURN_UNITS = 1024, /* SAs looked at in one turn */
    UNITS_A_STEP = 32, /* ... one that is stepped counts for so many */
    TAKEOVER_SPREAD_MS = 1000
};

/* The next SA of the shard, NULL at the end; the walk survives the removal of any SA. */
static struct conductor_sa *next_sa(struct conductor *c, uint32_t shard)
{
    while (c->turn_sa != NULL) {
        struct conductor_sa *sa = c->turn_sa;

        c->turn_sa = sa->hh.next;
        if (sa->shard == shard && !sa->half_open)
            return sa;
    }
    return NULL;
}

static void begin_walk(struct conductor *c)
{
    c->turning = true;
    c->turn_sa = c->sas;
}

/* --- a shard is assigned: grants, and timers run only where it is owned --- */

static void begin_assigned(struct conductor *c, struct conductor_shard *s,
                           const struct repl_event *ev)
{
    s->epoch = ev->epoch;
    s->owner_node = ev->owner_node;
    s->owner_boot = ev->owner_boot;
    s->assignments = ev->assignments;
    s->version = ev->shard_version;
    s->mine = ev->owner_node == c->options.node && ev->owner_boot == c->options.boot;
    log_line(c->log, LOG_INFO, "owner", "shard=%u epoch=%llu.%llu owner=%u%s", s->id,
             (unsigned long long)s->epoch.incarnation, (unsigned long long)s->epoch.index,
             s->owner_node, s->mine ? " (this node)" : "");
    if (s->mine && ev->handover)
        handover_spread_windows(c, s);
    begin_walk(c);
}

static bool assigned_some(struct conductor *c, const struct repl_event *ev)
{
    struct conductor_shard *s = shard_find(c, ev->shard);
    struct conductor_sa *sa;

    if (s == NULL) {
        log_line(c->log, LOG_WARN, "owner", "shard %u is assigned but not configured here",
                 ev->shard);
        return true;
    }
    if (!c->turning)
        begin_assigned(c, s, ev);
    for (int i = 0; i < TURN_UNITS; i++) {
        sa = next_sa(c, s->id);
        if (sa == NULL) {
            c->turning = false;
            handover_over(c, s);
            return true;
        }
        children_assigned(c, s, sa);
        sa_set_wake(c, sa, sa->wake.at_ms);
    }
    return false;
}

/* --- the right to act began --- */

/* Whatever the owner before us had outstanding is sent again, byte for byte. */
static bool begin_acting(struct conductor *c, struct conductor_sa *sa)
{
    uint64_t now = c->ops.now_ms(c->ops.self);
    struct conductor_work *w;

    if (sa->ended)
        return false;
    sa->local_part = (struct ike_local){.last_inbound_ms = now, .last_outbound_ms = now};
    if (!sa->pending) { /* what fell due on no node's watch is spread over a second */
        if (sa->wake.at_ms <= now)
            heap_set(&c->heap, &sa->wake, now + sa->id % TAKEOVER_SPREAD_MS);
        return false;
    }
    if (sa->inflight != NULL || sa->job_work != NULL)
        return false;
    w = work_new((struct span){0});
    w->sa_id = sa->id;
    w->event.kind = IKE_EV_TAKEOVER;
    run_work(c, w);
    return true;
}

static bool act_some(struct conductor *c, const struct repl_event *ev)
{
    struct conductor_sa *sa;

    if (!c->turning) {
        count(&c->counters, COUNTER_takeovers);
        begin_walk(c);
    }
    for (int i = 0; i < TURN_UNITS; i++) {
        sa = next_sa(c, ev->shard);
        if (sa == NULL) {
            c->turning = false;
            return true;
        }
        if (begin_acting(c, sa))
            i += UNITS_A_STEP - 1;
    }
    return false;
}

bool conductor_replication_some(struct conductor *c, const struct repl_event *ev)
{
    switch (ev->kind) {
    case REPL_EV_RESET:
        return sa_reset_some(c, CONDUCTOR_FORGET_MAX);
    case REPL_EV_ASSIGNED:
        return assigned_some(c, ev);
    case REPL_EV_LEASE:
        return !ev->held || act_some(c, ev);
    default:
        apply_event(c, ev);
        return true;
    }
}

void conductor_handle_replication(struct conductor *c, const struct repl_event *ev)
{
    while (!conductor_replication_some(c, ev))
        ;
}
