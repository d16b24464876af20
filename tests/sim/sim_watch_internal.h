/* What the files of the watch share; nobody else includes it.
 *
 *   sim_watch.c        what was found, life of processes    sim_watch_map.c   64-bit key to two words
 *   sim_watch_esp.c    numbers, ceilings, rights             sim_watch_ike.c   messages
 *   sim_watch_log.c    events of replication                 sim_watch_sa.c    what records say of SAs
 *   sim_watch_wrap.c   the conductor's rows                  sim_watch_cases.c collisions reached
 *   sim_watch_heal.c   liveness                      sim_watch_members.c  who is of the cluster, who votes
 *   sim_watch_takeover.c  of one takeover
 *   sim_watch_era.c    incarnations: what is called an index here is a place, counted over all of them
 *   sim_watch_disks.c  the logs on the disks     sim_watch_hand.c  rights of a worker, the batch in hand
 */
#ifndef HF_SIM_WATCH_INTERNAL_H
#define HF_SIM_WATCH_INTERNAL_H

#include "sim/sim_random.h"
#include "sim/sim_watch.h"
#include "wire/header.h"

/* Open addressing, doubled when half full; entries are never removed. Key 0 is as good as any. */
struct sim_watch_map {
    struct sim_watch_entry {
        uint64_t key, a, b;
        bool used;
    } * entries;
    size_t n, capacity;
};
struct sim_watch_entry *sim_watch_find(const struct sim_watch_map *m, uint64_t key); /* or NULL */
/* The entry, made with zeros when there is none (*made says so). NULL: the map is at its most. */
struct sim_watch_entry *sim_watch_put(struct sim_watch_map *m, uint64_t key, bool *made);

/* Mixes values into one key; two pairs collide by chance alone (2^-64). */
static inline uint64_t sim_watch_mix(uint64_t x, uint64_t y)
{
    return sim_mix(sim_mix(x + 0x9e3779b97f4a7c15u) + y);
}

enum { SIM_WATCH_VOTERS = 64 };

/* What one owner in one epoch may use of a key's numbers: of the direction that it sends, or of the
 * one that it receives. */
struct sim_watch_grant {
    uint64_t epoch, boot;
    uint32_t node;
    uint64_t first, end;     /* sending: [first, end) */
    uint64_t floor, ceiling; /* receiving: (floor, ceiling], the highest ceiling told */
    uint64_t top;            /* receiving: highest number delivered under it */
    bool exact;              /* it went on from a handover's window */
};

/* One direction of a CHILD SA. */
struct sim_watch_esp {
    uint64_t key;
    uint32_t spi_in;     /* at the gateway */
    bool inbound, esn;   /* ... seen from there */
    bool committed;      /* the gateway's log knows it */
    uint64_t made_index; /* log index of the first record with it */
    uint64_t gone_index; /* ... of the one that took it away; 0 = it is there */
    uint64_t hard_ms;    /* cluster time; UINT64_MAX = none */
    uint64_t committed_end, committed_ceiling; /* highest ever, by accepted Extends and claims */
    struct sim_watch_grant *grants;            /* by epoch */
    size_t n_grants, grants_capacity;
};

/* An IKE SA as the log has it now; the client's ends are kept likewise. */
struct sim_watch_sa {
    uint64_t id, remote_spi;
    uint32_t owner_of; /* client number + 1; 0 = the gateway's */
    uint64_t gone_index, made_index;
    bool alive;
    struct ike_sa *state; /* as of its newest record; NULL when it is gone */
    uint32_t lost_child; /* the CHILD SA whose rekeys collided last, when the other end won; or 0 */
    uint32_t awaits;     /* the CHILD SA that the peer rekeyed last and whose Delete is awaited, */
    uint64_t awaits_soft_ms; /* ... and when its soft limit comes */
};

struct sim_watch_node {
    uint64_t era; /* of which incarnation: so many were before it */
    bool running, gone, lost;
    uint64_t needs; /* lost: to count again */
    uint64_t had;   /* ... how far its log went: so far its copies may have counted before */
    uint64_t began_ms;
    uint64_t began_behind; /* the highest index that was applied anywhere when it started */
    bool disregarded;    /* lost: what it had acknowledged before counts for no leader any more, */
    uint64_t counted_to; /* ... but for what was committed by then, up to there */
    uint64_t boot, applied, cluster_ms;
    uint64_t unfit_until_ms; /* it may find out only then that its disk has room again */
    uint64_t
        since; /* it told of all records from there on: its snapshot's place; 0 = from the first */
    uint64_t at_index, ordinal; /* of the next record in an entry */
    uint64_t durable;
    bool restoring;
    /* its worker's present turn: what was so when it began, and its packets since it lost its right */
    uint64_t turn_applied, turn_cluster_ms, late_begun, late_done;
    bool turn_former;
    bool forged, submitted; /* what is handled is nobody's; something was submitted meanwhile */
    uint64_t known_boot;    /* its start that the log names: whose requests count */
    uint64_t digest_index;
    uint64_t digest;
    struct sim_watch_view { /* a shard as applied here */
        uint32_t shard;
        uint64_t epoch, boot;
        uint32_t owner;
        bool mine;
        uint64_t turn_epoch; /* its worker's turn began with the right of that one; 0 = without */
    } shards[REPL_MAX_SHARDS];
    size_t n_shards;
};

/* A node as the log has it. */
struct sim_watch_member {
    bool member, left;
    uint64_t left_index;
    uint64_t copied; /* a copy was sent before its join was told, by one that had applied so much */
    uint64_t token, expires_ms; /* hash of the newest token that was not used; 0 = none */
};

/* A snapshot is told of, up to `to`, and behind `from` nobody was told of the records yet: who made it has
 * a conductor that is behind its replica. Who is a member is not known until they are told. */
struct sim_watch_gap {
    bool open;
    uint64_t from, to;
};

/* Who votes, a bit for each node, from a place of the log on. */
struct sim_watch_voters {
    uint64_t index;
    uint32_t nodes;
    bool committed;
};

struct sim_watch_shard { /* the cluster's */
    uint32_t shard;
    uint64_t spoke_epoch;  /* newest epoch that emitted */
    uint64_t newest_epoch; /* and who has it */
    uint32_t owner;
    uint64_t boot;
    uint64_t first_ms; /* the newest epoch's owner acts, since the healing began; 0 = not yet */
    /* its owner of that epoch died then (0 = none is looked at); who followed acts, and sends, since */
    uint64_t died_epoch, died_ms, acts_ms, sends_ms;
    uint64_t given_epoch; /* its owner of that epoch was told to give it, and why explains it */
};

/* An operator's, accepted at that index. */
struct sim_watch_wish {
    uint64_t index;
    uint32_t shard, node; /* shard 0: a Drain of that node; else a Move there */
    bool drained;
};

struct sim_watch {
    struct sim_watch_options options;
    struct sim_watch_violation kept[SIM_WATCH_KEPT];
    uint64_t violations;
    uint64_t judged[SIM_WATCH_RULES], broken[SIM_WATCH_RULES];
    uint64_t reached[SIM_WATCH_CASES];
    struct sim_watch_node nodes[SIM_WATCH_NODES + 1];
    struct sim_watch_shard shards[REPL_MAX_SHARDS];
    size_t n_shards;
    struct sim_watch_member members[SIM_WATCH_NODES + 1];
    struct sim_watch_gap gap;
    size_t n_left;                                    /* of members */
    struct sim_watch_voters voters[SIM_WATCH_VOTERS]; /* by index; the newest ones */
    size_t n_voters;
    /* numbers used and delivered: (key, number / 64) -> 64 bits */
    struct sim_watch_map sealed, delivered;
    struct sim_watch_map esps; /* key -> esp[a] */
    struct sim_watch_esp **esp;
    size_t n_esp, esp_capacity;
    struct sim_watch_map by_spi; /* spi_in -> a: SA id that has it, 0 = free; b: index of its end */
    struct sim_watch_map sas;    /* IKE SA by (owner, local SPI) -> sa[a] */
    struct sim_watch_sa **sa;
    size_t n_sa, sa_capacity;
    struct sim_watch_map addresses; /* virtual address -> a: SA id, 0 = free */
    struct sim_watch_map records;   /* (index, ordinal) -> a: hash, b: time */
    struct sim_watch_map requests;  /* (node, boot, request) -> a: place */
    struct sim_watch_map digests;   /* index -> a: digest, b: node */
    struct sim_watch_map epochs;    /* (shard, epoch) -> a: node, b: boot */
    struct sim_watch_map boots;     /* boot -> a: node */
    struct sim_watch_map messages;  /* bytes' hash -> a: index of the record that holds it */
    struct sim_watch_map copies;    /* (SPIs, flags, message ID) -> a: bytes' hash */
    struct sim_watch_map ivs;       /* (SPIs, sender, IV) -> a: bytes' hash */
    struct sim_watch_map
        winners; /* SA that both rekeyed -> a: 1 the client's exchange, 2 the other */
    struct sim_watch_map stored; /* (place, term) of a log's entry -> a: hash, b: term before it */
    struct sim_watch_map known;  /* boots that the log ever named */
    struct sim_watch_wish *wishes;
    size_t n_wishes, wishes_capacity;
    uint64_t event_ms;   /* that end's own time (a client's, the cluster's) of what is told now */
    uint64_t gaps;       /* that there were */
    uint64_t lost_place; /* where the newest key of sessions ended that was lost: all SAs did */
    bool unseen;         /* ... and not all in front of it was told */
    uint64_t highest, acknowledged; /* index applied anywhere; of a record that was answered for */
    uint64_t incarnations[SIM_WATCH_ERAS], era; /* in the order in which they began; the newest */
    uint64_t elections;                         /* since owner_ms after the healing began */
    bool healing;
    uint64_t healing_ms;
    uint64_t calm_ms;  /* behind it no shard moves, no lease lapses; 0 = they may */
    uint32_t flapping; /* whose shards and leases may, all the same; 0 = nobody's */
    struct sim_watch_healing limits;
    uint32_t heal_shards[REPL_MAX_SHARDS];
    struct sim_watch_wrap *wraps[SIM_WATCH_NODES + 1];
    struct ike_sa decoded; /* scratch */
};

/* One violation: `format` says nodes and numbers. */
void sim_watch_break(struct sim_watch *w, enum sim_watch_rule rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The rule judges: counts, and breaks when it does not hold. */
#define SIM_WATCH_JUDGE(w, rule, holds, ...)                                                       \
    do {                                                                                           \
        (w)->judged[rule]++;                                                                       \
        if (!(holds))                                                                              \
            sim_watch_break(w, rule, __VA_ARGS__);                                                 \
    } while (0)

/* The same of what only one situation can break: counted where the premise holds, so that a rule whose
 * situation never comes has judged nothing. Without it nothing is evaluated. */
#define SIM_WATCH_JUDGE_IF(w, rule, premise, holds, ...)                                           \
    do {                                                                                           \
        if (premise)                                                                               \
            SIM_WATCH_JUDGE(w, rule, holds, __VA_ARGS__);                                          \
    } while (0)

/* NULL: no such node (a violation of `room`). */
struct sim_watch_node *sim_watch_node(struct sim_watch *w, uint32_t node);
struct sim_watch_view *sim_watch_view(struct sim_watch *w, uint32_t node, uint32_t shard);
struct sim_watch_shard *sim_watch_shard_of(struct sim_watch *w, uint32_t shard);
static inline uint64_t sim_watch_now(const struct sim_watch *w)
{
    return *w->options.now_ms;
}
/* Entry of a map that has room; NULL: `room` is broken. */
struct sim_watch_entry *sim_watch_at(struct sim_watch *w, struct sim_watch_map *m, uint64_t key,
                                     bool *made);

/* sim_watch_era.c */
uint64_t sim_watch_epoch(const struct sim_watch *w, struct repl_epoch epoch); /* its place */
bool sim_watch_is_over(const struct sim_watch *w, uint64_t place);
bool sim_watch_is_former(const struct sim_watch *w,
                         uint32_t node); /* of an incarnation that is over */
void sim_watch_judge_former(struct sim_watch *w, uint32_t node, const char *does);

/* sim_watch_members.c */
void sim_watch_founded(struct sim_watch *w);
/* An accepted record of the log, at its first telling. */
void sim_watch_member_record(struct sim_watch *w, const struct repl_event *event);
void sim_watch_member_assigned(struct sim_watch *w, const struct repl_event *event);
/* The log says that it joined there; UINT64_MAX: it never did. */
void sim_watch_judge_copied(struct sim_watch *w, uint32_t node, uint64_t joined);
void sim_watch_judge_stored(struct sim_watch *w, uint64_t index);
void sim_watch_gap_opens(struct sim_watch *w, uint32_t node, uint64_t snapshot);
void sim_watch_gap_told(struct sim_watch *w, uint32_t node, uint64_t index);
bool sim_watch_is_member(const struct sim_watch *w, size_t node); /* as far as is known */

/* sim_watch_esp.c: by key; made when there is none. */
struct sim_watch_esp *sim_watch_esp_of(struct sim_watch *w, uint64_t key);
struct sim_watch_esp *sim_watch_esp_find(struct sim_watch *w, uint64_t key); /* or NULL */
void sim_watch_granted(struct sim_watch *w, uint32_t node, uint64_t key_in, uint64_t key_out,
                       uint64_t epoch, const struct repl_grant *grant, struct span window);
void sim_watch_limits(struct sim_watch *w, uint32_t node, uint32_t shard, uint64_t key_in,
                      uint64_t key_out, uint64_t end, uint64_t ceiling);
void sim_watch_installed(struct sim_watch *w, uint32_t node, const struct ike_child *child);
/* The newest epoch of the shard emits (ESP or IKE), by the view of `node`; or only acts. */
void sim_watch_spoke(struct sim_watch *w, uint32_t node, uint32_t shard, uint64_t epoch);
void sim_watch_acted(struct sim_watch *w, uint32_t node, uint32_t shard, uint64_t epoch);

/* sim_watch_takeover.c: the owner of that epoch acts, or even sends. */
void sim_watch_followed(struct sim_watch *w, struct sim_watch_shard *s, uint64_t epoch, bool sends);

/* sim_watch_moves.c: the shard's owner is told to give it; it has another epoch, which no node was told of
 * before; its conductor hears of its lease. */
void sim_watch_gift(struct sim_watch *w, uint32_t node, const struct repl_event *event);
void sim_watch_moves(struct sim_watch *w, const struct sim_watch_shard *s,
                     const struct repl_event *event);
void sim_watch_lapses(struct sim_watch *w, uint32_t node, const struct sim_watch_shard *s,
                      const struct repl_event *event);

/* sim_watch_hand.c: the node's control loop may act for the shard, by its lease, in the epoch that it has
 * applied. */
bool sim_watch_may_act(struct sim_watch *w, uint32_t node, uint32_t shard);
/* A packet is handled under that right, which is returned with its epoch as a place. */
struct sim_watch_right sim_watch_begins(struct sim_watch *w, uint32_t node,
                                        const struct sim_watch_right *with, const char *does);

/* sim_watch_ike.c */
void sim_watch_ike_sent(struct sim_watch *w, uint32_t node, uint32_t shard, struct span message);

/* sim_watch_sa.c: an accepted record is applied for the first time, at `index`. */
void sim_watch_apply(struct sim_watch *w, const struct repl_event *event);
/* All that the gateway has end there. */
void sim_watch_sessions_end(struct sim_watch *w, uint64_t place);
/* A node has the SA out of a snapshot of that index. */
void sim_watch_restored(struct sim_watch *w, uint32_t node, uint64_t index, struct span state);
struct sim_watch_sa *sim_watch_sa_of(struct sim_watch *w, uint32_t owner_of, uint64_t id);

/* sim_watch_wrap.c: the node has all of a snapshot: nothing that is gone is installed any more. */
void sim_watch_judge_installed(struct sim_watch *w, uint32_t node);

/* sim_watch_cases.c: the other end of the same IKE SA; NULL: not known. */
const struct sim_watch_sa *sim_watch_other_end(struct sim_watch *w, const struct sim_watch_sa *sa,
                                               uint64_t remote_spi);
/* One end's state moved on. before == NULL: it is new; after == NULL: gone. */
void sim_watch_case_step(struct sim_watch *w, struct sim_watch_sa *sa, const struct ike_sa *before,
                         const struct ike_sa *after);
/* The shard has another owner, not by handover. */
void sim_watch_case_takeover(struct sim_watch *w, uint32_t shard);

#endif
