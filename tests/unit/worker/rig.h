/* A worker pool with a datagram socket pair (or a real TUN) where the TUN would be, UDP on
 * loopback, and the other end of the CHILD SAs in the test itself. Waits are for descriptors and
 * conditions, with a deadline that only a failure reaches. */
#ifndef HF_TESTS_WORKER_RIG_H
#define HF_TESTS_WORKER_RIG_H

#include "../esp/pair.h"
#include "io/worker.h"

enum { RIG_WORKERS_MAX = 4, RIG_DEADLINE_MS = 20000 };

struct rig {
    struct worker_pool *pool;
    struct repl_lease lease;
    _Atomic bool silenced; /* worker_options.silenced */
    unsigned n_workers;
    int tun[RIG_WORKERS_MAX];        /* the test's end of each queue; -1 with a real TUN */
    int tun_worker[RIG_WORKERS_MAX]; /* the worker's */
    int udp[RIG_WORKERS_MAX];        /* the gateway's sockets */
    int esp[RIG_WORKERS_MAX];        /* raw ones, with rig_init_raw() */
    bool raw;
    int client; /* the client's socket */
    struct endpoint gateway_at, client_at;
};

/* tun_fds NULL: socket pairs. The pool runs; there is no lease yet. */
void rig_init(struct rig *r, unsigned n_workers, const int *tun_fds);
/* The same, with raw ESP sockets of 127.0.0.1 as well: in a network namespace of the test's own. */
void rig_init_raw(struct rig *r, unsigned n_workers);
void rig_deinit(struct rig *r);

/* As replication publishes a lease: of this epoch, for so long. */
void rig_lease(struct rig *r, uint64_t epoch, uint64_t for_ms);
void rig_no_lease(struct rig *r);

/* Installs the gateway's end and makes the client's. Both have grants for PAIR_EPOCH: outbound to
 * `end`, inbound to `ceiling`. */
struct esp_sa *rig_sa(struct rig *r, const struct pair_options *o, struct esp_sa *client,
                      uint64_t end, uint64_t ceiling);

/* The same, the gateway's end raw and its peer at `client_at`. */
struct esp_sa *rig_sa_raw(struct rig *r, const struct pair_options *o, struct esp_sa *client,
                          const struct ip_addr *client_at, uint64_t end, uint64_t ceiling);

/* From the client's socket, in UDP. */
void rig_send(struct rig *r, struct span bytes);
/* The client seals packet `number` and sends it from its socket. */
void rig_up(struct rig *r, struct esp_sa *client, const struct pair_options *o, uint32_t number);
/* A packet for the client, into TUN queue `queue`. */
void rig_down(struct rig *r, const struct pair_options *o, uint32_t number, unsigned queue);

/* The number of the next packet out of any TUN queue; waits. UINT32_MAX: none came in `ms`. */
uint32_t rig_delivered(struct rig *r, int ms);
/* The next ESP packet at the client's socket, opened by `client`; its number, *seq its sequence
 * number. UINT32_MAX: none in `ms`. */
uint32_t rig_received(struct rig *r, struct esp_sa *client, uint64_t *seq, int ms);

/* Waits until the counter reaches `least`; fails the test at the deadline. */
void rig_wait_counter(struct rig *r, enum worker_counter which, uint64_t least);
void rig_wait_passed(struct rig *r, uint64_t ticket);
/* Drains events until one of SPI `spi` has the bit; fails the test at the deadline. */
struct worker_event rig_wait_event(struct rig *r, uint32_t spi, uint32_t bit);

uint64_t rig_now_ns(void);

#endif
