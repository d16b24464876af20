/* Snapshot files: snapshot-<index>-<term>, written beside as a draft (wal_draft.h), then renamed. A
 * block of 64 KiB carries its own checksum, so that damage is found with its place, and so that a
 * part can be read and checked by itself.
 */
#ifndef HF_REPL_WAL_SNAPSHOT_H
#define HF_REPL_WAL_SNAPSHOT_H

#include "replication/wal_file.h"

enum { WAL_SNAPSHOT_HEADER = 128, WAL_SNAPSHOT_BLOCK = REPL_READ_UNIT, WAL_SNAPSHOT_CRC = 4 };

void wal_snapshot_name(uint64_t index, uint64_t term, char name[WAL_NAME_BYTES]);
bool wal_snapshot_parse_name(const char *name, uint64_t *index, uint64_t *term);

void wal_snapshot_header_encode(const struct wal_dir *d, const struct repl_snapshot_meta *meta,
                                uint64_t data_len, uint8_t header[WAL_SNAPSHOT_HEADER]);
/* What every block's checksum begins with: the directory and the snapshot, but for its length. */
uint32_t wal_snapshot_seed(const struct wal_dir *d, const struct repl_snapshot_meta *meta);
/* Writes the checksum of block `number` behind its n bytes: blocks cannot change places. */
void wal_snapshot_seal_block(uint32_t seed, uint64_t number, uint8_t *bytes, size_t n);

/* One that is open for reading. `fd` stays the caller's. */
struct wal_snapshot_file {
    struct repl_snapshot_meta meta;
    uint64_t data_len;
    uint32_t seed;
};

bool wal_snapshot_open(const struct wal_dir *d, const char *name, int fd,
                       struct wal_snapshot_file *file, struct wal_error *error);
/* At most n bytes from `offset` on, checked; both multiples of WAL_SNAPSHOT_BLOCK. *got: how many;
 * `out` holds n. */
bool wal_snapshot_read_part(const struct wal_dir *d, const char *name, int fd,
                            const struct wal_snapshot_file *file, uint64_t offset, uint8_t *out,
                            size_t n, size_t *got, struct wal_error *error);

/* Reads and checks one whole; *bytes is the caller's to free(). */
bool wal_snapshot_read(const struct wal_dir *d, const char *name, int fd,
                       struct repl_snapshot_meta *meta, uint8_t **bytes, size_t *n,
                       struct wal_error *error);

#endif
