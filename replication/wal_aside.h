/* The thread beside the disk thread: snapshot files are written and read here, so that neither the
 * log nor the loop waits for 100 MB. Internal to wal.c.
 *
 *   draft_write … draft_close ─queue─> aside thread ─> snapshot-….tmp, in small synced pieces
 *   read                      ─queue─> aside thread ─> a part of the stored snapshot, checked
 *
 * Memory: what is queued; its users keep a window (raft_driver.h, replica_snapshot.c).
 */
#ifndef HF_REPL_WAL_ASIDE_H
#define HF_REPL_WAL_ASIDE_H

#include <pthread.h>

#include "replication/wal_draft.h"

enum wal_aside_kind {
    WAL_ASIDE_BEGIN,
    WAL_ASIDE_WRITE,
    WAL_ASIDE_CLOSE,
    WAL_ASIDE_DROP,
    WAL_ASIDE_READ,
    WAL_ASIDE_READ_END
};

/* One operation; its bytes stand behind it in the same allocation. */
struct wal_aside_op {
    struct wal_aside_op *next;
    enum wal_aside_kind kind;
    enum repl_storage_status status;
    enum repl_draft draft;
    uint64_t generation; /* of the draft, as its user counts */
    struct repl_snapshot_meta meta;
    uint32_t reader;
    uint64_t offset, total; /* WRITE: bytes behind it; READ */
    size_t room, n;         /* of bytes[] */
    uint8_t bytes[];
};

struct wal_aside_reader {
    int fd; /* -1: none */
    char name[WAL_NAME_BYTES];
    struct wal_snapshot_file file;
};

struct wal_aside {
    const struct wal_dir *dir;
    void (*wake)(void *self); /* completions are waiting: called on the thread */
    wal_fatal fatal;
    void *self, *fatal_self;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct wal_aside_op *first, *last, *done_first, *done_last; /* under lock */
    bool stop;
    /* the thread's own */
    struct wal_draft drafts[REPL_DRAFTS];
    bool full[REPL_DRAFTS]; /* it found no room: nothing of it is left, until the next is begun */
    struct wal_aside_reader readers[REPL_READERS];
    bool failed;
};

void wal_aside_start(struct wal_aside *a, const struct wal_dir *dir, wal_fatal fatal,
                     void *fatal_self, void (*wake)(void *), void *self);
/* Finishes the operation in hand and ends the thread; what waits is dropped, drafts are left to the
 * next start's sweep. */
void wal_aside_stop(struct wal_aside *a);

/* All zero but kind and room. */
struct wal_aside_op *wal_aside_op(enum wal_aside_kind kind, size_t room);
/* Takes `op`. */
void wal_aside_submit(struct wal_aside *a, struct wal_aside_op *op);
/* Completions of WRITE, CLOSE and READ that wait, in order; each is freed by wal_aside_free(). */
struct wal_aside_op *wal_aside_take_done(struct wal_aside *a);
void wal_aside_free(struct wal_aside_op *op);

#endif
