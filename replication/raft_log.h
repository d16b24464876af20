/* The log cache of the raft driver: every entry from the trim point on, in memory, by index.
 * libraft hands out AppendEntries with indexes only and keeps terms but no data, so whoever drives
 * it must have the entries.
 *
 * May not: know raft's rules, do I/O. Memory: data + 32 bytes an entry; bounded by the driver's
 * trimming at snapshots.
 */
#ifndef HF_REPL_RAFT_LOG_H
#define HF_REPL_RAFT_LOG_H

#include "base/assert.h"
#include "replication/storage.h"

struct raft_log_entry {
    uint64_t term;
    uint8_t *data; /* owned; NULL when len is 0 */
    uint32_t len;
    enum repl_entry_kind kind;
};

/* Entries [first, first + count). Empty: the next append has the index `first`. */
struct raft_log {
    uint64_t first;
    struct raft_log_entry *ring;
    size_t capacity, head, count; /* capacity is a power of two or 0 */
    uint64_t bytes;               /* of data */
};

void raft_log_init(struct raft_log *log, uint64_t first);
void raft_log_deinit(struct raft_log *log);

/* Copies the data. False: out of memory, nothing changed. */
HF_MUST_USE bool raft_log_append(struct raft_log *log, const struct repl_entry *entry);

/* Index of the last entry; first - 1 when empty. */
uint64_t raft_log_last(const struct raft_log *log);

/* NULL when not in the cache. Valid until the next change. */
const struct raft_log_entry *raft_log_get(const struct raft_log *log, uint64_t index);

/* Entries >= index are gone. */
void raft_log_truncate(struct raft_log *log, uint64_t index);

/* Entries <= index are gone. */
void raft_log_trim(struct raft_log *log, uint64_t index);

/* Empty, next index `first`. */
void raft_log_reset(struct raft_log *log, uint64_t first);

#endif
