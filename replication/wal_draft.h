/* A snapshot file under construction: written in pieces of any size beside the log, durable when it
 * is finished; only then the core gives it its name (wal_core.h). Blocking, one thread at a time.
 */
#ifndef HF_REPL_WAL_DRAFT_H
#define HF_REPL_WAL_DRAFT_H

#include "replication/wal_snapshot.h"

struct wal_draft {
    int fd; /* -1: none */
    char temp[WAL_NAME_BYTES];
    struct repl_snapshot_meta meta;
    uint32_t seed;
    uint64_t bytes;  /* of data, so far */
    uint64_t offset; /* of the file: where the next block goes */
    uint64_t block;  /* its number */
    uint8_t *buffer; /* blocks with their checksums, not written yet; the last may be part filled */
    size_t used;     /* of the buffer, whole blocks only */
    size_t part;     /* bytes of the block that is being filled */
    uint64_t unsynced;
};

/* "snapshot-I-T.own.tmp" or "….received.tmp": nobody but the core's sweep looks for these names. */
void wal_draft_name(enum repl_draft draft, const struct repl_snapshot_meta *meta,
                    char name[WAL_NAME_BYTES]);

/* All zero but fd -1 is "none". A draft that was begun must be finished or dropped. */
HF_MUST_USE bool wal_draft_begin(struct wal_draft *w, const struct wal_dir *d,
                                 enum repl_draft draft, const struct repl_snapshot_meta *meta,
                                 struct wal_error *error);
HF_MUST_USE bool wal_draft_write(struct wal_draft *w, const struct wal_dir *d, struct span bytes,
                                 struct wal_error *error);
/* Durable, but for its name. */
HF_MUST_USE bool wal_draft_finish(struct wal_draft *w, const struct wal_dir *d,
                                  struct wal_error *error);
/* Closed and, begun or finished, removed. */
HF_MUST_USE bool wal_draft_drop(struct wal_draft *w, const struct wal_dir *d,
                                struct wal_error *error);
/* Closed only: the directory's next sweep removes it. */
void wal_draft_abandon(struct wal_draft *w, const struct wal_dir *d);

#endif
