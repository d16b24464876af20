/* holdfastd nodes of the lab: configuration, start, the admin seam as values, the step pipe, death.
 */
#ifndef HF_CHAOS_NODE_H
#define HF_CHAOS_NODE_H

#include <stdio.h>

#include "http.h"
#include "lab.h"

enum { NODE_MAX_SAS = 2 * LAB_MAX_CLIENTS + 8, NODE_MAX_CHILDREN = 8, NODE_SOON_MS = 6000 };
/* More clients are asked for life only every 30 s: hundreds of idle ones would fill the machine. */
enum { NODE_FEW_CLIENTS = 20 };
/* How a daemon ends by itself: a write failed (sysexits' EX_IOERR); its replication cannot go on
 * (EX_TEMPFAIL); it would not start. */
enum { NODE_EXIT_DISK = 74, NODE_EXIT_FAILED = 75, NODE_EXIT_REFUSED = 1 };

struct node_timing {
    unsigned election_ms, heartbeat_ms, lease_ms, lease_heartbeat_ms;
};

/* One line of the step pipe: the armed point was reached; the node dies now. */
struct node_step {
    bool reached;
    char point[64];
    uint64_t log_index;
    bool owner, leader;
    char sa[20];
    unsigned node;
    uint64_t message; /* span_fnv1a64() of what the committed record sends; 0 = not told */
    uint64_t wall_ns; /* when the runner read it, or began to kill the node */
    uint64_t dead_ns; /* when its killing had ended; 0 = it killed itself */
};

/* How a process before the last two ended. */
struct node_past {
    int status;     /* as waitpid() gives it */
    size_t log_end; /* of its log in node.older */
};

struct node {
    struct chaos_lab *lab;
    unsigned id;
    char dir[96], socket[128], config[128];
    struct chaos_proc proc;
    struct chaos_proc earlier; /* the process before a restart; its log is kept */
    char *older;               /* heap: the logs of those before it, one after the other; or NULL */
    struct node_past *past;    /* heap: how those ended, n_past of them, the oldest first */
    size_t n_past;
    struct pump_watch step_pipe;
    struct chaos_proc hinder; /* what holds one of its threads up */
    bool shifts;              /* its wall clock can be moved */
    /* It starts under `holdfast-keep`, which keeps the key of sessions while its daemon is away, and has no step points: descriptor 3 is
     * what is kept. */
    bool keeps;
    struct chaos_proc keeper;
    char step_text[512];
    size_t step_len;
    struct node_step step;
};

struct node_shard {
    unsigned owner; /* 0 = none */
    uint64_t owner_boot, epoch, assignments;
    bool acting; /* this node acts for it */
};

/* ESP packets that a node took and did not pass on, for one reason: its counter's name as in GET /v1/cluster. */
enum { NODE_MAX_DROPS = 64, NODE_DROP_NAME = 40 };
struct node_drop {
    char reason[NODE_DROP_NAME];
    uint64_t packets;
};

/* GET /v1/cluster, as far as the drills need it. */
struct node_view {
    bool answered, quorum;
    uint64_t boot;
    unsigned leader;
    uint64_t term, applied_index, commit_index;
    uint64_t cluster_ms;                      /* the time that lifetimes are counted in */
    unsigned connected;                       /* peers */
    struct node_shard shards[LAB_MAX_SHARDS]; /* shard s at s - 1 */
    unsigned n_shards;
    struct node_drop drops[NODE_MAX_DROPS]; /* since its process began; those above 0 */
    unsigned n_drops;
    uint64_t recoveries; /* CHILD SAs that it rekeyed because of the floor after a takeover */
    uint64_t esp_in;     /* ESP packets looked at under the right to act */
    uint64_t refused_in; /* of them: replayed, old, below the floor, unknown SPI */
};

struct node_child {
    uint32_t spi_in, spi_out; /* as the gateway sees them */
    char state[24];
    bool outbound;
};

struct node_sa {
    char id[20], remote_spi[20], state[24], identity[48];
    char pending[24],
        pending_ike_spi[20]; /* its outstanding request's exchange, the SPIs allocated for it */
    uint32_t pending_spi_in;
    struct node_child children[NODE_MAX_CHILDREN];
    unsigned n_children;
};

/* Large: a static one, not on the stack. */
struct node_sas {
    bool answered;
    struct node_sa sas[NODE_MAX_SAS];
    unsigned n_sas;
};

struct node_options {
    const char *binary; /* holdfastd */
    struct node_timing timing;
    /* The first CHILD SA, or IKE SA, reaches its soft limit NODE_SOON_MS after it was made, so that
     * the owner, whoever it is then, begins its rekey by itself (CHILD: without KE unless pfs). */
    bool child_soon, ike_soon;
    bool pfs;
    bool patient; /* retransmits often enough for a path that loses a third each way */
    unsigned clients;
    bool outside_v6, inside_v4, inside_v6;
    /* Its wall clock is to be moved, by more than SAs live: clockshift.c. */
    bool shifts;
    bool keeps; /* as of a node */
};

/* node_config.c */
void node_write_config(FILE *f, const struct node *n, const struct node_options *o);

/* Writes the node's files. */
bool node_prepare(struct node *n, struct chaos_lab *lab, unsigned id,
                  const struct node_options *options);
/* What a machine has before its daemon starts: certificates among several nodes (`holdfast pki`), data
 * directory (--init), guard (--guard); for nodes[0..count-1], which are 1..count. */
bool node_install(struct node *nodes, unsigned count, const char *binary);
bool node_start(struct node *n, const char *binary);

/* Ends it with SIGKILL, mode machine after its links were cut. Returns when it is dead. */
bool node_kill(struct node *n, bool machine);

/* All of nodes[0..count-1] at once, by SIGKILL; the links of all are cut before the first dies. */
bool node_kill_all(struct node *nodes, unsigned count, bool machine);

/* What was kept for it is gone, as with a machine's power. The daemon must have ended; its next start begins another store. */
void node_forget(struct node *n);

/* SIGTERM; returns when it has ended. */
bool node_end(struct node *n, unsigned ms);

/* A file beside its data takes all but NODE_DISK_LEFT bytes of the disk, or is gone. Each node has a
 * disk of its own. */
enum { NODE_DISK_BYTES = 96 << 20, NODE_DISK_LEFT = 2 << 20 };
bool node_fill_disk(struct node *n, bool full);

/* SIGSTOP and SIGCONT. */
bool node_pause(struct node *n, bool paused);

/* One of its threads does nothing, or writes slowly or in vain, for so long: `how` as hinder.c says.
 * Returns when it is so; it ends by itself. */
bool node_hinder(struct node *n, const char *thread, const char *how, unsigned ms);

/* What it reads as the time of day is so much off from now on. */
bool node_shift_clock(struct node *n, int64_t seconds);

/* Its data is gone, as with a new disk. The daemon must have ended. */
bool node_wipe(struct node *n);
/* `holdfastd --init` on what node_wipe() left, where the others have the cluster's configuration.key: one
 * that this makes is moved away. */
bool node_init(struct node *n, const char *binary);

/* Starts it again with the data it left, links up. */
bool node_restart(struct node *n, const char *binary);

void node_look(struct node *n, struct node_view *view);
/* What `counters` of GET /v1/cluster say of ESP: pure. */
void node_take_counters(const json_t *counters, struct node_view *view);
/* "node 1: esp_drop_in_old 2, esp_in-unknown-spi 7; node 3 does not answer", or "nothing": views[i] is node i + 1's. What finds
 * no room is left out, and "..." says so. */
void node_tell_drops(const struct node_view *views, unsigned nodes, char *to, size_t size);
void node_look_sas(struct node *n, struct node_sas *sas);
/* Client 1's established SA, or NULL. */
const struct node_sa *node_find_client(const struct node_sas *sas);

/* POSTs; the status, or 0 when no answer came. */
int node_make_leader(struct node *n, unsigned leader);
int node_rekey(struct node *n, const char *sa_id, bool ike, uint32_t child_spi_in, bool pfs);
int node_arm(struct node *n, const char *point, bool machine);
int node_handover(struct node *n, unsigned shard, unsigned to, unsigned ms);
/* `back`: it may serve again. */
int node_drain(struct node *n, unsigned node, bool back, unsigned ms);

bool node_alive(const struct node *n);

/* Its ESP worker threads, counted in the living process; 0: not known. */
unsigned node_workers(const struct node *n);
void node_deinit(struct node *n);

#endif
