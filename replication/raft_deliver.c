#include "replication/raft_internal.h"

#include <stdlib.h>

static enum raft_driver_state state_of(const struct raft_driver *d)
{
    switch (d->raft.state) {
    case RAFT_LEADER:
        return RAFT_DRIVER_LEADER;
    case RAFT_CANDIDATE:
        return RAFT_DRIVER_CANDIDATE;
    default:
        return RAFT_DRIVER_FOLLOWER;
    }
}

/* The core keeps a former term's leader until the next one speaks; we do not. */
static uint32_t leader_of(const struct raft_driver *d)
{
    if (d->raft.state == RAFT_LEADER)
        return d->options.node;
    if (d->raft.state != RAFT_FOLLOWER || d->leader_term != d->raft.current_term)
        return 0;
    return (uint32_t)d->raft.follower_state.current_leader.id;
}

struct raft_driver_status raft_driver_status(const struct raft_driver *d)
{
    struct raft_driver_status s = {.state = state_of(d), .role = RAFT_DRIVER_NO_MEMBER};
    const struct raft_configuration *c = &d->raft.configuration;
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id == d->options.node)
            s.role = (uint8_t)c->servers[i].role;
    s.leader = leader_of(d);
    s.term = d->raft.current_term;
    s.own_term_committed =
        s.state == RAFT_DRIVER_LEADER && d->own_term_applied == s.term && s.term > 0;
    s.last_index = raft_log_last(&d->log);
    s.last_stored = d->raft.last_stored;
    s.commit_index = d->commit;
    s.applied_index = d->applied;
    s.snapshot_index = d->snapshot.index;
    s.log_entries = d->log.count;
    s.log_bytes = d->log.bytes;
    s.installing = d->installing || d->restoring || d->paused;
    s.snapshotting = d->taking.index != 0;
    s.transferring_to = d->transfer.node;
    s.muted = d->muted;
    s.awaits = raft_found_awaits(d);
    s.changing = d->change.phase != RAFT_CHANGE_NONE;
    s.configuration_index = d->raft.configuration_uncommitted_index != 0
                                ? d->raft.configuration_uncommitted_index
                                : d->raft.configuration_committed_index;
    return s;
}

static bool tell_state(struct raft_driver *d)
{
    struct raft_driver_status now = raft_driver_status(d);
    const struct raft_driver_status *told = &d->told;
    if (now.state == told->state && now.role == told->role && now.leader == told->leader &&
        now.term == told->term && now.own_term_committed == told->own_term_committed &&
        now.muted == told->muted && now.awaits == told->awaits)
        return false;
    d->told = now;
    if (d->callbacks.state != NULL)
        d->callbacks.state(d->callbacks.self, &now);
    return true;
}

static void tell_configuration(struct raft_driver *d,
                               const struct repl_configuration *configuration)
{
    d->configuration = *configuration;
    if (d->callbacks.configuration != NULL)
        d->callbacks.configuration(d->callbacks.self, &d->configuration);
}

static bool restore(struct raft_driver *d)
{
    if (!d->restoring)
        return false;
    struct repl_snapshot_meta meta = d->install;
    uint8_t *data = d->install_data;
    d->restoring = false;
    d->install_data = NULL;
    HF_ASSERT(meta.index > d->applied || d->applied == 0);
    d->applied = meta.index;
    d->callbacks.restore(d->callbacks.self, &meta,
                         span_of(data, data == NULL ? 0 : d->install_len));
    free(data);
    tell_configuration(d, &meta.configuration);
    return true;
}

static bool apply_one(struct raft_driver *d)
{
    if (d->installing || d->restoring || d->paused || d->applied >= d->commit)
        return false;
    d->more = d->apply_entries >= RAFT_APPLY_ENTRIES || d->apply_bytes >= RAFT_APPLY_BYTES;
    if (d->more) /* a backlog must not keep the loop from its heartbeats */
        return false;
    uint64_t index = d->applied + 1;
    const struct raft_log_entry *entry = raft_log_get(&d->log, index);
    HF_ASSERT(entry != NULL);
    d->apply_entries++;
    d->apply_bytes += entry->len;
    struct repl_entry given = {.term = entry->term, .kind = entry->kind};
    struct span data = span_of(entry->data, entry->len);
    d->applied = index;
    d->counters.applied++;
    if (d->raft.state == RAFT_LEADER && entry->term == d->raft.current_term)
        d->own_term_applied = entry->term;
    if (given.kind == REPL_ENTRY_COMMAND)
        given.data = raft_command_get(data);
    struct repl_configuration c = {0};
    if (given.kind == REPL_ENTRY_CHANGE) {
        bool valid = raft_configuration_take(&data, &c);
        HF_ASSERT(valid);
        c.index = index;
        d->counters.changes_committed++;
    }
    d->callbacks.apply(d->callbacks.self, index, &given);
    if (given.kind == REPL_ENTRY_CHANGE)
        tell_configuration(d, &c);
    return true;
}

static bool tell_ends(struct raft_driver *d)
{
    if (d->taken_index != 0) {
        uint64_t index = d->taken_index;
        d->taken_index = 0;
        if (d->callbacks.snapshot_taken != NULL)
            d->callbacks.snapshot_taken(d->callbacks.self, index, d->taken_result);
        return true;
    }
    if (d->change.phase == RAFT_CHANGE_ENDED) {
        d->change.phase = RAFT_CHANGE_NONE;
        if (d->callbacks.changed != NULL)
            d->callbacks.changed(d->callbacks.self, d->change.result);
        return true;
    }
    if (d->transfer.ended) {
        uint32_t node = d->transfer.node;
        d->transfer.ended = false;
        d->transfer.node = 0;
        if (d->callbacks.transferred != NULL)
            d->callbacks.transferred(d->callbacks.self, node, d->transfer.result);
        return true;
    }
    return false;
}

void raft_deliver(struct raft_driver *d)
{
    if (d->delivering || !d->started)
        return; /* called from within a callback: the outer loop goes on */
    d->delivering = true;
    d->more = false;
    d->apply_entries = d->apply_bytes = 0;
    for (bool more = true; more;) {
        if (d->failed) {
            bool tell = !d->failed_told && d->callbacks.failed != NULL;
            d->failed_told = true;
            if (tell)
                d->callbacks.failed(d->callbacks.self, d->why);
            break;
        }
        more = tell_state(d) || restore(d) || apply_one(d);
        if (!more) {
            raft_change_poll(d);
            raft_transfer_poll(d);
            more = tell_ends(d);
        }
    }
    d->delivering = false;
}

void raft_driver_hold(struct raft_driver *d, uint64_t now_ms, bool hold)
{
    HF_ASSERT(d->started && !d->stepping);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    d->paused = hold;
    raft_settle(d);
}
