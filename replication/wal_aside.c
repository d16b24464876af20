#include "replication/wal_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct wal_aside_op *wal_aside_op(enum wal_aside_kind kind, size_t room)
{
    struct wal_aside_op *op = malloc(sizeof *op + room);

    HF_ASSERT(op != NULL);
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->room = room;
    return op;
}

void wal_aside_free(struct wal_aside_op *op)
{
    explicit_bzero(op->bytes, op->room);
    free(op);
}

static void close_reader(struct wal_aside *a, struct wal_aside_reader *r)
{
    wal_file_close(a->dir, r->fd);
    *r = (struct wal_aside_reader){.fd = -1};
}

/* A reader keeps its file open from the first part on: its name may go meanwhile. */
static bool open_reader(struct wal_aside *a, struct wal_aside_op *op, struct wal_aside_reader *r,
                        struct wal_error *error)
{
    char name[WAL_NAME_BYTES], path[WAL_PATH_BYTES];
    const struct wal_fs *fs = a->dir->fs;

    wal_snapshot_name(op->meta.index, op->meta.term, name);
    if (r->fd >= 0 && strcmp(r->name, name) == 0)
        return true;
    close_reader(a, r);
    r->fd = fs->open(fs->self, wal_path(a->dir, name, path), O_RDONLY, 0600);
    if (r->fd < 0) { /* a newer one took its place */
        op->status = REPL_STORAGE_GONE;
        return true;
    }
    memcpy(r->name, name, sizeof name);
    return wal_snapshot_open(a->dir, name, r->fd, &r->file, error);
}

static bool run_read(struct wal_aside *a, struct wal_aside_op *op, struct wal_error *error)
{
    struct wal_aside_reader *r = &a->readers[op->reader];

    if (!open_reader(a, op, r, error))
        return false;
    if (op->status == REPL_STORAGE_GONE)
        return true;
    op->total = r->file.data_len;
    if (op->offset >= op->total)
        return true;
    return wal_snapshot_read_part(a->dir, r->name, r->fd, &r->file, op->offset, op->bytes, op->room,
                                  &op->n, error);
}

static bool run(struct wal_aside *a, struct wal_aside_op *op, struct wal_error *error)
{
    struct wal_draft *draft = &a->drafts[op->draft];

    switch (op->kind) {
    case WAL_ASIDE_BEGIN:
        a->full[op->draft] = false;
        return wal_draft_drop(draft, a->dir, error) &&
               wal_draft_begin(draft, a->dir, op->draft, &op->meta, error);
    case WAL_ASIDE_WRITE:
        return wal_draft_write(draft, a->dir, span_of(op->bytes, op->room), error);
    case WAL_ASIDE_CLOSE: /* still dropped by a drop, or by the next begin when it has its name */
        return wal_draft_finish(draft, a->dir, error);
    case WAL_ASIDE_DROP:
        return wal_draft_drop(draft, a->dir, error);
    case WAL_ASIDE_READ:
        return run_read(a, op, error);
    case WAL_ASIDE_READ_END:
        close_reader(a, &a->readers[op->reader]);
        return true;
    }
    return false;
}

static bool of_a_draft(const struct wal_aside_op *op)
{
    return op->kind == WAL_ASIDE_BEGIN || op->kind == WAL_ASIDE_WRITE ||
           op->kind == WAL_ASIDE_CLOSE;
}

/* A draft for which there is no room is removed, and its user told; the log, whose last bytes it
 * must not take, goes on. */
static bool run_draft(struct wal_aside *a, struct wal_aside_op *op, struct wal_error *error)
{
    if (!a->full[op->draft] || op->kind == WAL_ASIDE_BEGIN) {
        if (run(a, op, error))
            return true;
        if (error->code != ENOSPC && error->code != EDQUOT)
            return false;
        a->full[op->draft] = true;
        if (!wal_draft_drop(&a->drafts[op->draft], a->dir, error))
            return false;
    }
    op->status = REPL_STORAGE_FULL;
    return true;
}

static bool answered(const struct wal_aside_op *op)
{
    return op->kind == WAL_ASIDE_WRITE || op->kind == WAL_ASIDE_CLOSE || op->kind == WAL_ASIDE_READ;
}

static void finish(struct wal_aside *a, struct wal_aside_op *op)
{
    if (!answered(op)) {
        wal_aside_free(op);
        return;
    }
    (void)pthread_mutex_lock(&a->lock);
    op->next = NULL;
    if (a->done_last == NULL)
        a->done_first = op;
    else
        a->done_last->next = op;
    a->done_last = op;
    (void)pthread_mutex_unlock(&a->lock);
    a->wake(a->self);
}

static void *aside_main(void *arg)
{
    struct wal_aside *a = arg;
    struct wal_error error;

    for (;;) {
        struct wal_aside_op *op;

        (void)pthread_mutex_lock(&a->lock);
        while (a->first == NULL && !a->stop)
            (void)pthread_cond_wait(&a->work, &a->lock);
        op = a->stop ? NULL : a->first;
        if (op != NULL)
            a->first = op->next;
        if (a->first == NULL)
            a->last = NULL;
        (void)pthread_mutex_unlock(&a->lock);
        if (op == NULL)
            return NULL;
        if (!a->failed && !(of_a_draft(op) ? run_draft(a, op, &error) : run(a, op, &error))) {
            a->fatal(a->fatal_self, error.text);
            a->failed = true;
        }
        if (a->failed)
            op->status = REPL_STORAGE_FAILED;
        finish(a, op);
    }
}

void wal_aside_start(struct wal_aside *a, const struct wal_dir *dir, wal_fatal fatal,
                     void *fatal_self, void (*wake)(void *), void *self)
{
    *a = (struct wal_aside){
        .dir = dir, .wake = wake, .fatal = fatal, .self = self, .fatal_self = fatal_self};
    for (size_t i = 0; i < REPL_DRAFTS; i++)
        a->drafts[i].fd = -1;
    for (size_t i = 0; i < REPL_READERS; i++)
        a->readers[i].fd = -1;
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->work, NULL);
    HF_ASSERT(pthread_create(&a->thread, NULL, aside_main, a) == 0);
}

static void free_list(struct wal_aside_op *op)
{
    while (op != NULL) {
        struct wal_aside_op *next = op->next;

        wal_aside_free(op);
        op = next;
    }
}

void wal_aside_stop(struct wal_aside *a)
{
    (void)pthread_mutex_lock(&a->lock);
    a->stop = true;
    (void)pthread_cond_signal(&a->work);
    (void)pthread_mutex_unlock(&a->lock);
    (void)pthread_join(a->thread, NULL);
    free_list(a->first);
    free_list(a->done_first);
    for (size_t i = 0; i < REPL_DRAFTS; i++)
        wal_draft_abandon(&a->drafts[i], a->dir);
    for (size_t i = 0; i < REPL_READERS; i++)
        close_reader(a, &a->readers[i]);
    (void)pthread_mutex_destroy(&a->lock);
    (void)pthread_cond_destroy(&a->work);
}

void wal_aside_submit(struct wal_aside *a, struct wal_aside_op *op)
{
    (void)pthread_mutex_lock(&a->lock);
    op->next = NULL;
    if (a->last == NULL)
        a->first = op;
    else
        a->last->next = op;
    a->last = op;
    (void)pthread_cond_signal(&a->work);
    (void)pthread_mutex_unlock(&a->lock);
}

struct wal_aside_op *wal_aside_take_done(struct wal_aside *a)
{
    struct wal_aside_op *ops;

    (void)pthread_mutex_lock(&a->lock);
    ops = a->done_first;
    a->done_first = a->done_last = NULL;
    (void)pthread_mutex_unlock(&a->lock);
    return ops;
}
