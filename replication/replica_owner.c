/* Ownership's frames and its effects: heartbeats, promises, reports, the published leases. */
#include <stdlib.h>

#include "base/bytes.h"
#include "proto/nodes.pb-c.h"
#include "replication/lease.h"
#include "replication/replica_parts.h"

static bool fresh(uint64_t stamp_ns, uint64_t now_ns, uint32_t stale_ms)
{
    /* A stamp may be a little newer than the time of this step: other threads set it. */
    return stamp_ns != 0 && (stamp_ns >= now_ns || now_ns - stamp_ns < stale_ms * 1000000ull);
}

/* Could it hand over? A hung worker or control loop cannot, for it cannot stop by itself. */
static bool alive(const struct replica *r)
{
    const struct repl_health *h = r->health;
    uint32_t stale_ms = r->options.timing.stale_ms;

    return fresh(atomic_load_explicit(&h->control_ns, memory_order_relaxed), r->now_ns, stale_ms) &&
           fresh(atomic_load_explicit(&h->workers_ns, memory_order_relaxed), r->now_ns, stale_ms) &&
           replica_state_trusted(r) && !r->halted && r->ownership.confirmed &&
           !replica_is_outside(r) && !replica_is_muted(r) && replica_sees(r) &&
           replica_session_ready(r);
}

/* Could it serve? */
static bool fit(const struct replica *r)
{
    return atomic_load_explicit(&r->health->links_up, memory_order_relaxed) &&
           r->callbacks.disk_ok(r->callbacks.self);
}

/* Where a snapshot finds no room the log grows until it finds none either, and then the process
 * ends: what it owns is given away before. */
static bool reluctant(const struct replica *r)
{
    return atomic_load_explicit(&r->health->reluctant, memory_order_relaxed) ||
           raft_driver_no_room(r->driver);
}

static void tell_room(struct replica *r)
{
    bool full = raft_driver_no_room(r->driver);

    if (full && !r->full_told)
        replica_log(
            r, REPL_LOG_ERROR,
            "a snapshot does not fit on the disk: this node gives its shards away, and ends "
            "when the log fits no more; make room");
    if (!full && r->full_told)
        replica_log(r, REPL_LOG_INFO, "snapshots fit on the disk again");
    r->full_told = full;
}

static void tell_no_place(struct replica *r)
{
    uint32_t shard = r->ownership.confirmed ? ownership_without_place(&r->ownership) : 0;

    if (shard != 0 && shard != r->no_place_told)
        replica_log(
            r, REPL_LOG_ERROR,
            "shard %u gets no owner: the replicated state holds %d shards, as many as it may, "
            "and keeps those that no file has any more; use one of their numbers instead",
            (unsigned)shard, REPL_MAX_SHARDS);
    r->no_place_told = shard;
}

/* Only a healthy node is assigned anything. */
bool replica_healthy(const struct replica *r)
{
    return alive(r) && fit(r);
}

static bool led(const struct replica *r)
{
    return r->raft.leader != 0 && (r->raft.leader == r->options.node ||
                                   r->transport.connected(r->transport.self, r->raft.leader));
}

static void watch_leader(struct replica *r)
{
    if (led(r))
        r->unled_ns = 0;
    else if (r->unled_ns == 0)
        r->unled_ns = r->now_ns;
}

/* Without a leader for much longer than an election takes: where the others have one, an owner that
 * has its lease from them could commit nothing, no ceiling and no numbers, and keep the shard for as
 * long as that lasts. Where nobody has one it loses nothing: nobody can assign meanwhile. */
static bool cut_off(const struct replica *r)
{
    uint64_t ms = UNLED_ELECTIONS * (uint64_t)r->options.timing.election_ms;

    ms = ms < UNLED_MS ? UNLED_MS : ms;
    return r->unled_ns != 0 && r->now_ns - r->unled_ns >= ms * 1000000ull;
}

/* Only a healthy node asks for leases. One whose link or disk fails goes on for one lease where
 * somebody could take its shards: a handover takes some ms, a lapse a whole lease. */
static bool asks(const struct replica *r)
{
    if (!alive(r) || cut_off(r))
        return false;
    return fit(r) || (r->now_ns - r->unfit_ns < r->ownership.options.lease_ns &&
                      ownership_taker(&r->ownership, r->now_ns));
}

static void send_ownership(struct replica *r, uint32_t node, const Holdfast__Ownership *message)
{
    size_t n = holdfast__ownership__get_packed_size(message);
    uint8_t *bytes = repl_alloc_zero(1, n + 1);
    struct span part = span_of(bytes, n);

    (void)holdfast__ownership__pack(message, bytes);
    for (size_t i = 0; i < r->n_nodes; i++) {
        uint32_t to = r->nodes[i].node;

        if (to != r->options.node && (node == 0 || node == to))
            (void)r->transport.send(r->transport.self, to, REPL_CHANNEL_OWNERSHIP, &part, 1);
    }
    free(bytes);
}

/* --- the beat: heartbeats for what is ours, and a report on ourselves --- */

struct beat {
    Holdfast__Ownership message;
    Holdfast__NodeReport report;
    Holdfast__Heartbeat beats[REPL_MAX_SHARDS], *beat_list[REPL_MAX_SHARDS];
    Holdfast__Lapse lapses[REPL_MAX_SHARDS], *lapse_list[REPL_MAX_SHARDS];
    Holdfast__Epoch beat_epochs[REPL_MAX_SHARDS], lapse_epochs[REPL_MAX_SHARDS];
    uint8_t digest[REPL_DIGEST_BYTES], kept_digest[REPL_DIGEST_BYTES];
};

static Holdfast__Epoch epoch_of(struct repl_epoch e)
{
    Holdfast__Epoch out = HOLDFAST__EPOCH__INIT;

    out.incarnation = e.incarnation;
    out.index = e.index;
    return out;
}

static void put_digest(uint8_t *out, struct digest d)
{
    put_be64(out, d.a);
    put_be64(out + 8, d.b);
}

static void fill_heartbeats(struct replica *r, struct beat *b)
{
    struct ownership_heartbeat beats[REPL_MAX_SHARDS];
    size_t n = ownership_heartbeats(&r->ownership, asks(r), r->now_ns, beats);

    r->ownership.stored = raft_driver_status(r->driver).configuration_index;

    for (size_t i = 0; i < n; i++) {
        struct ownership_ack ack;

        b->beats[i] = (Holdfast__Heartbeat)HOLDFAST__HEARTBEAT__INIT;
        b->beat_epochs[i] = epoch_of(beats[i].epoch);
        b->beats[i].shard = beats[i].shard;
        b->beats[i].epoch = &b->beat_epochs[i];
        b->beats[i].owner_boot = beats[i].owner_boot;
        b->beats[i].sent_ns = beats[i].sent_ns;
        b->beats[i].configuration = beats[i].configuration;
        b->beats[i].lease_ms = (uint32_t)(beats[i].lease_ns / 1000000);
        b->beat_list[i] = &b->beats[i];
        /* The owner is one of those who promise. */
        if (ownership_heard(&r->ownership, &beats[i], r->now_ns, &ack))
            (void)ownership_acked(&r->ownership, r->options.node, r->options.boot, &ack, r->now_ns);
    }
    b->message.n_heartbeats = n;
    b->message.heartbeats = b->beat_list;
    replica_count(r, REPL_COUNT_HEARTBEATS, n);
}

/* What has an epoch is in the state, which holds no more than REPL_MAX_SHARDS. */
static void fill_report(struct replica *r, struct beat *b)
{
    size_t n = 0;

    for (size_t i = 0; i < r->ownership.n_shards; i++) {
        const struct ownership_shard *s = &r->ownership.shards[i];

        if (!ownership_lapsed(&r->ownership, s, r->now_ns))
            continue;
        b->lapses[n] = (Holdfast__Lapse)HOLDFAST__LAPSE__INIT;
        b->lapse_epochs[n] = epoch_of(s->epoch);
        b->lapses[n].shard = s->shard;
        b->lapses[n].epoch = &b->lapse_epochs[n];
        b->lapse_list[n] = &b->lapses[n];
        n++;
    }
    b->report.applied_index = r->fsm.applied_index;
    b->report.healthy = replica_healthy(r);
    b->report.disk_ok = r->callbacks.disk_ok(r->callbacks.self);
    b->report.reluctant = reluctant(r);
    b->report.n_lapsed = n;
    b->report.lapsed = b->lapse_list;
    if (!r->sessionless) { /* else it is no state that anybody could have */
        put_digest(b->digest, fsm_digest(&r->fsm));
        b->report.digest = (ProtobufCBinaryData){.len = sizeof b->digest, .data = b->digest};
    }
    b->report.awaits_state = r->diverged || r->keeps_above != 0;
    b->report.distrust = (uint32_t)r->raft.muted;
    b->report.awaits_above = r->keeps_above != 0 ? r->keeps_above : r->awaits_above;
    b->report.snapshot_index = raft_driver_status(r->driver).snapshot_index;
    if (r->kept_index == 0)
        return;
    put_digest(b->kept_digest, r->kept_digest);
    b->report.kept_index = r->kept_index;
    b->report.kept_digest =
        (ProtobufCBinaryData){.len = sizeof b->kept_digest, .data = b->kept_digest};
}

static void beat(struct replica *r)
{
    struct beat b = {.message = HOLDFAST__OWNERSHIP__INIT, .report = HOLDFAST__NODE_REPORT__INIT};

    replica_scrub(r);
    b.message.boot = r->options.boot;
    fill_heartbeats(r, &b);
    fill_report(r, &b);
    b.message.report = &b.report;
    send_ownership(r, 0, &b.message);
}

void replica_own_unseeing(struct replica *r)
{
    Holdfast__Ownership message = HOLDFAST__OWNERSHIP__INIT;
    Holdfast__NodeReport report = HOLDFAST__NODE_REPORT__INIT;

    if (!replica_is_muted(r) || !ownership_beat_due(&r->ownership, r->now_ns))
        return;
    message.boot = r->options.boot;
    message.report = &report;
    report.applied_index = r->fsm.applied_index;
    report.snapshot_index = raft_driver_status(r->driver).snapshot_index;
    report.distrust = (uint32_t)r->raft.muted;
    send_ownership(r, 0, &message);
}

/* --- leases --- */

#ifdef HOLDFAST_PLANT_unapplied_assignment
/* Planted fault, for drills that must go red: the follower with the highest id takes the owner's
 * first silence for its own assignment and acts, with the numbers that such an assignment would
 * grant: the very ones that the real assignment then grants to the node that it names. */
static bool planted_now(const struct replica *r, const struct ownership_shard *s)
{
    uint64_t since = s->heard_ns > s->assigned_ns ? s->heard_ns : s->assigned_ns;

    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].node > r->options.node && r->nodes[i].node != s->owner_node)
            return false;
    return !s->mine && s->heard_ns != 0 && r->raft.state != RAFT_DRIVER_LEADER &&
           replica_healthy(r) && r->now_ns - since > r->ownership.options.lease_ns * 6 / 10;
}

static bool planted(struct replica *r, size_t i, const struct ownership_shard *s)
{
    struct repl_epoch epoch = {.incarnation = s->epoch.incarnation, .index = s->epoch.index + 1};
    const struct fsm_shard *state = fsm_shard(&r->fsm, s->shard);

    if (s->mine || r->planted_epoch[i] > s->epoch.index + 1)
        return false;
    if (r->planted_epoch[i] != epoch.index) {
        if (!planted_now(r, s))
            return false;
        r->planted_epoch[i] = epoch.index;
        lease_publish(&r->leases[i], epoch.index, 0);
        replica_emit(r, (struct repl_event){.kind = REPL_EV_ASSIGNED,
                                            .mine = true,
                                            .shard = s->shard,
                                            .epoch = epoch,
                                            .owner_node = r->options.node,
                                            .owner_boot = r->options.boot,
                                            .assignments = state->assignments + 1});
        replica_emit(r,
                     (struct repl_event){
                         .kind = REPL_EV_LEASE, .shard = s->shard, .epoch = epoch, .held = true});
    }
    lease_publish(&r->leases[i], epoch.index, r->now_ns + r->ownership.options.lease_ns);
    return true;
}
#endif

/* A thread that got no turn tells of an end late: how late is part of what happened. */
static void tell_lease(struct replica *r, const struct ownership_shard *s)
{
    uint64_t end_ns = s->lease_until_ns; /* 0: it was given up, or is another's by the log */

    if (s->was_held) {
        replica_log(r, REPL_LOG_INFO, "shard %u: lease held", (unsigned)s->shard);
        return;
    }
    replica_count(r, REPL_COUNT_LEASES_LOST, 1);
    replica_log(r, REPL_LOG_INFO, "shard %u: lease lost, it ended %llu ms ago", (unsigned)s->shard,
                end_ns == 0 || end_ns > r->now_ns
                    ? 0ull
                    : (unsigned long long)((r->now_ns - end_ns) / 1000000));
}

void replica_publish_leases(struct replica *r)
{
    struct ownership_shard *s;

    for (size_t i = 0; i < r->options.n_shards; i++) {
        const struct ownership_shard *o =
            ownership_shard(&r->ownership, r->options.shards[i].shard);
        uint64_t until = o->mine ? o->lease_until_ns : 0;

#ifdef HOLDFAST_PLANT_unapplied_assignment
        if (planted(r, i, o))
            continue;
#endif

        lease_publish(&r->leases[i], o->epoch.index, until);
    }
    while ((s = ownership_lease_change(&r->ownership, r->now_ns)) != NULL) {
        tell_lease(r, s);
        replica_emit(r, (struct repl_event){.kind = REPL_EV_LEASE,
                                            .shard = s->shard,
                                            .epoch = s->epoch,
                                            .held = s->was_held});
    }
}

/* Is there one since this was last asked? */
static bool new_lapse(struct replica *r)
{
    bool news = false;

    for (size_t i = 0; i < r->ownership.n_shards; i++) {
        bool lapsed = ownership_lapsed(&r->ownership, &r->ownership.shards[i], r->now_ns);

        news = news || (lapsed && !r->lapses[i]);
        r->lapses[i] = lapsed;
    }
    return news;
}

/* What operators wish, from the state: also after a snapshot. */
static void follow_wishes(struct replica *r)
{
    uint64_t cluster_ms = replica_cluster_ms(r);

    for (size_t i = 0; i < r->fsm.n_shards; i++) {
        const struct fsm_shard *s = &r->fsm.shards[i];

        ownership_wished(&r->ownership, s->shard, s->home,
                         cluster_ms < s->moving_until_ms ? s->moving_to : 0);
    }
    for (size_t i = 0; i < r->fsm.n_members; i++)
        ownership_drained(&r->ownership, r->fsm.members[i]->node, r->fsm.members[i]->drained);
}

static void give(struct replica *r)
{
    struct ownership_gift gift;

    while (ownership_give(&r->ownership, !fit(r) || reluctant(r), r->now_ns, &gift)) {
        const char *reason = ownership_reason_name(gift.reason);

        replica_log(r, REPL_LOG_INFO, "shard %u: to be handed over to node %u (%s)",
                    (unsigned)gift.shard, (unsigned)gift.node, reason);
        replica_emit(r, (struct repl_event){.kind = REPL_EV_GIVE,
                                            .shard = gift.shard,
                                            .owner_node = gift.node,
                                            .owner_boot = gift.boot,
                                            .reason = reason});
    }
}

/* Time has passed, or something was applied or heard. */
void replica_own(struct replica *r)
{
    bool news = new_lapse(r); /* it is told at once */

    if (fit(r))
        r->unfit_ns = 0;
    else if (r->unfit_ns == 0)
        r->unfit_ns = r->now_ns;
    tell_room(r);
    tell_no_place(r);
    watch_leader(r);
    follow_wishes(r);
    if (ownership_beat_due(&r->ownership, r->now_ns) || news)
        beat(r);
    ownership_report(&r->ownership, r->options.node, r->options.boot, replica_healthy(r),
                     r->fsm.applied_index, r->now_ns);
    ownership_report_reluctant(&r->ownership, r->options.node, reluctant(r));
    replica_publish_leases(r);
    give(r);
}

/* --- what others say --- */

static void answer_heartbeats(struct replica *r, uint32_t from, const Holdfast__Ownership *in)
{
    Holdfast__Ownership out = HOLDFAST__OWNERSHIP__INIT;
    Holdfast__HeartbeatAck acks[REPL_MAX_SHARDS], *list[REPL_MAX_SHARDS];
    Holdfast__Epoch epochs[REPL_MAX_SHARDS];
    size_t n = 0;

    r->ownership.stored = raft_driver_status(r->driver).configuration_index;
    for (size_t i = 0; i < in->n_heartbeats; i++) {
        const Holdfast__Heartbeat *h = in->heartbeats[i];
        struct ownership_heartbeat heard = {.shard = h->shard,
                                            .epoch = record_epoch(h->epoch),
                                            .owner_boot = h->owner_boot,
                                            .sent_ns = h->sent_ns,
                                            .configuration = h->configuration,
                                            .lease_ns = h->lease_ms * 1000000ull};
        struct ownership_ack ack;

        if (replica_is_muted(r) || !ownership_heard(&r->ownership, &heard, r->now_ns, &ack)) {
            replica_count(r, REPL_COUNT_ACKS_REFUSED, 1);
            continue;
        }
        acks[n] = (Holdfast__HeartbeatAck)HOLDFAST__HEARTBEAT_ACK__INIT;
        epochs[n] = epoch_of(ack.epoch);
        acks[n].shard = ack.shard;
        acks[n].epoch = &epochs[n];
        acks[n].owner_boot = ack.owner_boot;
        acks[n].sent_ns = ack.sent_ns;
        acks[n].configuration = ack.configuration;
        list[n] = &acks[n];
        n++;
    }
    if (n == 0)
        return;
    out.boot = r->options.boot;
    out.n_acks = n;
    out.acks = list;
    replica_count(r, REPL_COUNT_ACKS, n);
    send_ownership(r, from, &out);
}

static void take_acks(struct replica *r, uint32_t from, const Holdfast__Ownership *in)
{
    for (size_t i = 0; i < in->n_acks; i++) {
        const Holdfast__HeartbeatAck *a = in->acks[i];
        struct ownership_ack ack = {.shard = a->shard,
                                    .epoch = record_epoch(a->epoch),
                                    .owner_boot = a->owner_boot,
                                    .sent_ns = a->sent_ns,
                                    .configuration = a->configuration};

        (void)ownership_acked(&r->ownership, from, in->boot, &ack, r->now_ns);
    }
}

static void take_distrust(struct replica *r, uint32_t from, const Holdfast__NodeReport *report)
{
    struct replica_node *row = replica_node(r, from);

    if (row == NULL)
        return;
    row->reported = true;
    row->distrust = report->distrust < REPL_DISTRUSTS ? (enum repl_distrust)report->distrust
                                                      : REPL_DISTRUST_OPERATOR;
    row->distrusted_ns = row->distrust == REPL_TRUSTED ? 0 : r->now_ns;
}

static void take_report(struct replica *r, uint32_t from, const Holdfast__Ownership *in)
{
    const Holdfast__NodeReport *report = in->report;
    struct replica_node *row = replica_node(r, from);

    ownership_report(&r->ownership, from, in->boot, report->healthy, report->applied_index,
                     r->now_ns);
    ownership_report_reluctant(&r->ownership, from, report->reluctant);
    if (row != NULL)
        row->disk_ok_ns = report->disk_ok ? r->now_ns : 0;
    for (size_t i = 0; i < report->n_lapsed; i++)
        ownership_report_lapse(&r->ownership, from, report->lapsed[i]->shard,
                               record_epoch(report->lapsed[i]->epoch), r->now_ns);
    replica_witness_heard(r, from, report);
}

void replica_on_ownership(struct replica *r, uint32_t from, struct span bytes)
{
    Holdfast__Ownership *in = holdfast__ownership__unpack(NULL, bytes.len, bytes.data);

    if (in == NULL || in->n_heartbeats > REPL_MAX_SHARDS || in->n_acks > REPL_MAX_SHARDS ||
        (in->report != NULL && in->report->n_lapsed > REPL_MAX_SHARDS)) {
        replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        if (in != NULL)
            holdfast__ownership__free_unpacked(in, NULL);
        return;
    }
    if (in->report != NULL)
        take_distrust(r, from, in->report);
    if (replica_sees(r)) { /* it promises nothing that it could not keep */
        answer_heartbeats(r, from, in);
        take_acks(r, from, in);
        if (in->report != NULL)
            take_report(r, from, in);
    }
    holdfast__ownership__free_unpacked(in, NULL);
}
