/* What replication needs of a network: framed, FIFO per peer and direction, lossy only by whole
 * connection (a frame that was accepted may be lost when the connection breaks; what arrives is in
 * order and unaltered). Two implementations: tcp_transport.c (libuv, production) and the tests'
 * in-memory one.
 */
#ifndef HF_REPL_TRANSPORT_H
#define HF_REPL_TRANSPORT_H

#include "base/span.h"

/* The first byte of each frame: who reads it. */
enum repl_channel {
    REPL_CHANNEL_RAFT = 1,
    REPL_CHANNEL_OWNERSHIP = 2, /* heartbeats, acknowledgements, reports of lapse */
    REPL_CHANNEL_FORWARD = 3,   /* records to the leader, and its answers */
    REPL_CHANNEL_HALF_OPEN = 4, /* best-effort copies of half-open SAs, for the conductor */
    REPL_CHANNEL_STRAY = 5,     /* a packet for a shard that the peer owns (hop mark inside) */
    REPL_CHANNEL_ADMIN = 6,     /* admin requests forwarded to another node */
    REPL_CHANNEL_KEYS = 7       /* sealing keys, asked for and given (seal_message.h) */
};

/* Nothing large travels in one frame, or what is behind it (a heartbeat) would wait: snapshots go in
 * pieces (raft_install.c), long appends in several frames (raft_send.c). */
enum { REPL_MAX_FRAME_BYTES = 8 << 20 };

struct repl_transport {
    void *self;
    /* Queues one frame to `node`. False: not connected, or its queue is full (16 MiB); the frame is dropped. */
    bool (*send)(void *self, uint32_t node, enum repl_channel channel, const struct span *parts,
                 size_t n_parts);
    bool (*connected)(void *self, uint32_t node);
    /* The version of the link that frames to `node` take now, as both ends agreed on: an older program
     * there cannot read what came with a later one. Not connected: any. NULL: today's, on all. */
    uint32_t (*speaks)(void *self, uint32_t node);
    /* Of the link that frames of `node` come by, while one is given to the listener: the two directions are
     * links of their own, and may differ for a moment. No link: today's. NULL: today's, on all. */
    uint32_t (*hears)(void *self, uint32_t node);
};

enum { REPL_LINK_NAMES_HISTORY = 4 /* Raft's frames name the incarnation */ };

/* What the owner of a transport is told; calls come on its loop. */
struct repl_transport_listener {
    void *self;
    void (*frame)(void *self, uint32_t from_node, enum repl_channel channel,
                  struct span bytes); /* bytes valid in the call */
    void (*link)(void *self, uint32_t node,
                 bool up); /* a connection broke: frames in flight may be lost */
    /* It is who it says and of this cluster by name, but of another incarnation (not 0) than ours: the
     * connection is refused, at each attempt. May be NULL. */
    void (*stranger)(void *self, uint32_t node, uint64_t incarnation);
};

#endif
