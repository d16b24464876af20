/* The kernel of one simulated machine, as far as the ESP workers see it: sockets, TUN, epoll,
 * eventfd, the clock. node/io/worker*.c is compiled a second time over it (sim_kernel_names.h), so
 * the worker that the simulator runs is the production one, turn by turn, without a thread.
 *
 *   sim_kernel_put_udp, _put_tun ──> queues ──> worker_once() ──> emit(), deliver()
 *
 * One machine runs at a time: sim_kernel_enter() says which. Descriptors are numbers of its own.
 */
#ifndef HF_SIM_KERNEL_H
#define HF_SIM_KERNEL_H

#include "base/addr.h"
#include "base/assert.h"

enum {
    SIM_KERNEL_FDS = 64,
    SIM_KERNEL_QUEUE = 256, /* packets that one socket holds; more are lost */
    SIM_KERNEL_KEYS = 256,  /* CHILD SAs remembered; many more than there are at a time */
    SIM_FD_TUN = 1,
    SIM_FD_UDP = 8 /* + shard slot */
};

struct sim_packet {
    struct sim_packet *next;
    struct endpoint from, to;
    size_t len;
    uint8_t bytes[];
};

struct sim_queue {
    struct sim_packet *first, *last;
    size_t n;
};

/* Its CHILD SAs' keys, as numbers: both ends have the same for one direction. */
struct sim_key {
    uint32_t spi_in;
    uint64_t in, out;
};

/* A packet that was sealed or accepted and has not gone on yet, with the epoch of the lease under which. */
struct sim_in_hand {
    uint64_t key, seq, epoch;
    uint32_t shard_slot;
};

struct worker;
struct esp_sa;
struct esp_turn;
struct sim_hand;

struct sim_kernel {
    uint64_t now_ns; /* CLOCK_BOOTTIME of this machine */
    void *self;
    /* A datagram leaves by the UDP socket of that shard slot; an inner packet by the TUN. */
    void (*emit)(void *self, uint32_t slot, const struct endpoint *to, struct span bytes);
    void (*deliver)(void *self, struct span inner);
    /* A number was used to seal; a packet was accepted. */
    void (*sealed)(void *self, uint64_t key, uint64_t seq, const struct esp_sa *sa,
                   const struct esp_turn *turn);
    void (*opened)(void *self, uint64_t key, uint64_t seq, const struct esp_sa *sa,
                   const struct esp_turn *turn);
    /* The same packets when they leave by the socket, or go in by the TUN; and: its worker begins a
     * turn. NULL: nobody wants to know. */
    void (*left)(void *self, const struct sim_in_hand *p);
    void (*entered)(void *self, const struct sim_in_hand *p);
    void (*turned)(void *self);
    struct sim_in_hand out, in; /* the newest ones */
    /* So many packets from now its worker is stopped, with the last of them in hand; 0 = it is not. */
    uint32_t cut_after;
    struct sim_hand *hand;                /* NULL: no turn was to be cut yet */
    struct sim_key keys[SIM_KERNEL_KEYS]; /* the newest ones, in turn */
    size_t n_keys;
    struct sim_queue tun, udp[SIM_KERNEL_FDS - SIM_FD_UDP];
    bool set[SIM_KERNEL_FDS]; /* eventfds */
    bool watched[SIM_KERNEL_FDS];
    uint64_t tags[SIM_KERNEL_FDS];
    int n_fds;
    struct worker *worker;
    uint64_t overflows;
};

void sim_kernel_init(struct sim_kernel *k);
/* Drops what is queued. */
void sim_kernel_deinit(struct sim_kernel *k);
/* From now on this machine runs; the one before. */
struct sim_kernel *sim_kernel_enter(struct sim_kernel *k);
/* Whose kernel it is that runs. */
void *sim_kernel_self(void);
/* CLOCK_BOOTTIME of the machine that runs. */
uint64_t sim_kernel_now_ns(void);

/* False: the queue is full, the packet is lost. */
bool sim_queue_put(struct sim_queue *q, const struct endpoint *from, const struct endpoint *to,
                   struct span bytes);
/* The oldest, which is the caller's to free; NULL: none. */
struct sim_packet *sim_queue_take(struct sim_queue *q);
void sim_queue_clear(struct sim_queue *q);

void sim_kernel_put_udp(struct sim_kernel *k, uint32_t slot, const struct endpoint *from,
                        const struct endpoint *to, struct span bytes);
void sim_kernel_put_tun(struct sim_kernel *k, struct span inner);
/* Is anything there for the worker? For who watches that eventfd? */
bool sim_kernel_busy(const struct sim_kernel *k);
bool sim_kernel_readable(const struct sim_kernel *k, int fd);
/* One turn of its worker, which may be cut; false: its pool does not run. */
bool sim_kernel_turn(struct sim_kernel *k);
/* Its worker was stopped in the middle of a turn: it has no other before it went on with this one. */
bool sim_kernel_is_cut(const struct sim_kernel *k);
void sim_kernel_go_on(struct sim_kernel *k);

#endif
