/* The production transport (transport.h): framed FIFO TCP between the nodes, on a libuv loop.
 *
 *      node 1                                                  node 2
 *      dials   ────── connection 1→2: hello, then frames ────> accepts
 *              <───── hello (once) ───────────────────────────
 *      accepts <───── connection 2→1: hello, then frames ───── dials
 *
 * One connection per direction: each node sends only on the one that it dialled. So nothing has
 * to be settled when both dial at once, and each direction is FIFO.
 *
 * A frame: length (4 bytes, of what follows the header), CRC32C (4), channel (1), payload. A hello
 * names protocol version, cluster, its incarnation, sender, sender's boot and the node that is meant.
 * Silence is noticed: who dialled pings when idle and gives the kernel TCP_USER_TIMEOUT; who
 * accepted closes when nothing came for a while. A hello from a peer that is not connected makes us
 * dial it at once, so a node that returns is reachable in both directions within milliseconds.
 * link() tells of the connection that we dialled: what the peer lost on its own is told there.
 *
 * A peer's bad bytes drop its connection, with a reason and a counter; nothing grows without bound.
 * The caller ignores SIGPIPE. Hello and frames travel inside the layer (tcp_layer.h): with mutual TLS
 * a peer is who its certificate says, and the hello must say the same; without a layer (tests of the
 * framing) it is believed. Whoever has not greeted yet is bounded in number, in time and in how often
 * it may try, per address (tcp_door.c).
 */
#ifndef HF_REPL_TCP_TRANSPORT_H
#define HF_REPL_TCP_TRANSPORT_H

#include <uv.h>

#include "base/addr.h"
#include "base/assert.h"
#include "replication/tcp_frame.h"
#include "replication/tcp_layer.h"
#include "replication/transport.h"

enum {
    TCP_MAX_PEERS = 32, /* twice REPL_MAX_NODES: those that go are still closing when others come */
    TCP_QUEUE_BYTES = 16 << 20 /* waiting per peer; beyond: send() is false */
};

struct tcp_peer {
    uint32_t node;
    struct endpoint address;
};

/* Times in ms; 0 takes the default. */
struct tcp_timing {
    uint32_t first_retry_ms; /* 10: after a connection broke or was refused */
    uint32_t max_retry_ms;   /* 100: the backoff doubles up to here */
    uint32_t connect_ms;     /* 100: a dial that no kernel answered is given up and tried anew */
    uint32_t ping_ms;        /* 200: sent when a dialled connection had nothing to send */
    uint32_t silence_ms; /* 1000: nothing came, or nothing was acknowledged, or no hello: closed */
};

struct tcp_transport_options {
    uint32_t node;          /* ours */
    uint64_t boot;          /* random at each start of the daemon */
    uint64_t cluster;       /* its name; peers must have the same */
    uint32_t speaks;        /* version of the links: TCP_VERSION, or 2 in a test; 0 = that */
    uint64_t incarnation;   /* of it; likewise, but who does not know one yet (0) may come */
    struct endpoint listen; /* our address: also the source of what we dial. Port 0: any (tests; see
                               tcp_transport_port) */
    const struct tcp_peer *peers;
    size_t n_peers;
    struct tcp_timing timing;
    const struct tcp_layer *layer; /* outlives the transport; NULL: plaintext */
    struct repl_transport_listener listener;
    /* A connection was refused or dropped: one sentence, at most a few a second per peer (the rest
     * are counted). May be NULL. */
    void (*note)(void *self, const char *text);
    void *note_self;
};

/* Why connections ended or were refused; frames and bytes by direction. */
struct tcp_counters {
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    uint64_t frames_refused; /* send() said false */
    uint64_t dials, dials_failed, accepts, links_up, links_down;
    uint64_t limited;           /* accepted and closed at once: too many from one address */
    uint64_t bad_layer;         /* what the layer refused: no certificate of ours, or noise */
    uint64_t bad_hello;         /* malformed */
    uint64_t wrong_version;     /* it takes no version that we speak, or we none of its */
    uint64_t wrong_cluster;     /* another one */
    uint64_t wrong_incarnation; /* ours, but it went on without us, or we without it */
    uint64_t wrong_node;        /* unknown sender, or not meant for us */
    uint64_t bad_frame;         /* length, checksum or channel */
    uint64_t silent;            /* nothing came for silence_ms */
    uint64_t replaced; /* an accepted connection gave way to a newer one of the same node */
    uint64_t notes_suppressed;
};

struct tcp_error {
    char text[256];
};

struct tcp_transport;

/* Listens and begins to dial. NULL with a text that names address and reason (port in use, address
 * not ours). */
HF_MUST_USE struct tcp_transport *tcp_transport_create(uv_loop_t *loop,
                                                       const struct tcp_transport_options *options,
                                                       struct tcp_error *error);

/* The interface for the replica. Calls only on the loop. A frame sent to a node that is no peer is
 * refused. */
const struct repl_transport *tcp_transport_interface(struct tcp_transport *t);

/* Replaces the set of peers (membership changes): connections of peers that stay with the same
 * address are kept. */
void tcp_transport_set_peers(struct tcp_transport *t, const struct tcp_peer *peers, size_t n);

/* The incarnation became known, or is another now: said from the next hello on. Links that stand stay, but
 * those with who greeted as of another one: nobody else would tell it (a node that lacks its key is let in). */
void tcp_transport_set_incarnation(struct tcp_transport *t, uint64_t incarnation);

/* The layer's certificates changed: links that it would not have any more are dropped, others
 * stay. */
void tcp_transport_recheck(struct tcp_transport *t);

uint16_t tcp_transport_port(const struct tcp_transport *t);
void tcp_transport_get_counters(const struct tcp_transport *t, struct tcp_counters *out);

/* Closes all connections (no link() calls any more); `closed` (may be NULL) is called on the loop
 * when `t` is gone. */
void tcp_transport_close(struct tcp_transport *t, void (*closed)(void *arg), void *arg);

#endif
