/* Whether a disk has less than it said was durable, by what stands on it alone (I10). The write-ahead log asks it at
 * each start, and so does the tests' disk. The vote's age is judged by the driver (raft_driver_judge()), for both. */
#ifndef HF_REPL_WAL_LOSS_H
#define HF_REPL_WAL_LOSS_H

#include <stdbool.h>
#include <stdint.h>

/* The last index that must be there: what the high-water mark says was durable, and what the snapshot holds. */
uint64_t wal_loss_must_have(uint64_t mark, uint64_t snapshot);
/* last: the log's last entry, the snapshot's where it has none. */
bool wal_loss_found(uint64_t last, uint64_t mark, uint64_t snapshot);

#endif
