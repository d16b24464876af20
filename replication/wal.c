#include "replication/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "replication/wal_thread.h"

struct wal {
    struct wal_core core;
    struct wal_thread thread;
    struct repl_storage storage;
    uv_async_t async;
    wal_done done;
    void *done_self;
    uint8_t *snapshot; /* handed out by read_snapshot until the next call */
    wal_fatal fatal;
    void *fatal_self;
    void (*closed)(void *arg);
    void *closed_arg;
    uint64_t looked_ns, seen_progress, stuck_ns; /* of wal_stuck_ns() */
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A node whose write failed must not go on: what was told as durable must stay true, and the log
 * cannot say what is on the disk. */
static void exit_on_failure(void *self, const char *text)
{
    (void)self;
    (void)dprintf(STDERR_FILENO, "holdfastd: storage failed, this node stops: %s\n", text);
    _exit(WAL_EXIT_DISK);
}

static struct wal_op *make_op(uint8_t kind, size_t room)
{
    struct wal_op *op = calloc(1, sizeof *op + room);

    HF_ASSERT(op != NULL);
    op->kind = kind;
    op->submitted_ns = now_ns();
    return op;
}

static void drop_snapshot(struct wal *w)
{
    free(w->snapshot);
    w->snapshot = NULL;
}

static void submit(struct wal *w, struct wal_op *op)
{
    drop_snapshot(w);
    wal_thread_submit(&w->thread, op);
}

static void storage_vote(void *self, uint64_t term, uint32_t voted_for)
{
    struct wal_op *op = make_op(REPL_STORAGE_VOTE, 0);

    op->term = term;
    op->voted_for = voted_for;
    submit(self, op);
}

static void storage_append(void *self, uint64_t first_index, const struct repl_entry *entries,
                           size_t n)
{
    size_t bytes = n * sizeof *entries;
    struct wal_op *op;
    uint8_t *at;

    HF_ASSERT(n > 0 && first_index > 0);
    for (size_t i = 0; i < n; i++)
        bytes += entries[i].data.len;
    op = make_op(REPL_STORAGE_APPEND, bytes);
    op->index = first_index;
    op->n = n;
    op->entries = (struct repl_entry *)(op + 1);
    at = (uint8_t *)(op->entries + n);
    for (size_t i = 0; i < n; i++) {
        op->entries[i] = entries[i];
        op->entries[i].data.data = at;
        if (entries[i].data.len > 0)
            memcpy(at, entries[i].data.data, entries[i].data.len);
        at += entries[i].data.len;
    }
    submit(self, op);
}

static void storage_truncate(void *self, uint64_t index)
{
    struct wal_op *op = make_op(REPL_STORAGE_TRUNCATE, 0);

    op->index = index;
    submit(self, op);
}

static void submit_snapshot(struct wal *w, enum repl_storage_op kind,
                            const struct repl_snapshot_meta *meta, struct span data)
{
    struct wal_op *op = make_op((uint8_t)kind, data.len);

    op->index = meta->index;
    op->meta = *meta;
    if (data.len > 0)
        memcpy(op + 1, data.data, data.len);
    op->data = span_of(op + 1, data.len);
    submit(w, op);
}

static void storage_snapshot(void *self, const struct repl_snapshot_meta *meta, struct span data)
{
    submit_snapshot(self, REPL_STORAGE_SNAPSHOT, meta, data);
}

static void storage_install(void *self, const struct repl_snapshot_meta *meta, struct span data)
{
    submit_snapshot(self, REPL_STORAGE_INSTALL, meta, data);
}

static void storage_trim(void *self, uint64_t index)
{
    struct wal_op *op = make_op(WAL_OP_TRIM, 0);

    op->index = index;
    submit(self, op);
}

static bool storage_read_snapshot(void *self, struct repl_snapshot_meta *meta, struct span *data)
{
    struct wal *w = self;
    struct wal_error error;
    bool found = false;
    size_t n = 0;

    drop_snapshot(w);
    if (!wal_core_read_snapshot(&w->core, &found, meta, &w->snapshot, &n, &error)) {
        w->fatal(w->fatal_self, error.text);
        return false;
    }
    if (found)
        *data = span_of(w->snapshot, n);
    return found;
}

static struct repl_storage_done completion(const struct wal_op *op)
{
    struct repl_storage_done d = {.op = (enum repl_storage_op)op->kind,
                                  .index = op->index,
                                  .status = op->failed ? REPL_STORAGE_FAILED : REPL_STORAGE_OK};

    if (op->kind == REPL_STORAGE_APPEND)
        d.index = op->index + op->n - 1;
    if (op->kind == REPL_STORAGE_VOTE)
        d.index = op->term;
    return d;
}

static void on_async(uv_async_t *async)
{
    struct wal *w = async->data;
    struct wal_op *op = wal_thread_take_done(&w->thread);

    while (op != NULL) {
        struct wal_op *next = op->next;
        struct repl_storage_done d = completion(op);
        bool told = op->kind != WAL_OP_TRIM;

        free(op);
        if (told && w->done != NULL)
            w->done(w->done_self, &d);
        op = next;
    }
}

static void wake(void *self)
{
    struct wal *w = self;

    (void)uv_async_send(&w->async);
}

struct wal *wal_open(uv_loop_t *loop, const struct wal_options *options, struct wal_error *error)
{
    struct wal *w = calloc(1, sizeof *w);

    HF_ASSERT(w != NULL);
    if (!wal_core_open(&w->core, options, error)) {
        free(w);
        return NULL;
    }
    w->fatal = options->fatal != NULL ? options->fatal : exit_on_failure;
    w->fatal_self = options->fatal_self;
    w->storage = (struct repl_storage){.self = w,
                                       .vote = storage_vote,
                                       .append = storage_append,
                                       .truncate = storage_truncate,
                                       .snapshot = storage_snapshot,
                                       .install = storage_install,
                                       .trim = storage_trim,
                                       .read_snapshot = storage_read_snapshot};
    HF_ASSERT(uv_async_init(loop, &w->async, on_async) == 0);
    w->async.data = w;
    w->looked_ns = now_ns();
    wal_thread_start(&w->thread, &w->core, w->fatal, w->fatal_self, wake, w);
    return w;
}

void wal_set_done(struct wal *wal, wal_done done, void *self)
{
    wal->done = done;
    wal->done_self = self;
}

const struct repl_loaded *wal_loaded(const struct wal *wal)
{
    return &wal->core.loaded;
}

void wal_load_done(struct wal *wal)
{
    wal_core_load_done(&wal->core);
}

const char *wal_load_note(const struct wal *wal)
{
    return wal->core.note;
}

struct span wal_identity(const struct wal *wal)
{
    return span_of(wal->core.dir.id, sizeof wal->core.dir.id);
}

const struct repl_storage *wal_storage(struct wal *wal)
{
    return &wal->storage;
}

uint64_t wal_pending_ns(struct wal *wal)
{
    uint64_t since = wal_thread_oldest_ns(&wal->thread);
    uint64_t now = now_ns();

    return since == 0 || now <= since ? 0 : now - since;
}

uint64_t wal_stuck_ns(struct wal *wal)
{
    static const uint64_t look_max = WAL_LOOK_MAX_MS * 1000000ull;
    uint64_t progress = atomic_load_explicit(&wal->core.progress, memory_order_relaxed);
    uint64_t now = now_ns();
    uint64_t passed = now - wal->looked_ns;

    if (wal_thread_oldest_ns(&wal->thread) == 0 || progress != wal->seen_progress)
        wal->stuck_ns = 0;
    else
        wal->stuck_ns += passed < look_max ? passed : look_max;
    wal->looked_ns = now;
    wal->seen_progress = progress;
    return wal->stuck_ns;
}

void wal_get_counters(struct wal *wal, struct wal_counters *out)
{
    (void)pthread_mutex_lock(&wal->thread.lock);
    *out = wal->thread.counters;
    out->appends = wal->thread.appends;
    (void)pthread_mutex_unlock(&wal->thread.lock);
}

static void on_closed(uv_handle_t *handle)
{
    struct wal *w = handle->data;
    void (*closed)(void *arg) = w->closed;
    void *arg = w->closed_arg;

    free(w);
    if (closed != NULL)
        closed(arg);
}

void wal_close(struct wal *wal, void (*closed)(void *arg), void *arg)
{
    wal_thread_stop(&wal->thread);
    wal_core_close(&wal->core);
    drop_snapshot(wal);
    wal->closed = closed;
    wal->closed_arg = arg;
    uv_close((uv_handle_t *)&wal->async, on_closed);
}
