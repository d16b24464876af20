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
