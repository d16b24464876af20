/* The operator's last resort, and the founding of a cluster of one, as repl_recover.c does them, on the
 * in-memory disk. */
#include <stdlib.h>

#include "replication/recover.h"
#include "unit/repl/rig.h"

static void replace(struct rig_node *n, struct recovered *r)
{
    struct repl_storage s = sim_storage_interface(n->storage);

    s.vote(s.self, r->term, 0);
    s.draft_begin(s.self, REPL_DRAFT_RECEIVED, &r->meta);
    s.draft_write(s.self, REPL_DRAFT_RECEIVED, span_of(r->bytes, r->len));
    s.draft_close(s.self, REPL_DRAFT_RECEIVED);
    sim_storage_flush(n->storage);
    s.install(s.self, &r->meta);
    s.distrust(s.self, REPL_TRUSTED);
    sim_storage_flush(n->storage);
    free(r->bytes);
}

static struct recover_options options_of(struct rig *rig, struct rig_node *n,
                                         uint32_t founders[RIG_MAX_NODES], uint64_t random)
{
    struct replica_options keys = {.seal = &seal_none};

    for (uint32_t i = 0; i < rig->founders; i++)
        founders[i] = i + 1;
    if (rig->sealed)
        rig_take_keys(n, &keys);
    return (struct recover_options){.node = n->id,
                                    .founders = founders,
                                    .n_founders = rig->founders,
                                    .seal = keys.seal,
                                    .ring = keys.ring,
                                    .random = random};
}

bool rig_recover(struct rig *rig, uint32_t id, uint64_t random)
{
    struct rig_node *n = rig_node(rig, id);
    uint32_t founders[RIG_MAX_NODES];
    struct recover_options o = options_of(rig, n, founders, random);
    struct recovered r;
    struct repl_loaded loaded;
    const char *why;

    HF_ASSERT(!n->up);
    sim_storage_load(n->storage, &loaded);
    if (!recover_make(&loaded, &o, &r, &why))
        return false;
    replace(n, &r);
    return true;
}

void rig_found(struct rig *rig, uint32_t id, uint64_t random)
{
    struct rig_node *n = rig_node(rig, id);
    uint32_t founders[RIG_MAX_NODES];
    struct recover_options o;
    struct recovered r;
    const char *why;

    n->boot = random | 1; /* that of the process that makes the directory */
    o = options_of(rig, n, founders, random);
    HF_ASSERT(!n->up && rig->founders == 1 && recover_found(&o, &r, &why));
    sim_storage_destroy(n->storage);
    n->storage = sim_storage_create(random, &rig->now_ms);
    sim_storage_set_delay(n->storage, 0, 1);
    replace(n, &r);
}
