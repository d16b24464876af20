#include "replication/wal_thread.h"

#include <stdlib.h>

static void list_init(struct wal_list *l)
{
    *l = (struct wal_list){.last = &l->first};
}

static void list_append(struct wal_list *to, struct wal_list *from)
{
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    list_init(from);
}

static void list_free(struct wal_op *op)
{
    while (op != NULL) {
        struct wal_op *next = op->next;

        free(op);
        op = next;
    }
}

/* One write and one fdatasync stand behind everything in `running` now: it may be told. */
static void publish(struct wal_thread *t)
{
    bool any;

    (void)pthread_mutex_lock(&t->lock);
    any = t->running.first != NULL;
    list_append(&t->done, &t->running);
    t->counters = t->core->counters;
    (void)pthread_mutex_unlock(&t->lock);
    if (any)
        t->wake(t->self);
}

static void fail(struct wal_thread *t, const struct wal_error *error)
{
    if (!t->failed)
        t->fatal(t->fatal_self, error->text);
    t->failed = true;
}

/* Gives the helper's segment to the log; waits for it when the log needs it at once. */
static void take_prepared(struct wal_thread *t)
{
    struct wal_log *log = &t->core->log;

    (void)pthread_mutex_lock(&t->lock);
    while (t->helper_seq != 0 && wal_log_would_roll(log))
        (void)pthread_cond_wait(&t->helper_done, &t->lock);
    if (t->ready_seq != 0) {
        if (t->ready_fd >= 0)
            wal_log_offer(log, t->ready_seq, t->ready_fd);
        t->ready_seq = 0;
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static void ask_helper(struct wal_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    if (t->helper_seq == 0 && t->ready_seq == 0 && t->core->log.offered_fd < 0) {
        t->helper_seq = wal_log_next_seq(&t->core->log);
        (void)pthread_cond_signal(&t->helper_work);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static bool flush(struct wal_thread *t, struct wal_error *error)
{
    take_prepared(t);
    return wal_core_flush(t->core, error);
}

static bool append(struct wal_thread *t, const struct wal_op *op, struct wal_error *error)
{
    for (size_t i = 0; i < op->n; i++) {
        wal_core_append(t->core, op->index + i, &op->entries[i]);
        if (wal_core_full(t->core) && !flush(t, error))
            return false;
    }
    return true;
}

static bool execute(struct wal_thread *t, const struct wal_op *op, struct wal_error *error)
{
    switch (op->kind) {
    case REPL_STORAGE_APPEND:
        return append(t, op, error);
    case REPL_STORAGE_TRUNCATE:
        return wal_core_truncate(t->core, op->index, error);
    case REPL_STORAGE_DISTRUST:
        return wal_core_distrust(t->core, op->distrust, error);
    case REPL_STORAGE_VOTE:
        return wal_core_vote(t->core, op->term, op->voted_for, error);
    case REPL_STORAGE_SNAPSHOT:
        return wal_core_snapshot(t->core, &op->meta, error);
    case REPL_STORAGE_INSTALL:
        return wal_core_install(t->core, &op->meta, error);
    default:
        HF_ASSERT(op->kind == WAL_OP_TRIM);
        return wal_core_trim(t->core, op->index, error);
    }
}

static bool batches(const struct wal_op *op)
{
    return op->kind == REPL_STORAGE_APPEND || op->kind == REPL_STORAGE_TRUNCATE;
}

/* A group: all appends and truncations that wait at the head of the queue, or one operation of
 * another kind. */
static void take_group(struct wal_thread *t)
{
    do {
        struct wal_op *op = t->queue.first;

        t->queue.first = op->next;
        if (op->next == NULL)
            t->queue.last = &t->queue.first;
        op->next = NULL;
        *t->running.last = op;
        t->running.last = &op->next;
    } while (batches(t->running.first) && t->queue.first != NULL && batches(t->queue.first));
}

static void run_group(struct wal_thread *t)
{
    struct wal_error error;

    for (const struct wal_op *op = t->running.first; op != NULL && !t->failed; op = op->next)
        if (!execute(t, op, &error))
            fail(t, &error);
    if (!t->failed && !flush(t, &error))
        fail(t, &error);
    for (struct wal_op *op = t->running.first; op != NULL; op = op->next)
        op->failed = t->failed;
    if (!t->failed)
        ask_helper(t);
    publish(t);
}

static void *disk_main(void *arg)
{
    struct wal_thread *t = arg;

    (void)pthread_setname_np(pthread_self(), "hf-disk");
    ask_helper(t);
    for (;;) {
        (void)pthread_mutex_lock(&t->lock);
        while (t->queue.first == NULL && !t->stop)
            (void)pthread_cond_wait(&t->work, &t->lock);
        if (t->queue.first != NULL)
            take_group(t);
        (void)pthread_mutex_unlock(&t->lock);
        if (t->running.first == NULL)
            return NULL;
        run_group(t);
    }
}

/* Makes the next segment and syncs the high-water mark, both away from the log's own fdatasync. */
static void *helper_main(void *arg)
{
    struct wal_thread *t = arg;

    (void)pthread_mutex_lock(&t->lock);
    for (;;) {
        struct wal_error error;
        uint64_t seq;
        int fd;

        while (t->helper_seq == 0 && !t->stop)
            (void)pthread_cond_wait(&t->helper_work, &t->lock);
        seq = t->helper_seq;
        if (seq == 0)
            break;
        (void)pthread_mutex_unlock(&t->lock);
        fd = wal_segment_prepare(&t->core->dir, seq, t->core->log.segment_bytes, &error);
        if (fd < 0 || !wal_high_water_sync(&t->core->dir, &t->core->high_water, &error))
            t->fatal(t->fatal_self, error.text);
        (void)pthread_mutex_lock(&t->lock);
        t->helper_seq = 0;
        t->ready_seq = seq;
        t->ready_fd = fd;
        (void)pthread_cond_signal(&t->helper_done);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

void wal_thread_start(struct wal_thread *t, struct wal_core *core, wal_fatal fatal,
                      void *fatal_self, void (*wake)(void *), void *self)
{
    *t = (struct wal_thread){.core = core,
                             .wake = wake,
                             .fatal = fatal,
                             .self = self,
                             .fatal_self = fatal_self,
                             .ready_fd = -1};
    list_init(&t->queue);
    list_init(&t->running);
    list_init(&t->done);
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->work, NULL);
    (void)pthread_cond_init(&t->helper_work, NULL);
    (void)pthread_cond_init(&t->helper_done, NULL);
    HF_ASSERT(pthread_create(&t->helper, NULL, helper_main, t) == 0);
    HF_ASSERT(pthread_create(&t->disk, NULL, disk_main, t) == 0);
}

void wal_thread_stop(struct wal_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    t->stop = true;
    (void)pthread_cond_broadcast(&t->work);
    (void)pthread_cond_broadcast(&t->helper_work);
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->disk, NULL);
    (void)pthread_join(t->helper, NULL);
    if (t->ready_seq != 0)
        wal_file_close(&t->core->dir, t->ready_fd);
    list_free(t->done.first);
    (void)pthread_mutex_destroy(&t->lock);
    (void)pthread_cond_destroy(&t->work);
    (void)pthread_cond_destroy(&t->helper_work);
    (void)pthread_cond_destroy(&t->helper_done);
}

void wal_thread_submit(struct wal_thread *t, struct wal_op *op)
{
    (void)pthread_mutex_lock(&t->lock);
    op->next = NULL;
    *t->queue.last = op;
    t->queue.last = &op->next;
    if (op->kind == REPL_STORAGE_APPEND)
        t->appends++;
    (void)pthread_cond_signal(&t->work);
    (void)pthread_mutex_unlock(&t->lock);
}

struct wal_op *wal_thread_take_done(struct wal_thread *t)
{
    struct wal_op *ops;

    (void)pthread_mutex_lock(&t->lock);
    ops = t->done.first;
    list_init(&t->done);
    (void)pthread_mutex_unlock(&t->lock);
    return ops;
}

uint64_t wal_thread_oldest_ns(struct wal_thread *t)
{
    const struct wal_op *oldest;
    uint64_t ns;

    (void)pthread_mutex_lock(&t->lock);
    oldest = t->running.first != NULL ? t->running.first : t->queue.first;
    ns = oldest == NULL ? 0 : oldest->submitted_ns;
    (void)pthread_mutex_unlock(&t->lock);
    return ns;
}
