/* Who owned which shard when, by the nodes' own logs: one line of each node that applies an assignment,
 *
 *   2026-11-27T17:52:06.123Z info repl shard 1: epoch 57, owner node 2, assignment 3 (handover)
 *
 * The assignments of a shard are numbered from 1 without a gap, so it shows when one is missing. Pure. */
#ifndef HF_CHAOS_ORACLE_TENURES_H
#define HF_CHAOS_ORACLE_TENURES_H

#include "oracle.h"

struct oracle_told {
    unsigned shard, owner;
    uint64_t assignment, epoch;
    uint64_t from_ns; /* the earliest line of it, by the wall clock, to the millisecond below */
    unsigned by;      /* whose line was read first */
};

struct oracle_tellings {
    struct oracle_told *list; /* heap; by shard and assignment */
    size_t n, cap;
    bool out_of_memory;
};

/* What the log of that node says; a node applies anew what it applied before a restart, so the earliest
 * time counts. A clock that was moved by whole hours is brought back to within half an hour of zero_ns.
 * Two nodes that tell different owners of one assignment are a violation. log: may be NULL. */
void oracle_take_tellings(struct oracle_tellings *t, unsigned node, const char *log,
                          uint64_t zero_ns, struct oracle_report *r);
void oracle_tellings_deinit(struct oracle_tellings *t);

/* The shards' tenures, in order of time: each from its owner's first frame as the shard's address on, where
 * there was none from the earliest line. made[s]: how often shard s (from 1) was assigned at least. *n: how
 * many. NULL, with *why (static): the logs lack an assignment, or memory is short. The caller frees them. c is sorted. */
struct oracle_tenure *oracle_told_tenures(const struct oracle_tellings *t, const struct capture *c,
                                          const uint64_t *made, unsigned shards, size_t *n,
                                          const char **why);

#endif
