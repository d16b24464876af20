#include "replication/wal_slots.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"
#include "replication/wal_file.h"

enum { COUNTER_AT = 8, PAYLOAD_AT = 16, CRC_AT = WAL_SLOT_BYTES - 4 };

static const uint8_t magic[8] = {'H', 'F', 'S', 'L', 'O', 'T', '0', '1'};

/* The file's name is in the checksum, and the directory's id: a slot of another file does not pass.
 */
static uint32_t slot_crc(const struct wal_dir *d, const char *name, const uint8_t *slot)
{
    return crc32c(crc32c(crc32c(0, d->id, sizeof d->id), name, strlen(name)), slot, CRC_AT);
}

static void encode(const struct wal_dir *d, const char *name, uint64_t counter,
                   const uint8_t payload[WAL_SLOT_PAYLOAD], uint8_t slot[WAL_SLOT_BYTES])
{
    memset(slot, 0, WAL_SLOT_BYTES);
    memcpy(slot, magic, sizeof magic);
    put_be64(slot + COUNTER_AT, counter);
    memcpy(slot + PAYLOAD_AT, payload, WAL_SLOT_PAYLOAD);
    put_be32(slot + CRC_AT, slot_crc(d, name, slot));
}

bool wal_slots_create(const struct wal_dir *d, const char *name,
                      const uint8_t payload[WAL_SLOT_PAYLOAD], struct wal_error *error)
{
    uint8_t both[2 * WAL_SLOT_BYTES];
    char temp[WAL_NAME_BYTES];
    int fd;

    (void)snprintf(temp, sizeof temp, "%s.tmp", name);
    fd = wal_file_open(d, temp, O_RDWR | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return false;
    encode(d, name, 0, payload, both);
    encode(d, name, 1, payload, both + WAL_SLOT_BYTES);
    if (!wal_file_write(d, temp, fd, both, sizeof both, 0, error)) {
        wal_file_close(d, fd);
        return false;
    }
    return wal_file_commit(d, name, fd, error);
}

static bool choose(const struct wal_dir *d, const char *name, bool strict, const uint8_t *both,
                   struct wal_slots *s, uint8_t payload[WAL_SLOT_PAYLOAD], struct wal_error *error)
{
    bool found = false;

    for (uint64_t i = 0; i < 2; i++) {
        const uint8_t *slot = both + i * WAL_SLOT_BYTES;
        uint64_t counter = get_be64(slot + COUNTER_AT);
        bool valid = memcmp(slot, magic, sizeof magic) == 0 &&
                     get_be32(slot + CRC_AT) == slot_crc(d, name, slot);

        if (!valid && strict)
            return wal_corrupt(d, name, i * WAL_SLOT_BYTES,
                               "the checksum of the slot that begins here fails", error);
        if (!valid || (found && counter < s->counter))
            continue;
        s->counter = counter;
        memcpy(payload, slot + PAYLOAD_AT, WAL_SLOT_PAYLOAD);
        found = true;
    }
    return found || wal_corrupt(d, name, 0, "neither slot's checksum matches", error);
}

bool wal_slots_open(const struct wal_dir *d, const char *name, bool strict, struct wal_slots *s,
                    uint8_t payload[WAL_SLOT_PAYLOAD], struct wal_error *error)
{
    uint8_t both[2 * WAL_SLOT_BYTES];
    int fd = wal_file_open(d, name, O_RDWR, error);

    if (fd < 0)
        return false;
    if (!wal_file_read(d, name, fd, both, sizeof both, 0, error) ||
        !choose(d, name, strict, both, s, payload, error)) {
        wal_file_close(d, fd);
        return false;
    }
    s->fd = fd;
    return true;
}

bool wal_slots_write(const struct wal_dir *d, const char *name, struct wal_slots *s,
                     const uint8_t payload[WAL_SLOT_PAYLOAD], bool sync, struct wal_error *error)
{
    uint8_t slot[WAL_SLOT_BYTES];

    encode(d, name, s->counter + 1, payload, slot);
    if (!wal_file_write(d, name, s->fd, slot, sizeof slot, (s->counter + 1) % 2 * WAL_SLOT_BYTES,
                        error))
        return false;
    s->counter++;
    return !sync || wal_file_fdatasync(d, name, s->fd, error);
}
