/* One CHILD SA in the data path: both directions, with what the control loop may set and may read
 * while workers use it.
 *
 *              control loop                 |              workers
 *   esp_sa_init ... publish (db.h)          |  esp_inbound:  one worker, by the SPI's low bits
 *   esp_sa_grant, _extend, _set_ceiling,    |  esp_outbound: one worker, by the inner
 *   _set_outbound, _set_remote              |                destination
 *   esp_sa_read  <── relaxed counters ──────┤
 *
 * Pure: the memory is the caller's (aligned as the struct says), no lock, no clock (times come in),
 * no allocation but what the cipher does in init and deinit. Each field is written by one side
 * only, as the comments say.
 */
#ifndef HF_ESP_SA_H
#define HF_ESP_SA_H

#include "base/addr.h"
#include "esp/drop.h"
#include "esp/gate.h"
#include "esp/packet.h"
#include "esp/reservation.h"
#include "esp/selectors.h"
#include "esp/window.h"

enum { ESP_CACHE_LINE = 64 };

/* No mark, ceiling or limit has this value: nothing was raised for one yet. */
#define ESP_RAISED_NEVER UINT64_MAX

/* What a worker tells the control loop, as bits. Raised once each (see esp_sa_raised), LOW_* once
 * per mark. */
enum esp_event {
    ESP_EVENT_FIRST_INBOUND =
        1 << 0, /* first verified packet under this grant: the peer has the SA (RFC 7296 2.8) */
    ESP_EVENT_PEER_MOVED =
        1 << 1, /* in UDP, verified, above the highest accepted, from another address; at most each
                 100 ms */
    ESP_EVENT_LOW_CEILING =
        1 << 2, /* reached the inbound mark, or a verified packet lies above the ceiling */
    ESP_EVENT_BELOW_FLOOR =
        1 << 3, /* a verified packet at or below the floor: replay recovery may be due */
    ESP_EVENT_SOFT_IN = 1 << 4, /* soft limit by packets or bytes */
    ESP_EVENT_HARD_IN = 1 << 5,
    ESP_EVENT_LOW_NUMBERS = 1 << 6, /* reached the outbound mark, or out of numbers */
    ESP_EVENT_SOFT_OUT = 1 << 7,
    ESP_EVENT_HARD_OUT = 1 << 8 /* hard limit, by time too, or no number is left */
};

/* How a CHILD SA is made. Copied; the caller wipes its own. */
struct esp_sa_params {
    uint32_t spi_in, spi_out; /* ours, the peer's */
    uint64_t ike_sa;          /* the IKE SA's id, for the control loop's own use */
    uint32_t shard_slot;      /* index into the worker pool's shards */
    const struct suite_aead *aead;
    struct secret key_in, key_out;     /* cipher key then salt */
    struct secret integ_in, integ_out; /* integrity keys; empty with a combined mode */
    bool esn;
    struct esp_selectors selectors;
    struct endpoint remote;
    bool
        raw; /* sent as ESP itself (protocol 50), not in UDP; either form is taken (RFC 7296 2.23) */
    bool outbound; /* may be chosen for outbound traffic from the start */
    bool unproven; /* made by an answer that the peer may not have yet: struct esp_sa */
    uint64_t soft_packets, hard_packets; /* per direction; 0 = no limit but the numbers' own */
    uint64_t soft_bytes, hard_bytes;     /* of inner packets, per direction; 0 = no limit */
};

/* A value of several words that one thread stores and others read whole. */
struct esp_remote_cell {
    _Atomic uint64_t gen;
    _Atomic uint64_t words[3];
};

/* Published by workers, one writer each, relaxed. */
struct esp_in_counters {
    _Atomic uint64_t packets, bytes; /* accepted: inner packets and their bytes */
    _Atomic uint64_t last_seq;       /* highest accepted */
    _Atomic uint64_t
        verified_seq;         /* highest verified, accepted or not: what a ceiling must reach */
    _Atomic uint64_t last_ns; /* time of the last verified packet */
    _Atomic uint64_t below_floor_ns; /* time of the last verified packet below the floor */
    _Atomic uint64_t drops[ESP_DROP_COUNT];
};

struct esp_out_counters {
    _Atomic uint64_t packets, bytes; /* sealed: inner packets and their bytes */
    _Atomic uint64_t next;           /* the number that the next packet would get */
    _Atomic uint64_t last_ns;
    _Atomic uint64_t drops[ESP_DROP_COUNT];
};

struct esp_sa;

/* One way into the database: `prefix` leads to the SA (see db.h). */
struct esp_route {
    struct ip_addr prefix;
    uint8_t bits;
    struct esp_sa *sa;
    _Atomic(struct esp_route *) next;
};

struct esp_sa {
    /* immutable once published */
    _Alignas(ESP_CACHE_LINE) uint32_t spi_in;
    uint32_t spi_out;
    uint64_t ike_sa;
    uint32_t shard_slot;
    uint32_t worker_in, worker_out; /* set by the worker pool before publishing */
    bool esn;
    bool raw;
    uint64_t last_number; /* highest usable number: 2^32 - 1, with ESN 2^64 - 1 */
    uint64_t hard_packets, hard_bytes;
    struct esp_selectors selectors;
    struct esp_route routes[ESP_MAX_SELECTORS]; /* one per remote selector */
    _Atomic(struct esp_sa *) next_by_spi;       /* database chain */

    /* stored by the control loop */
    _Alignas(ESP_CACHE_LINE) struct esp_remote_cell remote;
    _Atomic bool outbound;
    /* The peer has not shown that it has this SA (RFC 7296 2.8): where another one takes the packet
     * as well, that one sends. The inbound worker takes it back at the first verified packet. */
    _Atomic bool unproven;
    _Atomic bool retired;               /* unpublished: workers let go of what waits for it */
    _Atomic uint64_t mark_in, mark_out; /* numbers at which ESP_EVENT_LOW_* is raised */
    _Atomic uint64_t in_base, out_base; /* packets that count beside this node's own */
    _Atomic uint64_t in_base_bytes, out_base_bytes; /* and bytes */
    _Atomic uint64_t soft_packets, soft_bytes;      /* 0 = none; moved by a grant (tally.h) */
    _Atomic uint64_t ends_ns; /* the SA's hard limit by time; UINT64_MAX = none */

    /* the inbound worker's */
    _Alignas(ESP_CACHE_LINE) struct esp_cipher cipher_in;
    struct esp_gate gate;
    struct esp_in_counters in;
    uint32_t raised_in; /* events raised under this grant */
    /* LOW_CEILING was last told for this mark and for this ceiling. told_*: what decided the event
     * under way; by the time it is told, the control loop may have stored new ones. */
    uint64_t raised_mark_in, raised_ceiling;
    uint64_t told_mark_in, told_ceiling;
    uint64_t moved_ns;
    uint32_t waiting_in; /* packets in the worker's waiting queue */

    /* the outbound worker's */
    _Alignas(ESP_CACHE_LINE) struct esp_cipher cipher_out;
    struct esp_reservation reservation;
    struct esp_out_counters out;
    uint32_t raised_out;
    uint64_t raised_gen; /* the reservation's grant under which it was */
    uint64_t raised_mark_out, raised_limit;
    uint64_t told_mark_out, told_limit;
    uint32_t waiting_out;
    uint64_t pass_out; /* the worker's last pass over them that found no number */
};

/* The time and the right under which a batch is handled. */
struct esp_turn {
    uint64_t now_ns;
    uint64_t lease_epoch; /* of the SA's shard; 0 = no lease: nothing is accepted or emitted */
};

/* Control loop, before publishing. False: bad parameters (key length, no remote selector, SPI
 * 0..255) or the cipher failed; nothing is held then. The SA starts without any grant: it emits and
 * accepts nothing. */
bool esp_sa_init(struct esp_sa *sa, const struct esp_sa_params *params) HF_MUST_USE;
/* Wipes keys. Only when no worker can reach it any more. */
void esp_sa_deinit(struct esp_sa *sa);

/* --- control loop, at any time between publishing and removal --- */

/* What one applied entry (a creation, or an assignment) gives under `epoch`: outbound [first, end),
 * inbound (floor, ceiling]. */
struct esp_sa_grant {
    uint64_t epoch;
    uint64_t first, end;
    uint64_t floor, ceiling;
    /* What counts already for the limits by packets, this node's own packets included (tally.h). */
    uint64_t counted_in, counted_out;
    uint64_t counted_in_bytes, counted_out_bytes; /* likewise */
    uint64_t soft_packets, soft_bytes;            /* under this grant (tally.h); 0 = as they were */
};
/* Once per SA and epoch, epochs rising (asserted). */
void esp_sa_grant(struct esp_sa *sa, const struct esp_sa_grant *grant);
/* The same at a handover, with the exact window above the giver's floor (floor <= window's top <=
 * ceiling, asserted): only while no worker uses the SA. */
void esp_sa_grant_exact(struct esp_sa *sa, const struct esp_sa_grant *grant,
                        const struct esp_replay *window);
/* What the giving owner knows of it (window.h): likewise. */
void esp_sa_window(struct esp_sa *sa, struct esp_window *out);

/* After the extension's entry is applied. */
void esp_sa_extend(struct esp_sa *sa, uint64_t reservation_end);
/* After an extension is applied; or lower, to begin a shrink (then wait for worker_pool_passed,
 * then commit). */
void esp_sa_set_ceiling(struct esp_sa *sa, uint64_t ceiling);
/* Next LOW_CEILING when a number >= in is accepted; next LOW_NUMBERS when a number >= out is taken.
 */
void esp_sa_set_marks(struct esp_sa *sa, uint64_t in, uint64_t out);
void esp_sa_set_outbound(struct esp_sa *sa, bool outbound);
/* Nothing is emitted or accepted from then on, whatever became of the SA's removal. */
void esp_sa_set_end(struct esp_sa *sa, uint64_t at_ns);
void esp_sa_set_remote(struct esp_sa *sa, const struct endpoint *remote);

/* The SA's numbers at about one moment. */
struct esp_sa_view {
    uint64_t in_packets, in_bytes, last_seq, verified_seq, last_in_ns, below_floor_ns;
    uint64_t out_packets, out_bytes, next_out, last_out_ns;
    uint64_t counted_in, counted_out; /* packets for the limits: other owners' too */
    uint64_t counted_in_bytes, counted_out_bytes;
    uint64_t epoch, limit, floor, ceiling; /* as granted here */
    bool outbound;
    uint64_t drops_in[ESP_DROP_COUNT], drops_out[ESP_DROP_COUNT];
};
void esp_sa_read(struct esp_sa *sa, struct esp_sa_view *view);

/* --- workers --- */

/* False: it is being changed right now. */
bool esp_sa_remote(struct esp_sa *sa, struct endpoint *remote) HF_MUST_USE;
/* The control loop was told `events` (its queue took them): they are not raised again, PEER_MOVED
 * and LOW_* apart. */
void esp_sa_raised_in(struct esp_sa *sa, uint32_t events, uint64_t now_ns);
void esp_sa_raised_out(struct esp_sa *sa, uint32_t events);

/* Counters have one writer: a load and a store, no locked instruction. */
static inline void esp_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
