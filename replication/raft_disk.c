#include "replication/raft_internal.h"

#include <stdlib.h>

static struct raft_pending *pending_at(struct raft_driver *d, size_t i)
{
    return &d->pending[(d->pending_head + i) & (d->pending_capacity - 1)];
}

static bool push(struct raft_driver *d, struct raft_pending op)
{
    if (d->pending_count == d->pending_capacity) {
        size_t capacity = d->pending_capacity == 0 ? 32 : d->pending_capacity * 2;
        struct raft_pending *ring = calloc(capacity, sizeof *ring);
        if (ring == NULL)
            return false;
        for (size_t i = 0; i < d->pending_count; i++)
            ring[i] = *pending_at(d, i);
        free(d->pending);
        d->pending = ring;
        d->pending_capacity = capacity;
        d->pending_head = 0;
    }
    *pending_at(d, d->pending_count) = op;
    d->pending_count++;
    return true;
}

/* Of the appends under way only what lies below `index` may still be reported as persisted. */
static void clip_pending(struct raft_driver *d, uint64_t index)
{
    for (size_t i = 0; i < d->pending_count; i++) {
        struct raft_pending *op = pending_at(d, i);
        if (op->op == REPL_STORAGE_APPEND && op->last >= index)
            op->last = index - 1;
    }
}

bool raft_store_vote(struct raft_driver *d, uint64_t term, uint32_t vote)
{
    if (term == d->vote_term && vote == d->vote_for)
        return true; /* a vote granted again */
    HF_ASSERT(term > d->vote_term || (term == d->vote_term && d->vote_for == 0));
    d->vote_term = term;
    d->vote_for = vote;
    if (!push(d, (struct raft_pending){.op = REPL_STORAGE_VOTE, .index = term}))
        return false;
    d->votes_queued++;
    d->storage.vote(d->storage.self, term, vote);
    return true;
}

static bool truncate_from(struct raft_driver *d, uint64_t index)
{
    HF_ASSERT(index > d->commit);
    raft_log_truncate(&d->log, index);
    clip_pending(d, index);
    if (!push(d, (struct raft_pending){.op = REPL_STORAGE_TRUNCATE, .index = index}))
        return false;
    d->storage.truncate(d->storage.self, index);
    return true;
}

bool raft_store_entries(struct raft_driver *d, const struct raft_update *update,
                        const struct raft_payload *payload)
{
    uint64_t first = update->entries.index;
    const struct raft_entry *batch = update->entries.batch;
    size_t n = update->entries.n;
    struct repl_entry barrier = {.term = batch[0].term, .kind = REPL_ENTRY_BARRIER};
    const struct repl_entry *entries = &barrier; /* the core's own, of a new leader */
    bool ok = true;
    if (payload != NULL) {
        HF_ASSERT(first >= payload->first && first - payload->first + n == payload->n);
        entries = payload->entries + (first - payload->first);
    } else {
        HF_ASSERT(n == 1 && batch[0].type == RAFT_BARRIER);
    }
    HF_ASSERT(first <= raft_log_last(&d->log) + 1);
    if (first <= raft_log_last(&d->log))
        ok = truncate_from(d, first);
    for (size_t i = 0; i < n && ok; i++) {
        HF_ASSERT(entries[i].term == batch[i].term &&
                  (unsigned)entries[i].kind == (unsigned)batch[i].type);
        ok = raft_log_append(&d->log, &entries[i]);
    }
    raft_free(batch[0].batch);
    if (!ok || !push(d, (struct raft_pending){.op = REPL_STORAGE_APPEND,
                                              .first = first,
                                              .last = first + n - 1,
                                              .index = first + n - 1}))
        return false;
    d->storage.append(d->storage.self, first, entries, n);
    return true;
}

/* The core begins to install the snapshot in hand: nothing of the former log counts any more,
 * nothing is applied until it is stored and restored. */
bool raft_store_install(struct raft_driver *d, struct raft_update *update)
{
    const struct raft_frame *frame = d->incoming;
    HF_ASSERT(frame != NULL && !d->installing && !d->restoring && d->install_data == NULL);
    HF_ASSERT(update->snapshot.metadata.index == frame->index &&
              update->snapshot.metadata.term == frame->index_term);
    raft_free(update->snapshot.chunk.base);
    raft_configuration_close(&update->snapshot.metadata.configuration);
    uint8_t *data = malloc(frame->data.len == 0 ? 1 : frame->data.len);
    if (data == NULL)
        return false;
    memcpy(data, frame->data.data, frame->data.len);
    d->install = (struct repl_snapshot_meta){
        .index = frame->index, .term = frame->index_term, .configuration = frame->configuration};
    d->install_data = data;
    d->install_len = frame->data.len;
    d->installing = true;
    d->counters.installs_received++;
    raft_log_reset(&d->log, frame->index + 1);
    clip_pending(d, 1);
    if (!push(d, (struct raft_pending){.op = REPL_STORAGE_INSTALL, .index = frame->index}))
        return false;
    d->storage.install(d->storage.self, &d->install, span_of(data, d->install_len));
    return true;
}

void raft_queue_discard(struct raft_driver *d, const struct repl_snapshot_meta *meta,
                        struct span data)
{
    if (!push(d, (struct raft_pending){
                     .op = REPL_STORAGE_INSTALL, .index = meta->index, .discard = true})) {
        raft_fail(d, "out of memory");
        return;
    }
    d->storage.install(d->storage.self, meta, data);
}

static void entries_durable(struct raft_driver *d, uint64_t last)
{
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
    if (last <= d->raft.last_stored || d->installing)
        return;
    HF_ASSERT(last <= raft_log_last(&d->log) && d->raft.state != RAFT_CANDIDATE);
    event.persisted_entries.index = last;
    if (raft_core_step(d, &event, NULL) != 0)
        raft_fail(d, "the core refused stored entries");
}

static void install_durable(struct raft_driver *d)
{
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    struct raft_snapshot_metadata *meta = &event.persisted_snapshot.metadata;
    HF_ASSERT(d->installing && d->raft.state == RAFT_FOLLOWER);
    if (!raft_core_configuration(&d->install.configuration, &meta->configuration)) {
        raft_fail(d, "out of memory");
        return;
    }
    meta->index = d->install.index;
    meta->term = d->install.term;
    meta->configuration_index = d->install.configuration.index;
    event.persisted_snapshot.last = true;
    d->snapshot = d->install;
    d->installing = false;
    d->restoring = true; /* first of all that is delivered next */
    if (raft_core_step(d, &event, NULL) != 0)
        raft_fail(d, "the core refused a stored snapshot");
}

static void snapshot_durable(struct raft_driver *d)
{
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    d->taken_index = d->taking.index;
    d->taken_result = RAFT_DRIVER_LOST;
    if (!raft_snapshot_overtaken(d)) {
        struct raft_snapshot_metadata *meta = &event.snapshot.metadata;
        if (!raft_core_configuration(&d->taking.configuration, &meta->configuration)) {
            raft_fail(d, "out of memory");
            return;
        }
        meta->index = d->taking.index;
        meta->term = d->taking.term;
        meta->configuration_index = d->taking.configuration.index;
        event.snapshot.trailing = d->options.trailing;
        if (raft_core_step(d, &event, NULL) != 0) {
            raft_fail(d, "the core refused a snapshot");
            return;
        }
        d->snapshot = d->taking;
        d->taken_result = RAFT_DRIVER_OK;
        d->counters.snapshots_taken++;
        raft_log_trim(&d->log, d->raft.trail.offset);
        HF_ASSERT(d->log.first == d->raft.trail.offset + 1);
        HF_ASSERT(raft_log_last(&d->log) == raft_last_index(&d->raft));
        d->storage.trim(d->storage.self, d->log.first);
    }
    d->taking = (struct repl_snapshot_meta){0};
}

void raft_driver_storage_done(struct raft_driver *d, uint64_t now_ms,
                              const struct repl_storage_done *done)
{
    HF_ASSERT(d->started && !d->stepping && !d->delivering && d->pending_count > 0);
    struct raft_pending op = *pending_at(d, 0);
    d->pending_head = (d->pending_head + 1) & (d->pending_capacity - 1);
    d->pending_count--;
    HF_ASSERT(done->op == op.op && done->index == op.index);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    if (done->status != REPL_STORAGE_OK)
        raft_fail(d, "a write failed");
    if (!d->failed) {
        switch (op.op) {
        case REPL_STORAGE_VOTE:
            d->votes_done++;
            raft_release_held(d);
            break;
        case REPL_STORAGE_APPEND:
            if (op.last >= op.first)
                entries_durable(d, op.last);
            break;
        case REPL_STORAGE_TRUNCATE:
            break;
        case REPL_STORAGE_SNAPSHOT:
            snapshot_durable(d);
            break;
        case REPL_STORAGE_INSTALL:
            if (!op.discard)
                install_durable(d);
            break;
        }
    }
    raft_settle(d);
}

/* The newest configuration at or below `index`: of a CHANGE in the log, else the last snapshot's.
 */
struct repl_configuration raft_configuration_at(const struct raft_driver *d, uint64_t index)
{
    for (uint64_t i = index; i >= d->log.first; i--) {
        const struct raft_log_entry *entry = raft_log_get(&d->log, i);
        if (entry->kind != REPL_ENTRY_CHANGE)
            continue;
        struct repl_configuration c;
        struct span data = span_of(entry->data, entry->len);
        bool valid = raft_configuration_take(&data, &c);
        HF_ASSERT(valid);
        c.index = i;
        return c;
    }
    return d->snapshot.configuration; /* empty when there is no snapshot either */
}

enum raft_driver_result raft_driver_snapshot_take(struct raft_driver *d, uint64_t now_ms,
                                                  uint64_t index, struct span data)
{
    HF_ASSERT(d->started && !d->stepping);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    if (d->failed)
        return RAFT_DRIVER_FAILED;
    if (d->installing || d->restoring || d->taking.index != 0 || d->taken_index != 0)
        return RAFT_DRIVER_BUSY;
    const struct raft_log_entry *entry = raft_log_get(&d->log, index);
    if (index > d->applied || index <= d->snapshot.index || entry == NULL ||
        data.len > REPL_MAX_SNAPSHOT_BYTES)
        return RAFT_DRIVER_INVALID;
    struct raft_pending op = {.op = REPL_STORAGE_SNAPSHOT, .index = index};
    if (!push(d, op)) {
        raft_fail(d, "out of memory");
        raft_settle(d);
        return RAFT_DRIVER_FAILED;
    }
    d->taking = (struct repl_snapshot_meta){
        .index = index, .term = entry->term, .configuration = raft_configuration_at(d, index)};
    HF_ASSERT(d->taking.configuration.n_servers > 0); /* entry 1 is one */
    d->storage.snapshot(d->storage.self, &d->taking, data);
    return RAFT_DRIVER_OK;
}
