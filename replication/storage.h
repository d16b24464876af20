/* What the raft driver needs of a disk. Two implementations: wal.c (production) and the tests'
 * in-memory one.
 *
 * Every operation is queued and takes effect in the order of the calls; completions come in that
 * order, on the driver's loop, never from inside the call. "Done" means durable (fdatasync). A
 * failed operation ends the process in production (a node whose write failed must not go on); the
 * in-memory one reports REPL_STORAGE_FAILED.
 */
#ifndef HF_REPL_STORAGE_H
#define HF_REPL_STORAGE_H

#include "base/assert.h"
#include "base/span.h"

enum repl_entry_kind {
    REPL_ENTRY_COMMAND = 1,
    REPL_ENTRY_BARRIER = 2,
    REPL_ENTRY_CHANGE = 3
}; /* as raft.h numbers them */

struct repl_entry {
    uint64_t term;
    enum repl_entry_kind kind;
    struct span data; /* borrowed: the storage copies what it keeps before the call returns */
};

struct repl_server {
    uint32_t node;
    uint8_t role; /* 0 standby, 1 voter, 2 spare, as raft.h */
};

enum { REPL_MAX_SERVERS = 9, REPL_MAX_ENTRY_BYTES = 4 << 20, REPL_MAX_SNAPSHOT_BYTES = 1 << 30 };

struct repl_configuration {
    uint64_t index; /* log index that committed it */
    struct repl_server servers[REPL_MAX_SERVERS];
    uint8_t n_servers;
};

struct repl_snapshot_meta {
    uint64_t index, term; /* 0, 0 = none */
    struct repl_configuration configuration;
};

/* What is on the disk at the start. Entries are [first_index, first_index + n_entries). Owned by
 * the storage until load_done. */
struct repl_loaded {
    uint64_t term;
    uint32_t voted_for; /* 0 = nobody */
    struct repl_snapshot_meta snapshot;
    struct span snapshot_data;
    uint64_t first_index;
    const struct repl_entry *entries;
    size_t n_entries;
    uint64_t high_water; /* highest index ever acknowledged from here (I10) */
};

enum repl_storage_op {
    REPL_STORAGE_VOTE, /* term and voted_for */
    REPL_STORAGE_APPEND,
    REPL_STORAGE_TRUNCATE, /* entries >= index are gone */
    REPL_STORAGE_SNAPSHOT, /* a local snapshot is stored (rename done); entries stay */
    REPL_STORAGE_INSTALL /* a received snapshot is stored and the whole log discarded, in one atomic
                            change */
};

enum repl_storage_status { REPL_STORAGE_OK, REPL_STORAGE_FAILED };

struct repl_storage_done {
    enum repl_storage_op op;
    uint64_t index; /* APPEND: last index; TRUNCATE: index; SNAPSHOT, INSTALL: snapshot index; VOTE:
                       term */
    enum repl_storage_status status;
};

struct repl_storage {
    void *self;
    void (*vote)(void *self, uint64_t term, uint32_t voted_for);
    void (*append)(void *self, uint64_t first_index, const struct repl_entry *entries, size_t n);
    void (*truncate)(void *self, uint64_t index);
    void (*snapshot)(void *self, const struct repl_snapshot_meta *meta, struct span data);
    void (*install)(void *self, const struct repl_snapshot_meta *meta, struct span data);
    /* Entries below `index` may be removed (whole closed segments); not durable by itself, no
     * completion. */
    void (*trim)(void *self, uint64_t index);
    /* The stored snapshot, for an InstallSnapshot to a follower: *data stays valid until the next
     * call of any function. */
    bool (*read_snapshot)(void *self, struct repl_snapshot_meta *meta, struct span *data);
};

#endif
