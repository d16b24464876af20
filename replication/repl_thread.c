/* The replica's thread: one libuv loop that steps the core with time, completions and frames. */
#include "replication/repl_thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "replication/digest.h"
#include "replication/map.h"
#include "base/registers.h"
#include "base/secret.h"

enum { MACHINE_BYTES = 64 };

static void turn_ends(struct repl *repl);

/* --- what the core asks of the outside --- */

static void log_text(void *self, enum repl_log_level level, const char *text)
{
    struct repl *repl = self;

    if (repl->log != NULL)
        repl->log(repl->log_self, level, text);
}

static void draw_entropy(void *self, uint8_t *bytes, size_t n)
{
    (void)self;
    HF_ASSERT(getrandom(bytes, n, 0) == (ssize_t)n);
}

static bool disk_ok(void *self)
{
    struct repl *repl = self;

    return wal_pending_ns(repl->wal) < repl->disk_stall_ns;
}

static uint64_t disk_stuck_ns(void *self)
{
    return wal_stuck_ns(((struct repl *)self)->wal);
}

/* A node that cannot go on must not linger: its peers take over at once. */
static void die(void *self, const char *why)
{
    struct repl *repl = self;

    if (!repl->thread_running) { /* still starting: a refusal with its reason */
        (void)snprintf(repl->refusal, sizeof repl->refusal, "%s", why);
        return;
    }
    log_text(self, REPL_LOG_ERROR, why);
    (void)fprintf(stderr, "replication: %s\n", why);
    _exit(REPL_EXIT_FAILED);
}

static bool keep_key(void *self, const uint8_t bytes[SEAL_KEY_BYTES])
{
    return repl_keys_keep(&((struct repl *)self)->keys, bytes);
}

static void keys_changed(void *self)
{
    struct repl *repl = self;

    repl_keys_changed(&repl->keys);
}

static void begun(void *self)
{
    struct repl *repl = self;

    wal_load_done(repl->wal);
}

static void note(void *self, const char *text)
{
    log_text(self, REPL_LOG_WARN, text);
}

/* --- the loop --- */

void repl_publish(struct repl *repl)
{
    struct repl_status status;

    replica_status(repl->core, repl_boottime_ns(), &status);
    uv_mutex_lock(&repl->lock);
    repl->status = status;
    repl_keep_beginnings(repl);
    repl->oldest_request = replica_oldest_request(repl->core);
    repl->outstanding_bytes = replica_outstanding_bytes(repl->core) + repl->inbox_bytes;
    uv_mutex_unlock(&repl->lock);
}

/* To those who link from now on; links of another one end, and the core hears of each at once: so
 * never while it takes a step, nor while events are on their way. */
static void tell_links(struct repl *repl)
{
    if (repl->tcp != NULL)
        tcp_transport_set_incarnation(repl->tcp, replica_incarnation(repl->core));
}

/* Events take the status along: where none is on its way it would not be told. */
static void publish_turn(struct repl *repl)
{
    if (repl->n_held == 0)
        repl_publish(repl);
}

static void on_timer(uv_timer_t *timer)
{
    struct repl *repl = timer->data;

    replica_tick(repl->core, repl_boottime_ns());
    repl_keys_until(&repl->keys, replica_forgets_ns(repl->core));
    publish_turn(repl);
    tell_links(repl);
    if (repl->mirror_again_ns != 0)
        repl_mirror_audit(repl);
    turn_ends(repl);
}

/* A timer that ends soon enough, or has ended, is left alone. Started anew by every event it would
 * never end while they come less than its 1 ms apart: libuv runs timers before it polls. */
static void rearm(struct repl *repl)
{
    uint64_t now = repl_boottime_ns();
    uint64_t next = replica_next_ns(repl->core);
    uint64_t wait_ms = next <= now ? 1 : (next - now + 999999) / 1000000;

    uv_update_time(&repl->loop);
    if (!uv_is_active((uv_handle_t *)&repl->timer) || uv_timer_get_due_in(&repl->timer) > wait_ms)
        (void)uv_timer_start(&repl->timer, on_timer, wait_ms, 0);
}

/* Last in each callback that let the core take a step. */
static void turn_ends(struct repl *repl)
{
    repl_flush_events(repl);
    rearm(repl);
}

static void on_frame(void *self, uint32_t from, enum repl_channel channel, struct span bytes)
{
    struct repl *repl = self;

    replica_frame(repl->core, repl_boottime_ns(), from, channel, bytes);
    turn_ends(repl);
}

static void on_link(void *self, uint32_t node, bool up)
{
    struct repl *repl = self;

    replica_link(repl->core, repl_boottime_ns(), node, up);
    turn_ends(repl);
}

static void on_stranger(void *self, uint32_t node, uint64_t incarnation)
{
    struct repl *repl = self;

    replica_stranger(repl->core, repl_boottime_ns(), node, incarnation);
}

static void on_stored(void *self, const struct repl_storage_done *done)
{
    struct repl *repl = self;

    replica_stored(repl->core, repl_boottime_ns(), done);
    turn_ends(repl);
}

/* --- work off the loop --- */

struct pool_job {
    uv_work_t work;
    struct repl *repl;
    struct replica_job *job;
};

void repl_part_closed(struct repl *repl)
{
    if (--repl->to_close == 0)
        uv_stop(&repl->loop);
}

static void job_work(uv_work_t *work)
{
    replica_job_run(((struct pool_job *)work->data)->job);
    stack_clear();
    registers_clear();
}

static void job_after(uv_work_t *work, int status)
{
    struct pool_job *p = work->data;
    struct repl *repl = p->repl;

    (void)status;
    repl->jobs--;
    if (repl->closing) {
        replica_job_drop(p->job);
        repl_part_closed(repl);
    } else {
        replica_job_done(repl->core, repl_boottime_ns(), p->job);
        turn_ends(repl);
    }
    free(p);
}

static void start_job(void *self, struct replica_job *job)
{
    struct repl *repl = self;
    struct pool_job *p = repl_alloc_zero(1, sizeof *p);

    p->repl = repl;
    p->job = job;
    p->work.data = p;
    repl->jobs++;
    HF_ASSERT(uv_queue_work(&repl->loop, &p->work, job_work, job_after) == 0);
}

/* --- the inbox --- */

/* repl_submit() let in no more than the outbox holds; that takes the bytes over. Only then they are none
 * of the inbox any more: what came before this one in the list may tell in between what is outstanding. */
static void put_submitted(struct repl *repl, const struct command *c)
{
    HF_ASSERT(replica_put(repl->core, repl_boottime_ns(), c->request, c->bytes, c->len,
                          c->effects) == REPL_OK);
    uv_mutex_lock(&repl->lock);
    repl->inbox_bytes -= c->len;
    uv_mutex_unlock(&repl->lock);
}

static void run_command(struct repl *repl, struct command *c)
{
    const struct repl_transport *t;
    struct span part = span_of(c->bytes, c->len);

    switch (c->kind) {
    case COMMAND_SUBMIT:
        put_submitted(repl, c);
        return;
    case COMMAND_TRANSFER:
        if (replica_transfer(repl->core, repl_boottime_ns(), c->node) != REPL_OK)
            log_text(repl, REPL_LOG_WARN, "transfer of leadership: not possible now");
        return;
    case COMMAND_FRAME:
        if (repl->tcp != NULL) {
            t = tcp_transport_interface(repl->tcp);
            (void)t->send(t->self, c->node, c->channel, &part, 1);
        }
        secret_wipe_bytes(c->bytes, c->len); /* of an SA that is half open: its keys */
        free(c->bytes);
        return;
    case COMMAND_BACKUP:
        repl_make_backup(repl);
        return;
    case COMMAND_TLS:
        if (repl->tls != NULL) {
            tls_layer_replace(repl->tls, c->tls);
            tcp_transport_recheck(repl->tcp);
        }
        tls_identity_release(c->tls);
        return;
    case COMMAND_INTRODUCE:
        replica_introduce(repl->core, repl_boottime_ns(), c->node, (const void *)c->bytes,
                          c->len / sizeof(struct repl_node_address));
        free(c->bytes);
        return;
    }
}

static void on_closed(uv_handle_t *handle)
{
    repl_part_closed(handle->data);
}

static void on_watch_closed(uv_handle_t *handle)
{
    repl_part_closed(
        ((struct repl *)(void *)((char *)handle - offsetof(struct repl, watch.prepare))));
}

static void on_part_closed(void *arg)
{
    repl_part_closed(arg);
}

static void begin_close(struct repl *repl)
{
    if (uv_is_closing((uv_handle_t *)&repl->timer))
        return;
    repl->closing = true;
    repl->to_close = (repl->tcp != NULL ? 5 : 4) + (int)repl->jobs;
    loop_watch_close(&repl->watch, on_watch_closed);
    uv_close((uv_handle_t *)&repl->timer, on_closed);
    uv_close((uv_handle_t *)&repl->async, on_closed);
    if (repl->tcp != NULL)
        tcp_transport_close(repl->tcp, on_part_closed, repl);
    wal_close(repl->wal, on_part_closed, repl);
}

static void on_async(uv_async_t *async)
{
    struct repl *repl = async->data;
    struct command *list;
    bool stopping, put = false;

    uv_mutex_lock(&repl->lock);
    list = repl->first;
    repl->first = repl->last = NULL;
    repl->n_frames = 0;
    stopping = repl->stopping;
    uv_mutex_unlock(&repl->lock);
    while (list != NULL) {
        struct command *c = list;

        list = c->next;
        put = put || c->kind == COMMAND_SUBMIT;
        run_command(repl, c);
        free(c);
    }
    if (put) /* once for all: in one frame, in one entry */
        replica_go(repl->core, repl_boottime_ns());
    if (stopping) {
        begin_close(repl);
        return;
    }
    if (repl->peers_changed)
        repl_set_peers(repl);
    publish_turn(repl);
    tell_links(repl);
    turn_ends(repl);
}

static void run_loop(void *arg)
{
    struct repl *repl = arg;

    (void)pthread_setname_np(pthread_self(), "hf-repl");
    turn_ends(repl);
    (void)uv_run(&repl->loop, UV_RUN_DEFAULT);
}

/* --- start --- */

static bool no_send(void *self, uint32_t node, enum repl_channel channel, const struct span *parts,
                    size_t n_parts)
{
    (void)self;
    (void)node;
    (void)channel;
    (void)parts;
    (void)n_parts;
    return false;
}

static bool no_link(void *self, uint32_t node)
{
    (void)self;
    (void)node;
    return false;
}

/* Nodes that were told of different members must never talk: what they all wrote as entry 1 names
 * the cluster to the transport. */
static uint64_t cluster_name(const struct repl_options *options)
{
    struct repl_configuration genesis;
    struct digest_item d;

    repl_genesis(options, &genesis);
    digest_item_init(&d, RECOVER_FIRST_INCARNATION, genesis.n_servers);
    for (size_t i = 0; i < genesis.n_servers; i++)
        digest_item_u64(&d, genesis.servers[i].node);
    return digest_item_final(&d).a | 1;
}

static bool start_transport(struct repl *repl, const struct repl_options *options,
                            struct repl_error *error)
{
    struct tcp_peer peers[REPL_MAX_NODES];
    struct tcp_transport_options tcp = {
        .node = options->node,
        .boot = repl->options.boot,
        .cluster = cluster_name(options),
        .peers = peers,
        .listener = {.self = repl, .frame = on_frame, .link = on_link, .stranger = on_stranger},
        .note = note,
        .note_self = repl};
    struct tcp_error reason;

    for (size_t i = 0; i < repl->options.n_nodes; i++) {
        const struct repl_node_address *n = &repl->options.nodes[i];

        if (n->node == options->node)
            tcp.listen = n->address;
        else
            peers[tcp.n_peers++] = (struct tcp_peer){.node = n->node, .address = n->address};
    }
    if (tcp.listen.ip.family == ADDR_NONE || options->tls == NULL) /* alone, and nobody can join */
        return true;
    repl->tls = tls_layer_create(options->tls, 0);
    tcp.layer = tls_layer_interface(repl->tls);
    repl->tcp = tcp_transport_create(&repl->loop, &tcp, &reason);
    if (repl->tcp == NULL)
        (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
    return repl->tcp != NULL;
}

/* The kernel's random name for this boot of the machine. False: it says none. */
static bool machine_boot(char out[MACHINE_BYTES])
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    bool ok = f != NULL && fgets(out, MACHINE_BYTES, f) != NULL;

    if (f != NULL)
        (void)fclose(f);
    return ok;
}

static bool start_storage(struct repl *repl, const struct repl_options *options,
                          struct repl_error *error)
{
    char machine[MACHINE_BYTES] = "";
    struct wal_options wal = {.directory = options->data_dir,
                              .node = options->node,
                              .fs = options->fs,
                              .machine = machine_boot(machine) ? machine : NULL,
                              .distrust_after_boot = options->distrust_after_boot,
                              .distrust = options->distrust};
    struct wal_error reason;
    const char *why;

    repl->wal = wal_open(&repl->loop, &wal, &reason);
    if (repl->wal == NULL) {
        (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
        return false;
    }
    wal_set_done(repl->wal, on_stored, repl);
    if (wal_load_note(repl->wal)[0] != '\0')
        log_text(repl, REPL_LOG_WARN, wal_load_note(repl->wal));
    if (!replica_fits(wal_loaded(repl->wal), &repl->options, &why)) {
        (void)snprintf(error->text, sizeof error->text, "%s: %s", options->data_dir, why);
        return false;
    }
    return true;
}

static bool start_core(struct repl *repl, struct repl_error *error)
{
    static const struct repl_transport alone = {.send = no_send, .connected = no_link};
    struct replica_callbacks callbacks = {.self = repl,
                                          .job = start_job,
                                          .events_waiting = repl_events_waiting,
                                          .event = repl_push_event,
                                          .entropy = draw_entropy,
                                          .peers = repl_on_peers,
                                          .disk_ok = disk_ok,
                                          .disk_stuck_ns = disk_stuck_ns,
                                          .keep_key = keep_key,
                                          .keys_changed = keys_changed,
                                          .begun = begun,
                                          .log = log_text,
                                          .failed = die};

    repl->core = replica_create(&repl->options, wal_storage(repl->wal),
                                repl->tcp == NULL ? &alone : tcp_transport_interface(repl->tcp),
                                &callbacks, repl->leases, &repl->health, &repl->clock);
    if (!replica_start(repl->core, wal_loaded(repl->wal), repl_boottime_ns())) {
        (void)snprintf(error->text, sizeof error->text, "%s",
                       repl->refusal[0] != '\0' ? repl->refusal
                                                : "the stored log contradicts itself");
        return false;
    }
    tell_links(repl);
    repl_publish(repl);
    repl_publish_view(repl);
    repl_flush_events(repl);
    return true;
}

/* What was opened before a refusal is closed on this thread: the loop has not run yet. */
static void undo(struct repl *repl)
{
    int parts = 3 + (repl->tcp != NULL) + (repl->wal != NULL) + (int)repl->jobs;

    repl->closing = true;
    repl->to_close = parts;
    loop_watch_close(&repl->watch, on_watch_closed);
    uv_close((uv_handle_t *)&repl->timer, on_closed);
    uv_close((uv_handle_t *)&repl->async, on_closed);
    if (repl->tcp != NULL)
        tcp_transport_close(repl->tcp, on_part_closed, repl);
    if (repl->wal != NULL)
        wal_close(repl->wal, on_part_closed, repl);
    (void)uv_run(&repl->loop, UV_RUN_DEFAULT);
    tls_layer_destroy(repl->tls);
    replica_destroy(repl->core);
    repl->core = NULL;
    HF_ASSERT(uv_loop_close(&repl->loop) == 0);
}

bool repl_thread_start(struct repl *repl, const struct repl_options *options,
                       struct repl_error *error)
{
    HF_ASSERT(uv_loop_init(&repl->loop) == 0);
    HF_ASSERT(uv_timer_init(&repl->loop, &repl->timer) == 0);
    HF_ASSERT(uv_async_init(&repl->loop, &repl->async, on_async) == 0);
    repl->timer.data = repl->async.data = repl;
    loop_watch_start(&repl->watch, &repl->loop);
    if (!start_storage(repl, options, error) || !start_transport(repl, options, error) ||
        !start_core(repl, error)) {
        undo(repl);
        return false;
    }
    repl->thread_running = true; /* before the thread looks at it */
    if (uv_thread_create(&repl->thread, run_loop, repl) != 0) {
        repl->thread_running = false;
        (void)snprintf(error->text, sizeof error->text, "no thread for replication");
        undo(repl);
        return false;
    }
    return true;
}

void repl_thread_stop(struct repl *repl)
{
    uv_mutex_lock(&repl->lock);
    repl->stopping = true;
    uv_mutex_unlock(&repl->lock);
    uv_mutex_lock(&repl->event_lock);
    repl->dropping = true;
    uv_cond_broadcast(&repl->event_room);
    uv_mutex_unlock(&repl->event_lock);
    HF_ASSERT(uv_async_send(&repl->async) == 0);
    HF_ASSERT(uv_thread_join(&repl->thread) == 0);
    (void)uv_run(&repl->loop, UV_RUN_DEFAULT); /* closing callbacks that were left */
    tls_layer_destroy(repl->tls);
    replica_destroy(repl->core);
    repl->core = NULL;
    HF_ASSERT(uv_loop_close(&repl->loop) == 0);
}
