/* Seeded chaos over a cluster of drivers: crashes, restarts, lost writes, broken connections,
 * partitions, slow disks, snapshots, installs, membership changes, transfers, all the while entries
 * are submitted. Safety is checked by cluster.c at every step; at the end the faults stop and a new
 * entry must be applied by every member. */
#include "unit/raft/cluster.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUN_MS = 9000, LIFE_MS = 30000 };

static struct cluster_node *random_node(struct cluster *c, bool up)
{
    unsigned first = (unsigned)sim_between(&c->random, 0, c->n_nodes - 1);
    for (unsigned i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[(first + i) % c->n_nodes];
        if ((n->driver != NULL) == up)
            return n;
    }
    return NULL;
}

static void act_submit(struct cluster *c)
{
    for (unsigned i = 0; i < c->n_nodes; i++) /* a deposed leader may still believe in itself */
        if (c->nodes[i].driver != NULL &&
            raft_driver_status(c->nodes[i].driver).state == RAFT_DRIVER_LEADER)
            cluster_submit(c, &c->nodes[i], (size_t)sim_between(&c->random, 1, 8));
}

static void act_crash(struct cluster *c)
{
    struct cluster_node *n = sim_chance(&c->random, 400) ? cluster_leader(c) : random_node(c, true);
    if (n != NULL)
        cluster_crash(c, n->id);
}

static void act_restart(struct cluster *c)
{
    struct cluster_node *n = random_node(c, false);
    if (n == NULL)
        return;
    cluster_start(c, n->id);
    c->counters.restarts++;
}

static void act_break(struct cluster *c)
{
    struct cluster_node *a = random_node(c, true), *b = random_node(c, true);
    if (a == NULL || a == b)
        return;
    sim_network_break(c->network, a->id, b->id, (uint32_t)sim_between(&c->random, 0, 200));
    c->counters.broken++;
}

static void act_partition(struct cluster *c)
{
    struct cluster_node *a = random_node(c, true);
    unsigned kind = (unsigned)sim_between(&c->random, 0, 3);
    if (a == NULL)
        return;
    c->counters.partitions++;
    for (unsigned i = 0; i < c->n_nodes; i++) {
        uint32_t b = c->nodes[i].id;
        if (b == a->id || (kind == 3 && sim_chance(&c->random, 500)))
            continue;
        if (kind != 1)
            sim_network_partition(c->network, a->id, b);
        if (kind != 2)
            sim_network_partition(c->network, b, a->id);
    }
}

static void act_disk(struct cluster *c)
{
    struct cluster_node *n = random_node(c, true);
    bool slow = sim_chance(&c->random, 400);
    if (n != NULL)
        sim_storage_set_delay(n->storage, slow ? 10 : 0, slow ? 80 : 3);
}

static unsigned voters(const struct repl_configuration *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_servers; i++)
        n += c->servers[i].role == RAFT_DRIVER_VOTER;
    return n;
}

static void act_change(struct cluster *c)
{
    struct cluster_node *leader = cluster_leader(c);
    if (leader == NULL)
        return;
    const struct repl_configuration *now = raft_driver_configuration(leader->driver);
    if (now->n_servers == 0)
        return;
    const struct repl_server *s = &now->servers[sim_between(&c->random, 0, now->n_servers - 1U)];
    uint64_t draw = sim_between(&c->random, 0, 9);
    bool self = s->node == leader->id;
    if (draw == 0 && now->n_servers < 7 && c->n_nodes < CLUSTER_MAX_NODES)
        raft_driver_add(leader->driver, c->now_ms, cluster_add_node(c)->id);
    else if (draw == 1 && now->n_servers > 3 && (s->role != RAFT_DRIVER_VOTER || voters(now) > 2) &&
             (!self || sim_chance(&c->random, 200)))
        raft_driver_remove(leader->driver, c->now_ms, s->node);
    else if (s->role != RAFT_DRIVER_VOTER)
        raft_driver_assign(leader->driver, c->now_ms, s->node,
                           draw < 8 ? RAFT_DRIVER_VOTER : RAFT_DRIVER_STANDBY);
    else if (voters(now) > 2 && (!self || sim_chance(&c->random, 200)))
        raft_driver_assign(leader->driver, c->now_ms, s->node,
                           draw < 6 ? RAFT_DRIVER_SPARE : RAFT_DRIVER_STANDBY);
}

static void act_transfer(struct cluster *c)
{
    struct cluster_node *leader = cluster_leader(c), *to = random_node(c, true);
    if (leader != NULL && to != leader)
        raft_driver_transfer(leader->driver, c->now_ms, to->id);
}

/* Only one at a time: two of three disks that forget are more than anything can hold. */
static struct cluster_node *liar(struct cluster *c)
{
    for (unsigned i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];
        if (n->lied && n->driver != NULL && raft_driver_status(n->driver).muted == REPL_TRUSTED &&
            sim_storage_distrust(n->storage) == REPL_TRUSTED)
            n->lied = false; /* also should it start anew now */
        if (n->lied)
            return n;
    }
    return NULL;
}

static void act_lie(struct cluster *c)
{
    struct cluster_node *n = random_node(c, sim_chance(&c->random, 800));
    bool vote = sim_chance(&c->random, 400);
    size_t n_entries = (size_t)sim_between(&c->random, vote ? 0 : 1, 12);
    if (n == NULL || liar(c) != NULL)
        return;
    if (n->driver != NULL)
        cluster_crash(c, n->id);
    size_t lost = 0;
    if (sim_chance(&c->random, 200)) {
        sim_storage_wipe(n->storage);
        c->counters.wiped++;
    } else {
        lost = sim_storage_lose(n->storage, n_entries, vote, true);
        c->counters.votes_forgotten += vote;
    }
    n->lied = true;
    c->counters.lies++;
    c->counters.entries_forgotten += lost;
    if (sim_chance(&c->random, 700))
        cluster_start(c, n->id);
}

static void act(struct cluster *c, struct raft_driver_confirmation *confirmation,
                uint32_t *confirming)
{
    uint64_t draw = sim_between(&c->random, 0, 99);
    if (draw < 45)
        act_submit(c);
    else if (draw < 48)
        act_crash(c);
    else if (draw < 56)
        act_restart(c);
    else if (draw < 60)
        act_break(c);
    else if (draw < 62)
        act_partition(c);
    else if (draw < 67)
        sim_network_heal(c->network);
    else if (draw < 70)
        act_disk(c);
    else if (draw < 94)
        (c->lies ? act_lie : act_change)(c);
    else if (draw < 96)
        act_transfer(c);
    else if (*confirming == 0 && cluster_leader(c) != NULL) {
        struct cluster_node *n = cluster_leader(c);
        if (raft_driver_confirm(n->driver, c->now_ms, confirmation) == RAFT_DRIVER_OK)
            *confirming = n->id;
    }
}

/* A confirmed leader's commit index covers all that was committed anywhere when it was asked. */
static void settle_confirmation(struct cluster *c, struct raft_driver_confirmation *confirmation,
                                uint32_t *confirming, uint64_t *committed_then)
{
    if (*confirming == 0) {
        *committed_then = c->n_committed;
        return;
    }
    struct cluster_node *n = cluster_node(c, *confirming);
    uint64_t commit = 0;
    enum raft_driver_result r = n->driver == NULL
                                    ? RAFT_DRIVER_LOST
                                    : raft_driver_confirmed(n->driver, confirmation, &commit);
    if (r == RAFT_DRIVER_BUSY)
        return;
    *confirming = 0;
    if (r != RAFT_DRIVER_OK)
        return;
    c->counters.confirmed++;
    if (commit < *committed_then)
        cluster_breach(c, "confirmed with commit index %llu, but %llu were committed when asked",
                       (unsigned long long)commit, (unsigned long long)*committed_then);
}

static void add(struct cluster_counters *sum, const struct cluster_counters *one)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)one;
    HF_STATIC_ASSERT(sizeof *sum % sizeof *to == 0);
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

static uint64_t run(uint64_t seed, uint32_t unwrapped, bool lies, struct cluster_counters *sum)
{
    static const unsigned any[] = {3, 3, 5, 3, 2, 5, 4, 1}, lying[] = {3, 3, 5, 3, 3, 5, 3, 5};
    const unsigned *sizes = lies ? lying : any;
    struct cluster c = {.unwrapped = unwrapped, .fresh = lies};
    struct raft_driver_confirmation confirmation = {0};
    uint32_t confirming = 0;
    uint64_t committed_then = 0;
    cluster_init(&c, seed, sizes[sim_mix(seed) % 8]);
    c.lies = lies;
    c.snapshot_every = (uint32_t)sim_between(&c.random, 12, 60);
    c.trailing = (uint32_t)sim_between(&c.random, 1, 10);
    sim_network_set_delay(c.network, 0, (uint32_t)sim_between(&c.random, 1, 25));
    uint64_t end = c.now_ms + RUN_MS;
    uint64_t pace = sim_between(&c.random, 8, 40);
    while (c.now_ms < end) {
        uint64_t next = c.now_ms + sim_between(&c.random, 1, pace);
        while (cluster_step(&c, next))
            settle_confirmation(&c, &confirmation, &confirming, &committed_then);
        act(&c, &confirmation, &confirming);
    }
    cluster_demand_life(&c, LIFE_MS);
    for (uint64_t until = c.now_ms + LIFE_MS; liar(&c) != NULL;)
        if (!cluster_step(&c, until))
            cluster_breach(&c, "node %u is muted for good", liar(&c)->id);
    cluster_deinit(&c);
    c.counters.seeds = 1;
    add(sum, &c.counters);
    return c.trace;
}

uint64_t chaos_run(uint64_t seed, uint32_t unwrapped, struct cluster_counters *sum)
{
    return run(seed, unwrapped, false, sum);
}

uint64_t chaos_lies_run(uint64_t seed, uint32_t unwrapped, struct cluster_counters *sum)
{
    return run(seed, unwrapped, true, sum);
}

bool chaos_lies(uint64_t first, uint64_t n, uint32_t unwrapped)
{
    struct cluster_counters k = {0};
    for (uint64_t i = 0; i < n; i++)
        chaos_lies_run(first + i, unwrapped, &k);
    (void)printf(
        "lies: seeds %llu steps %llu disks that forgot %llu, of them entries %llu and "
        "votes %llu, all %llu; muted %llu trusted %llu elections %llu installs %llu entries %llu\n",
        (unsigned long long)k.seeds, (unsigned long long)k.steps, (unsigned long long)k.lies,
        (unsigned long long)k.entries_forgotten, (unsigned long long)k.votes_forgotten,
        (unsigned long long)k.wiped, (unsigned long long)k.muted, (unsigned long long)k.trusted,
        (unsigned long long)k.elections, (unsigned long long)k.installs,
        (unsigned long long)k.entries);
    return k.lies > 0 && k.entries_forgotten > 0 && k.votes_forgotten > 0 && k.wiped > 0 &&
           k.muted > 0 && k.trusted > 0 && k.elections > 0 && k.installs > 0 && k.entries > 0;
}

bool chaos_seeds(uint64_t first, uint64_t n, uint32_t unwrapped)
{
    struct cluster_counters k = {0};
    for (uint64_t i = 0; i < n; i++)
        chaos_run(first + i, unwrapped, &k);
    (void)printf("seeds %llu steps %llu elections %llu crashes %llu restarts %llu lost writes %llu "
                 "installs %llu snapshots %llu "
                 "membership changes %llu transfers %llu confirmed %llu broken connections %llu "
                 "partitions %llu frames %llu entries %llu\n",
                 (unsigned long long)k.seeds, (unsigned long long)k.steps,
                 (unsigned long long)k.elections, (unsigned long long)k.crashes,
                 (unsigned long long)k.restarts, (unsigned long long)k.lost_writes,
                 (unsigned long long)k.installs, (unsigned long long)k.snapshots,
                 (unsigned long long)k.changes, (unsigned long long)k.transfers,
                 (unsigned long long)k.confirmed, (unsigned long long)k.broken,
                 (unsigned long long)k.partitions, (unsigned long long)k.frames,
                 (unsigned long long)k.entries);
    (void)printf("wraps used:");
    for (unsigned i = 1; i <= RAFT_DRIVER_DEFECTS; i++)
        (void)printf(" %u:%llu", i, (unsigned long long)k.wrapped[i]);
    (void)printf("\n");
    const uint64_t counts[] = {k.seeds,       k.steps,    k.elections,  k.crashes, k.restarts,
                               k.lost_writes, k.installs, k.snapshots,  k.changes, k.transfers,
                               k.confirmed,   k.broken,   k.partitions, k.frames,  k.entries};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] == 0)
            return false;
    return true;
}
