/* The replica without a thread: raft driver, state machine, ownership, outbox and batching, stepped
 * with the time (CLOCK_BOOTTIME, ns), frames and storage completions. Production (repl_thread.c)
 * and the simulator run this same code. One loop calls it; it calls back from within those calls.
 *
 *   submit ─> outbox ─┬─ leading ──> batch ──(previous entry stored)──> one raft entry
 *                     └─ else ─────> Forward frame to the leader ─────────^
 *   raft applies ─> fsm ─> events, ownership; own request? leaves the outbox
 *
 * May not: read a clock, open a socket or file, draw random numbers.
 */
#ifndef HF_REPL_REPLICA_CORE_H
#define HF_REPL_REPLICA_CORE_H

#include "replication/replica.h"
#include "replication/seal_ring.h"

struct replica_options {
    uint32_t node;
    uint64_t boot; /* random, not 0 */
    uint64_t
        incarnation; /* of the cluster at its log's beginning; a snapshot's header says another */
    uint32_t raft_seed;
    struct repl_node_address nodes[REPL_MAX_NODES]; /* at the start; later the log says who */
    size_t n_nodes;
    size_t
        n_listed; /* the first so many are an operator's own: nobody's word changes their address */
    struct repl_shard_option shards[REPL_MAX_SHARDS];
    size_t n_shards;
    struct repl_timing timing; /* all set, no defaults here */
    bool rebalance;
    uint32_t settle_ms;
    uint64_t snapshot_entries, snapshot_bytes;
    uint64_t
        key_age_ms; /* a new key of sessions so often (cluster time); 0 = only when wished for */
    /* When those that were kept over the former start's end are too old, unless the cluster is heard of
     * before; by the clock of `now_ns`; 0 = never. */
    uint64_t kept_until_ns;
    uint32_t founders[REPL_MAX_MEMBERS]; /* whom the log's first entry must name; none: `nodes` */
    size_t n_founders;
    bool joined;       /* not one of the founders: `nodes` are itself and whom to ask */
    bool unjoinable;   /* alone for good: it has no address or certificate that others could find */
    uint32_t speaks;   /* newest version of records: RECORD_SPEAKS, or less in a test; 0 = that */
    uint32_t trailing; /* entries kept behind a snapshot; 0 = the driver's default */
    const struct seal *seal; /* outlives the replica */
    /* Whose `seal` it is, where keys are asked for and given; outlives the replica. NULL: `seal`
     * needs none (seal_none). */
    struct seal_ring *ring;
};

struct replica_job;

struct replica_callbacks {
    void *self;
    /* Work that is too long for the loop: replica_job_run() on any thread, one job after the other
     * or several at once, then replica_job_done() on the loop, not from inside this call. NULL: it
     * is done at once. */
    void (*job)(void *self, struct replica_job *job);
    /* Events that were not taken yet: a restored state waits for them. NULL: they never wait. */
    size_t (*events_waiting)(void *self);
    void (*event)(void *self, struct repl_event *event); /* takes it over */
    void (*entropy)(void *self, uint8_t *bytes, size_t n);
    /* The nodes to be connected with, this one among them, are others than before. NULL: nobody
     * wants to know. Not to be acted on from inside this call. */
    void (*peers)(void *self, const struct repl_node_address *nodes, size_t n);
    bool (*disk_ok)(void *self); /* no write has been waiting for too long */
    /* How long writes have waited without any progress, 0 = they go on. Asked at each tick. */
    uint64_t (*disk_stuck_ns)(void *self);
    /* The configuration's key came from another node: stored, before it is used, when this returns.
     * False: it cannot be. NULL: nothing is kept. */
    bool (*keep_key)(void *self, const uint8_t bytes[SEAL_KEY_BYTES]);
    /* The ring's keys of sessions are others now: a daemon that starts anew finds these. May be NULL. */
    void (*keys_changed)(void *self);
    /* What replica_start() was given is not needed any more. May be NULL. */
    void (*begun)(void *self);
    void (*log)(void *self, enum repl_log_level level, const char *text);
    void (*failed)(void *self, const char *why); /* nothing more will happen: exit */
};

/* Cluster time, readable from any thread: min(now + offset, newest + 5 s); 0 before the first
 * stamp. */
#define REPLICA_CLOCK_NONE (INT64_MIN / 2)
struct replica_clock {
    _Atomic int64_t
        offset_ms; /* cluster time − CLOCK_BOOTTIME; REPLICA_CLOCK_NONE before any stamp */
    _Atomic uint64_t newest_ms;
};

/* What it says at `now_ns`, never less than it said before: *given_ms keeps that, 0 at first. Any
 * thread. */
uint64_t replica_clock_read(const struct replica_clock *clock, _Atomic uint64_t *given_ms,
                            uint64_t now_ns);

struct replica;

/* Everything given by pointer outlives it: storage, transport, leases[n_shards], health, clock. */
struct replica *replica_create(const struct replica_options *options,
                               const struct repl_storage *storage,
                               const struct repl_transport *transport,
                               const struct replica_callbacks *callbacks, struct repl_lease *leases,
                               struct repl_health *health, struct replica_clock *clock);
/* Drops what is outstanding, without events. */
void replica_destroy(struct replica *r);

/* The configuration that entry 1 holds: every listed node a voter, in the order of ids. */
void replica_genesis(const struct repl_node_address *nodes, size_t n_nodes,
                     struct repl_configuration *out);
/* Does what the disk holds fit these nodes? False: *why says what differs. */
bool replica_fits(const struct repl_loaded *loaded, const struct replica_options *options,
                  const char **why);

/* Once. False: what was loaded contradicts itself. A node that lacks a key asks the others for it and
 * begins when it has come: `loaded` must stay until callbacks.begun(). */
bool replica_start(struct replica *r, const struct repl_loaded *loaded,
                   uint64_t now_ns) HF_MUST_USE;

void replica_tick(struct replica *r, uint64_t now_ns);
/* Call replica_tick() then; ask again after every call. UINT64_MAX: never. */
uint64_t replica_next_ns(const struct replica *r);

void replica_frame(struct replica *r, uint64_t now_ns, uint32_t from, enum repl_channel channel,
                   struct span bytes);
void replica_link(struct replica *r, uint64_t now_ns, uint32_t node, bool up);
/* A node of another incarnation of this cluster greeted (transport.h). */
void replica_stranger(struct replica *r, uint64_t now_ns, uint32_t node, uint64_t incarnation);
void replica_stored(struct replica *r, uint64_t now_ns, const struct repl_storage_done *done);

/* Where members are, as node `from` says to one that cannot know yet. Until it has heard the log up to
 * its own start it takes that from anybody, and connects with these, too; then the log says who the
 * members are, and whose word may add to them. */
void replica_introduce(struct replica *r, uint64_t now_ns, uint32_t from,
                       const struct repl_node_address *nodes, size_t n);

void replica_job_run(struct replica_job *job);
void replica_job_done(struct replica *r, uint64_t now_ns, struct replica_job *job);
/* Instead of done, when `r` is about to go. */
void replica_job_drop(struct replica_job *job);

/* Packs and seals a record of this node: fills node, boot and `request` in *record (and leaves them
 * there). malloc'd; NULL: invalid or too large. No replica is needed: any thread. */
uint8_t *replica_pack(struct Holdfast__Record *record, uint32_t node, uint64_t boot,
                      uint64_t request, const struct seal *seal, size_t *n) HF_MUST_USE;

/* The request that must be used next, and the oldest unsettled one. */
uint64_t replica_next_request(const struct replica *r);
uint64_t replica_oldest_request(const struct replica *r);
size_t replica_outstanding_bytes(const struct replica *r);
/* May one more record be packed, of whatever size, where so many requests wait, of so many sealed bytes
 * in all, those included that are still on their way to replica_put()? It then has room there. */
bool replica_has_room(uint64_t requests, size_t bytes, const struct seal *seal);
/* Takes over `sealed` (from replica_pack()). request == replica_next_request(). REPL_BUSY: the
 * outbox is full, `sealed` stays the caller's. */
enum repl_result replica_submit(struct replica *r, uint64_t now_ns, uint64_t request,
                                uint8_t *sealed, size_t n, void *effects) HF_MUST_USE;
/* The same, but it stays where it is until replica_go(): what is put between two of them sets out
 * together, in one frame to the leader or one entry, as far as there is room. */
enum repl_result replica_put(struct replica *r, uint64_t now_ns, uint64_t request, uint8_t *sealed,
                             size_t n, void *effects) HF_MUST_USE;
void replica_go(struct replica *r, uint64_t now_ns);

enum repl_result replica_transfer(struct replica *r, uint64_t now_ns, uint32_t node) HF_MUST_USE;
void replica_status(const struct replica *r, uint64_t now_ns, struct repl_status *out);
/* Is there a state, of a member by that state, that nothing known speaks against? */
bool replica_may_back_up(const struct replica *r);

struct raft_driver;
struct fsm;
/* Of the cluster, as this node's disk or the snapshot that it got says; 0 = it has nothing yet. */
uint64_t replica_incarnation(const struct replica *r);
/* When this node's keys of sessions are too old, should it hear nothing more of the cluster; 0 = never. */
uint64_t replica_forgets_ns(const struct replica *r);
/* For tests and the simulator. */
const struct fsm *replica_fsm(const struct replica *r);
const struct raft_driver *replica_driver(const struct replica *r);

#endif
