/* The sealing keys of the nodes, kept as replication/repl_keys.c keeps them: the configuration's on the
 * disk, all in use in a ring that ends with the process, those of sessions in a store that outlives it.
 * Here that store outlives a crash of the machine, too: sessions that end with the power of all nodes
 * are unit/repl/core_keys_test.c's. */
#include "sim/sim_world.h"

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

void sim_keys_changed(void *node)
{
    struct sim_node *n = node;
    uint64_t ids[SEAL_RING_KEYS];
    size_t count = seal_ring_list(&n->ring, SEAL_SESSION, ids, SEAL_RING_KEYS);

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
        if (f == NULL || f->session_key == 0 || f->former_key == n->former_key)
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
