/* Production storage of the raft driver (storage.h): a write-ahead log of checksummed segments,
 * snapshots, term and vote.
 *
 *   driver's loop           disk thread                         data directory
 *   append/vote/… ──queue─> one write and one fdatasync   ────> identity    whose it is
 *   done() <──uv_async───── for all that waits (group           lock        one daemon at a time
 *                           commit), strictly in order          vote        term, voted_for
 *                           helper thread: zero-fills     ────> manifest    snapshot, first segment
 *                           the next segment                    high-water  end of what is durable
 *                                                               log-…       entries, append-only
 *                                                               snapshot-…
 *
 *                         aside thread: writes          ────> snapshot-….tmp
 *                           and reads snapshots
 *
 * Manifest and snapshots are replaced whole: temp, fsync, rename, fsync of the directory.
 * A failed write or fsync ends the process (wal_fatal). A corrupt file is refused at load with
 * its name and offset; only the unsynced, never acknowledged tail of the last segment is cut off,
 * and said so. A log that ends, in order, before what the mark says was durable is loaded as it is,
 * under distrust (repl_loaded.distrust): the mark keeps that until the driver lifts it. Nothing here prints: texts are handed out. May not: know raft, know what entries
 * mean, read a clock for anything but wal_pending_ns().
 */
#ifndef HF_REPL_WAL_H
#define HF_REPL_WAL_H

#include <uv.h>

#include "replication/storage.h"
#include "replication/wal_fs.h"

enum { WAL_EXIT_DISK = 74, WAL_SEGMENT_BYTES = 8 << 20, WAL_LOOK_MAX_MS = 500 };

/* What went wrong, for people: which file, where, why, and what to do. */
struct wal_error {
    char text[512];
    int code; /* errno of the call that failed; 0: it was none */
};

/* Called on the disk thread (or the caller's) when a write or fsync failed. The default (NULL)
 * writes the text to stderr and calls _exit(WAL_EXIT_DISK). If a test's own returns, the operation
 * and all later ones complete as REPL_STORAGE_FAILED. */
typedef void (*wal_fatal)(void *self, const char *text);

/* Completions, in the order of the calls, on the loop. */
typedef void (*wal_done)(void *self, const struct repl_storage_done *done);

struct wal_options {
    const char *directory;   /* made by wal_init_directory(); borrowed for the call */
    uint32_t node;           /* must be the one that the directory was made for */
    const struct wal_fs *fs; /* NULL: the kernel's */
    const char
        *machine; /* /proc/sys/kernel/random/boot_id; NULL: not known, nothing is said of it */
    bool distrust_after_boot; /* a new boot of the machine may have lost what was synced */
    bool distrust;            /* an operator says so, now */
    uint64_t segment_bytes;   /* 0: WAL_SEGMENT_BYTES; at least 4096 */
    wal_fatal fatal;          /* NULL: message and _exit */
    void *fatal_self;
};

struct wal_counters {
    uint64_t appends;      /* calls of append() */
    uint64_t batches;      /* writes to the log */
    uint64_t syncs;        /* fdatasync of the log */
    uint64_t bytes;        /* written to the log */
    uint64_t rolls;        /* segments begun */
    uint64_t rolls_waited; /* of them: the next segment was not prepared in time */
    uint64_t snapshots, installs, votes, truncations;
};

struct wal;

/* holdfastd --init: makes `directory` (it may exist when empty) with an identity of its own for
 * `node`. Refuses one that is in use. Blocking; for the start of a program. fs NULL: the kernel's.
 */
HF_MUST_USE bool wal_init_directory(const struct wal_fs *fs, const char *directory, uint32_t node,
                                    struct wal_error *error);

/* The machine goes on from an earlier state of its memory: the directory says so from now on (REPL_DISTRUST_ROLLED_BACK,
 * or what says more), whoever opens it next. Writes two sectors in place, and reads nothing but those and the identity: no
 * log, no snapshot, no configuration is needed, and on most disks no room. Durable when true; blocking. Nobody may have it
 * open. fs NULL: the kernel's. */
HF_MUST_USE bool wal_rolled_back(const struct wal_fs *fs, const char *directory, uint32_t node,
                                 struct wal_error *error);

/* Opens, locks, checks and loads (blocking), and starts the disk thread on success; NULL on any
 * refusal. `loop` must outlive the wal. */
HF_MUST_USE struct wal *wal_open(uv_loop_t *loop, const struct wal_options *options,
                                 struct wal_error *error);

/* Who is told of completions; call before the first operation. */
void wal_set_done(struct wal *wal, wal_done done, void *self);

/* What was on the disk: valid until wal_load_done(). */
const struct repl_loaded *wal_loaded(const struct wal *wal);
void wal_load_done(struct wal *wal);

/* What load noticed and repaired (a torn tail, leftovers of a crash), one sentence, "" when
 * nothing. Valid until wal_close(). */
const char *wal_load_note(const struct wal *wal);

/* The directory's identity: 16 random bytes, made once. */
struct span wal_identity(const struct wal *wal);

/* At the next start this directory begins `incarnation` (wal_recover.h). Durable when true; blocking, on
 * the loop. */
struct repl_word;
HF_MUST_USE bool wal_order(struct wal *wal, uint64_t incarnation, const struct repl_word *word,
                           struct wal_error *error);

/* The interface for the driver. */
const struct repl_storage *wal_storage(struct wal *wal);

/* Age of the oldest operation that is not durable yet, in ns of CLOCK_MONOTONIC; 0 = none. A hung
 * disk shows here. Any thread. */
uint64_t wal_pending_ns(struct wal *wal);
/* For how long now something waited and no write or fsync came back, in ns; 0 = nothing waits, or
 * it goes on. A big snapshot goes on, a hung disk does not. Looks, so it is to be called often, by
 * one thread: a pause between two calls counts as at most WAL_LOOK_MAX_MS (the program was stopped,
 * not the disk). */
uint64_t wal_stuck_ns(struct wal *wal);
void wal_get_counters(struct wal *wal, struct wal_counters *out);

/* Finishes what is queued, stops the threads, closes the uv_async handle (the loop must run once
 * more for `closed`, which may be NULL) and releases everything. Completions not yet delivered are
 * dropped. */
void wal_close(struct wal *wal, void (*closed)(void *arg), void *arg);

#endif
