/* What a node's replica and conductor ask of the outside, and how they are made. */
#include <stdlib.h>

#include "conductor/internal.h"
#include "replication/raft_driver.h"
#include "replication/repl_addresses.h"
#include "sim/sim_world.h"

static const uint64_t NS = 1000000;

enum { STALL_MS = 1000, HANG_MS = 5000 };

static void job_add(struct sim_world *w, struct sim_job **list, void *job, uint64_t most_ms)
{
    struct sim_job *j = calloc(1, sizeof *j);

    HF_ASSERT(j != NULL);
    *j = (struct sim_job){.job = job, .due_ms = w->now_ms + sim_between(&w->random, 0, most_ms)};
    while (*list != NULL) {
        if ((*list)->due_ms > j->due_ms)
            j->due_ms = (*list)->due_ms; /* one after the other */
        list = &(*list)->next;
    }
    *list = j;
}

static void draw(struct sim_world *w, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(sim_next(&w->random) >> 24);
}

/* --- the replica --- */

static void on_event(void *self, struct repl_event *event)
{
    struct sim_node *n = self;
    struct sim_event *e = calloc(1, sizeof *e);

    HF_ASSERT(e != NULL);
    if (event->kind == REPL_EV_APPLIED)
        n->heard_ms = n->world->now_ms;
    e->event = event;
    *n->last_event = e;
    n->last_event = &e->next;
    n->n_events++;
    if (event->kind == REPL_EV_LEADER && event->node == n->id)
        n->world->stats.counts[SIM_COUNT_elections]++;
    sim_node_wake(n);
}

static size_t on_waiting(void *self)
{
    return ((struct sim_node *)self)->n_events;
}

static void on_job(void *self, struct replica_job *job)
{
    struct sim_node *n = self;

    job_add(n->world, &n->raft_jobs, job, 4);
}

static void on_entropy(void *self, uint8_t *bytes, size_t n)
{
    draw(((struct sim_node *)self)->world, bytes, n);
}

static bool on_disk_ok(void *self)
{
    return sim_storage_pending_ms(((struct sim_node *)self)->storage) < STALL_MS;
}

static uint64_t on_disk_stuck(void *self)
{
    return sim_storage_stuck_ms(((struct sim_node *)self)->storage) * NS;
}

static void on_peers(void *self, const struct repl_node_address *nodes, size_t count)
{
    struct sim_node *n = self;

    n->n_peers = count;
    memcpy(n->peers, nodes, count * sizeof *nodes);
    n->peers_changed = true;
}

static void on_log(void *self, enum repl_log_level level, const char *text)
{
    struct sim_node *n = self;

    if (strstr(text, "the former one is lost: all sessions ended") != NULL)
        sim_keys_lost(n);
    if (level <= REPL_LOG_INFO)
        sim_say(n->world, "node %u: %s", n->id, text);
}

/* What was done to it for which a process may end by itself. */
static bool may_end(const struct sim_node *n)
{
    return sim_storage_fails(n->storage) || sim_storage_stuck_ms(n->storage) >= HANG_MS ||
           n->lied || n->second || n->left || n->for_a_key;
}

/* Its log found no room; and it was an owner that nobody took anything from, nor was to. */
static void note_full(struct sim_node *n)
{
    bool owner = false;

    if (!sim_storage_was_full(n->storage))
        return;
    for (uint32_t shard = 1; shard <= n->world->plan.n_shards; shard++)
        owner |= sim_node_acting(n, shard);
    n->world->stats.faults[SIM_FAULT_log_full]++;
    n->world->stats.faults[SIM_FAULT_owner_full] += owner;
}

static void on_failed(void *self, const char *why)
{
    struct sim_node *n = self;

    n->failed = true;
    n->for_a_key = sim_keys_may_end(n, why);
    note_full(n);
    sim_watch_ended(n->world->watch, n->id,
                    raft_driver_counters(replica_driver(n->replica))->contradicted > 0, may_end(n),
                    why);
    sim_say(n->world, "node %u ends: %s", n->id, why);
}

static void replica_options_of(const struct sim_node *n, struct replica_options *o)
{
    const struct sim_plan *p = &n->world->plan;

    *o = (struct replica_options){.node = n->id,
                                  .boot = n->boot,
                                  .incarnation = 1,
                                  .raft_seed = (uint32_t)sim_next(&n->world->random),
                                  .n_nodes = p->n_nodes,
                                  .n_founders = p->n_nodes,
                                  .n_shards = p->n_shards,
                                  .timing = {.election_ms = 150,
                                             .heartbeat_ms = 30,
                                             .lease_ms = 150,
                                             .lease_heartbeat_ms = 30,
                                             .stale_ms = 150,
                                             .disk_stall_ms = STALL_MS,
                                             .disk_hang_ms = HANG_MS},
                                  .rebalance = p->rebalance,
                                  .settle_ms = 10000,
                                  .snapshot_entries = p->snapshot_entries,
                                  .key_age_ms = sim_keys_age_ms(n->world),
                                  .snapshot_bytes = 64 << 20,
                                  .seal = &seal_none};
    HF_ASSERT(p->n_nodes > 0);
    for (uint32_t i = 0; i < p->n_nodes; i++)
        o->founders[i] = o->nodes[i].node = i + 1;
    if (n->n_asks > 0) {
        o->joined = true;
        o->n_nodes = n->n_asks;
        memcpy(o->nodes, n->asks, sizeof o->nodes);
    }
    for (uint32_t i = 0; i < p->n_shards; i++)
        o->shards[i] = (struct repl_shard_option){.shard = i + 1, .prefer = i % p->n_nodes + 1};
}

/* Of what a lone founder began a second time (sim_found.c) no node of the first cluster has anything. */
void sim_node_stored(const struct sim_node *n)
{
    struct repl_loaded log;

    if (n->lost || n->second)
        return;
    sim_storage_look(n->storage, &log);
    sim_watch_stored(n->world->watch, n->id, &log);
}

static void start_replica(struct sim_node *n)
{
    struct repl_storage storage = sim_storage_interface(n->storage);
    struct repl_transport transport = sim_votes_transport(n);
    struct replica_callbacks callbacks = {.self = n,
                                          .job = on_job,
                                          .events_waiting = on_waiting,
                                          .event = on_event,
                                          .entropy = on_entropy,
                                          .peers = n->world->plan.members ? on_peers : NULL,
                                          .disk_ok = on_disk_ok,
                                          .disk_stuck_ns = on_disk_stuck,
                                          .keep_key = sim_keys_keep,
                                          .keys_changed = sim_keys_changed,
                                          .log = on_log,
                                          .failed = on_failed};
    struct replica_options o;
    const char *why;

    replica_options_of(n, &o);
    if (n->world->plan.members) {
        o.n_listed = o.n_nodes;
        o.n_nodes = repl_addresses_merge(o.nodes, o.n_nodes, o.n_listed, n->peers, n->n_peers);
        on_peers(n, o.nodes, o.n_nodes); /* kept on its disk */
    }
    if (n->world->plan.sealed)
        sim_keys_take(n, &o);
    n->replica =
        replica_create(&o, &storage, &transport, &callbacks, n->leases, &n->health, &n->clock);
    sim_storage_load(n->storage, &n->loaded);
    sim_watch_durable(n->world->watch, n->id, n->loaded.first_index + n->loaded.n_entries - 1);
    sim_node_stored(n);
    HF_ASSERT(replica_fits(&n->loaded, &o, &why));
    /* The only voter goes through its log within its start: for a key it may end there, and starts again. */
    n->refused = !replica_start(n->replica, &n->loaded, sim_node_ns(n)) && !n->for_a_key;
    HF_ASSERT(!n->refused || (n->failed && n->lied && n->was_alone));
}

/* --- the conductor --- */

static uint64_t op_now(void *self)
{
    struct sim_node *n = self;

    return replica_clock_read(&n->clock, &n->given_ms, sim_node_ns(n));
}

/* In the run with other wall clocks they jump up to an hour, either way, each ten seconds. */
static uint64_t op_wall(void *self)
{
    enum { EACH_MS = 10000, UP_TO_S = 3600 };
    const struct sim_node *n = self;
    int64_t jumped_s = 0;

    if (n->world->other_walls)
        jumped_s = (int64_t)(sim_mix(n->world->now_ms / EACH_MS ^ (uint64_t)n->id << 32) %
                             (2 * UP_TO_S + 1)) -
                   UP_TO_S;
    return (uint64_t)((int64_t)(SIM_WALL_S + n->world->now_ms / 1000) + n->wall_s + jumped_s);
}

/* As repl_submit() does it, without its queue between two threads. */
static bool op_submit(void *self, Holdfast__Record *record, void *op)
{
    struct sim_node *n = self;
    const struct seal *seal = n->world->plan.sealed ? &n->ring.seal : &seal_none;
    uint64_t request = replica_next_request(n->replica);
    uint8_t *sealed;
    size_t len;

    if (!replica_has_room(request - replica_oldest_request(n->replica),
                          replica_outstanding_bytes(n->replica), seal))
        return false;
    sealed = replica_pack(record, n->id, n->boot, request, seal, &len);
    if (sealed == NULL)
        return false;
    if (replica_submit(n->replica, sim_node_ns(n), request, sealed, len, op) == REPL_OK)
        return true;
    free(sealed);
    return false;
}

static bool op_may_act(void *self, uint32_t shard)
{
    return gateway_may_act(&((struct sim_node *)self)->gateway, shard);
}

static bool op_leader(void *self)
{
    return ((struct sim_node *)self)->gateway.leader;
}

static void op_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                    const struct endpoint *to, struct span bytes)
{
    struct sim_node *n = self;
    uint8_t marked[IKE_MAX_MESSAGE_BYTES + 4] = {0};

    (void)shard;
    sim_exchange_said(n->world, "node", n->id, bytes);
    if (!sim_check_message(&n->world->check, 0, bytes))
        sim_violation(n->world, "I4: node %u sends another message under the same name", n->id);
    n->world->stats.counts[SIM_COUNT_messages_checked]++;
    if (!natt) {
        sim_outside_from_node(n, from, to, bytes);
        return;
    }
    HF_ASSERT(bytes.len + 4 <= sizeof marked);
    memcpy(marked + 4, bytes.data, bytes.len);
    sim_outside_from_node(n, from, to, span_of(marked, bytes.len + 4));
}

static void op_ike_aside(void *self, uint32_t shard, const struct endpoint *local,
                         const struct endpoint *remote, struct span bytes)
{
    gateway_ike(&((struct sim_node *)self)->gateway, shard, local, remote, bytes);
}

static void op_run_job(void *self, struct conductor *c, struct conductor_work *work)
{
    struct sim_node *n = self;

    (void)c;
    job_add(n->world, &n->engine_jobs, work, 3);
}

static enum repl_result send_frame(struct sim_node *n, uint32_t node, enum repl_channel channel,
                                   struct span bytes)
{
    struct repl_transport t = sim_network_transport(n->world->network, n->id);

    return t.send(t.self, node, channel, &bytes, 1) ? REPL_OK : REPL_UNREACHABLE;
}

static void op_copy_half_open(void *self, struct span encoded)
{
    struct sim_node *n = self;
    struct repl_status status;
    uint32_t nodes[REPL_MAX_NODES];
    size_t count;

    replica_status(n->replica, sim_node_ns(n), &status);
    count = repl_linked_members(&status, nodes);
    for (size_t i = 0; i < count; i++)
        if (send_frame(n, nodes[i], REPL_CHANNEL_HALF_OPEN, encoded) == REPL_OK)
            sim_watch_copied(n->world->watch, nodes[i],
                             sim_watch_place(n->world->watch, n->id, status.applied_index));
}

static enum repl_result op_forward(void *self, uint32_t node, struct span frame)
{
    return send_frame(self, node, REPL_CHANNEL_STRAY, frame);
}

static const struct repl_lease *op_lease(void *self, uint32_t slot)
{
    return &((struct sim_node *)self)->leases[slot];
}

static void start_conductor(struct sim_node *n)
{
    const struct sim_world *w = n->world;
    struct conductor_options o = {.policy = &w->policy,
                                  .log = &w->log,
                                  .node = n->id,
                                  .boot = n->boot,
                                  .n_shards = w->plan.n_shards,
                                  .step_fd = -1,
                                  .recovery = w->plan.recovery,
                                  .recoveries_per_second = 1};
    struct datapath_options p = {.pool = n->pool,
                                 .suites = w->policy.suites,
                                 .shard_ids = w->shard_ids,
                                 .n_shards = w->plan.n_shards,
                                 .log = &w->log,
                                 .now_ns = sim_kernel_now_ns};
    struct conductor_ops ops = {
        .self = n,
        .now_ms = op_now,
        .entropy = on_entropy,
        .wall_s = op_wall,
        .submit = op_submit,
        .may_act = op_may_act,
        .leader = op_leader,
        .send = op_send,
        .ike_aside = op_ike_aside,
        .run_job = op_run_job,
        .copy_half_open = w->plan.n_nodes > 1 || w->plan.members ? op_copy_half_open : NULL};

    for (uint32_t i = 0; i < w->plan.n_shards; i++)
        o.shards[i] =
            (struct conductor_shard_options){.id = i + 1,
                                             .pool_first = {addr_v4(0x0a630001 + (i << 8))},
                                             .pool_last = {addr_v4(0x0a6300fe + (i << 8))}};
    n->datapath = datapath_create(&p);
    datapath_fill(n->datapath, &ops);
    n->wrap = sim_watch_wrap(w->watch, n->id, &ops);
    n->conductor = conductor_create(&o, &ops);
    datapath_bind(n->datapath, n->conductor);
}

/* --- the workers --- */

static void on_emit(void *self, uint32_t slot, const struct endpoint *to, struct span bytes)
{
    const struct endpoint from = {sim_service_address(slot + 1), 4500};

    sim_outside_from_node(self, &from, to, bytes);
}

static void on_deliver(void *self, struct span inner)
{
    sim_traffic_at_server(self, inner);
}

/* The right under which its worker handles a packet: the epoch is the one that it read, the lease and the
 * clock are as they are now. */
static struct sim_watch_right right_of(const struct sim_node *n, uint32_t slot, uint64_t epoch)
{
    return (struct sim_watch_right){.shard = slot + 1,
                                    .epoch = epoch,
                                    .lease_until_ns = atomic_load(&n->leases[slot].until_ns),
                                    .now_ns = sim_node_ns(n)};
}

struct sim_watch_right sim_node_right(void *world, uint32_t node, uint32_t shard)
{
    const struct sim_node *n = &((struct sim_world *)world)->nodes[node - 1];

    return right_of(n, shard - 1, atomic_load(&n->leases[shard - 1].epoch_index));
}

static void on_turned(void *self)
{
    struct sim_node *n = self;
    struct sim_watch_right rights[SIM_SHARDS];

    for (uint32_t i = 0; i < n->world->plan.n_shards; i++)
        rights[i] = right_of(n, i, atomic_load(&n->leases[i].epoch_index));
    sim_watch_turn(n->world->watch, n->id, rights, n->world->plan.n_shards);
}

static void on_left(void *self, const struct sim_in_hand *p)
{
    const struct sim_node *n = self;
    struct sim_watch_right right = right_of(n, p->shard_slot, p->epoch);

    sim_watch_left(n->world->watch, n->id, p->key, p->seq, &right);
}

static void on_entered(void *self, const struct sim_in_hand *p)
{
    const struct sim_node *n = self;
    struct sim_watch_right right = right_of(n, p->shard_slot, p->epoch);

    sim_watch_entered(n->world->watch, n->id, &right);
}

static void on_sealed(void *self, uint64_t key, uint64_t seq, const struct esp_sa *sa,
                      const struct esp_turn *turn)
{
    struct sim_node *n = self;
    struct sim_watch_right right = right_of(n, sa->shard_slot, turn->lease_epoch);

    sim_watch_sealed(n->world->watch, n->id, key, seq, &right);
    n->world->stats.counts[SIM_COUNT_numbers_checked]++;
    if (!sim_check_sealed(&n->world->check, key, seq))
        sim_violation(n->world, "I1: node %u seals spi %08x number %llu a second time", n->id,
                      sa->spi_out, (unsigned long long)seq);
}

static void on_opened(void *self, uint64_t key, uint64_t seq, const struct esp_sa *sa,
                      const struct esp_turn *turn)
{
    struct sim_node *n = self;
    struct sim_watch_right right = right_of(n, sa->shard_slot, turn->lease_epoch);

    sim_watch_delivered(n->world->watch, n->id, key, seq, &right);
    if (!sim_check_opened(&n->world->check, key, seq))
        sim_violation(n->world, "I2: node %u accepts spi %08x number %llu a second time", n->id,
                      sa->spi_in, (unsigned long long)seq);
}

static void start_workers(struct sim_node *n)
{
    static const int tun = SIM_FD_TUN;
    int udp[SIM_SHARDS];
    struct worker_shard shards[SIM_SHARDS] = {0};
    struct worker_options o = {.n_workers = 1,
                               .tun_fds = &tun,
                               .shards = shards,
                               .n_shards = n->world->plan.n_shards,
                               .sa_capacity = 64};

    sim_kernel_init(&n->kernel);
    n->kernel.self = n;
    n->kernel.emit = on_emit;
    n->kernel.deliver = on_deliver;
    n->kernel.sealed = on_sealed;
    n->kernel.opened = on_opened;
    n->kernel.left = on_left;
    n->kernel.entered = on_entered;
    n->kernel.turned = on_turned;
    n->kernel.now_ns = sim_node_ns(n);
    (void)sim_kernel_enter(&n->kernel);
    for (uint32_t i = 0; i < o.n_shards; i++) {
        udp[i] = SIM_FD_UDP + (int)i;
        shards[i].shard = i + 1;
        shards[i].lease = &n->leases[i];
        shards[i].outside[SLOT_V4] = sim_service_address(i + 1);
        shards[i].udp_fds[SLOT_V4] = &udp[i];
    }
    n->pool = worker_pool_create(&o);
    HF_ASSERT(n->pool != NULL && worker_pool_start(n->pool));
    (void)sim_kernel_turn(&n->kernel); /* a worker that never turned is not healthy */
}

void sim_node_stamp(struct sim_node *n)
{
    atomic_store(&n->health.control_ns, sim_node_ns(n));
    atomic_store(&n->health.workers_ns, worker_pool_oldest_turn_ns(n->pool));
    atomic_store(&n->health.links_up, n->outside_up && n->inside_up);
    atomic_store(&n->health.reluctant, n->sees_it_full);
}

size_t sim_node_most_half_open(const struct sim_node *n)
{
    const struct conductor_half_open_source *s;
    size_t most = 0;

    for (s = n->conductor->half_open_sources; s != NULL; s = s->hh.next)
        most = s->n > most ? s->n : most;
    return most;
}

/* In the daemon's order: replication, workers, conductor, then what ties them. */
void sim_node_gateway(struct sim_node *n)
{
    start_workers(n);
    start_replica(n);
    start_conductor(n);
    gateway_init(&n->gateway, &(struct gateway_options){.node = n->id,
                                                        .shard_ids = n->world->shard_ids,
                                                        .n_shards = n->world->plan.n_shards,
                                                        .pool = n->pool,
                                                        .datapath = n->datapath,
                                                        .conductor = n->conductor,
                                                        .self = n,
                                                        .now_ns = sim_kernel_now_ns,
                                                        .lease = op_lease,
                                                        .forward = op_forward});
}

void sim_node_drop_jobs(struct sim_node *n)
{
    struct sim_job *j;

    while ((j = n->raft_jobs) != NULL) {
        n->raft_jobs = j->next;
        replica_job_drop(j->job);
        free(j);
    }
    while ((j = n->engine_jobs) != NULL) {
        n->engine_jobs = j->next;
        conductor_job_cancel(n->conductor, j->job);
        free(j);
    }
}
