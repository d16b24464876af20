/* A cluster that begins anew from this directory (recover.h), as far as the disk is concerned: an
 * order to do so at the next start, and the one atomic change that does it. Blocking.
 *
 *   order    "recover", a small file, replaced whole: the incarnation that is to begin, the operator's word
 *   replace  term (harmless alone) ─> draft, durable ─> its name ─> manifest: THE change ─> old log goes
 */
#ifndef HF_REPL_WAL_RECOVER_H
#define HF_REPL_WAL_RECOVER_H

#include "replication/replica.h"
#include "replication/wal_core.h"

/* Durable when it returns true. */
HF_MUST_USE bool wal_order_store(const struct wal_dir *d, uint64_t incarnation,
                                 const struct repl_word *word, struct wal_error *error);
/* *incarnation 0: there is none. One of a program that wrote no word down has an empty one. */
HF_MUST_USE bool wal_order_load(const struct wal_dir *d, uint64_t *incarnation,
                                struct repl_word *word, struct wal_error *error);
HF_MUST_USE bool wal_order_drop(const struct wal_dir *d, struct wal_error *error);
/* Is there one? Looks for the name only: before the directory is opened. fs NULL: the kernel's. */
bool wal_order_exists(const struct wal_fs *fs, const char *directory);

/* The snapshot becomes all that this node has: its index is behind everything that the log holds, its
 * term behind the present one. A crash at any step leaves either the old or the new. What
 * was lost before is of no meaning then: the directory is trusted. */
HF_MUST_USE bool wal_core_replace(struct wal_core *core, const struct repl_snapshot_meta *meta,
                                  struct span bytes, struct wal_error *error);

#endif
