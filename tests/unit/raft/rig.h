/* One raft driver, alone, with a disk in memory; its peers are the test: it feeds frames and reads
 * those that leave. */
#ifndef TEST_RAFT_RIG_H
#define TEST_RAFT_RIG_H

#include "replication/raft_driver.h"
#include "replication/raft_frame.h"
#include "sim/sim_storage.h"

enum { RIG_MAX_SENT = 4096, RIG_PIECE = 64, RIG_INCARNATION = 1 };

struct rig_sent {
    uint32_t to;
    struct raft_frame frame; /* its spans are not valid */
    uint64_t now_ms;
};

struct rig {
    uint64_t now_ms;
    struct sim_storage *storage;
    struct raft_driver *driver;
    uint32_t node, unwrapped;
    bool refuse; /* the transport refuses frames */
    struct rig_sent sent[RIG_MAX_SENT];
    size_t n_sent;
    uint64_t sequence; /* of the frames fed */
    bool named;        /* ... by rig_append() */
    uint64_t incarnation;
    uint64_t image_of;  /* the incarnation of snapshots; 0 = RIG_INCARNATION */
    uint32_t speaks;    /* the version of its links; 0 = today's */
    uint32_t hears;     /* ... of those by which frames come; 0 = before histories were named */
    uint64_t strangers; /* it was told of */
    uint64_t applied, applied_commands, restored, last_apply_term;
    uint8_t last_command[64];
    size_t last_command_len;
    struct repl_configuration configuration;
    unsigned failed, states;
    char why[512]; /* it failed */
    uint64_t taken;
    enum raft_driver_result taken_result;
};

/* Node `node` of `voters` nodes with the ids 1.., bootstrapped (term 1, entry 1) and started at
 * 1000 ms. */
void rig_init(struct rig *rig, uint32_t node, unsigned voters, uint32_t unwrapped);
/* Begins with what the test puts on the disk. */
void rig_init_with(struct rig *rig, uint32_t node, uint32_t unwrapped, struct sim_storage *storage);
/* Starts the driver on what the disk holds; the result of raft_driver_start. */
enum raft_driver_result rig_start(struct rig *rig);
void rig_stop(struct rig *rig); /* without a crash: the disk ends its queue */
void rig_deinit(struct rig *rig);

/* Time goes on: completions and timers when they are due. */
void rig_run(struct rig *rig, uint64_t ms);
/* Completes what the disk has, in no time (delays are kept for what follows). */
void rig_disk(struct rig *rig);

/* Feeds a frame from a peer; boot and sequence are filled in unless set. */
enum raft_driver_result rig_feed(struct rig *rig, uint32_t from, struct raft_frame frame);
/* APPEND of n entries with the indexes prev + 1.., all of `term`: kinds[i] is 'c' command, 'b'
 * barrier, or a CHANGE: 's' makes node 2 a spare, 'v' is three voters. */
enum raft_driver_result rig_append(struct rig *rig, uint32_t from, uint64_t term, uint64_t prev,
                                   uint64_t prev_term, uint64_t commit, const char *kinds);
/* Node 1 of 3 becomes the leader: pre-vote and vote are granted by 2. */
void rig_elect(struct rig *rig);

/* The newest frame of the type to the node; NULL: none. */
const struct rig_sent *rig_last(const struct rig *rig, enum raft_frame_type type, uint32_t to);

#endif
