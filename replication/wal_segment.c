#include "replication/wal_segment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"

static const uint8_t segment_magic[8] = {'H', 'F', 'L', 'O', 'G', '0', '0', '1'};
static const uint32_t batch_magic = 0x48464254u; /* "HFBT" */

enum { ZERO_CHUNK = 256 << 10 };

void wal_segment_name(uint64_t seq, char name[WAL_NAME_BYTES])
{
    (void)snprintf(name, WAL_NAME_BYTES, "log-%016llx", (unsigned long long)seq);
}

bool wal_segment_parse_name(const char *name, uint64_t *seq)
{
    char again[WAL_NAME_BYTES];
    char *end = NULL;

    if (strncmp(name, "log-", 4) != 0)
        return false;
    *seq = strtoull(name + 4, &end, 16);
    wal_segment_name(*seq, again);
    return strcmp(name, again) == 0;
}

static uint32_t seal(const uint8_t id[WAL_ID_BYTES], uint8_t *bytes, size_t n)
{
    uint32_t crc = crc32c(crc32c(0, id, WAL_ID_BYTES), bytes, n - 4);

    put_be32(bytes + n - 4, crc);
    return crc;
}

static bool sealed(const uint8_t id[WAL_ID_BYTES], const uint8_t *bytes, size_t n)
{
    return get_be32(bytes + n - 4) == crc32c(crc32c(0, id, WAL_ID_BYTES), bytes, n - 4);
}

/* magic 8, seq 8, first_index 8, prev_end 8, prev_chain 4, zeros, CRC 4 */
uint32_t wal_segment_header_encode(const uint8_t id[WAL_ID_BYTES],
                                   const struct wal_segment_header *h,
                                   uint8_t out[WAL_SEGMENT_HEADER])
{
    memset(out, 0, WAL_SEGMENT_HEADER);
    memcpy(out, segment_magic, sizeof segment_magic);
    put_be64(out + 8, h->seq);
    put_be64(out + 16, h->first_index);
    put_be64(out + 24, h->prev_end);
    put_be32(out + 32, h->prev_chain);
    return seal(id, out, WAL_SEGMENT_HEADER);
}

bool wal_segment_header_decode(const uint8_t id[WAL_ID_BYTES], const uint8_t in[WAL_SEGMENT_HEADER],
                               struct wal_segment_header *h, uint32_t *chain)
{
    if (memcmp(in, segment_magic, sizeof segment_magic) != 0 || !sealed(id, in, WAL_SEGMENT_HEADER))
        return false;
    *h = (struct wal_segment_header){.seq = get_be64(in + 8),
                                     .first_index = get_be64(in + 16),
                                     .prev_end = get_be64(in + 24),
                                     .prev_chain = get_be32(in + 32)};
    *chain = get_be32(in + WAL_SEGMENT_HEADER - 4);
    return true;
}

/* magic 4, body_bytes 4, seq 8, offset 8, prev_chain 4, body_crc 4, records 4, CRC 4 */
uint32_t wal_batch_header_encode(const uint8_t id[WAL_ID_BYTES], const struct wal_batch_header *h,
                                 uint8_t out[WAL_BATCH_HEADER])
{
    put_be32(out, batch_magic);
    put_be32(out + 4, h->body_bytes);
    put_be64(out + 8, h->seq);
    put_be64(out + 16, h->offset);
    put_be32(out + 24, h->prev_chain);
    put_be32(out + 28, h->body_crc);
    put_be32(out + 32, h->records);
    return seal(id, out, WAL_BATCH_HEADER);
}

bool wal_batch_header_decode(const uint8_t id[WAL_ID_BYTES], const uint8_t in[WAL_BATCH_HEADER],
                             struct wal_batch_header *h, uint32_t *chain)
{
    if (get_be32(in) != batch_magic || !sealed(id, in, WAL_BATCH_HEADER))
        return false;
    *h = (struct wal_batch_header){.body_bytes = get_be32(in + 4),
                                   .seq = get_be64(in + 8),
                                   .offset = get_be64(in + 16),
                                   .prev_chain = get_be32(in + 24),
                                   .body_crc = get_be32(in + 28),
                                   .records = get_be32(in + 32)};
    *chain = get_be32(in + WAL_BATCH_HEADER - 4);
    return true;
}

size_t wal_record_bytes(size_t data_len)
{
    return WAL_RECORD_HEADER + (data_len + 7) / 8 * 8;
}

/* length of the data 4, kind 1, zero 3, index 8, term 8 */
void wal_record_encode(const struct wal_record *r, uint8_t *out)
{
    memset(out, 0, WAL_RECORD_HEADER);
    put_be32(out, (uint32_t)r->data.len);
    out[4] = r->kind;
    put_be64(out + 8, r->index);
    put_be64(out + 16, r->term);
    if (r->data.len > 0)
        memcpy(out + WAL_RECORD_HEADER, r->data.data, r->data.len);
    memset(out + WAL_RECORD_HEADER + r->data.len, 0,
           wal_record_bytes(r->data.len) - WAL_RECORD_HEADER - r->data.len);
}

bool wal_record_decode(struct span *body, struct wal_record *r)
{
    size_t data_len, whole;

    if (body->len < WAL_RECORD_HEADER)
        return false;
    data_len = get_be32(body->data);
    if (data_len > REPL_MAX_ENTRY_BYTES)
        return false;
    whole = wal_record_bytes(data_len);
    if (body->len < whole)
        return false;
    *r = (struct wal_record){.kind = body->data[4],
                             .index = get_be64(body->data + 8),
                             .term = get_be64(body->data + 16),
                             .data = span_of(body->data + WAL_RECORD_HEADER, data_len)};
    body->data += whole;
    body->len -= whole;
    return (r->kind >= REPL_ENTRY_COMMAND && r->kind <= REPL_ENTRY_CHANGE) ||
           (r->kind == WAL_RECORD_TRUNCATE && data_len == 0);
}

/* Zeros are written, not only reserved: a later fdatasync then has data to write but no metadata.
 */
static bool fill_zeros(const struct wal_dir *d, const char *name, int fd, uint64_t bytes,
                       struct wal_error *error)
{
    static const uint8_t zeros[ZERO_CHUNK];

    for (uint64_t at = 0; at < bytes; at += ZERO_CHUNK) {
        size_t n = bytes - at < ZERO_CHUNK ? (size_t)(bytes - at) : ZERO_CHUNK;

        if (!wal_file_write(d, name, fd, zeros, n, at, error))
            return false;
    }
    return true;
}

int wal_segment_prepare(const struct wal_dir *d, uint64_t seq, uint64_t bytes,
                        struct wal_error *error)
{
    char name[WAL_NAME_BYTES];
    int fd, r;

    wal_segment_name(seq, name);
    fd = wal_file_open(d, name, O_RDWR | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return -1;
    if (!fill_zeros(d, name, fd, bytes, error))
        goto fail;
    r = d->fs->fsync(d->fs->self, fd);
    if (r < 0) {
        (void)wal_fail_sys(d, name, "fsync failed", r, error);
        goto fail;
    }
    if (!wal_dir_sync(d, error))
        goto fail;
    return fd;
fail:
    wal_file_close(d, fd);
    return -1;
}
