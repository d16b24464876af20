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

bool raft_store_distrust(struct raft_driver *d, enum repl_distrust why)
{
    if (!push(d, (struct raft_pending){.op = REPL_STORAGE_DISTRUST}))
        return false;
    d->distrusts_queued++;
    d->storage.distrust(d->storage.self, why);
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
    raft_history_begins(d);
    d->storage.append(d->storage.self, first, entries, n);
    return true;
}

/* The core begins to install the snapshot in hand: nothing of the former log counts any more,
 * nothing is applied until it is stored and restored. */
bool raft_store_install(struct raft_driver *d, struct raft_update *update)
{
    const struct repl_snapshot_meta *meta = &d->incoming.meta;
    HF_ASSERT(d->incoming.active && !d->installing && !d->restoring &&
              (!d->paused || d->repairing));
    HF_ASSERT(update->snapshot.metadata.index == meta->index &&
              update->snapshot.metadata.term == meta->term);
    raft_free(update->snapshot.chunk.base);
    raft_configuration_close(&update->snapshot.metadata.configuration);
    raft_drop_draft(d);
    d->install = *meta;
    d->installing = true;
    if (d->incarnation == 0)
        d->incarnation = d->incoming.incarnation;
    d->counters.installs_received++;
    raft_log_reset(&d->log, meta->index + 1);
    clip_pending(d, 1);
    if (!push(d, (struct raft_pending){.op = REPL_STORAGE_INSTALL, .index = meta->index}))
        return false;
    d->storage.install(d->storage.self, &d->install);
    return true;
}

void raft_queue_discard(struct raft_driver *d, const struct repl_snapshot_meta *meta)
{
    if (!push(d, (struct raft_pending){
                     .op = REPL_STORAGE_INSTALL, .index = meta->index, .discard = true})) {
        raft_fail(d, "out of memory");
        return;
    }
    d->storage.install(d->storage.self, meta);
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
    d->installing = d->repairing = false;
    d->restoring = true; /* first of all that is delivered next */
    if (raft_core_step(d, &event, NULL) != 0)
        raft_fail(d, "the core refused a stored snapshot");
}

/* A snapshot, ours or a peer's, finds no room. The node goes on with the log that it has. */
static void drafted_in_vain(struct raft_driver *d, enum repl_draft draft)
{
    d->no_room = true;
    if (draft == REPL_DRAFT_RECEIVED) { /* its sender tries again, not at once */
        d->deaf_until_ms = d->now_ms + d->options.install_timeout_ms / 10;
        d->storage.draft_drop(d->storage.self, draft);
        d->incoming = (struct raft_incoming){0};
        return;
    }
    HF_ASSERT(d->drafting);
    if (d->repair_draft) {
        d->deaf_until_ms = d->now_ms + d->options.install_timeout_ms / 10;
        d->incoming = (struct raft_incoming){0};
        raft_repair_drop(d);
        return;
    }
    raft_drop_draft(d);
    d->taken_result = RAFT_DRIVER_FULL;
}

/* Bytes of a draft are on the disk; ours becomes the snapshot once all of it is. */
static void drafted(struct raft_driver *d, const struct repl_storage_done *done)
{
    if (done->status == REPL_STORAGE_FULL) {
        drafted_in_vain(d, done->draft);
        return;
    }
    if (done->closed)
        d->no_room = false;
    if (done->draft == REPL_DRAFT_RECEIVED) {
        raft_install_drafted(d, done);
        return;
    }
    HF_ASSERT(d->drafting && done->index == d->taking.index);
    d->draft_stored = done->offset;
    if (d->repair_draft)
        raft_install_drafted(d, done);
    if (!done->closed)
        return;
    d->drafting = false;
    if (!push(d, (struct raft_pending){.op = REPL_STORAGE_SNAPSHOT, .index = d->taking.index})) {
        raft_fail(d, "out of memory");
        return;
    }
    d->storage.snapshot(d->storage.self, &d->taking);
}

/* Beside the log: these complete in an order of their own. */
static bool beside_the_log(struct raft_driver *d, const struct repl_storage_done *done)
{
    if (done->op != REPL_STORAGE_DRAFT && done->op != REPL_STORAGE_READ)
        return false;
    if (done->status == REPL_STORAGE_FAILED)
        raft_fail(d, done->op == REPL_STORAGE_READ ? "a read failed" : "a write failed");
    else if (!d->failed && done->op == REPL_STORAGE_READ)
        raft_install_read(d, done);
    else if (!d->failed)
        drafted(d, done);
    return true;
}

/* How many entries stay behind the snapshot: an entry may be a megabyte. All of them where it may not
 * stand in for them (raft_driver_vouch). */
static unsigned trailing_of(const struct raft_driver *d)
{
    bool all = d->taking.index > d->vouched;
    uint64_t bytes = 0;
    unsigned n = 0;
    for (uint64_t i = d->taking.index; all || n < d->options.trailing; i--) {
        const struct raft_log_entry *entry = raft_log_get(&d->log, i);
        if (entry == NULL)
            break;
        bytes += entry->len;
        if (!all && n > 0 && bytes > d->options.trailing_bytes)
            break;
        n++;
    }
    return n;
}

static void snapshot_durable(struct raft_driver *d)
{
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    bool overtaken = raft_snapshot_overtaken(d);
    d->taken_index = d->taking.index;
    d->taken_result = RAFT_DRIVER_LOST;
    if (!overtaken) {
        struct raft_snapshot_metadata *meta = &event.snapshot.metadata;
        if (!raft_core_configuration(&d->taking.configuration, &meta->configuration)) {
            raft_fail(d, "out of memory");
            return;
        }
        meta->index = d->taking.index;
        meta->term = d->taking.term;
        meta->configuration_index = d->taking.configuration.index;
        event.snapshot.trailing = trailing_of(d);
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
    raft_repair_stored(d, overtaken);
    d->taking = (struct repl_snapshot_meta){0};
}

void raft_driver_storage_done(struct raft_driver *d, uint64_t now_ms,
                              const struct repl_storage_done *done)
{
    HF_ASSERT(d->started && !d->stepping && !d->delivering);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    if (beside_the_log(d, done)) {
        raft_settle(d);
        return;
    }
    HF_ASSERT(d->pending_count > 0);
    struct raft_pending op = *pending_at(d, 0);
    d->pending_head = (d->pending_head + 1) & (d->pending_capacity - 1);
    d->pending_count--;
    HF_ASSERT(done->op == op.op && done->index == op.index);
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
        case REPL_STORAGE_DISTRUST:
            d->distrusts_done++;
            break;
        case REPL_STORAGE_SNAPSHOT:
            snapshot_durable(d);
            break;
        case REPL_STORAGE_INSTALL:
            if (!op.discard)
                install_durable(d);
            break;
        case REPL_STORAGE_DRAFT:
        case REPL_STORAGE_READ:
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

enum raft_driver_result raft_driver_snapshot_begin(struct raft_driver *d, uint64_t now_ms,
                                                   uint64_t index)
{
    HF_ASSERT(d->started && !d->stepping);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    if (d->failed)
        return RAFT_DRIVER_FAILED;
    if (d->installing || d->restoring || d->paused || d->taking.index != 0 || d->taken_index != 0)
        return RAFT_DRIVER_BUSY;
    const struct raft_log_entry *entry = raft_log_get(&d->log, index);
    if (index > d->applied || index <= d->snapshot.index || entry == NULL)
        return RAFT_DRIVER_INVALID;
    d->taking = (struct repl_snapshot_meta){
        .index = index, .term = entry->term, .configuration = raft_configuration_at(d, index)};
    HF_ASSERT(d->taking.configuration.n_servers > 0); /* entry 1 is one */
    d->drafting = true;
    d->draft_written = d->draft_stored = 0;
    d->storage.draft_begin(d->storage.self, REPL_DRAFT_OWN, &d->taking);
    return RAFT_DRIVER_OK;
}

bool raft_driver_snapshot_write(struct raft_driver *d, uint64_t index, struct span data)
{
    if (!d->drafting || d->taking.index != index || d->failed)
        return false;
    HF_ASSERT(data.len <= REPL_MAX_SNAPSHOT_BYTES - d->draft_written);
    d->draft_written += data.len;
    d->storage.draft_write(d->storage.self, REPL_DRAFT_OWN, data);
    return true;
}

bool raft_driver_no_room(const struct raft_driver *d)
{
    return d->no_room;
}

size_t raft_driver_snapshot_unwritten(const struct raft_driver *d)
{
    return d->drafting ? (size_t)(d->draft_written - d->draft_stored) : 0;
}

void raft_driver_snapshot_end(struct raft_driver *d, uint64_t index)
{
    if (d->drafting && d->taking.index == index && !d->failed)
        d->storage.draft_close(d->storage.self, REPL_DRAFT_OWN);
}

/* Its maker hears of it by snapshot_taken(LOST). */
void raft_drop_draft(struct raft_driver *d)
{
    if (!d->drafting)
        return;
    d->repair_draft = false;
    d->storage.draft_drop(d->storage.self, REPL_DRAFT_OWN);
    d->taken_index = d->taking.index;
    d->taken_result = RAFT_DRIVER_LOST;
    d->taking = (struct repl_snapshot_meta){0};
    d->drafting = false;
}

void raft_driver_snapshot_drop(struct raft_driver *d, uint64_t index)
{
    if (d->drafting && d->taking.index == index && !d->failed)
        raft_drop_draft(d);
    raft_settle(d);
}

enum raft_driver_result raft_driver_snapshot_take(struct raft_driver *d, uint64_t now_ms,
                                                  uint64_t index, struct span data)
{
    enum raft_driver_result result = data.len > REPL_MAX_SNAPSHOT_BYTES
                                         ? RAFT_DRIVER_INVALID
                                         : raft_driver_snapshot_begin(d, now_ms, index);
    if (result == RAFT_DRIVER_OK) {
        (void)raft_driver_snapshot_write(d, index, data);
        raft_driver_snapshot_end(d, index);
    }
    return result;
}
