/* A whole simulated cluster, shared by the simulator's own files; nobody else includes it.
 *
 *   clients ──outside network──> nodes ──inside──> server     sim_outside.c, sim_traffic.c
 *     |                            |
 *   sim_client.c                 sim_node.c: conductor, data path, worker, strays (node/daemon/gateway.h)
 *   conductor, worker,             |         replica_core over sim_storage
 *   a log that commits at once   sim_transport between the nodes
 *
 * One loop (sim_world.c), one clock in ms for all; each node's own CLOCK_BOOTTIME drifts against it.
 * Everything is drawn from the seed: first the plan, then the faults, each from a stream of its own.
 */
#ifndef HF_SIM_WORLD_H
#define HF_SIM_WORLD_H

#include "conductor/core.h"
#include "crypto/tables.h"
#include "daemon/datapath.h"
#include "daemon/gateway.h"
#include "instant_log/instant_log.h"
#include "replication/replica_core.h"
#include "sim/sim_check.h"
#include "sim/sim_kernel.h"
#include "sim/sim_random.h"
#include "sim/sim_stats.h"
#include "sim/sim_storage.h"
#include "sim/sim_transport.h"
#include "sim/sim_watch.h"

enum {
    SIM_NODES = 5,                  /* at the beginning */
    SIM_MACHINES = SIM_WATCH_NODES, /* ever: ids are not used again */
    SIM_SHARDS = 3,
    SIM_ERASED_KEYS = 64,
    SIM_USED_KEYS = 64,
    SIM_HELD = 16, /* addresses of a client: more SAs than it ever has at once */
    SIM_CLIENTS = 5,
    SIM_TICK_MS = 25, /* a node stamps its health so often; the daemon's 10 would change nothing */
    SIM_NEVER_MS = 1 << 30,  /* longer than any run */
    SIM_SERVER = 0x0a4d0235, /* 10.77.2.53, behind the gateway */
    SIM_WALL_S = 1764000000
};

struct sim_world;

/* What the seed decides before anything happens. */
struct sim_plan {
    uint32_t n_nodes, n_shards, n_clients;    /* nodes: founders */
    uint64_t run_ms, faults_from_ms, heal_ms; /* faults in between */
    uint32_t fault_every_ms;                  /* on average; 0 = none */
    bool bad_paths;                           /* loss, duplication, reordering outside */
    uint32_t command_every_ms;                /* rekeys, deletes, DPD, moves */
    uint32_t packet_every_ms;                 /* per client and direction */
    uint64_t snapshot_entries;
    int32_t drift_ppm[SIM_NODES];
    bool rebalance, esn, sealed;
    bool members; /* nodes come and go */
    enum conductor_recovery recovery;
};

/* sim_meetings.c: what it draws, and what comes next; UINT64_MAX = nothing. */
struct sim_meetings {
    struct sim_random random;
    uint32_t every_ms; /* on average; 0 = not in this seed */
    bool groups;       /* three groups, and each client has an order of its own */
    bool short_life;   /* of CHILD SAs: seconds */
    bool impatient;    /* the gateway gives up after two tries */
    uint32_t overlap_ms;
    uint64_t next_ms, second_ms;
    uint32_t second_client;
};

/* sim_stops.c: when the next worker is to be stopped with packets in hand; UINT64_MAX = never. */
struct sim_stops {
    struct sim_random random;
    uint32_t every_ms;
    uint64_t next_ms;
};

struct sim_job {
    struct sim_job *next;
    void *job; /* replica_job or conductor_work */
    uint64_t due_ms;
};

struct sim_event {
    struct sim_event *next;
    struct repl_event *event;
    bool told; /* the watch */
};

/* A gateway node: its machine, and its process when it is up. */
struct sim_node {
    struct sim_world *world;
    uint32_t id;
    /* the machine */
    struct sim_storage *storage;
    uint64_t anchor_ms, anchor_ns; /* its CLOCK_BOOTTIME was anchor_ns at anchor_ms */
    int32_t ppm;
    int64_t wall_s; /* how far its wall clock is off */
    bool outside_up, inside_up;
    bool lost;      /* it never comes back, nor does anything that it had */
    bool was_alone; /* it was the only voter once */
    bool second;    /* it founded anew, while the cluster that it founded first goes on */
    bool
        refused; /* the process: it did not start, for its disk lost data and nobody else is known */
    bool
        for_a_key; /* the process: it ends for a key that it has or has not; cf. sim_keys_may_end() */
    unsigned ends_in_healing; /* ... so often since the healing's begin */
    bool gone;                /* the machine: it does not stand there yet, or was taken away */
    bool left;                /* the operator has removed it */
    bool lied; /* its disk: it lost what it had stored, and the node does not count again yet */
    uint64_t lied_term; /* no leader had a later one when it started so */
    uint64_t
        heard_muted[SIM_WATCH_NODES + 1]; /* starts that said to it, as it led: I do not count */
    bool disk_hung, disk_slow, disk_full;
    bool sees_it_full;      /* what is free, before something did not fit */
    uint64_t no_room_ms;    /* its disk is full then for the log as well; 0 = never */
    uint64_t down_until_ms; /* when it is not up */
    /* the process */
    bool up, paused, failed, stuck /* control loop */, hung /* worker */;
    uint64_t paused_until_ms, stuck_until_ms, hung_until_ms, disk_until_ms, link_until_ms;
    uint64_t drained_until_ms;
    uint64_t in_hand_until_ms; /* its worker is cut: when it goes on */
    uint64_t boot, who_again_ms;
    struct seal_key kept_key;                     /* on its disk; id 0 = none yet */
    struct seal_ring ring;                        /* of this start; plan.sealed */
    struct seal_key session_keys[SEAL_RING_KEYS]; /* kept over the end of its process */
    uint64_t heard_ms;                            /* something was applied last, or it started */
    uint64_t stateless_ms; /* when it was seen last without a state that it could give */
    uint64_t named_key;    /* of sessions, by its state, before what it does now */
    uint64_t
        key_back_ms; /* it was given a key that was in use before, and that it had not; 0 = never */
    uint64_t former_key,
        former_index; /* the log's, and how far it was, when it was looked at last */
    struct repl_loaded loaded;
    /* Whom its file names when it is not a founder; whom it is to be connected with, as it says. */
    struct repl_node_address asks[REPL_MAX_NODES];
    size_t n_asks;
    struct repl_node_address peers[REPL_MAX_NODES];
    size_t n_peers;
    bool peers_changed;
    struct repl_configuration told; /* the newest one of its log that the watch knows of ... */
    uint64_t told_committed;        /* ... and the newest committed one: its index */
    struct repl_transport_listener listener;
    struct replica *replica;
    struct repl_lease leases[SIM_SHARDS];
    struct repl_health health;
    struct replica_clock clock;
    _Atomic uint64_t given_ms;
    struct sim_job *raft_jobs, *engine_jobs;
    struct sim_event *first_event, **last_event;
    size_t n_events;
    struct sim_kernel kernel;
    struct worker_pool *pool;
    struct datapath *datapath;
    struct conductor *conductor;
    struct sim_watch_wrap *wrap;
    struct gateway gateway;
    struct sim_queue port_500;
    uint64_t control_ms, worker_ms, replica_ms, tick_ms;
    uint64_t timer_ms;                                       /* gateway_timer() is due */
    uint64_t takeovers, handovers, rekeys_child, rekeys_ike; /* counters as added up already */
};

/* A client: the engine as initiator, and its own ESP. Its machine never fails; its program may. */
struct sim_client {
    struct sim_world *world;
    uint32_t index, shard;
    struct ike_policy policy;
    struct ike_psk_entry psk;
    struct instant_log log;
    struct sim_submission *submitted, **submitted_tail;
    struct repl_lease lease;
    struct sim_kernel kernel;
    struct worker_pool *pool;
    struct datapath *datapath;
    struct conductor *conductor;
    uint64_t request, boot;
    uint64_t timer_ms, look_ms, dial_ms, packet_ms, server_packet_ms;
    bool running; /* its program */
    uint64_t down_until_ms;
    /* the path: as the gateway sees it */
    bool natted;
    uint16_t nat_ports[2]; /* for its ports 500 and 4500 */
    uint32_t delay_ms, jitter_ms;
    unsigned loss, duplicate, reorder; /* of 1000, at present */
    uint64_t path_until_ms;
    int muted; /* SIM_TO_NODE, SIM_TO_CLIENT: nothing passes in that direction */
    uint64_t mute_from_ms, mute_until_ms;
    int late_kind,
        late_after; /* after so many IKE messages in that direction one is late; -1: none */
    uint64_t late_ms;
    /* what it is at present: sim_client_look() */
    bool established;
    uint64_t ike_spi, peer_spi;
    uint32_t child_spi, peer_child_spi, n_children, n_sas, n_living;
    uint16_t ike_group; /* of its KE */
    bool changed;
    struct ip_addr inner; /* its virtual address; kept while it has none */
    bool had_inner;
    struct ip_addr
        held[SIM_HELD]; /* of all its SAs, those that end among them: packets still come by them */
    size_t n_held;
    /* traffic */
    struct sim_numbers up, down;       /* sent by it, by the server */
    uint64_t last_up_ms, last_down_ms; /* newest that arrived */
    /* exchanges that wait for an answer: of this end, and of the gateway's; enum ike_exchange */
    uint8_t open_client, open_gateway;
};

/* A datagram or an inner packet on its way. */
struct sim_flight {
    uint64_t due_ms, order;
    enum { SIM_TO_NODE, SIM_TO_CLIENT, SIM_TO_TUN } kind;
    uint32_t target; /* shard, or client */
    struct endpoint from, to;
    size_t len;
    uint8_t *bytes;
};

struct sim_outside {
    struct sim_random random;
    struct sim_flight *heap;
    size_t n, capacity;
    uint64_t order;
    /* Whom neighbours send a shard's packets to; from `from_ms` on that is `next`. */
    struct sim_route {
        uint32_t node, next;
        uint64_t from_ms;
    } routes[SIM_SHARDS][2]; /* outside, inside */
    /* Packets that passed, for who sends them again. */
    struct sim_flight seen[64];
    size_t n_seen;
    struct sim_random forger;
    uint64_t forged[256]; /* the newest messages that are nobody's, hashed */
    size_t n_forged;
};

/* The operator's present change of members: one after the other. */
struct sim_change {
    enum {
        SIM_CHANGE_NONE,
        SIM_CHANGE_TOKEN,
        SIM_CHANGE_JOIN,
        SIM_CHANGE_LEAVE,
        SIM_CHANGE_OUT
    } phase;
    uint32_t node, goal; /* goal: so many members; reached: another one */
    uint64_t next_ms;    /* something is to be done, or begun */
    uint8_t token[32];   /* its hash */
};

/* sim_recover.c: a cluster that begins anew. */
struct sim_recovery {
    struct sim_random random;
    bool on;       /* in this seed */
    bool no_door;  /* the transport lets in who is of another incarnation */
    bool restores; /* next time from what was saved, if anything was */
    uint64_t incarnation, n_begun;
    uint64_t next_ms;  /* the strike, or what follows it */
    uint32_t survivor; /* who is to begin anew at recover_ms; 0 = all is well */
    bool restoring;
    uint64_t recover_ms, former_keys[2]; /* of its sessions */
    /* what was saved last, with the key beside it, and whose ids are in it */
    uint64_t save_ms, backup_incarnation;
    uint8_t *backup;
    size_t backup_len, n_kept;
    struct seal_key backup_key;
    uint32_t kept[REPL_MAX_NODES];
};

struct sim_world {
    uint64_t seed, now_ms;
    bool first;                /* it ends at the first violation */
    bool verbose, other_walls; /* wall clocks are years off, and jump the other way */
    struct sim_plan plan;
    struct sim_random random; /* everything but what has a stream of its own */
    struct sim_random faults; /* likewise */
    struct sim_random members;
    struct sim_meetings meetings;
    struct sim_stops stops;
    struct sim_flap {
        struct sim_random random;
        uint32_t node; /* 0 = none */
        bool is_cut;
        uint64_t next_ms, until_ms; /* next: 0 = never */
    } flap;
    struct sim_network *network;
    struct sim_node nodes[SIM_MACHINES];
    uint32_t n_nodes; /* so far */
    struct sim_change change;
    struct sim_recovery recovery;
    struct sim_client clients[SIM_CLIENTS];
    struct sim_outside outside;
    struct ike_policy policy; /* the gateway's */
    struct ike_psk_entry psks[SIM_CLIENTS];
    uint32_t shard_ids[SIM_SHARDS];
    struct log log;
    uint64_t erased_keys[SIM_ERASED_KEYS]; /* of sessions */
    size_t n_erased_keys;
    uint64_t used_keys[SIM_USED_KEYS]; /* of sessions, that a state ever named: the newest ones */
    size_t n_used_keys;
    struct sim_check check;
    struct sim_watch *watch;
    uint64_t watch_told; /* of its violations */
    struct sim_stats stats;
    uint64_t trace;
    uint64_t next_fault_ms, next_command_ms, next_check_ms;
    uint64_t partition_until_ms, transfer_until_ms;
    uint32_t n_lost;
    bool healed;
    uint64_t healed_ms;
    bool routes_known; /* neighbours believe who announces himself last */
};

/* --- sim_world.c --- */
void sim_say(const struct sim_world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_violation(struct sim_world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_fold(struct sim_world *w, uint64_t value);   /* into the trace */
void sim_until(struct sim_world *w, uint64_t end_ms); /* the loop, that far */
/* Everybody has applied the same, and every conductor has heard of it. */
bool sim_agreed(const struct sim_world *w);
struct sim_options;
void sim_plan_draw(struct sim_world *w, const struct sim_options *options);

/* --- sim_node.c, sim_node_ops.c --- */
void sim_node_init(struct sim_world *w, uint32_t id);
void sim_node_deinit(struct sim_node *n);
void sim_node_start(struct sim_node *n);
/* Power loss, or a process that dies: what its disk had not stored may be lost. */
void sim_node_kill(struct sim_node *n);
uint64_t sim_node_ns(const struct sim_node *n); /* its CLOCK_BOOTTIME now */
uint64_t sim_node_due(const struct sim_node *n);
void sim_node_run(struct sim_node *n);
void sim_node_datagram(struct sim_node *n, uint32_t shard, const struct endpoint *from,
                       const struct endpoint *to, struct span bytes);
void sim_node_inner(struct sim_node *n, struct span inner);
void sim_node_set_clock(struct sim_node *n, uint64_t ns, int32_t ppm);
/* As the judge asks for it (sim_watch_options). */
struct sim_watch_right sim_node_right(void *world, uint32_t node, uint32_t shard);
bool sim_node_acting(const struct sim_node *n, uint32_t shard);
bool sim_node_leads(const struct sim_node *n);
void sim_node_wake(struct sim_node *n);         /* its control loop has something to do */
void sim_node_stored(const struct sim_node *n); /* what is on its disk, to the judge */
void sim_node_add_counters(struct sim_node *n);

/* sim_node_ops.c */
void sim_node_replica(struct sim_node *n); /* makes and starts it */
void sim_node_gateway(struct sim_node *n); /* the rest of the process */
void sim_node_drop_jobs(struct sim_node *n);
void sim_node_stamp(struct sim_node *n);                  /* its health */
size_t sim_node_most_half_open(const struct sim_node *n); /* of one source */

/* --- sim_flap.c --- */
void sim_flap_begin(struct sim_world *w);
uint64_t sim_flap_due(const struct sim_world *w);
void sim_flap_run(struct sim_world *w);

/* --- sim_takeover.c: when all has healed, an owner is killed; where nobody may be missed, nobody --- */
void sim_takeover(struct sim_world *w);

/* --- sim_members.c: nodes that come and go --- */
void sim_members_run(struct sim_world *w);
uint64_t sim_members_due(const struct sim_world *w);
/* May that disk be lost for good, so that a majority of the voters is left? */
bool sim_members_may_lose(struct sim_world *w, uint32_t id);
bool sim_members_has(const struct sim_world *w, uint32_t id); /* is it one, and is to stay? */
void sim_members_frame(struct sim_node *n, const struct repl_event *event); /* ADMIN */
void sim_members_look(struct sim_node *n); /* whose votes count, and whom it is connected with */

/* --- sim_hints.c: where the members are --- */
void sim_hints_ask(struct sim_node *n); /* as often as its time passes */
bool sim_hints_frame(struct sim_node *n, uint32_t from, struct span in); /* true: it was one */

/* --- sim_lies.c: disks that lose what they had stored --- */
bool sim_lies_any(const struct sim_world *w);
/* Its process is down: the end of its log, or more of it and the vote, or all under the old id. False:
 * there was nothing to lose. */
bool sim_lies_begin(struct sim_node *n, enum sim_fault *fault);
void sim_lies_look(struct sim_node *n); /* does it count again, as it says? */

/* --- sim_votes.c: its network, with the judge told who votes, campaigns, leads and is trusted --- */
struct repl_transport sim_votes_transport(struct sim_node *n);
void sim_votes_start(struct sim_node *n);
/* Before the node is given it. */
void sim_votes_arrive(struct sim_node *n, uint32_t from, enum repl_channel channel,
                      struct span bytes);

/* --- sim_found.c --- */
void sim_found_again(
    struct sim_node *n); /* `--init` of the only founder, on another disk; it is down */
bool sim_found_may(
    struct sim_node *n); /* start? Later, when it meets nobody; never, when it ended */
/* One of several founders starts minutes after the others, in some seeds: the cluster waits for it. */
void sim_found_late(struct sim_world *w);
bool sim_found_waits(const struct sim_node *n); /* its cluster has not begun, as its disk says */
/* The founder of a cluster that grew loses its disk now and then: few seeds have one. */
void sim_found_tempt(struct sim_world *w);
/* --- sim_recover.c: recover and restore --- */
void sim_recovery_draw(struct sim_world *w, bool quiet);
void sim_recovery_run(struct sim_world *w);
uint64_t sim_recovery_due(const struct sim_world *w);
bool sim_recovery_waits(
    const struct sim_world *w); /* a majority is lost: nobody can change members */
uint64_t sim_recovery_says(const struct sim_node *n); /* of which incarnation it is, in its hello */
void sim_recovery_recorded(struct sim_node *n);       /* asks its state, for the watch */
void sim_recovery_deinit(struct sim_world *w);

/* --- sim_keys.c --- */
void sim_keys_draw(struct sim_node *n, struct sim_random *random); /* another configuration's key */
void sim_keys_found(struct sim_world *w); /* node 1 has the configuration's key */
void sim_keys_take(struct sim_node *n, struct replica_options *o);
bool sim_keys_keep(void *node, const uint8_t bytes[SEAL_KEY_BYTES]);
void sim_keys_changed(void *node);
void sim_keys_power_lost(struct sim_node *n); /* it is down: its machine boots anew */
void sim_keys_lost(struct sim_node *n);       /* it applies that they are, with all sessions */
uint64_t sim_keys_age_ms(const struct sim_world *w); /* each seed's own; draws nothing */
void sim_keys_look(struct sim_world *w);             /* which keys the log has erased */
void sim_keys_erased(struct sim_world *w, uint64_t id);
/* Of those none is left in a ring, nor where a node keeps its keys. When not, and `judge`: violations. */
bool sim_keys_gone(struct sim_world *w, bool judge);
/* May its process end, and start anew, with these words: are they so, as the world has it? Not once all is well. */
bool sim_keys_may_end(struct sim_node *n, const char *why);
void sim_keys_tick(struct sim_node *n); /* looks whether it has a state that it could give */

/* --- sim_client.c --- */
void sim_client_init(struct sim_world *w, uint32_t index);
void sim_client_deinit(struct sim_client *c);
void sim_client_start(struct sim_client *c);
void sim_client_stop(struct sim_client *c);
uint64_t sim_client_now_ms(const struct sim_client *c); /* the time of its SAs */
uint64_t sim_client_due(const struct sim_client *c);
void sim_client_run(struct sim_client *c);
void sim_client_datagram(struct sim_client *c, const struct endpoint *from,
                         const struct endpoint *to, struct span bytes);
void sim_client_send_inner(struct sim_client *c, struct span inner);
bool sim_client_want(struct sim_client *c, uint32_t want);

/* --- sim_outside.c --- */
void sim_outside_init(struct sim_world *w);
void sim_outside_deinit(struct sim_world *w);
struct ip_addr sim_service_address(uint32_t shard);
void sim_outside_from_client(struct sim_client *c, const struct endpoint *from,
                             const struct endpoint *to, struct span bytes);
void sim_outside_from_node(struct sim_node *n, const struct endpoint *from,
                           const struct endpoint *to, struct span bytes);
void sim_outside_announce(struct sim_node *n, uint32_t shard);
void sim_outside_nat(struct sim_client *c); /* its mapping is another from now on */
/* Somebody sends a packet that passed, or one that is made up. */
void sim_outside_replay(struct sim_world *w);
void sim_outside_forge(struct sim_world *w);
void sim_outside_flood(struct sim_world *w, struct sim_random *r, uint64_t n);
bool sim_outside_is_forged(const struct sim_world *w, struct span message);
/* The world whose gateway the engine's steps are judged of (sim_forged.c). */
void sim_forged_in(struct sim_world *w);
uint64_t sim_outside_due(const struct sim_world *w);
bool sim_outside_run(struct sim_world *w); /* one that is due; false: none is */
/* The server's packet towards a client. */
void sim_outside_to_pool(struct sim_world *w, uint32_t shard, struct span inner);

/* --- sim_traffic.c --- */
void sim_traffic_from_client(struct sim_client *c);
void sim_traffic_from_server(struct sim_client *c);
void sim_traffic_at_server(struct sim_node *n, struct span inner);
void sim_traffic_at_client(struct sim_client *c, struct span inner);

/* --- sim_exchanges.c: what both ends do, as their submissions say --- */
struct conductor_op;
void sim_exchange_applied(struct sim_world *w, struct sim_client *c, bool gateway,
                          const struct conductor_op *op);
void sim_exchange_said(const struct sim_world *w, const char *who, uint32_t which,
                       struct span message);
struct sim_client *sim_client_at(struct sim_world *w, const struct endpoint *public_end);

/* --- sim_faults.c --- */
void sim_faults_run(struct sim_world *w);
uint64_t sim_faults_due(const struct sim_world *w);
void sim_faults_heal(struct sim_world *w);
/* Its process ends, and starts again after so long; 0, 0: when down_until_ms is set. */
void sim_faults_down(struct sim_node *n, uint64_t low_ms, uint64_t high_ms);
/* Some node whose process runs; NULL: the one that was drawn does not. */
struct sim_node *sim_some_node(struct sim_world *w);
struct sim_client *sim_some_client(struct sim_world *w);

/* --- sim_commands.c --- */
void sim_commands_run(struct sim_world *w);
/* A command at the gateway for that client's IKE SA; child_spi: the gateway's, of the CHILD SA. */
void sim_gateway_want(const struct sim_client *c, uint32_t want, uint32_t child_spi);

/* --- sim_stops.c: workers that are stopped in the middle of a batch --- */
void sim_stops_draw(struct sim_world *w, bool quiet);
uint64_t sim_stops_due(const struct sim_world *w);
void sim_stops_run(struct sim_world *w);
void sim_stops_look(struct sim_node *n); /* after each turn of its worker */
uint64_t
sim_stops_until(const struct sim_node *n); /* its worker goes on; UINT64_MAX: it is not cut */
void sim_stops_heal(struct sim_world *w);

/* --- sim_meetings.c --- */
void sim_meetings_draw(struct sim_world *w, bool quiet);
void sim_meetings_gateway(struct sim_world *w); /* its policy */
void sim_meetings_client(struct sim_client *c); /* likewise, and its path */
void sim_meetings_run(struct sim_world *w);
uint64_t sim_meetings_due(const struct sim_world *w);
void sim_meetings_heal(struct sim_world *w);

#endif
