/* May a node be removed now, and what became of it? Pure: over what a node knows of the others.
 *
 * The voters that stay have to commit the change by themselves (replication/members.md): where no
 * majority of them is up and counts, the removal is refused before anything is written down. The leader
 * judges once more, by what it hears itself, before it changes the voters (raft_change.c).
 */
#ifndef HF_DAEMON_LEAVE_ASK_H
#define HF_DAEMON_LEAVE_ASK_H

#include "replication/replica.h"

enum { LEAVE_WHY_BYTES = 384 };

/* Could the voters that stay go on without `node`? False: `why` says who is missing, and the way out. */
bool leave_goes_on(const struct repl_status *st, uint32_t node, char why[LEAVE_WHY_BYTES]);

/* What became of a removal, by this node's state. */
enum leave_fate {
    LEAVE_OUT,     /* it left, and no configuration has it */
    LEAVE_WRITTEN, /* the log has it: it will be out */
    LEAVE_OPEN,    /* the log was given it, and may take it yet, or never */
    LEAVE_NEVER,   /* the log has not taken it, and refuses it from now on */
    LEAVE_UNASKED  /* nothing was given to the log, and it would take it */
};

/* `wished`: the log was given a LEAVE, which it refuses from cluster time until_ms on (0: never). */
enum leave_fate leave_fate(const struct repl_status *st, uint32_t node, bool wished,
                           uint64_t until_ms);

/* Has it left? */
bool leave_is_gone(const struct repl_status *st, uint32_t node);

#endif
