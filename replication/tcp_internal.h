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
    bool former;    /* the next dial greets as version 2, which takes no other hello */
    uint32_t retry_ms;
    uv_timer_t timer; /* next dial; or the dial's limit; or the ping */
    bool timer_alive;
};

/* Attempts of one address: each takes one, they come back with time. */
struct tcp_door {
    uint32_t attempts_milli;
    uint64_t filled_ms, told_ms;
};

enum { TCP_DOORS = TCP_MAX_PEERS + 1 /* the last: every address that is no peer's */ };

struct tcp_transport {
    uv_loop_t *loop;
    struct tcp_transport_options o;
    struct repl_transport interface;
    struct tcp_counters counters;
    struct tcp_link peers[TCP_MAX_PEERS];
    uv_tcp_t server;
    uv_timer_t watch;         /* looks for silence */
    struct tcp_conn *pending; /* accepted, not greeted: newest first */
    struct tcp_door doors[TCP_DOORS];
    unsigned handles;    /* not closed yet */
    uint64_t watched_ms; /* when the watch last looked */
    uint64_t note_second;
    unsigned notes;
    uint64_t told_incarnation_ms; /* loop time of the newest note of that; 0 = none yet */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct tcp_link *tcp_find_peer(struct tcp_transport *t, uint32_t node);

/* Dials now; what follows (greeting, failure, the next dial) comes from the loop. */
void tcp_dial(struct tcp_link *p);

/* Where this accepted connection comes from (its c->door). False: that address tries too often. */
bool tcp_door_admits(struct tcp_transport *t, struct tcp_conn *c);
/* Whether a refusal there is worth a line: one in ten seconds, for who is refused comes again at
 * once. */
bool tcp_door_tells(struct tcp_transport *t, const struct tcp_conn *c);
/* The oldest connection of that door, when more than one address may have wait to be greeted. */
struct tcp_conn *tcp_door_surplus(const struct tcp_transport *t, uint8_t door);

/* Drops every connection with who greeted as of another incarnation than ours is now. */
void tcp_drop_strangers(struct tcp_transport *t);
/* Drops every connection that the layer would not have any more. */
void tcp_recheck(struct tcp_transport *t);

/* Callbacks of libuv. */
void tcp_on_connection(uv_stream_t *server, int status);
void tcp_on_watch(uv_timer_t *timer);

/* One of the transport's handles is gone; the last one of a closing transport frees it. */
void tcp_handle_closed(struct tcp_transport *t);

#endif
