/* SHA-256 (FIPS 180-4), for the chain of the audit alone. Its own, since the state machine is pure: whoever has one, a decoder of
 * snapshots or a tool that verifies a file among them, has no table of suites. Nothing secret goes through it.
 */
#ifndef HF_REPL_SHA256_H
#define HF_REPL_SHA256_H

#include "base/span.h"

enum { SHA256_BYTES = 32, SHA256_BLOCK = 64 };

struct sha256 {
    uint32_t state[8];
    uint64_t bytes; /* taken in so far */
    uint8_t block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *s);
void sha256_take(struct sha256 *s, struct span bytes);
void sha256_final(struct sha256 *s, uint8_t out[SHA256_BYTES]);

#endif
