/* May a node be removed now? Pure: over what a node knows of the others.
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

#endif
