/* What a cell shares with its parts: the loop, the namespaces, the children, and the first error.
 *
 *                       ┌── n1 ──┐                        outside, inside and raft: three bridges in
 *   client ── outside ──┼── n2 ──┼── inside ── server     the namespace "switch"; on raft the nodes
 *      (relay)          └── n3 ──┘                        speak among themselves
 *
 * A cell is process 1 of its own pid, mount and network namespaces. When it ends, however it ends,
 * the kernel ends all its children and with them every namespace, address, rule and file. So there
 * is nothing to clean up, and nobody who must survive to do it. Its names carry the prefix hfd<pid
 * of the runner>-.
 */
#ifndef HF_CHAOS_LAB_H
#define HF_CHAOS_LAB_H

#include <stdarg.h>
#include <sys/types.h>

#include "pump.h"

enum { LAB_MAX_NODES = 5, LAB_MAX_SHARDS = 8, LAB_MAX_CLIENTS = 1000 };
enum { LAB_MAX_CHILDREN = 32, LAB_ERROR_BYTES = 512 };

/* Addresses of every lab, host order. Each has an IPv6 twin with the same last four bytes:
 * 10.77.1.100 is fd77::a4d:164, and 10.77.1.0/24 is fd77::a4d:100/120. */
enum {
    LAB_OUTSIDE_NET = 0x0a4d0100, /* 10.77.1.0/24; nodes .1-.5 */
    LAB_INSIDE_NET = 0x0a4d0200,  /* 10.77.2.0/24 */
    LAB_RAFT_NET = 0x0a4d0300,    /* 10.77.3.0/24; nodes .1-.5 */
    LAB_VIP = 0x0a4d0164,         /* 10.77.1.100, shard 1's; the others' follow */
    LAB_INSIDE_VIP = 0x0a4d0264,  /* 10.77.2.100, the same */
    LAB_CLIENT = 0x0a4d0132,      /* 10.77.1.50 */
    LAB_SERVER = 0x0a4d020a,      /* 10.77.2.10 */
    LAB_POOL = 0x0a630000,        /* 10.99.0.0/22, shard 1's; the others' follow: /19 in all */
    LAB_POOL_SIZE = 1024,         /* addresses of a shard */
    LAB_POOL_MASK = (int)0xffffe000
};

/* The shard (from 1) whose service address it is; 0: it is none. */
static inline unsigned lab_shard_of_vip(uint32_t address)
{
    return address >= LAB_VIP && address < LAB_VIP + LAB_MAX_SHARDS ? address - LAB_VIP + 1 : 0;
}

/* Text of an address, or of its twin. */
enum { LAB_ADDRESS_TEXT = 24 };
const char *lab_address(uint32_t address, bool v6, char text[LAB_ADDRESS_TEXT]);

enum lab_place {
    LAB_SWITCH,
    LAB_CLIENT_NS,
    LAB_SERVER_NS,
    LAB_NODE, /* LAB_NODE + n - 1 is node n's */
    LAB_PLACES = LAB_NODE + LAB_MAX_NODES
};

/* A program that was started. Owned by whoever declared it; kept until lab_deinit(). */
struct chaos_proc {
    char name[24];
    pid_t pid;
    bool started, ended;
    int status; /* as waitpid() gives it */
    struct pump_watch out;
    char *log; /* its stdout and stderr, NUL-terminated; see proc_take() */
    size_t log_len, log_cap, line_at;
    void (*line)(void *arg,
                 const char *line); /* each complete line, without its newline; may be NULL */
    void *arg;
};

struct chaos_lab {
    struct pump pump;
    struct pump_watch signals;
    char prefix[24];
    const char
        *beside;  /* the folder that the runner is in: /proc/self/exe does not lead there from a
                           root of its own, once mounts are private */
    char dir[64]; /* private tmpfs: run directories of this cell */
    int ns[LAB_PLACES];
    int home_ns;
    unsigned nodes, shards;
    bool v6, relay;
    struct chaos_proc *children[LAB_MAX_CHILDREN];
    size_t n_children;
    bool failed;
    char error[LAB_ERROR_BYTES]; /* the first */
};

/* Notes the first error (errno's text is not added) and returns false. */
bool lab_fail(struct chaos_lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits with the loop running. ms from now. */
bool lab_until(struct chaos_lab *lab, bool (*done)(void *arg), void *arg, unsigned ms);

/* ---- processes (proc.c) ---- */

struct chaos_spawn {
    enum lab_place place;
    const char *const *argv; /* argv[0] is looked up in PATH; no shell */
    const char *const *env;  /* NAME=value, beside PATH and sanitizer options; may be NULL */
    const char *input;       /* what it reads from stdin; NULL: nothing */
    int step_fd;             /* inherited as descriptor 3; -1: none */
};

/* Watches for children that end. Call once, before any spawn. */
bool lab_watch_children(struct chaos_lab *lab);

/* Appends to the log what the program wrote, and gives its complete lines to p->line. A log that
 * would grow over PROC_LOG_MAX bytes loses its middle: its first half stays as it was, the second
 * holds the newest. Every line is given all the same, but for one longer than that half. */
enum { PROC_LOG_MAX = 32 << 20 };
void proc_take(struct chaos_proc *p, const char *text, size_t len);

/* Starts a program in a namespace. *p must be zero but for name, line and arg. False: lab->error.
 */
bool proc_start(struct chaos_lab *lab, struct chaos_proc *p, const struct chaos_spawn *what);

/* Starts a program and waits until it has ended. False: it could not start, took longer than ms, or
 * did not exit with 0 (then lab->error unless `quiet`). *output (its log; may be NULL) is the
 * caller's to free. */
bool proc_run(struct chaos_lab *lab, const struct chaos_spawn *what, unsigned ms, bool quiet,
              char **output);

/* Starts all of them at once, waits for all; each must exit with 0 within ms. */
enum { PROC_TOGETHER = 16 };
bool proc_run_together(struct chaos_lab *lab, const struct chaos_spawn *what, size_t n,
                       unsigned ms);

/* Waits until it has ended and its output was read. */
bool proc_wait(struct chaos_lab *lab, struct chaos_proc *p, unsigned ms);

/* Frees what it holds; the process must have ended or is ended with SIGKILL. */
void proc_deinit(struct chaos_lab *lab, struct chaos_proc *p);

/* ---- network (netlab.c) ---- */

struct lab_plan {
    unsigned nodes, shards;
    const char *beside; /* the folder that the runner is in; outlives the lab */
    bool v6;            /* IPv6 is on, everything has its twin's address, too */
    bool relay;         /* the client's cable has two halves, "cli" and "rel" (relay_net.h) */
};

/* Makes namespaces, bridges, links and addresses. The caller is process 1 of fresh namespaces. */
bool lab_build(struct chaos_lab *lab, const char *prefix, const struct lab_plan *plan);

/* The bridge's port where the client's own frames are seen: "cli" or "outc". */
const char *lab_client_port(const struct chaos_lab *lab);

/* Runs in a namespace until lab_leave(): sockets made meanwhile belong to it. */
bool lab_enter(struct chaos_lab *lab, enum lab_place place);
void lab_leave(struct chaos_lab *lab);

/* MAC address of a node's outside interface. */
void lab_node_mac(unsigned node, uint8_t mac[6]);

/* Writes a file of /proc/sys/net as that namespace sees it. */
bool lab_sysctl(struct chaos_lab *lab, enum lab_place place, const char *path, const char *value);

/* All links of a node up or down, at its own end. */
bool lab_links(struct chaos_lab *lab, unsigned node, bool up);

/* One cable of a node pulled from the bridge, or put back: "out", "in" or "raft". The node sees its
 * link lose the carrier. */
bool lab_cable(struct chaos_lab *lab, unsigned node, const char *cable, bool plugged);

/* Loads nft rules in the switch's namespace. */
bool lab_bridge_rules(struct chaos_lab *lab, const char *rules);

/* What the node sends to the others is dropped, what they send to it; both false: nothing. */
bool lab_partition(struct chaos_lab *lab, unsigned node, bool mute, bool deaf);

/* These two do not hear each other; both hear the others. lab_partition() ends it. */
bool lab_cut_between(struct chaos_lab *lab, unsigned a, unsigned b);

void lab_deinit(struct chaos_lab *lab);

#endif
