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
 * names protocol version, cluster incarnation, sender, sender's boot and the node that is meant.
 * Silence is noticed: who dialled pings when idle and gives the kernel TCP_USER_TIMEOUT; who
 * accepted closes when nothing came for a while. A hello from a peer that is not connected makes us
 * dial it at once, so a node that returns is reachable in both directions within milliseconds.
 * link() tells of the connection that we dialled: what the peer lost on its own is told there.
 *
 * A peer's bad bytes drop its connection, with a reason and a counter; nothing grows without bound.
 * The caller ignores SIGPIPE. Until mutual TLS exists (struct tcp_layer is its seam) a peer is
 * believed to be who it says it is.
 */
#ifndef HF_REPL_TCP_TRANSPORT_H
#define HF_REPL_TCP_TRANSPORT_H

#include <uv.h>

#include "base/addr.h"
#include "base/assert.h"
#include "replication/tcp_frame.h"
#include "replication/transport.h"

enum {
    TCP_MAX_PEERS = 8,
    TCP_QUEUE_BYTES = 16 << 20 /* waiting per peer; beyond: send() is false */
};

struct tcp_peer {
    uint32_t node;
    struct endpoint address;
};

/* Where bytes go that a layer made. */
struct tcp_sink {
    void *self;
    void (*write)(void *self, struct span bytes);
};

/* What stands between the socket's bytes and the frames: nothing now (NULL), mutual TLS later. All
 * calls come on the loop. */
struct tcp_layer {
    void *self;
    /* A session for one connection; `expected` is the node dialled, 0 when accepted. Handshake
     * bytes go to `wire`. */
    void *(*open)(void *self, bool dialled, uint32_t expected, struct tcp_sink wire);
    /* Bytes off the socket: what they decrypt to goes to `plain`, answers to `wire`. False: drop
     * the connection. */
    bool (*receive)(void *session, struct span in, struct tcp_sink plain, struct tcp_sink wire);
    /* False: not ready (handshake) or broken. */
    bool (*send)(void *session, struct span plain, struct tcp_sink wire);
    bool (*ready)(void *session);
    /* The node id that the peer's certificate is bound to; the hello must say the same. */
    uint32_t (*peer_node)(void *session);
    void (*close)(void *session);
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
    uint64_t incarnation;   /* of the cluster; peers must have the same */
    struct endpoint listen; /* our address: also the source of what we dial. Port 0: any (tests; see
                               tcp_transport_port) */
    const struct tcp_peer *peers;
    size_t n_peers;
    struct tcp_timing timing;
    const struct tcp_layer *layer; /* NULL: plaintext */
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
    uint64_t bad_hello;     /* malformed, or of another protocol version */
    uint64_t wrong_cluster; /* another incarnation */
    uint64_t wrong_node;    /* unknown sender, or not meant for us */
    uint64_t bad_frame;     /* length, checksum or channel */
    uint64_t silent;        /* nothing came for silence_ms */
    uint64_t replaced;      /* an accepted connection gave way to a newer one of the same node */
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

uint16_t tcp_transport_port(const struct tcp_transport *t);
void tcp_transport_get_counters(const struct tcp_transport *t, struct tcp_counters *out);

/* Closes all connections (no link() calls any more); `closed` (may be NULL) is called on the loop
 * when `t` is gone. */
void tcp_transport_close(struct tcp_transport *t, void (*closed)(void *arg), void *arg);

#endif
