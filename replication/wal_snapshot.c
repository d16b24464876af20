#include "replication/wal_snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"

static const uint8_t magic[8] = {'H', 'F', 'S', 'N', 'A', 'P', '0', '1'};

enum {
    SERVERS_AT = 48,
    SERVER_BYTES = 8,
    BLOCKS_A_WRITE = 16,
    BLOCKS_A_SYNC = 8 * BLOCKS_A_WRITE, /* one fsync of it all could look like a hung disk */
    CRC_BYTES = 4
};
HF_STATIC_ASSERT(SERVERS_AT + REPL_MAX_SERVERS * SERVER_BYTES + CRC_BYTES <= WAL_SNAPSHOT_HEADER);

void wal_snapshot_name(uint64_t index, uint64_t term, char name[WAL_NAME_BYTES])
{
    (void)snprintf(name, WAL_NAME_BYTES, "snapshot-%016llx-%016llx", (unsigned long long)index,
                   (unsigned long long)term);
}

bool wal_snapshot_parse_name(const char *name, uint64_t *index, uint64_t *term)
{
    char again[WAL_NAME_BYTES];
    char *end = NULL;

    if (strncmp(name, "snapshot-", 9) != 0)
        return false;
    *index = strtoull(name + 9, &end, 16);
    if (*end != '-')
        return false;
    *term = strtoull(end + 1, &end, 16);
    wal_snapshot_name(*index, *term, again);
    return strcmp(name, again) == 0;
}

/* magic 8, index 8, term 8, bytes of data 8, configuration: index 8, servers 1, zero 7, then 8 a
 * server; CRC in the last 4. */
static uint32_t encode_header(const struct wal_dir *d, const struct repl_snapshot_meta *m,
                              uint64_t data_len, uint8_t h[WAL_SNAPSHOT_HEADER])
{
    uint32_t crc;

    HF_ASSERT(m->configuration.n_servers <= REPL_MAX_SERVERS);
    memset(h, 0, WAL_SNAPSHOT_HEADER);
    memcpy(h, magic, sizeof magic);
    put_be64(h + 8, m->index);
    put_be64(h + 16, m->term);
    put_be64(h + 24, data_len);
    put_be64(h + 32, m->configuration.index);
    h[40] = m->configuration.n_servers;
    for (size_t i = 0; i < m->configuration.n_servers; i++) {
        put_be32(h + SERVERS_AT + i * SERVER_BYTES, m->configuration.servers[i].node);
        h[SERVERS_AT + i * SERVER_BYTES + 4] = m->configuration.servers[i].role;
    }
    crc = crc32c(crc32c(0, d->id, sizeof d->id), h, WAL_SNAPSHOT_HEADER - CRC_BYTES);
    put_be32(h + WAL_SNAPSHOT_HEADER - CRC_BYTES, crc);
    return crc;
}

static bool decode_header(const struct wal_dir *d, const uint8_t h[WAL_SNAPSHOT_HEADER],
                          struct repl_snapshot_meta *m, uint64_t *data_len, uint32_t *seed)
{
    uint8_t again[WAL_SNAPSHOT_HEADER];

    *m = (struct repl_snapshot_meta){.index = get_be64(h + 8), .term = get_be64(h + 16)};
    *data_len = get_be64(h + 24);
    m->configuration.index = get_be64(h + 32);
    m->configuration.n_servers = h[40];
    if (h[40] > REPL_MAX_SERVERS || *data_len > REPL_MAX_SNAPSHOT_BYTES)
        return false;
    for (size_t i = 0; i < h[40]; i++)
        m->configuration.servers[i] =
            (struct repl_server){.node = get_be32(h + SERVERS_AT + i * SERVER_BYTES),
                                 .role = h[SERVERS_AT + i * SERVER_BYTES + 4]};
    *seed = encode_header(d, m, *data_len, again);
    return memcmp(again, h, WAL_SNAPSHOT_HEADER) == 0;
}

/* The block's number is in its checksum: blocks cannot change places. */
static uint32_t block_crc(uint32_t seed, uint64_t number, const uint8_t *bytes, size_t n)
{
    uint8_t at[8];

    put_be64(at, number);
    return crc32c(crc32c(seed, at, sizeof at), bytes, n);
}

static size_t block_len(size_t data_len, uint64_t number)
{
    size_t from = (size_t)number * WAL_SNAPSHOT_BLOCK;

    return data_len - from < WAL_SNAPSHOT_BLOCK ? data_len - from : WAL_SNAPSHOT_BLOCK;
}

static uint64_t block_count(size_t data_len)
{
    return (data_len + WAL_SNAPSHOT_BLOCK - 1) / WAL_SNAPSHOT_BLOCK;
}

static bool write_blocks(const struct wal_dir *d, const char *name, int fd, uint32_t seed,
                         struct span data, struct wal_error *error)
{
    uint8_t *buf = malloc(BLOCKS_A_WRITE * (WAL_SNAPSHOT_BLOCK + CRC_BYTES));
    uint64_t offset = WAL_SNAPSHOT_HEADER;
    uint64_t blocks = block_count(data.len);
    bool ok = true;

    HF_ASSERT(buf != NULL);
    for (uint64_t i = 0; ok && i < blocks;) {
        size_t used = 0;

        for (int k = 0; k < BLOCKS_A_WRITE && i < blocks; k++, i++) {
            size_t n = block_len(data.len, i);

            memcpy(buf + used, data.data + i * WAL_SNAPSHOT_BLOCK, n);
            put_be32(buf + used + n, block_crc(seed, i, buf + used, n));
            used += n + CRC_BYTES;
        }
        ok = wal_file_write(d, name, fd, buf, used, offset, error);
        if (ok && i % BLOCKS_A_SYNC == 0)
            ok = wal_file_fdatasync(d, name, fd, error);
        offset += used;
    }
    free(buf);
    return ok;
}

bool wal_snapshot_write(const struct wal_dir *d, const struct repl_snapshot_meta *meta,
                        struct span data, struct wal_error *error)
{
    uint8_t header[WAL_SNAPSHOT_HEADER];
    char name[WAL_NAME_BYTES];
    char temp[WAL_NAME_BYTES + 4];
    uint32_t seed = encode_header(d, meta, data.len, header);
    int fd;

    HF_ASSERT(data.len <= REPL_MAX_SNAPSHOT_BYTES);
    wal_snapshot_name(meta->index, meta->term, name);
    (void)snprintf(temp, sizeof temp, "%s.tmp", name);
    fd = wal_file_open(d, temp, O_RDWR | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return false;
    if (!wal_file_write(d, temp, fd, header, sizeof header, 0, error) ||
        !write_blocks(d, temp, fd, seed, data, error)) {
        wal_file_close(d, fd);
        return false;
    }
    return wal_file_commit(d, name, fd, error);
}

static bool read_blocks(const struct wal_dir *d, const char *name, int fd, uint32_t seed,
                        uint8_t *out, size_t data_len, struct wal_error *error)
{
    uint64_t offset = WAL_SNAPSHOT_HEADER;

    for (uint64_t i = 0; i < block_count(data_len); i++) {
        uint8_t *at = out + i * WAL_SNAPSHOT_BLOCK;
        size_t n = block_len(data_len, i);
        uint8_t crc[CRC_BYTES];

        if (!wal_file_read(d, name, fd, at, n, offset, error) ||
            !wal_file_read(d, name, fd, crc, sizeof crc, offset + n, error))
            return false;
        if (get_be32(crc) != block_crc(seed, i, at, n))
            return wal_corrupt(d, name, offset, "the checksum of the block that begins here fails",
                               error);
        offset += n + CRC_BYTES;
    }
    return true;
}

bool wal_snapshot_read(const struct wal_dir *d, const char *name, int fd,
                       struct repl_snapshot_meta *meta, uint8_t **bytes, size_t *n,
                       struct wal_error *error)
{
    uint8_t header[WAL_SNAPSHOT_HEADER];
    uint64_t size = 0, data_len, whole;
    uint32_t seed;
    uint8_t *data;
    int r = d->fs->size(d->fs->self, fd, &size);

    if (r < 0)
        return wal_fail_sys(d, name, "cannot stat", r, error);
    if (!wal_file_read(d, name, fd, header, sizeof header, 0, error))
        return false;
    if (!decode_header(d, header, meta, &data_len, &seed))
        return wal_corrupt(d, name, 0, "the checksum of the snapshot's header fails", error);
    whole = WAL_SNAPSHOT_HEADER + data_len + block_count((size_t)data_len) * CRC_BYTES;
    if (size != whole)
        return wal_corrupt(d, name, size < whole ? size : whole, "wrong length", error);
    data = malloc((size_t)data_len + 1);
    HF_ASSERT(data != NULL);
    if (!read_blocks(d, name, fd, seed, data, (size_t)data_len, error)) {
        free(data);
        return false;
    }
    *bytes = data;
    *n = (size_t)data_len;
    return true;
}
