/* A log that commits at once: the real state machine, judged record by record, its events handed to
 * whoever mirrors it.
 *
 *   submit(record) ─> pack ─> fsm_apply ─> APPLIED (and ASSIGNED) events ─> tell(), before the call
 * returns
 *
 * For tests and for the test initiator: one process, no Raft, no disk. The records are the
 * production ones.
 */
#ifndef HF_TEST_INSTANT_LOG_H
#define HF_TEST_INSTANT_LOG_H

#include "replication/fsm.h"

struct instant_log {
    struct fsm fsm;
    uint64_t index;
    uint32_t speaks; /* of nodes that start from now on; RECORD_SPEAKS */
    void *self;
    /* Every event, for every mirror: `submitter` and `op` as given to submit, for the one that has
     * `mine`. */
    void (*tell)(void *self, const struct repl_event *event, void *submitter, void *op);
};

void instant_log_init(struct instant_log *log,
                      void (*tell)(void *self, const struct repl_event *event, void *submitter,
                                   void *op),
                      void *self);
void instant_log_deinit(struct instant_log *log);

/* Commits one record now. now_ms: the entry's stamp. */
void instant_log_commit(struct instant_log *log, uint64_t now_ms, Holdfast__Record *record,
                        void *submitter, void *op);
/* A node starts with this boot id. */
void instant_log_boot(struct instant_log *log, uint64_t now_ms, uint32_t node, uint64_t boot);
/* The shard goes to that node. */
void instant_log_assign(struct instant_log *log, uint64_t now_ms, uint32_t shard, uint32_t node,
                        uint64_t boot);

#endif
