/* The seam between the transport's sockets and its frames: nothing (tests of the framing), or mutual
 * TLS (tls_layer.h). Sans-I/O: bytes in, bytes out, all calls on the transport's loop.
 */
#ifndef HF_REPL_TCP_LAYER_H
#define HF_REPL_TCP_LAYER_H

#include "base/span.h"

/* Where bytes go that a layer made. */
struct tcp_sink {
    void *self;
    void (*write)(void *self, struct span bytes);
};

struct tcp_layer {
    void *self;
    /* A session for one connection; `expected` is the node dialled, 0 when accepted. Handshake
     * bytes go to `wire`. NULL: out of memory. */
    void *(*open)(void *self, bool dialled, uint32_t expected, struct tcp_sink wire);
    /* Bytes off the socket: what they decrypt to goes to `plain`, answers to `wire`. False: drop
     * the connection. */
    bool (*receive)(void *session, struct span in, struct tcp_sink plain, struct tcp_sink wire);
    /* False: not ready (handshake) or broken. */
    bool (*send)(void *session, struct span plain, struct tcp_sink wire);
    bool (*ready)(void *session);
    /* The node id that the peer's certificate is bound to; the hello must say the same. */
    uint32_t (*peer_node)(void *session);
    /* Is the peer still one to talk to, after the certificates in force changed? */
    bool (*recheck)(void *session);
    /* Why the last of the above was false: one sentence, valid until the next call. */
    const char *(*why)(void *session);
    void (*close)(void *session);
};

#endif
