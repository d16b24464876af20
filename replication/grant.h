/* The arithmetic of reservations and ceilings, used by the FSM at apply and by the owner, so that
 * both count alike.
 *
 * Every assignment of a shard implicitly grants, to each CHILD SA in it: 2^16 numbers from the old
 * reservation end, and a ceiling of old ceiling + 8 above a floor that is the old ceiling. The
 * shard only counts its assignments; a claim is brought up to date when it is touched. So a
 * takeover is one record at any number of SAs. What packets count for the SA's limits is kept here
 * too, as its owners tell it; how to judge it is the data path's (node/esp/tally.h).
 */
#ifndef HF_REPL_GRANT_H
#define HF_REPL_GRANT_H

#include "base/assert.h"
#include "base/span.h"

enum { GRANT_ASSIGN_NUMBERS = 1 << 16, GRANT_ASSIGN_CEILING = 8 };

/* What the replicated state holds per CHILD SA. Numbers are 64-bit even without ESN (I1c is checked
 * by the caller). */
struct repl_claim {
    uint64_t reservation_end; /* first number that nobody may use yet */
    uint64_t ceiling;         /* highest number that may be accepted inbound */
    uint64_t touched;         /* the shard's assignment count at the last touch */
    uint64_t version; /* raised by each accepted change and, implicitly, by each assignment */
    /* Packets, and bytes in them, that the owners so far had told of when they extended it last, and the shard's
     * assignment count then: what an owner did after it told last is known to nobody else. */
    uint64_t packets_in, packets_out;
    uint64_t bytes_in, bytes_out;
    uint64_t told;
};

/* What the owner of the newest assignment may do with it. */
struct repl_grant {
    uint64_t first, end;     /* outbound numbers [first, end); empty when first == end */
    uint64_t floor, ceiling; /* inbound numbers (floor, ceiling] */
    /* What counts already for limits by packets and bytes: told, and by how many owners some may be untold.
     */
    uint64_t packets_in, packets_out, untold;
    uint64_t bytes_in, bytes_out;
};

/* The claim as of the shard's assignment count `assignments` (>= touched, asserted): applies the
 * grants not yet counted. */
void repl_claim_touch(struct repl_claim *claim, uint64_t assignments);

/* What the newest assignment gives its owner: only the last block. With assignments == touched (no
 * assignment since): empty. */
struct repl_grant repl_claim_grant(const struct repl_claim *claim, uint64_t assignments);

#endif
