/* Records for tests, built on the heap so that they can be changed and freed as one. */
#ifndef HF_TEST_REPL_MAKE_H
#define HF_TEST_REPL_MAKE_H

#include "replication/record.h"

/* Who submits: node, boot, shard, its epoch. */
struct maker {
    uint32_t node;
    uint64_t boot, request;
    uint32_t shard;
    uint64_t epoch_index;
    uint64_t incarnation; /* 0: 1 */
};

/* Each returns a record of its own, as record_unpack() would; record_free() releases it. `m` NULL:
 * an internal one (request 0). A record of m takes m->request and raises it. */
Holdfast__Record *make_boot(uint32_t node, uint64_t boot, uint64_t replaces);
Holdfast__Record *make_token(struct maker *m, uint32_t node, uint8_t hash, uint64_t valid_ms);
Holdfast__Record *make_join(struct maker *m, uint32_t node, uint8_t hash);
Holdfast__Record *make_leave(struct maker *m, uint32_t node);
Holdfast__Record *make_leave_until(struct maker *m, uint32_t node, uint64_t until_ms);
Holdfast__Record *make_assign(uint32_t shard, uint64_t replaces_index, uint32_t node,
                              uint64_t boot);
Holdfast__Record *make_handover(struct maker *m, uint32_t node, uint64_t boot, uint64_t version);
Holdfast__Record *make_abort(struct maker *m, uint64_t version);
Holdfast__Record *make_windows(struct maker *m, uint64_t version, const char *windows);
Holdfast__Record *make_move(struct maker *m, uint32_t node); /* of m's shard */
Holdfast__Record *make_drain(struct maker *m, uint32_t node, bool drained);
Holdfast__Record *make_removal_drain(struct maker *m, uint32_t node, bool drained,
                                     uint64_t until_ms, uint64_t removal);
Holdfast__Record *make_drain_until(struct maker *m, uint32_t node, bool drained, uint64_t until_ms);
Holdfast__Record *make_config(uint64_t version, uint32_t lease_ms);
Holdfast__Record *make_create(struct maker *m, uint64_t sa_id, const char *state, uint32_t spi_in,
                              uint32_t address, const char *identity);
Holdfast__Record *make_step(struct maker *m, uint64_t sa_id, uint64_t version, const char *state,
                            uint32_t new_spi, uint32_t gone_spi);
/* Adds a successor to a step. */
/* A second address, of IPv6: fd00:99::`last`. */
void make_address6(Holdfast__SaCreate *create, uint8_t last);
void make_successor(Holdfast__Record *step, uint64_t sa_id, const char *state, uint32_t address);
/* One more SA that ends with the created one. */
void make_end(Holdfast__Record *create, uint64_t sa_id, uint64_t version);
/* The SA that gives its address to the created one. */
void make_give(Holdfast__Record *create, uint64_t sa_id, uint64_t version, const char *state);
Holdfast__Record *make_extend(struct maker *m, uint32_t spi_in, uint64_t version, uint64_t end,
                              uint64_t ceiling);
/* One more item. */
void make_item(Holdfast__Record *extend, uint32_t spi_in, uint64_t version, uint64_t end,
               uint64_t ceiling);
Holdfast__Record *make_delete(struct maker *m, uint64_t sa_id, uint64_t version);
Holdfast__Record *make_lease(struct maker *m, uint32_t address, const char *identity, bool release);
Holdfast__Record *make_rotate(struct maker *m);
Holdfast__Record *make_session_key(uint64_t id, uint64_t replaces, bool lost, uint64_t answers);
Holdfast__Record *make_erased(uint64_t id);
Holdfast__Record *make_audit(struct maker *m, const char *what);
/* Who wished for it; `outcome` for body audit alone, else "". */
void make_admin(Holdfast__Record *r, const char *principal, const char *operation,
                const char *outcome);
/* By "alice", and no change yet. */
Holdfast__Record *make_documents(struct maker *m);
/* One more: put, or deleted where `bytes` is NULL. expect: of HOLDFAST__DOCUMENT_CHANGE__EXPECT__…. */
void make_change_of(Holdfast__Record *r, const char *kind, const char *name,
                    Holdfast__DocumentChange__Expect expect, uint64_t version, const char *bytes);

#endif
