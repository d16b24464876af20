/* Several conductors over one in-memory log under virtual time: the real engine, the real state
 * machine, no sockets, no threads.
 *
 *   client (initiator, its own log) <── packets ──> owner of three gateway nodes ── submissions ──>
 * one log (fsm) ──> events to all
 *
 * The world decides when a submission commits, which packets arrive, and which node dies at which
 * moment.
 */
#ifndef HF_TEST_CONDUCTOR_WORLD_H
#define HF_TEST_CONDUCTOR_WORLD_H

#include "conductor/core.h"
#include "crypto/tables.h"
#include "instant_log/instant_log.h"

enum {
    WORLD_NODES = 4,
    WORLD_CLIENT = 3,
    WORLD_PACKETS = 1024,
    WORLD_ESPS = 256,
    WORLD_HELD = 256,
    WORLD_SHARD = 1,
    WORLD_OTHER = 2, /* a second shard, of nobody until a test assigns it */
    WORLD_SHARDS = 2,
    WORLD_WALL_S = 1764000000 /* CERTS_NOW */
};

/* Where the owner dies: at its next submission that is no extension, or at the next packet it gets.
 */
enum world_kill {
    KILL_NONE,
    KILL_STEPPED,        /* before anything is submitted */
    KILL_SUBMITTED_LOST, /* submitted, never committed */
    KILL_SUBMITTED_KEPT, /* submitted, committed after its death */
    KILL_COMMITTED,      /* committed, nothing sent */
    KILL_SENT,           /* its bytes left */
    KILL_PEER            /* the peer's next message came in and was lost with it */
};

struct world_submission {
    uint8_t *bytes; /* packed record */
    size_t len;
    void *op;
    struct world_submission *next;
};

struct world_node {
    struct world *world;
    uint32_t id;
    uint64_t boot;
    bool alive, leased;
    unsigned
        lets_out; /* its lease ends when so many more of its messages have left; 0 = it goes on */
    bool deaf;    /* hears nothing of the log */
    uint64_t request;
    struct conductor *conductor;
    struct world_submission *pending, **pending_tail;
    struct instant_log *log;
    unsigned fail_installs; /* so many installs in the data path fail */
    uint64_t idle_in_ms;    /* what esp_idle says; UINT64_MAX = never */
    uint64_t steps;         /* submissions that were no extension */
    bool leased_other;      /* of WORLD_OTHER */
    /* what its data path was told to do with each shard, and whether its workers do not pass */
    enum conductor_esp_mode mode[WORLD_SHARDS];
    bool stuck;
    unsigned installed, senders; /* CHILD SAs; of them outbound */
    unsigned gaps;               /* times that one stopped sending and none sent */
    unsigned exported, resumed;
    /* what it was told of operators' wishes: how many, and of the newest one */
    unsigned wishes_settled;
    uint64_t wish;
    bool wish_judged;
    enum repl_verdict wish_verdict;
    void (*grant)(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant);
};

struct world_packet {
    bool to_client;
    bool natt;
    struct endpoint from, to;
    size_t len;
    uint8_t bytes[IKE_MAX_MESSAGE_BYTES];
    uint64_t exchange_key; /* IKE SPIs, flags and message ID folded, for the copy check */
};

struct world_esp {
    uint32_t spi_in, spi_out;
    unsigned node;
    bool outbound, installed, rekeying, unproven;
    uint64_t first, end, floor, ceiling;
    uint64_t packets_in, packets_out, untold, bytes_in, bytes_out;
    uint64_t end_in_ms; /* as told with the grant */
    uint32_t follows;   /* SPI of the one that it replaced, as told at its installation; 0 = none */
    uint64_t window;    /* stands for the exact window: what a handover must bring along */
};

struct world {
    uint64_t now;
    uint64_t random;
    struct instant_log gateway_log, client_log;
    struct world_node nodes[WORLD_NODES]; /* 0..2 gateway, 3 client */
    unsigned owner;
    struct world_packet packets[WORLD_PACKETS];
    size_t head, n_packets;
    struct ike_policy gateway_policy, client_policy;
    struct ike_psk_entry gateway_psk, client_psk;
    struct log log;
    uint32_t pool_size;
    enum world_kill kill;
    bool killed;
    unsigned
        skip_packets; /* KILL_PEER: so many packets of the client arrive before the fatal one */
    bool busy;        /* replication takes nothing from the gateway */
    unsigned drop_to_client; /* packets still to be dropped */
    unsigned key_exchanges;  /* the gateway was asked for */
    unsigned hold_jobs;      /* 1 << enum ike_job_kind: those of the gateway, likewise */
    bool copies_half_open;   /* the owner's half-open SAs reach the other nodes' memory */
    bool hold_key_exchanges; /* they wait for world_release_key_exchanges() */
    struct conductor_work *held[WORLD_HELD];
    struct conductor *held_by[WORLD_HELD];
    size_t n_held;
    /* everything that ever left, for I4: same key, same bytes */
    struct world_packet sent[WORLD_PACKETS];
    size_t n_sent;
    unsigned copies, copies_differ;
    unsigned inits, auths; /* requests from the client */
    /* grants ever given, for I1: per SPI disjoint */
    struct world_esp grants[WORLD_ESPS];
    size_t n_grants;
    unsigned grants_overlap;
    uint64_t first_numbers, first_ceiling; /* what esp_first says */
    unsigned in_hand;                      /* so many times esp_pass_done says no, at node 0 */
    unsigned waiting;                      /* so many times esp_waiting says yes */
    size_t window_bytes;                   /* of one CHILD SA in a handover; 0 = 8 */
    bool many;             /* more SAs than the list of grants holds: it is not kept */
    unsigned told_refused; /* calls of esp_refused */
    unsigned asides;       /* IKE messages that a node passed on to the next owner */
};

/* Of the worlds that are created from now on. */
extern enum conductor_recovery world_recovery;
extern uint32_t world_recoveries_per_second;
extern struct conductor_auth_limit world_auth; /* zeros: the defaults */
extern uint32_t world_oldest; /* version of records that node 1 knows; 0 = the newest */

struct world *world_create(void (*tune)(struct ike_policy *gateway, struct ike_policy *client));
/* The same with a pool of n addresses. */
struct world *world_create_pool(void (*tune)(struct ike_policy *gateway, struct ike_policy *client),
                                uint32_t n);
void world_destroy(struct world *w);
/* The oldest submission of the first node that has one is committed. False: there is none. */
bool world_commit(struct world *w);
/* The client connects; true: established at both ends. */
bool world_connect(struct world *w);
/* The owner has answered a client, which does not hear it (drop_to_client is 1000 then): its one half-open SA. */
const struct conductor_sa *world_answered(struct world *w);
/* Those that were held are done, in their order. */
void world_release_key_exchanges(struct world *w);
/* The client comes back with nothing but its policy. */
void world_restart_client(struct world *w);
/* Each turn of a node's loop ends so: of all that are alive. */
void world_rest(struct world *w);
/* Delivers, commits and fires timers until nothing is due before now + ms. */
void world_run(struct world *w, uint64_t ms);
/* Assigns the shard to node `n` (0..2), which then holds the lease. */
void world_assign(struct world *w, unsigned n);
/* The head of the owner's next record of WORLD_SHARD: whose it is, and the fence. `epoch` stays the caller's. */
void world_own_record(struct world *w, struct Holdfast__Record *record,
                      struct Holdfast__Epoch *epoch);
/* The node loaded a snapshot of the log as it is now. */
void world_restore(struct world *w, unsigned node);
/* What the node has submitted is of unknown fate: committed where `kept`, lost otherwise; either
 * way it hears no verdict. It must be deaf. */
void world_unsettle(struct world *w, unsigned node, bool kept);
/* The single IKE SA of a node that is established; asserts that there is exactly one. */
struct ike_sa world_sa(struct world *w, unsigned node);
/* How many established IKE SAs, and how many CHILD SAs in any state, a node has. */
size_t world_established(struct world *w, unsigned node);
size_t world_children(struct world *w, unsigned node);
/* The id of some established IKE SA of a node that has an address, 0 = none. */
uint64_t world_some_sa(struct world *w, unsigned node);
/* Asks a node (the client or the owner) for IKE_WANT_*. */
bool world_want(struct world *w, unsigned node, uint32_t want);

/* world_policy.c */
void world_policies(struct world *w);

/* world_handover.c: adds to the operations of a node. */
void world_handover_ops(struct conductor_ops *ops);

#endif
