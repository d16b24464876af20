/* The high-water file: two slots, each in a sector of its own, written in turn; the valid one with
 * the higher counter counts, so a torn write costs at most the last step. */
#include <fcntl.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"
#include "replication/wal_file.h"

enum { SLOT_BYTES = 48, SLOT_STRIDE = 512 };

static const char file[] = "high-water";
static const uint8_t magic[8] = {'H', 'F', 'H', 'I', 'G', 'H', '0', '1'};

/* Slot: magic, counter, index, seq, end (8 each), zero (4), CRC over the directory's id and all
 * before. */
static void encode(const struct wal_dir *d, const struct wal_mark *mark, uint64_t counter,
                   uint8_t slot[SLOT_BYTES])
{
    memset(slot, 0, SLOT_BYTES);
    memcpy(slot, magic, sizeof magic);
    put_be64(slot + 8, counter);
    put_be64(slot + 16, mark->index);
    put_be64(slot + 24, mark->seq);
    put_be64(slot + 32, mark->end);
    put_be32(slot + SLOT_BYTES - 4, crc32c(crc32c(0, d->id, sizeof d->id), slot, SLOT_BYTES - 4));
}

static bool decode(const struct wal_dir *d, const uint8_t slot[SLOT_BYTES], struct wal_mark *mark,
                   uint64_t *counter)
{
    uint8_t again[SLOT_BYTES];

    *counter = get_be64(slot + 8);
    *mark = (struct wal_mark){
        .index = get_be64(slot + 16), .seq = get_be64(slot + 24), .end = get_be64(slot + 32)};
    encode(d, mark, *counter, again);
    return memcmp(again, slot, SLOT_BYTES) == 0;
}

bool wal_high_water_create(const struct wal_dir *d, struct wal_error *error)
{
    int fd = wal_file_open(d, "high-water.tmp", O_RDWR | O_CREAT | O_TRUNC, error);
    uint8_t both[2 * SLOT_STRIDE] = {0};
    struct wal_mark none = {0};

    if (fd < 0)
        return false;
    encode(d, &none, 0, both);
    encode(d, &none, 1, both + SLOT_STRIDE);
    if (!wal_file_write(d, file, fd, both, sizeof both, 0, error)) {
        wal_file_close(d, fd);
        return false;
    }
    return wal_file_commit(d, file, fd, error);
}

bool wal_high_water_open(const struct wal_dir *d, struct wal_high_water *w, struct wal_error *error)
{
    uint8_t both[2 * SLOT_STRIDE];
    int fd = wal_file_open(d, file, O_RDWR, error);
    bool found = false;

    if (fd < 0)
        return false;
    if (!wal_file_read(d, file, fd, both, sizeof both, 0, error)) {
        wal_file_close(d, fd);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        struct wal_mark mark;
        uint64_t counter;

        if (!decode(d, both + i * SLOT_STRIDE, &mark, &counter) || (found && counter < w->counter))
            continue;
        *w = (struct wal_high_water){.fd = fd, .mark = mark, .counter = counter};
        found = true;
    }
    if (!found) {
        wal_file_close(d, fd);
        return wal_corrupt(d, file, 0, "neither slot's checksum matches", error);
    }
    return true;
}

bool wal_high_water_set(const struct wal_dir *d, struct wal_high_water *w, struct wal_mark mark,
                        bool sync, struct wal_error *error)
{
    uint8_t slot[SLOT_BYTES];
    uint64_t counter = w->counter + 1;

    if (mark.index != w->mark.index || mark.seq != w->mark.seq || mark.end != w->mark.end) {
        encode(d, &mark, counter, slot);
        if (!wal_file_write(d, file, w->fd, slot, sizeof slot, counter % 2 * SLOT_STRIDE, error))
            return false;
        w->mark = mark;
        w->counter = counter;
    }
    return !sync || wal_high_water_sync(d, w, error);
}

bool wal_high_water_sync(const struct wal_dir *d, const struct wal_high_water *w,
                         struct wal_error *error)
{
    return wal_file_fdatasync(d, file, w->fd, error);
}
