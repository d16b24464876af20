/* A cluster begins anew from what one node has of it: the operator's last resort when a majority is
 * lost for good (`cluster recover`), or when all is lost but a backup (`--restore`).
 *
 *   log, snapshot of the survivor ─> recover_make() ──┐
 *   snapshot that was saved ───────> recover_restore() ┴─> a snapshot: one member, no sessions, a new
 *                                                          incarnation ─> storage: vote, install
 *
 * Who began it, when and why is a part of the state that is made (struct repl_beginning).
 *
 * What ends: SAs, claims, leases of addresses, owners (so all epochs), tokens, the key of sessions.
 * What stays: configuration, members with their ids (all but one have left, for ever), cluster time.
 * Epochs are (incarnation, index), compared in that order, and an incarnation is above each that it
 * comes from: so no number or record of the former cluster means anything in the new one.
 *
 * Pure but for its own heap: no clock, no randomness, no disk.
 */
#ifndef HF_REPL_RECOVER_H
#define HF_REPL_RECOVER_H

#include "replication/seal_ring.h"
#include "replication/snapshot.h"

/* A cluster that several nodes founded, or one before 2026-11-27, and that was never recovered. */
#define RECOVER_FIRST_INCARNATION 1u

/* What a lone founder begins with: 42 bits drawn (`random`), above RECOVER_FIRST_INCARNATION and below all
 * that recover_incarnation() gives. So a founder that is made anew with its old file begins another
 * cluster, which the members of the first refuse by that (several write the same entry 1 each, and have
 * no word between them: what is made anew among them counts for nothing, raft_muted.c). */
uint64_t recover_founding(uint64_t random);
bool recover_is_founding(uint64_t incarnation);

/* The one that follows `former`: 10 bits that count up, 42 bits drawn (`random`), so that two nodes
 * which recovered apart from each other never share one, and no program that reads JSON numbers as
 * doubles loses a bit. 0: recovered too often (1,023 times). */
uint64_t recover_incarnation(uint64_t former, uint64_t random);

struct recover_options {
    uint32_t node;            /* who stays, or founds */
    const uint32_t *founders; /* of the log's first entry; borrowed */
    size_t n_founders;
    const struct seal *seal;
    struct seal_ring *ring; /* whose `seal` it is; NULL: it needs no keys */
    uint64_t random;        /* 42 bits of it are used */
    struct repl_word word;  /* the operator's */
};

/* What is given up. */
struct recover_losses {
    uint64_t former;                /* incarnation */
    uint32_t nodes[REPL_MAX_NODES]; /* members that are declared dead, in the order of the log */
    size_t n_nodes;
    uint64_t index;      /* newest entry that this node has: what was committed behind it is lost */
    uint64_t cluster_ms; /* ... and the cluster's time then */
    uint32_t highest_id; /* of a node, as far as this one knows */
};

struct recovered {
    uint64_t incarnation;
    uint64_t term; /* to be stored first, with no vote: it harms nobody if nothing follows */
    struct repl_snapshot_meta meta; /* then this, as an installed one: the log begins behind it */
    uint8_t *bytes;                 /* free() */
    size_t len;
    struct recover_losses losses;
};

/* False: *why says why there is nothing to begin with; *out is untouched. */
bool recover_make(const struct repl_loaded *loaded, const struct recover_options *options,
                  struct recovered *out, const char **why) HF_MUST_USE;

/* What recover_make() would give up, without anything made. */
bool recover_look(const struct repl_loaded *loaded, const struct recover_options *options,
                  struct recover_losses *out, const char **why) HF_MUST_USE;

/* What the data directory of a lone founder begins with: as if entry 1, the configuration, and an
 * incarnation of its own had been applied. *out as above, without losses. False: no key. */
bool recover_found(const struct recover_options *options, struct recovered *out,
                   const char **why) HF_MUST_USE;

/* A backup has at most so many bytes, what stands around it (replica.h) included: what documents and the
 * kept audit may hold, what each of those needs beside that for its seal and its fields, and the rest of the
 * state, whose parts are few. */
enum {
    RECOVER_ITEM_BYTES = 256,
    RECOVER_REST_BYTES = 1 << 20,
    RECOVER_MAX_BACKUP_BYTES = DOCUMENTS_MAX_BYTES + AUDIT_KEEP_BYTES +
                               (DOCUMENTS_MAX + AUDIT_KEEP) * RECOVER_ITEM_BYTES +
                               RECOVER_REST_BYTES
};

/* The state without its sessions, to be kept anywhere: sealed with the configuration's key, which is
 * not in it. malloc'd; NULL: no key. `fsm` is not changed. */
uint8_t *recover_backup(const struct fsm *fsm, const struct seal *seal, size_t *n) HF_MUST_USE;
/* The same in two steps, since sealing a large one takes longer than a loop may stand: the instant, on the state's thread, costs
 * a reference to each document and entry; the rest any thread, which gives it up. The seal outlives both. */
struct recover_saving;
struct recover_saving *recover_backup_begin(const struct fsm *fsm, const struct seal *seal);
uint8_t *recover_backup_end(struct recover_saving *saving, size_t *n) HF_MUST_USE;
/* The same as recover_make(), from such bytes. */
bool recover_restore(struct span backup, const struct recover_options *options,
                     struct recovered *out, const char **why) HF_MUST_USE;

#endif
