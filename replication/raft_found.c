/* A cluster's beginning (I10): nobody can tell a directory that was just made from one that was made
 * anew under the id of a node that had acknowledged something. So entry 1 alone gives no right to
 * vote, lead or count. A history begins only when nobody can have one already:
 *
 *   NEW      entry 1 and nothing else. Asks every other voter of entry 1, with its boot id.
 *            All have answered this start that they, too, hold entry 1 alone and have not begun ──>
 *   AGREED   on the disk before it is said. Counts for nothing yet.
 *            All have said that they agreed, or a peer has begun (it says so, campaigns, leads) ──>
 *   trusted  a node like others.
 *
 * Why it is safe: answers are given to this start, so after this directory was made. Had the former
 * directory of this id voted or acknowledged anything that counted, a majority with it had begun;
 * each of these peers would say so now, or was made anew as well: and then nobody has that history.
 * So who has agreed lost nothing, whatever it hears later.
 *
 * Why two steps: with one, a founder that has begun could not be told apart by one that starts again
 * before it heard all answers; it would wait for ever. Who has begun knows that all have agreed, on
 * their disks, and each of them needs nobody's word any more but that one has begun.
 *
 * What it costs: every founder must have been up once, at the same time as the others, before the
 * cluster serves. A founder that is not there yet is better added later, to a cluster of fewer.
 */
#include "replication/raft_internal.h"

/* Rules that the test library can take away: see raft_muted.c. */
enum {
    RULE_ALL = 25,   /* every founder has to be there, not only a majority */
    RULE_FRESH = 26, /* what was said to an earlier start counts for nothing */
    RULE_AGREE = 27  /* nobody begins before all have agreed */
};

bool raft_founds(const struct raft_driver *d)
{
    const struct raft_configuration *c = &d->raft.configuration;

    if (!repl_distrust_is_new(d->muted) || raft_log_last(&d->log) != 1 || d->snapshot.index != 0 ||
        d->installing)
        return false;
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id == d->options.node)
            return c->servers[i].role == RAFT_VOTER;
    return false; /* it joins, and has received no more yet */
}

/* What is true of the disk. RAFT_FOUNDER_UNHEARD: nothing to say (it joins). Who has lost something
 * has begun: it counted before. */
static enum raft_founder stands(const struct raft_driver *d)
{
    if (!raft_founds(d))
        return raft_log_last(&d->log) > 1 || d->muted != REPL_DISTRUST_NEW ? RAFT_FOUNDER_BEGUN
                                                                           : RAFT_FOUNDER_UNHEARD;
    return d->muted == REPL_DISTRUST_AGREED && d->distrusts_done == d->distrusts_queued
               ? RAFT_FOUNDER_AGREED
               : RAFT_FOUNDER_NEW;
}

static void say(struct raft_driver *d, uint32_t node)
{
    struct raft_peer *p = raft_peer_of(d, node);
    struct raft_frame f = raft_frame_begin(d, RAFT_FRAME_FOUND, d->raft.current_term);
    enum raft_founder now = stands(d);

    f.peer_boot = p->boot;
    f.agreed = now == RAFT_FOUNDER_AGREED;
    f.begun = now == RAFT_FOUNDER_BEGUN;
    if (now != RAFT_FOUNDER_UNHEARD && raft_send_small(d, node, &f))
        p->found_told = p->boot;
}

static void say_to_all(struct raft_driver *d)
{
    const struct raft_configuration *c = &d->raft.configuration;

    d->found_said = stands(d);
    d->found_ms = d->now_ms + d->options.election_ms;
    for (unsigned i = 0; i < c->n; i++)
        if (c->servers[i].id != d->options.node)
            say(d, (uint32_t)c->servers[i].id);
}

static enum raft_founder heard(struct raft_driver *d, uint64_t node)
{
    return node == d->options.node ? stands(d) : raft_peer_of(d, (uint32_t)node)->founder;
}

/* All voters of entry 1 stand at `least` or, where that is as good, have begun. */
static bool all(struct raft_driver *d, enum raft_founder least)
{
    const struct raft_configuration *c = &d->raft.configuration;
    unsigned voters = 0, there = 0;

    for (unsigned i = 0; i < c->n; i++) {
        enum raft_founder said = heard(d, c->servers[i].id);
        bool counts = said >= least && said != RAFT_FOUNDER_BEGUN;

        if (c->servers[i].role != RAFT_VOTER)
            continue;
        voters++;
        there += counts || (said == RAFT_FOUNDER_BEGUN && !RAFT_WRAPPED(d, RULE_ALL));
    }
    return there == voters || (!RAFT_WRAPPED(d, RULE_ALL) && there > voters / 2);
}

void raft_found_poll(struct raft_driver *d)
{
    bool founds = raft_founds(d);

    if (!founds && d->found_said == RAFT_FOUNDER_UNHEARD)
        return;
    if (founds && d->muted == REPL_DISTRUST_NEW && all(d, RAFT_FOUNDER_NEW))
        (void)raft_become(d, RAFT_WRAPPED(d, RULE_AGREE) ? REPL_DISTRUST_AGREED : REPL_TRUSTED);
    if (founds && d->muted == REPL_DISTRUST_AGREED && all(d, RAFT_FOUNDER_AGREED))
        (void)raft_become(d, REPL_TRUSTED);
    if (d->failed)
        return;
    /* A leader's word is answered by what the log is filled with, not by asking on. */
    if (stands(d) != d->found_said ||
        (raft_founds(d) && d->leader_term == 0 && d->now_ms >= d->found_ms))
        say_to_all(d);
}

uint64_t raft_found_timeout(const struct raft_driver *d)
{
    return raft_founds(d) && d->leader_term == 0 ? d->found_ms : UINT64_MAX;
}

void raft_found_begun(struct raft_driver *d)
{
    if (d->muted == REPL_DISTRUST_AGREED && raft_founds(d))
        (void)raft_become(d, REPL_TRUSTED);
}

void raft_found_hears(struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    struct raft_peer *p = raft_peer_of(d, from);
    bool fresh = f->peer_boot == d->options.boot;

    if (fresh || !RAFT_WRAPPED(d, RULE_FRESH))
        p->founder = f->begun    ? RAFT_FOUNDER_BEGUN
                     : f->agreed ? RAFT_FOUNDER_AGREED
                                 : RAFT_FOUNDER_NEW;
    if (fresh && f->begun)
        raft_found_begun(d);
    if (!fresh || p->found_told != f->boot)
        say(d, from);
}

uint32_t raft_found_awaits(const struct raft_driver *d)
{
    const struct raft_configuration *c = &d->raft.configuration;

    for (unsigned i = 0; raft_founds(d) && i < c->n; i++) {
        const struct raft_peer *p = NULL;

        for (size_t j = 0; j < RAFT_MAX_PEERS; j++)
            if (d->peers[j].node == c->servers[i].id)
                p = &d->peers[j];
        if (c->servers[i].id != d->options.node && c->servers[i].role == RAFT_VOTER &&
            (p == NULL || p->founder == RAFT_FOUNDER_UNHEARD))
            return (uint32_t)c->servers[i].id;
    }
    return 0;
}
