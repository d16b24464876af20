/* What one that is no member says to Raft of one that is: given to the core as the transport would. */
#ifndef HF_TEST_REPL_OUTSIDER_H
#define HF_TEST_REPL_OUTSIDER_H

#include "replication/raft_frame.h"
#include "replication/replica_parts.h"
#include "unit/repl/rig.h"

enum { OUTSIDER_AHEAD = 100 };

static inline uint64_t outsider_term(struct rig *rig, uint32_t node)
{
    return raft_driver_status(replica_driver(rig_node(rig, node)->replica)).term;
}

/* In order, of the cluster's own history, with a term that is higher than any. */
static inline void outsider_says(struct rig *rig, uint32_t from, uint32_t to, struct raft_frame f)
{
    static uint64_t sequence;
    uint8_t bytes[RAFT_FRAME_SMALL_BYTES + RAFT_FRAME_ENTRY_BYTES + RAFT_CHANGE_BYTES];
    size_t n;

    f.boot = 4711;
    f.sequence = ++sequence;
    f.term = outsider_term(rig, to) + OUTSIDER_AHEAD;
    f.named = true;
    f.incarnation = replica_incarnation(rig_node(rig, to)->replica);
    n = raft_frame_encode(&f, bytes);
    if (f.entries.len > 0)
        memcpy(bytes + n, f.entries.data, f.entries.len);
    replica_frame(rig_node(rig, to)->replica, rig->now_ms * 1000000, from, REPL_CHANNEL_RAFT,
                  span_of(bytes, n + f.entries.len));
}

/* A leader's heartbeat. */
static inline void outsider_leads(struct rig *rig, uint32_t from, uint32_t to)
{
    const struct raft_driver *d = replica_driver(rig_node(rig, to)->replica);
    const uint64_t last = raft_driver_status(d).last_index;

    outsider_says(rig, from, to,
                  (struct raft_frame){.type = RAFT_FRAME_APPEND,
                                      .index = last,
                                      .index_term = raft_driver_term_of(d, last)});
}

/* As a leader behind the end of that node's log: a configuration, and that all is committed or nothing. */
static inline void outsider_appends(struct rig *rig, uint32_t from, uint32_t to,
                                    struct repl_configuration c, bool committed)
{
    const struct replica *r = rig_node(rig, to)->replica;
    const struct raft_driver_status s = raft_driver_status(replica_driver(r));
    uint8_t data[RAFT_CHANGE_BYTES], run[RAFT_FRAME_ENTRY_BYTES + RAFT_CHANGE_BYTES];
    struct repl_entry entry = {.term = s.term + OUTSIDER_AHEAD, .kind = REPL_ENTRY_CHANGE};
    size_t n;

    entry.data = span_of(data, raft_change_put(&c, data));
    n = raft_frame_encode_entry(&entry, run);
    outsider_says(rig, from, to,
                  (struct raft_frame){.type = RAFT_FRAME_APPEND,
                                      .index = s.last_index,
                                      .index_term = raft_driver_term_of(r->driver, s.last_index),
                                      .commit = committed ? s.last_index + 1 : 0,
                                      .n_entries = 1,
                                      .entries = span_of(run, n)});
    (void)rig_run(rig, 20, NULL, 0);
}

/* ... that names itself beside those that are there. */
static inline void outsider_appends_itself(struct rig *rig, uint32_t from, uint32_t to,
                                           bool committed)
{
    struct repl_configuration c = replica_newest_configuration(rig_node(rig, to)->replica);

    c.servers[c.n_servers++] = (struct repl_server){.node = from, .role = RAFT_DRIVER_VOTER};
    outsider_appends(rig, from, to, c, committed);
}

#endif
