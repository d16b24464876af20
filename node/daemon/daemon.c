#include "daemon/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/tables.h"
#include "daemon/fdstore.h"
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/replica.h"
#include "base/registers.h"

bool daemon_fail(struct daemon *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(d->error->text, sizeof d->error->text, format, args);
    va_end(args);
    return false;
}

struct daemon_shard *daemon_shard_of(struct daemon *d, uint32_t shard)
{
    for (uint32_t i = 0; i < d->n_shards; i++)
        if (d->shard_ids[i] == shard)
            return &d->shards[i];
    return NULL;
}

static bool arp_may_answer(void *self, uint32_t shard)
{
    return gateway_may_act(&((struct daemon *)self)->gateway, shard);
}

/* --- the loop's sources --- */

static void note_event(struct daemon *d, const struct repl_event *ev)
{
    events_take(&d->events, ev);
    if (ev->index > d->seen_index)
        d->seen_index = ev->index;
    if (ev->kind == REPL_EV_LEADER)
        admin_leader_changed(d, ev->node);
    if (ev->kind == REPL_EV_QUORUM)
        notices_quorum(d, ev->held);
    if (ev->kind == REPL_EV_LEASE && ev->held && d->arp != NULL)
        arp_announce(d->arp, ev->shard);
    if (ev->kind == REPL_EV_LEASE)
        log_line(d->log, LOG_INFO, "owner", "shard=%u lease %s", ev->shard,
                 ev->held ? "held" : "lost");
}

/* Many events (a restored state, a backlog) take several turns, so that this loop's other sources
 * and its signs of life go on. */
static void take_events(struct daemon *d)
{
    uint64_t until = io_boottime_ns() + DAEMON_TURN_NS;

    do {
        if (d->event == NULL) {
            d->event = repl_next_event(d->repl);
            if (d->event == NULL)
                return;
            note_event(d, d->event);
        }
        if (d->event->kind == REPL_EV_FRAME && d->event->channel == REPL_CHANNEL_ADMIN)
            admin_members_frame(d, d->event->node, span_of(d->event->bytes, d->event->bytes_len));
        else if (!gateway_event(&d->gateway, d->event))
            continue;
        repl_event_free(d->event);
        d->event = NULL;
        admin_tokens_tick(d); /* that event may be what a request waits for */
        admin_notes_tick(d);
    } while (io_boottime_ns() < until);
}

static void on_replication(uv_poll_t *handle, int status, int events)
{
    struct daemon *d = handle->data;

    (void)status;
    (void)events;
    take_events(d);
    api_feed_flush(d->events.feed);
}

static void on_workers(uv_poll_t *handle, int status, int events)
{
    struct daemon *d = handle->data;

    (void)status;
    (void)events;
    gateway_workers(&d->gateway);
}

static void on_timer(uv_timer_t *handle)
{
    struct daemon *d = handle->data;

    gateway_timer(&d->gateway);
}

/* Health: a fresh stamp of this loop and of the slowest worker; no stamp, no lease. */
static void on_tick(uv_timer_t *handle)
{
    struct daemon *d = handle->data;
    struct repl_health *health = repl_health(d->repl);

    uint64_t now = io_boottime_ns(), workers = worker_pool_oldest_turn_ns(d->pool);
    uint64_t repl = repl_loop_turned_ns(d->repl);

    atomic_store(&health->control_ns, now);
    atomic_store(&health->workers_ns, workers);
    (void)notify_alive(&d->notify, now, workers < repl ? workers : repl);
    atomic_store(&health->links_up, d->outside_up && d->inside_up);
    api_feed_flush(d->events.feed); /* where a reader was in its way before */
    admin_tick(d);
    admin_moves_tick(d);
    admin_keys_tick(d);
    admin_tokens_tick(d);
    admin_notes_tick(d);
    admin_members_tick(d);
    recover_tick(d);
    guarding_tick(d);
    moves_tick(d);
    notices_tick(d);
    certs_tick(d);
    doctor_tick(d);
}

/* Before the loop sleeps: arm the one timer for whatever is due first. */
static void on_prepare(uv_prepare_t *handle)
{
    struct daemon *d = handle->data;
    uint64_t in = gateway_sleep_ms(&d->gateway, repl_cluster_ms(d->repl));

    if (in == UINT64_MAX)
        (void)uv_timer_stop(&d->timer);
    else
        (void)uv_timer_start(&d->timer, on_timer, in, 0);
    registers_clear();
}

static void on_link(void *self, const struct netlink_link *link)
{
    struct daemon *d = self;
    bool up = link->up && link->running;
    bool *which =
        strcmp(link->name, d->config->outside_interface) == 0 ? &d->outside_up : &d->inside_up;

    if (*which != up)
        log_line(d->log, up ? LOG_INFO : LOG_WARN, "link", "%s is %s", link->name,
                 up ? "up" : "down");
    *which = up;
    /* At once: a handover may begin before the next tick. */
    atomic_store(&repl_health(d->repl)->links_up, d->outside_up && d->inside_up);
}

static void close_one(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The daemon's own sources; ARP, the link watch and the admin server close theirs. */
static void close_sources(struct daemon *d)
{
    loop_watch_close(&d->turns, NULL);
    close_one((uv_handle_t *)&d->prepare);
    close_one((uv_handle_t *)&d->timer);
    close_one((uv_handle_t *)&d->tick);
    close_one((uv_handle_t *)&d->sigterm);
    close_one((uv_handle_t *)&d->sigint);
    close_one((uv_handle_t *)&d->sighup);
    close_one((uv_handle_t *)&d->poll_repl);
    close_one((uv_handle_t *)&d->poll_workers);
    for (uint32_t i = 0; i < d->n_shards; i++)
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
            close_one((uv_handle_t *)&d->shards[i].paths[slot].poll_500);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct daemon *d = handle->data;

    notify_stopping();
    if (moves_leave(d)) {
        log_line(d->log, LOG_INFO, "node", "signal %d: handing over, then stopping", signum);
        return;
    }
    log_line(d->log, LOG_INFO, "node", "signal %d: stopping", signum);
    uv_stop(&d->loop);
}

static void on_hangup(uv_signal_t *handle, int signum)
{
    (void)signum;
    admin_note_signal(handle->data);
    reload_begin(handle->data, NULL);
}

static void cut_links(void *self)
{
    struct daemon *d = self;

    (void)netlink_all_links_down(d->netlink);
}

/* --- bringing it up --- */

static void repl_log(void *self, enum repl_log_level level, const char *text)
{
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};

    log_line(self, levels[level], "repl", "%s", text);
}

void daemon_repl_options(const struct config *config, const struct log *log, struct repl_options *o)
{
    *o = (struct repl_options){.node = config->node_id,
                               .data_dir = config->data_dir,
                               .n_nodes = config->n_nodes,
                               .n_shards = config->n_shards,
                               .timing = {.election_ms = config->timing.election_ms,
                                          .heartbeat_ms = config->timing.heartbeat_ms,
                                          .lease_ms = config->timing.lease_ms,
                                          .lease_heartbeat_ms = config->timing.lease_heartbeat_ms},
                               .key_age_ms = config->key_age_ms,
                               .rebalance = config->rebalance == CONFIG_REBALANCE_AUTO,
                               .settle_ms = config->rebalance_delay_ms,
                               .tls = config->tls,
                               .distrust_after_boot = config->distrust_after_boot,
                               .distrust = config->distrust,
                               .snapshot_entries = config->snapshot_entries,
                               .snapshot_bytes = config->snapshot_bytes,
                               .log = repl_log,
                               .log_self = (void *)(uintptr_t)log};
    for (size_t i = 0; i < config->n_nodes; i++)
        o->nodes[i] = (struct repl_node_address){config->nodes[i].id, config->nodes[i].address};
    o->n_founders = config->n_founders;
    memcpy(o->founders, config->founders, config->n_founders * sizeof o->founders[0]);
    for (size_t i = 0; i < config->n_shards; i++)
        o->shards[i] = (struct repl_shard_option){config->shards[i].id, config->shards[i].prefer};
}

bool daemon_init(const struct config *config, struct daemon_error *error)
{
    struct log quiet = {LOG_ERROR, STDERR_FILENO};
    struct repl_options o;
    struct repl_error e;

    daemon_repl_options(config, &quiet, &o);
    if (repl_init(&o, &e))
        return true;
    (void)snprintf(error->text, sizeof error->text, "%s", e.text);
    return false;
}

static void keep_keys(void *self, int fd)
{
    struct daemon *d = self;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        log_line(d->log, LOG_WARN, "node",
                 "the keys of sessions would not outlive a start anew of this program: %s",
                 strerror(errno));
    atomic_store(&d->keys_fd, copy < 0 ? 0 : copy);
    if (!fdstore_put(DAEMON_KEYS_NAME, fd))
        log_line(d->log, LOG_INFO, "node",
                 "no service manager keeps the keys of sessions while this daemon is down: without "
                 "another node that has them all SAs end then");
}

static bool start_repl(struct daemon *d)
{
    struct repl_options o;
    struct repl_error e;

    daemon_repl_options(d->config, d->log, &o);
    o.kept_keys_fd = d->keys_fd;
    o.keep_keys_fd = keep_keys;
    o.keep_keys_self = d;
    d->repl = repl_start(&o, &e);
    if (d->repl == NULL)
        return daemon_fail(d, "%s", e.text);
    for (uint32_t i = 0; i < d->n_shards; i++)
        d->shards[i].lease = repl_lease(d->repl, d->shard_ids[i]);
    return true;
}

static bool start_workers(struct daemon *d)
{
    struct worker_shard shards[REPL_MAX_SHARDS];
    struct worker_options o = {.n_workers = DAEMON_WORKERS,
                               .tun_fds = d->tun_fds,
                               .shards = shards,
                               .n_shards = d->n_shards,
                               .sa_capacity = DAEMON_SA_CAPACITY,
                               .silenced = &d->rollback.silenced};

    for (uint32_t i = 0; i < d->n_shards; i++) {
        shards[i] = (struct worker_shard){.shard = d->shard_ids[i], .lease = d->shards[i].lease};
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            shards[i].outside[slot] = d->shards[i].config->outside[slot];
            shards[i].udp_fds[slot] = d->shards[i].paths[slot].udp_4500;
            shards[i].esp_fds[slot] = d->shards[i].paths[slot].esp;
        }
    }
    d->pool = worker_pool_create(&o);
    if (d->pool == NULL || !worker_pool_start(d->pool))
        return daemon_fail(d, "cannot start the ESP workers: %m");
    return true;
}

static int step_fd(void)
{
    const char *text = getenv("HOLDFAST_STEP_FD");

    return text != NULL && text[0] != '\0' ? atoi(text) : -1;
}

static const struct repl_lease *lease_of(void *self, uint32_t slot)
{
    return ((struct daemon *)self)->shards[slot].lease;
}

static enum repl_result forward(void *self, uint32_t node, struct span frame)
{
    return repl_send_frame(((struct daemon *)self)->repl, node, REPL_CHANNEL_STRAY, frame);
}

static void start_gateway(struct daemon *d)
{
    gateway_init(&d->gateway, &(struct gateway_options){.node = d->config->node_id,
                                                        .shard_ids = d->shard_ids,
                                                        .n_shards = d->n_shards,
                                                        .pool = d->pool,
                                                        .datapath = d->datapath,
                                                        .conductor = d->conductor,
                                                        .self = d,
                                                        .now_ns = io_boottime_ns,
                                                        .silenced = &d->rollback.silenced,
                                                        .lease = lease_of,
                                                        .forward = forward});
}

static uint64_t incarnation_of(void *self)
{
    struct repl_status st;

    repl_status(((struct daemon *)self)->repl, &st);
    return st.incarnation;
}

static void start_conductor(struct daemon *d)
{
    struct conductor_options o = {.policy = &d->policy->policy,
                                  .log = d->log,
                                  .node = d->config->node_id,
                                  .boot = repl_boot(d->repl),
                                  .n_shards = d->n_shards,
                                  .drills = d->config->drills == CONFIG_DRILLS_ENABLED,
                                  .step_fd = step_fd(),
                                  .recovery = (enum conductor_recovery)d->config->recovery,
                                  .recoveries_per_second = d->config->recoveries_per_second,
                                  .auth = {.per_source = d->config->failures_per_source,
                                           .in_all = d->config->failures_in_all,
                                           .window_ms = d->config->failures_within_ms}};
    struct datapath_options p = {.pool = d->pool,
                                 .suites = &suite_default,
                                 .shard_ids = d->shard_ids,
                                 .n_shards = d->n_shards,
                                 .log = d->log,
                                 .now_ns = io_boottime_ns};
    struct conductor_ops ops;

    for (uint32_t i = 0; i < d->n_shards; i++) {
        const struct config_shard *s = d->shards[i].config;

        o.shards[i].id = s->id;
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
            pool_range(&s->pool[slot], &o.shards[i].pool_first[slot], &o.shards[i].pool_last[slot]);
    }
    d->datapath = datapath_create(&p);
    ops_fill(d, &ops);
    d->conductor = conductor_create(&o, &ops);
    conductor_tell_sessions(d->conductor, events_session, &d->events);
    datapath_bind(d->datapath, d->conductor);
    conductor_steppoint(d->conductor)->cut_links = cut_links;
    conductor_steppoint(d->conductor)->self = d;
}

static bool start_addresses(struct daemon *d)
{
    struct arp_address arp[2 * ADDR_SLOTS * REPL_MAX_SHARDS];
    const char *links[2] = {d->config->outside_interface, d->config->inside_interface};
    struct io_error io;
    size_t n = 0;

    for (uint32_t i = 0; i < d->n_shards; i++) {
        const struct config_shard *s = d->shards[i].config;

        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            if (addr_is_set(&s->outside[slot]))
                arp[n++] =
                    (struct arp_address){s->outside[slot], d->config->outside_interface, s->id};
            if (addr_is_set(&s->inside[slot]))
                arp[n++] =
                    (struct arp_address){s->inside[slot], d->config->inside_interface, s->id};
        }
    }
    d->arp = arp_open(&d->loop, arp, n, arp_may_answer, d, &io);
    if (d->arp == NULL)
        return daemon_fail(d, "%s", io.text);
    d->watch = netlink_watch_open(&d->loop, links, 2, on_link, d, &io);
    return d->watch != NULL || daemon_fail(d, "%s", io.text);
}

static bool watch(struct daemon *d)
{
    int failed = 0;

    d->prepare.data = d->timer.data = d->tick.data = d;
    d->sighup.data = d->sigterm.data = d->sigint.data = d->poll_repl.data = d->poll_workers.data =
        d;
    failed |= uv_prepare_init(&d->loop, &d->prepare);
    failed |= uv_timer_init(&d->loop, &d->timer);
    failed |= uv_timer_init(&d->loop, &d->tick);
    failed |= uv_signal_init(&d->loop, &d->sigterm);
    failed |= uv_signal_init(&d->loop, &d->sigint);
    failed |= uv_signal_init(&d->loop, &d->sighup);
    failed |= uv_poll_init(&d->loop, &d->poll_repl, repl_event_fd(d->repl));
    failed |= uv_poll_init(&d->loop, &d->poll_workers, worker_pool_event_fd(d->pool));
    failed |= uv_prepare_start(&d->prepare, on_prepare);
    failed |= uv_timer_start(&d->tick, on_tick, 0, DAEMON_TICK_MS);
    failed |= uv_signal_start(&d->sigterm, on_signal, SIGTERM);
    failed |= uv_signal_start(&d->sigint, on_signal, SIGINT);
    failed |= uv_signal_start(&d->sighup, on_hangup, SIGHUP);
    failed |= uv_poll_start(&d->poll_repl, UV_READABLE, on_replication);
    failed |= uv_poll_start(&d->poll_workers, UV_READABLE, on_workers);
    return failed == 0 || daemon_fail(d, "cannot set the control loop up");
}

static bool start_admin(struct daemon *d)
{
    struct api_server_options o = {.socket_path = d->config->admin_socket};

    admin_fill(d);
    d->api = api_server_create(&d->loop, &o, &d->backend, d->error->text, sizeof d->error->text);
    return d->api != NULL && rest_start(d);
}

static bool start(struct daemon *d)
{
    struct io_error io;

    /* Before anything is run that could inherit it. */
    d->keys_fd = fdstore_take(DAEMON_KEYS_NAME);
    rollback_watch(d); /* before anything is opened that could send */
    if (!policy_first(d))
        return false;
    certs_start(d, d->config->tls);
    if (!guarding_start(d))
        return false;
    d->netlink = netlink_open(&io);
    if (d->netlink == NULL)
        return daemon_fail(d, "%s", io.text);
    if (!sockets_open(d) || !addresses_open(d) || !start_repl(d) || !start_workers(d))
        return false;
    start_conductor(d);
    start_gateway(d);
    return watch(d) && sockets_watch(d) && start_addresses(d) && start_admin(d);
}

/* In the reverse order: silent first, and nothing of ours runs once replication is gone. */
static void stop(struct daemon *d)
{
    d->stopping = true;
    if (d->pool != NULL)
        worker_pool_stop(d->pool);
    close_sources(d);
    admin_stop(d);
    admin_moves_stop(d);
    admin_keys_stop(d);
    admin_tokens_stop(d);
    admin_notes_stop(d);
    admin_members_stop(d);
    recover_stop(d);
    if (d->api != NULL)
        api_server_close(d->api, NULL, NULL);
    rest_stop(d);
    if (d->arp != NULL)
        arp_close(d->arp, NULL, NULL);
    if (d->watch != NULL)
        netlink_watch_close(d->watch);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT); /* closes, and waits for key exchanges under way */
    repl_event_free(d->event);
    if (d->repl != NULL)
        repl_stop(d->repl);
    sockets_close(d);
    if (d->conductor != NULL)
        conductor_destroy(d->conductor);
    gateway_deinit(&d->gateway);
    if (d->datapath != NULL)
        datapath_destroy(d->datapath);
    if (d->pool != NULL)
        worker_pool_destroy(d->pool);
    if (d->netlink != NULL)
        netlink_close(d->netlink);
    certs_stop(d);
    if (d->policy != NULL) {
        d->policy->retired = true;
        policy_release(d->policy);
    }
    HF_ASSERT(uv_loop_close(&d->loop) == 0);
}

bool daemon_run(const struct config *config, const struct log *log, bool *again,
                struct daemon_error *error)
{
    struct daemon *d = calloc(1, sizeof *d);
    bool ok;

    HF_ASSERT(d != NULL && config->n_shards <= REPL_MAX_SHARDS);
    events_init(&d->events, config->node_id, incarnation_of, d);
    d->config = config;
    d->log = log;
    d->error = error;
    d->tun.fd = -1;
    d->n_shards = (uint32_t)config->n_shards;
    for (uint32_t i = 0; i < d->n_shards; i++) {
        d->shards[i].config = &config->shards[i];
        d->shard_ids[i] = config->shards[i].id;
        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            struct daemon_path *p = &d->shards[i].paths[slot];

            p->shard = &d->shards[i];
            p->udp_500 = -1;
            for (unsigned w = 0; w < WORKER_MAX; w++)
                p->udp_4500[w] = p->esp[w] = -1;
        }
    }
    notify_init(&d->notify);
    HF_ASSERT(uv_loop_init(&d->loop) == 0);
    loop_watch_start(&d->turns, &d->loop);
    d->loop.data = d;
    ok = start(d);
    if (ok) {
        log_line(log, LOG_INFO, "node", "node=%u boot=%016llx serving", config->node_id,
                 (unsigned long long)repl_boot(d->repl));
        notify_ready(&d->notify);
        (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    }
    stop(d);
    events_deinit(&d->events);
    rollback_stop(d);
    *again = ok && d->again;
    if (*again)
        fdstore_hand_on(DAEMON_KEYS_NAME, d->keys_fd);
    if (d->keys_fd != 0 && !*again)
        (void)close(d->keys_fd);
    secret_wipe_bytes(d, sizeof *d);
    free(d);
    return ok;
}
