/* The sealing keys of the nodes, kept as replication/repl_keys.c keeps them: the configuration's on the
 * disk, all in use in a ring that ends with the process, those of sessions in a store that outlives it.
 * It ends with the power of the machine (node_crash, half of the times that all go down): whoever has the
 * power lost is given them by the others, and where a majority lacks them all sessions end. */
#include "replication/raft_driver.h"
#include "replication/replica_parts.h"
#include "sim/sim_world.h"

/* From then on no process ends for a key; before that, in the healing, each so often: one that ends at each start,
 * or whenever another has a state for less than its word counts, is not on its way to a state. */
enum { WELL_AFTER_MS = 10000, ENDS_IN_HEALING = 2 };

static struct seal_means means_of(void)
{
    struct seal_means means;

    HF_ASSERT(seal_means_of(&suite_default, &means));
    return means;
}

void sim_keys_draw(struct sim_node *n, struct sim_random *random)
{
    const struct seal_means means = means_of();
    struct seal_key *kept = &n->kept_key;

    for (size_t i = 0; i < sizeof kept->bytes; i++)
        kept->bytes[i] = (uint8_t)(sim_next(random) >> 24);
    kept->kind = SEAL_CONFIGURATION;
    kept->id = seal_key_id(&means, kept->kind, kept->bytes);
}

void sim_keys_found(struct sim_world *w)
{
    sim_keys_draw(&w->nodes[0], &w->random);
}

static bool had(const struct sim_node *n, uint64_t id)
{
    for (size_t i = 0; i < SEAL_RING_KEYS; i++)
        if (n->session_keys[i].id == id)
            return true;
    return false;
}

static bool was_used(const struct sim_world *w, uint64_t id)
{
    for (size_t i = 0; i < w->n_used_keys && i < SIM_USED_KEYS; i++)
        if (w->used_keys[i] == id)
            return true;
    return false;
}

static void note_used(struct sim_world *w, uint64_t id)
{
    if (!was_used(w, id))
        w->used_keys[w->n_used_keys++ % SIM_USED_KEYS] = id;
}

void sim_keys_changed(void *node)
{
    struct sim_node *n = node;
    uint64_t ids[SEAL_RING_KEYS];
    size_t count = seal_ring_list(&n->ring, SEAL_SESSION, ids, SEAL_RING_KEYS);

    for (size_t i = 0; i < count; i++)
        if (!had(n, ids[i]) && was_used(n->world, ids[i]))
            n->key_back_ms = n->world->now_ms;
    memset(n->session_keys, 0, sizeof n->session_keys);
    for (size_t i = 0; i < count; i++) {
        n->session_keys[i].id = ids[i];
        HF_ASSERT(seal_ring_get(&n->ring, SEAL_SESSION, ids[i], n->session_keys[i].bytes));
    }
}

bool sim_keys_keep(void *node, const uint8_t bytes[SEAL_KEY_BYTES])
{
    struct sim_node *n = node;

    n->kept_key = (struct seal_key){.id = seal_key_id(&n->ring.means, SEAL_CONFIGURATION, bytes),
                                    .kind = SEAL_CONFIGURATION};
    memcpy(n->kept_key.bytes, bytes, sizeof n->kept_key.bytes);
    return true;
}

void sim_keys_take(struct sim_node *n, struct replica_options *o)
{
    const struct seal_means means = means_of();
    const struct seal_key *kept = &n->kept_key;

    seal_ring_init(&n->ring, &means, n->id, n->boot);
    o->ring = &n->ring;
    o->seal = &n->ring.seal;
    for (size_t i = 0; i < SEAL_RING_KEYS; i++)
        if (n->session_keys[i].id != 0)
            HF_ASSERT(seal_ring_add(&n->ring, SEAL_SESSION, n->session_keys[i].bytes) ==
                      n->session_keys[i].id);
    if (kept->id == 0)
        return; /* it asks the others */
    HF_ASSERT(seal_ring_add(&n->ring, SEAL_CONFIGURATION, kept->bytes) == kept->id);
    HF_ASSERT(seal_ring_use(&n->ring, SEAL_CONFIGURATION, kept->id));
}

void sim_keys_power_lost(struct sim_node *n)
{
    memset(n->session_keys, 0, sizeof n->session_keys);
}

void sim_keys_lost(struct sim_node *n)
{
    const struct fsm *f = replica_fsm(n->replica);

    n->world->stats.faults[SIM_FAULT_sessions_lost]++;
    sim_watch_sessions_lost(n->world->watch, n->id, f->applied_index);
    for (size_t i = 0; i < f->n_members; i++)
        sim_watch_unseen_member(n->world->watch, f->members[i]->node, f->members[i]->left);
    for (size_t i = 0; i < f->n_tokens; i++)
        sim_watch_unseen_token(n->world->watch, f->tokens[i].node,
                               span_of(f->tokens[i].hash, sizeof f->tokens[i].hash),
                               f->tokens[i].expires_ms);
}

uint64_t sim_keys_age_ms(const struct sim_world *w)
{
    return 15000 + w->seed % 4 * 15000;
}

void sim_keys_erased(struct sim_world *w, uint64_t id)
{
    for (size_t i = 0; i < w->n_erased_keys; i++)
        if (w->erased_keys[i] == id)
            return;
    w->stats.counts[SIM_COUNT_keys_erased]++;
    if (w->n_erased_keys < SIM_ERASED_KEYS)
        w->erased_keys[w->n_erased_keys++] = id;
}

void sim_keys_look(struct sim_world *w)
{
    for (uint32_t i = 0; w->plan.sealed && i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        const struct fsm *f = n->up ? replica_fsm(n->replica) : NULL;

        /* One that starts anew knows of nothing yet, and one whose state is blank of no key at all. */
        if (f == NULL || f->session_key == 0)
            continue;
        note_used(w, f->session_key);
        if (f->former_key == n->former_key)
            continue;
        if (n->former_key != 0 && f->applied_index > n->former_index &&
            !fsm_names_key(f, n->former_key))
            sim_keys_erased(w, n->former_key);
        n->former_key = f->former_key;
        n->former_index = f->applied_index;
    }
}

/* Who was removed and has not heard of it is told nothing, so it keeps what it had until it is too long that
 * it heard anything (seal.md): longer than a run is. */
static bool heard_nothing(const struct sim_node *n)
{
    const struct fsm_member *m = fsm_member(replica_fsm(n->replica), n->id);

    return n->left && (m == NULL || !m->left);
}

bool sim_keys_gone(struct sim_world *w, bool judge)
{
    bool gone = true;

    for (uint32_t i = 0; w->plan.sealed && i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];

        for (size_t k = 0; n->up && !heard_nothing(n) && k < w->n_erased_keys; k++) {
            bool kept = seal_ring_has(&n->ring, w->erased_keys[k]);

            for (size_t p = 0; p < SEAL_RING_KEYS; p++)
                kept = kept || n->session_keys[p].id == w->erased_keys[k];
            w->stats.counts[SIM_COUNT_rings_checked] += judge;
            gone = gone && !kept;
            if (kept && judge)
                sim_violation(w, "I8: node %u keeps the erased key %016llx", n->id,
                              (unsigned long long)w->erased_keys[k]);
        }
    }
    return gone;
}

/* --- words with which a process ends, to start anew (seal.md) --- */

/* For longer than a key is in use nothing was applied. */
static bool heard_of_nobody(const struct sim_node *n)
{
    return n->world->now_ms - n->heard_ms >= sim_keys_age_ms(n->world);
}

static bool has_a_state(const struct sim_node *n)
{
    struct repl_status st;

    if (!n->up || n->paused || n->failed)
        return false;
    replica_status(n->replica, sim_node_ns(n), &st);
    /* Who waits for a state itself, in place of its own, has none to give. */
    return !st.lacks_key && !st.sessionless && replica_state_trusted(n->replica) &&
           raft_driver_status(replica_driver(n->replica)).muted == REPL_TRUSTED;
}

static bool had_its_key(const struct sim_node *other, const struct sim_node *n)
{
    return !other->lost && !other->gone && had(other, n->named_key);
}

void sim_keys_tick(struct sim_node *n)
{
    if (n->world->plan.sealed && !has_a_state(n))
        n->stateless_ms = n->world->now_ms;
}

/* What a node said of itself counts for 300 ms, and took its way: who went on since then is not heard of. */
static bool could_give(const struct sim_node *other, const struct sim_node *n)
{
    enum { TOLD_MS = 350 };

    return has_a_state(other) && n->world->now_ms - other->stateless_ms > TOLD_MS;
}

/* Of the others among the voters that it knows, so many are `so`; *voters: it included. */
static size_t others(const struct sim_node *n,
                     bool (*so)(const struct sim_node *other, const struct sim_node *n),
                     size_t *voters)
{
    struct repl_configuration all = raft_driver_newest_configuration(replica_driver(n->replica));
    size_t are = 0;

    *voters = 0;
    for (size_t i = 0; i < all.n_servers; i++)
        if (all.servers[i].role == RAFT_DRIVER_VOTER) {
            const struct sim_node *other = &n->world->nodes[all.servers[i].node - 1];

            ++*voters;
            are += other != n && so(other, n);
        }
    return are;
}

/* No majority has a state that it could give. */
static bool nobody_could_give(const struct sim_node *n)
{
    size_t voters, with = others(n, could_give, &voters);

    return 2 * with <= voters;
}

/* Most have not the key that it had. */
static bool most_lack_the_key(const struct sim_node *n)
{
    size_t voters, with = others(n, had_its_key, &voters);

    return 2 * with < voters;
}

static bool key_came_back(const struct sim_node *n)
{
    return n->key_back_ms == n->world->now_ms;
}

bool sim_keys_may_end(struct sim_node *n, const char *why)
{
    static const struct {
        const char *begins;
        bool (*is_so)(const struct sim_node *n);
    } words[] = {{"nothing was heard of the cluster for longer", heard_of_nobody},
                 {"nobody has a state to give to this node", nobody_could_give},
                 {"the key of the sessions was not lost", key_came_back},
                 {"the cluster gave the sessions' key up", most_lack_the_key}};
    const struct sim_world *w = n->world;

    if (!w->plan.sealed || (w->healed && w->now_ms >= w->healed_ms + WELL_AFTER_MS))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(why, words[i].begins, strlen(words[i].begins)) == 0) {
            n->ends_in_healing += w->healed;
            return words[i].is_so(n) && n->ends_in_healing <= ENDS_IN_HEALING;
        }
    return false;
}
