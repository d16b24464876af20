/* Of whose history is a frame? A cluster that is recovered, restored or founded anew goes on under
 * another incarnation, with a log of its own at the same indexes and terms. One entry or vote of the
 * other history, and two of them meet in one node; so each frame names its sender's, and what is of
 * another is refused before anything of it counts: its order, its term, that it was heard.
 *
 *   sender ─ own incarnation, 0 = none yet ─> frame ─> the receiver's own
 *
 * It is the third wall: a hello of another incarnation gets no link (tcp_links.c), and who has left is
 * not heard (replica_core.c). It needs neither of the two.
 *
 * Who joins has no history before somebody fills its log. Until then it can only be filled, and say how
 * far that is; it is of the history of the first entry or snapshot that it stores, for ever. A log from
 * its beginning is of options.incarnation: all others begin with a snapshot, which says so itself.
 *
 * A frame that names none at all is an older program's, where the link that it comes by says so: it is
 * heard, as long as such links are. On any other it is of no history, and so of another.
 */
#include "replication/raft_internal.h"

/* What the leader fills a node with; what the node answers to that. */
static bool fills(const struct raft_frame *f)
{
    return f->type == RAFT_FRAME_APPEND || f->type == RAFT_FRAME_INSTALL;
}

static bool is_filled(const struct raft_frame *f)
{
    return f->type == RAFT_FRAME_APPEND_RESULT || f->type == RAFT_FRAME_INSTALL_ACK;
}

static bool could_name(const struct raft_driver *d, uint32_t from)
{
    return d->transport.hears == NULL ||
           d->transport.hears(d->transport.self, from) >= REPL_LINK_NAMES_HISTORY;
}

static bool of_ours(const struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    bool first = f->type == RAFT_FRAME_APPEND && f->index == 0 && f->n_entries > 0;

    if (!f->named)
        return !could_name(d, from);
    if (f->incarnation == 0)
        return is_filled(f);
    if (d->incarnation == 0)
        return fills(f) && (!first || f->incarnation == d->options.incarnation);
    return f->incarnation == d->incarnation;
}

bool raft_foreign(struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    if (of_ours(d, from, f))
        return false;
    d->counters.foreign++;
    /* Who has no history yet may hear more of its own leader than it can take: that is no stranger. */
    if (d->callbacks.stranger != NULL && (d->incarnation != 0 || fills(f)))
        d->callbacks.stranger(d->callbacks.self, from, f->incarnation);
    return true;
}

bool raft_names_history(const struct raft_driver *d, uint32_t node)
{
    return d->transport.speaks == NULL ||
           d->transport.speaks(d->transport.self, node) >= REPL_LINK_NAMES_HISTORY;
}

void raft_history_begins(struct raft_driver *d)
{
    if (d->incarnation == 0 && d->log.first == 1 && d->log.count > 0)
        d->incarnation = d->options.incarnation;
}

/* Since its first piece came this node may have begun another one. */
bool raft_history_installs(const struct raft_driver *d, uint64_t incarnation)
{
    return d->incarnation == 0 || incarnation == 0 || d->incarnation == incarnation;
}

void raft_driver_is_of(struct raft_driver *d, uint64_t incarnation)
{
    HF_ASSERT(incarnation != 0 && (d->incarnation == 0 || d->incarnation == incarnation));
    d->incarnation = incarnation;
}

uint64_t raft_driver_incarnation(const struct raft_driver *d)
{
    return d->incarnation;
}
