/* A world of ownership alone: three or five nodes with clocks of their own (up to 1 % fast or
 * slow), a log that assigns at the worst times, late and lost and reordered messages, pauses,
 * restarts and handovers. Counts the instants at which two nodes might act for one shard: there may
 * be none. */
#ifndef HF_TEST_REPL_OWNERSHIP_WORLD_H
#define HF_TEST_REPL_OWNERSHIP_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct world_result {
    uint64_t instants; /* looked at */
    uint64_t acting;   /* of them: somebody might act */
    uint64_t two;      /* two at once: a violation */
    uint64_t assignments, handovers, restarts, pauses, leases;
    uint64_t partitions, changes; /* of voters, committed */
};

struct world_result world_run(uint64_t seed);
/* Members come and go, one at a time, under partitions. `hasty`: a change begins as soon as the
 * one before it is committed, which the leader of the product does not do. */
struct world_result world_run_changing(uint64_t seed, bool hasty);

#endif
