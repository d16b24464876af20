/* Shared by the daemon's own files; nobody else includes it. */
#ifndef HF_DAEMON_INTERNAL_H
#define HF_DAEMON_INTERNAL_H

#include <uv.h>

#include "api/server.h"
#include "conductor/core.h"
#include "daemon/admin_notes.h"
#include "daemon/admin_tokens.h"
#include "daemon/daemon.h"
#include "daemon/datapath.h"
#include "daemon/doctor.h"
#include "daemon/events.h"
#include "daemon/gateway.h"
#include "daemon/join_ask.h"
#include "io/arp.h"
#include "io/generation.h"
#include "io/guard.h"
#include "io/netlink.h"
#include "io/tun.h"
#include "daemon/notify.h"
#include "replication/loop_watch.h"

enum {
    DAEMON_WORKERS = 1,
    DAEMON_TICK_MS = 10,
    ADMIN_WAITS = 8,
    DAEMON_TOKEN_BYTES = 16,
    DAEMON_TURN_NS = 4000000,    /* events of replication taken in one turn of the loop */
    DAEMON_SA_CAPACITY = 1 << 16 /* sizes look-up tables, is no limit */
};

/* What the last line about each drop reason had counted, and whether a majority was there. */
struct notices {
    uint64_t next_ms; /* CLOCK_BOOTTIME */
    bool quorum;
    uint64_t quorum_next_ms; /* no further line before */
    uint64_t conductor[COUNTER_COUNT], worker[WORKER_COUNTER_COUNT];
    uint64_t stray[STRAY_COUNTERS];
    struct datapath_drops esp;
};

struct daemon_shard {
    const struct config_shard *config;
    const struct repl_lease *lease;
    /* By family (base/addr.h); -1 where the shard has no such service address. */
    struct daemon_path {
        struct daemon_shard *shard;
        int udp_500;
        int udp_4500[WORKER_MAX], esp[WORKER_MAX];
        uv_poll_t poll_500;
    } paths[ADDR_SLOTS];
};

/* A policy that is in force, or that jobs still borrow from. */
struct daemon_policy {
    struct ike_policy policy;
    struct config *config; /* of a reload, owned; NULL: main's, which outlives everything */
    unsigned jobs;         /* under way with it */
    bool retired;
};

struct daemon {
    const struct config *config;
    const struct log *log;
    struct daemon_error *error;
    struct daemon_policy *policy; /* in force; owned */
    struct tls_identity *tls;     /* in force among the nodes; held; NULL: a single node */
    uint64_t certs_look_ms;
    int64_t certs_told_s; /* its end was last spoken of; wall clock */
    bool reloading;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer, tick;
    uv_signal_t sigterm, sigint, sighup;
    uv_poll_t poll_repl, poll_workers;
    struct repl *repl;
    struct repl_event *event; /* in hand: it goes on in the next turn */
    struct loop_watch turns;
    uint64_t started_ms; /* CLOCK_BOOTTIME */
    struct notify notify;
    struct worker_pool *pool;
    struct datapath *datapath;
    struct conductor *conductor;
    struct daemon_shard shards[REPL_MAX_SHARDS];
    uint32_t shard_ids[REPL_MAX_SHARDS];
    uint32_t n_shards;
    struct tun tun;
    int tun_fds[WORKER_MAX];
    struct netlink *netlink;
    struct netlink_watch *watch;
    bool outside_up, inside_up;
    struct ip_addr guarded[GUARD_MAX_NODES]; /* the guard's set of nodes, as verified */
    size_t n_guarded;
    uint64_t guard_look_ms;
    struct arp *arp;
    struct api_server *api, *rest; /* for root; over TLS (NULL: not configured) */
    uint64_t seen_index;           /* of the log, that this loop was told of */
    struct events events;
    struct api_backend backend;
    struct api_request *transfer; /* a leader transfer that waits for its outcome */
    uint32_t transfer_to;
    uint64_t transfer_until_ms;
    struct admin_wait {
        struct api_request *request; /* NULL = free */
        uint32_t shard, node;        /* shard 0: a drain, of the node */
        bool drained;
        uint64_t until_ms;
        uint64_t wish; /* by which the conductor tells how the log has settled it: */
        enum { WISH_OPEN, WISH_UNJUDGED, WISH_JUDGED } fate; /* unjudged: a snapshot hid it */
        enum repl_verdict verdict;                           /* judged */
    } waits[ADMIN_WAITS];
    struct member_wait {
        struct api_request *request; /* NULL = free: one at a time */
        enum { MEMBER_TOKEN, MEMBER_JOIN, MEMBER_REMOVE } what;
        uint32_t node;
        uint8_t token[DAEMON_TOKEN_BYTES];
        struct api_asker by; /* who asked, as the log takes it */
        uint64_t until_ms, again_ms;
        unsigned asks;                 /* MEMBER_JOIN: so often */
        struct join_refusals refusals; /* MEMBER_JOIN */
        bool drained, wished; /* MEMBER_REMOVE: it was before; the log was given its LEAVE */
        bool taken_back;      /* ... its own drain, which bears this number; 0 = none does */
        uint64_t number;
        uint64_t counts_until_ms; /* ... and refuses both from that cluster time on; 0 = never */
    } member;
    uint64_t recover_at_ms; /* then this daemon ends, to begin anew (recover.c); 0 = it does not */
    bool again;             /* ... and main.c runs it once more, */
    _Atomic int
        keys_fd; /* with the memfd of sessions' keys; 0 = none. Read by the watch's thread, too */
    struct {
        struct generation_watch *watch; /* NULL: there is none */
        _Atomic bool silenced;          /* it was: nothing leaves this process any more */
        _Atomic int deaf;               /* errno: a rollback is not heard of (any more); 0: it is */
        _Atomic unsigned missed;        /* how often the kernel dropped events */
    } rollback;
    struct api_request *backup; /* waits for its bytes; NULL = none does */
    uint64_t majority_ms;       /* when there was one last (boottime); 0 = not since the start */
    struct keys_wait {
        struct api_request *request; /* NULL = none: one at a time */
        uint64_t former, until_ms;
    } keys;
    struct admin_tokens tokens;
    struct admin_note notes[NOTES_AT_ONCE];
    uint64_t who_again_ms; /* a node that finds no leader asks where the members are */
    bool stopping;
    struct gateway gateway;
    bool leaving; /* a stop gives everything away first */
    uint64_t leave_by_ms, left_ms, pass_again_ms;
    uv_fs_t disk_request;
    bool disk_asked, disk_full; /* full: above the watermark */
    uint64_t disk_next_ms;
    struct notices notices;
    struct doctor_history doctor;
    uint8_t buffer[65536];
};

/* NULL: no such shard. Its place in d->shards is its slot. */
struct daemon_shard *daemon_shard_of(struct daemon *d, uint32_t shard);

/* daemon.c: what replication needs to know of the configuration */
void daemon_repl_options(const struct config *config, const struct log *log,
                         struct repl_options *o);

/* sockets.c */
bool sockets_open(struct daemon *d);
bool addresses_open(struct daemon *d);
void sockets_close(struct daemon *d);
void sockets_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                  const struct endpoint *to, struct span bytes);
bool sockets_watch(struct daemon *d);

/* ops.c: conductor_ops over all of this; the data path, which exists, fills its own rows */
void ops_fill(struct daemon *d, struct conductor_ops *ops);

/* moves.c: what makes this node give its shards away */
void moves_tick(struct daemon *d);
/* Begins to give everything away; moves_tick() ends the loop. False: there is nothing to give, or
 * it began already. */
bool moves_leave(struct daemon *d);

/* admin_parts.c */
void admin_refuse(struct api_request *request, unsigned status, const char *name,
                  const char *detail);
const struct repl_node_status *admin_node(const struct repl_status *st,
                                          uint32_t node);        /* or NULL */
size_t admin_owned(const struct repl_status *st, uint32_t node); /* shards */
/* Who asked, as the log takes it: a text that it would refuse has '?' where it cannot be shown. */
struct api_asker admin_asker(const struct api_asker *who);
/* The same for a record; the texts are borrowed. */
struct repl_admin admin_by(const struct api_asker *asker);

/* recover.c */
void recover_fill(struct api_backend *b);
json_t *recover_json(struct repl *repl); /* how the cluster began anew */
uint32_t
recover_used_ids(struct repl *repl); /* ... and up to which no id is free; 0 = it did not */
void recover_tick(struct daemon *d);
void recover_stop(struct daemon *d);

/* admin_members.c */
void admin_members_fill(struct api_backend *b);
void admin_members_frame(struct daemon *d, uint32_t from, struct span in);
void admin_members_tick(struct daemon *d);
void admin_members_stop(struct daemon *d);
/* False: somebody waits already, and the request was refused. */
bool admin_members_begin(struct daemon *d, struct api_request *request, struct member_wait wait);
/* admin_remove.c */
void admin_remove_node(void *self, struct api_request *request, uint32_t node,
                       const struct api_asker *who);
bool admin_remove_step(struct daemon *d, const struct repl_status *st); /* true: it was answered */
void admin_remove_stop(const struct member_wait *w);

/* rollback.c: whether this machine goes on from an earlier state of its memory; then it never returns */
void rollback_watch(struct daemon *d);
json_t *rollback_json(struct daemon *d);
void rollback_stop(struct daemon *d);

/* guarding.c: the guard as the configuration wants it; its set of nodes follows the members */
bool guarding_start(struct daemon *d);
void guarding_tick(struct daemon *d);

/* certs.c: the certificate among the nodes. tls may be NULL */
void certs_start(struct daemon *d, struct tls_identity *tls);
void certs_replace(struct daemon *d, struct tls_identity *tls);
void certs_tick(struct daemon *d);
json_t *certs_json(const struct daemon *d);
void certs_stop(struct daemon *d);

/* admin_moves.c */
void admin_moves_fill(struct api_backend *b);
/* As conductor_ops has it: of anybody's wish. */
void admin_moves_settled(struct daemon *d, uint64_t wish, bool judged, enum repl_verdict verdict);
void admin_moves_tick(struct daemon *d);
void admin_moves_stop(struct daemon *d);

/* admin_attempts.c */
void admin_attempts_fill(struct api_backend *b);

/* admin_profiles.c */
void admin_profiles_fill(struct api_backend *b);

/* doctor_facts.c: what was counted is kept for some minutes */
void doctor_fill(struct api_backend *b);
void doctor_tick(struct daemon *d);

/* admin_keys.c */
void admin_keys_fill(struct api_backend *b);
json_t *admin_keys_json(const struct repl_status *st);
void admin_keys_tick(struct daemon *d);
void admin_keys_stop(struct daemon *d);

/* rest.c: the REST API over TLS, as `api` of the configuration says */
bool rest_start(struct daemon *d);
/* Other certificates and clients, from a configuration read anew. False: what was in force stays. */
bool rest_replace(struct daemon *d, const struct config *config, char *error, size_t error_bytes);
void rest_stop(struct daemon *d);
bool rest_ready(void *self, struct api_problem *problem);
bool rest_leads(void *self, struct api_problem *problem);
uint64_t rest_index(void *self);

/* admin.c */
void admin_fill(struct daemon *d);
void admin_leader_changed(struct daemon *d, uint32_t leader);
void admin_tick(struct daemon *d);
void admin_stop(struct daemon *d); /* refuses what still waits */

/* notices.c: once a second, one line for each reason for which packets were dropped */
void notices_tick(struct daemon *d);
void notices_quorum(struct daemon *d, bool held); /* a majority is lost, or back */

/* reload.c: shared keys, certificates, CAs and lists anew, from the configuration's file */
bool policy_first(struct daemon *d);          /* of d->config; false: d->error */
void policy_release(struct daemon_policy *p); /* a job came back, or it is no longer in force */
/* request NULL: nobody waits for the answer, the log has it. */
void reload_begin(struct daemon *d, struct api_request *request);

bool daemon_fail(struct daemon *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
