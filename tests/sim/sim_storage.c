#include "sim/sim_storage.h"

#include <stdlib.h>

#include "sim/sim_storage_internal.h"

enum { SEGMENT = 16 }; /* trimming removes whole segments only, as wal.c does */

static void *copy(const void *bytes, size_t len)
{
    void *p = malloc(len == 0 ? 1 : len);
    HF_ASSERT(p != NULL);
    if (len > 0)
        memcpy(p, bytes, len);
    return p;
}

struct sim_storage *sim_storage_create(uint64_t seed, const uint64_t *now_ms)
{
    struct sim_storage *s = calloc(1, sizeof *s);
    HF_ASSERT(s != NULL);
    s->random.state = seed;
    s->now_ms = now_ms;
    s->max_ms = 3;
    s->first = 1;
    return s;
}

static struct repl_entry entry_copy(const struct repl_entry *e)
{
    struct repl_entry c = *e;
    c.data = span_of(copy(e->data.data, e->data.len), e->data.len);
    return c;
}

static void drop_entries(struct repl_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)entries[i].data.data);
}

static void free_operation(struct operation *op)
{
    drop_entries(op->entries, op->n);
    free(op->entries);
    free(op->data);
}

void sim_storage_destroy(struct sim_storage *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->queued; i++)
        free_operation(&s->queue[i]);
    drop_entries(s->log, s->n_log);
    if (s->founds)
        drop_entries(&s->genesis, 1);
    free(s->queue);
    free(s->log);
    free(s->snapshot_data);
    for (size_t i = 0; i < REPL_DRAFTS; i++)
        free(s->drafts[i].data);
    free(s);
}

void sim_storage_set_delay(struct sim_storage *s, uint32_t min_ms, uint32_t max_ms)
{
    s->min_ms = min_ms;
    s->max_ms = max_ms;
}

void sim_storage_fail(struct sim_storage *s)
{
    s->failing = true;
}

void sim_storage_mend(struct sim_storage *s)
{
    s->failing = s->failed = s->was_full = false;
}

bool sim_storage_fails(const struct sim_storage *s)
{
    return s->failing;
}

void sim_storage_full(struct sim_storage *s, bool full)
{
    s->full = full;
    if (!full)
        s->no_room = false;
}

void sim_storage_no_room(struct sim_storage *s)
{
    s->no_room = true;
}

bool sim_storage_was_full(const struct sim_storage *s)
{
    return s->was_full;
}

static struct operation *enqueue(struct sim_storage *s, enum repl_storage_op op, uint64_t index)
{
    if (s->queued == s->capacity) {
        s->capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        s->queue = realloc(s->queue, s->capacity * sizeof *s->queue);
        HF_ASSERT(s->queue != NULL);
    }
    uint64_t due = *s->now_ms + sim_between(&s->random, s->min_ms, s->max_ms);
    s->last_due_ms = due > s->last_due_ms ? due : s->last_due_ms;
    s->counters.operations++;
    if (s->queued == 0)
        s->moved_ms = *s->now_ms;
    s->queue[s->queued] = (struct operation){
        .op = op, .index = index, .taken_ms = *s->now_ms, .due_ms = s->last_due_ms};
    return &s->queue[s->queued++];
}

static void op_vote(void *self, uint64_t term, uint32_t voted_for)
{
    struct operation *op = enqueue(self, REPL_STORAGE_VOTE, term);
    op->term = term;
    op->vote = voted_for;
}

static void op_append(void *self, uint64_t first, const struct repl_entry *entries, size_t n)
{
    struct operation *op = enqueue(self, REPL_STORAGE_APPEND, first + n - 1);
    op->entries = calloc(n, sizeof *op->entries);
    HF_ASSERT(n > 0 && op->entries != NULL);
    for (size_t i = 0; i < n; i++)
        op->entries[i] = entry_copy(&entries[i]);
    op->n = n;
}

static void op_truncate(void *self, uint64_t index)
{
    enqueue(self, REPL_STORAGE_TRUNCATE, index);
}

static void op_distrust(void *self, enum repl_distrust why)
{
    enqueue(self, REPL_STORAGE_DISTRUST, 0)->distrust = why;
}

static void forget_draft(struct sim_storage *s, enum repl_draft d)
{
    free(s->drafts[d].data);
    s->drafts[d] = (struct draft){.generation = s->drafts[d].generation + 1};
}

static void op_draft_begin(void *self, enum repl_draft d, const struct repl_snapshot_meta *meta)
{
    struct sim_storage *s = self;
    HF_ASSERT(!s->drafts[d].open);
    forget_draft(s, d);
    s->drafts[d].meta = *meta;
    s->drafts[d].open = true;
}

static void draft_operation(struct sim_storage *s, enum repl_draft d, bool closed)
{
    struct operation *op = enqueue(s, REPL_STORAGE_DRAFT, s->drafts[d].meta.index);
    op->draft = d;
    op->closed = closed;
    op->generation = s->drafts[d].generation;
    op->offset = s->drafts[d].len;
}

static void op_draft_write(void *self, enum repl_draft d, struct span bytes)
{
    struct sim_storage *s = self;
    struct draft *draft = &s->drafts[d];
    HF_ASSERT(draft->open);
    draft->data = realloc(draft->data, draft->len + bytes.len + 1);
    HF_ASSERT(draft->data != NULL);
    if (bytes.len > 0)
        memcpy(draft->data + draft->len, bytes.data, bytes.len);
    draft->len += bytes.len;
    draft_operation(s, d, false);
}

static void op_draft_close(void *self, enum repl_draft d)
{
    struct sim_storage *s = self;
    HF_ASSERT(s->drafts[d].open);
    s->drafts[d].open = false;
    draft_operation(s, d, true);
}

static void op_draft_drop(void *self, enum repl_draft d)
{
    forget_draft(self, d);
}

static void take_draft(struct sim_storage *s, struct operation *op, enum repl_draft d)
{
    struct draft *draft = &s->drafts[d];
    HF_ASSERT(draft->closed && draft->meta.index == op->meta.index &&
              draft->meta.term == op->meta.term);
    op->data = draft->data;
    op->len = draft->len;
    draft->data = NULL;
    forget_draft(s, d);
}

static void op_snapshot(void *self, const struct repl_snapshot_meta *meta)
{
    struct sim_storage *s = self;
    struct operation *op = enqueue(s, REPL_STORAGE_SNAPSHOT, meta->index);
    op->meta = *meta;
    take_draft(s, op, REPL_DRAFT_OWN);
}

static void op_install(void *self, const struct repl_snapshot_meta *meta)
{
    struct sim_storage *s = self;
    struct operation *op = enqueue(s, REPL_STORAGE_INSTALL, meta->index);
    op->meta = *meta;
    if (meta->index == s->snapshot.index && meta->term == s->snapshot.term) {
        op->data = copy(s->snapshot_data, s->snapshot_len);
        op->len = s->snapshot_len;
        return;
    }
    take_draft(s, op, REPL_DRAFT_RECEIVED);
}

static void op_read(void *self, uint32_t reader, uint64_t index, uint64_t term, uint64_t offset,
                    size_t n)
{
    struct operation *op = enqueue(self, REPL_STORAGE_READ, index);
    HF_ASSERT(reader < REPL_READERS);
    op->reader = reader;
    op->term = term;
    op->offset = offset;
    op->len = n;
}

static void op_read_end(void *self, uint32_t reader)
{
    (void)self;
    (void)reader;
}

static void remove_front(struct sim_storage *s, size_t n)
{
    drop_entries(s->log, n);
    memmove(s->log, s->log + n, (s->n_log - n) * sizeof *s->log);
    s->n_log -= n;
    s->first += n;
}

static void op_trim(void *self, uint64_t index)
{
    struct sim_storage *s = self;
    uint64_t keep = index - index % SEGMENT;
    HF_ASSERT(index <= s->snapshot.index + 1);
    if (keep > s->first && keep - s->first <= s->n_log)
        remove_front(s, (size_t)(keep - s->first));
}

struct repl_storage sim_storage_interface(struct sim_storage *s)
{
    return (struct repl_storage){.self = s,
                                 .vote = op_vote,
                                 .append = op_append,
                                 .truncate = op_truncate,
                                 .distrust = op_distrust,
                                 .snapshot = op_snapshot,
                                 .install = op_install,
                                 .trim = op_trim,
                                 .draft_begin = op_draft_begin,
                                 .draft_write = op_draft_write,
                                 .draft_close = op_draft_close,
                                 .draft_drop = op_draft_drop,
                                 .read = op_read,
                                 .read_end = op_read_end};
}

/* The first n entries of the operation reach the disk. */
static void append_durable(struct sim_storage *s, struct operation *op, size_t n)
{
    HF_ASSERT(op->index - op->n == sim_storage_last(s)); /* the driver truncates first */
    if (s->n_log + n > s->log_capacity) {
        s->log_capacity = (s->n_log + n) * 2;
        s->log = realloc(s->log, s->log_capacity * sizeof *s->log);
        HF_ASSERT(s->log != NULL);
    }
    for (size_t i = 0; i < n; i++) {
        s->log[s->n_log++] = op->entries[i];
        op->entries[i].data.data = NULL; /* ours now */
    }
    if (sim_storage_last(s) > s->high_water)
        s->high_water = sim_storage_last(s);
}

static void truncate_durable(struct sim_storage *s, uint64_t index)
{
    HF_ASSERT(index >= s->first && index > s->snapshot.index);
    if (s->high_water >= index) /* the mark goes down first: wal_core_truncate() */
        s->high_water = index - 1;
    while (s->n_log > 0 && sim_storage_last(s) >= index)
        drop_entries(&s->log[--s->n_log], 1);
}

static void image_durable(struct sim_storage *s, struct operation *op)
{
    HF_ASSERT(op->meta.index >= s->snapshot.index);
    free(s->snapshot_data);
    s->snapshot = op->meta;
    s->snapshot_data = op->data;
    s->snapshot_len = op->len;
    op->data = NULL;
    if (op->op == REPL_STORAGE_INSTALL) {
        drop_entries(s->log, s->n_log);
        s->n_log = 0;
        s->first = op->meta.index + 1;
        s->high_water = op->meta.index;
    }
}

static void durable(struct sim_storage *s, struct operation *op)
{
    switch (op->op) {
    case REPL_STORAGE_VOTE:
        HF_ASSERT(op->term > s->term ||
                  (op->term == s->term && (s->voted_for == 0 || s->voted_for == op->vote)));
        s->term = op->term;
        s->voted_for = op->vote;
        break;
    case REPL_STORAGE_APPEND:
        append_durable(s, op, op->n);
        break;
    case REPL_STORAGE_TRUNCATE:
        truncate_durable(s, op->index);
        break;
    case REPL_STORAGE_DISTRUST:
        s->distrust = op->distrust;
        break;
    case REPL_STORAGE_SNAPSHOT:
    case REPL_STORAGE_INSTALL:
        image_durable(s, op);
        break;
    case REPL_STORAGE_DRAFT:
        if (op->closed && op->generation == s->drafts[op->draft].generation)
            s->drafts[op->draft].closed = true;
        break;
    case REPL_STORAGE_READ:
        break;
    }
}

uint64_t sim_storage_next(const struct sim_storage *s)
{
    return s->queued > 0 ? s->queue[0].due_ms : UINT64_MAX;
}

uint64_t sim_storage_pending_ms(const struct sim_storage *s)
{
    return s->queued == 0 ? 0 : *s->now_ms - s->queue[0].taken_ms;
}

uint64_t sim_storage_stuck_ms(const struct sim_storage *s)
{
    return s->queued == 0 ? 0 : *s->now_ms - s->moved_ms;
}

void sim_storage_hasten(struct sim_storage *s)
{
    for (size_t i = 0; i < s->queued; i++)
        s->queue[i].due_ms = *s->now_ms;
    s->last_due_ms = *s->now_ms;
}

static void remove_operation(struct sim_storage *s)
{
    free_operation(&s->queue[0]);
    s->queued--;
    memmove(s->queue, s->queue + 1, s->queued * sizeof *s->queue);
}

/* What a reader gets: the snapshot that there is now, or the news that it is another one. */
static void answer_read(struct sim_storage *s, const struct operation *op,
                        struct repl_storage_done *done)
{
    if (op->index != s->snapshot.index || op->term != s->snapshot.term) {
        done->status = REPL_STORAGE_GONE;
        return;
    }
    done->total = s->snapshot_len;
    if (op->offset < s->snapshot_len) {
        size_t left = s->snapshot_len - (size_t)op->offset;
        done->data = span_of(s->snapshot_data + op->offset, left < op->len ? left : op->len);
    }
}

static bool dropped(const struct sim_storage *s, const struct operation *op)
{
    return op->op == REPL_STORAGE_DRAFT && op->generation != s->drafts[op->draft].generation;
}

bool sim_storage_pop(struct sim_storage *s, struct repl_storage_done *done)
{
    while (s->queued > 0 && dropped(s, &s->queue[0]))
        remove_operation(s);
    if (s->queued == 0 || s->queue[0].due_ms > *s->now_ms)
        return false;
    *done = (struct repl_storage_done){.op = s->queue[0].op,
                                       .index = s->queue[0].index,
                                       .draft = s->queue[0].draft,
                                       .closed = s->queue[0].closed,
                                       .offset = s->queue[0].offset,
                                       .reader = s->queue[0].reader};
    if (s->no_room && done->op == REPL_STORAGE_APPEND)
        s->was_full = s->failing = true;
    if (done->op == REPL_STORAGE_READ && !s->failing)
        answer_read(s, &s->queue[0], done);
    s->failed |= s->failing;
    if (s->failing)
        done->status = REPL_STORAGE_FAILED;
    else if (s->full && done->op == REPL_STORAGE_DRAFT)
        done->status = REPL_STORAGE_FULL;
    else
        durable(s, &s->queue[0]);
    s->counters.completed++;
    s->moved_ms = *s->now_ms;
    remove_operation(s);
    return true;
}

void sim_storage_flush(struct sim_storage *s)
{
    while (s->queued > 0) {
        durable(s, &s->queue[0]);
        remove_operation(s);
    }
    if (!s->founds && s->first == 1 && s->n_log == 1) {
        s->genesis = entry_copy(&s->log[0]);
        s->founds = true;
    }
}

/* What is torn must not be left to chance alone: an append of several entries is seldom the one that the
 * power goes in. */
static size_t survivors(struct sim_storage *s)
{
    size_t survive = (size_t)sim_between(&s->random, 0, s->queued);

    for (size_t i = 0; i < s->queued; i++)
        if (s->queue[i].op == REPL_STORAGE_APPEND && s->queue[i].n > 1)
            return sim_chance(&s->random, 700) ? i : survive;
    return survive;
}

void sim_storage_crash(struct sim_storage *s)
{
    size_t survive = s->failed ? 0 : survivors(s);
    s->counters.crashes++;
    for (; survive > 0; survive--) {
        durable(s, &s->queue[0]);
        remove_operation(s);
    }
    if (!s->failed && s->queued > 0 && s->queue[0].op == REPL_STORAGE_APPEND && s->queue[0].n > 1) {
        append_durable(s, &s->queue[0], (size_t)sim_between(&s->random, 0, s->queue[0].n - 1));
        s->counters.torn++;
    }
    s->counters.lost += s->queued;
    while (s->queued > 0)
        remove_operation(s);
    for (size_t i = 0; i < REPL_DRAFTS; i++)
        forget_draft(s, (enum repl_draft)i);
    s->last_due_ms = 0;
}

void sim_storage_wipe(struct sim_storage *s)
{
    HF_ASSERT(s->queued == 0);
    drop_entries(s->log, s->n_log);
    s->n_log = 0;
    s->first = 1;
    if (s->founds)
        s->log[s->n_log++] = entry_copy(&s->genesis);
    free(s->snapshot_data);
    s->snapshot = (struct repl_snapshot_meta){0};
    s->snapshot_data = NULL;
    s->snapshot_len = 0;
    s->term = s->founds ? s->genesis.term : 0;
    s->voted_for = 0;
    s->high_water = s->n_log;
    s->distrust = REPL_DISTRUST_NEW;
}

const struct sim_storage_counters *sim_storage_counters(const struct sim_storage *s)
{
    return &s->counters;
}
