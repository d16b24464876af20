/* The operator's last resort, as repl_recover.c does it, on the in-memory disk. */
#include <stdlib.h>

#include "replication/recover.h"
#include "unit/repl/rig.h"

bool rig_recover(struct rig *rig, uint32_t id, uint64_t random)
{
    struct rig_node *n = rig_node(rig, id);
    struct repl_storage s = sim_storage_interface(n->storage);
    struct replica_options keys = {.seal = &seal_none};
    uint32_t founders[RIG_MAX_NODES];
    struct recovered r;
    struct repl_loaded loaded;
    const char *why;

    HF_ASSERT(!n->up);
    for (uint32_t i = 0; i < rig->founders; i++)
        founders[i] = i + 1;
    if (rig->sealed)
        rig_take_keys(n, &keys);
    struct recover_options o = {.node = id,
                                .founders = founders,
                                .n_founders = rig->founders,
                                .seal = keys.seal,
                                .ring = keys.ring,
                                .random = random};
    sim_storage_load(n->storage, &loaded);
    if (!recover_make(&loaded, &o, &r, &why))
        return false;
    s.vote(s.self, r.term, 0);
    s.draft_begin(s.self, REPL_DRAFT_RECEIVED, &r.meta);
    s.draft_write(s.self, REPL_DRAFT_RECEIVED, span_of(r.bytes, r.len));
    s.draft_close(s.self, REPL_DRAFT_RECEIVED);
    sim_storage_flush(n->storage);
    s.install(s.self, &r.meta);
    s.distrust(s.self, REPL_TRUSTED);
    sim_storage_flush(n->storage);
    free(r.bytes);
    return true;
}
