/* The data directory as a whole, blocking and single-threaded: open and check, then one operation
 * after the other. wal.c puts it on a thread; the crash tests drive it directly. A function that
 * returned false leaves the core unusable: the process ends.
 *
 * What makes each change atomic, and in which order:
 *   append, truncate   one checksummed batch in the log (a truncation first lowers the high-water
 *                      mark, durably)
 *   distrust           both sectors of the high-water file
 *   vote               one of two sectors of its file, in turn (wal_slots.h)
 *   snapshot           its draft (wal_draft.h, made beside and durable) is renamed, then the manifest by
 *                      rename, then the old one is removed
 *   install            the same, and the same rename of the manifest moves the log's beginning
 *                      behind all segments there are
 *   trim               manifest by rename, then segments are removed
 */
#ifndef HF_REPL_WAL_CORE_H
#define HF_REPL_WAL_CORE_H

#include "replication/wal_draft.h"
#include "replication/wal_load.h"

struct wal_manifest {
    uint64_t snapshot_index, snapshot_term; /* 0, 0 = none */
    uint64_t first_seq, start_index;        /* the log's first segment, and its first index */
};

struct wal_core {
    struct wal_dir dir;
    int lock_fd;
    struct wal_slots vote;
    struct wal_manifest manifest;
    struct wal_high_water high_water;
    struct wal_log log;
    struct wal_counters counters;
    /* as found at the start */
    struct repl_loaded loaded;
    struct wal_loaded_log loaded_log;
    uint8_t *loaded_snapshot;
    char note[WAL_NOTE_BYTES];
    _Atomic uint64_t progress; /* of the directory: calls into the kernel that came back */
};

/* On false nothing is held (lock released, memory freed). */
HF_MUST_USE bool wal_core_open(struct wal_core *core, const struct wal_options *options,
                               struct wal_error *error);
void wal_core_load_done(struct wal_core *core);
void wal_core_close(struct wal_core *core);

HF_MUST_USE bool wal_core_distrust(struct wal_core *core, enum repl_distrust why,
                                   struct wal_error *error);
HF_MUST_USE bool wal_core_vote(struct wal_core *core, uint64_t term, uint32_t voted_for,
                               struct wal_error *error);
/* Append and truncate are durable only after wal_core_flush(), which is due when wal_core_full()
 * says so. */
void wal_core_append(struct wal_core *core, uint64_t index, const struct repl_entry *entry);
bool wal_core_full(const struct wal_core *core);
HF_MUST_USE bool wal_core_truncate(struct wal_core *core, uint64_t index, struct wal_error *error);
HF_MUST_USE bool wal_core_flush(struct wal_core *core, struct wal_error *error);
/* These flush first. The draft of `meta` is finished; an install of the snapshot that there is needs
 * none. */
HF_MUST_USE bool wal_core_snapshot(struct wal_core *core, const struct repl_snapshot_meta *meta,
                                   struct wal_error *error);
HF_MUST_USE bool wal_core_install(struct wal_core *core, const struct repl_snapshot_meta *meta,
                                  struct wal_error *error);
HF_MUST_USE bool wal_core_trim(struct wal_core *core, uint64_t index, struct wal_error *error);

#endif
