/* Until when what was sealed of a deleted SA can still be opened, as an operator is told it: one figure,
 * and whether it holds. Pure.
 *
 *   Delete ─ at most key_age ─> another key ─ at most REPL_ERASE_WITHIN_MS ─> the former one is wiped
 *
 * All of it is cluster time, which stands while no majority is there: then nothing is deleted either. A
 * node that is cut off wipes what it has when it has heard nothing for as long (replica_forget.c).
 */
#ifndef HF_REPL_KEY_BOUND_H
#define HF_REPL_KEY_BOUND_H

#include "replication/replica.h"

enum {
    /* From the moment another key is due: 5 s for a leader's first try to give it to a majority, 30 s where
     * a disk has no room for the snapshot at first, the rest for making it. What takes longer is told as
     * overdue. */
    REPL_ERASE_WITHIN_MS = 60000
};

struct repl_key_bound {
    uint64_t present_ms; /* how old the key in use is */
    uint64_t former_ms;  /* so long a former one has been awaiting its end; 0 with former == 0 */
    uint64_t
        within_ms; /* a deleted SA's keys are gone at most so long after its Delete; 0 = nothing
                            promises it: no age, no key, or a member that cannot rotate */
    bool overdue;  /* ... and it is not kept now */
};

void repl_key_bound(const struct repl_status *status, struct repl_key_bound *out);

#endif
