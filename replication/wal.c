#include "replication/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "replication/wal_aside.h"
#include "replication/wal_recover.h"
#include "replication/wal_thread.h"

struct wal {
    struct wal_core core;
    struct wal_thread thread;
    struct wal_aside aside;
    struct repl_storage storage;
    uv_async_t async;
    wal_done done;
    void *done_self;
    uint64_t generation[REPL_DRAFTS]; /* raised by begin and drop: older completions are dropped */
    uint64_t index[REPL_DRAFTS];      /* of the snapshot */
    uint64_t written[REPL_DRAFTS];
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

static void submit(struct wal *w, struct wal_op *op)
{
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

static void storage_distrust(void *self, enum repl_distrust why)
{
    struct wal_op *op = make_op(REPL_STORAGE_DISTRUST, 0);

    op->distrust = why;
    submit(self, op);
}

static void submit_image(struct wal *w, enum repl_storage_op kind,
                         const struct repl_snapshot_meta *meta)
{
    struct wal_op *op = make_op((uint8_t)kind, 0);

    op->index = meta->index;
    op->meta = *meta;
    submit(w, op);
}

static void storage_snapshot(void *self, const struct repl_snapshot_meta *meta)
{
    submit_image(self, REPL_STORAGE_SNAPSHOT, meta);
}

static void storage_install(void *self, const struct repl_snapshot_meta *meta)
{
    submit_image(self, REPL_STORAGE_INSTALL, meta);
}

static struct wal_aside_op *draft_op(struct wal *w, enum wal_aside_kind kind, enum repl_draft draft,
                                     size_t room)
{
    struct wal_aside_op *op = wal_aside_op(kind, room);

    op->draft = draft;
    op->generation = w->generation[draft];
    op->offset = w->written[draft];
    return op;
}

static void storage_draft_begin(void *self, enum repl_draft draft,
                                const struct repl_snapshot_meta *meta)
{
    struct wal *w = self;
    struct wal_aside_op *op;

    w->generation[draft]++;
    w->index[draft] = meta->index;
    w->written[draft] = 0;
    op = draft_op(w, WAL_ASIDE_BEGIN, draft, 0);
    op->meta = *meta;
    wal_aside_submit(&w->aside, op);
}

static void storage_draft_write(void *self, enum repl_draft draft, struct span bytes)
{
    struct wal *w = self;
    struct wal_aside_op *op;

    w->written[draft] += bytes.len;
    op = draft_op(w, WAL_ASIDE_WRITE, draft, bytes.len);
    if (bytes.len > 0)
        memcpy(op->bytes, bytes.data, bytes.len);
    wal_aside_submit(&w->aside, op);
}

static void storage_draft_close(void *self, enum repl_draft draft)
{
    struct wal *w = self;

    wal_aside_submit(&w->aside, draft_op(w, WAL_ASIDE_CLOSE, draft, 0));
}

static void storage_draft_drop(void *self, enum repl_draft draft)
{
    struct wal *w = self;

    w->generation[draft]++;
    wal_aside_submit(&w->aside, draft_op(w, WAL_ASIDE_DROP, draft, 0));
}

static void storage_read(void *self, uint32_t reader, uint64_t index, uint64_t term,
                         uint64_t offset, size_t n)
{
    struct wal *w = self;
    struct wal_aside_op *op = wal_aside_op(WAL_ASIDE_READ, n);

    HF_ASSERT(reader < REPL_READERS && n % REPL_READ_UNIT == 0 && offset % REPL_READ_UNIT == 0);
    op->reader = reader;
    op->meta = (struct repl_snapshot_meta){.index = index, .term = term};
    op->offset = offset;
    wal_aside_submit(&w->aside, op);
}

static void storage_read_end(void *self, uint32_t reader)
{
    struct wal *w = self;
    struct wal_aside_op *op = wal_aside_op(WAL_ASIDE_READ_END, 0);

    op->reader = reader;
    wal_aside_submit(&w->aside, op);
}

static void storage_trim(void *self, uint64_t index)
{
    struct wal_op *op = make_op(WAL_OP_TRIM, 0);

    op->index = index;
    submit(self, op);
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

static struct repl_storage_done aside_completion(const struct wal_aside_op *op)
{
    return (struct repl_storage_done){.op = op->kind == WAL_ASIDE_READ ? REPL_STORAGE_READ
                                                                       : REPL_STORAGE_DRAFT,
                                      .index = op->meta.index,
                                      .status = op->status,
                                      .draft = op->draft,
                                      .closed = op->kind == WAL_ASIDE_CLOSE,
                                      .offset = op->offset,
                                      .reader = op->reader,
                                      .data = span_of(op->bytes, op->n),
                                      .total = op->total};
}

static void tell(struct wal *w, const struct repl_storage_done *done)
{
    if (w->done != NULL)
        w->done(w->done_self, done);
}

static void on_async(uv_async_t *async)
{
    struct wal *w = async->data;
    struct wal_op *op = wal_thread_take_done(&w->thread);
    struct wal_aside_op *aside = wal_aside_take_done(&w->aside);

    while (op != NULL) {
        struct wal_op *next = op->next;
        struct repl_storage_done d = completion(op);
        bool told = op->kind != WAL_OP_TRIM;

        free(op);
        if (told)
            tell(w, &d);
        op = next;
    }
    while (aside != NULL) {
        struct wal_aside_op *next = aside->next;
        struct repl_storage_done d = aside_completion(aside);
        bool stale =
            aside->kind != WAL_ASIDE_READ && aside->generation != w->generation[aside->draft];

        if (d.op == REPL_STORAGE_DRAFT)
            d.index = w->index[aside->draft];
        if (!stale)
            tell(w, &d);
        wal_aside_free(aside);
        aside = next;
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
                                       .distrust = storage_distrust,
                                       .snapshot = storage_snapshot,
                                       .install = storage_install,
                                       .trim = storage_trim,
                                       .draft_begin = storage_draft_begin,
                                       .draft_write = storage_draft_write,
                                       .draft_close = storage_draft_close,
                                       .draft_drop = storage_draft_drop,
                                       .read = storage_read,
                                       .read_end = storage_read_end};
    HF_ASSERT(uv_async_init(loop, &w->async, on_async) == 0);
    w->async.data = w;
    w->looked_ns = now_ns();
    wal_thread_start(&w->thread, &w->core, w->fatal, w->fatal_self, wake, w);
    wal_aside_start(&w->aside, &w->core.dir, w->fatal, w->fatal_self, wake, w);
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

bool wal_order(struct wal *wal, uint64_t incarnation, const struct repl_word *word,
               struct wal_error *error)
{
    return wal_order_store(&wal->core.dir, incarnation, word, error);
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
    wal_aside_stop(&wal->aside);
    wal_thread_stop(&wal->thread);
    wal_core_close(&wal->core);
    wal->closed = closed;
    wal->closed_arg = arg;
    uv_close((uv_handle_t *)&wal->async, on_closed);
}
