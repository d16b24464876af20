/* The sealing keys of the nodes, kept as replication/repl_keys.c keeps them: the configuration's on the
 * disk, all in use in a ring that ends with the process. */
#include "sim/sim_world.h"

static struct seal_means means_of(void)
{
    struct seal_means means;

    HF_ASSERT(seal_means_of(&suite_default, &means));
    return means;
}

void sim_keys_found(struct sim_world *w)
{
    const struct seal_means means = means_of();
    struct seal_key *kept = &w->nodes[0].kept_key;

    for (size_t i = 0; i < sizeof kept->bytes; i++)
        kept->bytes[i] = (uint8_t)(sim_next(&w->random) >> 24);
    kept->kind = SEAL_CONFIGURATION;
    kept->id = seal_key_id(&means, kept->kind, kept->bytes);
}

bool sim_keys_keep(void *node, enum seal_kind kind, const uint8_t bytes[SEAL_KEY_BYTES])
{
    struct sim_node *n = node;

    if (kind != SEAL_CONFIGURATION)
        return true;
    n->kept_key = (struct seal_key){.id = seal_key_id(&n->ring.means, kind, bytes), .kind = kind};
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
    if (kept->id == 0)
        return; /* it asks the others */
    HF_ASSERT(seal_ring_add(&n->ring, SEAL_CONFIGURATION, kept->bytes) == kept->id);
    HF_ASSERT(seal_ring_use(&n->ring, SEAL_CONFIGURATION, kept->id) &&
              seal_ring_use(&n->ring, SEAL_SESSION, kept->id));
}
