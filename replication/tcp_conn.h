/* One TCP connection of the transport: socket, layer (TLS), reader, bounded queue.
 * Knows hellos and frames, not peers. Internal to the transport. Freed by itself once closed.
 */
#ifndef HF_REPL_TCP_CONN_H
#define HF_REPL_TCP_CONN_H

#include "replication/tcp_frame.h"
#include "replication/tcp_transport.h"

struct tcp_conn;

enum tcp_broken {
    TCP_BROKEN_SOCKET, /* refused, reset, timed out, closed by the peer */
    TCP_BROKEN_HELLO,
    TCP_BROKEN_FRAME,
    TCP_BROKEN_LAYER
};

struct tcp_conn_events {
    void *self;
    void (*hello)(void *self, struct tcp_conn *c, const struct tcp_hello *h);
    void (*frame)(void *self, struct tcp_conn *c, uint8_t channel, struct span payload);
    /* The connection is of no more use: the receiver closes it. */
    void (*broken)(void *self, struct tcp_conn *c, enum tcp_broken why, const char *text);
    void (*closed)(void *self); /* its handle is gone */
};

struct tcp_conn {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    struct tcp_conn_events events;
    const struct tcp_layer *layer;
    void *session;
    struct tcp_reader reader;
    uint8_t *room; /* what comes off the socket, while it is looked at; NULL before the first */
    struct tcp_hello hello; /* ours */
    struct tcp_counters *counters;
    bool dialled, connected, hello_due, closing;
    size_t queued;
    uint64_t began_ms, last_in_ms, last_out_ms;
    /* the transport's */
    uint32_t node;        /* 0 until greeted, for an accepted one */
    uint64_t boot;        /* the peer's, once greeted */
    uint64_t incarnation; /* likewise, as its hello said */
    uint32_t speaks;      /* likewise: the version that both ends speak */
    bool greeted;
    uint8_t door; /* tcp_door.c: where an accepted one came from */
    struct ip_addr source;
    struct tcp_conn *next_pending;
};

/* A connection whose hello will be `hello`; NULL when the kernel has no socket for it. */
struct tcp_conn *tcp_conn_create(uv_loop_t *loop, int family, const struct tcp_conn_events *events,
                                 const struct tcp_layer *layer, const struct tcp_hello *hello,
                                 struct tcp_counters *counters);
/* Begins to connect; a failure comes as `broken`, never from inside the call. False: with a libuv
 * error in *error. */
bool tcp_conn_dial(struct tcp_conn *c, const struct endpoint *source, const struct endpoint *to,
                   uint32_t silence_ms, int *error);
/* Takes what waits at the server; nothing is read or answered before tcp_conn_start(). */
bool tcp_conn_accept(struct tcp_conn *c, uv_stream_t *server);
bool tcp_conn_start(struct tcp_conn *c, uint32_t silence_ms);
/* Sends our hello as soon as the layer is ready. */
void tcp_conn_greet(struct tcp_conn *c);
/* False: the queue is full, or it is not connected. */
bool tcp_conn_send(struct tcp_conn *c, uint8_t channel, const struct span *parts, size_t n_parts);
/* Broken, when its layer would not have the peer any more. */
void tcp_conn_recheck(struct tcp_conn *c);
/* No event comes any more. */
void tcp_conn_close(struct tcp_conn *c);

/* Sockets of libuv from ours. Length of the address, and "10.0.0.1:7400" for texts. */
void tcp_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);
const char *tcp_ip_text(const struct ip_addr *ip, char out[64]);
const char *tcp_endpoint_text(const struct endpoint *e, char out[64]);

#endif
