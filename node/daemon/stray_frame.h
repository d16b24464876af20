/* A packet that one node forwards to another, as the bytes of a frame on channel STRAY. Pure.
 *
 *   1 format | 1 kind | 1 hops | 0 | 4 shard | 8 epoch | from | to | the packet
 *   from, to: 1 family (0, 4, 6), 0, 2 port, 16 address
 *
 * epoch: the assignment by which the sender takes the receiver for the owner (its log index). A
 * receiver that has not applied it yet keeps the packet until it has.
 */
#ifndef HF_DAEMON_STRAY_FRAME_H
#define HF_DAEMON_STRAY_FRAME_H

#include "base/addr.h"
#include "base/assert.h"

enum { STRAY_HEAD_BYTES = 16 + 2 * 20, STRAY_PACKET_BYTES = 4096 };

enum stray_kind { STRAY_IKE, STRAY_ESP, STRAY_INNER };

struct stray_frame {
    enum stray_kind kind;
    uint8_t hops; /* nodes that forwarded it, the sender included: 1.. */
    uint32_t shard;
    uint64_t epoch;
    struct endpoint from, to; /* not of STRAY_INNER */
    struct span packet;       /* 1..STRAY_PACKET_BYTES bytes; borrowed */
};

/* The frame without the packet. */
void stray_frame_encode(const struct stray_frame *frame, uint8_t out[STRAY_HEAD_BYTES]);
/* False: malformed; nothing is written then. */
bool stray_frame_decode(struct span bytes, struct stray_frame *frame) HF_MUST_USE;

#endif
