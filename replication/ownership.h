/* Who may act for a shard, and when the leader gives it to another: leases, promises, lapse. Pure:
 * a plain value, stepped with the time (CLOCK_BOOTTIME, ns) of this node alone; times of other
 * nodes are only echoed. Nothing here allocates.
 *
 *   owner                                      every node (the owner too)
 *   heartbeat {epoch, sent} ─────────────────> promise: no newer epoch for lease + 1 % from receipt
 *   lease = newest `sent` that a majority <─── ack {epoch, sent}
 *           acknowledged + lease − 1 %         nothing heard for lease + 1 %: report of lapse
 *                                                │
 *   leader                                       v
 *   assign <───────────────────────────────────── lapse by a majority, itself included
 *
 * The argument for one owner at a time, at clock drift up to 1 %: a lease ends, by the owner's
 * clock, before any promise of that majority ends by its giver's clock; a newer epoch needs a
 * majority too, so one node that promised, and it acknowledges the newer epoch only after that
 * promise lapsed (or when it applies the handover that the older owner asked for, having stopped),
 * and never the older again. A node that restarted forgot its promises: so it stays silent for as
 * long as any could last, and until it has applied its own BOOT record, which the log orders after
 * everything that was committed before its start. Safety rests on none of this (README.md);
 * that one owner acts does.
 *
 * Majorities are of the voters of the configuration that this node has applied. Why that holds
 * while members change is in members.md; its two rules are here: nobody acknowledges an owner that
 * counts by an older configuration than the newest in his own log, and acknowledgements count only
 * for the configuration that they were asked under.
 */
#ifndef HF_REPL_OWNERSHIP_H
#define HF_REPL_OWNERSHIP_H

#include "replication/record.h"

enum {
    OWNERSHIP_GIVE_UP_LEASES = 3,
    OWNERSHIP_FIRST_CHOICE_LEASES = 10,
    OWNERSHIP_ASK_RATE = 10,
    OWNERSHIP_APPLIED_ALIKE = 1024,  /* entries: who is so near has not "applied more" */
    OWNERSHIP_GIVE_AGAIN_LEASES = 2, /* a gift that did not come about is offered again then */
    OWNERSHIP_MAX_SHARDS = 2 * REPL_MAX_SHARDS /* those configured here, and others of the state */
};

struct ownership_options {
    uint32_t self;
    uint64_t boot;
    uint32_t nodes[REPL_MAX_NODES]; /* this node among them; at the start all of them vote */
    size_t n_nodes;
    uint64_t lease_ns, heartbeat_ns;
    bool rebalance;     /* shards go home, and spread evenly, by themselves */
    uint64_t settle_ns; /* ... to nodes that have been well for so long, and not sooner after
                           their last move */
};

struct ownership_heartbeat {
    uint32_t shard;
    struct repl_epoch epoch;
    uint64_t owner_boot, sent_ns, lease_ns;
    uint64_t configuration; /* log index of the one whose voters the owner counts */
};

struct ownership_ack {
    uint32_t shard;
    struct repl_epoch epoch;
    uint64_t owner_boot, sent_ns, configuration;
};

/* The members as of now: their configuration (as applied), and others that are known. */
struct ownership_list {
    uint32_t nodes[REPL_MAX_NODES]; /* this node among them, whatever the configuration says */
    bool voter[REPL_MAX_NODES];
    size_t n;
    uint64_t configuration; /* its log index; 0 = none applied yet */
};

/* One shard as this node sees it. */
struct ownership_shard {
    uint32_t shard, prefer; /* shard 0 = free slot */
    bool configured;        /* among the options: this node can serve it */

    /* applied */
    struct repl_epoch epoch;
    uint32_t owner_node;
    uint64_t owner_boot;
    uint64_t assigned_ns; /* when it was applied here */
    uint32_t home;        /* an operator's wish; 0 = `prefer` */
    uint32_t moving_to;   /* ... and now; 0 = none, or its time is over */

    /* as a giver of promises */
    struct repl_epoch highest; /* acknowledged or applied; nothing lower is acknowledged */
    struct repl_epoch promised;
    uint64_t promised_until_ns;
    uint64_t heard_ns; /* newest heartbeat of `epoch` */

    /* as the owner */
    bool mine; /* this node applied its own assignment, from the log, in this boot */
    bool given_up;
    bool was_held;                     /* for ownership_lease_changes() */
    uint64_t given_ns;                 /* offered to another node last; 0 = not in this epoch */
    uint64_t acked_ns[REPL_MAX_NODES]; /* newest own `sent` that the node acknowledged */
    uint64_t lease_until_ns;

    /* as the leader */
    struct repl_epoch lapsed[REPL_MAX_NODES]; /* reported by that node */
    uint64_t lapsed_ns[REPL_MAX_NODES];       /* when */
    bool deciding;         /* an assignment was submitted and is neither applied nor lost */
    uint32_t deciding_for; /* ... of this node */
    uint64_t refused_ns;   /* the log refused one then; 0 = never */
};

struct ownership_peer {
    uint64_t heard_ns;    /* newest report; 0 = none */
    uint64_t boot;        /* of the sender of that report */
    uint64_t member_boot; /* as applied; 0: it has left, or never started, */
    bool gone;            /* ... so it gets nothing; but while it votes its promises count */
    uint64_t applied_index;
    bool healthy;
    bool reluctant;            /* would rather own nothing */
    bool drained;              /* as applied: owns nothing */
    uint64_t healthy_since_ns; /* without a gap; 0 = is not */
    bool voter;                /* of the configuration as applied: counts, and may own */
};

struct ownership {
    struct ownership_options options;
    uint64_t configuration; /* applied: whose voters are counted */
    uint64_t stored;        /* newest in this node's log, committed or not */
    uint64_t started_ns;
    bool confirmed; /* own BOOT record applied */
    uint64_t next_beat_ns;
    uint64_t leading_since_ns; /* leader with its own term committed; 0 = not */
    uint64_t moved_ns;         /* the newest assignment of any shard, applied here */
    struct ownership_peer peers[REPL_MAX_NODES];
    struct ownership_shard shards[OWNERSHIP_MAX_SHARDS];
    size_t n_shards;
};

void ownership_init(struct ownership *o, const struct ownership_options *options, uint64_t now_ns);
/* A shard that this node may assign, and who should have it at first (0 = any). */
void ownership_configure(struct ownership *o, uint32_t shard, uint32_t prefer);
/* The replicated timing was applied. */
void ownership_timing(struct ownership *o, uint64_t lease_ns, uint64_t heartbeat_ns);

uint64_t ownership_promise_ns(const struct ownership *o); /* lease + 1 % */
uint64_t ownership_lease_ns(const struct ownership *o);   /* lease − 1 % */

/* --- what the log says --- */

/* The members changed: what is known of those that stay is kept; of another configuration no
 * acknowledgement counts any more. A lease that runs ends in its own time. */
void ownership_listed(struct ownership *o, const struct ownership_list *list);
/* Is this node one of the voters? Are so many of them a majority? */
bool ownership_votes(const struct ownership *o);
bool ownership_majority(const struct ownership *o, size_t n);

/* A BOOT record was applied. */
void ownership_booted(struct ownership *o, uint32_t node, uint64_t boot);
/* An assignment was applied from the log: what it replaced, what it is. */
void ownership_assigned(struct ownership *o, uint32_t shard, struct repl_epoch replaced,
                        struct repl_epoch epoch, uint32_t node, uint64_t boot, bool handover,
                        uint64_t now_ns);
/* The same learnt from a snapshot: it never makes this node an owner, and releases no promise. */
void ownership_restored(struct ownership *o, uint32_t shard, struct repl_epoch epoch, uint32_t node,
                        uint64_t boot, uint64_t now_ns);

/* This node's state is not to be trusted: it owns nothing, whatever the log says, until it is
 * assigned anew. */
void ownership_disown(struct ownership *o);

/* --- heartbeats and promises --- */

/* Is it time to send? Sets the next time. */
bool ownership_beat_due(struct ownership *o, uint64_t now_ns);
/* The shards to heartbeat for, into out[] (REPL_MAX_SHARDS). Only while `healthy`. */
size_t ownership_heartbeats(struct ownership *o, bool healthy, uint64_t now_ns,
                            struct ownership_heartbeat *out);
/* A heartbeat arrived. True: *ack is the promise to send back. */
bool ownership_heard(struct ownership *o, const struct ownership_heartbeat *beat, uint64_t now_ns,
                     struct ownership_ack *ack);
/* An acknowledgement arrived from `node`, made in its start `boot`. True: a lease was prolonged. */
bool ownership_acked(struct ownership *o, uint32_t node, uint64_t boot,
                     const struct ownership_ack *ack, uint64_t now_ns);

/* May this node act for the shard now? until_ns: its lease's end, 0 = none. */
bool ownership_held(const struct ownership_shard *s, uint64_t now_ns);

/* The next shard whose right to act came or went since it was last asked for; NULL = none. */
struct ownership_shard *ownership_lease_change(struct ownership *o, uint64_t now_ns);

/* --- lapse and decision --- */

/* Have this node's promises for the shard run out, and nothing been heard from its owner? */
bool ownership_lapsed(const struct ownership *o, const struct ownership_shard *s, uint64_t now_ns);
/* A node's word on itself; `lapsed` as it reported. The own one comes in here too. */
void ownership_report(struct ownership *o, uint32_t node, uint64_t boot, bool healthy,
                      uint64_t applied_index, uint64_t now_ns);
/* ... it would rather own nothing (its disk fills up, it is about to stop). */
void ownership_report_reluctant(struct ownership *o, uint32_t node, bool reluctant);
void ownership_report_lapse(struct ownership *o, uint32_t node, uint32_t shard,
                            struct repl_epoch epoch, uint64_t now_ns);
/* Leadership: `able` = leading and everything up to an entry of the own term is applied. */
void ownership_leading(struct ownership *o, bool able, uint64_t now_ns);

struct ownership_decision {
    uint32_t shard;
    struct repl_epoch replaces;
    uint32_t node;
    uint64_t boot;
};
/* The next assignment to submit. The shard is then `deciding` until ownership_assigned(),
 * ownership_undecided() or ownership_refused(). False: nothing to decide. */
bool ownership_decide(struct ownership *o, uint64_t now_ns, struct ownership_decision *out);
/* It did not get to the log. */
void ownership_undecided(struct ownership *o, uint32_t shard);
/* The log refused it, and might again: not decided anew before a lease has passed. */
void ownership_refused(struct ownership *o, uint32_t shard, uint64_t now_ns);
/* A shard that nobody can be assigned, for the state holds as many as it may; 0 = there is none. */
uint32_t ownership_without_place(const struct ownership *o);

/* --- handover: the owner's part of the policy, the same rules on every node (ownership_give.c) ---
 */

/* What operators wish, as applied. */
void ownership_wished(struct ownership *o, uint32_t shard, uint32_t home, uint32_t moving_to);
void ownership_drained(struct ownership *o, uint32_t node, bool drained);

enum ownership_reason {
    OWNERSHIP_BY_COMMAND, /* an operator moves it */
    OWNERSHIP_DRAINED,
    OWNERSHIP_UNFIT,   /* a link, the disk: this node cannot serve, but can still hand over */
    OWNERSHIP_GO_HOME, /* to its home, which has been well for a while */
    OWNERSHIP_SPREAD
};
struct ownership_gift {
    uint32_t shard;
    enum ownership_reason reason;
    uint32_t node;
    uint64_t boot;
};
/* The next shard of this node that should be handed over. Each is offered at most once in
 * OWNERSHIP_GIVE_AGAIN_LEASES. `unfit`: this node should own nothing. False: nothing to give. */
bool ownership_give(struct ownership *o, bool unfit, uint64_t now_ns, struct ownership_gift *out);
/* Is there anybody who could take over from this node? */
bool ownership_taker(const struct ownership *o, uint64_t now_ns);
const char *ownership_reason_name(enum ownership_reason reason);

/* When something here changes by time alone; UINT64_MAX = never. */
uint64_t ownership_next_ns(const struct ownership *o, uint64_t now_ns);

struct ownership_shard *ownership_shard(struct ownership *o, uint32_t shard); /* or NULL */
/* Reports not older than a promise: healthy, and of the boot that the log knows. */
bool ownership_candidate(const struct ownership *o, size_t node_at, uint64_t now_ns);

#endif
