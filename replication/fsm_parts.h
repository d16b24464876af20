/* Between the files of the state machine (fsm*.c, snapshot.c) only. */
#ifndef HF_REPL_FSM_PARTS_H
#define HF_REPL_FSM_PARTS_H

#include "replication/fsm.h"
#include "replication/image.h"

/* What kind of item a hash is of. */
enum { FSM_ITEM_SA = 1, FSM_ITEM_CLAIM, FSM_ITEM_LEASE, FSM_ITEM_STATIC };

static inline struct map_key fsm_sa_key(uint64_t id)
{
    return (struct map_key){.hi = 1, .lo = id};
}

static inline struct map_key fsm_claim_key(uint32_t spi_in)
{
    return (struct map_key){.hi = 2, .lo = spi_in};
}

struct map_key fsm_lease_key(struct span address);

/* Where an SA keeps its lease of an address of so many bytes (4, 16). */
static inline struct fsm_lease **fsm_lease_slot(struct fsm_sa *sa, size_t address_len)
{
    return &sa->leases[address_len == 16];
}

/* The shard's count of assignments; 0 when it does not exist. */
uint64_t fsm_assignments(const struct fsm *fsm, uint32_t shard);

/* Add to, or take from, the state; the digest follows. _add keeps the object, _remove frees it. */
void fsm_sa_add(struct fsm *fsm, struct fsm_sa *sa);
void fsm_sa_remove(struct fsm *fsm, struct fsm_sa *sa); /* with its claims and its leases */
void fsm_claim_add(struct fsm *fsm, struct fsm_sa *sa, struct fsm_claim *claim);
void fsm_claim_remove(struct fsm *fsm, struct fsm_claim *claim);
void fsm_lease_add(struct fsm *fsm, struct fsm_lease *lease);
void fsm_lease_remove(struct fsm *fsm, struct fsm_lease *lease);
void fsm_end_sessions(struct fsm *fsm); /* all SAs, claims and leases */
void fsm_forget_keys(struct fsm *fsm);  /* of sessions: as in a state that never had one */

/* A state's bytes, counted: made with one reference; wiped and freed with the last. */
uint8_t *fsm_state_new(const void *bytes, size_t n);
uint8_t *fsm_state_share(uint8_t *state);
void fsm_state_drop(uint8_t *state, size_t n);

/* Before any change of the object, of a claim of the SA, and before it goes: an image that is being
 * taken keeps it as it was. */
static inline void fsm_keep_sa(struct fsm *fsm, struct fsm_sa *sa)
{
    if (fsm->image != NULL && sa->image != fsm->images)
        image_keep_sa(fsm->image, sa);
}

static inline void fsm_keep_lease(struct fsm *fsm, struct fsm_lease *lease)
{
    if (fsm->image != NULL && lease->image != fsm->images)
        image_keep_lease(fsm->image, lease);
}

/* After a change of the object in place. */
void fsm_sa_changed(struct fsm *fsm, struct fsm_sa *sa);
void fsm_claim_changed(struct fsm *fsm, struct fsm_claim *claim);
void fsm_lease_changed(struct fsm *fsm, struct fsm_lease *lease);

/* Of a wish that counts until that cluster time (0: for ever): nobody can be surprised by it later. */
static inline bool fsm_is_late(const struct fsm *fsm, uint64_t until_ms)
{
    return until_ms != 0 && fsm->cluster_ms >= until_ms;
}

/* Documents (fsm_documents.c). */
enum repl_verdict fsm_apply_documents(struct fsm *fsm, uint64_t slot,
                                      const Holdfast__Documents *body, struct fsm_outcome *out);
/* Takes it over, in its place; what was there goes. */
void fsm_document_put(struct fsm *fsm, struct repl_document *d);
void fsm_documents_rekey(struct fsm *fsm); /* the incarnation, so the digest's key, is another */
void fsm_documents_deinit(struct fsm *fsm);

/* The audit (fsm_audit.c). What a record of an operator is to say in it: before it is applied. */
struct fsm_note {
    bool wanted;
    const char *operation;
    char target[321], before[128], after[128], changes[1025];
};
void fsm_audit_begin(const struct fsm *fsm, const Holdfast__Record *record, struct fsm_note *note);
/* ... and after: out->verdict stands. */
void fsm_audit_end(struct fsm *fsm, const Holdfast__Record *record, struct fsm_note *note,
                   struct fsm_outcome *out);
void fsm_audit_beginning(struct fsm *fsm, const struct repl_beginning *beginning);
/* The next entry, behind the head; also when restoring. The oldest go where there is no room. */
void fsm_audit_add(struct fsm *fsm, const struct audit_draft *draft);
struct digest fsm_audit_digest(const struct fsm *fsm);
void fsm_audit_deinit(struct fsm *fsm);

/* Members (fsm_members.c). */
struct fsm_member *fsm_find_member(struct fsm *fsm, uint32_t node); /* or NULL */
void fsm_expire_tokens(struct fsm *fsm);
enum repl_verdict fsm_apply_member(struct fsm *fsm, const Holdfast__Record *record);
enum repl_verdict fsm_apply_token(struct fsm *fsm, const Holdfast__JoinToken *body);

/* The bodies that an owner submits (fsm_sa.c). `slot`: the version that an accepted change sets. */
enum repl_verdict fsm_apply_create(struct fsm *fsm, uint32_t shard, uint64_t slot,
                                   const Holdfast__SaCreate *body, struct fsm_outcome *out);
enum repl_verdict fsm_apply_step(struct fsm *fsm, uint32_t shard, uint64_t slot,
                                 const Holdfast__SaStep *body, struct fsm_outcome *out);
enum repl_verdict fsm_apply_delete(struct fsm *fsm, uint32_t shard, const Holdfast__SaDelete *body);
enum repl_verdict fsm_apply_extend(struct fsm *fsm, uint32_t shard, uint64_t slot,
                                   const Holdfast__Extend *body, struct repl_item_result *items);
enum repl_verdict fsm_apply_pool_lease(struct fsm *fsm, uint32_t shard,
                                       const Holdfast__PoolLease *body);

#endif
