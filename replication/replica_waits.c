/* A cluster that cannot begin, or that nobody can lead any more, looks dead: its nodes say why, and what to
 * do, in the log and by `cluster status`.
 *
 *   a founder has not answered ── not linked ──────────────────> WAITS_UNHEARD
 *                              └─ linked ── reports nothing ───> WAITS_SILENT
 *                                        └─ reports ───────────> WAITS_OLDER: it does not know the word
 *   so many voters count for nothing, by their own reports, that the others are no majority, and one of
 *   them all is no founder that waits, too ────────────────────> WAITS_STUCK
 *
 * The last is certain: of who was not heard it is taken that he counts. It comes about when the power of
 * all failed (distrust_after_boot), when two of three directories are made anew, and when machines start
 * anew in the middle of a founding: what a founder agreed on counts no more then (wal_core.c), and of who
 * has begun nobody can tell what the others had acknowledged to him.
 */
#include <stdio.h>

#include "replication/replica_parts.h"

static const uint64_t NS_PER_MS = 1000000;

struct tally {
    unsigned voters, doubted, begun;
};

static struct tally count(const struct replica *r)
{
    struct tally t = {0};

    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct replica_node *n = &r->nodes[i];
        bool self = n->node == r->options.node;
        enum repl_distrust why = self ? r->raft.muted : n->distrust;

        if (n->role != RAFT_DRIVER_VOTER)
            continue;
        t.voters++;
        t.doubted += why != REPL_TRUSTED;
        t.begun += (self || n->reported) && !repl_distrust_is_new(why);
    }
    return t;
}

static struct replica_wait judge(struct replica *r)
{
    struct replica_wait w = {.why = WAITS_NOT};
    struct tally t;

    if (r->raft.leader != 0)
        return w;
    if (r->raft.awaits != 0) {
        const struct replica_node *n = replica_node(r, r->raft.awaits);

        w.node = r->raft.awaits;
        w.why = !r->transport.connected(r->transport.self, w.node) ? WAITS_UNHEARD
                : n != NULL && n->reported                         ? WAITS_OLDER
                                                                   : WAITS_SILENT;
        return w;
    }
    t = count(r);
    if (t.begun > 0 && t.voters - t.doubted <= t.voters / 2)
        w.why = WAITS_STUCK;
    return w;
}

static void sentence(const struct replica *r, char text[REPL_WAITS_BYTES])
{
    static const char begins[] = "a new cluster begins once all nodes of its list have been up at "
                                 "the same time: ";
    unsigned node = (unsigned)r->wait.node;
    struct tally t = count(r);

    text[0] = '\0';
    switch (r->wait.why) {
    case WAITS_UNHEARD:
        (void)snprintf(text, REPL_WAITS_BYTES,
                       "%snode %u has not been heard. (A node that is not there yet is better left "
                       "out of the list, with new data directories, and joined later)",
                       begins, node);
        break;
    case WAITS_SILENT:
        (void)snprintf(text, REPL_WAITS_BYTES,
                       "%snode %u is linked, and its replication has not started: its log says "
                       "what it waits for",
                       begins, node);
        break;
    case WAITS_OLDER:
        (void)snprintf(text, REPL_WAITS_BYTES,
                       "%snode %u is there, and does not answer: its program is older than this "
                       "one's. Run the same program on all",
                       begins, node);
        break;
    case WAITS_STUCK:
        (void)snprintf(
            text, REPL_WAITS_BYTES,
            "no leader can come: the disks of %u of %u voters count for nothing until a "
            "majority without them has filled their logs, and the others are none. If "
            "this cluster never served anybody, make all data directories anew (--init); "
            "else `holdfast cluster recover` on the node that has most of the log, which "
            "ends all tunnels",
            t.doubted, t.voters);
        break;
    case WAITS_NOT:
    default:
        break;
    }
}

void replica_waits(const struct replica *r, char text[REPL_WAITS_BYTES])
{
    text[0] = '\0';
    if (r->wait.told && r->raft.leader == 0)
        sentence(r, text);
}

void replica_tell_waits(struct replica *r)
{
    enum { FIRST_MS = 3000, AGAIN_MS = 60000 };
    struct replica_wait w = judge(r);
    char text[REPL_WAITS_BYTES];

    if (w.why != r->wait.why || w.node != r->wait.node) {
        w.since_ns = r->now_ns;
        r->wait = w;
    }
    if (w.why == WAITS_NOT ||
        r->now_ns - r->wait.since_ns < (r->wait.told ? AGAIN_MS : FIRST_MS) * NS_PER_MS)
        return;
    r->wait.since_ns = r->now_ns;
    r->wait.told = true;
    sentence(r, text);
    replica_log(r, REPL_LOG_WARN, "%s", text);
}
