/* The operator's last resort: a majority of the nodes is lost for good, with their disks, and one that is
 * left becomes the cluster (`cluster recover`); or a cluster begins from a snapshot that was saved
 * before (`--restore`), which is a stale one. Both begin a new incarnation, without SAs.
 *
 *   save ──> strike: of the voters a minority at most keeps its disk, and runs on or starts again later, as
 *            it was; the others are gone ──> recover ──> the operator of sim_members.c lets others join
 *
 * What replication/repl_recover.c does with a data directory, over the simulated disk; the door of the
 * transport (tcp_links.c) is sim_transport's, and in some seeds it lets everybody in. */
#include <stdlib.h>

#include "replication/raft_driver.h"
#include "replication/recover.h"
#include "sim/sim_world.h"

enum {
    PERMILLE = 130,
    NO_DOOR_PERMILLE = 300,
    AGAIN_MS = 500,
    SETTLE_MS = 1000,    /* before the healing begins the last one is done */
    SHORTEST_MS = 15000, /* of a window that has room for it at all ... */
    LONG_MS = 40000      /* ... and for waiting */
};

static uint64_t between(struct sim_world *w, uint64_t low, uint64_t high)
{
    return sim_between(&w->recovery.random, low, high);
}

static uint64_t end_ms(const struct sim_world *w)
{
    return w->plan.run_ms - w->plan.heal_ms - SETTLE_MS;
}

/* So that what waits and what starts again has its time before the end. */
static uint64_t slack_ms(const struct sim_world *w)
{
    return end_ms(w) - w->plan.faults_from_ms > LONG_MS ? 8000 : 2000;
}

void sim_recovery_draw(struct sim_world *w, bool quiet)
{
    static const uint32_t founders[] = {1, 3, 3, 3, 5};
    struct sim_recovery *r = &w->recovery;
    struct sim_plan *p = &w->plan;

    r->random.state = sim_mix(w->seed ^ 0x7265636f766572ULL);
    r->next_ms = r->save_ms = UINT64_MAX;
    r->incarnation = RECOVER_FIRST_INCARNATION;
    if (quiet || !sim_chance(&r->random, PERMILLE) ||
        p->run_ms < p->faults_from_ms + p->heal_ms + SHORTEST_MS)
        return;
    r->on = true;
    p->members = true;
    p->n_nodes = founders[between(w, 0, 4)];
    r->no_door = sim_chance(&r->random, NO_DOOR_PERMILLE);
    r->restores = p->n_nodes == 1 || sim_chance(&r->random, 300);
    r->save_ms = p->faults_from_ms + between(w, 0, 4000);
    r->next_ms = between(w, r->save_ms + 2000, end_ms(w) - 2 * slack_ms(w));
}

static void noted(struct sim_world *w, enum sim_fault fault, uint32_t who)
{
    w->stats.faults[fault]++;
    sim_say(w, "recovery: %s %u", sim_fault_name(fault), who);
}

/* --- a snapshot is saved, while all goes well --- */

static bool is_in(const struct sim_node *n)
{
    const struct fsm_member *m = n->up ? fsm_member(replica_fsm(n->replica), n->id) : NULL;

    return m != NULL && !m->left && !n->left && !n->second;
}

static const struct seal *seal_of(const struct sim_node *n)
{
    return n->world->plan.sealed ? &n->ring.seal : &seal_none;
}

static void save(struct sim_world *w)
{
    struct sim_recovery *r = &w->recovery;
    struct sim_node *n = &w->nodes[between(w, 0, w->n_nodes - 1)];
    struct repl_status st;

    r->save_ms = w->now_ms + AGAIN_MS;
    if (!is_in(n) || n->paused || n->failed)
        return;
    replica_status(n->replica, sim_node_ns(n), &st);
    if (st.lacks_key || (w->plan.sealed && n->kept_key.id == 0) || st.incarnation != r->incarnation)
        return;
    free(r->backup);
    r->backup = recover_backup(replica_fsm(n->replica), seal_of(n), &r->backup_len);
    if (r->backup == NULL)
        return;
    r->backup_key = n->kept_key;
    r->backup_incarnation = r->incarnation;
    r->n_kept = 0;
    for (size_t i = 0; i < replica_fsm(n->replica)->n_members; i++)
        if (!replica_fsm(n->replica)->members[i]->left)
            r->kept[r->n_kept++] = replica_fsm(n->replica)->members[i]->node;
    r->save_ms = w->now_ms + between(w, 20000, 90000);
    sim_say(w, "recovery: node %u saves a snapshot", n->id);
}

/* --- the strike --- */

/* Who voted when all was well; 0: something is under way, or nobody knows. */
static size_t voters_of(const struct sim_world *w, uint32_t voters[REPL_MAX_SERVERS])
{
    const struct repl_configuration *c = NULL;
    uint64_t term = 0;

    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct raft_driver_status st;

        if (!sim_node_leads(&w->nodes[i]) || w->nodes[i].left || w->nodes[i].second)
            continue;
        st = raft_driver_status(replica_driver(w->nodes[i].replica));
        if (st.term < term)
            continue;
        term = st.term;
        c = raft_driver_configuration(replica_driver(w->nodes[i].replica));
        if (st.configuration_index != c->index)
            return 0;
    }
    for (size_t i = 0; c != NULL && i < c->n_servers; i++) {
        if (c->servers[i].role != RAFT_DRIVER_VOTER)
            return 0;
        voters[i] = c->servers[i].node;
    }
    return c == NULL ? 0 : c->n_servers;
}

/* With its disk, and all that was on it. */
static void lose(struct sim_node *n)
{
    struct sim_world *w = n->world;

    if (n->up)
        sim_faults_down(n, 0, 0);
    w->n_lost -= n->lost;
    n->lost = n->lied = false;
    n->gone = n->left = true;
    n->down_until_ms = 0;
    sim_say(w, "recovery: node %u is lost for good", n->id);
}

/* It is given up by the operator, but its machine goes on, or comes back, with what it had. */
static void leave_behind(struct sim_node *n)
{
    struct sim_world *w = n->world;

    noted(w, SIM_FAULT_left_behind, n->id);
    n->left = true;
    if (n->paused) {
        n->paused_until_ms = w->recovery.recover_ms + between(w, 1, 4000);
        return;
    }
    if (sim_chance(&w->recovery.random, 400)) {
        n->paused = true;
        n->paused_until_ms = w->recovery.recover_ms + between(w, 1, 4000);
        sim_network_stop(w->network, n->id, true);
        return;
    }
    sim_faults_down(n, 0, 0);
    n->down_until_ms = w->recovery.recover_ms + between(w, 1, 4000);
}

static bool may_survive(const struct sim_world *w, const struct sim_node *n)
{
    return is_in(n) && !n->lost && !n->lied && !n->failed && !n->paused &&
           (!w->plan.sealed || n->kept_key.id != 0);
}

/* Whose id is in what was saved, was not removed since, and is used by nobody else. */
static bool may_be_restored(const struct sim_world *w, const struct sim_node *n)
{
    const struct sim_recovery *r = &w->recovery;

    for (size_t i = 0; i < r->n_kept; i++)
        if (r->kept[i] == n->id)
            return !n->left;
    return false;
}

static struct sim_node *choose(struct sim_world *w, bool restores)
{
    struct sim_node *n = &w->nodes[between(w, 0, w->n_nodes - 1)];

    return (restores ? may_be_restored(w, n) : may_survive(w, n)) ? n : NULL;
}

/* The operator's word is that who is lost never comes back (`cluster recover`, `--restore`), for a majority
 * of them would serve beside the new cluster. So at most half of the voters do, and of those that stay, where
 * one is on the way out: his LEAVE may be in their logs, and his removal follows when they are back. */
static size_t may_return(const struct sim_world *w, size_t n_voters)
{
    return (n_voters - (w->change.phase >= SIM_CHANGE_LEAVE)) / 2;
}

static void strike(struct sim_world *w)
{
    struct sim_recovery *r = &w->recovery;
    uint32_t voters[REPL_MAX_SERVERS];
    size_t n_voters = voters_of(w, voters), behind;
    bool restores = r->restores && r->backup != NULL;
    struct sim_node *survivor = n_voters == 0 ? NULL : choose(w, restores);

    r->next_ms = w->now_ms + AGAIN_MS;
    if (r->next_ms + slack_ms(w) > end_ms(w))
        r->next_ms = UINT64_MAX; /* no room any more */
    if (survivor == NULL || (!restores && n_voters < 2))
        return;
    r->survivor = survivor->id;
    r->restoring = restores;
    r->former_keys[0] = survivor->up ? replica_fsm(survivor->replica)->session_key : 0;
    r->former_keys[1] = survivor->up ? replica_fsm(survivor->replica)->former_key : 0;
    r->recover_ms = w->now_ms + between(w, 300, slack_ms(w) - 1000);
    r->next_ms = r->recover_ms;
    behind = between(w, 0, may_return(w, n_voters));
    w->change.phase = SIM_CHANGE_NONE;
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];

        if (n->left || n->gone || (n == survivor && !restores))
            continue;
        if (n != survivor && behind > 0 && n->up && is_in(n) && !n->lied && !n->failed) {
            behind--;
            leave_behind(n);
        } else if (n != survivor) {
            lose(n);
        } else if (n->up) {
            sim_faults_down(n, 0, 0);
        }
    }
    if (restores)
        survivor->down_until_ms = 0;
}

/* --- it begins anew --- */

static void open_keys(struct sim_node *n, struct seal_ring *ring, const struct seal_key *kept)
{
    struct seal_means means;

    HF_ASSERT(seal_means_of(&suite_default, &means));
    seal_ring_init(ring, &means, n->id, sim_next(&n->world->recovery.random) | 1);
    if (kept->id == 0)
        return;
    HF_ASSERT(seal_ring_add(ring, SEAL_CONFIGURATION, kept->bytes) == kept->id);
    HF_ASSERT(seal_ring_use(ring, SEAL_CONFIGURATION, kept->id));
}

/* In the order of wal_core_replace(). False: the machine ended in the middle. */
static bool replace(struct sim_node *n, const struct recovered *r)
{
    struct repl_storage s = sim_storage_interface(n->storage);
    struct repl_loaded loaded;

    s.vote(s.self, r->term, 0);
    s.draft_begin(s.self, REPL_DRAFT_RECEIVED, &r->meta);
    s.draft_write(s.self, REPL_DRAFT_RECEIVED, span_of(r->bytes, r->len));
    s.draft_close(s.self, REPL_DRAFT_RECEIVED);
    if (sim_chance(&n->world->recovery.random, 200)) {
        sim_storage_crash(n->storage);
        return false;
    }
    sim_storage_flush(n->storage);
    s.install(s.self, &r->meta);
    if (sim_chance(&n->world->recovery.random, 200)) {
        sim_storage_crash(n->storage);
        sim_storage_load(n->storage, &loaded);
        if (loaded.snapshot.index != r->meta.index)
            return false;
    }
    s.distrust(s.self, REPL_TRUSTED);
    sim_storage_flush(n->storage);
    return true;
}

/* As often as its machine ends in the middle: the order names the incarnation, so `random` stays. */
static bool begin(struct sim_node *n, struct recover_options *o, struct recovered *r)
{
    const struct sim_recovery *of = &n->world->recovery;
    struct repl_loaded loaded;
    const char *why = "";
    bool done = false;

    while (!done) {
        bool made;

        sim_storage_load(n->storage, &loaded);
        made = of->restoring ? recover_restore(span_of(of->backup, of->backup_len), o, r, &why)
                             : recover_make(&loaded, o, r, &why);
        if (!made) {
            sim_violation(n->world, "L1: node %u does not begin anew: %s", n->id, why);
            return false;
        }
        done = replace(n, r);
        free(r->bytes);
    }
    return true;
}

/* A new machine, whose disk is empty, under the id of one that was there. */
static void new_machine(struct sim_node *n)
{
    struct sim_world *w = n->world;

    sim_storage_destroy(n->storage);
    n->storage = sim_storage_create(sim_next(&w->recovery.random), &w->now_ms);
    sim_storage_set_delay(n->storage, 0, 2);
    sim_node_set_clock(n, between(w, 1, 1000) * 1000000000, n->ppm);
    n->kept_key = w->recovery.backup_key;
    memset(n->session_keys, 0, sizeof n->session_keys);
    n->former_key = 0;
    w->n_lost -= n->lost;
    n->lost = n->gone = false;
    n->disk_full = n->sees_it_full = n->second = n->refused = n->was_alone = false;
}

static void begin_anew(struct sim_world *w)
{
    struct sim_recovery *of = &w->recovery;
    struct sim_node *n = &w->nodes[of->survivor - 1];
    uint64_t from = of->restoring ? of->backup_incarnation : of->incarnation;
    uint32_t founders[SIM_NODES];
    struct seal_ring ring;
    struct recover_options o = {.node = n->id,
                                .founders = founders,
                                .n_founders = w->plan.n_nodes,
                                .seal = &seal_none,
                                .random = sim_next(&of->random)};
    struct recovered r;

    if (n->up)
        sim_faults_down(n, 0, 0);
    if (of->restoring)
        new_machine(n);
    for (uint32_t i = 0; i < w->plan.n_nodes; i++)
        founders[i] = i + 1;
    if (w->plan.sealed) {
        open_keys(n, &ring, &n->kept_key);
        o.ring = &ring;
        o.seal = &ring.seal;
    }
    if (begin(n, &o, &r)) {
        noted(w, of->restoring ? SIM_FAULT_restore : SIM_FAULT_recover, n->id);
        sim_watch_incarnation(w->watch, n->id, from, r.incarnation, r.meta.index);
        of->incarnation = r.incarnation;
        for (size_t i = 0; i < 2; i++)
            if (of->former_keys[i] != 0)
                sim_keys_erased(w, of->former_keys[i]);
    }
    if (w->plan.sealed)
        seal_ring_deinit(&ring);
    n->lied = false;
    n->told = (struct repl_configuration){0};
    n->down_until_ms = w->now_ms + between(w, 1, 1000);
    w->change = (struct sim_change){.goal = w->change.goal, .next_ms = w->now_ms + AGAIN_MS};
}

/* --- time passes --- */

void sim_recovery_run(struct sim_world *w)
{
    struct sim_recovery *r = &w->recovery;

    if (r->survivor != 0 && r->next_ms <= w->now_ms) {
        begin_anew(w);
        r->survivor = 0;
        r->restores = !r->restores;
        r->next_ms = w->now_ms + between(w, 10000, 120000);
        if (r->next_ms + 2 * slack_ms(w) > end_ms(w) || w->n_nodes + 2 > SIM_MACHINES ||
            ++r->n_begun + 2 > SIM_WATCH_ERAS)
            r->next_ms = UINT64_MAX;
    } else if (r->next_ms <= w->now_ms) {
        strike(w);
    }
    if (r->save_ms <= w->now_ms && r->survivor == 0)
        save(w);
    else if (r->save_ms <= w->now_ms)
        r->save_ms = r->next_ms + AGAIN_MS;
}

uint64_t sim_recovery_due(const struct sim_world *w)
{
    const struct sim_recovery *r = &w->recovery;

    if (w->healed)
        return UINT64_MAX;
    return r->next_ms < r->save_ms ? r->next_ms : r->save_ms;
}

bool sim_recovery_waits(const struct sim_world *w)
{
    return w->recovery.survivor != 0;
}

void sim_recovery_deinit(struct sim_world *w)
{
    free(w->recovery.backup);
}

/* As repl_thread.c tells the transport; where there is no door everybody seems to know nothing yet. */
uint64_t sim_recovery_says(const struct sim_node *n)
{
    return n->world->recovery.no_door ? 0 : replica_incarnation(n->replica);
}

void sim_recovery_recorded(struct sim_node *n)
{
    const struct fsm *f = replica_fsm(n->replica);
    uint64_t incarnations[REPL_MAX_BEGINNINGS];

    for (size_t i = 0; i < f->n_beginnings; i++)
        incarnations[i] = f->beginnings[i].incarnation;
    if (n->world->recovery.on)
        sim_watch_recorded(n->world->watch, n->id, incarnations, f->n_beginnings);
}
