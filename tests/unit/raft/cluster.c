#include "unit/raft/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void print_node(const struct cluster_node *n)
{
    if (n->driver == NULL) {
        (void)fprintf(stderr, "  node %u down\n", n->id);
        return;
    }
    struct raft_driver_status s = raft_driver_status(n->driver);
    const struct repl_configuration *c = raft_driver_configuration(n->driver);
    (void)fprintf(
        stderr,
        "  node %u state %d role %u leader %u term %llu last %llu stored %llu commit %llu "
        "applied %llu "
        "snapshot %llu%s%s; configuration %llu:",
        n->id, s.state, s.role, s.leader, (unsigned long long)s.term,
        (unsigned long long)s.last_index, (unsigned long long)s.last_stored,
        (unsigned long long)s.commit_index, (unsigned long long)s.applied_index,
        (unsigned long long)s.snapshot_index, s.installing ? " installing" : "",
        s.muted != REPL_TRUSTED ? " muted" : "", (unsigned long long)c->index);
    for (unsigned i = 0; i < c->n_servers; i++)
        (void)fprintf(stderr, " %u=%u", c->servers[i].node, c->servers[i].role);
    (void)fputc('\n', stderr);
}

void cluster_breach(struct cluster *c, const char *format, ...)
{
    va_list ap;
    (void)fprintf(stderr, "BREACH seed %llu at %llu ms: ", (unsigned long long)c->seed,
                  (unsigned long long)c->now_ms);
    va_start(ap, format);
    (void)vfprintf(stderr, format, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    for (unsigned i = 0; i < c->n_nodes; i++)
        print_node(&c->nodes[i]);
    exit(1);
}

static uint64_t hash_bytes(struct span bytes)
{
    uint64_t h = 0x5bd1e995 + bytes.len;
    for (size_t i = 0; i < bytes.len; i++)
        h = sim_mix(h ^ bytes.data[i]);
    return h;
}

static void note(struct cluster *c, uint64_t a, uint64_t b)
{
    c->trace = sim_mix(c->trace ^ sim_mix(a) ^ (b << 1) ^ c->now_ms);
}

/* I12: what is committed is durable on a majority of the voters. The configuration is the newest
 * that anyone knows to be committed; while a change is under way the new one differs by one node,
 * so one less is demanded then. */
static void check_durable(struct cluster *c, uint64_t index, uint64_t term)
{
    unsigned voters = 0, have = 0;
    for (unsigned i = 0; i < c->newest.n_servers; i++) {
        if (c->newest.servers[i].role != RAFT_DRIVER_VOTER)
            continue;
        voters++;
        have += sim_storage_has(cluster_node(c, c->newest.servers[i].node)->storage, index, term);
    }
    unsigned needed = voters / 2 + 1;
    if (voters > 0 && have + 1 < needed)
        cluster_breach(c, "index %llu term %llu committed, durable on %u of %u voters",
                       (unsigned long long)index, (unsigned long long)term, have, voters);
}

static struct cluster_entry *registered(struct cluster *c, struct cluster_node *n, uint64_t index,
                                        const struct repl_entry *e)
{
    uint64_t hash = hash_bytes(e->data) ^ (uint64_t)e->kind;
    if (index > c->n_committed) {
        if (index != c->n_committed + 1)
            cluster_breach(c, "node %u applies %llu, but nobody applied %llu", n->id,
                           (unsigned long long)index, (unsigned long long)c->n_committed + 1);
        if (c->n_committed == c->committed_capacity) {
            c->committed_capacity = c->committed_capacity == 0 ? 1024 : c->committed_capacity * 2;
            c->committed = realloc(c->committed, c->committed_capacity * sizeof *c->committed);
            HF_ASSERT(c->committed != NULL);
        }
        uint64_t before = index > 1 ? c->committed[index - 2].digest : 0;
        c->committed[c->n_committed++] =
            (struct cluster_entry){.term = e->term,
                                   .hash = hash,
                                   .kind = e->kind,
                                   .digest = sim_mix(before ^ hash ^ (e->term << 32) ^ index)};
        c->counters.entries += e->kind == REPL_ENTRY_COMMAND;
        check_durable(c, index, e->term);
    }
    struct cluster_entry *r = &c->committed[index - 1];
    if (r->term != e->term || r->hash != hash || r->kind != e->kind)
        cluster_breach(c, "node %u applies another entry at %llu: term %llu, was %llu", n->id,
                       (unsigned long long)index, (unsigned long long)e->term,
                       (unsigned long long)r->term);
    return r;
}

static void on_apply(void *self, uint64_t index, const struct repl_entry *entry)
{
    struct cluster_node *n = self;
    struct cluster *c = n->cluster;
    if (index != n->applied + 1)
        cluster_breach(c, "node %u applies %llu after %llu", n->id, (unsigned long long)index,
                       (unsigned long long)n->applied);
    struct cluster_entry *r = registered(c, n, index, entry);
    n->digest = sim_mix(n->digest ^ r->hash ^ (entry->term << 32) ^ index);
    n->applied = index;
    if (n->digest != r->digest)
        cluster_breach(c, "node %u differs at %llu", n->id, (unsigned long long)index);
    note(c, n->id, index ^ entry->term << 40);
    struct raft_driver_status s = raft_driver_status(n->driver);
    if (c->snapshot_every > 0 && s.log_entries >= c->snapshot_every && !s.snapshotting &&
        !s.installing) {
        uint8_t image[256];
        memset(image, (int)(index & 0xff), sizeof image);
        memcpy(image, &n->digest, sizeof n->digest);
        memcpy(image + 8, &index, sizeof index);
        raft_driver_snapshot_take(n->driver, c->now_ms, index, span_of(image, 16 + index % 240));
    }
}

static void on_restore(void *self, const struct repl_snapshot_meta *meta, struct span data)
{
    struct cluster_node *n = self;
    struct cluster *c = n->cluster;
    uint64_t index;
    if (data.data == NULL) /* an installed one is read from the disk */
        data = sim_storage_snapshot(n->storage);
    if (data.len < 16 || meta->index > c->n_committed)
        cluster_breach(c, "node %u restores a snapshot of %zu bytes at %llu", n->id, data.len,
                       (unsigned long long)meta->index);
    memcpy(&n->digest, data.data, 8);
    memcpy(&index, data.data + 8, 8);
    struct cluster_entry *r = &c->committed[meta->index - 1];
    if (index != meta->index || r->digest != n->digest || r->term != meta->term)
        cluster_breach(c, "node %u restores another state at %llu", n->id,
                       (unsigned long long)meta->index);
    if (meta->configuration.index > meta->index ||
        c->committed[meta->configuration.index - 1].kind != REPL_ENTRY_CHANGE)
        cluster_breach(c, "the snapshot at %llu names a configuration that is none",
                       (unsigned long long)meta->index);
    n->applied = meta->index;
    raft_driver_is_of(n->driver, 1);
    note(c, n->id + 100, meta->index);
}

/* One leader per term, and it has everything that was ever committed. */
static void on_leader(struct cluster *c, struct cluster_node *n, const struct raft_driver_status *s)
{
    if (s->term >= c->n_terms) {
        size_t more = (size_t)s->term * 2 + 64;
        c->leader_of_term = realloc(c->leader_of_term, more * sizeof *c->leader_of_term);
        HF_ASSERT(c->leader_of_term != NULL);
        memset(c->leader_of_term + c->n_terms, 0, (more - c->n_terms) * sizeof *c->leader_of_term);
        c->n_terms = more;
    }
    uint32_t *leader = &c->leader_of_term[s->term];
    if (*leader != 0 && *leader != n->id)
        cluster_breach(c, "nodes %u and %u lead term %llu", *leader, n->id,
                       (unsigned long long)s->term);
    if (*leader == n->id)
        return;
    *leader = n->id;
    n->led_from = s->last_index;
    if (s->last_index < c->n_committed)
        cluster_breach(c, "node %u leads term %llu with a log up to %llu of %llu", n->id,
                       (unsigned long long)s->term, (unsigned long long)s->last_index,
                       (unsigned long long)c->n_committed);
    for (uint64_t i = 1; i <= c->n_committed; i++) {
        uint64_t term = raft_driver_term_of(n->driver, i);
        if (term != 0 ? term != c->committed[i - 1].term : i > s->snapshot_index)
            cluster_breach(c, "node %u leads term %llu without the committed entry %llu", n->id,
                           (unsigned long long)s->term, (unsigned long long)i);
    }
}

static void on_state(void *self, const struct raft_driver_status *s)
{
    struct cluster_node *n = self;
    note(n->cluster, n->id + 200, s->term << 8 ^ s->state ^ (uint64_t)s->leader << 32);
    if (s->state == RAFT_DRIVER_LEADER)
        on_leader(n->cluster, n, s);
}

static void on_configuration(void *self, const struct repl_configuration *configuration)
{
    struct cluster_node *n = self;
    if (configuration->index > n->cluster->newest.index)
        n->cluster->newest = *configuration;
}

static void on_changed(void *self, enum raft_driver_result result)
{
    struct cluster_node *n = self;
    n->changed++;
    n->last_change = result;
    n->cluster->counters.changes += result == RAFT_DRIVER_OK;
}

static void on_transferred(void *self, uint32_t node, enum raft_driver_result result)
{
    struct cluster_node *n = self;
    n->transferred++;
    n->last_transfer = result;
    note(n->cluster, node, result);
    n->cluster->counters.transfers += result == RAFT_DRIVER_OK;
}

static void on_snapshot(void *self, uint64_t index, enum raft_driver_result result)
{
    struct cluster_node *n = self;
    n->snapshots++;
    note(n->cluster, n->id + 300, index ^ result);
}

static void on_failed(void *self, const char *why)
{
    struct cluster_node *n = self;
    (void)fprintf(stderr, "node %u failed: %s\n", n->id, why);
    n->failed = true;
}

static void on_frame(void *self, uint32_t from, enum repl_channel channel, struct span bytes)
{
    struct cluster_node *n = self;
    HF_ASSERT(channel == REPL_CHANNEL_RAFT);
    raft_driver_receive(n->driver, n->cluster->now_ms, from, bytes);
}

struct cluster_node *cluster_node(struct cluster *c, uint32_t id)
{
    HF_ASSERT(id > 0 && id <= CLUSTER_MAX_NODES);
    return &c->nodes[id - 1];
}

void cluster_start(struct cluster *c, uint32_t id)
{
    struct cluster_node *n = cluster_node(c, id);
    struct repl_loaded loaded;
    struct repl_transport_listener listener = {.self = n, .frame = on_frame};
    struct raft_driver_callbacks callbacks = {.self = n,
                                              .apply = on_apply,
                                              .restore = on_restore,
                                              .state = on_state,
                                              .configuration = on_configuration,
                                              .changed = on_changed,
                                              .transferred = on_transferred,
                                              .snapshot_taken = on_snapshot,
                                              .failed = on_failed};
    HF_ASSERT(n->driver == NULL && n->id == id);
    n->start++;
    struct raft_driver_options options = {.node = id,
                                          .boot = id * 1000003ULL + n->start,
                                          .incarnation = 1,
                                          .seed = (uint32_t)sim_next(&c->random),
                                          .election_ms = c->election_ms,
                                          .heartbeat_ms = c->heartbeat_ms,
                                          .install_timeout_ms = c->install_timeout_ms,
                                          .trailing = c->trailing,
                                          .install_piece_bytes = 48}; /* several a snapshot */
#ifdef HOLDFAST_RAFT_UNWRAP
    options.unwrapped = c->unwrapped;
#endif
    struct repl_storage storage = sim_storage_interface(n->storage);
    struct repl_transport transport = sim_network_transport(c->network, id);
    n->applied = n->digest = n->commit_seen = 0;
    n->failed = false;
    n->driver = raft_driver_create(&options, &storage, &transport, &callbacks);
    HF_ASSERT(n->driver != NULL);
    sim_network_attach(c->network, id, &listener);
    sim_storage_load(n->storage, &loaded);
    if (raft_driver_start(n->driver, &loaded, c->now_ms) != RAFT_DRIVER_OK)
        cluster_breach(c, "node %u does not start", id);
}

void cluster_collect(struct cluster *c, struct cluster_node *n)
{
    const struct raft_driver_counters *k = raft_driver_counters(n->driver);
    c->counters.elections += k->elections_won;
    c->counters.installs += k->installs_received;
    c->counters.snapshots += k->snapshots_taken;
    c->counters.frames += k->frames_in;
    c->counters.muted += k->muted;
    c->counters.trusted += k->trusted;
    c->counters.doubted += k->doubted;
    for (unsigned i = 0; i <= RAFT_DRIVER_DEFECTS; i++)
        c->counters.wrapped[i] += k->wrapped[i];
}

void cluster_crash(struct cluster *c, uint32_t id)
{
    struct cluster_node *n = cluster_node(c, id);
    HF_ASSERT(n->driver != NULL);
    cluster_collect(c, n);
    sim_network_detach(c->network, id);
    raft_driver_destroy(n->driver);
    n->driver = NULL;
    sim_storage_crash(n->storage);
    c->counters.crashes++;
}

static struct cluster_node *make_node(struct cluster *c)
{
    HF_ASSERT(c->n_nodes < CLUSTER_MAX_NODES);
    struct cluster_node *n = &c->nodes[c->n_nodes++];
    *n = (struct cluster_node){.cluster = c, .id = c->n_nodes};
    n->storage = sim_storage_create(sim_next(&c->random), &c->now_ms);
    return n;
}

struct cluster_node *cluster_add_node(struct cluster *c)
{
    struct cluster_node *n = make_node(c);
    cluster_start(c, n->id);
    return n;
}

void cluster_init(struct cluster *c, uint64_t seed, unsigned voters)
{
    uint32_t unwrapped = c->unwrapped;
    bool fresh = c->fresh;
    memset(c, 0, sizeof *c);
    c->unwrapped = unwrapped;
    c->fresh = fresh;
    c->seed = seed;
    c->random.state = sim_mix(seed + 0x6a09e667f3bcc908ULL);
    c->now_ms = 1000;
    c->election_ms = 150;
    c->heartbeat_ms = 30;
    c->install_timeout_ms = 400;
    c->trailing = 8;
    c->network = sim_network_create(sim_next(&c->random), &c->now_ms);
    struct repl_configuration configuration = {.n_servers = (uint8_t)voters};
    for (unsigned i = 0; i < voters; i++)
        configuration.servers[i] = (struct repl_server){.node = i + 1, .role = RAFT_DRIVER_VOTER};
    for (unsigned i = 0; i < voters; i++) {
        struct repl_storage storage = sim_storage_interface(make_node(c)->storage);
        bool ok = raft_driver_bootstrap(&storage, &configuration);
        HF_ASSERT(ok);
        if (fresh)
            storage.distrust(storage.self, REPL_DISTRUST_NEW); /* as wal.c's --init */
        sim_storage_flush(c->nodes[i].storage);
    }
    for (unsigned i = 0; i < voters; i++)
        cluster_start(c, i + 1);
}

void cluster_deinit(struct cluster *c)
{
    for (unsigned i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];
        if (n->driver != NULL) {
            cluster_collect(c, n);
            sim_network_detach(c->network, n->id);
            raft_driver_destroy(n->driver);
        }
        c->counters.lost_writes += sim_storage_counters(n->storage)->lost;
        sim_storage_destroy(n->storage);
    }
    c->trace = sim_mix(c->trace ^ sim_network_trace(c->network));
    sim_network_destroy(c->network);
    free(c->committed);
    free(c->leader_of_term);
}

struct cluster_node *cluster_leader(struct cluster *c)
{
    struct cluster_node *best = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];
        if (n->driver == NULL)
            continue;
        struct raft_driver_status s = raft_driver_status(n->driver);
        if (s.state == RAFT_DRIVER_LEADER && s.term > term) {
            term = s.term;
            best = n;
        }
    }
    return best;
}

static uint64_t next_event(struct cluster *c)
{
    uint64_t next = sim_network_next(c->network);
    for (unsigned i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];
        if (n->driver == NULL)
            continue;
        uint64_t disk = sim_storage_next(n->storage), timer = raft_driver_next_timeout(n->driver);
        next = disk < next ? disk : next;
        next = timer < next ? timer : next;
    }
    return next;
}

static void check_node(struct cluster *c, struct cluster_node *n)
{
    struct raft_driver_status s = raft_driver_status(n->driver);
    if (n->failed)
        cluster_breach(c, "node %u failed", n->id);
    if (s.commit_index < n->commit_seen)
        cluster_breach(c, "node %u: the commit index fell from %llu to %llu", n->id,
                       (unsigned long long)n->commit_seen, (unsigned long long)s.commit_index);
    /* a new leader may have had more than it knew to be committed */
    if (s.last_index > s.commit_index + RAFT_DRIVER_MAX_UNCOMMITTED + 8 &&
        s.last_index > n->led_from + 8 && s.state == RAFT_DRIVER_LEADER)
        cluster_breach(c, "node %u: %llu uncommitted", n->id,
                       (unsigned long long)(s.last_index - s.commit_index));
    n->commit_seen = s.commit_index;
}

bool cluster_step(struct cluster *c, uint64_t until_ms)
{
    uint64_t next = next_event(c);
    if (next > until_ms) {
        c->now_ms = until_ms;
        return false;
    }
    c->now_ms = next > c->now_ms ? next : c->now_ms;
    while (sim_network_run(c->network))
        c->counters.steps++;
    for (unsigned i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];
        struct repl_storage_done done;
        if (n->driver == NULL)
            continue;
        while (sim_storage_pop(n->storage, &done)) {
            raft_driver_storage_done(n->driver, c->now_ms, &done);
            c->counters.steps++;
        }
        if (raft_driver_next_timeout(n->driver) <= c->now_ms) {
            raft_driver_tick(n->driver, c->now_ms);
            c->counters.steps++;
            if (raft_driver_next_timeout(n->driver) <= c->now_ms)
                cluster_breach(c, "node %u: the timer stays in the past: the loop spins", n->id);
        }
        check_node(c, n);
    }
    return true;
}

void cluster_run(struct cluster *c, uint64_t ms)
{
    uint64_t until = c->now_ms + ms;
    while (cluster_step(c, until))
        ;
}

struct cluster_node *cluster_await_leader(struct cluster *c, uint64_t ms)
{
    uint64_t until = c->now_ms + ms;
    for (;;) {
        struct cluster_node *n = cluster_leader(c);
        if (n != NULL && raft_driver_status(n->driver).own_term_committed)
            return n;
        if (!cluster_step(c, until))
            return NULL;
    }
}

enum raft_driver_result cluster_submit(struct cluster *c, struct cluster_node *node, size_t n)
{
    uint8_t bytes[8][64];
    struct span entries[8];
    uint64_t first, term;
    n = n > 8 ? 8 : n;
    for (size_t i = 0; i < n; i++) {
        size_t len = 8 + sim_next(&c->random) % 56;
        c->next_command++;
        memset(bytes[i], (int)(c->next_command & 0xff), sizeof bytes[i]);
        memcpy(bytes[i], &c->next_command, 8);
        entries[i] = span_of(bytes[i], len);
    }
    return raft_driver_submit(node->driver, c->now_ms, entries, n, &first, &term);
}

static bool all_have(struct cluster *c, uint64_t index)
{
    for (unsigned i = 0; i < c->newest.n_servers; i++) {
        struct repl_server *s = &c->newest.servers[i];
        if (s->role != RAFT_DRIVER_SPARE && cluster_node(c, s->node)->applied < index)
            return false;
    }
    return true;
}

void cluster_demand_life(struct cluster *c, uint64_t ms)
{
    uint64_t until = c->now_ms + ms, target = 0, term = 0;
    sim_network_heal(c->network);
    sim_network_set_delay(c->network, 0, 4);
    for (unsigned i = 0; i < c->n_nodes; i++) {
        sim_storage_set_delay(c->nodes[i].storage, 0, 3);
        if (c->nodes[i].driver == NULL)
            cluster_start(c, c->nodes[i].id);
    }
    for (;;) {
        struct cluster_node *leader = cluster_leader(c);
        if (leader != NULL && raft_driver_status(leader->driver).term != term) {
            uint64_t first;
            uint8_t byte = 1;
            struct span entry = span_of(&byte, 1);
            if (raft_driver_submit(leader->driver, c->now_ms, &entry, 1, &first, &term) ==
                RAFT_DRIVER_OK)
                target = first;
            else
                term = 0;
        }
        if (target != 0 && c->n_committed >= target && c->committed[target - 1].term == term &&
            all_have(c, target))
            return;
        if (!cluster_step(c, until))
            cluster_breach(c, "no life: %llu committed, %llu wanted, leader %u",
                           (unsigned long long)c->n_committed, (unsigned long long)target,
                           leader != NULL ? leader->id : 0);
    }
}
