/* One node's share of the replicated gateway: raft driver, state machine, ownership and outbox
 * behind one door.
 *
 *   conductor thread                        replication thread (own libuv loop)
 *   repl_submit(record) ──────────────────> batch ─> leader (or forward) ─> raft ─> apply (CAS)
 *   repl_next_event()  <─── events in log order ───┘        │
 *   atomics: lease, epoch <── heartbeats, acks, promises ───┘
 *
 * The core (replica_core.h) is sans-I/O: it is stepped with time, storage completions and frames,
 * so that a simulator runs the same code. repl_thread.c puts it on a thread; this header is its
 * outside.
 *
 * What the caller may rely on:
 * - Events come in log order. Everything that a record did to the state is in its APPLIED event, so
 * a mirror kept from the events alone equals the replicated state (RESET ... RESTORE_END replace
 * it).
 * - A request is settled by exactly one event that carries it: APPLIED (accepted or refused), or
 *   UNSETTLED when a snapshot jumped over its judgement (then this node holds no grant anyway).
 * - ASSIGNED with `mine` comes only when this node applied the entry itself, in this boot: that is
 * the one moment to take the grants. After RESET nothing is held until the next such event.
 * - The lease is safe to act on only together with its epoch: act for a shard while
 *   now < until_ns and epoch_index is the epoch of the ASSIGNED event that was processed last.
 */
#ifndef HF_REPL_REPLICA_H
#define HF_REPL_REPLICA_H

#include <stdatomic.h>

#include "base/addr.h"
#include "base/assert.h"
#include "replication/grant.h"
#include "replication/loop_turns.h"
#include "replication/storage.h"
#include "replication/transport.h"

struct Holdfast__Record; /* proto/records.proto, as protobuf-c makes it: see record.h */
struct tls_identity;     /* tls_identity.h */
struct repl_document;    /* documents.h */
struct wal_fs;           /* wal_fs.h */

enum {
    REPL_MAX_SHARDS = 64,
    REPL_MAX_MEMBERS = 5,        /* of a cluster */
    REPL_MAX_IDS = 64,           /* members that a cluster ever has: ids are never used again */
    REPL_MAX_NODES = 16,         /* that a node knows at a time: members, who comes, who goes; at
                                    a start, or without a leader, also those of its log's
                                    beginning and of hints */
    REPL_MAX_OUTSTANDING = 4096, /* requests submitted and not settled */
    REPL_MAX_OUTSTANDING_BYTES = 32 << 20,
    REPL_MAX_RECORD_BYTES = 1 << 20,
    REPL_MAX_ADVANCE_MS = 5000 /* of cluster time, per entry */
};

/* (cluster incarnation, log index of the committed assignment); index 0 = never assigned. */
struct repl_epoch {
    uint64_t incarnation, index;
};

/* Accepted or why not; the same on every node. */
enum repl_verdict {
    REPL_ACCEPTED,
    REPL_REFUSED_EPOCH,   /* not of the shard's present epoch, owner or boot */
    REPL_REFUSED_VERSION, /* compare-and-set lost */
    REPL_REFUSED_EXISTS,  /* SPI, SA id, node id or address taken */
    REPL_REFUSED_UNKNOWN, /* no such SA, claim, lease or member */
    REPL_REFUSED_MALFORMED,
    REPL_REFUSED_DUPLICATE, /* this (boot, request) was already judged: counted, never an event */
    REPL_REFUSED_FULL       /* documents: no room for so many, or for so much */
};

enum repl_event_kind {
    REPL_EV_APPLIED,   /* one record, in log order; on every node, for every record */
    REPL_EV_ASSIGNED,  /* a shard has a new epoch (after its APPLIED) */
    REPL_EV_UNSETTLED, /* request: judged, but a snapshot hid the verdict; before RESET */
    REPL_EV_RESET,     /* forget everything: a snapshot was installed or loaded; RESTORED events */
    REPL_EV_RESTORED_SA, /*                            follow, then RESTORE_END */
    REPL_EV_RESTORED_LEASE,
    REPL_EV_RESTORED_SHARD,
    REPL_EV_RESTORED_DOCUMENT,
    REPL_EV_RESTORE_END,
    REPL_EV_LEADER, /* the leader as known here changed */
    REPL_EV_LEASE,  /* this node gained or lost the right to act for `shard` (also in repl_lease) */
    REPL_EV_FRAME,  /* a frame of a channel that is not replication's (HALF_OPEN, STRAY, ADMIN) */
    REPL_EV_CONFIG, /* the replicated configuration changed (also after RESET) */
    REPL_EV_QUORUM, /* held: a majority is reached, as repl_status says it; or not any more. At the
                       start there is none */
    REPL_EV_GIVE    /* this node should hand `shard` over to owner_node (in its start owner_boot):
                       said again while it is so */
};

struct repl_child_state {
    uint32_t spi_in, spi_out;
    bool esn;
    struct repl_claim claim; /* up to date: touched == the shard's count of assignments */
};

/* One item of an Extend record, in the record's order. */
struct repl_item_result {
    uint32_t spi_in;
    enum repl_verdict verdict;
    struct repl_claim claim; /* after; all zero when there is no such claim */
};

/* An event owns its buffers; repl_event_free() releases them. Fields beyond `kind` are set as each
 * kind needs, others are zero. */
struct repl_event {
    enum repl_event_kind kind;
    uint64_t index;            /* log index */
    uint64_t cluster_ms;       /* cluster time as of that entry */
    uint32_t speaks;           /* RESTORE_END, APPLIED of a member's record, of documents or with an
                                  entry of the audit: the version of records that all members knew
                                  then. Never falls */
    enum repl_verdict verdict; /* APPLIED; an Extend is ACCEPTED when at least one item is */
    bool mine;                 /* APPLIED: submitted by this node in this boot and not settled yet;
                                  ASSIGNED: this node in this boot is the owner */
    uint64_t request;          /* APPLIED and mine, UNSETTLED */
    void *effects;             /* as given to repl_submit(); never touched here */
    struct Holdfast__Record *record; /* unpacked; APPLIED, and CONFIG (body config) */
    size_t record_bytes;             /* APPLIED: its length as a sealed record */
    uint32_t shard;
    struct repl_epoch epoch;
    uint32_t owner_node;
    uint64_t owner_boot;
    uint64_t assignments;   /* the shard's count after it: for repl_claim_grant() */
    uint64_t shard_version; /* ASSIGNED, RESTORED_SHARD: for a handover's compare-and-set */
    bool handover;
    const char *reason;         /* GIVE: why; static */
    bool held;                  /* LEASE, QUORUM */
    uint32_t node;              /* LEADER: 0 = none known; FRAME: the sender */
    uint64_t sa_id, sa_version; /* APPLIED sa_create, sa_step: version after; RESTORED_SA.
                                   Versions are large numbers that only rise; never compute them,
                                   but: each assignment of the shard raises every one by 1. */
    uint64_t successor_version; /* APPLIED sa_step with a successor */
    uint8_t *bytes;             /* RESTORED_SA: state; RESTORED_LEASE: address; FRAME: payload */
    size_t bytes_len;
    struct repl_child_state *children; /* RESTORED_SA: all; APPLIED sa_create, sa_step: all that the
                                          SA (or its successor) has after it */
    size_t n_children;
    struct repl_item_result *items; /* APPLIED extend */
    size_t n_items;
    enum repl_channel channel;
    uint64_t document_version; /* APPLIED documents, accepted: of all that were put; refused: of */
    size_t document_item;      /* the change of that place in the record, as it is; 0 = absent */
    struct repl_document *document; /* RESTORED_DOCUMENT (documents.h) */
    uint64_t audit;                 /* APPLIED: sequence of the entry that came with it; 0 = none */
};

/* Published by the replication thread, read by workers per batch without a lock: act for the shard
 * only while CLOCK_BOOTTIME (ns) < until_ns. 0 = never. */
struct repl_lease {
    _Atomic uint64_t until_ns;
    _Atomic uint64_t epoch_index;
};

/* Stamps (CLOCK_BOOTTIME, ns) of the conductor's health, read by the heartbeat: a stamp older than
 * timing.stale_ms, or a link down, means no heartbeat, so no lease. All zero = not healthy. */
struct repl_health {
    _Atomic uint64_t control_ns; /* the conductor's loop turned */
    _Atomic uint64_t workers_ns; /* the oldest of the workers' turns */
    _Atomic bool links_up;
    /* It would rather own nothing: its disk fills up, or it is about to stop. It gives away what it
     * can, but serves on what nobody takes. */
    _Atomic bool reluctant;
};

struct repl_timing {
    uint32_t election_ms, heartbeat_ms;    /* Raft: 150, 30 */
    uint32_t lease_ms, lease_heartbeat_ms; /* ownership: 150, 30 */
    uint32_t stale_ms;                     /* health stamps; 0 = lease_ms */
    uint32_t disk_stall_ms; /* oldest write not durable for so long: not healthy, and a leader gives
                               its office away where others can go on; 0 = 1000 */
    uint32_t disk_hang_ms;  /* no write came back for so long while some wait: the process of one
                               that still leads ends, for it commits nothing, but only while a
                               majority without it can commit; above disk_stall_ms; 0 = 5000 */
};

struct repl_node_address {
    uint32_t node;
    struct endpoint address; /* family ADDR_NONE only for a single node */
};

struct repl_shard_option {
    uint32_t shard;  /* > 0 */
    uint32_t prefer; /* node that should own it at first; 0 = any */
};

enum repl_log_level { REPL_LOG_ERROR, REPL_LOG_WARN, REPL_LOG_INFO, REPL_LOG_DEBUG };

/* Borrowed for the call of repl_init()/repl_start(). */
/* An operator's word on recover or restore, kept in what it makes. */
enum { REPL_WHO_BYTES = 48, REPL_WHY_BYTES = 128 };
struct repl_word {
    uint64_t wall_s;          /* by the machine's clock, for whoever reads it; 0 = not known */
    uint32_t highest_id;      /* node ids up to it were in use, also those that this node never
                                 heard of; 0 = the operator knows no more than the node */
    char who[REPL_WHO_BYTES]; /* texts end with a 0, nothing follows it */
    char why[REPL_WHY_BYTES];
};

struct repl_options {
    uint32_t node;
    const char *data_dir;
    struct repl_node_address nodes[REPL_MAX_NODES]; /* this node among them */
    size_t n_nodes;
    /* Whom the cluster was founded with, ids; none given: `nodes`. Another node has joined, or is to:
     * then `nodes` are itself and whom to ask. The members are in the log. */
    uint32_t founders[REPL_MAX_MEMBERS];
    size_t n_founders;
    struct repl_shard_option shards[REPL_MAX_SHARDS];
    size_t n_shards;
    struct repl_timing timing;
    uint64_t key_age_ms; /* a new key of sessions so often; 0 = only when it is wished for */
    bool rebalance; /* shards go home, and spread, by themselves: to nodes well for settle_ms */
    uint32_t settle_ms;
    struct tls_identity *tls; /* who this node is to the others (tls_identity.h): more than one node
                                  is refused without it. A reference of its own is taken */
    /* The memfd with the keys of sessions, as the former start gave it to keep_keys_fd() (it stays the
     * caller's); 0 = there is none: then a new one is made, and given for the time of the call, to be
     * kept (a copy) over this process's end. NULL: it ends with the process, and unless other nodes
     * have the keys the sessions do, too. */
    int kept_keys_fd;
    void (*keep_keys_fd)(void *self, int fd);
    void *keep_keys_self;
    bool distrust_after_boot;  /* a new boot of the machine may have lost what was stored (I10) */
    bool distrust;             /* an operator says that what is stored is not all there was */
    uint64_t snapshot_entries; /* a snapshot after so many entries (0 = 20,000) */
    uint64_t snapshot_bytes;   /* or so many bytes of log (0 = 64 MiB) */
    /* Called on the replication thread (and disk thread); must be thread-safe. May be NULL. The
     * text has no newline. */
    void (*log)(void *self, enum repl_log_level level, const char *text);
    void *log_self;
    const struct wal_fs
        *fs;               /* NULL: the kernel's files; else a test's, which outlives the replica */
    struct repl_word word; /* of repl_recover() and repl_restore() alone */
};

struct repl_error {
    char text[1024];
};

struct repl;

/* holdfastd --init: makes the data directory and writes entry 1, the configuration of all listed
 * nodes, the same on each. Refuses a directory that is in use: a wiped node that silently rejoined
 * could vote twice. False: *error says why. */
bool repl_init(const struct repl_options *options, struct repl_error *error) HF_MUST_USE;

/* This machine goes on from a copy of an earlier state of it: what its disk holds is under distrust from now on
 * (REPL_DISTRUST_ROLLED_BACK), durably, before anything else is done: it needs no configuration, no keys and no locked
 * memory (wal_rolled_back()). No daemon may run on the directory. */
bool repl_rolled_back(const char *data_dir, uint32_t node, struct repl_error *error) HF_MUST_USE;

/* --- when a majority is lost for good (recover.h): the operator's last resort --- */

struct repl_recovery {
    uint64_t former, incarnation;  /* of the cluster: before, from now on (0 = nothing was done) */
    uint64_t index;                /* newest entry that this node had */
    uint64_t cluster_ms;           /* cluster time then */
    uint32_t lost[REPL_MAX_NODES]; /* members declared dead, for ever */
    size_t n_lost;
    uint32_t highest_id; /* the highest node id that was ever used, as far as this node knows */
};

/* How an incarnation of the cluster began: the audit of recover and restore (I17). A part of the state
 * that they make, so it is there before anything follows from them. */
enum { REPL_MAX_BEGINNINGS = 16 }; /* the newest ones are kept */
enum repl_how { REPL_RECOVERED = 1, REPL_RESTORED = 2 };
struct repl_beginning {
    enum repl_how how;
    uint64_t former, incarnation;
    uint32_t node;              /* who went on */
    uint64_t index, cluster_ms; /* how far it had the former's log */
    uint32_t given_up[REPL_MAX_NODES];
    size_t n_given_up;
    struct repl_word word; /* highest_id: no id up to it is ever given again */
};
/* Those of this node's state, the oldest first. Any thread. */
size_t repl_beginnings(struct repl *repl, struct repl_beginning out[REPL_MAX_BEGINNINGS]);

/* What repl_recover() would give up; changes nothing. No daemon may run on the directory. */
bool repl_recover_look(const struct repl_options *options, struct repl_recovery *out,
                       struct repl_error *error) HF_MUST_USE;
/* This node alone is the cluster from the next start on, without sessions, under a new incarnation. A
 * crash at any instant leaves the old or the new. No daemon may run on the directory. */
bool repl_recover(const struct repl_options *options, struct repl_recovery *out,
                  struct repl_error *error) HF_MUST_USE;
/* The same at the next repl_start(), which says so in the log: durable when true. Blocking (a file of a
 * few bytes). Whether a majority may be alive is the caller's to ask. Any thread. */
bool repl_order_recovery(struct repl *repl, const struct repl_word *word,
                         struct repl_error *error) HF_MUST_USE;

/* A backup: the state without its sessions, sealed with the configuration's key, which is not in it.
 *   "HFBACKUP" | id of that key 8 | items of a snapshot
 * Asked for, and there a moment later. Any thread. */
struct repl_backup {
    uint8_t *bytes; /* free(). NULL: this node cannot seal, or its state is empty, outvoted, under
                       distrust, or no longer a member's */
    size_t len;
    uint64_t index, incarnation; /* the newest entry that it has, of that incarnation */
};
void repl_backup_ask(struct repl *repl);
/* False: not yet. Else *out, once. */
bool repl_backup_take(struct repl *repl, struct repl_backup *out);
/* holdfastd --restore: makes the data directory from such bytes, as a node that all others have left
 * (recover.h); `key_dir` holds configuration.key. */
bool repl_restore(const struct repl_options *options, const char *key_dir, struct span backup,
                  struct repl_recovery *out, struct repl_error *error) HF_MUST_USE;

/* Opens the log, listens, starts the thread. NULL: *error says why (another node's directory, a
 * corrupt file with its offset, port in use, a node list that differs from the log's, ...). A
 * failed write later ends the process. */
struct repl *repl_start(const struct repl_options *options, struct repl_error *error) HF_MUST_USE;
/* Stops the thread, closes everything, drops events not taken. */
void repl_stop(struct repl *repl);

/* Takes other certificates into force (a reference of its own): links that they would not allow are
 * dropped, others stay. Nothing with a single node. Any thread. */
void repl_set_tls(struct repl *repl, struct tls_identity *tls);

/* The addresses of other nodes that the data directory keeps, as far as the last start knew the members:
 * also before repl_start(), which takes them from there by itself. How many. */
size_t repl_kept_nodes(const char *data_dir, struct repl_node_address nodes[REPL_MAX_NODES]);

/* Node `from` has said where members are (n <= REPL_MAX_NODES, each with an address): a node that joins,
 * was away for long, or finds no leader, since it was cut off when that one joined, connects with them, too,
 * until the log tells who they are. From whom it is taken: replica_introduce(). Any thread. */
void repl_introduce(struct repl *repl, uint32_t from, const struct repl_node_address *nodes,
                    size_t n);

/* This start's random id. */
uint64_t repl_boot(const struct repl *repl);

/* An eventfd that is readable while events wait; repl_next_event() clears it when it returns NULL.
 */
int repl_event_fd(const struct repl *repl);
/* The oldest event, or NULL. The caller frees it with repl_event_free(). */
struct repl_event *repl_next_event(struct repl *repl) HF_MUST_USE;
void repl_event_free(struct repl_event *event);

enum repl_result {
    REPL_OK,
    REPL_BUSY,    /* too much outstanding, or a transfer under way: try after the next event */
    REPL_INVALID, /* malformed or too large a record; no such node; not this channel */
    REPL_NOT_LEADER,
    REPL_UNREACHABLE, /* not connected: the frame was dropped */
    REPL_OLD_MEMBER   /* a member does not know such a record: upgrade it first (repl_admin.h) */
};

/* Submits one record. The caller fills shard, epoch (the one under which it made the record) and
 * the body; node, boot and request are filled in here; the record stays the caller's. *request
 * names it from now on: it is resubmitted until the log settles it, over changes of leader and
 * connection, and executed at most once. `effects` comes back in its event. Needs no leader at the
 * time. On anything but REPL_OK nothing was kept. Bodies: sa_create, sa_step, extend, sa_delete,
 * pool_lease, audit, assign (handover only), handover_windows, handover_abort; and move, drain,
 * which need not come from the owner. Any thread. */
enum repl_result repl_submit(struct repl *repl, struct Holdfast__Record *record, void *effects,
                             uint64_t *request) HF_MUST_USE;

/* Moves leadership to `node`: the request is passed to the thread; LEADER events show the outcome.
 */
enum repl_result repl_transfer_leader(struct repl *repl, uint32_t node) HF_MUST_USE;

/* Best effort: channels HALF_OPEN, STRAY and ADMIN, at most REPL_MAX_RECORD_BYTES; bytes are
 * copied. BUSY: 1,024 frames wait already. */
enum repl_result repl_send_frame(struct repl *repl, uint32_t node, enum repl_channel channel,
                                 struct span bytes);

/* Live for as long as `repl`. NULL: no such shard among the options. */
const struct repl_lease *repl_lease(const struct repl *repl, uint32_t shard);
struct repl_health *repl_health(struct repl *repl);

/* Cluster time now: the last stamp plus monotonic time since (at most 5 s: beyond that the cluster
 * has no leader and its time stands still). Never goes back. Any thread. */
uint64_t repl_cluster_ms(struct repl *repl);

/* CLOCK_BOOTTIME in ns, as leases count it. */
uint64_t repl_boottime_ns(void);

/* Of a memfd that the service manager kept: wipes keys that are too old. For a start that may end before
 * it opens anything: then nobody else would. */
void repl_kept_expire(int fd, uint64_t now_ns);

/* A node's state beside the majority's at the same index (I11). */
enum repl_agreement { REPL_AGREEMENT_UNKNOWN, REPL_AGREES, REPL_DIFFERS, REPL_TIED };
const char *repl_agreement_name(enum repl_agreement agreement);

/* What a node is to the cluster, as applied. */
enum repl_role {
    REPL_VOTER,
    REPL_LEARNER,  /* a member that gets the log, and votes when it has it */
    REPL_JOINING,  /* a member that is not in Raft's configuration yet */
    REPL_EXPECTED, /* has a token, no member yet */
    REPL_LEAVING,  /* left, but still in Raft's configuration */
    REPL_LEFT,     /* removed: this node itself, or one that it still lists at a start */
    REPL_OUTSIDE   /* this node itself: waits to join; or a node that it only knows from its file */
};
const char *repl_role_name(enum repl_role role);
bool repl_is_member(enum repl_role role); /* for good: who leaves is none any more */
/* Is it an address as the log has them: a.b.c.d:port or [x:x:x:x:x:x:x:x]:port? */
bool repl_address_valid(const char *text);

struct repl_node_status {
    uint32_t node;
    struct endpoint address;
    bool connected; /* to us; self: true */
    bool heard;     /* a report of its is not older than a second; self: true */
    bool leader;
    bool healthy;   /* by its own report, not older than a lease */
    bool drained;   /* by an operator */
    bool reluctant; /* by its own report: would rather own nothing */
    enum repl_role
        role;   /* at a start without a majority: by the end of the log, not by what is applied */
    bool votes; /* by the newest configuration of this node's log, committed or not */
    uint64_t boot; /* as the replicated state has it; 0 = never seen */
    uint64_t applied_index;
    enum repl_agreement agreement; /* as far as this node has heard */
    enum repl_distrust distrust;   /* it counts for nothing, and why; by its own report */
};

struct repl_shard_status {
    uint32_t shard, prefer;
    uint32_t home;      /* an operator's wish; 0 = none */
    uint32_t moving_to; /* ... that is not fulfilled yet; 0 = none */
    struct repl_epoch epoch;
    uint32_t owner_node; /* 0 = none */
    uint64_t owner_boot;
    uint64_t assignments;
    bool mine;               /* this node, this boot, applied here */
    uint64_t lease_until_ns; /* CLOCK_BOOTTIME; only of our own */
};

enum { REPL_DIGEST_BYTES = 16 };

/* Names for counters[], in repl_counter_name(). */
enum repl_counter {
    REPL_COUNT_APPLIED, /* records judged */
    REPL_COUNT_ACCEPTED,
    REPL_COUNT_REFUSED_EPOCH,
    REPL_COUNT_REFUSED_VERSION,
    REPL_COUNT_REFUSED_EXISTS,
    REPL_COUNT_REFUSED_UNKNOWN,
    REPL_COUNT_REFUSED_MALFORMED,
    REPL_COUNT_REFUSED_DUPLICATE,
    REPL_COUNT_REFUSED_FULL,
    REPL_COUNT_ENTRIES,   /* entries submitted as leader */
    REPL_COUNT_FORWARDED, /* records sent to a leader elsewhere */
    REPL_COUNT_RESUBMITTED,
    REPL_COUNT_ASSIGNED, /* assignments decided here */
    REPL_COUNT_HEARTBEATS,
    REPL_COUNT_ACKS,         /* given */
    REPL_COUNT_ACKS_REFUSED, /* heartbeats not acknowledged */
    REPL_COUNT_LEASES_LOST,
    REPL_COUNT_SNAPSHOTS,
    REPL_COUNT_RESTORES,
    REPL_COUNT_FRAMES_MALFORMED,
    REPL_COUNT_FRAMES_FOREIGN,  /* Raft's, of another incarnation of the cluster: refused */
    REPL_COUNT_DIGEST_MISMATCH, /* a peer with the same applied index has another state (I11) */
    REPL_COUNT_KEYS_ERASED,     /* of sessions, wiped from this node's memory */
    REPL_COUNT_REINSTALLS,      /* a sound state took the place of ours, which was outvoted */
    REPL_COUNT_DOUBTED,         /* as leader: a node had less than it once acknowledged (I10) */
    REPL_COUNTERS
};

enum { REPL_WAITS_BYTES = 512 };

/* A consistent copy, at most one heartbeat old. */
struct repl_status {
    uint32_t node, leader; /* leader 0 = none known */
    uint64_t incarnation;  /* of the cluster; 0 = not known yet */
    uint64_t boot, term, last_index, commit_index, applied_index, snapshot_index, cluster_ms;
    uint64_t
        applied_ms; /* cluster time as of applied_index; cluster_ms goes on from it by a clock */
    bool quorum;    /* leader known, and it or we hear from a majority */
    char waits[REPL_WAITS_BYTES]; /* why there is no leader, and what to do; "" = it is not known */
    bool lacks_key; /* it waits for a sealing key from another node, and takes no part meanwhile */
    bool sessionless; /* its state left sessions out, for want of a key: it is nobody's */
    struct repl_timing timing;
    uint8_t digest[REPL_DIGEST_BYTES]; /* of the state as of applied_index */
    struct repl_node_status nodes[REPL_MAX_NODES];
    size_t n_nodes;
    uint32_t speaks;             /* the version of records that all members know */
    uint32_t gone[REPL_MAX_IDS]; /* ids of nodes that left, never to be used again */
    size_t n_gone;
    struct repl_token_status {
        uint32_t node;
        uint8_t hash[32];
        uint64_t expires_ms; /* cluster time */
    } tokens[REPL_MAX_MEMBERS];
    size_t n_tokens;
    struct repl_shard_status shards[REPL_MAX_SHARDS];
    size_t n_shards;
    struct repl_key_status {
        uint64_t session, former; /* ids of keys of sessions; 0 = none */
        uint64_t came_ms;         /* cluster time when `session` came */
        uint64_t age_ms;          /* it is replaced at that age; 0 = only when it is wished for */
        bool wished;              /* ... which it is now */
    } key;
    uint64_t outstanding; /* requests not settled */
    uint64_t counters[REPL_COUNTERS];
};

void repl_status(struct repl *repl, struct repl_status *out);
/* The other members that are connected; how many. Who only has a token is connected, too, and gets nothing
 * that members keep to themselves. */
size_t repl_linked_members(const struct repl_status *status, uint32_t nodes[REPL_MAX_NODES]);
/* The same of now. Any thread. */
size_t repl_peers(struct repl *repl, uint32_t nodes[REPL_MAX_NODES]);
/* The replication loop's longest turns, since this was last asked. Any thread. */
struct loop_turns repl_loop_turns(struct repl *repl);
/* When that loop last turned, by repl_boottime_ns(). Any thread. */
uint64_t repl_loop_turned_ns(struct repl *repl);
const char *repl_counter_name(enum repl_counter counter);
const char *repl_verdict_name(enum repl_verdict verdict);

#endif
