/* Up to five replicas in one program under virtual time, over the in-memory disk and network. After
 * every step it holds what must always hold: at most one node acts for a shard (I5), and no node's
 * events tell another story than its state. */
#ifndef HF_TEST_REPL_RIG_H
#define HF_TEST_REPL_RIG_H

#include "replication/fsm.h"
#include "replication/raft_driver.h"
#include "replication/replica_core.h"
#include "sim/sim_storage.h"
#include "sim/sim_transport.h"
#include "unit/repl/make.h"

enum { RIG_MAX_NODES = 10, RIG_SHARDS = 2, RIG_MAX_REQUESTS = 20000 };
enum { RIG_STALL_MS = 1000, RIG_HANG_MS = 5000, RIG_NEVER_MS = 1000000000 };

/* Work off the loop: run when it is due, then told. */
struct rig_job {
    struct rig_job *next;
    struct replica_job *job;
    uint64_t due_ms;
};

struct rig_node {
    struct rig_job *jobs; /* in the order of their start */
    uint64_t jobs_done;
    uint32_t id;
    bool joiner;                     /* starts with an empty disk, and asks node 1 */
    uint32_t asks[REPL_MAX_MEMBERS]; /* ... or, in a choosy rig, those that were up then */
    size_t n_asks;
    uint32_t speaks;       /* 0 = as the program */
    bool up, paused, sick; /* sick: its conductor does not stamp its health */
    bool hung;             /* no write of its disk comes back */
    uint64_t boot;
    struct sim_storage *storage;
    struct repl_transport_listener listener;
    struct replica *replica;
    struct repl_loaded loaded;                      /* what it was started with */
    struct repl_node_address peers[REPL_MAX_NODES]; /* the newest list that it told, on its disk */
    size_t n_peers;
    bool peers_changed;
    struct repl_lease leases[RIG_SHARDS];
    struct repl_health health;
    struct replica_clock clock;
    struct rig *rig;
    /* what its events said, in this boot */
    uint64_t settled_accepted, settled_refused, unsettled, resets, assigned_mine;
    uint64_t mine_epoch[RIG_SHARDS];
    bool cut;             /* a link of its is down */
    uint64_t gifts;       /* events that it should hand over */
    uint32_t gift_to;     /* the newest one's */
    uint64_t quiesced;    /* epoch index for which it stopped by itself, to hand over */
    uint64_t incarnation; /* that it said when an event came, 0 = none yet */
    uint64_t last_cluster_ms, applied_events, disk_told, halt_told, alarms, trust_told,
        founder_told, stuck_told, tie_told, unfilled_told, grown_told;
    char why[256]; /* it failed */
    uint32_t leader_seen;
    bool quorum;          /* as its newest event said */
    uint64_t quorum_told; /* such events */
    bool failed;
    struct map mirror;                      /* of the SAs, from its events alone */
    struct seal_ring ring;                  /* of this start; rig->sealed */
    struct seal_key kept;                   /* the configuration's key on its disk; id 0 = none */
    struct seal_key memory[SEAL_RING_KEYS]; /* sessions' keys, kept while the machine is on */
    uint64_t kept_until_ns;                 /* ... and beside them when they are too old */
    uint8_t verdict[RIG_MAX_REQUESTS]; /* of own requests: 0 none, 1 + verdict, 100 unsettled */
};

struct rig {
    uint64_t now_ms;
    struct sim_random random;
    struct sim_network *network;
    struct rig_node nodes[RIG_MAX_NODES];
    bool stays_on; /* rig_kill() ends the daemon, not the machine: keys in memory stay */
    bool sealed;   /* as in production; else nothing is (seal_none), which costs less */
    bool
        no_walls; /* who is of another incarnation is connected, and its Raft's frames are given to Raft
                      whoever has left */
    bool choosy; /* as in production: who knows each other by its list is connected; else all are */
    size_t n, n_shards;
    size_t founders; /* nodes 1 ... */
    uint32_t asked;  /* the member that joiners know */
    uint64_t snapshot_entries, trailing, takeover_ms;
    uint64_t key_age_ms;
    uint32_t lost_frames; /* of Raft's: 1 << enum raft_frame_type, those never arrive */
    bool mute;            /* no report of another node arrives, nor a heartbeat of ownership */
    bool unjoinable;      /* replica_options */
    uint64_t hang_ms;     /* the limit that they are started with */
    uint64_t steps, two_owners, unassigned; /* the last two: violations, counted by instant */
    uint64_t resets, unsettled;             /* events of all nodes, over all their starts */
    void (*hear)(void *self, struct rig_node *node, const struct repl_event *e); /* or NULL */
    void *hear_self;
};

/* rig_jobs.c: the replica's jobs, those that are due, those that a dead node leaves. */
void rig_job_add(void *node, struct replica_job *job);
void rig_jobs_run(struct rig_node *node);
void rig_jobs_drop(struct rig_node *node);

/* rig_ask.c: what its hello says; in a rig without walls Raft's frames are Raft's at once: false = not so. */
void rig_greet(struct rig_node *node);
bool rig_raft_alone(struct rig_node *node, uint32_t from, enum repl_channel channel,
                    struct span bytes);

/* ... counts what its log says. */
void rig_count_text(struct rig_node *node, const char *text);

/* rig_keys.c: a ring for this start with what is kept; as replica_callbacks.keep_key. */
void rig_take_keys(struct rig_node *n, struct replica_options *o);
bool rig_keep_key(void *node, const uint8_t bytes[SEAL_KEY_BYTES]);
void rig_keys_changed(void *node);

/* rig_recover.c: `cluster recover` on a node that is down. False: there is nothing to recover from. */
bool rig_recover(struct rig *rig, uint32_t node, uint64_t random);
/* `--init` of a lone founder that is down, whatever there was on its disk. */
void rig_found(struct rig *rig, uint32_t node, uint64_t random);

/* n founded nodes, not started yet. Shard 1 prefers node 1, shard 2 (when n_shards is 2) node 2. */
struct rig *rig_create(size_t n, size_t n_shards, uint64_t seed);
void rig_destroy(struct rig *rig);

/* Before the first start: everything is sealed, and node 1 has the configuration's key. */
void rig_seal(struct rig *rig);

void rig_start(struct rig *rig, uint32_t node);
/* One more machine, with an empty disk; not started. Its id. */
uint32_t rig_add(struct rig *rig);
/* Power loss of one machine. */
void rig_kill(struct rig *rig, uint32_t node);
/* From now on no write of its disk comes back, until it is mended or killed. */
void rig_hang_disk(struct rig *rig, uint32_t node);
void rig_mend_disk(struct rig *rig, uint32_t node);
bool rig_has_failed(const struct rig *rig, uint64_t node); /* its process would have ended */
/* SIGSTOP: takes nothing, does nothing; its frames wait. */
void rig_pause(struct rig *rig, uint32_t node);
void rig_resume(struct rig *rig, uint32_t node);

/* Runs until pred is true (true) or `ms` have passed (false). pred NULL: just runs. */
typedef bool (*rig_pred)(const struct rig *rig, uint64_t arg);
bool rig_run(struct rig *rig, uint64_t ms, rig_pred pred, uint64_t arg);

struct rig_node *rig_node(struct rig *rig, uint32_t node);
/* 0 = none, or none that has applied an entry of its term. */
uint32_t rig_leader(const struct rig *rig);
/* Who may act for the shard now; 0 = nobody. */
uint32_t rig_owner(const struct rig *rig, uint32_t shard);

/* Submits on that node (taking the record over); the request's number, 0 = busy. */
uint64_t rig_submit(struct rig *rig, uint32_t node, Holdfast__Record *record);
/* A maker for that node under the shard's present epoch as it knows it. */
struct maker rig_maker(struct rig *rig, uint32_t node, uint32_t shard);

/* Does every node's mirror, made from its events alone, equal its state? */
bool rig_mirrors(const struct rig *rig);

/* At each event: what a node says of its incarnation is what it said before. */
void rig_incarnation_stays(struct rig_node *n);

/* Predicates. */
bool rig_has_owner(const struct rig *rig, uint64_t shard);
bool rig_has_leader(const struct rig *rig, uint64_t unused);
bool rig_agrees(const struct rig *rig,
                uint64_t unused); /* all that are up: same index, same digest */
bool rig_settled(const struct rig *rig, uint64_t node); /* nothing outstanding there */

#endif
