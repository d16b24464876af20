/* One cell: one lab, one fault, one judgement. Runs as process 1 of its own namespaces (run.c makes
 * them).
 *
 *   build ─ up ─ arrange leader ─ connect ─ traffic ─ hypothesis ─ arm, trigger ─┐
 *   ┌────────────────────────────────────────────────────────────────────────────┘
 *   └─ death ─ hold the client ─ takeover seen ─ replay ─ release ─ exchange ends ─┐
 *   ┌──────────────────────────────────────────────────────────────────────────────┘
 *   └─ checks ─ second takeover ─ judge
 *
 * "Hold": the bridge drops what the client sends, so that the replay is first and a second copy is
 * provoked: its ESP to anybody but the owner that is to die (in force before the death), its IKE.
 */
#ifndef HF_CHAOS_CELL_H
#define HF_CHAOS_CELL_H

#include "drill.h"
#include "oracle.h"
#include "relay_net.h"
#include "sniff.h"
#include "spis.h"
#include "swan.h"
#include "traffic.h"

enum {
    CELL_TEXT = 240,
    CELL_MAX_TAKEOVERS = 64, /* the first ones are kept */
    CELL_MAX_TENURES = LAB_MAX_SHARDS * (CELL_MAX_TAKEOVERS + 2),
    CELL_RESUME_MS = 700,        /* within it a new owner sends by itself what the log holds */
    CELL_IN_FLIGHT_NS = 20000000 /* what a node had sent may still come by */
};

struct cell_options {
    const char *bin_dir;      /* where holdfastd is */
    const char *beside;       /* where this runner is */
    const char *evidence_dir; /* of this cell, or NULL */
    int events_fd;            /* JSON lines while it runs, or -1 */
    bool stay;                /* the lab outlives the judgement: see cell_stay() */
    const char *prefix;
};

/* The client's IKE at the bridge. */
enum cell_ike {
    CELL_IKE_FLOWS,
    CELL_IKE_TIED,      /* passes only to one node's port */
    CELL_IKE_HELD,      /* all of it; where the gateway began, the answers to CREATE_CHILD_SA */
    CELL_IKE_ASKS_AGAIN /* held, but for copies of the interrupted exchange's request */
};

/* What one takeover, or one handover, was like. */
struct cell_takeover {
    uint64_t kill_ns, acting_ns, flowing_ns; /* wall; 0 = did not happen */
    uint64_t
        dead_ns; /* from here on it is silent: kill_ns, or where the runner killed it the end of that */
    uint64_t return_ns;                /* the dead node was started again */
    uint64_t stopped_ns, continued_ns; /* SIGSTOP and SIGCONT of `from`; 0 = none */
    /* Between them its workers, which were stopped, went on; 0 = none were. */
    uint64_t goes_on_from_ns, goes_on_to_ns;
    unsigned from, to; /* `to`: of the first shard that moved */
    unsigned shards;   /* bits by shard id: what was to move */
    unsigned replayed; /* put into the new owner's port */
    uint64_t tried;    /* ESP packets that it looked at meanwhile, by its counters */
    uint64_t refused;  /* of them: replayed, old, below the floor, unknown SPI */
    bool replay_first; /* no live packet of the client reached the new owner before the replay */
};

struct cell {
    const struct drill_cell *spec;
    const struct drill *drill;
    const struct cell_options *options;
    struct chaos_lab lab;
    char binary[512];
    struct node nodes[LAB_MAX_NODES + 1]; /* by id, from 1 */
    struct swan client, reference;
    struct sniff sniff;
    struct relay relay;
    struct traffic traffic;
    struct pump_watch ticker;

    uint64_t impaired_ns; /* from here on the relay's rules are in force */
    uint64_t zero_ns, up_ns, trigger_ns, follow_up_ns;
    unsigned workers;       /* ESP threads of a node; 0 = not known: nothing is in hand */
    unsigned owner, leader; /* as of now; the owner of shard 1 */
    unsigned owners[LAB_MAX_SHARDS + 1]; /* by shard id */
    uint64_t assignments[LAB_MAX_SHARDS + 1],
        moves[LAB_MAX_SHARDS + 1];     /* at first; by the drill */
    uint64_t recoveries_gone;          /* replay recoveries of nodes that were killed since */
    uint64_t unasked;                  /* assignments that the drill did not cause, at the end */
    uint64_t made[LAB_MAX_SHARDS + 1]; /* all assignments of a shard, as the nodes say at the end */
    uint64_t epoch;
    unsigned owner_before, leader_before;
    bool reached;
    bool finished; /* the script came to its end */
    struct node_step step;
    bool behind_delete;  /* a collision's held answer came behind a Delete */
    bool want_pfs_child; /* PFS is tried on the CHILD SA "pfs", since "net" is without */
    unsigned asked[2];   /* CREATE_CHILD_SA requests that the script caused, by enum drill_role */
    bool begun_again;    /* nothing of the exchange survived (stepped, or the log lost it): the
                            operator asked once more */

    /* Watched while frames come in. */
    bool watching; /* for the exchange's first request */
    bool have_about;
    struct oracle_message about; /* the gateway's message of the interrupted exchange */
    unsigned about_sent;
    size_t request_frame; /* client began: its newest request of the exchange, index into the
                             capture */
    bool have_request;
    unsigned dead;        /* a move from this node is expected; 0 = no */
    unsigned moving;      /* bits: the shards that nobody else acts for yet */
    unsigned acting_port; /* the first other node that spoke as one of their addresses */
    uint64_t acting_ns;   /* when the last of them was acted for */

    struct cell_takeover takeovers[CELL_MAX_TAKEOVERS];
    unsigned n_takeovers;                /* kept */
    unsigned killed, ended;              /* bits: nodes that the runner killed, or asked to end */
    unsigned broke, refused;             /* ... whose disk failed, that had to refuse to start */
    uint64_t fault_from_ns, fault_to_ns; /* from its beginning to when all was whole again */
    bool
        vote_split; /* it took a second election to have a leader: the pause is not one election's */
    uint64_t minority_from_ns, minority_to_ns; /* no majority, the last lease over; 0 = never */
    struct oracle_tenure tenures[CELL_MAX_TENURES];
    size_t n_tenures;
    size_t
        n_told_tenures; /* by the nodes' logs: what one-speaker was judged by; 0 = they lack some */
    unsigned lease_ends; /* by the nodes' logs: after each its node says nothing for a while */
    /* All nodes lost their power: SAs of before have ended; all clients have a tunnel again. 0 = never */
    uint64_t ended_ns, again_ns;
    uint64_t quiet_from_ns, quiet_to_ns; /* the gateway may begin nothing between them; 0 = never */
    struct cell_spis before, committed, after;
    bool record_survived; /* the interrupted step's, from `submitted` on: seen in `committed` */
    struct swan_log at_trigger; /* the client's counts then */
    struct oracle_copies copies;
    struct oracle_report report;
    bool inconclusive;
    bool before_fault; /* it did not even come to its fault */
    char why[CELL_TEXT];
    char phase[64];
    uint64_t began_mono_ns, ended_mono_ns;
};

/* Runs it; the verdict as an element of `cells` (README.md), with "phase" and "seconds"
 * beside. The caller owns it. With options->stay *kept is the living lab, else NULL. */
json_t *cell_run(const struct drill_cell *spec, const struct cell_options *options,
                 struct cell **kept);

/* Keeps the lab's loop running until the process is ended. */
_Noreturn void cell_stay(struct cell *c);

/* ---- between cell*.c ---- */

/* Notes where the cell is, for the screen and for a verdict that says where it ended. */
void cell_phase(struct cell *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Not reached, not arranged: nothing can be concluded. Returns false. */
bool cell_inconclusive(struct cell *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool cell_is_reference(const struct cell *c);
/* Nothing of a stepped exchange of the gateway's survives but its cause: the soft limit in the
 * record. */
bool cell_by_lifetime(const struct cell *c);
/* All nodes do, so that clients have to come back. */
bool cell_loses_power(const struct cell *c);
struct node *cell_owner(struct cell *c);
bool cell_has_relay(const struct cell *c);

/* cell_up.c: the lab to a tunnel with traffic. */
bool cell_bring_up(struct cell *c);
/* How many nodes act for the shard (from 0) by the first look at all `n` of them, in turn. Who does by
 * the second one too, under the same epoch, acted all the while between them: two such are a violation
 * (I5), whatever was to be tried then. */
unsigned cell_judge_actors(struct cell *c, unsigned shard, const struct node_view *first,
                           const struct node_view *second, size_t n);
/* Waits until `packets` more numbers came in each wanted direction and, with upload, some more of
 * it. */
bool cell_wait_flow(struct cell *c, unsigned packets, unsigned ms);

/* cell_fault.c */
bool cell_inject(struct cell *c);
/* Waits for the node after `dead`, replays, releases. Nothing acting in time is a violation and
 * false. */
bool cell_await_takeover(struct cell *c, unsigned dead, bool with_exchange);
void cell_frame_seen(void *arg, const struct capture_frame *f);
/* Rules of the bridge for what the client sends. With `esp` its ESP passes only to node only_to's
 * port. */
bool cell_hold(struct cell *c, bool esp, unsigned only_to, enum cell_ike ike);
/* Where a replay or a second copy is to come first: what the client sends reaches the owner of now
 * and nobody after it, in force before the owner dies. */
bool cell_tie(struct cell *c, bool with_exchange);
bool cell_read_owner(struct cell *c);
/* From at_ns on the first frame of another node as one of from's service addresses is a move; makes
 * room for it. */
struct cell_takeover *cell_begin_takeover(struct cell *c, unsigned from, uint64_t at_ns);
/* Waits until all of from's shards are acted for by others. */
bool cell_await_acting(struct cell *c, struct cell_takeover *t, unsigned ms, const char *after);
/* FLOW_AFTER numbers more at every client; noted as the end of t's gap. */
bool cell_await_flow(struct cell *c, struct cell_takeover *t, unsigned ms);
/* Both, in the drill's times, and then who owns what is read anew. `after`: what the last owner did. */
bool cell_await_move(struct cell *c, struct cell_takeover *t, const char *after);

/* cell_move.c: the faults but kill and collision. */
bool cell_move(struct cell *c);
/* The fault is there: others act, and traffic flows, within its own time; then it lasts until its
 * end. */
bool cell_watch(struct cell *c, struct cell_takeover *t, uint64_t since_mono_ns, const char *after);
/* The node is whole again: it knows what it owns, and traffic goes on beside it. */
bool cell_healed(struct cell *c, unsigned node);
/* By SIGTERM or SIGKILL, as the cell's mode says. t: the takeover that it causes, or NULL. */
bool cell_end_daemon(struct cell *c, unsigned node, struct cell_takeover *t);

/* cell_hinder.c, cell_nodes.c: those inside one machine, those of several nodes. */
bool cell_hinder(struct cell *c);
bool cell_nodes(struct cell *c);
/* cell_all.c */
bool cell_all(struct cell *c);
/* Every shard is acted for by somebody, as the nodes say. */
bool cell_served(void *cell);
/* Whoever owns what now, and every assignment so far, is the fault's doing. */
void cell_adopt_owners(struct cell *c);

/* cell_collide.c */
bool cell_collide(struct cell *c);

/* cell_exchange.c */
bool cell_trigger(struct cell *c, unsigned at_node);
/* Asks that node to rekey client 1's SA as the cell's exchange says. */
bool cell_trigger_gateway(struct cell *c, struct node *n);
bool cell_provoke_copy(struct cell *c);
bool cell_exchange_ends(struct cell *c);
void cell_take_spis(struct node *n, struct cell_spis *spis);
/* The owner holds one IKE SA a client, client 1's with `children` CHILD SAs, the others' with one,
 * nothing under way. */
bool cell_wait_quiet(struct cell *c, unsigned children);

/* Then, both ends hold the same SPIs, as the gateway's admin seam and the client's vici say. */
bool cell_ends_agree(struct cell *c);

/* cell_checks.c */
bool cell_after_checks(struct cell *c);
bool cell_came_back(struct cell *c, unsigned node, unsigned ms);

/* cell_judge.c */
void cell_judge(struct cell *c);
/* An address is one client's (I9). */
void cell_judge_addresses(struct cell *c);
/* How often shards changed hands by what the nodes say now, without the drill having anything to do
 * with it: added to c->unasked; all of them: c->made. Of each shard the node that has applied most knows; one that was
 * away or cut off may lag. */
void cell_count_unasked(struct cell *c, const struct node_view *views, size_t n);
/* Replay recoveries of all living nodes, and of those that were killed: each is a rekey that the
 * gateway begins by itself (design/architecture: a stalled sender never crosses the floor). */
uint64_t cell_recoveries(struct cell *c);

/* Each side's CREATE_CHILD_SA requests from when the tunnel was up to to_ns are those of c->asked;
 * the gateway's may be as many more as there were replay recoveries. */
void cell_judge_requests(struct cell *c, uint64_t to_ns, const char *until);
/* An after-check's rekey was begun by the side that was asked for it: from asked_ns on it sent a
 * CREATE_CHILD_SA request that it had not sent before. Where the gateway's lifetimes rekey too, the
 * end of a rekey shows nothing about who began it. False: a violation; `what` names the rekey. */
bool cell_judge_beginner(struct cell *c, uint64_t asked_ns, bool by_client, const char *what);
/* How long the upload stood still around a takeover: the first is watched until the interrupted
 * exchange has ended, the others until traffic flowed again. */
uint64_t cell_upload_stall_ns(const struct cell *c, unsigned i);

/* cell_verdict.c */
json_t *cell_verdict(struct cell *c);

/* evidence.c: captures as pcap files (ESP: headers only), logs, configuration; no keys. */
void cell_save_evidence(struct cell *c, const json_t *verdict);

#endif
