/* A node that may have lost what it acknowledged counts for nothing (I10): it neither votes nor
 * campaigns nor leads, and no copy of its counts, until a majority without it has shown what it has
 * to have. tests/model/quorum.pml is this, searched exhaustively.
 *
 *   muted node                                 leader
 *   APPEND_RESULT, flag "does not count" ─────> forgets what the node had acknowledged before, and
 *        (filled as any follower)               appends a barrier for that start of it (boot id)
 *                                               counts the others alone: the barrier is committed
 *   has the barrier stored?  <──────── TRUST    by a majority without it, in the leader's own term
 *   counts as having voted for that leader in that term, lifts the mark on its disk, and is a node
 *   like others
 *
 * Why a barrier appended since its start, and not the commit index as it is: an entry that it once
 * acknowledged and lost, not committed yet, stands in the leader's match index, and would be
 * committed by a copy that is not there. The barrier lies behind all such entries.
 *
 * A directory that was just made is muted too, for nobody can tell it from one made anew under an id
 * that has acknowledged something. A cluster's beginning is raft_found.c's.
 *
 * libraft counts by match indexes and never lowers one. So what it commits is taken back here as far
 * as others alone did not store it (nothing of it has left: this comes before the messages do), and
 * a match index from before is put to 0 in its private struct, whose shape is asserted at each use.
 */
#include "replication/raft_internal.h"

/* Rules that the test library can take away, one by one, as it does with wraps: each must be
 * noticed. */
enum {
    RULE_MUTE = 21,     /* the node itself neither votes nor campaigns */
    RULE_COUNT = 22,    /* the leader does not count it */
    RULE_BARRIER = 23,  /* trusted by a barrier of its present start, not by the commit index */
    RULE_MAJORITY = 24, /* ... that others have committed */
    RULE_CHANGE = 28    /* no change after which those that count are no majority */
};

const char *repl_distrust_name(enum repl_distrust why)
{
    static const char *const names[REPL_DISTRUSTS] = {
        [REPL_TRUSTED] = "",
        [REPL_DISTRUST_SUFFIX] = "the end of its log is lost",
        [REPL_DISTRUST_VOTE] = "its vote is older than its log",
        [REPL_DISTRUST_BOOT] = "its machine started anew",
        [REPL_DISTRUST_OPERATOR] = "an operator distrusts its disk",
        [REPL_DISTRUST_NEW] = "its data directory is new",
        [REPL_DISTRUST_AGREED] = "its data directory is new, and its cluster begins",
        [REPL_DISTRUST_ROLLED_BACK] = "its machine was rolled back, or is a copy",
        [REPL_DISTRUST_PEER] = "it has less than it once acknowledged to the leader"};

    return why < REPL_DISTRUSTS ? names[why] : "";
}

/* libraft 0.22's record of a follower (src/progress.h); the version is pinned at compile time. */
struct progress {
    unsigned short state, catch_up, features, capacity;
    raft_index next_index, match_index;
    raft_time last_send, last_recv;
    struct {
        raft_index index;
        raft_time last_send;
    } snapshot;
};

enum { PROGRESS_PROBE = 0 };

static bool leads(const struct raft_driver *d)
{
    return d->raft.state == RAFT_LEADER;
}

/* The leader asks anew how far its log goes, as a new leader would. */
static void forget_match(struct raft_driver *d, uint32_t node)
{
    struct progress *all = (struct progress *)(void *)d->raft.leader_state.progress;
    const struct raft_configuration *c = &d->raft.configuration;
    uint64_t last = raft_log_last(&d->log);

    for (unsigned i = 0; i < c->n; i++) {
        raft_index match = 0;
        int rv = raft_match_index(&d->raft, c->servers[i].id, &match);

        HF_ASSERT(rv == 0 && all[i].match_index == match && all[i].next_index <= last + 1 &&
                  all[i].state <= 2);
        if (c->servers[i].id != node)
            continue;
        all[i].state = PROGRESS_PROBE;
        all[i].next_index = last + 1;
        all[i].match_index = 0;
        all[i].snapshot.index = 0;
    }
}

static const struct raft_peer *known(const struct raft_driver *d, uint32_t node)
{
    for (size_t i = 0; i < RAFT_MAX_PEERS; i++)
        if (d->peers[i].node == node)
            return &d->peers[i];
    return NULL;
}

static bool counts(const struct raft_driver *d, uint32_t node)
{
    const struct raft_peer *p = known(d, node);

    return p == NULL || p->doubt == RAFT_DOUBT_NONE || !RAFT_WRAPPED(d, RULE_COUNT);
}

uint64_t raft_filled(const struct raft_driver *d, uint32_t node)
{
    raft_index index = 0;

    if (!leads(d) || raft_match_index(&d->raft, node, &index) != 0)
        return 0;
    return index;
}

uint64_t raft_driver_match(const struct raft_driver *d, uint32_t node)
{
    return counts(d, node) ? raft_filled(d, node) : 0;
}

bool raft_driver_counts(const struct raft_driver *d, uint32_t node)
{
    return node == d->options.node ? d->muted == REPL_TRUSTED : counts(d, node);
}

void raft_hears(struct raft_driver *d, uint32_t from)
{
    struct raft_peer *p = raft_peer_of(d, from);

    p->heard = true;
    p->heard_ms = d->now_ms;
}

/* A leader hears each voter that lives with every heartbeat; one that is new to its office knows of
 * nobody for a moment, and waits. */
static bool lives(const struct raft_driver *d, uint32_t node)
{
    const struct raft_peer *p = known(d, node);

    return node == d->options.node || !RAFT_WRAPPED(d, RAFT_RULE_PROOF) ||
           (p != NULL && p->heard && d->now_ms - p->heard_ms <= d->options.election_ms);
}

bool raft_counts_on(const struct raft_driver *d, const struct repl_configuration *next)
{
    unsigned voters = 0, counting = 0;

    for (unsigned i = 0; i < next->n_servers; i++) {
        uint32_t node = next->servers[i].node;
        bool voter = next->servers[i].role == RAFT_DRIVER_VOTER;

        voters += voter;
        counting += voter && raft_driver_counts(d, node) && lives(d, node);
    }
    return counting > voters / 2 || !RAFT_WRAPPED(d, RULE_CHANGE);
}

bool raft_stored_by(const struct raft_driver *d, const struct repl_configuration *next,
                    uint64_t index)
{
    unsigned voters = 0, have = 0;

    for (unsigned i = 0; i < next->n_servers; i++) {
        uint32_t node = next->servers[i].node;
        bool voter = next->servers[i].role == RAFT_DRIVER_VOTER;

        voters += voter;
        have += voter && raft_driver_counts(d, node) && raft_filled(d, node) >= index;
    }
    return have > voters / 2;
}

/* --- the leader --- */

static void send_trust(struct raft_driver *d, uint32_t node, uint64_t boot, uint64_t barrier)
{
    struct raft_frame f = raft_frame_begin(d, RAFT_FRAME_TRUST, d->raft.current_term);

    f.peer_boot = boot;
    f.index = barrier;
    f.index_term = d->raft.current_term;
    (void)raft_send_small(d, node, &f);
}

/* Its own results show that it has less than it had. Only who leads knows, and only as long: a node
 * that was rolled back whole is found out by nobody else. */
static void doubt(struct raft_driver *d, struct raft_peer *p, uint32_t node,
                  const struct raft_frame *f)
{
    p->doubt = RAFT_DOUBT_TELL;
    p->doubt_boot = f->boot;
    p->acknowledged = raft_filled(d, node);
    d->counters.doubted++;
    forget_match(d, node);
    if (d->callbacks.doubted != NULL)
        d->callbacks.doubted(d->callbacks.self, node, p->acknowledged, f->index);
}

static void tell(struct raft_driver *d, const struct raft_peer *p, uint32_t node)
{
    struct raft_frame f = raft_frame_begin(d, RAFT_FRAME_DISTRUST, d->raft.current_term);

    f.peer_boot = p->doubt_boot;
    f.index = p->acknowledged;
    (void)raft_send_small(d, node, &f);
}

static void answer_muted(struct raft_driver *d, const struct raft_peer *p, uint32_t node)
{
    bool made = p->barrier != 0 && p->barrier_term == d->raft.current_term;

    if (!RAFT_WRAPPED(d, RULE_BARRIER))
        send_trust(d, node, p->doubt_boot, d->commit > 0 ? d->commit : 1);
    else if (made && (d->commit >= p->barrier || !RAFT_WRAPPED(d, RULE_MAJORITY)))
        send_trust(d, node, p->doubt_boot, p->barrier);
}

void raft_weigh_result(struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    struct raft_peer *p = raft_peer_of(d, from);
    bool ours = leads(d) && f->term == d->raft.current_term;

    if (p->doubt != RAFT_DOUBT_NONE && p->doubt_boot != f->boot)
        p->doubt = RAFT_DOUBT_NONE; /* another start of it: what its disk says now counts */
    if (f->muted && p->doubt != RAFT_DOUBT_MUTED) {
        p->doubt = RAFT_DOUBT_MUTED;
        p->doubt_boot = f->boot;
        p->barrier = 0;
        if (ours)
            forget_match(d, from);
    } else if (!f->muted && p->doubt == RAFT_DOUBT_MUTED) {
        p->doubt = RAFT_DOUBT_NONE; /* it was trusted, here or by another leader */
    }
    if (!ours)
        return;
    /* What it acknowledged to us it would never refuse, but that it lost it. */
    if (!f->muted && f->rejected > 0 && f->index < raft_filled(d, from) &&
        p->doubt == RAFT_DOUBT_NONE)
        doubt(d, p, from, f);
    if (p->doubt == RAFT_DOUBT_TELL)
        tell(d, p, from);
    else if (p->doubt == RAFT_DOUBT_MUTED)
        answer_muted(d, p, from);
}

/* One for each start of it that was heard, and for each term of ours. */
void raft_muted_poll(struct raft_driver *d)
{
    for (size_t i = 0; i < RAFT_MAX_PEERS && leads(d) && !d->failed; i++) {
        struct raft_peer *p = &d->peers[i];
        struct repl_entry barrier = {.term = d->raft.current_term, .kind = REPL_ENTRY_BARRIER};
        uint64_t at = raft_log_last(&d->log) + 1;

        if (p->node == 0 || p->doubt != RAFT_DOUBT_MUTED ||
            (p->barrier != 0 && p->barrier_term == d->raft.current_term) || d->transfer.node != 0 ||
            raft_transferee(&d->raft) != 0 || at > d->commit + RAFT_DRIVER_MAX_UNCOMMITTED)
            continue;
        if (raft_submit_entries(d, &barrier, 1) != 0)
            continue;
        p->barrier = at;
        p->barrier_term = barrier.term;
    }
}

static bool others_have(const struct raft_driver *d, uint64_t index)
{
    const struct raft_configuration *c = &d->raft.configuration;
    unsigned voters = 0, have = 0;

    for (unsigned i = 0; i < c->n; i++) {
        uint32_t node = (uint32_t)c->servers[i].id;

        if (c->servers[i].role != RAFT_VOTER)
            continue;
        voters++;
        have += counts(d, node) && raft_filled(d, node) >= index;
    }
    return have > voters / 2;
}

void raft_commit_trusted(struct raft_driver *d)
{
    uint64_t index = d->raft.commit_index;
    bool all = true;

    for (size_t i = 0; i < RAFT_MAX_PEERS; i++)
        all = all && (d->peers[i].node == 0 || d->peers[i].doubt == RAFT_DOUBT_NONE);
    if (all || !leads(d))
        return;
    while (index > d->commit &&
           !(raft_driver_term_of(d, index) == d->raft.current_term && others_have(d, index)))
        index--;
    d->raft.commit_index = index; /* the core counts anew with the next result */
}

/* --- the node itself --- */

bool raft_muted_ignores(const struct raft_driver *d, const struct raft_frame *f)
{
    return d->muted != REPL_TRUSTED && RAFT_WRAPPED(d, RULE_MUTE) &&
           (f->type == RAFT_FRAME_REQUEST_VOTE || f->type == RAFT_FRAME_REQUEST_VOTE_RESULT ||
            f->type == RAFT_FRAME_TIMEOUT_NOW);
}

bool raft_muted_waits(const struct raft_driver *d)
{
    return d->muted != REPL_TRUSTED && RAFT_WRAPPED(d, RULE_MUTE) && !leads(d);
}

bool raft_become(struct raft_driver *d, enum repl_distrust why)
{
    bool stored = raft_store_distrust(d, why);

    if (!stored)
        raft_fail(d, "out of memory");
    else
        d->muted = why;
    d->raft.election_timer_start = d->now_ms;
    return stored;
}

static bool has_barrier(const struct raft_driver *d, const struct raft_frame *f)
{
    if (!RAFT_WRAPPED(d, RULE_BARRIER))
        return d->raft.last_stored >= f->index;
    return f->index <= d->snapshot.index ||
           (d->raft.last_stored >= f->index && raft_driver_term_of(d, f->index) == f->index_term);
}

/* Its vote of this term may be lost, too: it counts as given to who leads it. */
static void trusted(struct raft_driver *d, uint32_t leader)
{
    if (d->raft.voted_for == 0) {
        d->raft.voted_for = leader;
        if (!raft_store_vote(d, d->raft.current_term, leader))
            raft_fail(d, "out of memory");
    }
    d->counters.trusted += raft_become(d, REPL_TRUSTED);
}

void raft_muted_hears(struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    if (d->stale || f->term != d->raft.current_term || f->peer_boot != d->options.boot ||
        d->raft.state != RAFT_FOLLOWER || d->leader_term != f->term ||
        d->raft.follower_state.current_leader.id != from)
        return;
    if (f->type == RAFT_FRAME_DISTRUST && d->muted == REPL_TRUSTED) {
        d->counters.muted += raft_become(d, REPL_DISTRUST_PEER);
    } else if (f->type == RAFT_FRAME_TRUST && d->muted != REPL_TRUSTED && !d->installing &&
               has_barrier(d, f)) {
        trusted(d, from);
    }
}
