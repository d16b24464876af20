/* What other threads call: submit, events, status, times. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "replication/map.h"
#include "replication/raft_driver.h"
#include "replication/repl_addresses.h"
#include "replication/repl_thread.h"

uint64_t repl_boottime_ns(void)
{
    struct timespec t;

    HF_ASSERT(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- options --- */

bool repl_joins(const struct repl_options *o)
{
    for (size_t i = 0; i < o->n_founders; i++)
        if (o->founders[i] == o->node)
            return false;
    return o->n_founders > 0;
}

void repl_genesis(const struct repl_options *o, struct repl_configuration *out)
{
    struct repl_node_address founders[REPL_MAX_MEMBERS] = {0};

    for (size_t i = 0; i < o->n_founders; i++)
        founders[i].node = o->founders[i];
    replica_genesis(o->n_founders > 0 ? founders : o->nodes,
                    o->n_founders > 0 ? o->n_founders : o->n_nodes, out);
}

static bool refuse(struct repl_error *error, const char *text)
{
    (void)snprintf(error->text, sizeof error->text, "%s", text);
    return false;
}

static bool check(const struct repl_options *o, struct repl_error *error)
{
    bool listed = false;

    if (o->n_founders > REPL_MAX_MEMBERS || (repl_joins(o) && o->n_nodes < 2))
        return refuse(error, "a node that joins needs another one to ask");
    if (o->n_nodes == 0 || o->n_nodes > REPL_MAX_NODES || o->n_shards > REPL_MAX_SHARDS)
        return refuse(error, "too few or too many nodes or shards");
    for (size_t i = 0; i < o->n_nodes; i++) {
        listed |= o->nodes[i].node == o->node;
        if (o->nodes[i].node == 0 || (o->n_nodes > 1 && o->nodes[i].address.ip.family == ADDR_NONE))
            return refuse(error, "a node without an id or address");
        for (size_t k = 0; k < i; k++)
            if (o->nodes[k].node == o->nodes[i].node)
                return refuse(error, "two nodes with one id");
    }
    if (!listed)
        return refuse(error, "this node is not among the nodes of the cluster");
    if (o->n_nodes > 1 && o->tls == NULL)
        return refuse(error, "more than one node needs certificates: links use mutual TLS");
    if (o->tls != NULL && tls_identity_node(o->tls) != o->node)
        return refuse(error, "the certificate is another node's");
    if (o->timing.election_ms == 0 || o->timing.heartbeat_ms == 0 || o->timing.lease_ms == 0 ||
        o->timing.heartbeat_ms >= o->timing.election_ms || o->timing.lease_heartbeat_ms == 0 ||
        o->timing.lease_heartbeat_ms >= o->timing.lease_ms)
        return refuse(error, "timing: a heartbeat must be shorter than what it keeps alive");
    if (o->timing.disk_hang_ms != 0 && o->timing.disk_hang_ms <= o->timing.disk_stall_ms)
        return refuse(error, "timing: a disk stalls before it hangs");
    return true;
}

static void fill_options(struct repl *repl, const struct repl_options *o)
{
    struct replica_options *out = &repl->options;
    struct repl_configuration genesis;

    *out = (struct replica_options){.node = o->node,
                                    .incarnation = RECOVER_FIRST_INCARNATION,
                                    .n_nodes = o->n_nodes,
                                    .n_listed = o->n_nodes,
                                    .n_shards = o->n_shards,
                                    .timing = o->timing,
                                    .key_age_ms = o->key_age_ms,
                                    .rebalance = o->rebalance,
                                    .settle_ms = o->settle_ms,
                                    .unjoinable = o->tls == NULL,
                                    .snapshot_entries = o->snapshot_entries,
                                    .snapshot_bytes = o->snapshot_bytes};
    repl_genesis(o, &genesis);
    for (size_t i = 0; i < genesis.n_servers; i++)
        out->founders[out->n_founders++] = genesis.servers[i].node;
    out->joined = repl_joins(o);
    memcpy(out->nodes, o->nodes, sizeof out->nodes);
    memcpy(out->shards, o->shards, sizeof out->shards);
    if (out->timing.stale_ms == 0)
        out->timing.stale_ms = out->timing.lease_ms;
    if (out->timing.disk_stall_ms == 0)
        out->timing.disk_stall_ms = 1000;
    if (out->timing.disk_hang_ms == 0)
        out->timing.disk_hang_ms = 5000;
    if (out->snapshot_entries == 0)
        out->snapshot_entries = 20000;
    if (out->snapshot_bytes == 0)
        out->snapshot_bytes = 64 << 20;
    HF_ASSERT(getrandom(&out->raft_seed, sizeof out->raft_seed, 0) == sizeof out->raft_seed);
    while (out->boot == 0)
        HF_ASSERT(getrandom(&out->boot, sizeof out->boot, 0) == sizeof out->boot);
    repl->disk_stall_ns = out->timing.disk_stall_ms * 1000000ull;
    repl->log = o->log;
    repl->log_self = o->log_self;
    repl->next_request = repl->oldest_request = 1;
    repl->event_bytes_max = EVENTS_MAX_BYTES;
}

/* Whom the last start knew joins those of the file, and the same list tells that nothing is new. */
static void add_kept(struct repl *repl, const struct repl_options *o)
{
    struct replica_options *out = &repl->options;

    (void)snprintf(repl->data_dir, sizeof repl->data_dir, "%s", o->data_dir);
    mirror_init(&repl->mirror, o->data_dir);
    if (o->n_nodes == 1 && o->tls == NULL) /* alone, for ever */
        return;
    if (!repl_addresses_load(o->data_dir, repl->kept, &repl->n_kept) && o->log != NULL)
        o->log(o->log_self, REPL_LOG_WARN,
               "the file `peers` of the data directory is damaged: the other nodes are looked for "
               "where the configuration says");
    out->n_nodes =
        repl_addresses_merge(out->nodes, out->n_nodes, out->n_nodes, repl->kept, repl->n_kept);
}

size_t repl_kept_nodes(const char *data_dir, struct repl_node_address nodes[REPL_MAX_NODES])
{
    size_t n;

    (void)!repl_addresses_load(data_dir, nodes, &n); /* 0 then; repl_start() tells of it */
    return n;
}

/* --- --init --- */

struct founding {
    int left;
    bool failed;
    bool closed;
};

static void on_founded(void *self, const struct repl_storage_done *done)
{
    struct founding *f = self;

    f->left--;
    f->failed |= done->status != REPL_STORAGE_OK;
}

static void on_wal_closed(void *arg)
{
    ((struct founding *)arg)->closed = true;
}

/* Entry 1, the same bytes on each of several founders; nothing for a node that joins. */
static bool found_together(const struct repl_options *options, struct repl_error *error)
{
    struct wal_options wal_options = {.directory = options->data_dir, .node = options->node};
    struct repl_configuration genesis;
    struct founding f = {.left = 2};
    struct wal_error reason = {.text = ""};
    struct wal *wal = NULL;
    uv_loop_t loop;
    bool ok;

    HF_ASSERT(uv_loop_init(&loop) == 0);
    wal = wal_open(&loop, &wal_options, &reason);
    ok = wal != NULL;
    if (ok) {
        wal_set_done(wal, on_founded, &f);
        wal_load_done(wal);
        repl_genesis(options, &genesis);
        if (repl_joins(options)) /* it begins with an empty log */
            f.left = 0;
        else
            ok = raft_driver_bootstrap(wal_storage(wal), &genesis);
        while (ok && f.left > 0)
            (void)uv_run(&loop, UV_RUN_ONCE);
        wal_close(wal, on_wal_closed, &f);
        while (!f.closed)
            (void)uv_run(&loop, UV_RUN_ONCE);
    }
    HF_ASSERT(uv_loop_close(&loop) == 0);
    if (!ok || f.failed)
        (void)snprintf(error->text, sizeof error->text, "%s: could not be founded: %s",
                       options->data_dir, reason.text);
    return ok && !f.failed;
}

bool repl_init(const struct repl_options *options, struct repl_error *error)
{
    struct repl_configuration genesis;
    struct wal_error reason = {.text = ""};

    if (!check(options, error))
        return false;
    if (!wal_init_directory(NULL, options->data_dir, options->node, &reason))
        return refuse(error, reason.text);
    repl_genesis(options, &genesis);
    if (!repl_joins(options) && genesis.n_servers == 1)
        return repl_keys_found(options, error) && repl_found_alone(options, error);
    return found_together(options, error) && repl_keys_found(options, error);
}

/* --- start and stop --- */

static void release(struct repl *repl)
{
    struct repl_event *event;

    while (repl->first != NULL) {
        struct command *c = repl->first;

        repl->first = c->next;
        tls_identity_release(c->tls);
        if (c->bytes != NULL)
            secret_wipe_bytes(c->bytes, c->len);
        free(c->bytes);
        free(c);
    }
    repl_flush_events(repl);
    repl->dropping = false;
    while ((event = repl_next_event(repl)) != NULL)
        repl_event_free(event);
    (void)close(repl->event_fd);
    repl_stop_waits(repl);
    repl_view_release(repl->view);
    mirror_close(&repl->mirror);
    free(repl->backup.bytes);
    repl_keys_close(&repl->keys);
    uv_mutex_destroy(&repl->lock);
    uv_mutex_destroy(&repl->event_lock);
    uv_cond_destroy(&repl->event_room);
    free(repl);
}

static bool open_keys(struct repl *repl, const struct repl_options *options,
                      struct repl_error *error)
{
    if (!repl_keys_open(&repl->keys, options, repl->options.boot, error))
        return false;
    repl->options.ring = repl->keys.ring;
    repl->options.seal = &repl->keys.ring->seal;
    repl->options.kept_until_ns = repl_keys_kept_until(&repl->keys);
    return true;
}

/* Before anything of the directory is opened: what a former start was told to do. */
static bool recover(struct repl *repl, const struct repl_options *options, struct repl_error *error)
{
    struct repl_recovery done;
    char text[256];

    if (!repl_recover_ordered(options, &done, error))
        return false;
    if (done.incarnation == 0 || repl->log == NULL)
        return true;
    (void)snprintf(
        text, sizeof text,
        "recovered, as ordered: this node alone is the cluster, incarnation %llu (it was "
        "%llu); all sessions ended, %zu nodes were left behind for ever",
        (unsigned long long)done.incarnation, (unsigned long long)done.former, done.n_lost);
    repl->log(repl->log_self, REPL_LOG_WARN, text);
    return true;
}

struct repl *repl_start(const struct repl_options *options, struct repl_error *error)
{
    struct repl *repl;

    *error = (struct repl_error){.text = ""};
    if (!check(options, error))
        return NULL;
    repl = repl_alloc_zero(1, sizeof *repl);
    HF_ASSERT(uv_mutex_init(&repl->lock) == 0 && uv_mutex_init(&repl->event_lock) == 0 &&
              uv_cond_init(&repl->event_room) == 0);
    fill_options(repl, options);
    add_kept(repl, options);
    repl->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (repl->event_fd < 0)
        (void)refuse(error, "no file descriptor for events");
    if (repl->event_fd < 0 || !recover(repl, options, error) || !open_keys(repl, options, error) ||
        !repl_thread_start(repl, options, error)) {
        release(repl);
        return NULL;
    }
    return repl;
}

void repl_stop(struct repl *repl)
{
    if (repl == NULL)
        return;
    repl_thread_stop(repl);
    release(repl);
}

uint64_t repl_boot(const struct repl *repl)
{
    return repl->options.boot;
}

/* --- commands --- */

/* Under the lock. */
static void push_command(struct repl *repl, struct command command)
{
    struct command *c = repl_alloc_zero(1, sizeof *c);

    *c = command;
    if (repl->last == NULL)
        repl->first = c;
    else
        repl->last->next = c;
    repl->last = c;
}

enum repl_result repl_submit(struct repl *repl, struct Holdfast__Record *record, void *effects,
                             uint64_t *request)
{
    return repl_submit_waited(repl, record, effects, NULL, request);
}

enum repl_result repl_submit_waited(struct repl *repl, struct Holdfast__Record *record,
                                    void *effects, struct admin_wait *wait, uint64_t *request)
{
    enum repl_result result = REPL_OK;
    uint8_t *sealed = NULL;
    size_t n = 0;

    uv_mutex_lock(&repl->lock);
    if (!replica_has_room(repl->next_request - repl->oldest_request, repl->outstanding_bytes,
                          repl->options.seal))
        result = REPL_BUSY;
    if (result == REPL_OK) {
        sealed = replica_pack(record, repl->options.node, repl->options.boot, repl->next_request,
                              repl->options.seal, &n);
        if (sealed == NULL)
            result = repl_keys_ready(&repl->keys) ? REPL_INVALID : REPL_BUSY;
    }
    if (result == REPL_OK) {
        *request = repl->next_request++;
        if (wait != NULL) {
            wait->request = *request;
            wait->next = repl->waits;
            repl->waits = wait;
        }
        repl->inbox_bytes += n;
        repl->outstanding_bytes += n;
        push_command(repl, (struct command){.kind = COMMAND_SUBMIT,
                                            .request = *request,
                                            .effects = effects,
                                            .bytes = sealed,
                                            .len = n});
    }
    uv_mutex_unlock(&repl->lock);
    if (result == REPL_OK)
        HF_ASSERT(uv_async_send(&repl->async) == 0);
    return result;
}

/* Under the lock. */
static bool known_node(const struct repl *repl, uint32_t node)
{
    for (size_t i = 0; i < repl->status.n_nodes; i++)
        if (repl->status.nodes[i].node == node)
            return true;
    return false;
}

enum repl_result repl_transfer_leader(struct repl *repl, uint32_t node)
{
    enum repl_result result = REPL_OK;

    uv_mutex_lock(&repl->lock);
    if (!known_node(repl, node))
        result = REPL_INVALID;
    else if (repl->status.leader == 0)
        result = REPL_NOT_LEADER;
    else
        push_command(repl, (struct command){.kind = COMMAND_TRANSFER, .node = node});
    uv_mutex_unlock(&repl->lock);
    if (result == REPL_OK)
        HF_ASSERT(uv_async_send(&repl->async) == 0);
    return result;
}

void repl_backup_ask(struct repl *repl)
{
    uv_mutex_lock(&repl->lock);
    push_command(repl, (struct command){.kind = COMMAND_BACKUP});
    uv_mutex_unlock(&repl->lock);
    HF_ASSERT(uv_async_send(&repl->async) == 0);
}

void repl_set_tls(struct repl *repl, struct tls_identity *tls)
{
    HF_ASSERT(tls != NULL && tls_identity_node(tls) == repl->options.node);
    uv_mutex_lock(&repl->lock);
    push_command(repl, (struct command){.kind = COMMAND_TLS, .tls = tls_identity_hold(tls)});
    uv_mutex_unlock(&repl->lock);
    HF_ASSERT(uv_async_send(&repl->async) == 0);
}

void repl_introduce(struct repl *repl, uint32_t from, const struct repl_node_address *nodes,
                    size_t n)
{
    HF_ASSERT(n <= REPL_MAX_NODES);
    uv_mutex_lock(&repl->lock);
    push_command(repl, (struct command){.kind = COMMAND_INTRODUCE,
                                        .node = from,
                                        .bytes = repl_copy(nodes, n * sizeof *nodes),
                                        .len = n * sizeof *nodes});
    uv_mutex_unlock(&repl->lock);
    HF_ASSERT(uv_async_send(&repl->async) == 0);
}

enum repl_result repl_send_frame(struct repl *repl, uint32_t node, enum repl_channel channel,
                                 struct span bytes)
{
    enum repl_result result = REPL_UNREACHABLE;

    if (channel < REPL_CHANNEL_HALF_OPEN || channel > REPL_CHANNEL_ADMIN || bytes.len == 0 ||
        bytes.len > REPL_MAX_RECORD_BYTES || node == repl->options.node)
        return REPL_INVALID;
    uv_mutex_lock(&repl->lock);
    if (!known_node(repl, node))
        result = REPL_INVALID;
    for (size_t i = 0; i < repl->status.n_nodes; i++)
        if (repl->status.nodes[i].node == node && repl->status.nodes[i].connected)
            result = repl->n_frames >= FRAMES_MAX ? REPL_BUSY : REPL_OK;
    if (result == REPL_OK) {
        repl->n_frames++;
        push_command(repl, (struct command){.kind = COMMAND_FRAME,
                                            .node = node,
                                            .channel = channel,
                                            .bytes = repl_copy(bytes.data, bytes.len),
                                            .len = bytes.len});
    }
    uv_mutex_unlock(&repl->lock);
    if (result == REPL_OK)
        HF_ASSERT(uv_async_send(&repl->async) == 0);
    return result;
}

/* --- readers --- */

const struct repl_lease *repl_lease(const struct repl *repl, uint32_t shard)
{
    for (size_t i = 0; i < repl->options.n_shards; i++)
        if (repl->options.shards[i].shard == shard)
            return &repl->leases[i];
    return NULL;
}

struct repl_health *repl_health(struct repl *repl)
{
    return &repl->health;
}

uint64_t repl_cluster_ms(struct repl *repl)
{
    return replica_clock_read(&repl->clock, &repl->newest_cluster_ms, repl_boottime_ns());
}

struct loop_turns repl_loop_turns(struct repl *repl)
{
    return loop_watch_take(&repl->watch);
}

uint64_t repl_loop_turned_ns(struct repl *repl)
{
    return loop_watch_turned_ns(&repl->watch);
}

void repl_status(struct repl *repl, struct repl_status *out)
{
    uv_mutex_lock(&repl->lock);
    *out = repl->status;
    uv_mutex_unlock(&repl->lock);
    out->cluster_ms = repl_cluster_ms(repl);
}

size_t repl_peers(struct repl *repl, uint32_t nodes[REPL_MAX_NODES])
{
    size_t n;

    uv_mutex_lock(&repl->lock);
    n = repl_linked_members(&repl->status, nodes);
    uv_mutex_unlock(&repl->lock);
    return n;
}
