/* Events of replication, node by node: I5 (one owner per epoch), I6 (executed once), I11, I12, I17; the
 * first node to apply a record makes it part of what is committed (sim_watch_sa.c). */
#include <inttypes.h>
#include <stdlib.h>

#include "proto/records.pb-c.h"
#include "replication/record.h"
#include "sim/sim_watch_internal.h"

enum { PLACES = 4096 }; /* RECORD_MAX_PER_ENTRY */

static uint64_t bytes_of(uint64_t hash, ProtobufCBinaryData b)
{
    return sim_watch_mix(hash, span_fnv1a64(record_span(b)));
}

/* What a record says and how it was judged. The packed bytes are a whole record's; the state of an
 * SA, which is most of them, is hashed as it is. */
static uint64_t hash_of(const struct repl_event *event)
{
    const Holdfast__Record *r = event->record;
    uint64_t hash = sim_watch_mix((uint64_t)event->verdict, event->sa_version);

    hash = sim_watch_mix(hash, (uint64_t)r->body_case << 32 | r->node);
    hash = sim_watch_mix(sim_watch_mix(hash, r->boot), r->request);
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_STEP)
        hash = bytes_of(sim_watch_mix(hash, r->sa_step->version), r->sa_step->state);
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_CREATE)
        hash = bytes_of(sim_watch_mix(hash, r->sa_create->sa_id), r->sa_create->state);
    for (size_t i = 0; i < event->n_items; i++) {
        hash = sim_watch_mix(hash, event->items[i].claim.reservation_end);
        hash = sim_watch_mix(sim_watch_mix(hash, event->items[i].claim.ceiling),
                             (uint64_t)event->items[i].verdict);
    }
    return hash;
}

/* True: nobody had applied this record before. */
static bool judge_record(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct sim_watch_node *n = &w->nodes[node];
    uint64_t hash = hash_of(event), place;
    struct sim_watch_entry *e;
    bool made;

    n->ordinal = event->index == n->at_index ? n->ordinal + 1 : 0;
    n->at_index = event->index;
    place = event->index * PLACES + n->ordinal;
    e = sim_watch_at(w, &w->records, place, &made);
    if (e == NULL)
        return false;
    if (made)
        e->a = hash;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_same_record, !made, e->a == hash,
                       "node %u: index %" PRIu64 ", record %" PRIu64
                       " is not what another node applied there",
                       (unsigned)node, event->index, n->ordinal);
    return made;
}

/* It was known to the log, and is over: none of its requests takes effect any more. */
static bool is_over(struct sim_watch *w, const Holdfast__Record *r)
{
    const struct sim_watch_node *n = sim_watch_node(w, r->node);

    return n != NULL && n->known_boot != r->boot && sim_watch_find(&w->known, r->boot) != NULL;
}

/* Once; copies of what a former start submitted are refused as often as they come, and nobody is
 * there to be told. */
static void judge_request(struct sim_watch *w, const struct repl_event *event)
{
    const Holdfast__Record *r = event->record;
    struct sim_watch_entry *e;
    bool made;

    if (r->request == 0)
        return; /* replication's own */
    e = sim_watch_at(w, &w->requests, sim_watch_mix(sim_watch_mix(r->node, r->boot), r->request),
                     &made);
    if (e != NULL && made)
        e->a = event->index;
    if (e != NULL)
        SIM_WATCH_JUDGE(w, SIM_WATCH_executed_once,
                        made || (event->verdict == REPL_REFUSED_EPOCH && is_over(w, r)),
                        "request %" PRIu64 " of node %u is judged at index %" PRIu64
                        " and again at %" PRIu64,
                        r->request, (unsigned)r->node, e->a, event->index);
}

/* Operators' wishes, as accepted: all of them, for a node may be behind the newest. */
static void take_wish(struct sim_watch *w, const struct repl_event *event)
{
    const Holdfast__Record *r = event->record;
    struct sim_watch_wish wish = {.index = event->index};

    if (r->body_case == HOLDFAST__RECORD__BODY_MOVE) {
        wish.shard = r->shard;
        wish.node = r->move->node;
    } else if (r->body_case == HOLDFAST__RECORD__BODY_DRAIN) {
        wish.node = r->drain->node;
        wish.drained = r->drain->drained;
    } else {
        return;
    }
    if (w->n_wishes == w->wishes_capacity) {
        w->wishes_capacity = w->wishes_capacity == 0 ? 64 : 2 * w->wishes_capacity;
        w->wishes = realloc(w->wishes, w->wishes_capacity * sizeof *w->wishes);
        HF_ASSERT(w->wishes != NULL);
    }
    w->wishes[w->n_wishes++] = wish;
}

static void take_boot(struct sim_watch *w, const Holdfast__Record *r)
{
    struct sim_watch_node *n;
    bool made;

    if (r->body_case != HOLDFAST__RECORD__BODY_MEMBER ||
        (n = sim_watch_node(w, r->member->node)) == NULL)
        return;
    if (r->member->change == HOLDFAST__MEMBER__CHANGE__LEAVE)
        n->known_boot = 0; /* the start that left is over, too */
    if (r->member->change != HOLDFAST__MEMBER__CHANGE__BOOT)
        return;
    n->known_boot = r->member->boot;
    (void)sim_watch_at(w, &w->known, r->member->boot, &made);
}

/* Whatever an owner submits is of its own epoch, which must be the newest one up to this place. */
static void judge_fence(struct sim_watch *w, const struct repl_event *event)
{
    const Holdfast__Record *r = event->record;
    const struct sim_watch_shard *s;

    if (!record_fenced(r) || (s = sim_watch_shard_of(w, r->shard)) == NULL)
        return;
    SIM_WATCH_JUDGE(w, SIM_WATCH_fenced,
                    r->node == s->owner && r->boot == s->boot &&
                        sim_watch_epoch(w, record_epoch(r->epoch)) == s->newest_epoch,
                    "index %" PRIu64 ": a record of node %u, epoch %" PRIu64
                    " is accepted; the owner is node %u, epoch %" PRIu64,
                    event->index, (unsigned)r->node, sim_watch_epoch(w, record_epoch(r->epoch)),
                    (unsigned)s->owner, s->newest_epoch);
}

static void committed(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    if (!judge_record(w, node, event))
        return;
    judge_request(w, event);
    sim_watch_judge_stored(w, event->index);
    if (event->index > w->highest)
        w->highest = event->index;
    if (event->verdict != REPL_ACCEPTED)
        return;
    judge_fence(w, event);
    sim_watch_member_record(w, event);
    sim_watch_apply(w, event);
    take_wish(w, event);
    take_boot(w, event->record);
}

static void applied(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct sim_watch_node *n = &w->nodes[node];

    n->applied = event->index;
    n->cluster_ms = event->cluster_ms;
    committed(w, node, event);
    sim_watch_gap_told(w, node, event->index);
    if (event->mine && event->verdict == REPL_ACCEPTED && event->index > w->acknowledged)
        w->acknowledged = event->index;
}

static void assigned(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct sim_watch_view *v = sim_watch_view(w, node, event->shard);
    struct sim_watch_shard *s = sim_watch_shard_of(w, event->shard);
    uint64_t epoch = sim_watch_epoch(w, event->epoch);
    struct sim_watch_entry *e;
    bool made;

    if (v == NULL || s == NULL)
        return;
    e = sim_watch_at(w, &w->epochs, sim_watch_mix(event->shard, epoch), &made);
    if (e == NULL)
        return;
    if (made) {
        e->a = event->owner_node;
        e->b = event->owner_boot;
        sim_watch_member_assigned(w, event);
        if (event->kind == REPL_EV_ASSIGNED && !event->handover)
            sim_watch_case_takeover(w, event->shard);
        if (event->kind == REPL_EV_ASSIGNED)
            sim_watch_moves(w, s, event);
    }
    SIM_WATCH_JUDGE_IF(
        w, SIM_WATCH_one_owner, !made, e->a == event->owner_node && e->b == event->owner_boot,
        "shard %u: node %u takes epoch %" PRIu64
        " for node %u's, it was node %u's of another start or another node",
        (unsigned)event->shard, (unsigned)node, epoch, (unsigned)event->owner_node, (unsigned)e->a);
    SIM_WATCH_JUDGE_IF(
        w, SIM_WATCH_one_owner, v->epoch != 0 || event->kind == REPL_EV_ASSIGNED,
        epoch >= v->epoch && (event->kind != REPL_EV_ASSIGNED || epoch == event->index),
        "shard %u: node %u takes epoch %" PRIu64 ", before was %" PRIu64 ", the index is %" PRIu64,
        (unsigned)event->shard, (unsigned)node, epoch, v->epoch, event->index);
    v->epoch = epoch;
    v->owner = event->owner_node;
    v->boot = event->owner_boot;
    v->mine = event->kind == REPL_EV_ASSIGNED && event->owner_node == node &&
              event->owner_boot == w->nodes[node].boot;
    if (epoch > s->newest_epoch) {
        s->newest_epoch = epoch;
        s->owner = event->owner_node;
        s->boot = event->owner_boot;
    }
}

/* The owner's conductor hears that it may act: does it, by its lease? */
static void leased(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct sim_watch_view *v = sim_watch_view(w, node, event->shard);
    struct sim_watch_shard *s = sim_watch_shard_of(w, event->shard);

    if (v == NULL || s == NULL)
        return;
    sim_watch_lapses(w, node, s, event);
    if (!event->held || v->epoch != s->newest_epoch || !sim_watch_may_act(w, node, event->shard))
        return;
    sim_watch_followed(w, s, v->epoch, false);
    if (w->healing && s->first_ms == 0)
        s->first_ms = sim_watch_now(w);
}

/* The newest wish of its kind up to what the node has applied: a Move of that shard, or (shard 0) a
 * Drain of that node; NULL: none. */
static const struct sim_watch_wish *wish_of(const struct sim_watch *w, uint64_t applied,
                                            uint32_t shard, uint32_t node)
{
    const struct sim_watch_wish *newest = NULL;

    for (size_t i = 0; i < w->n_wishes; i++) {
        const struct sim_watch_wish *wish = &w->wishes[i];

        if (wish->index <= applied && wish->shard == shard && (shard != 0 || wish->node == node) &&
            (newest == NULL || wish->index >= newest->index))
            newest = wish;
    }
    return newest;
}

static void judge_gift(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    bool moves = event->reason != NULL && strcmp(event->reason, "command") == 0;
    bool drains = event->reason != NULL && strcmp(event->reason, "drained") == 0;
    const struct sim_watch_node *n = &w->nodes[node];
    const struct sim_watch_wish *wish;

    if (!moves && !drains)
        return;
    wish = wish_of(w, n->applied, moves ? event->shard : 0, node);
    SIM_WATCH_JUDGE(w, SIM_WATCH_audit_first,
                    wish != NULL && (moves ? wish->node == event->owner_node : wish->drained),
                    "shard %u: node %u gives it to node %u (%s), no such wish is in the log up to "
                    "%" PRIu64,
                    (unsigned)event->shard, (unsigned)node, (unsigned)event->owner_node,
                    event->reason, n->applied);
}

void sim_watch_missed(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct repl_event at = *event;

    if (sim_watch_node(w, node) == NULL || event->kind != REPL_EV_APPLIED)
        return;
    at.index = sim_watch_place(w, node, event->index);
    if (sim_watch_is_former(w, node)) {
        (void)judge_record(w, node, &at);
        return;
    }
    committed(w, node, &at);
    sim_watch_gap_told(w, node, at.index);
}

void sim_watch_told_all(struct sim_watch *w, uint32_t node, uint64_t applied_index)
{
    uint64_t place;

    if (sim_watch_node(w, node) == NULL || sim_watch_is_former(w, node))
        return;
    place = sim_watch_place(w, node, applied_index);
    if (w->nodes[node].since <= w->highest && place > w->highest)
        w->highest = place;
    sim_watch_gap_told(w, node, place);
}

/* The log that is over says nothing of the cluster any more; but to all that have it it says the same. */
static void former_event(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    if (event->kind != REPL_EV_APPLIED)
        return;
    w->nodes[node].applied = event->index;
    (void)judge_record(w, node, event);
}

static void take_event(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct sim_watch_node *n = &w->nodes[node];

    switch (event->kind) {
    case REPL_EV_APPLIED:
        applied(w, node, event);
        break;
    case REPL_EV_RESET:
        sim_watch_gap_opens(w, node, event->index);
        n->applied = event->index;
        n->cluster_ms = event->cluster_ms;
        break;
    case REPL_EV_ASSIGNED:
    case REPL_EV_RESTORED_SHARD:
        if (event->epoch.index > 0)
            assigned(w, node, event);
        break;
    case REPL_EV_RESTORED_SA:
        sim_watch_restored(w, node, n->applied, span_of(event->bytes, event->bytes_len));
        break;
    case REPL_EV_RESTORE_END:
        sim_watch_judge_installed(w, node);
        break;
    case REPL_EV_LEADER:
        w->elections += event->node == node && w->healing &&
                        sim_watch_now(w) > w->healing_ms + w->limits.owner_ms;
        break;
    case REPL_EV_LEASE:
        leased(w, node, event);
        break;
    case REPL_EV_GIVE:
        judge_gift(w, node, event);
        sim_watch_gift(w, node, event);
        break;
    default:
        break;
    }
}

void sim_watch_event(struct sim_watch *w, uint32_t node, const struct repl_event *event)
{
    struct repl_event at = *event;

    if (sim_watch_node(w, node) == NULL)
        return;
    at.index = sim_watch_place(w, node, event->index);
    if (sim_watch_is_former(w, node))
        former_event(w, node, &at);
    else
        take_event(w, node, &at);
}

void sim_watch_digest(struct sim_watch *w, uint32_t node, uint64_t last,
                      const uint8_t digest[REPL_DIGEST_BYTES])
{
    struct sim_watch_node *n = sim_watch_node(w, node);
    uint64_t index = sim_watch_place(w, node, last);
    uint64_t hash = span_fnv1a64(span_of(digest, REPL_DIGEST_BYTES));
    struct sim_watch_entry *e;
    bool made;

    if (n == NULL || (e = sim_watch_at(w, &w->digests, index, &made)) == NULL)
        return;
    if (made) {
        e->a = hash;
        e->b = node;
    }
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_same_digest, e->b != node || e->a != hash, e->a == hash,
                       "index %" PRIu64 ": node %u has digest %016" PRIx64 ", node %u %016" PRIx64,
                       index, (unsigned)node, hash, (unsigned)e->b, e->a);
    n->digest_index = index;
    n->digest = hash;
}
