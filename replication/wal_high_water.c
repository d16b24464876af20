#include <string.h>

#include "base/bytes.h"
#include "replication/wal_file.h"

static const char file[] = "high-water";

/* index, seq, end: 8 each; distrust, machine: 4 each (0 in files of before 2026-11-27). */
static bool put_mark(const struct wal_dir *d, struct wal_high_water *w, const struct wal_mark *mark,
                     struct wal_error *error)
{
    uint8_t p[WAL_SLOT_PAYLOAD];

    put_be64(p, mark->index);
    put_be64(p + 8, mark->seq);
    put_be64(p + 16, mark->end);
    put_be32(p + 24, (uint32_t)w->distrust);
    put_be32(p + 28, w->machine);
    return wal_slots_write(d, file, &w->slots, p, false, error);
}

bool wal_high_water_create(const struct wal_dir *d, struct wal_error *error)
{
    uint8_t p[WAL_SLOT_PAYLOAD] = {0};

    put_be32(p + 24, REPL_DISTRUST_NEW);
    return wal_slots_create(d, file, p, error);
}

bool wal_high_water_open(const struct wal_dir *d, struct wal_high_water *w, struct wal_error *error)
{
    uint8_t p[WAL_SLOT_PAYLOAD];

    if (!wal_slots_open(d, file, false, &w->slots, p, error))
        return false;
    w->mark =
        (struct wal_mark){.index = get_be64(p), .seq = get_be64(p + 8), .end = get_be64(p + 16)};
    w->distrust = get_be32(p + 24) < REPL_DISTRUSTS ? (enum repl_distrust)get_be32(p + 24)
                                                    : REPL_DISTRUST_OPERATOR; /* a later reason */
    w->machine = get_be32(p + 28);
    return true;
}

bool wal_high_water_set(const struct wal_dir *d, struct wal_high_water *w, struct wal_mark mark,
                        bool sync, struct wal_error *error)
{
    if (mark.index != w->mark.index || mark.seq != w->mark.seq || mark.end != w->mark.end) {
        if (!put_mark(d, w, &mark, error))
            return false;
        w->mark = mark;
    }
    return !sync || wal_high_water_sync(d, w, error);
}

enum repl_distrust wal_doubted(enum repl_distrust was, enum repl_distrust why)
{
    return was == REPL_TRUSTED ? why : was == REPL_DISTRUST_AGREED ? REPL_DISTRUST_NEW : was;
}

bool wal_high_water_distrust(const struct wal_dir *d, struct wal_high_water *w,
                             enum repl_distrust why, uint32_t machine, struct wal_error *error)
{
    w->distrust = why;
    w->machine = machine;
    return put_mark(d, w, &w->mark, error) && wal_high_water_sync(d, w, error) &&
           put_mark(d, w, &w->mark, error) && wal_high_water_sync(d, w, error);
}

bool wal_high_water_sync(const struct wal_dir *d, const struct wal_high_water *w,
                         struct wal_error *error)
{
    return wal_file_fdatasync(d, file, w->slots.fd, error);
}
