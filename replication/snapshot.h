/* The whole replicated state as bytes and back: a run of length-prefixed, sealed items (proto/
 * snapshot.proto), closed by a footer with their number and the state's digest. What does not
 * restore to exactly that digest is refused.
 */
#ifndef HF_REPL_SNAPSHOT_H
#define HF_REPL_SNAPSHOT_H

#include "replication/fsm.h"
#include "replication/seal.h"

/* malloc'd, *n bytes; NULL when larger than REPL_MAX_SNAPSHOT_BYTES or when there is no key. */
uint8_t *snapshot_encode(const struct fsm *fsm, const struct seal *seal, size_t *n) HF_MUST_USE;

/* Into an fsm that was not initialised. False: malformed, contradicting itself, of an unknown
 * format or another incarnation than `incarnation`; *fsm is then all zero and needs no deinit. */
bool snapshot_restore(struct span bytes, const struct seal *seal, uint64_t incarnation,
                      struct fsm *fsm) HF_MUST_USE;

#endif
