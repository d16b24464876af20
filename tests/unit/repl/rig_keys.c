/* The keys of the rig's nodes, kept as repl_keys.c keeps them. */
#include "crypto/tables.h"
#include "unit/repl/rig.h"

void rig_seal(struct rig *rig)
{
    struct seal_key *kept = &rig->nodes[0].kept;
    struct seal_means means;

    HF_ASSERT(seal_means_of(&suite_default, &means));
    rig->sealed = true;
    for (size_t i = 0; i < sizeof kept->bytes; i++)
        kept->bytes[i] = (uint8_t)sim_next(&rig->random);
    kept->kind = SEAL_CONFIGURATION;
    kept->id = seal_key_id(&means, kept->kind, kept->bytes);
}

bool rig_keep_key(void *self, const uint8_t bytes[SEAL_KEY_BYTES])
{
    struct rig_node *n = self;

    n->kept = (struct seal_key){.id = seal_key_id(&n->ring.means, SEAL_CONFIGURATION, bytes),
                                .kind = SEAL_CONFIGURATION};
    memcpy(n->kept.bytes, bytes, sizeof n->kept.bytes);
    return true;
}

void rig_keys_changed(void *self)
{
    struct rig_node *n = self;
    uint64_t ids[SEAL_RING_KEYS];
    size_t count = seal_ring_list(&n->ring, SEAL_SESSION, ids, SEAL_RING_KEYS);

    memset(n->memory, 0, sizeof n->memory);
    for (size_t i = 0; i < count; i++) {
        n->memory[i].id = ids[i];
        HF_ASSERT(seal_ring_get(&n->ring, SEAL_SESSION, ids[i], n->memory[i].bytes));
    }
}

/* As repl_keys.c does it. */
void rig_take_keys(struct rig_node *n, struct replica_options *o)
{
    struct seal_means means;

    HF_ASSERT(seal_means_of(&suite_default, &means));
    seal_ring_deinit(&n->ring);
    seal_ring_init(&n->ring, &means, n->id, n->boot);
    o->ring = &n->ring;
    o->seal = &n->ring.seal;
    o->kept_until_ns = n->kept_until_ns;
    for (size_t i = 0; i < SEAL_RING_KEYS; i++)
        if (n->memory[i].id != 0)
            HF_ASSERT(seal_ring_add(&n->ring, SEAL_SESSION, n->memory[i].bytes) == n->memory[i].id);
    if (n->kept.id == 0)
        return;
    HF_ASSERT(seal_ring_add(&n->ring, SEAL_CONFIGURATION, n->kept.bytes) == n->kept.id);
    HF_ASSERT(seal_ring_use(&n->ring, SEAL_CONFIGURATION, n->kept.id));
}
