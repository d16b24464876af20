/* The bytes of a log segment: how batches and records are laid out, written down once for writer
 * and loader. Pure but for wal_segment_prepare().
 *
 *   segment   header (64 bytes) | batch | batch | ... | zeros up to the segment's size
 *   batch     header (40 bytes) | records; one write and one fdatasync; all or nothing (checksum)
 *   record    length, kind, index, term (24 bytes) | data | zeros up to a multiple of 8
 *
 * Each header carries the checksum of what stands before it (chain), and the directory's id is in
 * every checksum, so a batch of another place, segment or directory does not pass. A batch is
 * written only after everything before it was fdatasynced: so a valid batch header proves that all
 * bytes before it were durable, and damage there is corruption, not a torn write.
 */
#ifndef HF_REPL_WAL_SEGMENT_H
#define HF_REPL_WAL_SEGMENT_H

#include "replication/wal_file.h"

enum {
    WAL_SEGMENT_HEADER = 64,
    WAL_BATCH_HEADER = 40,
    WAL_RECORD_HEADER = 24,
    WAL_RECORD_TRUNCATE = 9 /* kinds below are enum repl_entry_kind */
};

struct wal_segment_header {
    uint64_t seq;         /* in the file's name; counts up, never reused */
    uint64_t first_index; /* of the next entry when the segment began */
    uint64_t prev_end;    /* bytes in use in the segment before it */
    uint32_t prev_chain;  /* and its last checksum; both 0 in the first of a log */
};

struct wal_batch_header {
    uint32_t body_bytes, body_crc, prev_chain, records;
    uint64_t seq, offset; /* where it stands */
};

struct wal_record {
    uint8_t kind;
    uint64_t index, term;
    struct span data;
};

/* "log-" and 16 hex digits. */
void wal_segment_name(uint64_t seq, char name[WAL_NAME_BYTES]);
bool wal_segment_parse_name(const char *name, uint64_t *seq);

/* Encoders return the header's own checksum: the chain that the next one carries. */
uint32_t wal_segment_header_encode(const uint8_t id[WAL_ID_BYTES],
                                   const struct wal_segment_header *h,
                                   uint8_t out[WAL_SEGMENT_HEADER]);
bool wal_segment_header_decode(const uint8_t id[WAL_ID_BYTES], const uint8_t in[WAL_SEGMENT_HEADER],
                               struct wal_segment_header *h, uint32_t *chain);
uint32_t wal_batch_header_encode(const uint8_t id[WAL_ID_BYTES], const struct wal_batch_header *h,
                                 uint8_t out[WAL_BATCH_HEADER]);
bool wal_batch_header_decode(const uint8_t id[WAL_ID_BYTES], const uint8_t in[WAL_BATCH_HEADER],
                             struct wal_batch_header *h, uint32_t *chain);

/* Bytes of a record with `data_len` bytes of data. */
size_t wal_record_bytes(size_t data_len);
void wal_record_encode(const struct wal_record *r, uint8_t *out);
/* Takes one record off *body. False: malformed. */
bool wal_record_decode(struct span *body, struct wal_record *r);

/* Makes the file of segment `seq`, zero-filled and durable, name included: nothing remains to be
 * done when it is begun. Any thread. The descriptor or -1. */
int wal_segment_prepare(const struct wal_dir *d, uint64_t seq, uint64_t bytes,
                        struct wal_error *error);

#endif
