/* A gateway node: its machine, its process, and the order in which its parts run. */
#include <stdlib.h>

#include "io/worker_internal.h"
#include "replication/raft_driver.h"
#include "sim/sim_world.h"

enum { EVENTS_PER_TURN = 64, OTHER_WALL_S = 40000000 };

/* --- its clock --- */

uint64_t sim_node_ns(const struct sim_node *n)
{
    uint64_t passed = n->world->now_ms - n->anchor_ms;

    return n->anchor_ns + passed * (uint64_t)((int64_t)1000000 + n->ppm);
}

void sim_node_set_clock(struct sim_node *n, uint64_t ns, int32_t ppm)
{
    n->anchor_ms = n->world->now_ms;
    n->anchor_ns = ns;
    n->ppm = ppm;
}

/* The first ms of the world at which its clock says at least `ns`. */
static uint64_t ms_of(const struct sim_node *n, uint64_t ns)
{
    uint64_t rate = (uint64_t)((int64_t)1000000 + n->ppm);

    if (ns == UINT64_MAX)
        return UINT64_MAX;
    if (ns <= n->anchor_ns)
        return n->anchor_ms;
    return n->anchor_ms + (ns - n->anchor_ns + rate - 1) / rate;
}

/* --- machine and process --- */

static void on_frame(void *self, uint32_t from, enum repl_channel channel, struct span bytes)
{
    struct sim_node *n = self;

    sim_votes_arrive(n, from, channel, bytes);
    replica_frame(n->replica, sim_node_ns(n), from, channel, bytes);
}

static void on_link(void *self, uint32_t node, bool up)
{
    struct sim_node *n = self;

    replica_link(n->replica, sim_node_ns(n), node, up);
}

static void on_stranger(void *self, uint32_t node, uint64_t incarnation)
{
    struct sim_node *n = self;

    replica_stranger(n->replica, sim_node_ns(n), node, incarnation);
}

/* `holdfastd --init`: the first entry, the same on each founder. */
static void found(struct sim_node *n)
{
    struct repl_node_address addresses[SIM_NODES] = {0};
    struct repl_configuration genesis;
    struct repl_storage s = sim_storage_interface(n->storage);

    for (uint32_t i = 0; i < n->world->plan.n_nodes; i++)
        addresses[i].node = i + 1;
    replica_genesis(addresses, n->world->plan.n_nodes, &genesis);
    HF_ASSERT(raft_driver_bootstrap(&s, &genesis));
}

/* Whoever begins with it, or joins. */
static void new_directory(struct sim_node *n)
{
    struct repl_storage s = sim_storage_interface(n->storage);

    s.distrust(s.self, REPL_DISTRUST_NEW);
    sim_storage_flush(n->storage);
}

void sim_node_init(struct sim_world *w, uint32_t id)
{
    struct sim_node *n = &w->nodes[id - 1];
    int32_t ppm = id <= SIM_NODES ? w->plan.drift_ppm[id - 1]
                                  : (int32_t)sim_between(&w->members, 0, 400) - 200;

    *n = (struct sim_node){.world = w, .id = id, .outside_up = true, .inside_up = true};
    n->wall_s = w->other_walls ? OTHER_WALL_S * (int64_t)id : 0;
    n->listener = (struct repl_transport_listener){
        .self = n, .frame = on_frame, .link = on_link, .stranger = on_stranger};
    sim_node_set_clock(n, sim_between(&w->random, 1, 1000) * 1000000000, ppm);
    n->storage = sim_storage_create(sim_next(&w->random), &w->now_ms);
    sim_storage_set_delay(n->storage, 0, 2);
    if (id <= w->plan.n_nodes)
        found(n);
    new_directory(n);
}

void sim_node_start(struct sim_node *n)
{
    struct sim_world *w = n->world;

    HF_ASSERT(!n->up && !n->lost && !n->gone);
    n->boot = sim_next(&w->random) | 1;
    n->up = true;
    n->paused = n->failed = n->for_a_key = n->stuck = n->hung = false;
    n->first_event = NULL;
    n->last_event = &n->first_event;
    n->n_events = 0;
    n->raft_jobs = n->engine_jobs = NULL;
    memset(n->leases, 0, sizeof n->leases);
    memset(&n->health, 0, sizeof n->health);
    memset(&n->clock, 0, sizeof n->clock);
    atomic_store(&n->clock.offset_ms, REPLICA_CLOCK_NONE);
    atomic_store(&n->given_ms, 0);
    n->control_ms = n->tick_ms = n->timer_ms = w->now_ms;
    n->worker_ms = UINT64_MAX;
    n->takeovers = n->handovers = n->who_again_ms = n->key_back_ms = n->named_key = 0;
    n->heard_ms = n->stateless_ms = w->now_ms;
    sim_watch_started(w->watch, n->id, n->boot, n->lied);
    sim_votes_start(n);
    n->told = (struct repl_configuration){0};
    n->told_committed = 0;
    sim_node_gateway(n);
    sim_members_look(n);
    sim_network_greet(w->network, n->id, sim_recovery_says(n));
    sim_network_attach(w->network, n->id, &n->listener);
    w->stats.counts[SIM_COUNT_node_starts]++;
    sim_say(w, "node %u starts, boot %016llx", n->id, (unsigned long long)n->boot);
}

void sim_node_add_counters(struct sim_node *n)
{
    uint64_t *counts = n->world->stats.counts;
    const struct counters *c = conductor_counters(n->conductor);
    struct repl_status st;

    replica_status(n->replica, sim_node_ns(n), &st);
    counts[SIM_COUNT_takeovers] += c->value[COUNTER_takeovers] - n->takeovers;
    counts[SIM_COUNT_handovers] += c->value[COUNTER_handovers_done] - n->handovers;
    n->takeovers = c->value[COUNTER_takeovers];
    n->handovers = c->value[COUNTER_handovers_done];
    counts[SIM_COUNT_records] += st.counters[REPL_COUNT_ACCEPTED];
    counts[SIM_COUNT_snapshots] += st.counters[REPL_COUNT_SNAPSHOTS];
    counts[SIM_COUNT_restores] += st.counters[REPL_COUNT_RESTORES];
    counts[SIM_COUNT_strays_forwarded] += strays_counter(n->gateway.strays, STRAY_COUNT_FORWARDED);
}

/* What it applied and told nobody. Of what a snapshot replaced it has nothing to tell. */
static void tell_last(struct sim_node *n)
{
    struct sim_watch *watch = n->world->watch;
    bool replaced = false;

    for (const struct sim_event *e = n->first_event; e != NULL; e = e->next) {
        if (e->told)
            continue;
        replaced |= e->event->kind == REPL_EV_RESET;
        sim_watch_missed(watch, n->id, e->event);
    }
    if (!replaced)
        sim_watch_told_all(watch, n->id, replica_fsm(n->replica)->applied_index);
}

/* Everything of the process goes, nothing of it speaks any more. */
static void end_process(struct sim_node *n)
{
    struct sim_event *e;

    (void)sim_kernel_enter(&n->kernel);
    sim_node_add_counters(n);
    tell_last(n);
    n->up = false;
    sim_network_detach(n->world->network, n->id);
    worker_pool_stop(n->pool);
    sim_node_drop_jobs(n);
    replica_destroy(n->replica);
    n->replica = NULL;
    if (n->world->plan.sealed)
        seal_ring_deinit(&n->ring);
    conductor_destroy(n->conductor);
    sim_watch_unwrap(n->wrap);
    sim_watch_stopped(n->world->watch, n->id);
    gateway_deinit(&n->gateway);
    datapath_destroy(n->datapath);
    worker_pool_destroy(n->pool);
    while ((e = n->first_event) != NULL) {
        n->first_event = e->next;
        repl_event_free(e->event);
        free(e);
    }
    sim_queue_clear(&n->port_500);
    sim_kernel_deinit(&n->kernel);
    memset(n->leases, 0, sizeof n->leases);
}

void sim_node_kill(struct sim_node *n)
{
    const struct sim_storage_counters *c = sim_storage_counters(n->storage);
    uint64_t lost = c->lost, torn = c->torn;

    end_process(n);
    sim_storage_crash(n->storage);
    n->world->stats.faults[SIM_FAULT_disk_lost] += c->lost > lost;
    n->world->stats.faults[SIM_FAULT_disk_torn] += c->torn > torn;
}

void sim_node_deinit(struct sim_node *n)
{
    if (n->up)
        end_process(n);
    sim_storage_destroy(n->storage);
}

/* --- what comes to it --- */

void sim_node_wake(struct sim_node *n)
{
    uint64_t at = n->world->now_ms + sim_between(&n->world->random, 0, 1);

    n->control_ms = at < n->control_ms ? at : n->control_ms;
}

static void wake_worker(struct sim_node *n)
{
    if (n->worker_ms == UINT64_MAX && !sim_kernel_is_cut(&n->kernel) && sim_kernel_busy(&n->kernel))
        n->worker_ms = n->world->now_ms + sim_between(&n->world->random, 0, 1);
}

void sim_node_datagram(struct sim_node *n, uint32_t shard, const struct endpoint *from,
                       const struct endpoint *to, struct span bytes)
{
    if (!n->up || !n->outside_up)
        return;
    if (to->port == 4500) {
        sim_kernel_put_udp(&n->kernel, shard - 1, from, to, bytes);
        wake_worker(n);
        return;
    }
    (void)sim_queue_put(&n->port_500, from, to, bytes);
    sim_node_wake(n);
}

void sim_node_inner(struct sim_node *n, struct span inner)
{
    if (!n->up || !n->inside_up)
        return;
    sim_kernel_put_tun(&n->kernel, inner);
    wake_worker(n);
}

/* --- its loops --- */

static void run_replica(struct sim_node *n)
{
    struct repl_storage_done done;

    while (!n->failed && sim_storage_pop(n->storage, &done)) {
        if (done.status == REPL_STORAGE_OK &&
            (done.op == REPL_STORAGE_APPEND || done.op == REPL_STORAGE_INSTALL))
            sim_watch_durable(n->world->watch, n->id, done.index);
        if (done.status == REPL_STORAGE_OK && done.op == REPL_STORAGE_TRUNCATE)
            sim_watch_durable(n->world->watch, n->id, done.index - 1);
        replica_stored(n->replica, sim_node_ns(n), &done);
    }
    while (!n->failed && n->raft_jobs != NULL && n->raft_jobs->due_ms <= n->world->now_ms) {
        struct sim_job *j = n->raft_jobs;

        n->raft_jobs = j->next;
        replica_job_run(j->job);
        replica_job_done(n->replica, sim_node_ns(n), j->job);
        free(j);
    }
    if (!n->failed && replica_next_ns(n->replica) <= sim_node_ns(n))
        replica_tick(n->replica, sim_node_ns(n));
    n->named_key = replica_fsm(n->replica)->session_key;
    sim_network_greet(n->world->network, n->id, sim_recovery_says(n));
}

static void tick(struct sim_node *n)
{
    n->tick_ms = n->world->now_ms + SIM_TICK_MS;
    sim_keys_tick(n);
    if (!n->hung && !sim_kernel_is_cut(&n->kernel)) {
        (void)sim_kernel_turn(&n->kernel);
        sim_stops_look(n);
    }
    if (n->stuck || n->paused)
        return;
    sim_node_stamp(n);
    sim_hints_ask(n);
}

static void take_events(struct sim_node *n)
{
    struct sim_event *e;

    for (int i = 0; i < EVENTS_PER_TURN && (e = n->first_event) != NULL; i++) {
        struct repl_event *ev = e->event;

        if (ev->kind == REPL_EV_LEASE && ev->held)
            sim_outside_announce(n, ev->shard);
        if (ev->kind == REPL_EV_FRAME && ev->channel == REPL_CHANNEL_ADMIN)
            sim_members_frame(n, ev);
        if (ev->kind == REPL_EV_APPLIED && ev->mine && ev->verdict == REPL_ACCEPTED)
            sim_exchange_applied(n->world, NULL, true, ev->effects);
        if (!e->told)
            sim_watch_event(n->world->watch, n->id, ev);
        e->told = true;
        if (!gateway_event(&n->gateway, ev))
            continue;
        n->first_event = e->next;
        if (n->first_event == NULL)
            n->last_event = &n->first_event;
        n->n_events--;
        repl_event_free(ev);
        free(e);
    }
}

static void take_jobs(struct sim_node *n)
{
    while (n->engine_jobs != NULL && n->engine_jobs->due_ms <= n->world->now_ms) {
        struct sim_job *j = n->engine_jobs;

        n->engine_jobs = j->next;
        conductor_job_run(j->job);
        conductor_job_done(n->conductor, j->job);
        free(j);
    }
}

/* One turn of the control loop: everything that is ready, then how long it may sleep. */
static void control(struct sim_node *n)
{
    struct sim_packet *p;
    uint64_t now = n->world->now_ms, sleep;

    n->control_ms = UINT64_MAX;
    take_events(n);
    if (sim_kernel_readable(&n->kernel, worker_pool_event_fd(n->pool)))
        gateway_workers(&n->gateway);
    while ((p = sim_queue_take(&n->port_500)) != NULL) {
        gateway_ike(&n->gateway, p->to.ip.bytes[3], &p->to, &p->from, span_of(p->bytes, p->len));
        free(p);
    }
    take_jobs(n);
    if (n->timer_ms <= now)
        gateway_timer(&n->gateway);
    sleep =
        gateway_sleep_ms(&n->gateway, replica_clock_read(&n->clock, &n->given_ms, sim_node_ns(n)));
    n->timer_ms = sleep == UINT64_MAX ? UINT64_MAX : now + (sleep > 0 ? sleep : 1);
    if (n->first_event != NULL)
        sim_node_wake(n);
    wake_worker(n);
}

static uint64_t worker_due(const struct sim_node *n)
{
    uint64_t until = sim_stops_until(n);

    if (n->hung)
        return UINT64_MAX;
    return until < n->worker_ms ? until : n->worker_ms;
}

/* The control loop is called for by what workers tell. */
static void work(struct sim_node *n)
{
    n->worker_ms = UINT64_MAX;
    if (sim_kernel_is_cut(&n->kernel))
        sim_kernel_go_on(&n->kernel);
    else
        (void)sim_kernel_turn(&n->kernel);
    sim_stops_look(n);
    wake_worker(n);
}

void sim_node_run(struct sim_node *n)
{
    uint64_t now = n->world->now_ms;

    if (!n->up || n->paused)
        return;
    n->kernel.now_ns = sim_node_ns(n);
    (void)sim_kernel_enter(&n->kernel);
    run_replica(n);
    if (n->failed)
        return;
    sim_members_look(n);
    sim_lies_look(n);
    if (n->tick_ms <= now)
        tick(n);
    if (!n->paused && worker_due(n) <= now)
        work(n);
    if (n->paused)
        return; /* in the middle of it */
    if (n->control_ms == UINT64_MAX &&
        sim_kernel_readable(&n->kernel, worker_pool_event_fd(n->pool)))
        sim_node_wake(n);
    if (n->engine_jobs != NULL && n->engine_jobs->due_ms <= now)
        n->control_ms = now;
    if ((n->control_ms <= now || n->timer_ms <= now) && !n->stuck)
        control(n);
}

uint64_t sim_node_due(const struct sim_node *n)
{
    uint64_t next, at;

    if (!n->up || n->paused)
        return UINT64_MAX;
    next = ms_of(n, replica_next_ns(n->replica));
    if (next <= n->world->now_ms)
        next = n->world->now_ms + 1;
    at = sim_storage_next(n->storage);
    next = at < next ? at : next;
    next = n->tick_ms < next ? n->tick_ms : next;
    if (n->raft_jobs != NULL && n->raft_jobs->due_ms < next)
        next = n->raft_jobs->due_ms;
    at = worker_due(n);
    next = at < next ? at : next;
    if (n->stuck)
        return next;
    if (n->engine_jobs != NULL && n->engine_jobs->due_ms < next)
        next = n->engine_jobs->due_ms;
    next = n->timer_ms < next ? n->timer_ms : next;
    return n->control_ms < next ? n->control_ms : next;
}

/* --- questions --- */

/* As its worker decides it. */
bool sim_node_acting(const struct sim_node *n, uint32_t shard)
{
    const struct repl_lease *l = &n->leases[shard - 1];
    const struct conductor_shard *s = n->up ? conductor_shard(n->conductor, shard) : NULL;

    return s != NULL && s->mine && atomic_load(&l->epoch_index) == s->epoch.index &&
           atomic_load(&l->until_ns) > sim_node_ns(n) && !conductor_moving(n->conductor, shard);
}

bool sim_node_leads(const struct sim_node *n)
{
    struct raft_driver_status s;

    if (!n->up || n->paused)
        return false;
    s = raft_driver_status(replica_driver(n->replica));
    return s.state == RAFT_DRIVER_LEADER && s.own_term_committed;
}
