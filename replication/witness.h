/* Whose state is the cluster's? Equal applied index means equal state (I11), so the nodes' digests at
 * one index are votes: who differs from a majority of the voters is out, the leader like any other.
 * Where no majority spoke at that index, those who differ are only doubted. Pure: a plain value.
 *
 *   index 96    node 1: d   node 2: x   node 3: d        node 2 is outvoted
 *   index 96    node 1: d   node 2: x                    (of 3) tied: nobody can tell who is right
 *
 * Under load no two nodes report at the same index but by chance: so all of them keep the digest at
 * every WITNESS_EVERY-th index, beside what they report of now.
 */
#ifndef HF_REPL_WITNESS_H
#define HF_REPL_WITNESS_H

#include "replication/digest.h"
#include "replication/record.h"

enum { WITNESS_EVERY = 32, WITNESS_MARKS = 16 };

enum witness_verdict {
    WITNESS_UNKNOWN, /* no index at which a majority, or a differing node, spoke, too */
    WITNESS_AGREES,
    WITNESS_OUTVOTED,
    WITNESS_TIED
};

struct witness_mark {
    uint64_t index; /* 0 = free */
    struct digest digest;
};

struct witness_node {
    uint32_t node; /* 0 = free slot */
    bool votes;
    enum witness_verdict verdict;
    uint64_t judged_index; /* of the verdict */
    uint64_t agreed_index; /* witness_agreed() */
    struct witness_mark marks[WITNESS_MARKS];
    size_t next; /* ring */
};

struct witness {
    struct witness_node nodes[REPL_MAX_NODES];
};

/* The node's state at `index` had this digest. `votes`: it is one of `voters` voters; another one is
 * judged but does not count. Judges everybody who spoke of that index. */
void witness_say(struct witness *w, uint32_t node, bool votes, size_t voters, uint64_t index,
                 struct digest digest);
/* What the node said counts no more: its state is another one now. */
void witness_forget(struct witness *w, uint32_t node);
/* Of all others what was said counts no more, and their places are free. */
void witness_keep(struct witness *w, const uint32_t *nodes, size_t n);
/* The verdict at the newest index at which there was one. */
enum witness_verdict witness_verdict(const struct witness *w, uint32_t node);
/* The newest index at which the node's state was a majority's, and below the one of a verdict that says
 * otherwise; 0 = none. A snapshot that it made up to there is sound. */
uint64_t witness_agreed(const struct witness *w, uint32_t node);

#endif
