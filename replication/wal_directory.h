/* The data directory's own files: identity and lock, vote, manifest; and --init. */
#ifndef HF_REPL_WAL_DIRECTORY_H
#define HF_REPL_WAL_DIRECTORY_H

#include "replication/wal_core.h"

/* Fills *d, takes the lock and checks that the directory was made for this node. On false the lock
 * may be held: *lock_fd >= 0. */
bool wal_directory_open(struct wal_dir *d, const struct wal_options *options, int *lock_fd,
                        struct wal_error *error);

bool wal_directory_open_vote(const struct wal_dir *d, struct wal_slots *s, uint64_t *term,
                             uint32_t *voted_for, struct wal_error *error);
bool wal_directory_store_vote(const struct wal_dir *d, struct wal_slots *s, uint64_t term,
                              uint32_t voted_for, struct wal_error *error);
bool wal_directory_load_manifest(const struct wal_dir *d, struct wal_manifest *m,
                                 struct wal_error *error);
bool wal_directory_store_manifest(const struct wal_dir *d, const struct wal_manifest *m,
                                  struct wal_error *error);

#endif
