/* A drill: a described fault, with what must hold before and after it. Read from YAML (`kind:
 * Drill`), strictly: an unknown key, a wrong word, a number out of range is an error with
 * file:line:column. A list in `fault` expands to cells, one of each combination.
 */
#ifndef HF_CHAOS_DRILL_H
#define HF_CHAOS_DRILL_H

#include "base/assert.h"
#include "node.h"
#include "relay.h"

enum { DRILL_NAME = 64, DRILL_ERROR = 512, DRILL_CELL_ID = 160, DRILL_MAX_POINTS = 5 };
enum { DRILL_FOR_MS = 3000, DRILL_MAX_TIMES = 1000, DRILL_MAX_PPS = 20000 };

enum drill_gateway {
    DRILL_HOLDFAST,
    DRILL_STRONGSWAN
}; /* strongSwan: a reference responder, to test the oracle with */
/* Each fault but a death heals by itself after `for`, and at the latest with the cell. */
enum drill_fault {
    DRILL_NONE,
    DRILL_KILL,
    DRILL_PAUSE,         /* SIGSTOP of the owner, SIGCONT after `for` */
    DRILL_LINK_DOWN,     /* a cable of the owner is pulled for `for` */
    DRILL_PARTITION,     /* the owner and the other nodes do not hear each other for `for` */
    DRILL_HANDOVER,      /* asked of the owner, `times` times, round the nodes */
    DRILL_DRAIN,         /* the owner gives everything away, then it may serve again */
    DRILL_DISK_FULL,     /* nearly nothing is left where the owner keeps its data, for `for` */
    DRILL_RESTART,       /* the owner's daemon is ended and started again at once */
    DRILL_LEADER_CHANGE, /* every `every`, `times` times */
    DRILL_LEADER_KILL,   /* the leader dies alone, the owner, another node, lives; it returns */
    DRILL_COLLISION,     /* both ends rekey, the relay arranges who sees what when */
    DRILL_QUORUM_LOSS,   /* all nodes but one are killed; after `for` they return one by one */
    DRILL_ROLLING,       /* each node's daemon in turn is ended and started again */
    DRILL_HANG,          /* one of the owner's threads does nothing for `for` */
    DRILL_DISK_ERROR,    /* the owner's writes fail for `for` */
    DRILL_DISK_SLOW,     /* the owner's writes take long for `for` */
    DRILL_CLOCK_JUMP,    /* the owner's wall clock is off by an hour for `for` */
    DRILL_WIPED,         /* the owner dies and its disk is replaced by an empty one */
    DRILL_REBIND,        /* the owner dies while the client's NAT maps it anew */
    DRILL_ALL_DIE /* all nodes die, after `for` they start again; DRILL_MACHINE: without power */
};
enum drill_mode {
    DRILL_PROCESS,
    DRILL_MACHINE, /* its links are cut first */
    DRILL_OUTSIDE, /* which cable */
    DRILL_INSIDE,
    DRILL_RAFT,
    DRILL_FULL,           /* which way of the owner's replication is cut */
    DRILL_DEAF,           /* it hears nobody */
    DRILL_MUTE,           /* nobody hears it */
    DRILL_TERM,           /* SIGTERM; DRILL_PROCESS is SIGKILL */
    DRILL_BOTH_AT_ONCE,   /* both requests are out before either arrives */
    DRILL_BEHIND_DELETE,  /* so, and the gateway's answer arrives behind its Delete */
    DRILL_UNSEEN_CLIENT,  /* the client's request is lost until the gateway's rekey has ended */
    DRILL_UNSEEN_GATEWAY, /* the gateway's is lost until the client's rekey has ended */
    DRILL_PARTIAL,    /* it and one other do not hear each other, the leader where it is another */
    DRILL_OWNER_LEFT, /* who is left of the nodes */
    DRILL_OTHER_LEFT,
    DRILL_WORKER, /* which thread hangs */
    DRILL_CONTROL,
    DRILL_REPLICATION,
    DRILL_DISK,
    DRILL_FORWARD, /* where its clock jumps */
    DRILL_BACKWARD,
    DRILL_PLAIN, /* there is but one */
    DRILL_MODES
};
enum drill_exchange { DRILL_AT_REST, DRILL_CHILD_REKEY, DRILL_CHILD_REKEY_PFS, DRILL_IKE_REKEY };
enum drill_role { DRILL_CLIENT, DRILL_GATEWAY }; /* who began the exchange */
enum drill_point { DRILL_STEPPED, DRILL_SUBMITTED, DRILL_COMMITTED, DRILL_SENT, DRILL_PEER };
enum drill_leader { DRILL_LEADER_OWNER, DRILL_LEADER_OTHER, DRILL_LEADER_ANY };

/* Steady state, checked before the fault; already false: nothing is injected. */
enum { DRILL_HYP_TUNNEL = 1, DRILL_HYP_TRAFFIC = 2, DRILL_HYP_QUORUM = 4, DRILL_HYP_ONE_OWNER = 8 };

/* What is tried after the fault. The oracle judges everything always; these are the things that
 * take time. */
enum {
    DRILL_EXP_EXCHANGE = 1, /* the interrupted exchange ends, its copies are compared */
    DRILL_EXP_REPLAY =
        2, /* the last second of the client's packets, to the new owner, before any live one */
    DRILL_EXP_UPLOAD = 4,           /* the TCP upload goes on within limits.upload */
    DRILL_EXP_REKEY_CHILD = 8,      /* with PFS, from each side */
    DRILL_EXP_REKEY_IKE = 16,       /* from each side */
    DRILL_EXP_DPD = 32,             /* liveness of an idle tunnel */
    DRILL_EXP_SECOND_TAKEOVER = 64, /* the dead node returns, the new owner dies */
    DRILL_EXP_NOTHING_LOST = 128,   /* no number but what the relay dropped */
    DRILL_EXP_NO_DPD = 256, /* the gateway asks nobody whether he lives while traffic comes in */
    DRILL_EXP_NOBODY_ELSE = 512 /* no shard changes its owner but by the fault */
};

struct drill {
    char file[256], name[DRILL_NAME];
    uint64_t seed;
    /* topology */
    unsigned nodes, shards, clients;
    bool outside_v6, inside_v4, inside_v6;
    enum drill_gateway gateway;
    struct node_timing timing;
    /* traffic */
    unsigned pps, bytes; /* of each client, in each direction */
    unsigned directions; /* bit 0 in, bit 1 out */
    unsigned hypothesis, expect;
    /* fault: bits by enum */
    enum drill_fault fault;
    unsigned modes, exchanges, roles, points, leaders;
    unsigned for_ms; /* how long the fault lasts; without one, how long traffic is watched */
    unsigned every_ms, times;
    struct relay_settings relay; /* no rules: but for collisions there is no relay */
    /* limits */
    unsigned gap_ms, reach_ms, takeover_ms, upload_ms, settle_ms;
    unsigned pause_in_ms, pause_out_ms; /* while nobody has to take over; 0: not judged */
};

/* One fault to inject. */
struct drill_cell {
    const struct drill *drill;
    char id[DRILL_CELL_ID];
    enum drill_mode mode;
    enum drill_exchange exchange;
    enum drill_role role;
    enum drill_point point;
    enum drill_leader leader;
    uint64_t seed;
    unsigned round; /* of --repeat, from 0 */
};

/* False: error holds "file:line:column: what". */
bool drill_parse(struct drill *d, const char *file, char error[DRILL_ERROR]);
bool drill_parse_text(struct drill *d, const char *file, const char *text, char error[DRILL_ERROR]);

const char *drill_fault_name(enum drill_fault f);
const char *drill_mode_name(enum drill_mode m);
const char *drill_exchange_name(enum drill_exchange e);
const char *drill_role_name(enum drill_role r);
const char *drill_point_name(enum drill_point p);
const char *drill_leader_name(enum drill_leader l);

/* Is it arranged as wanted: the owner leads, or does not? */
bool drill_leader_fits(enum drill_leader want, bool owner_leads);

/* The step point's name as the daemon knows it: exchange:role:point. */
void drill_point_text(const struct drill_cell *c, char *to, size_t size);

/* Appends d's cells to *cells (heap, grown; the caller frees it). False: no memory. */
bool drill_cells(const struct drill *d, struct drill_cell **cells, size_t *n) HF_MUST_USE;

/* Keeps those whose id matches the pattern (fnmatch). */
void drill_only(struct drill_cell *cells, size_t *n, const char *pattern);

/* Keeps `want` of them, chosen by the seed, in order: the same seed keeps the same ones. */
void drill_sample(struct drill_cell *cells, size_t *n, size_t want, uint64_t seed);

#endif
