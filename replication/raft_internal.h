/* The raft driver's insides, shared by raft_*.c only. The only header here that includes <raft.h>.
 *
 *   raft_driver.c   create, start, tick, receive, status
 *   raft_wraps.c    what goes into the core is made safe first: libraft's defects
 *   raft_step.c     one step of the core and what it asks for; the commit index
 *   raft_disk.c     storage operations and their completions; snapshots
 *   raft_send.c     frames out, held until the vote is durable
 *   raft_install.c  a snapshot in pieces, out and in
 *   raft_repair.c   a sound state in place of a wrong one, the log kept
 *   raft_muted.c    a node under distrust counts for nothing (I10)
 *   raft_found.c    a cluster's beginning
 *   raft_history.c  of whose history a frame is
 *   raft_change.c   submit, confirm, membership, transfer
 *   raft_deliver.c  callbacks, in order
 *   raft_frame.c, raft_log.c   encoding; log cache (they know no libraft)
 */
#ifndef HF_REPL_RAFT_INTERNAL_H
#define HF_REPL_RAFT_INTERNAL_H

#include <raft.h>

#include "replication/raft_driver.h"
#include "replication/raft_frame.h"
#include "replication/raft_log.h"

/* True: defect n of libraft 0.22.1 is wrapped. Always, but in the test library. */
#ifdef HOLDFAST_RAFT_UNWRAP
#define RAFT_WRAPPED(driver, n) (((driver)->options.unwrapped & (1U << ((n)-1))) == 0)
#else
#define RAFT_WRAPPED(driver, n) true
#endif

/* ... and of the rules of our own that it can take away (21 to 28 are in the files that keep them) the
 * one that two files keep: no change of voters before the new ones have shown that they can commit it. */
enum { RAFT_RULE_PROOF = 29 };

enum {
    RAFT_MAX_PEERS = 2 * REPL_MAX_SERVERS, /* whose frames' order is remembered */
    RAFT_MAX_HELD = 256,                   /* frames that wait for a vote to be durable */
    RAFT_MAX_HELD_BYTES = 4 << 20,
    RAFT_APPEND_FRAME_BYTES = 1 << 20, /* an AppendEntries above it is cut into several */
    RAFT_INFLIGHT_ENTRIES = 1024,      /* the default of 32 halves the rate */
    RAFT_INSTALL_PIECES = 4,           /* of a snapshot on their way to a node, not stored there */
    RAFT_INSTALL_STALLS = 10, /* pauses after which a sending is given up: the core asks again */
    RAFT_APPLY_ENTRIES = 64,  /* applied before the loop has its turn */
    RAFT_APPLY_BYTES = 256 << 10
};

/* A storage operation that was queued and has not completed; in order. */
struct raft_pending {
    enum repl_storage_op op;
    uint64_t first, last; /* APPEND: what still stands of it (last < first: nothing) */
    uint64_t index;       /* what the completion will carry */
    bool discard; /* INSTALL at start: only to discard a log that contradicts the snapshot */
};

/* A frame that waits until `votes` vote operations are durable. */
struct raft_held {
    uint64_t votes;
    uint32_t node;
    size_t len;
    uint8_t *bytes;
};

/* As the leader sees it: raft_muted.c. */
enum raft_doubt {
    RAFT_DOUBT_NONE,
    RAFT_DOUBT_TELL, /* its results showed it; it has not said yet that it knows */
    RAFT_DOUBT_MUTED /* by its own word */
};

/* What a peer said to this start of ours about its disk: raft_found.c. In this order. */
enum raft_founder {
    RAFT_FOUNDER_UNHEARD,
    RAFT_FOUNDER_NEW,    /* entry 1 alone */
    RAFT_FOUNDER_AGREED, /* and it knows that all are so */
    RAFT_FOUNDER_BEGUN   /* more, or it counts */
};

struct raft_peer {
    uint32_t node; /* 0 = free */
    uint64_t boot, former_boot, sequence;
    bool heard;
    uint64_t heard_ms; /* when its newest frame came */
    enum raft_doubt doubt;
    uint64_t doubt_boot;            /* of which start of it */
    uint64_t acknowledged;          /* TELL: what it once had */
    uint64_t barrier, barrier_term; /* made since for that start; 0 = not yet */
    enum raft_founder founder;
    uint64_t found_told; /* the start of it that we told last how we stand */
};

struct raft_change_state {
    enum {
        RAFT_CHANGE_NONE,
        RAFT_CHANGE_CATCHING_UP,
        RAFT_CHANGE_PROVING, /* the voters of `next` are to store a barrier first */
        RAFT_CHANGE_SUBMITTED,
        RAFT_CHANGE_ENDED
    } phase;
    uint32_t node;
    struct repl_configuration next;
    uint64_t term, index;
    uint64_t deadline_ms; /* PROVING */
    enum raft_driver_result result;
};

struct raft_transfer_state {
    uint32_t node; /* 0 = none */
    bool ended;
    uint64_t term, deadline_ms;
    enum raft_driver_result result;
};

/* A snapshot on its way to a node. */
struct raft_outgoing {
    uint32_t node; /* 0 = free */
    struct repl_snapshot_meta meta;
    uint64_t total;       /* 0 = not known yet */
    uint64_t sent, acked; /* bytes */
    uint64_t moved_ms;    /* when something of it came or went last */
    uint32_t transfer;
    unsigned stalls;
    bool reading;
    bool repair;   /* the node has that part of the log: only its state is wrong */
    bool finished; /* all of it is stored there; the core will hear, at the latest when it asks */
};

/* ... and one that comes. */
struct raft_incoming {
    bool active;
    uint32_t from, transfer;
    uint64_t boot, term;  /* the sender's */
    uint64_t incarnation; /* ... as its frames name it; 0 = they do not */
    struct repl_snapshot_meta meta;
    uint64_t total, received, stored;
    bool repair; /* as a snapshot of our own: raft_repair.c */
};

struct raft_driver {
    struct raft raft;
    struct raft_driver_options options;
    struct repl_storage storage;
    struct repl_transport transport;
    struct raft_driver_callbacks callbacks;
    struct raft_driver_counters counters;
    struct raft_log log;
    uint64_t now_ms, timeout_step_ms; /* latest time told; time of the latest RAFT_TIMEOUT */
    unsigned elections_failed; /* real ones of ours that ended by time, since a leader was heard */
    uint64_t commit, applied;
    uint64_t incarnation;      /* of what is stored here; 0 = nothing is, or it is not known yet */
    uint64_t leader_term;      /* term in which the core's leader made itself known */
    uint64_t leader_heard_ms;  /* when a leader of the present term spoke last */
    uint64_t led_since_ms;     /* when we became leader last */
    uint64_t own_term_applied; /* newest term of ours, as leader, of which an entry was applied */
    uint64_t sequence;         /* of the last frame sent */
    bool started, failed, failed_told, stepping, delivering,
        stale; /* stale: the message in hand is of an older term */
    const char *why;
    char words[480];          /* `why`, when it names something */
    enum repl_distrust muted; /* this node counts for nothing, and why; REPL_TRUSTED = it does */
    uint64_t distrusts_queued, distrusts_done; /* changes of it: those on the disk */
    enum raft_founder found_said;              /* raft_found.c: to all, last */
    uint64_t found_ms;                         /* ... and when again */
    struct raft_driver_verdict verdict;        /* of what the start found */
    bool lifts;                                /* at the start: raft_driver_lift() */

    struct raft_pending *pending; /* ring */
    size_t pending_head, pending_count, pending_capacity;
    uint64_t votes_queued, votes_done, vote_term;
    uint32_t vote_for;

    struct raft_held held[RAFT_MAX_HELD]; /* ring */
    size_t held_head, held_count, held_bytes;
    uint8_t *out; /* buffer for outgoing AppendEntries */
    size_t out_capacity;
    struct raft_peer peers[RAFT_MAX_PEERS];
    size_t next_peer;

    struct repl_snapshot_meta snapshot; /* the core's newest */
    struct repl_snapshot_meta taking;   /* being made or stored; index 0 = none */
    bool drafting;                      /* ... its draft is not closed yet */
    bool repairing;         /* what was applied is wrong: a snapshot above it is awaited */
    bool repair_draft;      /* `taking` is that one */
    bool no_room;           /* the last draft found none */
    uint64_t deaf_until_ms; /* ... and no piece of a snapshot is taken before */
    uint64_t draft_written, draft_stored;
    uint64_t taken_index; /* snapshot_taken() is due; 0 = not */
    enum raft_driver_result taken_result;
    struct repl_snapshot_meta install; /* received, being stored or about to be restored */
    uint8_t *install_data;             /* at the start only */
    size_t install_len;
    bool installing, restoring;        /* on its way to the disk; restore() is due */
    bool paused;                       /* nothing is applied */
    bool more;                         /* there is more to apply than one turn takes */
    size_t apply_entries, apply_bytes; /* of this turn */
    struct raft_outgoing outgoing[REPL_MAX_SERVERS];
    uint32_t transfers; /* begun so far */
    uint64_t vouched;   /* raft_driver_vouch() */
    struct raft_incoming incoming;

    struct repl_configuration configuration; /* newest committed and delivered */
    struct raft_driver_status told;
    struct raft_change_state change;
    struct raft_transfer_state transfer;
    struct repl_entry scratch[RAFT_FRAME_MAX_ENTRIES];
};

/* The entries that a step may ask to be stored: indexes from `first`. */
struct raft_payload {
    uint64_t first;
    const struct repl_entry *entries;
    size_t n;
};

/* raft_step.c */
/* One raft_step and everything that it asks for. 0, or what the core said (nothing was done then).
 * payload may be NULL. */
int raft_core_step(struct raft_driver *d, struct raft_event *event,
                   const struct raft_payload *payload);
/* After each call from outside: what follows by itself (changes, transfers), then the callbacks. */
void raft_settle(struct raft_driver *d);
/* The election timer is about to end; a leader is there again. */
void raft_stretch_elections(struct raft_driver *d);
void raft_calm_elections(struct raft_driver *d);
void raft_fail(struct raft_driver *d, const char *why);
/* A peer's log (or snapshot) has that term at an index that is committed here: this node ends, and says so. */
void raft_contradicted(struct raft_driver *d, uint32_t from, const char *what, uint64_t index,
                       uint64_t term);
bool raft_core_configuration(const struct repl_configuration *from, struct raft_configuration *to);
struct repl_configuration raft_from_core(const struct raft_configuration *from, uint64_t index);
/* Entries as the core wants them (it reads only CHANGE's data): *batch and *out by raft_malloc.
 * False: out of memory. */
bool raft_core_entries(const struct repl_entry *entries, size_t n, struct raft_entry **out,
                       void **batch);

/* raft_wraps.c */
void raft_raise_term_at_start(struct raft_driver *d, uint64_t *term, uint32_t *voted_for);
void raft_raise_term_at_timeout(struct raft_driver *d);
uint64_t raft_answer_term(struct raft_driver *d, uint64_t term, bool pre_vote, bool granted);
void raft_clamp_timeout(const struct raft_driver *d, uint64_t *timeout_ms);
void raft_look_back(struct raft_driver *d);
bool raft_in_order(struct raft_driver *d, uint32_t from, const struct raft_frame *frame);
enum raft_driver_result raft_receive_append(struct raft_driver *d, uint32_t from,
                                            const struct raft_frame *frame);
enum raft_driver_result raft_receive_install(struct raft_driver *d, uint32_t from,
                                             const struct raft_frame *frame);
/* All of d->incoming is stored: the core may have it. */
void raft_offer_install(struct raft_driver *d);
enum raft_driver_result raft_receive_small(struct raft_driver *d, uint32_t from,
                                           const struct raft_frame *frame);
void raft_commit_own_term(struct raft_driver *d);
bool raft_may_change(const struct raft_driver *d);
bool raft_catch_up_refused(struct raft_driver *d, uint32_t node, enum raft_driver_result *result);
bool raft_catch_up_needed(struct raft_driver *d, uint32_t node);
bool raft_snapshot_overtaken(struct raft_driver *d);

/* raft_send.c */
void raft_send_messages(struct raft_driver *d, const struct raft_message *messages, unsigned n);
void raft_release_held(struct raft_driver *d);
void raft_drop_held(struct raft_driver *d);
struct raft_frame raft_frame_begin(struct raft_driver *d, enum raft_frame_type type, uint64_t term);
bool raft_send_small(struct raft_driver *d, uint32_t node, const struct raft_frame *frame);

/* raft_install.c */
void raft_install_send(struct raft_driver *d, uint32_t node,
                       const struct raft_install_snapshot *args);
void raft_install_repair(struct raft_driver *d, uint32_t node); /* our newest snapshot */
void raft_install_acked(struct raft_driver *d, uint32_t from, const struct raft_frame *frame);
void raft_install_piece(struct raft_driver *d, uint32_t from, const struct raft_frame *frame);
void raft_install_poll(struct raft_driver *d); /* time passed, or leadership went */
void raft_install_drafted(struct raft_driver *d, const struct repl_storage_done *done);
void raft_install_read(struct raft_driver *d, const struct repl_storage_done *done);

/* raft_disk.c */
bool raft_store_vote(struct raft_driver *d, uint64_t term, uint32_t vote);
bool raft_store_distrust(struct raft_driver *d, enum repl_distrust why);
struct repl_configuration raft_configuration_at(const struct raft_driver *d, uint64_t index);
bool raft_store_entries(struct raft_driver *d, const struct raft_update *update,
                        const struct raft_payload *payload);
bool raft_store_install(struct raft_driver *d, struct raft_update *update);
void raft_queue_discard(struct raft_driver *d, const struct repl_snapshot_meta *meta);
void raft_drop_draft(struct raft_driver *d);

/* raft_repair.c */
bool raft_repairs(const struct raft_driver *d, const struct raft_frame *f);
bool raft_repairs_later(const struct raft_driver *d, const struct raft_frame *f);
bool raft_repair_begin(struct raft_driver *d, const struct repl_snapshot_meta *meta);
void raft_repair_drop(struct raft_driver *d);
void raft_repair_stored(struct raft_driver *d, bool overtaken);

/* raft_muted.c */
void raft_hears(struct raft_driver *d, uint32_t from); /* a frame of its came */
/* It neither votes nor campaigns: such a frame goes no further. */
bool raft_muted_ignores(const struct raft_driver *d, const struct raft_frame *f);
bool raft_muted_waits(const struct raft_driver *d); /* its election timer means nothing */
/* TRUST and DISTRUST, for this node. */
/* What this node is from now on, on the disk before all that follows. False: out of memory, failed. */
bool raft_become(struct raft_driver *d, enum repl_distrust why);
void raft_muted_hears(struct raft_driver *d, uint32_t from, const struct raft_frame *f);
/* The leader, before the core sees the result: does it count? */
void raft_weigh_result(struct raft_driver *d, uint32_t from, const struct raft_frame *f);
/* Takes back what the core committed by copies that do not count. */
void raft_commit_trusted(struct raft_driver *d);
void raft_muted_poll(struct raft_driver *d); /* the barriers that are due */
/* Of the voters of `next`, are those that count and were heard within an election timeout a majority?
 * Else that configuration could stand in the log with nobody to commit it, or a muted one of them could
 * never be trusted again: that takes a majority without it. */
bool raft_counts_on(const struct raft_driver *d, const struct repl_configuration *next);
/* ... and a majority of them has stored the log up to `index`. */
bool raft_stored_by(const struct raft_driver *d, const struct repl_configuration *next,
                    uint64_t index);
/* Nobody takes a muted node's word for an entry; what it has is only how far it was filled. */
uint64_t raft_filled(const struct raft_driver *d, uint32_t node);
/* Of the core's configuration as it is now: this node, and no other voter. */
bool raft_only_voter(const struct raft_driver *d, const struct repl_configuration *c);
struct raft_peer *raft_peer_of(struct raft_driver *d, uint32_t node); /* made when there is none */

/* raft_found.c */
/* A founder that has entry 1 alone, and has not begun. */
bool raft_founds(const struct raft_driver *d);
void raft_found_poll(struct raft_driver *d);
uint64_t raft_found_timeout(const struct raft_driver *d); /* UINT64_MAX: none */
void raft_found_hears(struct raft_driver *d, uint32_t from, const struct raft_frame *f);
void raft_found_begun(struct raft_driver *d); /* a peer campaigns or leads */
/* A founder that has said nothing to this start yet; 0 = none, or there is nothing to found. */
uint32_t raft_found_awaits(const struct raft_driver *d);

/* raft_history.c */
/* Is it of another history? Then it is counted and told, and goes no further. */
bool raft_foreign(struct raft_driver *d, uint32_t from, const struct raft_frame *f);
bool raft_names_history(const struct raft_driver *d, uint32_t node); /* frames to it do */
void raft_history_begins(
    struct raft_driver *d); /* something may have been stored in an empty log */
/* A snapshot of that one (0: not known) is about to be installed. False: it is another's. */
bool raft_history_installs(const struct raft_driver *d, uint64_t incarnation);

/* raft_change.c */
void raft_change_poll(struct raft_driver *d);
void raft_transfer_poll(struct raft_driver *d);
int raft_submit_entries(struct raft_driver *d, const struct repl_entry *entries, size_t n);

/* raft_deliver.c */
void raft_deliver(struct raft_driver *d);

#endif
