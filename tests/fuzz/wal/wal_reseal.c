#include "wal_reseal.h"

#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"
#include "replication/wal_segment.h"
#include "replication/wal_snapshot.h"

enum { SMALL_HEADER = 16, CRC = 4 };

static uint32_t crc_of(const struct wal_reseal *r, const uint8_t *bytes, size_t n)
{
    return crc32c(crc32c(0, r->dir.id, WAL_ID_BYTES), bytes, n);
}

static void small(const struct wal_reseal *r, uint8_t *bytes, size_t n)
{
    if (n >= SMALL_HEADER + CRC)
        put_be32(bytes + n - CRC, crc_of(r, bytes, n - CRC));
}

/* Its own checksum is without the id, which is in it. */
static void identity(struct wal_reseal *r, uint8_t *bytes, size_t n)
{
    memset(r->dir.id, 0, sizeof r->dir.id);
    small(r, bytes, n);
    if (n >= SMALL_HEADER + WAL_ID_BYTES)
        memcpy(r->dir.id, bytes + SMALL_HEADER, WAL_ID_BYTES);
}

static void slots(const struct wal_reseal *r, const char *name, uint8_t *bytes, size_t n)
{
    for (size_t at = 0; at + WAL_SLOT_BYTES <= n; at += WAL_SLOT_BYTES) {
        uint32_t named = crc32c(crc32c(0, r->dir.id, WAL_ID_BYTES), name, strlen(name));

        put_be32(bytes + at + WAL_SLOT_BYTES - CRC,
                 crc32c(named, bytes + at, WAL_SLOT_BYTES - CRC));
    }
}

/* As far as batches follow each other. */
static void segment(struct wal_reseal *r, uint8_t *bytes, size_t n)
{
    size_t at = WAL_SEGMENT_HEADER;

    if (n < WAL_SEGMENT_HEADER)
        return;
    if (r->chain != 0)
        put_be32(bytes + 32, r->chain);
    r->chain = crc_of(r, bytes, WAL_SEGMENT_HEADER - CRC);
    put_be32(bytes + WAL_SEGMENT_HEADER - CRC, r->chain);
    while (n - at >= WAL_BATCH_HEADER && memcmp(bytes + at, "HFBT", 4) == 0) {
        uint8_t *h = bytes + at;
        size_t body = get_be32(h + 4);

        if (body > n - at - WAL_BATCH_HEADER)
            body = 0;
        put_be32(h + 24, r->chain);
        put_be32(h + 28, crc32c(0, h + WAL_BATCH_HEADER, body));
        r->chain = crc_of(r, h, WAL_BATCH_HEADER - CRC);
        put_be32(h + WAL_BATCH_HEADER - CRC, r->chain);
        at += WAL_BATCH_HEADER + body;
    }
}

static void snapshot(const struct wal_reseal *r, uint8_t *bytes, size_t n)
{
    struct repl_snapshot_meta m;
    uint32_t seed;

    if (n < WAL_SNAPSHOT_HEADER)
        return;
    put_be32(bytes + WAL_SNAPSHOT_HEADER - CRC, crc_of(r, bytes, WAL_SNAPSHOT_HEADER - CRC));
    m = (struct repl_snapshot_meta){.index = get_be64(bytes + 8), .term = get_be64(bytes + 16)};
    m.configuration.index = get_be64(bytes + 32);
    m.configuration.n_servers = bytes[40] <= REPL_MAX_SERVERS ? bytes[40] : 0;
    for (size_t i = 0; i < m.configuration.n_servers; i++)
        m.configuration.servers[i] =
            (struct repl_server){.node = get_be32(bytes + 48 + 8 * i), .role = bytes[52 + 8 * i]};
    seed = wal_snapshot_seed(&r->dir, &m);
    for (size_t at = WAL_SNAPSHOT_HEADER, number = 0; n - at > CRC; number++) {
        size_t len = n - at - CRC < WAL_SNAPSHOT_BLOCK ? n - at - CRC : WAL_SNAPSHOT_BLOCK;

        wal_snapshot_seal_block(seed, number, bytes + at, len);
        at += len + CRC;
    }
}

void wal_reseal(struct wal_reseal *r, const char *name, uint8_t *bytes, size_t n)
{
    if (strcmp(name, "identity") == 0)
        identity(r, bytes, n);
    else if (strcmp(name, "manifest") == 0 || strcmp(name, "recover") == 0)
        small(r, bytes, n);
    else if (strcmp(name, "vote") == 0 || strcmp(name, "high-water") == 0)
        slots(r, name, bytes, n);
    else if (strncmp(name, "log-", 4) == 0)
        segment(r, bytes, n);
    else if (strncmp(name, "snapshot-", 9) == 0)
        snapshot(r, bytes, n);
}
