/* Shared by tcp_transport.c (the outside) and tcp_links.c (dialling, accepting, silence). */
#ifndef HF_REPL_TCP_INTERNAL_H
#define HF_REPL_TCP_INTERNAL_H

#include "replication/tcp_conn.h"

struct tcp_link {
    struct tcp_transport *t;
    uint32_t node; /* 0: the slot is free */
    struct endpoint address;
    struct tcp_conn *out, *in;
    bool up;        /* out is greeted: frames may go */
    bool told_down; /* a failed dial was noted since it was last up */
    uint32_t retry_ms;
    uv_timer_t timer; /* next dial; or the dial's limit; or the ping */
    bool timer_alive;
};

struct tcp_transport {
    uv_loop_t *loop;
    struct tcp_transport_options o;
    struct repl_transport interface;
    struct tcp_counters counters;
    struct tcp_link peers[TCP_MAX_PEERS];
    uv_tcp_t server;
    uv_timer_t watch;         /* looks for silence */
    struct tcp_conn *pending; /* accepted, not greeted: newest first */
    unsigned n_pending;
    unsigned handles;    /* not closed yet */
    uint64_t watched_ms; /* when the watch last looked */
    uint64_t note_second;
    unsigned notes;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct tcp_link *tcp_find_peer(struct tcp_transport *t, uint32_t node);

/* Dials now; what follows (greeting, failure, the next dial) comes from the loop. */
void tcp_dial(struct tcp_link *p);

/* Callbacks of libuv. */
void tcp_on_connection(uv_stream_t *server, int status);
void tcp_on_watch(uv_timer_t *timer);

/* One of the transport's handles is gone; the last one of a closing transport frees it. */
void tcp_handle_closed(struct tcp_transport *t);

#endif
