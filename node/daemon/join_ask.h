/* A node asks to join by its token, and members answer. Pure: over what a node knows of the others.
 *
 *   outsider ── JOIN {token} ──> all it is linked with ── a member with a majority: takes it, or refuses
 *                                                      └─ anybody else: says nothing, it knows nothing
 *
 * A member may lag behind the one that made the token, and who is outside has no tokens at all. So a
 * refusal counts only once all who are linked have refused. To be asked in vain does no harm: a token
 * is good for the node alone whose certificate the asker shows.
 */
#ifndef HF_DAEMON_JOIN_ASK_H
#define HF_DAEMON_JOIN_ASK_H

#include "replication/replica.h"

enum { JOIN_WHY_BYTES = 256 };

/* Who has refused this join so far. All zero: nobody. */
struct join_refusals {
    uint32_t nodes[REPL_MAX_NODES];
    size_t n;
    char why[JOIN_WHY_BYTES]; /* the newest; "" = nobody has */
};

enum join_answer { JOIN_SILENCE, JOIN_REFUSED, JOIN_TAKEN };

/* What a node that knows `st` says to node `from`, whose token has that hash. */
enum join_answer join_answer(const struct repl_status *st, uint32_t from, const uint8_t hash[32]);

/* Node `from` has refused: "why" with an end (or none), then the first bytes of the hash of the token that
 * it means, if it says so; of another one it is no answer. False: somebody who is linked has not. */
bool join_refused(struct join_refusals *r, const struct repl_status *st, uint32_t from,
                  struct span said, const uint8_t hash[32]);

/* A refusal as join_refused() reads it; `out` has JOIN_WHY_BYTES. Its length. */
size_t join_refusal(const char *why, const uint8_t hash[32], uint8_t *out);

/* Has this cluster had so many members, those that tokens wait for among them, that `node` cannot be one more? */
bool join_ids_used_up(const struct repl_status *st, uint32_t node);

/* The token that waits for this node; NULL: none. */
const struct repl_token_status *join_token_of(const struct repl_status *st, uint32_t node);

#endif
