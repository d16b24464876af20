/* Transports on one loop of the loopback, what they were told, and raw sockets that play a hostile
 * peer. */
#ifndef TESTS_TRANSPORT_BENCH_H
#define TESTS_TRANSPORT_BENCH_H

#include "replication/tcp_frame.h"
#include "replication/tcp_transport.h"

enum { BENCH_CLUSTER = 0xc1, BENCH_INCARNATION = 1, BENCH_WAIT_MS = 10000 };

struct side {
    struct bench *bench;
    uint32_t node;
    struct tcp_transport *t;
    const struct repl_transport *i;
    uint64_t frames, bytes, up, down;
    uint64_t next; /* the number that the next small frame must carry */
    bool out_of_order;
    uint64_t digest_of_large;
    char last_note[384];
    uint32_t stranger; /* of another incarnation, that greeted last */
    uint64_t stranger_incarnation;
};

struct bench {
    uv_loop_t loop;
    uv_timer_t limit;
    bool late;
    struct side side[4]; /* [node] */
    bool v6;
    uint32_t silence_ms;
};

void bench_init(struct bench *b, bool v6);
void bench_deinit(struct bench *b);
/* Starts a node; port 0 takes any. */
void bench_start(struct bench *b, uint32_t node, uint64_t boot, uint16_t port,
                 const struct tcp_layer *layer);
void bench_stop(struct bench *b, uint32_t node);
void bench_peer(struct bench *b, uint32_t node, uint32_t peer, uint16_t port);
/* Makes two running nodes peers of each other. */
void bench_join(struct bench *b, uint32_t x, uint32_t y);
/* Turns the loop until the condition holds; the test fails after BENCH_WAIT_MS. */
#define BENCH_UNTIL(b, condition)                                                                  \
    do {                                                                                           \
        bench_begin_wait(b);                                                                       \
        while (!(condition) && !(b)->late)                                                         \
            (void)uv_run(&(b)->loop, UV_RUN_ONCE);                                                 \
        bench_end_wait(b, #condition, __LINE__);                                                   \
    } while (0)
void bench_begin_wait(struct bench *b);
void bench_end_wait(struct bench *b, const char *what, int line);
bool bench_send_number(struct bench *b, uint32_t from, uint32_t to, uint64_t number,
                       size_t padding);
/* Sides 1 and 2 send each other so many, of all sizes, and get them in order. */
void bench_swap_numbers(struct bench *b, uint64_t frames);
struct tcp_counters bench_counters(struct bench *b, uint32_t node);

/* A non-blocking socket connected to the node. */
int raw_connect(struct bench *b, uint32_t node);
void raw_send(int fd, const void *bytes, size_t n);
void raw_hello(int fd, uint32_t from, uint32_t to, uint64_t cluster, uint64_t boot);
/* Whether the other end has closed it (reads what is there). */
bool raw_closed(int fd);

#endif
