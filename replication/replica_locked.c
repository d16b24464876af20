/* A node that lacks a session's key: it applies nothing more, owns, promises and gives nothing, until
 *
 *   the key comes ───────────────────────> what waits is applied, and the log goes on
 *   a snapshot is installed meanwhile ────> what waited is of no interest any more
 *   one that can go on needs it no more ──> that one's snapshot is awaited (replica_rotate.c)
 *   a majority cannot go on (replica_lost.c) ─> blind: whatever sessions' keys sealed is left out,
 *                                         all else is applied, until the record that says that they
 *                                         are lost. That ends all sessions, on every node: then all
 *                                         are one state again.
 *
 * Where sessions were left out the state is nobody's: a blind node shows nothing and decides nothing but
 * the next key (replica_session.c), whatever became of the one that it lacked. If that comes after all,
 * it starts anew from its disk, for it left out what it could have had.
 */
#include <stdlib.h>

#include "base/secret.h"
#include "replication/replica_parts.h"

bool replica_sees(const struct replica *r)
{
    return r->locked.want == 0 && r->blind == 0;
}

static void forget(struct replica *r)
{
    free(r->locked.entry);
    r->locked = (struct replica_locked){0};
}

void replica_locked_drop(struct replica *r)
{
    forget(r);
}

static void begin(struct replica *r, uint64_t want)
{
    r->awaits_above = 0; /* a snapshot came, and another key is lacking to read it */
    r->locked.want = want;
    replica_need_key(r, want);
    replica_log(r, REPL_LOG_WARN, "the sealing key %016llx is not here: asking the other nodes",
                (unsigned long long)want);
    raft_driver_hold(r->driver, r->now_ns / 1000000, true);
    r->asked_ns = 0;
}

void replica_lock_entry(struct replica *r, uint64_t want, uint64_t index, struct span entry)
{
    r->locked.index = index;
    r->locked.entry = repl_copy(entry.data, entry.len);
    r->locked.len = entry.len;
    begin(r, want);
}

void replica_lock_snapshot(struct replica *r, uint64_t want, const struct repl_snapshot_meta *meta)
{
    r->locked.meta = *meta;
    begin(r, want);
}

/* Not while a state is restored or told: that one may name another key, and the end of the telling goes on
 * with the log, whatever became of the lock meanwhile. */
void replica_lock_unused(struct replica *r)
{
    uint64_t id = r->fsm.session_key;

    if (r->options.ring == NULL || id == 0 || seal_ring_has(r->options.ring, id) ||
        !replica_sees(r) || !r->ownership.confirmed || r->diverged || r->restoring != NULL ||
        r->telling)
        return;
    r->locked.unused = true;
    begin(r, id);
}

static void go_on(struct replica *r)
{
    struct replica_locked was = r->locked;

    r->locked = (struct replica_locked){0};
    if (was.entry == NULL && !was.unused) {
        replica_restore(r, &was.meta);
        return;
    }
    if (was.entry != NULL)
        replica_apply_entry(r, was.index, span_of(was.entry, was.len));
    free(was.entry);
    if (r->locked.want == 0 && !r->telling)
        raft_driver_hold(r->driver, r->now_ns / 1000000, false);
    replica_state_again(r);
}

void replica_unlock(struct replica *r, uint64_t id)
{
    if (r->locked.want == id && id != 0)
        go_on(r);
}

void replica_locked_poll(struct replica *r)
{
    if (!replica_is_stuck(r))
        return;
    replica_need_poll(r);
    if (!replica_is_lost(r) || r->restoring != NULL)
        return;
    if (r->awaits_above != 0) {
        /* What it had in front of what it cannot open is on its disk, to begin with again. */
        replica_fail(r, "nobody has a state to give to this node any more: starting anew");
    } else if (r->locked.want != 0) {
        replica_log(r, REPL_LOG_WARN,
                    "a majority cannot go on without the sealing key %016llx: what sessions' keys "
                    "sealed is left out",
                    (unsigned long long)r->locked.want);
        r->blind = r->locked.want;
        r->sessionless = true;
        r->diverged = false; /* what was, a snapshot that it got takes the place of now */
        go_on(r);
    }
}
