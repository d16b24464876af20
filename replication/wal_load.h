/* Reads the log's segments back at the start: every byte is checked. What was durable and is
 * damaged is refused with file and offset; the unsynced tail of the last segment (a write that a
 * crash tore, never acknowledged) is cut off. Where the log ends in nothing but zeros before the
 * mark, it ends there and says so: that is no damage, but a disk that kept less than it said.
 */
#ifndef HF_REPL_WAL_LOAD_H
#define HF_REPL_WAL_LOAD_H

#include "replication/wal_log.h"

enum { WAL_NOTE_BYTES = 512 };

/* The entries [first_index, first_index + n); they point into `images`. */
struct wal_loaded_log {
    uint64_t first_index;
    struct repl_entry *entries;
    size_t n, cap;
    uint8_t **images;
    size_t n_images;
    bool lost; /* what was durable by the mark was never written: zeros to the end of the log */
};

/* `mark`: up to where the log is known to be durable.
 * Fills an initialised log (wal_log_init with the manifest's segment and index) and *out; removes
 * segments that the manifest no longer names. `note`: what was repaired, appended to. */
HF_MUST_USE bool wal_load_log(struct wal_log *log, uint64_t first_seq, const struct wal_mark *mark,
                              struct wal_loaded_log *out, char note[WAL_NOTE_BYTES],
                              struct wal_error *error);
void wal_loaded_log_deinit(struct wal_loaded_log *l);

void wal_note(char note[WAL_NOTE_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
