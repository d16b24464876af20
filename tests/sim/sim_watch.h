/* The judge of a simulated cluster: the world tells it what happens, it says which invariant of the
 * design (I1 .. I17, L1 .. L3) is broken, when, by whom, with which numbers.
 *
 *   conductor_ops ──(wrapped)──> grants, limits, removals, IKE messages, submissions ─┐
 *   events of replication ─────> records, verdicts, assignments, states of SAs ───────┤
 *   workers ───────────────────> ESP sealed, left, delivered ─────────────────────────┼─> rules
 *   clients ───────────────────> the same of the other end ───────────────────────────┤
 *   disks, processes ──────────> durable, started, stopped, lost data ────────────────┘
 *
 * It never reads what it judges: what a node may use it learns from what the data path was told and
 * from the records, what is committed from the events, what is stored from the disks. It draws
 * nothing, changes nothing and calls nothing back but the wrapped rows, so a run is the same with
 * it and without it.
 *
 * Nodes are 1 .. SIM_WATCH_NODES; clients are numbered from 0. Times are the world's (ms, one
 * clock for all), but where a parameter is called local. Each call costs O(1); what is kept grows
 * with what happened (a bit per ESP packet, 32 bytes per IKE message); a full table breaks `room`.
 */
#ifndef HF_SIM_WATCH_H
#define HF_SIM_WATCH_H

#include "base/secret.h"
#include "conductor/core.h"

enum {
    SIM_WATCH_NODES = 15, /* ids ever used in one run, replaced nodes too */
    SIM_WATCH_CLIENTS = 64,
    SIM_WATCH_ERAS = 8,   /* incarnations of the cluster in one run */
    SIM_WATCH_KEPT = 32,  /* violations kept with their text; all are counted */
    SIM_WATCH_BATCH = 64, /* packets that a worker may have in hand (I5) */
    SIM_WATCH_TEXT = 240
};

/* Named after the invariants; sim_watch_rules.def has the words. */
enum sim_watch_rule {
#define SIM_WATCH_RULE(name, invariant, words) SIM_WATCH_##name,
#include "sim/sim_watch_rules.def"
#undef SIM_WATCH_RULE
    SIM_WATCH_RULES
};

/* "I1-number_once", "I1", "an ESP number is used once ..."; static. */
const char *sim_watch_rule_name(enum sim_watch_rule rule);
const char *sim_watch_rule_invariant(enum sim_watch_rule rule);
const char *sim_watch_rule_words(enum sim_watch_rule rule);

/* The collisions of the design's table (ike.md), found in what both ends' states say. */
enum sim_watch_case {
#define SIM_WATCH_CASE(name, words) SIM_WATCH_CASE_##name,
#include "sim/sim_watch_cases.def"
#undef SIM_WATCH_CASE
    SIM_WATCH_CASES
};
const char *sim_watch_case_words(enum sim_watch_case which);
const char *sim_watch_case_name(enum sim_watch_case which); /* "both_rekey_child"; static */

/* The right under which a node acts for a shard: its lease of that epoch, on its own clock. */
struct sim_watch_right {
    uint32_t shard;
    uint64_t epoch;                  /* 0 = none */
    uint64_t lease_until_ns, now_ns; /* local */
};

struct sim_watch_options {
    const uint64_t *now_ms; /* the world's clock; read at each call */
    uint32_t nodes;         /* 1 .. nodes are the members and voters at the start */
    uint32_t workers;       /* per node: so many batches may be in hand */
    /* The right of the node's control loop at this moment, as its lease says: never by what the conductor is
     * told of it, for that is what is judged. */
    struct sim_watch_right (*right)(void *self, uint32_t node, uint32_t shard);
    void *self;
};

struct sim_watch;

/* Ends the process when memory is short. */
struct sim_watch *sim_watch_create(const struct sim_watch_options *options);
void sim_watch_destroy(struct sim_watch *w);

/* --- what was found --- */

struct sim_watch_violation {
    enum sim_watch_rule rule;
    uint64_t at_ms;
    char text[SIM_WATCH_TEXT]; /* nodes and numbers */
};
/* How many in all; *kept (or NULL) is the first ones, at most SIM_WATCH_KEPT. */
uint64_t sim_watch_violations(const struct sim_watch *w, const struct sim_watch_violation **kept);
/* How often the rule judged something, and how often it was broken. */
uint64_t sim_watch_judged(const struct sim_watch *w, enum sim_watch_rule rule);
uint64_t sim_watch_broken(const struct sim_watch *w, enum sim_watch_rule rule);
/* How often a snapshot was told of before the records in it: then who is a member is not judged until
 * those are told. *open: it is so now. */
uint64_t sim_watch_gaps(const struct sim_watch *w, bool *open);
/* How often the case was reached. */
uint64_t sim_watch_reached(const struct sim_watch *w, enum sim_watch_case which);

/* --- processes and disks --- */

/* A daemon starts. lost: its disk has less than what it acknowledged (wiped, rolled back, restored,
 * truncated), as the world knows. */
void sim_watch_started(struct sim_watch *w, uint32_t node, uint64_t boot, bool lost);
/* It ended: killed, failed, stopped. Also when it refuses to start. */
void sim_watch_stopped(struct sim_watch *w, uint32_t node);
/* It will not come back, and that is right: its disk is lost for good. */
void sim_watch_gone(struct sim_watch *w, uint32_t node);
/* The disk's last durable entry: at each completion of append, truncate, install, and at each
 * start as it was found (0 = empty). */
void sim_watch_durable(struct sim_watch *w, uint32_t node, uint64_t last_index);
/* Some log has a configuration at that place: these vote by it. Told when it is there, before anything is
 * applied that was counted by it, and again when it is committed. */
void sim_watch_voters(struct sim_watch *w, uint64_t place, bool committed, const uint32_t *nodes,
                      size_t n);
/* The log on the node's disk, as a start finds it, and at the end. */
void sim_watch_stored(struct sim_watch *w, uint32_t node, const struct repl_loaded *log);
/* A process ends by itself. contradicted: for another node's log says something else of what it holds for
 * committed. caused: the world did something to it for which it may. */
void sim_watch_ended(struct sim_watch *w, uint32_t node, bool contradicted, bool caused,
                     const char *why);
/* A node counts, as it says: its votes, its copies, its acknowledgements. One that lost data must have
 * again what it had acknowledged, as far as that was applied anywhere when it started. */
void sim_watch_counts(struct sim_watch *w, uint32_t node);
/* It gives a vote (or would: a pre-vote), asks for votes, or leads: `how`, in words, of one node. Nobody does
 * who lost data, until it counts. */
void sim_watch_takes_part(struct sim_watch *w, uint32_t node, const char *how);
/* No leader counts any more what `node`, which lost data, had acknowledged before: each has heard that it does
 * not count, or began a term since. So far entries were committed by then, anywhere. */
void sim_watch_disregarded(struct sim_watch *w, uint32_t node, uint64_t place);
/* The leader `from` says to `node`, of that start: you count, once you have its log up to `index`. */
void sim_watch_trusts(struct sim_watch *w, uint32_t from, uint32_t node, uint64_t boot,
                      uint64_t index);
/* The cluster goes on from this node alone under a new incarnation (recover, restore), as of `index` of its
 * new log: all SAs before it are dead, all other members have left. `from`: the incarnation whose state
 * that is. Nodes that start for the first time later are of it. */
void sim_watch_incarnation(struct sim_watch *w, uint32_t node, uint64_t from, uint64_t incarnation,
                           uint64_t index);
/* That entry of the node's log says that the key of the sessions is lost, and no conductor is told of it by an
 * event: all SAs that were made in front of it have ended. Told as it is applied. */
void sim_watch_sessions_lost(struct sim_watch *w, uint32_t node, uint64_t index);
/* Behind that, for each member in the node's state: what was applied in front of that entry by those alone that
 * lacked the key was told by nobody, and somebody may have joined or left there. */
void sim_watch_unseen_member(struct sim_watch *w, uint32_t node, bool left);
/* ... and for each token that waits there: it may have been made in front of that entry. */
void sim_watch_unseen_token(struct sim_watch *w, uint32_t node, struct span hash,
                            uint64_t expires_ms);
/* Where that index of the node's log stands among all incarnations' indexes: rises over both. */
uint64_t sim_watch_place(const struct sim_watch *w, uint32_t node, uint64_t index);
/* The incarnations of whose beginning the node's state has a record. Asked of who has a state. */
void sim_watch_recorded(struct sim_watch *w, uint32_t node, const uint64_t *incarnations, size_t n);

/* --- replication --- */

/* Each event, before the conductor gets it (once, however often conductor_replication_some() is
 * called with it). */
void sim_watch_event(struct sim_watch *w, uint32_t node, const struct repl_event *event);
/* One that the conductor never got, since the process ended: what it says was committed all the same,
 * and only a snapshot may tell of it from then on. */
void sim_watch_missed(struct sim_watch *w, uint32_t node, const struct repl_event *event);
/* Its process ended, all of its records are told, and that was its applied index: an entry that is no record,
 * or one judged before, makes no event, and may be the last that a snapshot of it holds. */
void sim_watch_told_all(struct sim_watch *w, uint32_t node, uint64_t applied_index);
/* fsm_digest() (or repl_status.digest) of a node as of an applied index. */
void sim_watch_digest(struct sim_watch *w, uint32_t node, uint64_t index,
                      const uint8_t digest[REPL_DIGEST_BYTES]);

/* --- the conductor --- */

/* Puts the watch between the conductor and its rows: call it when `ops` is complete, give the
 * conductor what it leaves there. `ops` is copied; the returned wrap lives until
 * sim_watch_unwrap(), which comes after conductor_destroy(). Both contexts (self, esp_self) are
 * forwarded. Rows that were NULL stay NULL. */
struct sim_watch_wrap;
struct sim_watch_wrap *sim_watch_wrap(struct sim_watch *w, uint32_t node,
                                      struct conductor_ops *ops);
void sim_watch_unwrap(struct sim_watch_wrap *wrap);

/* Around a datagram that is not the peer's own (forged, damaged, an attacker's): nothing may be
 * submitted meanwhile; judged at its end (I15). */
void sim_watch_forged(struct sim_watch *w, uint32_t node, bool begins);
/* One that waited behind a step of the same SA was stepped: for the log? */
void sim_watch_forged_late(struct sim_watch *w, uint32_t node, bool for_the_log);
/* Half-open SAs in memory, and the most of one source, now and then. */
void sim_watch_half_open(struct sim_watch *w, uint32_t node, size_t in_all, size_t of_one_source);
/* Another node is sent a copy of a half-open SA, keys and all, by one that has applied so much: more, perhaps,
 * than was told of it. So that `to` joined in front of that may be told later. */
void sim_watch_copied(struct sim_watch *w, uint32_t to, uint64_t applied);

/* --- the data path --- */

/* What tells ESP keys apart: the key of one direction, as struct esp_sa_params and struct ike_child
 * have it (key_in, key_out). Both ends have the same value for the same direction. */
uint64_t sim_watch_key(const struct secret *key);

/* The right under which a worker handles a packet: the epoch is the one that it read before the batch, the
 * lease and the clock are as they are at this moment.
 *
 * A node's worker begins a turn: what the shards' leases say then. All packets up to the next call are
 * handled in this turn, however often the worker is stopped in it. */
void sim_watch_turn(struct sim_watch *w, uint32_t node, const struct sim_watch_right *rights,
                    size_t n);
/* A number was used: the cipher was called. */
void sim_watch_sealed(struct sim_watch *w, uint32_t node, uint64_t key, uint64_t seq,
                      const struct sim_watch_right *right);
/* That packet leaves the node: at once, or later when the worker was stopped with it in hand. */
void sim_watch_left(struct sim_watch *w, uint32_t node, uint64_t key, uint64_t seq,
                    const struct sim_watch_right *right);
/* A packet was accepted: its inner packet goes to the TUN. */
void sim_watch_delivered(struct sim_watch *w, uint32_t node, uint64_t key, uint64_t seq,
                         const struct sim_watch_right *right);
/* ... and is there: at once, or later. */
void sim_watch_entered(struct sim_watch *w, uint32_t node, const struct sim_watch_right *right);
/* Any datagram that leaves outside: an IKE message, or (natt: from port 4500) one behind its marker, a
 * keepalive, an ESP packet; and it must not hold SIM_WATCH_PLAIN, which the world puts into each
 * inner packet (I13). Real suites only. */
#define SIM_WATCH_PLAIN "holdfast-inner-packet"
void sim_watch_outside(struct sim_watch *w, uint32_t node, bool natt, struct span bytes);

/* --- clients --- */

void sim_watch_client_restarted(struct sim_watch *w, uint32_t client);
/* One IKE message leaves it (no non-ESP marker). */
void sim_watch_client_sent(struct sim_watch *w, uint32_t client, struct span message);
/* Its IKE SA after a step; `after->state` ENDED or NONE, or after == NULL: it is gone. */
void sim_watch_client_sa(struct sim_watch *w, uint32_t client, uint64_t local_spi,
                         const struct ike_sa *after);
/* The same out of an event of the log that the client's own conductor has; others than APPLIED say
 * nothing. */
void sim_watch_client_event(struct sim_watch *w, uint32_t client, const struct repl_event *event);
void sim_watch_client_sealed(struct sim_watch *w, uint32_t client, uint64_t key, uint64_t seq);
void sim_watch_client_delivered(struct sim_watch *w, uint32_t client, uint64_t key, uint64_t seq);

/* --- liveness: between healing and the end of the run no faults are injected --- */

struct sim_watch_healing {
    uint64_t owner_ms;      /* L1: within which each shard has an owner that acts, and then stays */
    bool rebalance;         /* L1: shards go home, and spread, as is planned */
    uint32_t elections;     /* L3: elections that are won behind that, at most */
    const uint32_t *shards; /* that must be served; traffic or probes of their clients go on */
    size_t n_shards;
};
void sim_watch_heal(struct sim_watch *w, const struct sim_watch_healing *healing);
/* From now on, all else is well, but that node's links come and go: it may lose what it has. */
void sim_watch_flaps(struct sim_watch *w, uint32_t node);
/* Snapshots have room there again, from now on: it tries half a minute after it last found none. */
void sim_watch_was_full(struct sim_watch *w, uint32_t node);
/* owner_ms after it: judges L1. */
void sim_watch_owners(struct sim_watch *w);
/* At the end, when all is quiet: no message under way, nothing outstanding, every node that is up
 * told its digest of this instant. Judges L2 and L3, and that both ends of each tunnel agree (I7). */
void sim_watch_healed(struct sim_watch *w);

/* All is well, and the owner of some shards is about to die. */
void sim_watch_owner_dies(struct sim_watch *w, uint32_t node);
/* One of them, later: within so long it had another owner that acts, and that sends (0: nobody is served). */
struct sim_watch_takeover {
    uint32_t shard;
    uint64_t acts_ms, sends_ms;
};
void sim_watch_taken_over(struct sim_watch *w, const struct sim_watch_takeover *t);
/* What a client has, by its SPI and the gateway's; zeros = nothing. ike, child: nothing else than that death
 * can have changed it. */
struct sim_watch_tunnel {
    uint64_t ike[2];
    uint32_t child[2];
};
void sim_watch_goes_on(struct sim_watch *w, uint32_t client, const struct sim_watch_tunnel *before,
                       const struct sim_watch_tunnel *after, bool ike, bool child);

/* No exchange of any SA is under way, at either end, and no SA waits for a Delete. */
bool sim_watch_quiet(const struct sim_watch *w);

/* Two runs that differ in nothing but the wall clocks' jumps have one trace (I14). */
void sim_watch_same_run(struct sim_watch *w, uint64_t trace, uint64_t trace_with_jumps);

#endif
