/* Between repl_thread.c (the thread) and repl_door.c (what other threads call) only.
 *
 *   any thread ──commands──> inbox (mutex, uv_async) ──> loop: replica core, wal, tcp transport
 *   conductor <──events──── queue (mutex, eventfd) <───┘
 */
#ifndef HF_REPL_THREAD_H
#define HF_REPL_THREAD_H

#include <uv.h>

#include "replication/loop_watch.h"
#include "replication/mirror.h"
#include "replication/recover.h"
#include "replication/repl_admin.h"
#include "replication/repl_keys.h"
#include "replication/replica_core.h"
#include "replication/tcp_transport.h"
#include "replication/tls_layer.h"
#include "replication/wal.h"

enum {
    REPL_EXIT_FAILED = 75, /* the process ends: state or driver cannot go on */
    EVENTS_MAX = 1 << 20,  /* then the thread waits for the conductor: peers take over */
    EVENTS_MAX_BYTES = 1 << 30,
    EVENTS_HELD = 64, /* what a turn of the core brings goes to the queue in such bunches */
    EVENTS_HELD_BYTES = 1 << 16,
    FRAMES_MAX = 1024
};

enum command_kind {
    COMMAND_SUBMIT,
    COMMAND_TRANSFER,
    COMMAND_FRAME,
    COMMAND_TLS,
    COMMAND_INTRODUCE,
    COMMAND_BACKUP
};

struct command {
    struct command *next;
    enum command_kind kind;
    uint64_t request;
    void *effects;
    uint32_t node;
    enum repl_channel channel;
    uint8_t *bytes; /* INTRODUCE: struct repl_node_address, len of them in bytes */
    size_t len;
    struct tls_identity *tls; /* held */
};

/* Somebody waits for the end of a request. */
struct admin_wait {
    struct admin_wait *next;
    uint64_t request;
    repl_admin_done *done;
    void *self;
};

struct event_node {
    struct event_node *next;
    struct repl_event *event;
    size_t bytes;
};

struct repl {
    struct replica_options options;
    uint64_t disk_stall_ns;
    void (*log)(void *self, enum repl_log_level level, const char *text);
    void *log_self;

    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t async;
    uv_timer_t timer;
    struct loop_watch watch;
    bool thread_running;
    char refusal[512]; /* what ended the replica before the thread ran */
    int to_close;      /* handles and parts that are not closed yet, at the end */

    struct repl_keys keys;
    struct wal *wal;
    struct tls_layer *tls;     /* under it; NULL: without certificates, so alone */
    struct tcp_transport *tcp; /* NULL: alone */
    struct replica *core;
    unsigned jobs;                                  /* with libuv's pool */
    struct repl_node_address peers[REPL_MAX_NODES]; /* whom the core wants to be connected with */
    size_t n_peers;
    bool peers_changed;
    struct repl_node_address kept[REPL_MAX_NODES]; /* ... as on their way to the file */
    size_t n_kept;
    uv_work_t keeping; /* writes `kept`, which is left alone meanwhile */
    bool keeping_now, kept_ok;
    char data_dir[512];
    bool closing;
    bool saving; /* a backup is being sealed */

    /* inbox */
    uv_mutex_t lock;
    struct command *first, *last;
    size_t n_frames;
    uint64_t next_request, oldest_request;
    size_t inbox_bytes, outstanding_bytes;
    bool stopping;
    struct repl_backup backup; /* not taken yet, */
    bool backed_up;            /* when there is one, or it could not be made */
    struct repl_status status;
    struct repl_beginning beginnings[REPL_MAX_BEGINNINGS];
    size_t n_beginnings;
    struct admin_wait *waits;
    struct repl_view *view; /* what readers get; a reference */

    /* the audit's file: the thread's own, but for `mirror` and `mirror_outcome` while one is written */
    bool view_stale; /* there is a newer one */
    struct mirror mirror;
    struct mirror_outcome mirror_outcome;
    struct repl_view *mirroring; /* what is being written; NULL = nothing */
    uv_work_t mirror_work;
    uint64_t mirrored;        /* up to that sequence all are in the file */
    uint64_t mirror_again_ns; /* it failed: not before */

    /* events */
    uv_mutex_t event_lock;
    uv_cond_t event_room;
    struct event_node *first_event, *last_event;
    size_t n_events, event_bytes, event_bytes_max; /* EVENTS_MAX_BYTES, or a test's */
    bool dropping;                                 /* stopping: events are freed at once */
    int event_fd;
    struct event_node *first_held, *last_held; /* the thread's own: not in the queue yet */
    bool flushing;                             /* they are on their way to the queue */
    size_t n_held, held_bytes;

    /* shared atomics */
    struct repl_lease leases[REPL_MAX_SHARDS];
    struct repl_health health;
    struct replica_clock clock;
    _Atomic uint64_t newest_cluster_ms; /* given out: never goes back */
};

/* repl_door.c */
bool repl_joins(const struct repl_options *options); /* it is none of the founders */
void repl_genesis(const struct repl_options *options, struct repl_configuration *out);

/* repl_recover.c: does what was ordered, if anything was (then out->incarnation is not 0) */
bool repl_recover_ordered(const struct repl_options *options, struct repl_recovery *out,
                          struct repl_error *error);

/* --init of a lone founder, whose directory is empty but for configuration.key: what its cluster begins
 * with, under an incarnation of its own. */
bool repl_found_alone(const struct repl_options *options, struct repl_error *error);

/* repl_door.c: as repl_submit(); `wait` is taken over with REPL_OK. NULL: nobody waits. */
enum repl_result repl_submit_waited(struct repl *repl, struct Holdfast__Record *record,
                                    void *effects, struct admin_wait *wait, uint64_t *request);

/* repl_admin.c, on the thread: an event is about to be queued. True: it was of who waits alone. */
bool repl_settle_admin(struct repl *repl, struct repl_event *event);
void repl_stop_waits(struct repl *repl); /* at the end: they are told */

/* What other threads read of the core is as it is now; on the thread. */
void repl_publish(struct repl *repl);

/* repl_view.c, on the thread. */
void repl_publish_view(struct repl *repl);
void repl_mirror_audit(struct repl *repl); /* writes what is not in the file yet */

/* On the thread, under the lock: what repl_beginnings() says. */
void repl_keep_beginnings(struct repl *repl);
/* On the thread: begins what repl_backup_ask() asked for; one on its way serves who asks meanwhile, too. */
void repl_make_backup(struct repl *repl);

/* repl_thread.c */
bool repl_thread_start(struct repl *repl, const struct repl_options *options,
                       struct repl_error *error);
void repl_thread_stop(struct repl *repl);

/* One of what is awaited at the end has ended. */
void repl_part_closed(struct repl *repl);

/* repl_peers.c, on the thread: the core's callback; then, outside of its call. */
void repl_on_peers(void *self, const struct repl_node_address *nodes, size_t n);
void repl_set_peers(struct repl *repl);

/* repl_events.c, on the thread. */
void repl_push_event(void *self, struct repl_event *event);
/* After each turn of the core: what it brought goes to the conductor. */
void repl_flush_events(struct repl *repl);
size_t repl_events_waiting(void *self);

#endif
