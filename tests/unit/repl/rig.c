#include "unit/repl/rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "replication/raft_frame.h"
#include "replication/repl_addresses.h"
#include "replication/seal.h"

static const uint64_t NS = 1000000;

static uint64_t now_ns(const struct rig *rig)
{
    return rig->now_ms * NS;
}

struct rig_node *rig_node(struct rig *rig, uint32_t node)
{
    HF_ASSERT(node >= 1 && node <= rig->n);
    return &rig->nodes[node - 1];
}

/* --- a mirror of the SAs, as a conductor keeps one --- */

struct mirror_sa {
    uint64_t id, version;
    uint32_t shard;
    size_t n_children;
    struct digest state;
};

static struct map_key key_of(uint64_t id)
{
    return (struct map_key){.hi = 0, .lo = id};
}

static void mirror_put(struct rig_node *n, uint64_t id, uint32_t shard, uint64_t version,
                       struct span state, size_t n_children)
{
    struct mirror_sa *sa = repl_alloc_zero(1, sizeof *sa);

    *sa = (struct mirror_sa){.id = id,
                             .version = version,
                             .shard = shard,
                             .n_children = n_children,
                             .state = digest_hash(1, 2, state)};
    free(map_take(&n->mirror, key_of(id)));
    map_put(&n->mirror, key_of(id), sa);
}

static void mirror_clear(struct rig_node *n)
{
    void *p;

    for (size_t at = 0; (p = map_next(&n->mirror, &at)) != NULL;)
        free(p);
    map_deinit(&n->mirror);
}

static void mirror_applied(struct rig_node *n, const struct repl_event *e)
{
    const Holdfast__Record *r = e->record;

    if (e->verdict != REPL_ACCEPTED)
        return;
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_CREATE)
        mirror_put(n, e->sa_id, e->shard, e->sa_version, record_span(r->sa_create->state),
                   e->n_children);
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_DELETE)
        free(map_take(&n->mirror, key_of(e->sa_id)));
    if (r->body_case != HOLDFAST__RECORD__BODY_SA_STEP)
        return;

    const Holdfast__SaCreate *next = r->sa_step->successor;

    HF_ASSERT(map_get(&n->mirror, key_of(e->sa_id)) != NULL);
    mirror_put(n, e->sa_id, e->shard, e->sa_version, record_span(r->sa_step->state),
               next == NULL ? e->n_children : 0);
    if (next != NULL)
        mirror_put(n, next->sa_id, e->shard, e->successor_version, record_span(next->state),
                   e->n_children);
}

static void mirror_assigned(struct rig_node *n, uint32_t shard)
{
    struct mirror_sa *sa;

    for (size_t at = 0; (sa = map_next(&n->mirror, &at)) != NULL;)
        sa->version += sa->shard == shard;
}

bool rig_mirrors(const struct rig *rig)
{
    for (size_t i = 0; i < rig->n; i++) {
        const struct rig_node *n = &rig->nodes[i];
        const struct mirror_sa *sa;
        const struct fsm *fsm;

        if (!n->up)
            continue;
        fsm = replica_fsm(n->replica);
        if (fsm->sas.n_used != n->mirror.n_used)
            return false;
        for (size_t at = 0; (sa = map_next(&n->mirror, &at)) != NULL;) {
            const struct fsm_sa *real = fsm_sa(fsm, sa->id);

            if (real == NULL || fsm_sa_version(fsm, real) != sa->version ||
                real->n_claims != sa->n_children || real->shard != sa->shard ||
                !digest_equal(sa->state, digest_hash(1, 2, span_of(real->state, real->state_len))))
                return false;
        }
    }
    return true;
}

/* --- what a replica asks of the outside --- */

static void on_event(void *self, struct repl_event *e)
{
    struct rig_node *n = self;

    rig_incarnation_stays(n);
    if (n->rig->hear != NULL)
        n->rig->hear(n->rig->hear_self, n, e);
    HF_ASSERT(e->kind == REPL_EV_RESET || e->cluster_ms == 0 ||
              e->cluster_ms >= n->last_cluster_ms);
    if (e->cluster_ms > 0)
        n->last_cluster_ms = e->cluster_ms;
    switch (e->kind) {
    case REPL_EV_APPLIED:
        n->applied_events++;
        HF_ASSERT(e->record != NULL && e->verdict != REPL_REFUSED_DUPLICATE);
        mirror_applied(n, e);
        if (!e->mine)
            break;
        HF_ASSERT(e->request < RIG_MAX_REQUESTS && n->verdict[e->request] == 0);
        n->verdict[e->request] = (uint8_t)(1 + e->verdict);
        n->settled_accepted += e->verdict == REPL_ACCEPTED;
        n->settled_refused += e->verdict != REPL_ACCEPTED;
        break;
    case REPL_EV_UNSETTLED:
        HF_ASSERT(n->verdict[e->request] == 0);
        for (size_t i = 0; i < RIG_SHARDS; i++) /* who is told so has lost the right to act */
            HF_ASSERT(atomic_load(&n->leases[i].until_ns) == 0);
        n->verdict[e->request] = 100;
        n->unsettled++;
        n->rig->unsettled++;
        break;
    case REPL_EV_RESET:
        n->resets++;
        n->rig->resets++;
        memset(n->mine_epoch, 0, sizeof n->mine_epoch);
        mirror_clear(n);
        break;
    case REPL_EV_RESTORED_SA:
        mirror_put(n, e->sa_id, e->shard, e->sa_version, span_of(e->bytes, e->bytes_len),
                   e->n_children);
        break;
    case REPL_EV_ASSIGNED:
        mirror_assigned(n, e->shard);
        n->mine_epoch[e->shard - 1] = e->mine ? e->epoch.index : 0;
        n->assigned_mine += e->mine;
        break;
    case REPL_EV_LEADER:
        n->leader_seen = e->node;
        break;
    case REPL_EV_QUORUM:
        n->quorum = e->held;
        n->quorum_told++;
        break;
    case REPL_EV_GIVE:
        n->gifts++;
        n->gift_to = e->owner_node;
        break;
    case REPL_EV_LEASE:
    case REPL_EV_FRAME:
    case REPL_EV_CONFIG:
    case REPL_EV_RESTORED_LEASE:
    case REPL_EV_RESTORED_SHARD:
    case REPL_EV_RESTORE_END:
    default:
        break;
    }
    repl_event_free(e);
}

static void on_entropy(void *self, uint8_t *bytes, size_t n)
{
    struct rig_node *node = self;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)sim_next(&node->rig->random);
}

static uint64_t on_disk_stuck(void *self)
{
    return sim_storage_stuck_ms(((struct rig_node *)self)->storage) * NS;
}

static bool on_disk_ok(void *self)
{
    return sim_storage_pending_ms(((struct rig_node *)self)->storage) < RIG_STALL_MS;
}

static void on_log(void *self, enum repl_log_level level, const char *text)
{
    (void)level;
    rig_count_text(self, text);
}

static void on_failed(void *self, const char *why)
{
    struct rig_node *n = self;

    n->failed = true;
    (void)snprintf(n->why, sizeof n->why, "%s", why);
}

static void on_frame(void *self, uint32_t from, enum repl_channel channel, struct span bytes)
{
    struct rig_node *n = self;
    struct raft_frame f;

    if (n->rig->lost_frames != 0 && channel == REPL_CHANNEL_RAFT && raft_frame_decode(bytes, &f) &&
        (n->rig->lost_frames >> f.type & 1) != 0)
        return;
    if (n->rig->mute && channel == REPL_CHANNEL_OWNERSHIP)
        return;
    if (rig_raft_alone(n, from, channel, bytes))
        return;
    if (n->replica != NULL)
        replica_frame(n->replica, now_ns(n->rig), from, channel, bytes);
}

static void on_link(void *self, uint32_t node, bool up)
{
    struct rig_node *n = self;

    if (n->replica != NULL)
        replica_link(n->replica, now_ns(n->rig), node, up);
}

static void on_stranger(void *self, uint32_t node, uint64_t incarnation)
{
    struct rig_node *n = self;

    if (n->replica != NULL)
        replica_stranger(n->replica, now_ns(n->rig), node, incarnation);
}

/* --- nodes --- */

static struct rig_node *make_node(struct rig *rig, uint32_t id)
{
    struct rig_node *node = &rig->nodes[id - 1];

    node->id = id;
    node->rig = rig;
    node->listener = (struct repl_transport_listener){
        .self = node, .frame = on_frame, .link = on_link, .stranger = on_stranger};
    node->storage = sim_storage_create(sim_next(&rig->random), &rig->now_ms);
    sim_storage_set_delay(node->storage, 0, 1);
    return node;
}

/* As wal_high_water_create() makes it. */
static void new_directory(struct rig_node *node)
{
    struct repl_storage s = sim_storage_interface(node->storage);

    s.distrust(s.self, REPL_DISTRUST_NEW);
    sim_storage_flush(node->storage);
}

uint32_t rig_add(struct rig *rig)
{
    struct rig_node *node;

    HF_ASSERT(rig->n < RIG_MAX_NODES);
    node = make_node(rig, (uint32_t)++rig->n);
    node->joiner = true;
    for (size_t i = 0; i + 1 < rig->n && rig->choosy && node->n_asks + 1 < REPL_MAX_MEMBERS; i++)
        if (rig->nodes[i].up)
            node->asks[node->n_asks++] = rig->nodes[i].id;
    new_directory(node);
    return (uint32_t)rig->n;
}

struct rig *rig_create(size_t n, size_t n_shards, uint64_t seed)
{
    struct rig *rig = repl_alloc_zero(1, sizeof *rig);
    struct repl_node_address addresses[RIG_MAX_NODES] = {0};
    struct repl_configuration genesis;

    rig->n = rig->founders = n;
    rig->asked = 1;
    rig->n_shards = n_shards;
    rig->now_ms = 1000;
    rig->random.state = seed;
    rig->snapshot_entries = 1000000;
    rig->hang_ms = RIG_HANG_MS;
    rig->network = sim_network_create(sim_next(&rig->random), &rig->now_ms);
    sim_network_set_delay(rig->network, 0, 1);
    for (size_t i = 0; i < n; i++)
        addresses[i].node = (uint32_t)i + 1;
    replica_genesis(addresses, n, &genesis);
    for (size_t i = 0; i < n; i++) {
        struct rig_node *node = make_node(rig, (uint32_t)i + 1);
        struct repl_storage s = sim_storage_interface(node->storage);

        HF_ASSERT(raft_driver_bootstrap(&s, &genesis));
        new_directory(node);
    }
    return rig;
}

void rig_destroy(struct rig *rig)
{
    for (size_t i = 0; i < rig->n; i++) {
        mirror_clear(&rig->nodes[i]);
        rig_jobs_drop(&rig->nodes[i]);
        replica_destroy(rig->nodes[i].replica);
        seal_ring_deinit(&rig->nodes[i].ring);
        sim_storage_destroy(rig->nodes[i].storage);
    }
    sim_network_destroy(rig->network);
    free(rig);
}

static void fill_options(const struct rig *rig, const struct rig_node *n, uint32_t seed,
                         struct replica_options *o)
{
    *o = (struct replica_options){
        .node = n->id,
        .boot = n->boot,
        .incarnation = 1,
        .raft_seed = seed,
        .n_nodes = rig->founders,
        .n_shards = rig->n_shards,
        .timing = {.election_ms = 150,
                   .heartbeat_ms = 30,
                   .lease_ms = 150,
                   .lease_heartbeat_ms = 30,
                   .stale_ms = 150,
                   .disk_stall_ms = RIG_STALL_MS,
                   .disk_hang_ms = (uint32_t)rig->hang_ms},
        .snapshot_entries = rig->snapshot_entries,
        .snapshot_bytes = 64 << 20,
        .key_age_ms = rig->key_age_ms,
        .trailing = (uint32_t)rig->trailing,
        .seal = &seal_none,
    };
    o->speaks = n->speaks;
    o->unjoinable = rig->unjoinable;
    for (uint32_t i = 0; i < rig->founders; i++)
        o->nodes[i].node = i + 1;
    if (n->joiner) {
        o->joined = true;
        o->n_nodes = n->n_asks > 0 ? n->n_asks : 1;
        o->nodes[0].node = rig->asked;
        for (size_t i = 0; i < n->n_asks; i++)
            o->nodes[i].node = n->asks[i];
        o->nodes[o->n_nodes++].node = n->id;
    }
    for (uint32_t i = 0; i < rig->founders; i++)
        o->founders[o->n_founders++] = i + 1;
    o->n_listed = o->n_nodes;
    o->n_nodes = repl_addresses_merge(o->nodes, o->n_nodes, o->n_listed, n->peers, n->n_peers);
    for (uint32_t i = 0; i < rig->n_shards; i++)
        o->shards[i] = (struct repl_shard_option){.shard = i + 1, .prefer = i + 1};
}

static void on_peers(void *self, const struct repl_node_address *nodes, size_t count)
{
    struct rig_node *n = self;

    memcpy(n->peers, nodes, count * sizeof *nodes);
    n->n_peers = count;
    n->peers_changed = true;
}

/* As repl_set_peers(), not from inside the core's call. */
static void set_peers(struct rig_node *n)
{
    uint32_t ids[REPL_MAX_NODES];

    if (!n->peers_changed || !n->rig->choosy)
        return;
    n->peers_changed = false;
    for (size_t i = 0; i < n->n_peers; i++)
        ids[i] = n->peers[i].node;
    sim_network_know(n->rig->network, n->id, ids, n->n_peers);
}

static void stamp_health(struct rig *rig)
{
    for (size_t i = 0; i < rig->n; i++) {
        struct rig_node *n = &rig->nodes[i];

        if (!n->up || n->paused || n->sick)
            continue;
        atomic_store(&n->health.control_ns, now_ns(rig));
        atomic_store(&n->health.workers_ns, now_ns(rig));
        atomic_store(&n->health.links_up, !n->cut);
    }
}

void rig_start(struct rig *rig, uint32_t id)
{
    struct rig_node *n = rig_node(rig, id);
    struct replica_options options;
    struct repl_storage storage = sim_storage_interface(n->storage);
    struct repl_transport transport = sim_network_transport(rig->network, id);
    struct replica_callbacks callbacks = {.self = n,
                                          .job = rig_job_add,
                                          .event = on_event,
                                          .entropy = on_entropy,
                                          .peers = on_peers,
                                          .disk_ok = on_disk_ok,
                                          .disk_stuck_ns = on_disk_stuck,
                                          .keep_key = rig_keep_key,
                                          .keys_changed = rig_keys_changed,
                                          .log = on_log,
                                          .failed = on_failed};

    HF_ASSERT(!n->up);
    n->boot = sim_next(&rig->random) | 1;
    n->up = true;
    n->paused = n->sick = n->failed = false;
    n->last_cluster_ms = n->quiesced = n->disk_told = n->halt_told = 0;
    n->alarms = n->trust_told = n->founder_told = n->stuck_told = n->incarnation = 0;
    n->tie_told = n->unfilled_told = n->grown_told = 0;
    n->settled_accepted = n->settled_refused = n->unsettled = n->resets = n->assigned_mine = 0;
    n->quorum = false;
    n->quorum_told = 0;
    memset(n->verdict, 0, sizeof n->verdict);
    memset(n->mine_epoch, 0, sizeof n->mine_epoch);
    memset(&n->health, 0, sizeof n->health);
    memset(n->leases, 0, sizeof n->leases);
    memset(&n->clock, 0, sizeof n->clock);
    stamp_health(rig);
    fill_options(rig, n, (uint32_t)sim_next(&rig->random), &options);
    on_peers(n, options.nodes, options.n_nodes);
    if (rig->sealed)
        rig_take_keys(n, &options);
    n->replica = replica_create(&options, &storage, &transport, &callbacks, n->leases, &n->health,
                                &n->clock);
    sim_storage_load(n->storage, &n->loaded);
    HF_ASSERT(replica_start(n->replica, &n->loaded, now_ns(rig)) || n->failed);
    set_peers(n);
    rig_greet(n);
    sim_network_attach(rig->network, id, &n->listener);
}

void rig_kill(struct rig *rig, uint32_t id)
{
    struct rig_node *n = rig_node(rig, id);

    HF_ASSERT(n->up);
    sim_network_detach(rig->network, id);
    rig_jobs_drop(n);
    n->kept_until_ns = replica_forgets_ns(n->replica);
    replica_destroy(n->replica);
    n->replica = NULL;
    mirror_clear(n);
    sim_storage_crash(n->storage);
    if (n->hung)
        sim_storage_set_delay(n->storage, 0, 1); /* the machine comes back with a disk that works */
    if (!rig->stays_on)
        memset(n->memory, 0, sizeof n->memory);
    n->hung = false;
    n->up = false;
    memset(n->leases, 0, sizeof n->leases);
}

void rig_pause(struct rig *rig, uint32_t id)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (i != id) {
            sim_network_partition(rig->network, id, i);
            sim_network_partition(rig->network, i, id);
        }
    rig_node(rig, id)->paused = true;
}

void rig_resume(struct rig *rig, uint32_t id)
{
    sim_network_heal(rig->network);
    rig_node(rig, id)->paused = false;
}

/* --- the world's clock --- */

static bool is_acting(const struct rig *rig, const struct rig_node *n, uint32_t shard)
{
    const struct repl_lease *l = &n->leases[shard - 1];
    uint64_t mine = n->mine_epoch[shard - 1];

    /* As a worker decides it: the lease runs, and it is of the epoch whose ASSIGNED was processed.
     */
    return n->up && mine != 0 && mine != n->quiesced && atomic_load(&l->epoch_index) == mine &&
           atomic_load(&l->until_ns) > now_ns(rig);
}

uint32_t rig_owner(const struct rig *rig, uint32_t shard)
{
    for (size_t i = 0; i < rig->n; i++)
        if (is_acting(rig, &rig->nodes[i], shard))
            return rig->nodes[i].id;
    return 0;
}

/* A lease that runs is of the epoch that this node has applied, from the log, to itself. */
static bool acts_unassigned(const struct rig *rig, const struct rig_node *n, uint32_t shard)
{
    const struct fsm_shard *s = n->up ? fsm_shard(replica_fsm(n->replica), shard) : NULL;

    return n->up && atomic_load(&n->leases[shard - 1].until_ns) > now_ns(rig) &&
           (s == NULL || atomic_load(&n->leases[shard - 1].epoch_index) != s->epoch.index ||
            s->owner_node != n->id || s->owner_boot != n->boot);
}

static void check_owners(struct rig *rig)
{
    for (uint32_t shard = 1; shard <= rig->n_shards; shard++) {
        size_t acting = 0;

        for (size_t i = 0; i < rig->n; i++) {
            acting += is_acting(rig, &rig->nodes[i], shard);
            rig->unassigned += !rig->nodes[i].paused && acts_unassigned(rig, &rig->nodes[i], shard);
        }
        rig->two_owners += acting > 1;
    }
}

static uint64_t node_next_ms(const struct rig *rig, const struct rig_node *n)
{
    uint64_t next;

    if (!n->up || n->paused)
        return UINT64_MAX;
    next = replica_next_ns(n->replica);
    next = next == UINT64_MAX ? UINT64_MAX : (next + NS - 1) / NS;
    if (n->jobs != NULL && n->jobs->due_ms < next)
        next = n->jobs->due_ms;
    if (next < rig->now_ms)
        next = rig->now_ms;
    return sim_storage_next(n->storage) < next ? sim_storage_next(n->storage) : next;
}

static void run_node(struct rig *rig, struct rig_node *n)
{
    struct repl_storage_done done;

    while (n->up && !n->paused && sim_storage_pop(n->storage, &done))
        replica_stored(n->replica, now_ns(rig), &done);
    rig_jobs_run(n);
    if (n->up && !n->paused && replica_next_ns(n->replica) <= now_ns(rig))
        replica_tick(n->replica, now_ns(rig));
    if (n->up)
        set_peers(n);
    if (n->up)
        rig_greet(n);
}

/* One instant: everything that is due now; then time moves to the next thing due. */
static void step(struct rig *rig, uint64_t end_ms)
{
    uint64_t next = end_ms;

    stamp_health(rig);
    while (sim_network_run(rig->network))
        check_owners(rig);
    for (size_t i = 0; i < rig->n; i++)
        run_node(rig, &rig->nodes[i]);
    check_owners(rig);
    rig->steps++;
    for (size_t i = 0; i < rig->n; i++) {
        uint64_t at = node_next_ms(rig, &rig->nodes[i]);

        next = at < next ? at : next;
    }
    if (sim_network_next(rig->network) < next)
        next = sim_network_next(rig->network);
    rig->now_ms = next > rig->now_ms ? next : rig->now_ms + 1;
}

bool rig_run(struct rig *rig, uint64_t ms, rig_pred pred, uint64_t arg)
{
    uint64_t end = rig->now_ms + ms;

    while (rig->now_ms < end) {
        if (pred != NULL && pred(rig, arg))
            return true;
        step(rig, end);
    }
    return pred != NULL && pred(rig, arg);
}
