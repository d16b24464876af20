#include <string.h>

#include "base/bytes.h"
#include "replication/wal_file.h"

static const char file[] = "high-water";

/* index, seq, end: 8 each. */
static void encode(const struct wal_mark *mark, uint8_t payload[WAL_SLOT_PAYLOAD])
{
    memset(payload, 0, WAL_SLOT_PAYLOAD);
    put_be64(payload, mark->index);
    put_be64(payload + 8, mark->seq);
    put_be64(payload + 16, mark->end);
}

bool wal_high_water_create(const struct wal_dir *d, struct wal_error *error)
{
    static const uint8_t none[WAL_SLOT_PAYLOAD];

    return wal_slots_create(d, file, none, error);
}

bool wal_high_water_open(const struct wal_dir *d, struct wal_high_water *w, struct wal_error *error)
{
    uint8_t p[WAL_SLOT_PAYLOAD];

    if (!wal_slots_open(d, file, false, &w->slots, p, error))
        return false;
    w->mark =
        (struct wal_mark){.index = get_be64(p), .seq = get_be64(p + 8), .end = get_be64(p + 16)};
    return true;
}

bool wal_high_water_set(const struct wal_dir *d, struct wal_high_water *w, struct wal_mark mark,
                        bool sync, struct wal_error *error)
{
    uint8_t p[WAL_SLOT_PAYLOAD];

    if (mark.index != w->mark.index || mark.seq != w->mark.seq || mark.end != w->mark.end) {
        encode(&mark, p);
        if (!wal_slots_write(d, file, &w->slots, p, false, error))
            return false;
        w->mark = mark;
    }
    return !sync || wal_high_water_sync(d, w, error);
}

bool wal_high_water_sync(const struct wal_dir *d, const struct wal_high_water *w,
                         struct wal_error *error)
{
    return wal_file_fdatasync(d, file, w->slots.fd, error);
}
