/* A small value that is rewritten often: two sectors of one file, written in turn, the valid one
 * with the higher counter counts. A write costs one fdatasync and no change of metadata (a
 * replacement by rename costs two journal commits).
 *
 * A sector is written whole or not at all. So an invalid one is damage, and STRICT refuses it: it
 * may have been the newer. A value that may lag anyway is read from whichever sector is valid.
 */
#ifndef HF_REPL_WAL_SLOTS_H
#define HF_REPL_WAL_SLOTS_H

#include "replication/wal.h"

struct wal_dir;

enum { WAL_SLOT_BYTES = 512, WAL_SLOT_PAYLOAD = 32 };

struct wal_slots {
    int fd;
    uint64_t counter;
};

/* Makes the file by temp and rename; durable when it returns true. */
bool wal_slots_create(const struct wal_dir *d, const char *name,
                      const uint8_t payload[WAL_SLOT_PAYLOAD], struct wal_error *error);
bool wal_slots_open(const struct wal_dir *d, const char *name, bool strict, struct wal_slots *s,
                    uint8_t payload[WAL_SLOT_PAYLOAD], struct wal_error *error);
/* Without a sync it is at once in the page cache: it survives the process, but not a loss of power.
 */
bool wal_slots_write(const struct wal_dir *d, const char *name, struct wal_slots *s,
                     const uint8_t payload[WAL_SLOT_PAYLOAD], bool sync, struct wal_error *error);

#endif
