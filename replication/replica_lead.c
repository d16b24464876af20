/* What replication itself submits (BOOT, the first configuration, assignments), and cluster time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "replication/replica_parts.h"

/* --- cluster time --- */

static void publish_clock(struct replica *r, uint64_t cluster_ms)
{
    atomic_store_explicit(&r->clock->newest_ms, r->fsm.cluster_ms, memory_order_relaxed);
    atomic_store_explicit(&r->clock->offset_ms,
                          (int64_t)cluster_ms - (int64_t)(r->now_ns / 1000000),
                          memory_order_relaxed);
}

/* The newest stamp plus what has passed since it was applied, which may be at most what apply would
 * accept: without a leader, time stands still. */
uint64_t replica_cluster_ms(const struct replica *r)
{
    uint64_t since = (r->now_ns - r->applied_ns) / 1000000;

    if (r->able)
        return r->anchor_ms + (r->now_ns - r->anchor_ns) / 1000000;
    if (r->applied_ms == 0) /* no stamp yet: time has not begun here */
        return 0;
    return r->applied_ms + (since < FSM_MAX_ADVANCE_MS ? since : FSM_MAX_ADVANCE_MS);
}

/* A new leader goes on from the last stamp by its own clock; not from each stamp anew, or time
 * would lose the latency of every entry. */
void replica_clock_led(struct replica *r)
{
    bool able = r->able;

    r->able = false; /* as the follower that it was a moment ago */
    r->anchor_ms = replica_cluster_ms(r);
    r->able = able;
    r->anchor_ns = r->now_ns;
    publish_clock(r, r->anchor_ms);
}

void replica_clock_applied(struct replica *r, uint64_t stamp_ms)
{
    r->applied_ms = r->fsm.cluster_ms;
    r->applied_ns = r->now_ns;
    r->kept_until_ns = 0;
    if (r->able && stamp_ms > r->fsm.cluster_ms) { /* clamped: the cluster did not follow us */
        r->anchor_ms = r->fsm.cluster_ms;
        r->anchor_ns = r->now_ns;
        r->stamp_ms = 0;
    }
    publish_clock(r, replica_cluster_ms(r));
}

#ifdef HOLDFAST_PLANT_wall_clock_stamps
/* Planted fault: how far ahead the wall clock has jumped since this was first asked. */
static uint64_t planted_jump_ms(uint64_t now_ns)
{
    static uint64_t first;
    struct timespec wall;
    uint64_t apart;

    HF_ASSERT(clock_gettime(CLOCK_REALTIME, &wall) == 0);
    apart = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000 - now_ns / 1000000;
    first = first ? first : apart;
    return apart > first ? apart - first : 0;
}
#endif

/* Never backwards. 0 would mean "no stamp". */
uint64_t replica_stamp(struct replica *r)
{
    uint64_t ms = replica_cluster_ms(r);

#ifdef HOLDFAST_PLANT_wall_clock_stamps
    ms += planted_jump_ms(r->now_ns);
#endif
    if (ms < 1)
        ms = 1;
    if (ms > r->stamp_ms)
        r->stamp_ms = ms;
    return r->stamp_ms;
}

/* --- records of replication's own: request 0, compare-and-set by their contents --- */

bool replica_push_internal(struct replica *r, Holdfast__Record *record)
{
    size_t n = 0;
    uint8_t *sealed =
        replica_pack(record, r->options.node, r->options.boot, 0, r->options.seal, &n);
    bool pushed = sealed != NULL && replica_batch_push(r, span_of(sealed, n), true, 0);

    free(sealed);
    return pushed;
}

static void push_assignment(struct replica *r, const struct ownership_decision *d)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Assign body = HOLDFAST__ASSIGN__INIT;
    Holdfast__Epoch replaces = HOLDFAST__EPOCH__INIT;

    replaces.incarnation = d->replaces.incarnation;
    replaces.index = d->replaces.index;
    body.shard = d->shard;
    body.replaces = &replaces;
    body.owner_node = d->node;
    body.owner_boot = d->boot;
    record.body_case = HOLDFAST__RECORD__BODY_ASSIGN;
    record.assign = &body;
    if (!replica_push_internal(r, &record)) {
        ownership_undecided(&r->ownership, d->shard);
        return;
    }
    replica_count(r, REPL_COUNT_ASSIGNED, 1);
    replica_log(r, REPL_LOG_INFO, "shard %u: assigning to node %u", (unsigned)d->shard,
                (unsigned)d->node);
}

/* The first configuration, or the next: the same timing and a new cookie secret; the one before
 * stays valid for cookies that are on their way. */
static void push_config(struct replica *r)
{
    const struct fsm_config *now = &r->fsm.config;
    const struct repl_timing *timing = &r->options.timing;
    bool first = now->version == 0;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__ClusterConfig body = HOLDFAST__CLUSTER_CONFIG__INIT;
    uint8_t secret[32];

    r->callbacks.entropy(r->callbacks.self, secret, sizeof secret);
    body.version = now->version + 1;
    body.election_ms = first ? timing->election_ms : now->election_ms;
    body.heartbeat_ms = first ? timing->heartbeat_ms : now->heartbeat_ms;
    body.lease_ms = first ? timing->lease_ms : now->lease_ms;
    body.lease_heartbeat_ms = first ? timing->lease_heartbeat_ms : now->lease_heartbeat_ms;
    body.cookie_secret = (ProtobufCBinaryData){.len = sizeof secret, .data = secret};
    if (!first)
        body.cookie_secret_previous = (ProtobufCBinaryData){
            .len = sizeof now->cookie_secret, .data = (uint8_t *)(uintptr_t)now->cookie_secret};
    body.cookie_secret_id = (now->cookie_secret_id + 1) & 0xff; /* one byte of a cookie */
    record.body_case = HOLDFAST__RECORD__BODY_CONFIG;
    record.config = &body;
    r->configuring = replica_push_internal(r, &record);
    secret_wipe_bytes(secret, sizeof secret);
}

/* The leader's duties, once it has applied an entry of its own term. Nothing is assigned before the
 * configuration stands, so that every promise is of one length. */
void replica_lead(struct replica *r)
{
    struct ownership_decision decision;

    if (!r->able || !replica_state_trusted(r))
        return; /* what is decided here comes from the state */
    replica_session_lead(r);
    if (!replica_sees(r))
        return;
    replica_rotate_lead(r);
    if (!r->configuring &&
        (r->fsm.config.version == 0 || r->now_ns - r->config_ns >= COOKIE_SECRET_MS * 1000000ull))
        push_config(r);
    if (r->fsm.config.version == 0)
        return;
    while (ownership_decide(&r->ownership, r->now_ns, &decision))
        push_assignment(r, &decision);
    replica_lead_members(r);
}

static bool send_boot(struct replica *r, uint64_t replaces)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Member body = HOLDFAST__MEMBER__INIT;
    char address[RECORD_MAX_ADDRESS_TEXT + 1] = "";
    size_t n = 0;
    uint8_t *sealed;
    bool sent;

    for (size_t i = 0; i < r->options.n_nodes; i++)
        if (r->options.nodes[i].node == r->options.node)
            replica_address_text(&r->options.nodes[i].address, address, sizeof address);
    body.node = r->options.node;
    body.boot = r->options.boot;
    body.change = HOLDFAST__MEMBER__CHANGE__BOOT;
    body.address = address;
    body.replaces_boot = replaces;
    body.speaks = r->options.speaks;
    record.body_case = HOLDFAST__RECORD__BODY_MEMBER;
    record.member = &body;
    sealed = replica_pack(&record, r->options.node, r->options.boot, 0, r->options.seal, &n);
    HF_ASSERT(sealed != NULL);
    sent = replica_pass_on(r, span_of(sealed, n));
    free(sealed);
    return sent;
}

/* Every start is made known by a BOOT record that replaces the boot id known here; refused when the
 * state was behind, it is tried again as soon as that shows. */
void replica_announce(struct replica *r)
{
    const struct fsm_member *self = fsm_member(&r->fsm, r->options.node);
    uint64_t replaces = self == NULL ? 0 : self->boot;

    if (replaces == r->options.boot || !replica_may_send(r) || replica_is_outside(r) || r->halted)
        return;
    if (r->announced_ns != 0 && replaces == r->announced_over &&
        r->now_ns - r->announced_ns < ANNOUNCE_MS * 1000000ull)
        return;
    if (!send_boot(r, replaces))
        return;
    r->announced_ns = r->now_ns;
    r->announced_over = replaces;
}
