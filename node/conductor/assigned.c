/* An assignment, and the right to act by it, reach every SA of a shard: some of them per turn of
 * the loop, for 100,000 in one would stop timers, heartbeats' stamps and admin for a tenth of a
 * second. No other event of replication is taken until the pass is over, so the state stays that of
 * one place in the log; no step begins and nothing is extended for that shard meanwhile, for a
 * claim that moved between the assignment and its grant would be granted twice or not at all.
 *
 *   ASSIGNED  CHILD SAs: granted or revoked; SAs: their timers stand in the heap or do not
 *   LEASE     SAs: what the owner before us had outstanding is sent again, byte for byte
 */
#include "conductor/internal.h"

enum { TAKEOVER_SPREAD_MS = 1000 };

bool assigned_granting(struct conductor *c, uint32_t shard)
{
    return (c->pass.what == PASS_CHILDREN || c->pass.what == PASS_TIMERS) && c->pass.shard == shard;
}

void assigned_child_gone(struct conductor *c, const struct conductor_child *child)
{
    if (c->pass.child == child)
        c->pass.child = child->hh.next;
}

void assigned_sa_gone(struct conductor *c, const struct conductor_sa *sa)
{
    if (c->pass.sa == sa)
        c->pass.sa = sa->hh.next;
}

/* So many of them; true: all. */
static bool children_some(struct conductor *c, const struct conductor_shard *s, size_t n)
{
    for (; c->pass.child != NULL; n--) {
        struct conductor_child *child = c->pass.child;

        if (n == 0)
            return false;
        c->pass.child = child->hh.next;
        if (child->sa->shard == s->id)
            child_assigned(c, s, child);
    }
    return true;
}

/* Timers of the shard's SAs run only where it is owned. */
static bool timers_some(struct conductor *c, const struct conductor_shard *s, size_t n)
{
    for (; c->pass.sa != NULL; n--) {
        struct conductor_sa *sa = c->pass.sa;

        if (n == 0)
            return false;
        c->pass.sa = sa->hh.next;
        if (sa->shard != s->id || sa->half_open)
            continue;
        sa_set_wake(c, sa, sa->wake.at_ms);
        if (!s->mine)
            run_drop_queue(c, sa);
    }
    return true;
}

/* The SA learns that this node acts for it now. */
static void act_for(struct conductor *c, struct conductor_sa *sa, uint64_t now)
{
    struct conductor_work *w;

    sa->local_part = (struct ike_local){.last_inbound_ms = now, .last_outbound_ms = now};
    if (!sa->pending) { /* what fell due on no node's watch is spread over a second */
        if (sa->wake.at_ms <= now)
            heap_set(&c->heap, &sa->wake, now + sa->id % TAKEOVER_SPREAD_MS);
        return;
    }
    if (sa->inflight != NULL || sa->job_work != NULL)
        return;
    w = work_new((struct span){0});
    w->sa_id = sa->id;
    w->event.kind = IKE_EV_TAKEOVER;
    run_work(c, w);
}

static bool acting_some(struct conductor *c, uint32_t shard, size_t n)
{
    uint64_t now = c->ops.now_ms(c->ops.self);

    for (; c->pass.sa != NULL; n--) {
        struct conductor_sa *sa = c->pass.sa;

        if (n == 0)
            return false;
        c->pass.sa = sa->hh.next;
        if (sa->shard == shard && !sa->half_open && !sa->ended)
            act_for(c, sa, now);
    }
    return true;
}

/* What is true from the first instant on. */
static void begin(struct conductor *c, struct conductor_shard *s, const struct repl_event *ev)
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
    else /* after a takeover each is served as soon as it is granted; windows need standing still */
        handover_over(c, s);
    c->pass = (struct conductor_pass){
        .what = PASS_CHILDREN, .shard = s->id, .child = c->children, .sa = c->sas};
}

bool assigned_some(struct conductor *c, const struct repl_event *ev, size_t n)
{
    struct conductor_shard *s = shard_find(c, ev->shard);

    if (s == NULL) {
        log_line(c->log, LOG_WARN, "owner", "shard %u is assigned but not configured here",
                 ev->shard);
        return true;
    }
    if (c->pass.what == PASS_NONE)
        begin(c, s, ev);
    if (c->pass.what == PASS_CHILDREN) {
        if (!children_some(c, s, n))
            return false;
        c->pass.what = PASS_TIMERS;
    }
    if (!timers_some(c, s, n))
        return false;
    c->pass.what = PASS_NONE;
    if (s->mine && ev->handover)
        handover_over(c, s);
    return true;
}

bool assigned_act_some(struct conductor *c, uint32_t shard, size_t n)
{
    if (c->pass.what == PASS_NONE) {
        count(&c->counters, COUNTER_takeovers);
        c->pass = (struct conductor_pass){.what = PASS_ACTING, .shard = shard, .sa = c->sas};
    }
    if (!acting_some(c, shard, n))
        return false;
    c->pass.what = PASS_NONE;
    return true;
}
