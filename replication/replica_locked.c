/* A node that lacks a session's key: it applies nothing more, owns, promises and gives nothing, until
 *
 *   the key comes ─────────────────────> what waits is applied, and the log goes on
 *   a snapshot is installed meanwhile ──> what waited is of no interest any more
 *   a majority lacks it, too ───────────> blind: records of sessions are left out, all else is
 *                                         applied, until the record that says that the key is lost.
 *                                         That ends all sessions, on every node: then all are one
 *                                         state again.
 *
 * A blind node shows nothing and decides nothing but the next key (replica_session.c). If the key
 * does come, it starts anew from its disk, for it left out what it could have had.
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
    r->locked.want = want;
    r->locked.since_ns = r->now_ns;
    replica_set_add(&r->locked.lacks, r->options.node);
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

void replica_lock_unused(struct replica *r)
{
    uint64_t id = r->fsm.session_key;

    if (r->options.ring == NULL || id == 0 || seal_ring_has(r->options.ring, id) ||
        !replica_sees(r) || !r->ownership.confirmed || r->diverged)
        return;
    r->locked.unused = true;
    begin(r, id);
}

/* It was not lost to those who changed it. Who has the next one has a state in which all was judged
 * that is left out here; if nobody has, that one is lost in its turn. */
void replica_blind_moved(struct replica *r)
{
    if (r->blind == 0 || r->restoring != NULL || r->locked.want != 0 ||
        r->fsm.session_key == r->blind)
        return;
    if (seal_ring_has(r->options.ring, r->fsm.session_key)) {
        replica_await_state(r);
        return;
    }
    r->locked.unused = true;
    begin(r, r->fsm.session_key);
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

/* Nobody can be asked any more, or those that cannot be reached had their time. */
static bool is_lost(const struct replica *r)
{
    size_t voters;
    size_t n = replica_set_voters(r, &r->locked.lacks, &voters);

    return n > voters / 2 &&
           (n == voters || r->now_ns - r->locked.since_ns >= LOST_WAIT_MS * 1000000ull);
}

void replica_locked_poll(struct replica *r)
{
    if (r->locked.want == 0 || !is_lost(r))
        return;
    replica_log(r, REPL_LOG_WARN,
                "a majority lacks the sealing key %016llx: what was sealed with it is left out",
                (unsigned long long)r->locked.want);
    r->blind = r->locked.want;
    go_on(r);
}
