/* Snapshot files: snapshot-<index>-<term>, written beside (temp), fsynced, renamed. A block of 64
 * KiB carries its own checksum, so that damage is found with its place.
 */
#ifndef HF_REPL_WAL_SNAPSHOT_H
#define HF_REPL_WAL_SNAPSHOT_H

#include "replication/wal_file.h"

enum { WAL_SNAPSHOT_HEADER = 128, WAL_SNAPSHOT_BLOCK = 64 << 10 };

void wal_snapshot_name(uint64_t index, uint64_t term, char name[WAL_NAME_BYTES]);
bool wal_snapshot_parse_name(const char *name, uint64_t *index, uint64_t *term);

/* Durable, name included, when it returns true. */
bool wal_snapshot_write(const struct wal_dir *d, const struct repl_snapshot_meta *meta,
                        struct span data, struct wal_error *error);

/* Reads and checks one whole; *bytes is the caller's to free(). `fd` is not taken. */
bool wal_snapshot_read(const struct wal_dir *d, const char *name, int fd,
                       struct repl_snapshot_meta *meta, uint8_t **bytes, size_t *n,
                       struct wal_error *error);

#endif
