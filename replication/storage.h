/* What the raft driver needs of a disk. Two implementations: wal.c (production) and the tests'
 * in-memory one.
 *
 * Every operation is queued; completions come on the driver's loop, never from inside the call. "Done" means durable (fdatasync). A
 * failed operation ends the process in production (a node whose write failed must not go on); the
 * in-memory one reports REPL_STORAGE_FAILED. A draft that finds no room is no failure: nothing of
 * the log depends on it.
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

/* Why what a node has stored may be less than it acknowledged (I10). Numbers are on disks: for ever. */
enum repl_distrust {
    REPL_TRUSTED = 0,
    REPL_DISTRUST_SUFFIX = 1,   /* the log ends before what the high-water mark says was durable */
    REPL_DISTRUST_VOTE = 2,     /* the vote is older than the log */
    REPL_DISTRUST_BOOT = 3,     /* the machine started anew, and `distrust_after_boot` says so */
    REPL_DISTRUST_OPERATOR = 4, /* an operator's word: restored, cloned, repaired */
    REPL_DISTRUST_PEER = 5,     /* the leader knows that it acknowledged more than it has */
    REPL_DISTRUST_NEW =
        6, /* just made: perhaps in the place of one that had acknowledged something */
    REPL_DISTRUST_AGREED = 7,      /* just made, as all founders' are; they begin: raft_found.c */
    REPL_DISTRUST_ROLLED_BACK = 8, /* the machine goes on from an earlier state of its memory */
    REPL_DISTRUSTS
};
const char *repl_distrust_name(enum repl_distrust why); /* for people; "" for REPL_TRUSTED */
/* Because its data directory was just made: so each node begins. */
static inline bool repl_distrust_is_new(enum repl_distrust why)
{
    return why == REPL_DISTRUST_NEW || why == REPL_DISTRUST_AGREED;
}

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
    uint64_t high_water;         /* highest index ever acknowledged from here (I10) */
    enum repl_distrust distrust; /* found now, or at an earlier start and not lifted since */
};

enum repl_storage_op {
    REPL_STORAGE_VOTE, /* term and voted_for */
    REPL_STORAGE_APPEND,
    REPL_STORAGE_TRUNCATE, /* entries >= index are gone */
    REPL_STORAGE_SNAPSHOT, /* our own draft is the snapshot now; entries stay */
    REPL_STORAGE_INSTALL,  /* the received draft is the snapshot now and the whole log discarded, in
                              one atomic change */
    REPL_STORAGE_DISTRUST, /* what the next load says of it */
    REPL_STORAGE_DRAFT,    /* beside the log: bytes of a draft were written, or all of it closed */
    REPL_STORAGE_READ      /* beside the log: bytes of a snapshot were read */
};

enum repl_storage_status {
    REPL_STORAGE_OK,
    REPL_STORAGE_FAILED,
    REPL_STORAGE_GONE, /* READ: there is no such snapshot (any more) */
    REPL_STORAGE_FULL  /* DRAFT: no room on the disk; what there was of it is removed. To be dropped
                        */
};

/* A snapshot under construction. One of each at a time. */
enum repl_draft { REPL_DRAFT_OWN, REPL_DRAFT_RECEIVED, REPL_DRAFTS };

struct repl_storage_done {
    enum repl_storage_op op;
    uint64_t index; /* APPEND: last index; TRUNCATE: index; SNAPSHOT, INSTALL: snapshot index; VOTE:
                       term; DRAFT, READ: the snapshot's index; DISTRUST: 0 */
    enum repl_storage_status status;
    enum repl_draft draft; /* DRAFT */
    bool closed;           /* DRAFT: all of it is durable */
    uint64_t offset;       /* DRAFT: bytes written so far; READ: where `data` begins */
    uint32_t reader;       /* READ: as given */
    struct span data;      /* READ: valid during the call */
    uint64_t total;        /* READ: bytes of the whole snapshot */
};

/* Operations on the log complete in the order of the calls. Drafts and reads run beside them, so
 * that no write of the log waits for a snapshot: each draft's and each reader's complete in their
 * own order. */
struct repl_storage {
    void *self;
    void (*vote)(void *self, uint64_t term, uint32_t voted_for);
    void (*append)(void *self, uint64_t first_index, const struct repl_entry *entries, size_t n);
    void (*truncate)(void *self, uint64_t index);
    /* REPL_TRUSTED lifts it. */
    void (*distrust)(void *self, enum repl_distrust why);

    /* A draft is begun, written in pieces (copied), and closed; a completion follows for each write
     * and for the close. draft_drop() gives up whatever there is of it, and completions that are on
     * their way are dropped, too. */
    void (*draft_begin)(void *self, enum repl_draft draft, const struct repl_snapshot_meta *meta);
    void (*draft_write)(void *self, enum repl_draft draft, struct span bytes);
    void (*draft_close)(void *self, enum repl_draft draft);
    void (*draft_drop)(void *self, enum repl_draft draft);
    /* The closed draft (its completion came) becomes the snapshot. `install` of the very snapshot
     * that there is needs no draft: only the log goes. */
    void (*snapshot)(void *self, const struct repl_snapshot_meta *meta);
    void (*install)(void *self, const struct repl_snapshot_meta *meta);
    /* Entries below `index` may be removed (whole closed segments); not durable by itself, no
     * completion. */
    void (*trim)(void *self, uint64_t index);

    /* The stored snapshot (index, term), at most n bytes from `offset` on: both multiples of
     * REPL_READ_UNIT. A reader (1 .. REPL_READERS - 1) may keep it readable from its first read on
     * until read_end(), whatever replaces it meanwhile. */
    void (*read)(void *self, uint32_t reader, uint64_t index, uint64_t term, uint64_t offset,
                 size_t n);
    void (*read_end)(void *self, uint32_t reader);
};

enum { REPL_READ_UNIT = 64 << 10, REPL_READERS = REPL_MAX_SERVERS + 2 };

#endif
