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

/* When a line of a daemon's log (node/conductor/log.c: UTC, milliseconds) was written, to the millisecond
 * below; hours off zero_ns are taken off. False: it does not begin so. */
bool oracle_stamp_of(const char *line, uint64_t zero_ns, uint64_t *ns);

/* oracle_leases.c: a node whose lease of a shard is over, or that has none since it was started, says nothing as that
 * shard until it has one, whether another owns it meanwhile or nobody, but for what was in hand (I5). By the node's own
 * log, which tells the end a little late and the next beginning at once:
 *
 *   2026-11-27T17:52:06.123Z info repl shard 1: lease lost, it ended 12 ms ago
 *   2026-11-27T17:52:07.001Z info repl shard 1: lease held
 *
 * Judged from hands->slack_ns after the one to as long before the other. logs[0..n_logs): those of its
 * processes, the oldest first; each may be NULL. Returns how many ends were told. c is sorted. */
unsigned oracle_lease_over(const struct capture *c, uint64_t zero_ns, uint8_t node,
                           const char *const *logs, size_t n_logs, const struct oracle_hands *hands,
                           struct oracle_report *r);

#endif
