#include "replication/wal_snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"

static const uint8_t magic[8] = {'H', 'F', 'S', 'N', 'A', 'P', '0', '2'};

enum { SERVERS_AT = 48, SERVER_BYTES = 8 };
HF_STATIC_ASSERT(SERVERS_AT + REPL_MAX_SERVERS * SERVER_BYTES + WAL_SNAPSHOT_CRC <=
                 WAL_SNAPSHOT_HEADER);

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
void wal_snapshot_header_encode(const struct wal_dir *d, const struct repl_snapshot_meta *m,
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
    crc = crc32c(crc32c(0, d->id, sizeof d->id), h, WAL_SNAPSHOT_HEADER - WAL_SNAPSHOT_CRC);
    put_be32(h + WAL_SNAPSHOT_HEADER - WAL_SNAPSHOT_CRC, crc);
}

uint32_t wal_snapshot_seed(const struct wal_dir *d, const struct repl_snapshot_meta *m)
{
    uint8_t header[WAL_SNAPSHOT_HEADER];

    wal_snapshot_header_encode(d, m, 0, header);
    return get_be32(header + WAL_SNAPSHOT_HEADER - WAL_SNAPSHOT_CRC);
}

static bool decode_header(const struct wal_dir *d, const uint8_t h[WAL_SNAPSHOT_HEADER],
                          struct repl_snapshot_meta *m, uint64_t *data_len)
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
    wal_snapshot_header_encode(d, m, *data_len, again);
    return memcmp(again, h, WAL_SNAPSHOT_HEADER) == 0;
}

static uint32_t block_crc(uint32_t seed, uint64_t number, const uint8_t *bytes, size_t n)
{
    uint8_t at[8];

    put_be64(at, number);
    return crc32c(crc32c(seed, at, sizeof at), bytes, n);
}

void wal_snapshot_seal_block(uint32_t seed, uint64_t number, uint8_t *bytes, size_t n)
{
    put_be32(bytes + n, block_crc(seed, number, bytes, n));
}

static size_t block_len(uint64_t data_len, uint64_t number)
{
    uint64_t left = data_len - number * WAL_SNAPSHOT_BLOCK;

    return left < WAL_SNAPSHOT_BLOCK ? (size_t)left : WAL_SNAPSHOT_BLOCK;
}

static uint64_t block_count(uint64_t data_len)
{
    return (data_len + WAL_SNAPSHOT_BLOCK - 1) / WAL_SNAPSHOT_BLOCK;
}

bool wal_snapshot_open(const struct wal_dir *d, const char *name, int fd,
                       struct wal_snapshot_file *file, struct wal_error *error)
{
    uint8_t header[WAL_SNAPSHOT_HEADER];
    uint64_t size = 0, whole;
    int r = d->fs->size(d->fs->self, fd, &size);

    if (r < 0)
        return wal_fail_sys(d, name, "cannot stat", r, error);
    if (!wal_file_read(d, name, fd, header, sizeof header, 0, error))
        return false;
    if (!decode_header(d, header, &file->meta, &file->data_len))
        return wal_corrupt(d, name, 0, "the checksum of the snapshot's header fails", error);
    whole = WAL_SNAPSHOT_HEADER + file->data_len + block_count(file->data_len) * WAL_SNAPSHOT_CRC;
    if (size != whole)
        return wal_corrupt(d, name, size < whole ? size : whole, "wrong length", error);
    file->seed = wal_snapshot_seed(d, &file->meta);
    return true;
}

bool wal_snapshot_read_part(const struct wal_dir *d, const char *name, int fd,
                            const struct wal_snapshot_file *file, uint64_t offset, uint8_t *out,
                            size_t n, size_t *got, struct wal_error *error)
{
    uint64_t number = offset / WAL_SNAPSHOT_BLOCK;
    uint64_t at = WAL_SNAPSHOT_HEADER + number * (WAL_SNAPSHOT_BLOCK + WAL_SNAPSHOT_CRC);

    HF_ASSERT(offset % WAL_SNAPSHOT_BLOCK == 0 && n % WAL_SNAPSHOT_BLOCK == 0);
    for (*got = 0; *got < n && number < block_count(file->data_len); number++) {
        size_t len = block_len(file->data_len, number);
        uint8_t crc[WAL_SNAPSHOT_CRC];

        if (!wal_file_read(d, name, fd, out + *got, len, at, error) ||
            !wal_file_read(d, name, fd, crc, sizeof crc, at + len, error))
            return false;
        if (get_be32(crc) != block_crc(file->seed, number, out + *got, len))
            return wal_corrupt(d, name, at, "the checksum of the block that begins here fails",
                               error);
        *got += len;
        at += len + WAL_SNAPSHOT_CRC;
    }
    return true;
}

bool wal_snapshot_read(const struct wal_dir *d, const char *name, int fd,
                       struct repl_snapshot_meta *meta, uint8_t **bytes, size_t *n,
                       struct wal_error *error)
{
    struct wal_snapshot_file file;
    uint8_t *data;
    size_t room;

    if (!wal_snapshot_open(d, name, fd, &file, error))
        return false;
    room = (size_t)block_count(file.data_len) * WAL_SNAPSHOT_BLOCK;
    data = malloc(room + 1);
    HF_ASSERT(data != NULL);
    if (!wal_snapshot_read_part(d, name, fd, &file, 0, data, room, n, error)) {
        free(data);
        return false;
    }
    *meta = file.meta;
    *bytes = data;
    return true;
}
