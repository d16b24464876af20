/* The conductor: what turns datagrams, timers and applied records into steps of the engine, records
 * and sends.
 *
 *   handle_datagram / handle_timer / handle_command / handle_esp ─> queue per SA ─> ike_step ─>
 * submit(record) handle_applied (every record, on every node, in log order) ─> SA table, ESP
 * database, pool ─> effects of our own step
 *
 * One uncommitted step per IKE SA; later events of that SA wait in a bounded queue. Different SAs
 * commit together. The ESP database, the pool and the timers are functions of the applied state, so
 * every node holds the same and a new owner starts at once.
 *
 * It performs no I/O itself: struct conductor_ops is all that it knows of the world (the daemon
 * gives sockets, workers and Raft; tests give an outbox that commits at once). Single-threaded:
 * every call comes from one loop.
 */
#ifndef HF_CONDUCTOR_CORE_H
#define HF_CONDUCTOR_CORE_H

#include "conductor/counters.h"
#include "conductor/heap.h"
#include "conductor/log.h"
#include "conductor/steppoint.h"
#include "replication/replica.h"

struct repl_admin; /* replication/repl_admin.h */

struct conductor;
struct conductor_sa;
struct conductor_work;
struct Holdfast__Record; /* proto/records.proto, as protobuf-c makes it */

enum {
    CONDUCTOR_QUEUE_MAX = 8,        /* events waiting per SA */
    CONDUCTOR_HALF_OPEN_MAX = 4096, /* in all */
    CONDUCTOR_HALF_OPEN_SOURCE_MAX = 32,
    CONDUCTOR_COOKIE_AT = 256,      /* half-open SAs from which on cookies are asked for */
    CONDUCTOR_COOKIE_SOURCE_AT = 8, /* half-open SAs of one source from which on it is asked */
    CONDUCTOR_WAITS_MAX = 10, /* so often a Delete waits CONDUCTOR_AGAIN_MS for packets before it */
    CONDUCTOR_AGAIN_MS = 20,  /* an SA that cannot be stepped now is looked at again then */
    CONDUCTOR_REFUSED_MS = 50,     /* ... whose record was not taken */
    CONDUCTOR_TIMERS_MAX = 256,    /* SAs stepped by one call of the timer */
    CONDUCTOR_ASSIGNED_MAX = 1024, /* CHILD SAs granted, or SAs taken over, by one call */
    CONDUCTOR_FORGET_MAX = 128,    /* SAs forgotten by one call, after a snapshot */
    CONDUCTOR_JOBS_MAX = 128,      /* key exchanges under way for datagrams without an SA */
    CONDUCTOR_AUTH_RATE = 32,      /* conductor_auth_limit's defaults */
    CONDUCTOR_AUTH_RATE_ALL = 256,
    CONDUCTOR_AUTH_WINDOW_MS = 10000,
    CONDUCTOR_AVOID_MS =
        60000,                /* an address that the log refused is not picked again for so long */
    CONDUCTOR_AUTH_TRIES = 3, /* records for one authentication, when the log refuses */
    CONDUCTOR_FIRST_RESERVATION = 1024,
    CONDUCTOR_FIRST_CEILING = 8,
    CONDUCTOR_WINDOW_MAX = 512 /* bytes of one CHILD SA in a handover */
};

/* A CHILD SA as the data path needs it; pointers are borrowed for the call. */
struct conductor_esp_child {
    uint64_t sa_id;
    uint32_t shard;
    const struct ike_child *child;
    struct endpoint local, remote;
    bool encap;
    bool rekeying; /* under way, wanted, or done: nobody need ask for it */
    bool mine;     /* install: its numbers follow at once; it sends with them, not before */
    void *follows; /* install: the handle of the one that it replaces; NULL = none here */
    /* install: the peer may not have the answer that made it (it authenticated anew beside another
     * SA of its, and that one still works): it sends what no other SA takes, until the peer does. */
    bool unproven;
};

/* What the data path does with a shard (io/worker.h). */
enum conductor_esp_mode { CONDUCTOR_ESP_ACT, CONDUCTOR_ESP_ASIDE, CONDUCTOR_ESP_STILL };

struct conductor_ops {
    void *self;                     /* of every row but esp_* */
    uint64_t (*now_ms)(void *self); /* cluster time */
    void (*entropy)(void *self, uint8_t *out, size_t n);
    uint64_t (*wall_s)(
        void *self); /* seconds since 1970, for certificates; NULL: no certificates */
    /* Packs and queues it (repl_submit), never settling it inside the call; `op` comes back as the
     * `effects` of its event. False: not now (back pressure): the step is forgotten, the peer will
     * ask again. */
    bool (*submit)(void *self, struct Holdfast__Record *record, void *op);
    /* How the log settled an operator's wish, once, by the number that conductor_wish_*() gave it. Not judged: a snapshot
     * hid the verdict, so only the state says whether it was accepted. Must not call the conductor. May be NULL. */
    void (*wish_settled)(void *self, uint64_t wish, bool judged, enum repl_verdict verdict);
    bool (*may_act)(void *self, uint32_t shard); /* we own it and hold the lease at this instant */
    bool (*leader)(void *self);
    void (*send)(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                 const struct endpoint *to, struct span bytes);
    /* An IKE message that this node took and cannot step any more, for its shard moves or its lease
     * has ended: as if it came now. May be NULL: the peer will ask again. */
    void (*ike_aside)(void *self, uint32_t shard, const struct endpoint *local,
                      const struct endpoint *remote, struct span bytes);
    /* Runs work->job, off the loop or at once; conductor_job_done() must follow, from the loop. */
    void (*run_job)(void *self, struct conductor *c, struct conductor_work *work);
    void (*copy_half_open)(void *self,
                           struct span encoded); /* best effort, to the other nodes; may be NULL */

    /* Data path: rows of one module, with its own context (node/daemon/datapath.h fills them).
     * install returns a handle or NULL (counted; the SA then carries no traffic). The handle's
     * direction keys never change. */
    void *esp_self;
    void *(*esp_install)(void *esp_self, const struct conductor_esp_child *child);
    void (*esp_update)(void *esp_self, void *esp,
                       const struct conductor_esp_child *child); /* outbound flag, path */
    void (*esp_remove)(void *esp_self, void *esp);
    /* What a CHILD SA that replaces this one should have in its first record, so that its traffic
     * need not wait for the second: numbers, and a ceiling. May be NULL. */
    void (*esp_first)(void *esp_self, void *esp, uint64_t *numbers, uint64_t *ceiling);
    /* Numbers: a grant of `epoch` replaces what was there (takeover, or a new SA of ours); limits
     * only move end and ceiling; refused: an Extend of it was refused, the state says this. */
    void (*esp_grant)(void *esp_self, void *esp, uint64_t epoch, const struct repl_grant *grant);
    void (*esp_limits)(void *esp_self, void *esp, uint64_t reservation_end, uint64_t ceiling);
    void (*esp_refused)(void *esp_self, void *esp, uint64_t reservation_end, uint64_t ceiling);
    void (*esp_revoke)(void *esp_self, void *esp);
    /* Handover; NULL: nothing is handed over, and windows that come with one are not used. mode:
     * what the data path does with a shard; passed: that is so everywhere (in ASIDE: and nothing
     * waits for a ceiling any more); export: in STILL and passed, the exact state of one, at most
     * CONDUCTOR_WINDOW_MAX bytes; resume: a grant that goes on from such a state. False: it cannot,
     * esp_grant() follows. */
    void (*esp_mode)(void *esp_self, uint32_t shard, enum conductor_esp_mode mode);
    bool (*esp_passed)(void *esp_self, uint32_t shard);
    size_t (*esp_export)(void *esp_self, void *esp, uint8_t *out);
    bool (*esp_resume)(void *esp_self, void *esp, uint64_t epoch, const struct repl_grant *grant,
                       struct span window);
    /* It may neither emit nor accept once so many ms have passed (its hard limit by time), whatever
     * becomes of its removal; UINT64_MAX = no limit. Told with each grant; may be NULL. */
    void (*esp_end)(void *esp_self, void *esp, uint64_t in_ms);
    /* A ticket, and whether by now every worker was without a packet in hand since it was drawn: what
     * an SA that sends no more had in hand has left. May be NULL. */
    uint64_t (*esp_pass)(void *esp_self);
    bool (*esp_pass_done)(void *esp_self, uint64_t ticket);
    /* Do verified packets wait for its ceiling? They would be lost with it. May be NULL. */
    bool (*esp_waiting)(void *esp_self, void *esp);
    /* Milliseconds since the last verified packet in, and the last packet out; UINT64_MAX = never.
     * Any authenticated traffic counts as life (RFC 7296 2.4). */
    void (*esp_idle)(void *esp_self, void *esp, uint64_t *in_ms, uint64_t *out_ms);
};

struct conductor_options {
    const struct ike_policy *policy;
    const struct log *log;
    uint32_t node;
    uint64_t boot;
    uint32_t n_shards;
    struct conductor_shard_options {
        uint32_t id;
        /* assignable addresses of each family, inclusive; family ADDR_NONE: no pool */
        struct ip_addr pool_first[ADDR_SLOTS], pool_last[ADDR_SLOTS];
    } shards[REPL_MAX_SHARDS];
    bool drills;
    int step_fd;
    /* What becomes of a CHILD SA whose peer stays below the floor after a takeover. */
    enum conductor_recovery {
        CONDUCTOR_RECOVER_REKEY,   /* rekeyed at once */
        CONDUCTOR_RECOVER_WAIT,    /* counted; the peer's numbers cross the floor in time */
        CONDUCTOR_RECOVER_BOUNDED, /* rekeyed, so many a second; the others wait their turn */
    } recovery;
    uint32_t recoveries_per_second; /* BOUNDED: at least 1 */
    /* Unestablished SAs that may be replicated in each window; window_ms 0: the defaults. */
    struct conductor_auth_limit {
        uint32_t per_source, in_all; /* at least 1 */
        uint64_t window_ms;
    } auth;
};

struct conductor *conductor_create(const struct conductor_options *options,
                                   const struct conductor_ops *ops);
void conductor_destroy(struct conductor *c);

/* Inputs. A datagram is one IKE message without non-ESP marker; it is copied where it must wait. */
void conductor_handle_datagram(struct conductor *c, uint32_t shard, const struct endpoint *local,
                               const struct endpoint *remote, bool natt, struct span datagram);
void conductor_handle_timer(struct conductor *c);
/* One event of replication, in log order; not freed here. */
void conductor_handle_replication(struct conductor *c, const struct repl_event *event);
/* As much of it as one turn of the loop may take. False: call it again with the same event, which
 * goes on (RESET, ASSIGNED and LEASE of many SAs). Nothing else of replication may come between. */
bool conductor_replication_some(struct conductor *c, const struct repl_event *event);
/* The work itself (key exchange, signature, a peer's proof), for any thread; then conductor_job_done() from the loop. */
void conductor_job_run(struct conductor_work *work);
/* ... or conductor_job_cancel(), when the daemon stops: the event is forgotten. */
void conductor_job_cancel(struct conductor *c, struct conductor_work *work);
void conductor_job_done(struct conductor *c, struct conductor_work *work);
/* Another policy from now on; SAs that stand are not touched. What jobs found under the old one is
 * forgotten and found anew. The old one and what it borrows must live until jobs that began under
 * it have come back. */
void conductor_set_policy(struct conductor *c, const struct ike_policy *policy);

/* From the data path, by CHILD SA. All but MOVED (which comes again) may be told just once per
 * grant: they are kept until they have become a step, whatever hinders that now. */
enum conductor_esp_news {
    CONDUCTOR_ESP_SOFT,
    CONDUCTOR_ESP_HARD,
    CONDUCTOR_ESP_FIRST_INBOUND,
    CONDUCTOR_ESP_RECOVER, /* by conductor_recover() only */
    CONDUCTOR_ESP_MOVED
};
void conductor_handle_esp(struct conductor *c, uint32_t spi_in, enum conductor_esp_news news,
                          const struct endpoint *remote);

/* Asks for IKE_WANT_* on one SA. False: no such SA, not ours to act, or its queue is full (*why).
 */
bool conductor_command(struct conductor *c, uint64_t sa_id, uint32_t want, uint32_t child_spi_in,
                       const char **why);
/* Replay recovery of that CHILD SA, by options.recovery, counted apart. True: it is settled (the
 * rekey stays due in the SA's state until it is done, or none is wanted). False: not now; ask again.
 */
bool conductor_recover(struct conductor *c, uint32_t spi_in);
/* The data path's handle of an installed CHILD SA, or NULL. */
void *conductor_esp_of(struct conductor *c, uint32_t spi_in);
/* Our initiator role: begins an IKE SA from `local` to `remote`. */
void conductor_initiate(struct conductor *c, uint32_t shard, const struct endpoint *local,
                        const struct endpoint *remote);

/* Extension of numbers: the data path's policy decided on these values; one record for all
 * (node/README.md). */
struct conductor_extend {
    uint32_t spi_in;
    uint64_t reservation_end;         /* 0 = unchanged */
    uint64_t ceiling;                 /* 0 = unchanged */
    uint64_t packets_in, packets_out; /* that count by now; with nothing else: only told */
    uint64_t bytes_in, bytes_out;     /* likewise */
    bool taken;                       /* out: in the record that was submitted */
};
/* The claims move when the record is applied. False: nothing was taken. At most one record per
 * claim is under way: an item whose claim has one is not taken. */
bool conductor_extend(struct conductor *c, uint32_t shard, struct conductor_extend *items,
                      size_t n);

/* Hands the shard over to a node (in its start `boot`), when it is this node's. False: it is not,
 * or a handover is under way. */
bool conductor_give(struct conductor *c, uint32_t shard, uint32_t node, uint64_t boot,
                    const char *reason);
/* Is it being handed over, or taken over and not granted to the last SA yet? Then its datagrams are
 * to be kept: conductor_handle_datagram() would drop them. */
bool conductor_moving(struct conductor *c, uint32_t shard);
/* Goes on with handovers: when the data path may have passed, and with the timer. */
void conductor_handle_handovers(struct conductor *c);
/* An operator's wishes, for the log: each is numbered, and ops.wish_settled tells how it ended by that
 * number; 0: replication takes nothing now, and nothing was kept. until_ms: from that cluster time on the
 * log refuses it, however late it comes there; 0 = never, the only one that members with less than
 * RECORD_SPEAKS_UNTIL know. by: who asked (repl_admin.h), for the audit; NULL: nobody said. It is left out
 * while a member knows less than RECORD_SPEAKS_DOCUMENTS, for which the record would be malformed. */
uint64_t conductor_wish_move(struct conductor *c, uint32_t shard, uint32_t node,
                             const struct repl_admin *by);
/* Another key of sessions. */
uint64_t conductor_wish_rotation(struct conductor *c, const struct repl_admin *by);
/* removal: not an operator's but of that removal (never 0, nor without an end), which takes back with
 * `drained` false what it drained itself, and nothing else: from RECORD_SPEAKS_REMOVAL on. 0 = an operator's. */
uint64_t conductor_wish_drain(struct conductor *c, uint32_t node, bool drained, uint64_t until_ms,
                              uint64_t removal, const struct repl_admin *by);
/* Likewise members: a token that permits `node` at `address` to join, by its SHA-256; a join by it;
 * a leave. */
uint64_t conductor_wish_token(struct conductor *c, uint32_t node, const char *address,
                              const uint8_t hash[32], uint64_t valid_ms,
                              const struct repl_admin *by);
uint64_t conductor_wish_join(struct conductor *c, uint32_t node, const uint8_t hash[32],
                             uint32_t speaks, const struct repl_admin *by);
uint64_t conductor_wish_leave(struct conductor *c, uint32_t node, uint64_t until_ms,
                              const struct repl_admin *by);

/* To be called before the loop sleeps: nothing of the states that were looked at or made since stays in scratch
 * memory. Cheap when there were none. */
void conductor_rest(struct conductor *c);

/* Cluster time of the next timer, UINT64_MAX = none. */
uint64_t conductor_next_wake_ms(const struct conductor *c);

struct steppoint *conductor_steppoint(struct conductor *c);
/* What failed lately (attempts.h). */
struct attempts *conductor_attempts(struct conductor *c);
const struct counters *conductor_counters(const struct conductor *c);

/* Read access for the admin interface and the extender: calls visit for every replicated SA; state
 * is decoded for the call. */
struct conductor_sa_view {
    const struct ike_sa *sa;
    uint64_t version;
    struct conductor_child_view {
        void *esp;
        struct repl_claim claim; /* as of now: implicit grants counted */
        bool extending;
    } children[IKE_MAX_CHILDREN]; /* by slot of sa->children */
};
void conductor_each_sa(struct conductor *c,
                       void (*visit)(void *self, const struct conductor_sa_view *view), void *self);
bool conductor_view_sa(struct conductor *c, uint64_t sa_id,
                       void (*visit)(void *self, const struct conductor_sa_view *view), void *self);
/* Cheaper: every installed CHILD SA of a shard, without decoding. */
void conductor_each_child(struct conductor *c, uint32_t shard,
                          void (*visit)(void *self, uint32_t spi_in, void *esp,
                                        const struct repl_claim *claim, bool extending),
                          void *self);
size_t conductor_count_sas(const struct conductor *c);
size_t conductor_count_half_open(const struct conductor *c);
size_t conductor_count_children(const struct conductor *c); /* CHILD SAs, on every node */

/* Ownership of a shard as applied here. */
struct conductor_shard {
    uint32_t id;
    struct repl_epoch epoch;
    uint32_t owner_node;
    uint64_t owner_boot;
    uint64_t assignments;
    uint64_t
        version; /* assignments and aborted handovers: what a handover's compare-and-set is by */
    bool mine;   /* owner is this node in this boot */
};
const struct conductor_shard *conductor_shard(const struct conductor *c, uint32_t id);

#endif
