/* The disk thread and its helper: operations in, completions out. Internal to wal.c. */
#ifndef HF_REPL_WAL_THREAD_H
#define HF_REPL_WAL_THREAD_H

#include <pthread.h>

#include "replication/wal_core.h"

/* One queued operation; its data stands behind it in the same allocation. */
struct wal_op {
    struct wal_op *next;
    uint8_t kind; /* enum repl_storage_op, or WAL_OP_TRIM */
    bool failed;
    uint64_t submitted_ns;
    uint64_t index; /* APPEND: first index */
    uint64_t term;
    uint32_t voted_for;
    enum repl_distrust distrust;
    struct repl_snapshot_meta meta;
    struct repl_entry *entries; /* APPEND */
    size_t n;
};

enum { WAL_OP_TRIM = 100 };

struct wal_list {
    struct wal_op *first, **last;
};

struct wal_thread {
    struct wal_core *core;
    void (*wake)(void *self); /* completions are waiting: called on the disk thread */
    wal_fatal fatal;
    void *self, *fatal_self;
    pthread_t disk, helper;
    pthread_mutex_t lock;
    pthread_cond_t work, helper_work, helper_done;
    /* under lock */
    struct wal_list queue, running, done;
    bool stop;
    uint64_t appends;
    struct wal_counters counters; /* a copy that other threads may read */
    /* the helper: which segment it makes (0 = idle), which it has made */
    uint64_t helper_seq, ready_seq;
    int ready_fd;
    bool failed; /* the disk thread's own */
};

/* core must be open. `wake` is called on the disk thread with `self`. */
void wal_thread_start(struct wal_thread *t, struct wal_core *core, wal_fatal fatal,
                      void *fatal_self, void (*wake)(void *), void *self);
/* Finishes what is queued and ends both threads; what is done is freed. */
void wal_thread_stop(struct wal_thread *t);

/* Takes `op`. */
void wal_thread_submit(struct wal_thread *t, struct wal_op *op);
/* All completions that wait, in order; the caller frees them. */
struct wal_op *wal_thread_take_done(struct wal_thread *t);
uint64_t wal_thread_oldest_ns(struct wal_thread *t);

#endif
