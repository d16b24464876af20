/* One seed: a whole cluster lives, suffers and heals; what was counted, and a hash of all that
 * happened. */
#ifndef HF_SIM_RUN_H
#define HF_SIM_RUN_H

#include "sim/sim_stats.h"

#include <stdbool.h>

/* What is left of faults is over by then: a peer that is gone has been asked in vain (40 s). */
enum { SIM_HEAL_LEAST_MS = 45000 };

struct sim_options {
    uint64_t seed;
    uint64_t run_ms;  /* 0: as the seed says, about six minutes */
    uint64_t heal_ms; /* 0: as the plan says; SIM_HEAL_LEAST_MS at least, and not of each seed */
    bool verbose;     /* what happens, on stderr */
    bool walls;       /* run it with other wall clocks as well: the trace must be the same */
    bool first;       /* ends at the first violation */
    bool quiet;       /* no faults, one client, three nodes: one takeover at most */
};

struct sim_result {
    uint64_t seed, trace, violations;
    struct sim_stats stats;
    char first[240]; /* the first violation, in words */
};

void sim_run(const struct sim_options *options, struct sim_result *result);

#endif
