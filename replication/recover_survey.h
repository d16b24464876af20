/* Whom a recovery would give up, and whether a majority may be alive without it. Pure: by one node's
 * status. */
#ifndef HF_REPL_RECOVER_SURVEY_H
#define HF_REPL_RECOVER_SURVEY_H

#include "replication/replica.h"

struct recover_survey {
    uint32_t lost[REPL_MAX_NODES]; /* all other members, in order */
    size_t n_lost;
    size_t voters; /* by the end of this node's log, who is on the way out among them */
    size_t
        able; /* voters that are reached from here, this node among them, and whose disks count (I10):
                    no majority of others could ever lift a distrust that a majority is under */
    bool member; /* this node is one */
};

struct recover_survey recover_survey(const struct repl_status *status);

#endif
