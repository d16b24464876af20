/* The ESP worker threads: TUN <-> ESP, in UDP or not, run to completion, one thread per core.
 *
 *   TUN queue ──> destination ─> SA ─> number ─> seal ──> UDP 4500 of the SA's shard, or ESP itself
 *   TUN queue <── selectors <─ window, ceiling <─ open <── UDP 4500 or ESP itself, by SPI
 *                                                  └──> non-ESP marker: to the control loop
 *
 * Each worker has one TUN queue and, per shard and family, one UDP socket and one ESP socket. Which one
 * an SA sends by is its own `raw` (esp/sa.h) and its peer's family; it takes what comes by either.
 *
 * Workers take no lock, allocate nothing per packet and know nothing of Raft. Before each batch (at
 * most WORKER_BATCH packets) the shard's lease is read; without one packets are dropped and
 * counted. So after a lease has run out at most the batch in hand leaves. An SA direction belongs
 * to one worker; a packet that came in at another one is handed over through a bounded ring.
 *
 * Everything here is called from one thread (the control loop) unless it says otherwise. The
 * control loop watches worker_pool_event_fd() and then drains events and datagrams.
 */
#ifndef HF_IO_WORKER_H
#define HF_IO_WORKER_H

#include "esp/db.h"
#include "esp/inbound.h"
#include "esp/outbound.h"
#include "replication/replica.h"

enum {
    WORKER_BATCH = 64,
    WORKER_MAX = 16,
    WORKER_MAX_SHARDS = REPL_MAX_SHARDS,
    WORKER_MAX_PACKET_BYTES = 65536, /* one datagram or inner packet */
    WORKER_SLOT_BYTES = 4096,        /* what may wait, be handed over, or go to the control loop */
    WORKER_LETTER_BYTES = WORKER_SLOT_BYTES + 1, /* an IKE message that is longer is cut to this */
    WORKER_WAITING = 2048,                       /* packets that wait, per worker */
    WORKER_WAITING_PER_SA =
        1024,                /* per direction: what comes at full rate while a record is stored */
    WORKER_WAIT_MS = 1000,   /* then they are dropped */
    WORKER_REMIND_MS = 50,   /* what waits so long is told again */
    WORKER_IDLE_MS = 20,     /* a worker turns at least this often */
    WORKER_EVENTS = 4096,    /* queue to the control loop, per worker */
    WORKER_DATAGRAMS = 1024, /* likewise, packets that are not for the worker itself */
    WORKER_INJECTED = 1024   /* packets from the control loop, per worker */
};

/* One shard as the workers see it. */
struct worker_shard {
    uint32_t shard;                 /* its id */
    const struct repl_lease *lease; /* lives as long as the pool */
    /* By family; family ADDR_NONE: the shard has no such service address. */
    struct ip_addr outside[ADDR_SLOTS];
    /* n_workers sockets each, non-blocking, borrowed: UDP bound to `outside` (SO_REUSEPORT), and raw
     * ESP (io/esp_socket.h, each with its worker's share). NULL: none. */
    const int *udp_fds[ADDR_SLOTS];
    const int *esp_fds[ADDR_SLOTS];
};

struct worker_options {
    unsigned n_workers; /* 1..WORKER_MAX */
    const int *tun_fds; /* n_workers queues, IFF_TUN | IFF_NO_PI, without a vnet header,
                           non-blocking; borrowed */
    const struct worker_shard *shards; /* copied */
    unsigned n_shards;    /* 1..WORKER_MAX_SHARDS; esp_sa_params.shard_slot indexes it */
    uint32_t sa_capacity; /* sizes the look-up tables; not a limit */
    /* True from some time on: not one packet leaves after that, nor one of the batch in hand, into the
     * tunnel or out of it. Any thread sets it; outlives the pool. NULL: nobody does. */
    const _Atomic bool *silenced;
};

struct worker_pool;

/* NULL: no memory, no eventfd or epoll (errno says). Threads do not run yet. */
struct worker_pool *worker_pool_create(const struct worker_options *options);
/* False: no thread (errno). */
bool worker_pool_start(struct worker_pool *pool) HF_MUST_USE;
/* Ends and joins the threads. The descriptors stay open (they are the caller's). */
void worker_pool_stop(struct worker_pool *pool);
/* After stop: wipes and frees every SA, removed or not. */
void worker_pool_destroy(struct worker_pool *pool);

/* Readable when drain has something to do, or when a ticket was passed. Level-triggered until
 * drained. */
int worker_pool_event_fd(const struct worker_pool *pool);

/* --- SAs. The returned pointer is used with esp/sa.h's control-loop functions until
 * worker_sa_remove. --- */

/* Publishes a new SA (without a grant: esp_sa_grant gives it one). NULL: SPI taken, bad parameters
 * or no memory. */
struct esp_sa *worker_sa_install(struct worker_pool *pool, const struct esp_sa_params *params);
/* Unpublishes; packets that wait for it are dropped; its memory goes when every worker has passed.
 */
void worker_sa_remove(struct worker_pool *pool, struct esp_sa *sa);
/* NULL: none. */
struct esp_sa *worker_sa_find(const struct worker_pool *pool, uint32_t spi_in);

/* Wakes workers in which packets wait, after limits or ceilings rose. Cheap; once per applied entry
 * is right. */
void worker_pool_kick(struct worker_pool *pool);

/* --- quiescence --- */

/* A ticket that is passed when every worker was without a packet in hand after this call, so that
 * all which follows sees what was stored before. event_fd is signalled then. */
uint64_t worker_pool_pass(struct worker_pool *pool);
bool worker_pool_passed(const struct worker_pool *pool, uint64_t ticket);
/* What workers do with one shard. Anything but ACT: what comes for it goes to the control loop, by
 * worker_pool_datagram(), to be kept, or forwarded to the node that owns it. */
enum worker_mode {
    WORKER_ACT,   /* under its lease; at first all are in it */
    WORKER_ASIDE, /* inbound packets that wait already may still be taken when their ceiling rises;
                     those that wait for a number go to the control loop */
    WORKER_STILL  /* no SA of the shard is used: once passed, the control loop may use
                     esp_sa_window(), and esp_sa_grant_exact(); in ASIDE when nothing waits either */
};
/* The ticket that is passed when every worker goes by it. */
uint64_t worker_pool_mode(struct worker_pool *pool, uint32_t shard_slot, enum worker_mode mode);
/* How many packets wait in workers for numbers or ceilings of the shard. */
uint32_t worker_pool_waiting(const struct worker_pool *pool, uint32_t shard_slot);

/* CLOCK_BOOTTIME (ns) of the turn of the worker that turned longest ago; any thread. 0 before all
 * have turned. A worker whose descriptors failed for good does not turn any more. */
uint64_t worker_pool_oldest_turn_ns(const struct worker_pool *pool);

/* --- what workers tell --- */

struct worker_event {
    uint32_t spi_in; /* the SA by number: it may be gone when this is read */
    uint64_t ike_sa;
    uint32_t events; /* enum esp_event bits, from one direction */
    uint64_t seq;
    uint64_t at_ns;       /* CLOCK_BOOTTIME */
    struct endpoint from; /* PEER_MOVED: where the packet came from */
};
/* Takes up to `cap` events; the number taken. */
size_t worker_pool_events(struct worker_pool *pool, struct worker_event *events, size_t cap);

/* What came for a shard and is not for the workers now. */
enum worker_kind {
    WORKER_IKE,  /* on an ESP port (RFC 3948 2.2): the four zero bytes are taken off */
    WORKER_ESP,  /* the shard is not acted for: an ESP packet */
    WORKER_INNER /* likewise: an inner packet towards a client */
};
struct worker_datagram {
    enum worker_kind kind;
    uint32_t shard_slot;
    uint8_t hops;             /* how often it was forwarded between nodes */
    struct endpoint from, to; /* not of WORKER_INNER */
    struct span bytes;        /* valid until worker_pool_datagram_done */
};
/* False: none. One at a time; call worker_pool_datagram_done after each. Reading also clears
 * event_fd when all is drained. */
bool worker_pool_datagram(struct worker_pool *pool, struct worker_datagram *datagram) HF_MUST_USE;
void worker_pool_datagram_done(struct worker_pool *pool);
/* Gives a packet (ESP or INNER) to the worker whose it is, as if it had come in there now. False:
 * too many wait for it (try again when the loop has turned), or it is too large. */
bool worker_pool_inject(struct worker_pool *pool, const struct worker_datagram *packet);

/* Clears the readiness of event_fd; call before draining. */
void worker_pool_event_clear(struct worker_pool *pool);

/* --- counters of packets that belong to no SA, summed over workers; any thread --- */
enum worker_counter {
    WORKER_IN_PACKETS,  /* datagrams read */
    WORKER_OUT_PACKETS, /* inner packets read */
    WORKER_IN_NO_LEASE, /* dropped for want of a lease */
    WORKER_OUT_NO_LEASE,
    WORKER_IN_UNKNOWN_SPI,
    WORKER_IN_WRONG_SHARD,  /* the SPI is another shard's */
    WORKER_IN_MALFORMED,    /* too short for ESP */
    WORKER_OUT_MALFORMED,   /* no IP packet */
    WORKER_OUT_NO_SA,       /* no SA leads to the destination */
    WORKER_OUT_SELECTORS,   /* one does, but does not take this packet */
    WORKER_KEEPALIVES,      /* RFC 3948 2.3: counted and forgotten */
    WORKER_IKE_DATAGRAMS,   /* given to the control loop */
    WORKER_IKE_DROPPED,     /* its queue was full */
    WORKER_ASIDE_PACKETS,   /* given to the control loop: their shard is not acted for */
    WORKER_ASIDE_DROPPED,   /* likewise, or it was larger than WORKER_SLOT_BYTES */
    WORKER_EVENTS_DEFERRED, /* the event queue was full: the event is raised again */
    WORKER_HANDED_OVER,     /* to the worker that owns the SA */
    WORKER_HAND_OVER_FULL,
    WORKER_TUN_ERRORS,     /* write to the TUN failed: the packet is lost */
    WORKER_UDP_ERRORS,     /* send failed: likewise, and its number stays used */
    WORKER_WAITED,         /* packets that waited for a reservation or a ceiling */
    WORKER_WAITED_IN_VAIN, /* ... whose SA was removed meanwhile: lost with it */
    WORKER_TURNS,
    WORKER_RAW_PACKETS,     /* of WORKER_IN_PACKETS: ESP itself, not in UDP */
    WORKER_RAW_UNKNOWN_SPI, /* of WORKER_IN_UNKNOWN_SPI: likewise */
    WORKER_RAW_ERRORS,      /* as WORKER_UDP_ERRORS, of ESP itself */
    WORKER_SILENCED, /* either way: this process may do nothing more (worker_options.silenced) */
    WORKER_COUNTER_COUNT
};
uint64_t worker_pool_counter(const struct worker_pool *pool, enum worker_counter which);
/* "in-unknown-spi", ...: for metrics. Static. */
const char *worker_counter_name(enum worker_counter which);

#endif
