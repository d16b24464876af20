#include "replication/wal_log.h"

#include <stdlib.h>
#include <string.h>

#include "replication/crc32c.h"

void wal_log_init(struct wal_log *log, const struct wal_dir *d, uint64_t segment_bytes,
                  uint64_t seq, uint64_t next_index, struct wal_counters *counters)
{
    *log = (struct wal_log){.dir = d,
                            .segment_bytes = segment_bytes,
                            .fd = -1,
                            .seq = seq - 1,
                            .next_index = next_index,
                            .batch_len = WAL_BATCH_HEADER,
                            .offered_fd = -1,
                            .counters = counters};
}

void wal_log_deinit(struct wal_log *log)
{
    wal_file_close(log->dir, log->fd);
    wal_file_close(log->dir, log->offered_fd);
    free(log->segments);
    free(log->batch);
    *log = (struct wal_log){.fd = -1, .offered_fd = -1};
}

static void *grow(void *p, size_t n)
{
    void *bigger = realloc(p, n);

    HF_ASSERT(bigger != NULL);
    return bigger;
}

void wal_log_add_segment(struct wal_log *log, uint64_t seq, uint64_t first_index,
                         uint64_t max_index)
{
    if (log->n_segments == log->cap_segments) {
        log->cap_segments = log->cap_segments == 0 ? 16 : 2 * log->cap_segments;
        log->segments = grow(log->segments, log->cap_segments * sizeof *log->segments);
    }
    log->segments[log->n_segments++] =
        (struct wal_log_segment){.seq = seq, .first_index = first_index, .max_index = max_index};
}

static void put_record(struct wal_log *log, const struct wal_record *r)
{
    size_t need = log->batch_len + wal_record_bytes(r->data.len);

    if (need > log->batch_cap) {
        log->batch_cap = need < 64 << 10 ? 64 << 10 : 2 * need;
        log->batch = grow(log->batch, log->batch_cap);
    }
    if (log->batch_records == 0)
        log->batch_first_index = log->next_index;
    wal_record_encode(r, log->batch + log->batch_len);
    log->batch_len = need;
    log->batch_records++;
}

void wal_log_put(struct wal_log *log, uint64_t index, const struct repl_entry *entry)
{
    HF_ASSERT(index == log->next_index);
    HF_ASSERT(entry->data.len <= REPL_MAX_ENTRY_BYTES);
    HF_ASSERT(entry->kind >= REPL_ENTRY_COMMAND && entry->kind <= REPL_ENTRY_CHANGE);
    put_record(log, &(struct wal_record){.kind = (uint8_t)entry->kind,
                                         .index = index,
                                         .term = entry->term,
                                         .data = entry->data});
    if (index > log->batch_max_index)
        log->batch_max_index = index;
    log->next_index = index + 1;
}

void wal_log_put_truncate(struct wal_log *log, uint64_t index)
{
    if (index >= log->next_index)
        return;
    put_record(log, &(struct wal_record){.kind = WAL_RECORD_TRUNCATE, .index = index});
    log->next_index = index;
}

bool wal_log_would_roll(const struct wal_log *log)
{
    return log->batch_records > 0 && (log->fd < 0 || log->end + log->batch_len > log->size);
}

uint64_t wal_log_next_seq(const struct wal_log *log)
{
    return log->seq + 1;
}

void wal_log_offer(struct wal_log *log, uint64_t seq, int fd)
{
    HF_ASSERT(log->offered_fd < 0 && seq == wal_log_next_seq(log));
    log->offered_fd = fd;
    log->offered_seq = seq;
}

/* Takes the prepared segment, or makes one (also when the batch is longer than a segment). */
static bool roll(struct wal_log *log, struct wal_error *error)
{
    uint64_t seq = wal_log_next_seq(log);
    uint64_t bytes = log->segment_bytes;
    int fd = log->offered_fd;

    log->offered_fd = -1;
    log->counters->rolls++;
    if (WAL_SEGMENT_HEADER + log->batch_len > bytes) {
        bytes = (WAL_SEGMENT_HEADER + log->batch_len + 4095) / 4096 * 4096;
        wal_file_close(log->dir, fd);
        fd = -1;
    }
    if (fd < 0) {
        log->counters->rolls_waited++;
        fd = wal_segment_prepare(log->dir, seq, bytes, error);
        if (fd < 0)
            return false;
    }
    wal_file_close(log->dir, log->fd);
    log->fd = fd;
    log->size = bytes;
    log->seq = seq;
    wal_log_add_segment(log, seq, log->batch_first_index, 0);
    return true;
}

/* The header of a fresh segment goes out with its first batch, in one fdatasync. */
static bool write_header(struct wal_log *log, uint64_t prev_end, uint32_t prev_chain,
                         struct wal_error *error)
{
    uint8_t header[WAL_SEGMENT_HEADER];
    char name[WAL_NAME_BYTES];

    log->chain = wal_segment_header_encode(log->dir->id,
                                           &(struct wal_segment_header){
                                               .seq = log->seq,
                                               .first_index = log->batch_first_index,
                                               .prev_end = prev_end,
                                               .prev_chain = prev_chain,
                                           },
                                           header);
    log->end = WAL_SEGMENT_HEADER;
    wal_segment_name(log->seq, name);
    return wal_file_write(log->dir, name, log->fd, header, sizeof header, 0, error);
}

bool wal_log_commit(struct wal_log *log, struct wal_error *error)
{
    uint64_t prev_end = log->end;
    uint32_t prev_chain = log->chain;
    struct wal_log_segment *open_segment;
    char name[WAL_NAME_BYTES];

    if (log->batch_records == 0)
        return true;
    if (wal_log_would_roll(log) &&
        !(roll(log, error) && write_header(log, prev_end, prev_chain, error)))
        return false;
    log->chain = wal_batch_header_encode(
        log->dir->id,
        &(struct wal_batch_header){
            .body_bytes = (uint32_t)(log->batch_len - WAL_BATCH_HEADER),
            .body_crc = crc32c(0, log->batch + WAL_BATCH_HEADER, log->batch_len - WAL_BATCH_HEADER),
            .prev_chain = log->chain,
            .records = log->batch_records,
            .seq = log->seq,
            .offset = log->end,
        },
        log->batch);
    wal_segment_name(log->seq, name);
    if (!wal_file_write(log->dir, name, log->fd, log->batch, log->batch_len, log->end, error) ||
        !wal_file_fdatasync(log->dir, name, log->fd, error))
        return false;
    open_segment = &log->segments[log->n_segments - 1];
    if (log->batch_max_index > open_segment->max_index)
        open_segment->max_index = log->batch_max_index;
    log->end += log->batch_len;
    log->counters->batches++;
    log->counters->syncs++;
    log->counters->bytes += log->batch_len;
    log->batch_len = WAL_BATCH_HEADER;
    log->batch_records = 0;
    log->batch_max_index = 0;
    return true;
}

size_t wal_log_trimmable(const struct wal_log *log, uint64_t index)
{
    size_t n = 0;

    while (n + 1 < log->n_segments && log->segments[n].max_index < index)
        n++;
    return n;
}

bool wal_log_drop(struct wal_log *log, size_t n, struct wal_error *error)
{
    HF_ASSERT(n <= log->n_segments);
    if (n == 0)
        return true;
    for (size_t i = 0; i < n; i++) {
        char name[WAL_NAME_BYTES];

        wal_segment_name(log->segments[i].seq, name);
        if (!wal_file_unlink(log->dir, name, error))
            return false;
    }
    memmove(log->segments, log->segments + n, (log->n_segments - n) * sizeof *log->segments);
    log->n_segments -= n;
    return true;
}

bool wal_log_restart(struct wal_log *log, uint64_t seq, uint64_t next_index,
                     struct wal_error *error)
{
    HF_ASSERT(log->batch_records == 0 && seq == wal_log_next_seq(log));
    wal_file_close(log->dir, log->fd);
    log->fd = -1;
    log->size = log->end = 0;
    log->chain = 0;
    log->next_index = next_index;
    return wal_log_drop(log, log->n_segments, error);
}
