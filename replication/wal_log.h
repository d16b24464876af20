/* The log proper: batches appended to segments, rolls, truncations, trims. Blocking, one thread.
 *
 * entries and truncations gather in a batch -> wal_log_commit(): one write, one fdatasync.
 * "Truncate" is a record like another: the log is append-only. A segment whose every entry lies
 * below the trim goes as a whole.
 */
#ifndef HF_REPL_WAL_LOG_H
#define HF_REPL_WAL_LOG_H

#include "replication/wal_segment.h"

enum { WAL_BATCH_GOAL = 1 << 20 /* commit when a batch has grown beyond this */ };

struct wal_log_segment {
    uint64_t seq, first_index,
        max_index; /* max_index: highest entry ever written in it, 0 = none */
};

struct wal_log {
    const struct wal_dir *dir;
    uint64_t segment_bytes;
    /* the open segment: the last of `segments`; fd -1 = none yet */
    int fd;
    uint64_t seq, size, end;
    uint32_t chain;
    uint64_t next_index; /* of the next entry, batch included */
    struct wal_log_segment *segments;
    size_t n_segments, cap_segments;
    /* under construction; the first WAL_BATCH_HEADER bytes are the header's room */
    uint8_t *batch;
    size_t batch_len, batch_cap;
    uint32_t batch_records;
    uint64_t batch_first_index, batch_max_index;
    /* a segment prepared ahead */
    int offered_fd;
    uint64_t offered_seq;
    struct wal_counters *counters;
};

/* A log whose open segment is none: the next one is `seq`, its first entry `next_index`. */
void wal_log_init(struct wal_log *log, const struct wal_dir *d, uint64_t segment_bytes,
                  uint64_t seq, uint64_t next_index, struct wal_counters *counters);
void wal_log_deinit(struct wal_log *log);

/* Adds to the batch. `index` must be next_index (asserted). */
void wal_log_put(struct wal_log *log, uint64_t index, const struct repl_entry *entry);
void wal_log_put_truncate(struct wal_log *log, uint64_t index);

/* Makes the batch durable; rolls to the next segment when it does not fit. Nothing to do: true. */
HF_MUST_USE bool wal_log_commit(struct wal_log *log, struct wal_error *error);

/* Whether the commit of the present batch would begin a new segment. */
bool wal_log_would_roll(const struct wal_log *log);

/* The segment that a roll will need next, and giving it to the log (takes fd). */
uint64_t wal_log_next_seq(const struct wal_log *log);
void wal_log_offer(struct wal_log *log, uint64_t seq, int fd);

/* How many segments at the front hold only entries below `index`. */
size_t wal_log_trimmable(const struct wal_log *log, uint64_t index);
/* Forgets and removes the first n (the manifest no longer names them). */
HF_MUST_USE bool wal_log_drop(struct wal_log *log, size_t n, struct wal_error *error);
/* Forgets and removes all (the manifest says that the log begins at `seq`): the next entry is
 * next_index. */
HF_MUST_USE bool wal_log_restart(struct wal_log *log, uint64_t seq, uint64_t next_index,
                                 struct wal_error *error);

/* Used by the loader. */
void wal_log_add_segment(struct wal_log *log, uint64_t seq, uint64_t first_index,
                         uint64_t max_index);

#endif
