/* What the replica tells a conductor after it loaded a snapshot. */
#include "world.h"

static void hand(struct world *w, unsigned node, struct repl_event ev)
{
    conductor_handle_replication(w->nodes[node].conductor, &ev);
}

void world_restore(struct world *w, unsigned node)
{
    const struct fsm *fsm = &w->gateway_log.fsm;
    const struct fsm_shard *shard = fsm_shard(fsm, WORLD_SHARD);
    const struct fsm_sa *sa;
    size_t at = 0;

    hand(w, node, (struct repl_event){.kind = REPL_EV_RESET, .index = fsm->applied_index});
    hand(w, node,
         (struct repl_event){.kind = REPL_EV_RESTORED_SHARD,
                             .shard = shard->shard,
                             .epoch = shard->epoch,
                             .owner_node = shard->owner_node,
                             .owner_boot = shard->owner_boot,
                             .assignments = shard->assignments});
    while ((sa = map_next(&fsm->sas, &at)) != NULL) {
        struct repl_child_state children[RECORD_MAX_CHILDREN];

        for (size_t i = 0; i < sa->n_claims; i++)
            children[i] = (struct repl_child_state){.spi_in = sa->claims[i]->spi_in,
                                                    .spi_out = sa->claims[i]->spi_out,
                                                    .esn = sa->claims[i]->esn,
                                                    .claim = fsm_claim_now(fsm, sa->claims[i])};
        hand(w, node,
             (struct repl_event){.kind = REPL_EV_RESTORED_SA,
                                 .shard = sa->shard,
                                 .sa_id = sa->id,
                                 .sa_version = fsm_sa_version(fsm, sa),
                                 .bytes = sa->state,
                                 .bytes_len = sa->state_len,
                                 .children = children,
                                 .n_children = sa->n_claims});
    }
    hand(w, node, (struct repl_event){.kind = REPL_EV_RESTORE_END, .index = fsm->applied_index});
}
