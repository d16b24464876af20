/* What the log should hold: entries, snapshot, vote, as plain values, and a random script of
 * operations that keeps model and log in step. While a group is under way every state that a crash
 * may leave is a candidate.
 */
#ifndef TESTS_WAL_MODEL_H
#define TESTS_WAL_MODEL_H

#include "replication/wal_core.h"

enum { MODEL_ENTRIES = 1024, MODEL_CANDIDATES = 16, MODEL_SEGMENT = 4096 };

struct model_entry {
    uint64_t term, seed;
    uint32_t len;
    uint8_t kind;
};

struct model {
    uint64_t term;
    uint32_t voted_for;
    uint64_t snapshot_index, snapshot_term, snapshot_seed, snapshot_len;
    uint64_t first, last;                 /* entries that the log may hold; first > last: none */
    struct model_entry at[MODEL_ENTRIES]; /* by index modulo */
};

struct script {
    struct model candidates[MODEL_CANDIDATES]; /* [0]: acknowledged */
    size_t n;
    uint64_t rng;
    bool lowers; /* the group under way may lower the high-water mark */
};

void script_init(struct script *s, uint64_t seed);
/* One group of operations on the core, to its acknowledgement. False: the core failed (crash); the
 * candidates stand. */
bool script_step(struct script *s, struct wal_core *core, struct wal_error *error);
/* Which candidate the core loaded, or -1 with the reason. */
int script_match(const struct script *s, const struct wal_core *core, char why[256]);
/* The candidate is what is there: go on from it. */
void script_adopt(struct script *s, int candidate);

#endif
