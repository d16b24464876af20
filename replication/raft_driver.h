/* The one driver of libraft's core (raft_step) for production and simulator alike, over a storage
 * and a transport.
 *
 *   now_ms, frames,                              +--> storage: vote, append, truncate, snapshot
 *   completions,      --> raft_driver <--> core ---+--> transport: frames, once the vote is durable
 *   submits                                        +--> callbacks: apply, restore, state, ...
 *
 * Sans-I/O: no thread, no clock, no randomness (the seed is given); one loop calls it. Only
 * replication/raft_* include <raft.h>. It wraps the defects of libraft 0.22.1, each in a
 * function that names its defect (raft_wraps.c says where; replication/README.md why).
 *
 * Rules that it keeps: term and vote are durable before any message that follows from them leaves;
 * PERSISTED is reported in order and only for entries that still stand in the log; the commit index
 * never goes back; each entry is applied once per start, in order; at most
 * RAFT_DRIVER_MAX_UNCOMMITTED entries are uncommitted. It asserts them too (Debian's libraft has
 * its own assertions compiled out).
 *
 * Memory: it keeps every entry from (last snapshot - trailing) on, since outgoing AppendEntries
 * carry only indexes. The owner bounds it: take a snapshot when log_bytes or log_entries of
 * raft_driver_status() pass its limit. Snapshots go from disk to disk in pieces; of one that is
 * received at most RAFT_INSTALL_PIECES are in memory.
 *
 * From callbacks one may call submit, barrier, confirm, transfer, add, assign, remove,
 * snapshot_take and the readers; not tick, receive, storage_done, destroy. They take effect at
 * once, their callbacks follow after the present one returned.
 */
#ifndef HF_REPL_RAFT_DRIVER_H
#define HF_REPL_RAFT_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "replication/storage.h"
#include "replication/transport.h"

enum {
    RAFT_DRIVER_MAX_UNCOMMITTED = 512,        /* libraft has no backpressure of its own */
    RAFT_DRIVER_MAX_BATCH = 512,              /* entries per submit */
    RAFT_DRIVER_READER = REPL_MAX_SERVERS + 1 /* of the storage, that is its owner's */
};

/* What a call came to. Anything but OK and UNKNOWN: certainly nothing was done. */
enum raft_driver_result {
    RAFT_DRIVER_OK,
    RAFT_DRIVER_NOT_LEADER,
    RAFT_DRIVER_BUSY,      /* 512 uncommitted, or a change or transfer is under way; later */
    RAFT_DRIVER_TOO_BIG,   /* an entry above REPL_MAX_ENTRY_BYTES - 8, or a batch above
                              RAFT_DRIVER_MAX_BATCH */
    RAFT_DRIVER_UNKNOWN,   /* the log decides: the entry may or may not be committed later */
    RAFT_DRIVER_MALFORMED, /* receive: the frame was dropped */
    RAFT_DRIVER_INVALID,   /* no such node, wrong role for it, index not available */
    RAFT_DRIVER_LOST, /* leadership was lost before it ended; a change may still be committed */
    RAFT_DRIVER_TIMED_OUT,
    RAFT_DRIVER_FULL,  /* a snapshot found no room on the disk; nothing of it is left there */
    RAFT_DRIVER_FAILED /* the storage reported a failure or memory ran out: the node must exit */
};

enum raft_driver_state { RAFT_DRIVER_FOLLOWER, RAFT_DRIVER_CANDIDATE, RAFT_DRIVER_LEADER };

enum {
    RAFT_DRIVER_STANDBY = 0,
    RAFT_DRIVER_VOTER = 1,
    RAFT_DRIVER_SPARE = 2,
    RAFT_DRIVER_NO_MEMBER = 255
};

struct raft_driver_options {
    uint32_t node;        /* own id, > 0 */
    uint64_t boot;        /* random, never the same at two starts of this node: names its frames */
    uint64_t incarnation; /* of a log from its beginning, > 0 (raft_history.c) */
    uint32_t seed;        /* for election timeouts: different on each node and start */
    uint32_t election_ms; /* base; the core spreads it over [1x, 2x] */
    uint32_t heartbeat_ms;
    uint32_t
        install_timeout_ms;  /* an InstallSnapshot unanswered this long is sent again; 0 = 10,000 */
    uint32_t trailing;       /* entries kept behind a snapshot for slow followers; 0 = 256 */
    uint64_t trailing_bytes; /* ... but no more than so many bytes of them; 0 = 16 MiB */
    uint32_t install_piece_bytes; /* of a snapshot in one frame; 0 = REPL_READ_UNIT (the storage's
                                     unit, or a multiple) */
#ifdef HOLDFAST_RAFT_UNWRAP
    uint32_t unwrapped; /* test library only: bit n - 1 leaves defect n unwrapped */
#endif
};

struct raft_driver_status {
    enum raft_driver_state state;
    uint8_t
        role; /* own role in the newest configuration, committed or not; RAFT_DRIVER_NO_MEMBER */
    uint32_t leader; /* 0 = none known; own id when leading */
    uint64_t term;
    bool own_term_committed; /* leading, and an entry of this term is committed and applied: it may
                                decide now */
    uint64_t last_index, last_stored, commit_index, applied_index, snapshot_index;
    uint64_t log_entries, log_bytes; /* in memory since (last snapshot - trailing) */
    bool installing, snapshotting;   /* a received, a local snapshot is on its way to the disk */
    uint32_t transferring_to;        /* 0 = none */
    bool changing;                   /* a membership change is under way */
    uint64_t configuration_index;    /* of the newest configuration in the log, committed or not */
    enum repl_distrust
        muted; /* this node counts for nothing (I10), and why; REPL_TRUSTED: it does */
    uint32_t
        awaits; /* a founder that has not answered this start yet: a new cluster begins once all
                        have; 0 = none, or it has begun */
};

enum { RAFT_DRIVER_DEFECTS = 16 }; /* of libraft, numbered from 1: raft.md */

/* How often each came up, since create. */
struct raft_driver_counters {
    uint64_t elections_won, frames_in, frames_out, frames_malformed, frames_unsent, submitted,
        applied, installs_sent, installs_received, pieces_out, pieces_in, snapshots_taken,
        changes_committed, muted, trusted, doubted; /* itself; itself again; others, by a leader */
    uint64_t foreign;                               /* frames of another history: refused */
    uint64_t contradicted; /* a peer contradicted what is committed here: the end of this node */
    uint64_t wrapped[RAFT_DRIVER_DEFECTS + 1]; /* [n]: wrap of defect n did something; [0] unused */
};

/* All but `apply` and `restore` may be NULL. Spans are valid in the call. */
struct raft_driver_callbacks {
    void *self;
    /* A committed entry, in log order, each index once per start (after a restore: from its index +
     * 1). COMMAND: data as submitted; BARRIER and CHANGE: data empty, only so that the applied
     * index is known. */
    void (*apply)(void *self, uint64_t index, const struct repl_entry *entry);
    /* The state machine is to become exactly this snapshot: at start, when the disk has one, with
     * its data; after an install, without (data.data NULL): it is read from the storage, by reader
     * RAFT_DRIVER_READER, whose completions are not given to the driver. What that takes longer
     * than the call, raft_driver_hold() covers. Once it has read of which incarnation it is, it says
     * so: raft_driver_is_of(). */
    void (*restore)(void *self, const struct repl_snapshot_meta *meta, struct span data);
    /* Leader, own state, own role, term, own_term_committed, muted or awaits changed. */
    void (*state)(void *self, const struct raft_driver_status *status);
    /* A configuration was committed (also the one at start and after a restore). */
    void (*configuration)(void *self, const struct repl_configuration *configuration);
    /* The change that was begun last ended: OK = committed and applied here. */
    void (*changed)(void *self, enum raft_driver_result result);
    /* The transfer that was begun last ended: OK = `node` leads. */
    void (*transferred)(void *self, uint32_t node, enum raft_driver_result result);
    /* The snapshot handed to snapshot_take is durable (OK), or was dropped since an install
     * overtook it (LOST). */
    void (*snapshot_taken)(void *self, uint64_t index, enum raft_driver_result result);
    /* The leader's match index proves that `node` acknowledged more than it has now (I10). */
    void (*doubted)(void *self, uint32_t node, uint64_t acknowledged, uint64_t has);
    /* `node` sent a frame of another history: of that incarnation, or of none (0) where it must have
     * one. Nothing of it counted. */
    void (*stranger)(void *self, uint32_t node, uint64_t incarnation);
    /* A write failed, or memory ran out: nothing more will happen; the process must exit. */
    void (*failed)(void *self, const char *why);
};

struct raft_driver;

/* Copies the four structs; *storage->self and *transport->self must outlive it. NULL: out of
 * memory. Nothing is called before start. */
struct raft_driver *raft_driver_create(const struct raft_driver_options *options,
                                       const struct repl_storage *storage,
                                       const struct repl_transport *transport,
                                       const struct raft_driver_callbacks *callbacks);
void raft_driver_destroy(struct raft_driver *driver);

/* Queues to an empty storage what each founding node begins with: VOTE (term 1, nobody) and APPEND
 * of entry 1, the configuration. The caller awaits the two completions and loads again before the
 * start. False: configuration invalid or out of memory. A node that is added later is not
 * bootstrapped: it starts empty. */
bool raft_driver_bootstrap(const struct repl_storage *storage,
                           const struct repl_configuration *configuration);

/* Once. Copies what it needs of *loaded. INVALID: loaded contradicts itself (refuse to start; the
 * caller names the files), or it is under distrust and no other voter is known to lift that. */
enum raft_driver_result raft_driver_start(struct raft_driver *driver,
                                          const struct repl_loaded *loaded, uint64_t now_ms);

/* What a start makes of what was loaded: judged once, by whoever asks first, the start at the latest. */
struct raft_driver_verdict {
    bool given;
    enum repl_distrust why; /* what speaks against it, an older vote included */
    bool forgot;            /* ... that one: it goes on in `term`, without a vote */
    uint64_t term;
    bool alone; /* by it this node is the only voter */
};
/* Before the start, which is to get the same *loaded. */
struct raft_driver_verdict raft_driver_judge(struct raft_driver *driver,
                                             const struct repl_loaded *loaded);
/* Before the start: this node is alone for good, and goes on with what it has; the mark on its disk is
 * lifted by the start's first write. */
void raft_driver_lift(struct raft_driver *driver);

/* The history that this node's snapshot is of: what its frames say from now on, and those of others must
 * say. A log from its beginning needs no such word. 0 = it has none yet. */
void raft_driver_is_of(struct raft_driver *driver, uint64_t incarnation);
uint64_t raft_driver_incarnation(const struct raft_driver *driver);

/* Time: call tick when now_ms >= raft_driver_next_timeout(), which is to be asked again after every
 * call below. now_ms is monotonic (CLOCK_BOOTTIME); a lower value than before is taken as the
 * former one. UINT64_MAX: no timer. */
void raft_driver_tick(struct raft_driver *driver, uint64_t now_ms);
uint64_t raft_driver_next_timeout(const struct raft_driver *driver);

/* A frame of REPL_CHANNEL_RAFT from the authenticated peer `from`. Order per peer must be that of
 * sending. The integrity is the transport's: frames carry no checksum of their own. OK or MALFORMED
 * (dropped, counted; the connection may be closed). */
enum raft_driver_result raft_driver_receive(struct raft_driver *driver, uint64_t now_ms,
                                            uint32_t from, struct span frame);

/* Completions of this driver's storage operations, in their order. */
void raft_driver_storage_done(struct raft_driver *driver, uint64_t now_ms,
                              const struct repl_storage_done *done);

/* Appends `n` opaque commands (copied) when leading. OK: they have the indexes first..first + n - 1
 * in *term; they are committed when apply() shows that index with that term, lost when it shows
 * another term, unknown until then (also after leadership is gone: requests must be idempotent).
 * Refused with BUSY when fewer than n of the 512 uncommitted are free, and during a transfer. */
enum raft_driver_result raft_driver_submit(struct raft_driver *driver, uint64_t now_ms,
                                           const struct span *entries, size_t n, uint64_t *first,
                                           uint64_t *term);
enum raft_driver_result raft_driver_barrier(struct raft_driver *driver, uint64_t now_ms,
                                            uint64_t *index, uint64_t *term);

/* A majority's confirmation of this leader that begins now: a barrier of its own term.
 * raft_driver_confirmed(): OK = since the confirm call a majority stored it in our term (so nobody
 * led a later term when we asked), and *commit_index is a commit index known afterwards; BUSY = not
 * yet; LOST = leadership went, ask again. */
struct raft_driver_confirmation {
    uint64_t index, term;
};
enum raft_driver_result raft_driver_confirm(struct raft_driver *driver, uint64_t now_ms,
                                            struct raft_driver_confirmation *confirmation);
enum raft_driver_result raft_driver_confirmed(const struct raft_driver *driver,
                                              const struct raft_driver_confirmation *confirmation,
                                              uint64_t *commit_index);

/* Leadership to the voter `node`: refuses submits, waits until node has everything, hands over,
 * tries again, gives up after 2 election timeouts or when its link is down. One at a time. Ends with transferred(). */
enum raft_driver_result raft_driver_transfer(struct raft_driver *driver, uint64_t now_ms,
                                             uint32_t node);

/* Membership, one change at a time, by the leader, after an entry of its own term is committed.
 * Ends with changed(). BUSY also while the voters that count (I10) and were heard within an
 * election timeout would be no majority afterwards: such a change could never be committed. add: as spare (receives nothing). assign: to voter (after catching up;
 * TIMED_OUT if it cannot), standby or spare. */
enum raft_driver_result raft_driver_add(struct raft_driver *driver, uint64_t now_ms, uint32_t node);
enum raft_driver_result raft_driver_assign(struct raft_driver *driver, uint64_t now_ms,
                                           uint32_t node, uint8_t role);
enum raft_driver_result raft_driver_remove(struct raft_driver *driver, uint64_t now_ms,
                                           uint32_t node);

/* The state machine's image as of `index` (applied, above the last snapshot, entry still in
 * memory), given in pieces (copied) while the log goes on; when all of it is stored, the log is
 * trimmed to `trailing` entries behind it. begin BUSY: another or an install is under way. Ends
 * with snapshot_taken(): FULL when there is no room on the disk, LOST also when an install or drop() overtook it, from when on write() is
 * false. The bytes not yet on the disk are the caller's to bound (unwritten()). */
enum raft_driver_result raft_driver_snapshot_begin(struct raft_driver *driver, uint64_t now_ms,
                                                   uint64_t index);
bool raft_driver_snapshot_write(struct raft_driver *driver, uint64_t index, struct span data);
size_t raft_driver_snapshot_unwritten(const struct raft_driver *driver);
/* The last snapshot, made here or received, found no room on the disk. */
bool raft_driver_no_room(const struct raft_driver *driver);
void raft_driver_snapshot_end(struct raft_driver *driver, uint64_t index);
void raft_driver_snapshot_drop(struct raft_driver *driver, uint64_t index);
/* All at once; `data` is borrowed for the call. */
enum raft_driver_result raft_driver_snapshot_take(struct raft_driver *driver, uint64_t now_ms,
                                                  uint64_t index, struct span data);

/* Of our snapshots only those up to `index` may become other nodes' state: a newer one is sent to nobody
 * and the log is not trimmed behind it (I11); UINT64_MAX, as at the start: any. A sending that this
 * stops goes on once it may. */
void raft_driver_vouch(struct raft_driver *driver, uint64_t now_ms, uint64_t index);
/* A node that needs a snapshot which is withheld so; 0 = none, as far as is known. */
uint32_t raft_driver_withheld(const struct raft_driver *driver);

/* While held, nothing is applied and no snapshot taken; everything else goes on. */
void raft_driver_hold(struct raft_driver *driver, uint64_t now_ms, bool hold);

/* What was applied here is wrong (I11): held, until a leader's snapshot above it is restored in its
 * place, whatever the log says; restore() follows. The log goes on meanwhile. */
void raft_driver_mistrust(struct raft_driver *driver, uint64_t now_ms);
/* The leader sends `node` its newest snapshot for that. OK: it is on its way (also when it was);
 * INVALID: that is not above `above`, take one first; BUSY: the node's log is not there yet. */
enum raft_driver_result raft_driver_repair(struct raft_driver *driver, uint64_t now_ms,
                                           uint32_t node, uint64_t above);

struct raft_driver_status raft_driver_status(const struct raft_driver *driver);
const struct raft_driver_counters *raft_driver_counters(const struct raft_driver *driver);
/* The newest committed configuration. */
const struct repl_configuration *raft_driver_configuration(const struct raft_driver *driver);
/* The newest one in the log, committed or not: whose voters are counted from then on. */
struct repl_configuration raft_driver_newest_configuration(const struct raft_driver *driver);
/* The term of the log entry at `index`; 0 when it is not in memory (trimmed, or not yet there). */
uint64_t raft_driver_term_of(const struct raft_driver *driver, uint64_t index);
/* Highest index that the leader knows to be stored by `node`; 0 when not leading or unknown, or when
 * its copies do not count. */
uint64_t raft_driver_match(const struct raft_driver *driver, uint32_t node);
/* Do its copies count, as far as this node knows? Of itself: is it not muted? */
bool raft_driver_counts(const struct raft_driver *driver, uint32_t node);

#endif
