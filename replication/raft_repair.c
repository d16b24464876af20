/* A sound state in place of one that went wrong (I11), the log and the vote kept: a node that emptied
 * its log would count for nothing (I10), and nothing is wrong with the log.
 *
 *   node     wrong at index A: applies nothing more, its log goes on ─> asks
 *   leader   a snapshot S > A of its own, sent in the pieces of raft_install.c
 *   node     takes it for a snapshot that it made itself: entry S stands in its log, committed.
 *            draft ─> renamed ─> log behind it trimmed ─> restore(S) ─> goes on at S + 1
 *
 * libraft sees RAFT_SNAPSHOT, never an install: to it nothing was lost. A node that lags so far that
 * its log lacks S gets an ordinary install.
 */
#include "replication/raft_internal.h"

void raft_driver_mistrust(struct raft_driver *d, uint64_t now_ms)
{
    HF_ASSERT(d->started && !d->stepping);
    d->repairing = true;
    raft_driver_hold(d, now_ms, true);
}

enum raft_driver_result raft_driver_repair(struct raft_driver *d, uint64_t now_ms, uint32_t node,
                                           uint64_t above)
{
    HF_ASSERT(d->started && !d->stepping);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    if (d->failed)
        return RAFT_DRIVER_FAILED;
    if (d->raft.state != RAFT_LEADER)
        return RAFT_DRIVER_NOT_LEADER;
    if (d->snapshot.index <= above)
        return RAFT_DRIVER_INVALID;
    if (raft_driver_match(d, node) < d->snapshot.index)
        return RAFT_DRIVER_BUSY; /* it gets the entries first, or an ordinary install */
    raft_install_repair(d, node);
    return RAFT_DRIVER_OK;
}

/* Is this the snapshot that it waits for? */
bool raft_repairs(const struct raft_driver *d, const struct raft_frame *f)
{
    return d->repairing && f->index > d->applied && f->index > d->snapshot.index &&
           f->index <= d->commit && raft_driver_term_of(d, f->index) == f->index_term;
}

/* ... but this node has not heard yet that it is committed: the sender tries again. */
bool raft_repairs_later(const struct raft_driver *d, const struct raft_frame *f)
{
    return d->repairing && f->index > d->commit &&
           raft_driver_term_of(d, f->index) == f->index_term;
}

void raft_repair_drop(struct raft_driver *d)
{
    if (!d->repair_draft || !d->drafting) /* none, or being renamed: raft_repair_stored() */
        return;
    d->repair_draft = false;
    d->storage.draft_drop(d->storage.self, REPL_DRAFT_OWN);
    d->taking = (struct repl_snapshot_meta){0};
    d->drafting = false;
}

bool raft_repair_begin(struct raft_driver *d, const struct repl_snapshot_meta *meta)
{
    raft_repair_drop(d);
    if (d->taking.index != 0 || d->taken_index != 0)
        return false; /* one of ours is on its way to the disk: the sender tries again */
    d->taking = *meta;
    d->taking.configuration = raft_configuration_at(d, meta->index);
    d->drafting = d->repair_draft = true;
    d->draft_written = d->draft_stored = 0;
    d->storage.draft_begin(d->storage.self, REPL_DRAFT_OWN, &d->taking);
    return true;
}

/* It is the snapshot now. */
void raft_repair_stored(struct raft_driver *d, bool overtaken)
{
    if (!d->repair_draft)
        return;
    d->repair_draft = false;
    if (overtaken)
        return;
    d->repairing = false;
    d->install = d->snapshot;
    d->restoring = true;
}
