/* Where nobody can tell a node any more that a session's keys have ended, it ends them by itself.
 *
 *   own LEAVE applied, and it leads no more ─> its sessions end, keys are wiped (ring and memfd); it
 *   or it stands in a snapshot that cannot    applies nothing after that; it stores and votes until no
 *   be opened here                            configuration has it
 *      └─ its log has become long ─> the leader's snapshot takes that one's place on the disk, unread
 *   nothing applied for key_age + FORGET_MS  ─> keys are wiped, and the process starts anew from its
 *                       disk, so that nothing else of its memory stays either
 *
 * The second is the node that was cut off, stopped, or removed without hearing of it. Meanwhile the others
 * have changed the key; if there are no others that could, every client has long given up. Back with a
 * majority it is given the key, or a snapshot (replica_rotate.c), or all sessions end (replica_locked.c).
 * Time decides about secrecy alone here: what is wiped too early costs sessions, never a number used
 * twice.
 */
#include <stdlib.h>

#include "replication/replica_parts.h"

static const uint64_t NS_PER_MS = 1000000;

static bool knows_it_left(const struct replica *r)
{
    const struct fsm_member *m = fsm_member(&r->fsm, r->options.node);

    return m != NULL && m->left;
}

static void drop_snapshot(struct replica *r)
{
    uint64_t taking = r->taking == NULL ? 0 : r->taking->index;

    replica_drop_snapshot(r);
    if (taking != 0)
        raft_driver_snapshot_drop(r->driver, taking);
}

/* What waits was sealed with a key that is gone, or asks for something that a member only may. */
static void give_up_requests(struct replica *r)
{
    struct outbox_item *item, gone;

    for (uint64_t at = 0; (item = outbox_each(r->outbox, &at)) != NULL;)
        if (outbox_settle(r->outbox, item->request, &gone)) {
            free(gone.bytes);
            replica_emit(r, (struct repl_event){.kind = REPL_EV_UNSETTLED,
                                                .request = gone.request,
                                                .effects = gone.effects,
                                                .mine = true});
        }
}

static void forget(struct replica *r)
{
    replica_log(r, REPL_LOG_INFO,
                "this node has left the cluster: its sessions and keys are wiped");
    drop_snapshot(r);
    replica_locked_drop(r);
    r->blind = 0;
    replica_session_none_needed(r);
    r->halted = true;
    replica_state_again(r);
    ownership_disown(&r->ownership);
    replica_publish_leases(r);
    give_up_requests(r);
    fsm_forget(&r->fsm);
    replica_reset(r);
    r->sessionless = true;
    r->forgotten = true;
}

void replica_forget_left(struct replica *r)
{
    if (!r->forgotten && r->raft.state != RAFT_DRIVER_LEADER && !r->telling &&
        r->restoring == NULL && knows_it_left(r))
        forget(r);
}

/* It is given no key any more, so it never could: who waits for one sees nothing, and promises nothing. */
bool replica_forget_unread(struct replica *r)
{
    if (!replica_has_left(r, r->options.node))
        return false;
    forget(r);
    return true;
}

/* --- its log, while no majority is without it --- */

/* Of a state that it has not got it makes no snapshot. So it waits for the leader's as one does whose state
 * was outvoted (digest.md): whole, for it may be one of the majority that has it. Twice as long as one has
 * to be for a snapshot, the leader's is newer than the one here by about as much. */
void replica_forget_log(struct replica *r)
{
    struct raft_driver_status s = raft_driver_status(r->driver);
    uint64_t behind = s.applied_index - s.snapshot_index;

    if (!r->forgotten || r->keeps_above != 0 || s.installing ||
        (behind / 2 < r->options.snapshot_entries && s.log_bytes / 2 < r->options.snapshot_bytes))
        return;
    r->keeps_above = s.applied_index;
    raft_driver_mistrust(r->driver, r->now_ns / NS_PER_MS);
}

void replica_forget_restore(struct replica *r)
{
    r->keeps_above = 0;
    raft_driver_hold(r->driver, r->now_ns / NS_PER_MS, false);
}

/* --- keys that are too old --- */

static bool has_session_key(const struct replica *r)
{
    uint64_t id;

    return r->options.ring != NULL && seal_ring_list(r->options.ring, SEAL_SESSION, &id, 1) > 0;
}

/* A start does not begin that time anew for keys that were kept over it: a program that ends at each
 * start would keep them for ever. */
uint64_t replica_forgets_ns(const struct replica *r)
{
    uint64_t from_now = r->applied_ns + (r->options.key_age_ms + FORGET_MS) * NS_PER_MS;

    if (r->options.key_age_ms == 0)
        return 0;
    return r->kept_until_ns != 0 && r->kept_until_ns < from_now ? r->kept_until_ns : from_now;
}

void replica_forget_old(struct replica *r)
{
    uint64_t at_ns = replica_forgets_ns(r);

    if (r->failed || at_ns == 0 || r->now_ns < at_ns || !has_session_key(r))
        return;
    replica_session_none_needed(r);
    replica_fail(r, "nothing was heard of the cluster for longer than a key of sessions is in use: "
                    "its keys are wiped here, starting anew");
}
