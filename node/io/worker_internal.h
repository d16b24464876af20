/* What the worker's files share. Fields say which thread writes them. */
#ifndef HF_IO_WORKER_INTERNAL_H
#define HF_IO_WORKER_INTERNAL_H

#include <pthread.h>

#include "io/worker.h"
#include "io/worker_ring.h"

enum worker_direction { WORKER_INBOUND, WORKER_OUTBOUND };

/* A packet handed over to the worker that owns its SA direction, as it came in. */
struct worker_parcel {
    enum worker_direction direction;
    uint8_t hops;
    uint32_t shard_slot;      /* inbound */
    struct endpoint from, to; /* inbound; `to` only for what may go to the control loop again */
    uint32_t len;
    uint8_t bytes[WORKER_SLOT_BYTES];
};

/* A packet for the control loop. */
struct worker_letter {
    enum worker_kind kind;
    uint8_t hops;
    uint32_t shard_slot;
    struct endpoint from, to;
    uint32_t len;
    uint8_t bytes[WORKER_LETTER_BYTES];
};

enum { WORKER_WAITING_BUCKETS = WORKER_WAITING };

/* A packet that waits for a number (outbound: the inner packet) or for a ceiling (inbound:
 * verified, opened, not marked). */
struct worker_waiting {
    struct esp_sa *sa;
    enum worker_direction direction;
    uint64_t seq; /* inbound */
    uint64_t since_ns, told_ns;
    uint16_t next; /* index, WORKER_WAITING = end */
    uint16_t same; /* inbound: the next one in its bucket, likewise */
    uint16_t len;
    uint8_t bytes[WORKER_SLOT_BYTES];
};

struct worker {
    struct worker_pool *pool;
    unsigned index;
    pthread_t thread;
    int tun_fd;
    int epoll_fd, wake_fd;
    bool failed; /* a descriptor is gone for good: it turns no more */

    /* the worker writes, the control loop reads */
    _Alignas(64) _Atomic uint64_t turn_ns;
    _Atomic uint64_t passed;
    _Atomic uint32_t n_waiting, waiting_of[WORKER_MAX_SHARDS];
    _Atomic uint64_t counters[WORKER_COUNTER_COUNT];
    struct worker_ring events;  /* struct worker_event */
    struct worker_ring letters; /* struct worker_letter */

    struct worker_ring
        *parcels; /* n_workers of them; [i] is filled by worker i, [index] by the control loop */

    /* the worker's own */
    struct worker_waiting *waiting; /* WORKER_WAITING */
    uint16_t first_waiting, last_waiting, first_free;
    uint16_t buckets[WORKER_WAITING_BUCKETS];  /* inbound ones by SA and number */
    uint64_t pass;                             /* over those that wait; the first is 1 */
    uint64_t lease_epochs[WORKER_MAX_SHARDS];  /* as of this batch */
    enum worker_mode modes[WORKER_MAX_SHARDS]; /* likewise */
    uint64_t now_ns;                           /* likewise */
    uint8_t in[WORKER_MAX_PACKET_BYTES];
    uint8_t out[WORKER_MAX_PACKET_BYTES];
};

/* One heap object per SA: what the pool keeps beside it. */
struct worker_sa {
    struct esp_sa sa; /* first: the handle */
    struct worker_sa *prev, *next;
};

struct worker_pool {
    unsigned n_workers, n_shards;
    struct worker *workers;
    struct worker_shard shards[WORKER_MAX_SHARDS];
    int *fds; /* worker_fd(); -1 where there is none */
    struct esp_db db;
    void *buckets;
    int event_fd;
    const _Atomic bool *silenced;
    bool started;
    unsigned datagram_from; /* worker whose letter the control loop holds */

    _Alignas(64) _Atomic uint64_t ticket; /* the control loop's */
    _Atomic bool stop;
    _Atomic uint8_t modes[WORKER_MAX_SHARDS]; /* enum worker_mode; the control loop's */
    _Alignas(64) _Atomic bool signalled;

    struct worker_sa *all, *unpublished, *condemned; /* condemned: wait for condemned_ticket */
    uint64_t condemned_ticket;
};

/* The sockets of a shard: a number for each, which epoll events bear as well. */
enum { WORKER_SOCKETS_PER_SHARD = 2 * ADDR_SLOTS };
enum {
    WORKER_TAG_TUN = WORKER_MAX_SHARDS * WORKER_SOCKETS_PER_SHARD, /* behind the last socket's */
    WORKER_TAG_WAKE
};

static inline unsigned worker_socket(uint32_t shard_slot, unsigned slot, bool raw)
{
    return shard_slot * WORKER_SOCKETS_PER_SHARD + 2 * slot + raw;
}

static inline bool worker_socket_is_raw(unsigned socket)
{
    return socket % 2 != 0;
}

static inline int *worker_fd(const struct worker_pool *pool, unsigned socket, unsigned worker)
{
    return &pool->fds[socket * pool->n_workers + worker];
}

/* worker_pool.c */
void worker_count(struct worker *w, enum worker_counter which);
void worker_tell(struct worker *w, const struct esp_sa *sa, uint32_t events, uint64_t seq,
                 const struct endpoint *from);
void worker_signal(struct worker_pool *pool);

/* worker.c */
void *worker_main(void *arg);
/* One turn: what waits, parcels, then what is ready, at most WORKER_IDLE_MS long. */
void worker_once(struct worker *w);
/* Reads clock and leases: what the next at most WORKER_BATCH packets are handled under. */
void worker_batch_begin(struct worker *w);
struct esp_turn worker_turn(const struct worker *w, uint32_t shard_slot);
/* Copies a packet to the worker that owns it. */
void worker_hand_over(struct worker *w, unsigned to, enum worker_direction direction,
                      uint32_t shard_slot, const struct endpoint *from, struct span packet);

/* To the control loop; false: no room (counted). */
bool worker_letter(struct worker *w, const struct worker_datagram *packet);

/* worker_in.c, worker_out.c: a batch from a descriptor (false: it is gone for good), or one parcel.
 */
bool worker_in_batch(struct worker *w, unsigned socket) HF_MUST_USE;
void worker_in_parcel(struct worker *w, const struct worker_parcel *p);
void worker_deliver(struct worker *w, struct span inner);
bool worker_out_batch(struct worker *w) HF_MUST_USE;
void worker_out_parcel(struct worker *w, const struct worker_parcel *p);
void worker_emit(struct worker *w, struct esp_sa *sa, struct span packet);

/* worker_wait.c */
void worker_wait_init(struct worker *w);
/* False: no room, or too large: the caller counts the drop. */
bool worker_wait_add(struct worker *w, struct esp_sa *sa, enum worker_direction direction,
                     uint64_t seq, struct span packet) HF_MUST_USE;
/* Tries every waiting packet once, until a batch of them is gone: true when there may be more to
 * do. */
bool worker_wait_release(struct worker *w);
/* Lets go of packets of SAs that were unpublished. */
void worker_wait_sweep(struct worker *w);

#endif
