/* The replica's doors: every call sets the time, does its one thing, then pumps. */
#include "replication/replica_core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/map.h"
#include "replication/replica_parts.h"

static const uint64_t NS_PER_MS = 1000000;

void replica_log(struct replica *r, enum repl_log_level level, const char *format, ...)
{
    char text[512];
    va_list args;

    if (r->callbacks.log == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->callbacks.log(r->callbacks.self, level, text);
}

void replica_fail(struct replica *r, const char *why)
{
    if (r->failed)
        return;
    r->failed = true;
    r->callbacks.failed(r->callbacks.self, why);
}

void replica_emit(struct replica *r, struct repl_event event)
{
    struct repl_event *copy = repl_alloc_zero(1, sizeof *copy);

    *copy = event;
    if (event.kind == REPL_EV_RESTORE_END ||
        (event.kind == REPL_EV_APPLIED &&
         (event.audit != 0 || event.record->admin != NULL ||
          event.record->body_case == HOLDFAST__RECORD__BODY_MEMBER)))
        copy->speaks = fsm_spoken(&r->fsm); /* nothing else changes it */
    r->callbacks.event(r->callbacks.self, copy);
}

/* A new leader or term: whatever was on its way there may be lost. */
static void on_state(void *self, const struct raft_driver_status *status)
{
    struct replica *r = self;
    bool moved = status->leader != r->raft.leader || status->term != r->raft.term;
    bool renamed = status->leader != r->raft.leader;
    bool able = status->state == RAFT_DRIVER_LEADER && status->own_term_committed && !r->halted &&
                r->locked.want == 0;

    replica_tell_muted(r, status->muted);
    r->raft = *status;
    if (moved) {
        outbox_unsend_all(r->outbox);
        replica_batch_clear(r);
        r->announced_ns = 0;
        r->hold_until_ns = 0;
        r->configuring = false;
        replica_session_moved(r);
        r->entry_index = r->awaited_index = 0; /* those entries may be gone */
    }
    if (able != r->able || (able && moved)) {
        r->able = able;
        r->change_ns = 0;
        ownership_leading(&r->ownership, false, r->now_ns);
        ownership_leading(&r->ownership, able, r->now_ns);
        if (able) {
            replica_clock_led(r);
            replica_left(r); /* whoever did before is to hear of it from this leader, too */
        }
    }
    if (renamed) {
        replica_leader_named(r);
        replica_emit(r, (struct repl_event){.kind = REPL_EV_LEADER, .node = status->leader});
    }
}

void replica_state_again(struct replica *r)
{
    struct raft_driver_status now = raft_driver_status(r->driver);

    on_state(r, &now);
}

/* The node list of the file must be that of the log's first entry. */
static void on_configuration(void *self, const struct repl_configuration *configuration)
{
    struct replica *r = self;
    size_t found = 0;

    for (size_t i = 0; i < r->options.n_founders; i++)
        for (size_t k = 0; k < configuration->n_servers; k++)
            found += r->options.founders[i] == configuration->servers[k].node;
    if (configuration->index == 1 && !r->options.joined &&
        (found != r->options.n_founders || found != configuration->n_servers))
        replica_fail(r, "the node list of the configuration differs from the one in the log");
    else
        replica_on_configuration(r, configuration);
}

static void on_driver_failed(void *self, const char *why)
{
    replica_fail(self, why);
}

static void on_transferred(void *self, uint32_t node, enum raft_driver_result result)
{
    replica_log(self, result == RAFT_DRIVER_OK ? REPL_LOG_INFO : REPL_LOG_WARN,
                "transfer of leadership to node %u: %s", (unsigned)node,
                result == RAFT_DRIVER_OK ? "done" : "not done");
}

/* Everything that follows from a change, in the order in which one thing causes the next. */
void replica_pump(struct replica *r)
{
    if (!r->started || r->failed)
        return;
    replica_judge_stranger(r);
    if (r->failed)
        return;
    replica_forget_left(r);
    replica_lock_unused(r);
    replica_keys_tick(r);
    replica_locked_poll(r);
    replica_tell_quorum(r);
    if (!replica_sees(r)) { /* blind, it can do one thing: agree on the next key */
        replica_own_unseeing(r);
        replica_lead(r);
        replica_flush(r);
        if (r->raft.state == RAFT_DRIVER_LEADER && replica_is_outside(r))
            replica_step_aside(r); /* it has left: it makes no key for the others */
        replica_publish_leases(r);
        return;
    }
    replica_keys_sweep(r);
    replica_own(r);
    replica_announce(r);
    replica_lead(r);
    replica_send_outbox(r);
    replica_flush(r);
    if (r->halted && r->raft.state == RAFT_DRIVER_LEADER)
        replica_step_aside(r); /* it could decide nothing */
    replica_own(r);            /* a lone node may just have applied its own assignment */
    replica_tell(r);
    replica_witness_act(r);
    replica_maybe_snapshot(r);
    replica_forget_log(r);
}

static void set_now(struct replica *r, uint64_t now_ns)
{
    if (now_ns > r->now_ns)
        r->now_ns = now_ns;
}

static void create_driver(struct replica *r)
{
    struct raft_driver_options options = {.node = r->options.node,
                                          .boot = r->options.boot,
                                          .incarnation = r->options.incarnation,
                                          .seed = r->options.raft_seed,
                                          .election_ms = r->options.timing.election_ms,
                                          .heartbeat_ms = r->options.timing.heartbeat_ms,
                                          .trailing = r->options.trailing,
                                          .trailing_bytes = r->options.snapshot_bytes / 2};
    struct raft_driver_callbacks callbacks = {.self = r,
                                              .apply = replica_on_apply,
                                              .restore = replica_on_restore,
                                              .state = on_state,
                                              .configuration = on_configuration,
                                              .changed = replica_on_changed,
                                              .transferred = on_transferred,
                                              .doubted = replica_on_doubted,
                                              .stranger = replica_on_stranger,
                                              .snapshot_taken = replica_on_snapshot_taken,
                                              .failed = on_driver_failed};

    r->driver = raft_driver_create(&options, &r->storage, &r->transport, &callbacks);
    HF_ASSERT(r->driver != NULL);
}

void replica_founders(struct replica_options *o)
{
    if (o->n_founders == 0)
        for (size_t i = 0; i < o->n_nodes && i < REPL_MAX_MEMBERS; i++)
            o->founders[o->n_founders++] = o->nodes[i].node;
}

struct replica *replica_create(const struct replica_options *options,
                               const struct repl_storage *storage,
                               const struct repl_transport *transport,
                               const struct replica_callbacks *callbacks, struct repl_lease *leases,
                               struct repl_health *health, struct replica_clock *clock)
{
    struct replica *r = repl_alloc_zero(1, sizeof *r);

    HF_ASSERT(options->boot != 0 && options->seal != NULL && options->n_nodes > 0);
    r->options = *options;
    replica_founders(&r->options);
    if (r->options.speaks == 0)
        r->options.speaks = RECORD_SPEAKS;
    r->storage = *storage;
    r->transport = *transport;
    r->callbacks = *callbacks;
    r->leases = leases;
    r->health = health;
    r->clock = clock;
    atomic_store_explicit(&clock->offset_ms, REPLICA_CLOCK_NONE, memory_order_relaxed);
    r->outbox = repl_alloc_zero(1, sizeof *r->outbox);
    outbox_init(r->outbox);
    fsm_init(&r->fsm, options->incarnation);
    create_driver(r);
    return r;
}

void replica_destroy(struct replica *r)
{
    struct outbox_item *item;

    if (r == NULL)
        return;
    raft_driver_destroy(r->driver);
    replica_drop_snapshot(r);
    replica_restore_deinit(r);
    replica_locked_drop(r);
    for (uint64_t at = 0; (item = outbox_each(r->outbox, &at)) != NULL;)
        free(item->bytes);
    replica_batch_clear(r);
    free(r->batch.records);
    free(r->outbox);
    fsm_deinit(&r->fsm);
    free(r);
}

void replica_genesis(const struct repl_node_address *nodes, size_t n_nodes,
                     struct repl_configuration *out)
{
    *out = (struct repl_configuration){.index = 1, .n_servers = (uint8_t)n_nodes};
    HF_ASSERT(n_nodes > 0 && n_nodes <= REPL_MAX_NODES);
    for (size_t i = 0; i < n_nodes; i++) {
        size_t k = i;

        /* Sorted, so that every node writes the same bytes whatever the order in its file. */
        for (; k > 0 && out->servers[k - 1].node > nodes[i].node; k--)
            out->servers[k] = out->servers[k - 1];
        out->servers[k] = (struct repl_server){.node = nodes[i].node, .role = RAFT_DRIVER_VOTER};
    }
}

static bool begin(struct replica *r, const struct repl_loaded *loaded)
{
    bool no_log = loaded->n_entries == 0;

    replica_note_sealed(r, loaded);
    if (raft_driver_start(r->driver, loaded, r->now_ns / NS_PER_MS) != RAFT_DRIVER_OK || r->failed)
        return false;
    r->started = true;
    if (no_log && r->fsm.applied_index > 0 && r->fsm.session_key == 0)
        replica_session_none_needed(r); /* a cluster that begins anew (recover.h) */
    if (r->callbacks.begun != NULL)
        r->callbacks.begun(r->callbacks.self);
    replica_pump(r);
    return !r->failed;
}

void replica_begin(struct replica *r)
{
    const struct repl_loaded *loaded = r->waiting;

    HF_ASSERT(loaded != NULL);
    r->waiting = NULL;
    if (!begin(r, loaded))
        replica_fail(r, "the stored log contradicts itself");
}

bool replica_start(struct replica *r, const struct repl_loaded *loaded, uint64_t now_ns)
{
    struct ownership_options own = {
        .self = r->options.node,
        .boot = r->options.boot,
        .n_nodes = r->options.n_nodes,
        .lease_ns = r->options.timing.lease_ms * NS_PER_MS,
        .heartbeat_ns = r->options.timing.lease_heartbeat_ms * NS_PER_MS,
        .rebalance = r->options.rebalance,
        .settle_ns = r->options.settle_ms * NS_PER_MS,
    };

    for (size_t i = 0; i < r->options.n_nodes; i++)
        own.nodes[i] = r->options.nodes[i].node;
    set_now(r, now_ns);
    r->applied_ns = r->now_ns;
    r->kept_until_ns = r->options.kept_until_ns;
    r->founded = loaded->snapshot.index != 0 || loaded->n_entries > 0;
    r->unwritten = loaded->snapshot.index != 0 && loaded->n_entries == 0;
    ownership_init(&r->ownership, &own, r->now_ns);
    memcpy(r->told, r->options.nodes, sizeof r->told);
    r->n_told = r->options.n_nodes;
    replica_list(r);
    for (size_t i = 0; i < r->options.n_shards; i++)
        ownership_configure(&r->ownership, r->options.shards[i].shard, r->options.shards[i].prefer);
    if (!replica_judge_loaded(r, loaded))
        return false;
    if (replica_keys_wait(r, loaded)) {
        r->waiting = loaded;
        return !r->failed;
    }
    return begin(r, loaded);
}

void replica_tick(struct replica *r, uint64_t now_ns)
{
    set_now(r, now_ns);
    if (!r->failed)
        replica_judge_disk(r);
    replica_forget_old(r);
    if (r->failed)
        return;
    if (!r->started) {
        replica_keys_tick(r);
        return;
    }
    if (raft_driver_next_timeout(r->driver) <= r->now_ns / NS_PER_MS)
        raft_driver_tick(r->driver, r->now_ns / NS_PER_MS);
    replica_tell_waits(r);
    if (r->now_ns > RESUBMIT_MS * NS_PER_MS)
        (void)outbox_unsend_older(r->outbox, r->now_ns - RESUBMIT_MS * NS_PER_MS);
    replica_pump(r);
}

uint64_t replica_next_ns(const struct replica *r)
{
    uint64_t raft_ms = r->started ? raft_driver_next_timeout(r->driver) : UINT64_MAX;
    uint64_t next = ownership_next_ns(&r->ownership, r->now_ns);
    uint64_t raft_ns = raft_ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : raft_ms * NS_PER_MS;

    if (raft_ns < next)
        next = raft_ns;
    if (r->able) { /* at the earliest soon: the driver may be busy */
        uint64_t stamp = r->entry_ns + STAMP_EVERY_MS * NS_PER_MS;
        uint64_t soon = r->now_ns + REFUSED_WAIT_MS * NS_PER_MS;

        if (r->awaited_index != 0)
            stamp = r->entry_ns + TELL_WAIT_MS * NS_PER_MS;
        stamp = stamp < soon ? soon : stamp;
        next = stamp < next ? stamp : next;
    }
    if (r->waiting != NULL)
        return replica_keys_next_ns(r);
    if (replica_keys_next_ns(r) < next)
        next = replica_keys_next_ns(r);
    if (replica_session_next_ns(r) < next)
        next = replica_session_next_ns(r);
    if (r->hold_until_ns > r->now_ns && r->hold_until_ns < next)
        next = r->hold_until_ns;
    if (r->telling && r->now_ns + NS_PER_MS < next)
        next = r->now_ns + NS_PER_MS;
    return next;
}

void replica_frame(struct replica *r, uint64_t now_ns, uint32_t from, enum repl_channel channel,
                   struct span bytes)
{
    set_now(r, now_ns);
    /* Who only has a token, or has left, may ask; it gets no key and is not heard by Raft. */
    if (r->failed || !(channel == REPL_CHANNEL_ADMIN || replica_is_member(r, from) ||
                       (channel == REPL_CHANNEL_RAFT && replica_is_told_of(r, from))))
        return;
    if (channel == REPL_CHANNEL_KEYS) {
        replica_on_keys(r, from, bytes);
        return;
    }
    if (!r->started && channel != REPL_CHANNEL_ADMIN)
        return;
    switch (channel) {
    case REPL_CHANNEL_RAFT:
        if (raft_driver_receive(r->driver, r->now_ns / NS_PER_MS, from, bytes) ==
            RAFT_DRIVER_MALFORMED)
            replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        break;
    case REPL_CHANNEL_OWNERSHIP:
        replica_on_ownership(r, from, bytes);
        break;
    case REPL_CHANNEL_FORWARD:
        replica_on_forward(r, from, bytes);
        break;
    case REPL_CHANNEL_KEYS: /* answered above */
        break;
    case REPL_CHANNEL_HALF_OPEN:
    case REPL_CHANNEL_STRAY:
    case REPL_CHANNEL_ADMIN:
        replica_emit(r, (struct repl_event){.kind = REPL_EV_FRAME,
                                            .node = from,
                                            .channel = channel,
                                            .bytes = repl_copy(bytes.data, bytes.len),
                                            .bytes_len = bytes.len});
        return;
    default:
        replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        return;
    }
    replica_pump(r);
}

void replica_stranger(struct replica *r, uint64_t now_ns, uint32_t node, uint64_t incarnation)
{
    set_now(r, now_ns);
    r->stranger_node = node;
    r->stranger_incarnation = incarnation;
    if (r->started && !r->failed)
        replica_judge_stranger(r);
}

void replica_link(struct replica *r, uint64_t now_ns, uint32_t node, bool up)
{
    struct replica_node *row = replica_node(r, node);

    set_now(r, now_ns);
    if (row != NULL) {
        row->link = up;
        row->unlinked_ns = r->now_ns;
    }
    replica_log(r, REPL_LOG_INFO, "link to node %u %s", (unsigned)node, up ? "up" : "down");
    if (up && node == r->raft.leader) { /* what was in flight on the old connection may be lost */
        outbox_unsend_all(r->outbox);
        r->announced_ns = 0;
    }
    if (up)
        replica_keys_ask(r);
    replica_pump(r);
}

void replica_stored(struct replica *r, uint64_t now_ns, const struct repl_storage_done *done)
{
    set_now(r, now_ns);
    if (r->failed)
        return;
    if (done->op == REPL_STORAGE_READ && done->reader == RAFT_DRIVER_READER)
        replica_restore_read(r, done);
    else
        raft_driver_storage_done(r->driver, r->now_ns / NS_PER_MS, done);
    replica_pump(r);
}

uint64_t replica_next_request(const struct replica *r)
{
    return r->outbox->next;
}

uint64_t replica_oldest_request(const struct replica *r)
{
    return r->outbox->oldest;
}

size_t replica_outstanding_bytes(const struct replica *r)
{
    return r->outbox->bytes;
}

bool replica_has_room(uint64_t requests, size_t bytes, const struct seal *seal)
{
    return requests < REPL_MAX_OUTSTANDING &&
           bytes + REPL_MAX_RECORD_BYTES + seal->overhead <= REPL_MAX_OUTSTANDING_BYTES;
}

enum repl_result replica_put(struct replica *r, uint64_t now_ns, uint64_t request, uint8_t *sealed,
                             size_t n, void *effects)
{
    set_now(r, now_ns);
    if (!outbox_room(r->outbox, n))
        return REPL_BUSY;
    replica_renew(r, request, sealed, n); /* the key may have changed since it was sealed */
    outbox_put(r->outbox, request, sealed, n, effects);
    return REPL_OK;
}

void replica_go(struct replica *r, uint64_t now_ns)
{
    set_now(r, now_ns);
    replica_pump(r);
}

enum repl_result replica_submit(struct replica *r, uint64_t now_ns, uint64_t request,
                                uint8_t *sealed, size_t n, void *effects)
{
    if (replica_put(r, now_ns, request, sealed, n, effects) != REPL_OK)
        return REPL_BUSY;
    replica_go(r, now_ns);
    return REPL_OK;
}

enum repl_result replica_transfer(struct replica *r, uint64_t now_ns, uint32_t node)
{
    set_now(r, now_ns);
    if (r->raft.state != RAFT_DRIVER_LEADER)
        return replica_forward_wish(r, node) ? REPL_OK : REPL_NOT_LEADER;

    enum raft_driver_result result = raft_driver_transfer(r->driver, r->now_ns / NS_PER_MS, node);

    replica_pump(r);
    switch (result) {
    case RAFT_DRIVER_OK:
        return REPL_OK;
    case RAFT_DRIVER_BUSY:
        return REPL_BUSY;
    case RAFT_DRIVER_NOT_LEADER:
    case RAFT_DRIVER_LOST:
        return REPL_NOT_LEADER;
    case RAFT_DRIVER_TOO_BIG:
    case RAFT_DRIVER_UNKNOWN:
    case RAFT_DRIVER_MALFORMED:
    case RAFT_DRIVER_INVALID:
    case RAFT_DRIVER_TIMED_OUT:
    case RAFT_DRIVER_FULL:
    case RAFT_DRIVER_FAILED:
    default:
        return REPL_INVALID;
    }
}

const struct fsm *replica_fsm(const struct replica *r)
{
    return &r->fsm;
}

const struct raft_driver *replica_driver(const struct replica *r)
{
    return r->driver;
}
