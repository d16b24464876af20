/* What the two files of the in-memory disk share; nobody else includes it. */
#ifndef HF_SIM_STORAGE_INTERNAL_H
#define HF_SIM_STORAGE_INTERNAL_H

#include "sim/sim_storage.h"

/* One queued operation; owns its bytes. */
struct operation {
    enum repl_storage_op op;
    uint64_t due_ms, taken_ms, index, term;
    uint32_t vote;
    enum repl_distrust distrust;
    struct repl_entry *entries;
    size_t n;
    struct repl_snapshot_meta meta;
    uint8_t *data;
    size_t len;
    enum repl_draft draft;
    bool closed;
    uint64_t generation, offset; /* DRAFT; READ */
    uint32_t reader;
};

/* A draft holds what was written to it; nothing of it survives a crash. */
struct draft {
    struct repl_snapshot_meta meta;
    uint8_t *data;
    size_t len;
    uint64_t generation;
    bool open, closed; /* closed: and its completion was told */
};

struct sim_storage {
    struct sim_random random;
    const uint64_t *now_ms;
    uint32_t min_ms, max_ms;
    bool failing, full;
    bool no_room;  /* full, for the log as well */
    bool was_full; /* what fails, fails for that */
    bool failed;   /* an operation did: none behind it counts */
    struct sim_storage_counters counters;
    struct operation *queue; /* [0, queued) in order */
    size_t queued, capacity;
    struct draft drafts[REPL_DRAFTS];
    uint64_t last_due_ms;
    uint64_t moved_ms; /* newest completion, or when the queue became non-empty */
    /* durable */
    uint64_t term, high_water, first;
    uint32_t voted_for;
    enum repl_distrust distrust;
    struct repl_entry *log;
    size_t n_log, log_capacity;
    struct repl_entry genesis; /* a founder's */
    bool founds;
    struct repl_snapshot_meta snapshot;
    uint8_t *snapshot_data;
    size_t snapshot_len;
};

static inline uint64_t sim_storage_last(const struct sim_storage *s)
{
    return s->first + s->n_log - 1;
}

#endif
