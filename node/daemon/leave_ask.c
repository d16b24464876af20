#include "daemon/leave_ask.h"

#include <stdio.h>

static bool stays(const struct repl_node_status *n, uint32_t without)
{
    return n->role == REPL_VOTER && n->node != without;
}

static bool is_up(const struct repl_node_status *n)
{
    return n->connected && n->heard && n->distrust == REPL_TRUSTED;
}

static bool majority(const struct repl_status *st, uint32_t without)
{
    size_t voters = 0, up = 0;

    for (size_t i = 0; i < st->n_nodes; i++) {
        voters += stays(&st->nodes[i], without);
        up += stays(&st->nodes[i], without) && is_up(&st->nodes[i]);
    }
    return voters > 0 && up > voters / 2;
}

/* The first of those that are missing; one that could be removed before the others. NULL: none is. */
static const struct repl_node_status *missing(const struct repl_status *st, uint32_t without)
{
    const struct repl_node_status *found = NULL;

    for (size_t i = 0; i < st->n_nodes; i++) {
        const struct repl_node_status *n = &st->nodes[i];

        if (!stays(n, without) || is_up(n))
            continue;
        if (found == NULL || (!majority(st, found->node) && majority(st, n->node)))
            found = n;
    }
    return found;
}

bool leave_goes_on(const struct repl_status *st, uint32_t node, char why[LEAVE_WHY_BYTES])
{
    const struct repl_node_status *n;
    int len;

    why[0] = '\0';
    if (majority(st, node))
        return true;
    n = missing(st, node);
    if (n == NULL) {
        (void)snprintf(why, LEAVE_WHY_BYTES, "no voter would stay");
        return false;
    }
    len = snprintf(why, LEAVE_WHY_BYTES,
                   "the nodes that stay have no majority that is up and counts: node %u %s. ",
                   (unsigned)n->node,
                   n->distrust != REPL_TRUSTED ? "is not trusted until its log is filled"
                                               : "is not heard");
    if (majority(st, n->node))
        (void)snprintf(why + len, LEAVE_WHY_BYTES - (size_t)len,
                       "Bring it back, or if it is gone for good remove that one first: `holdfast "
                       "cluster remove %u`",
                       (unsigned)n->node);
    else
        (void)snprintf(why + len, LEAVE_WHY_BYTES - (size_t)len,
                       "Bring it back; if a majority is lost for good: `holdfast cluster recover`");
    return false;
}

bool leave_is_gone(const struct repl_status *st, uint32_t node)
{
    for (size_t i = 0; i < st->n_gone; i++)
        if (st->gone[i] == node)
            return true;
    return false;
}

static bool is_listed(const struct repl_status *st, uint32_t node)
{
    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].node == node)
            return true;
    return false;
}

/* Cluster time never goes back, and a record is judged by the time of its own entry: what is not applied
 * at that time, here, is refused at any later one. */
enum leave_fate leave_fate(const struct repl_status *st, uint32_t node, bool wished,
                           uint64_t until_ms)
{
    if (leave_is_gone(st, node))
        return is_listed(st, node) ? LEAVE_WRITTEN : LEAVE_OUT;
    if (until_ms != 0 && st->applied_ms >= until_ms)
        return LEAVE_NEVER;
    return wished ? LEAVE_OPEN : LEAVE_UNASKED;
}
