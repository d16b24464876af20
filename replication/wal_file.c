#include "replication/wal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"

/* Small file: magic, kind (4), payload length (4), payload, CRC over the directory's id and all
 * before (4). */
static const uint8_t small_magic[8] = {'H', 'F', 'F', 'I', 'L', 'E', '0', '1'};
enum { SMALL_HEADER = 16, SMALL_TAIL = 4 };

void wal_error_set(struct wal_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    error->code = 0;
}

void wal_error_system(const struct wal_dir *d, const char *name, const char *what, int code,
                      struct wal_error *error)
{
    wal_error_set(error, "%s/%s: %s: %s", d->path, name, what, strerror(code < 0 ? -code : code));
    error->code = code < 0 ? -code : code;
}

void wal_error_corrupt(const struct wal_dir *d, const char *name, uint64_t offset, const char *why,
                       struct wal_error *error)
{
    wal_error_set(error, "%s/%s: offset %llu: %s; refused: this node must rejoin under a new id",
                  d->path, name, (unsigned long long)offset, why);
}

const char *wal_path(const struct wal_dir *d, const char *name, char path[WAL_PATH_BYTES])
{
    HF_ASSERT(strlen(name) < WAL_NAME_BYTES);
    (void)snprintf(path, WAL_PATH_BYTES, "%s/%s", d->path, name);
    return path;
}

static void came_back(const struct wal_dir *d)
{
    if (d->progress != NULL)
        (void)atomic_fetch_add_explicit(d->progress, 1, memory_order_relaxed);
}

int wal_file_open(const struct wal_dir *d, const char *name, int flags, struct wal_error *error)
{
    char path[WAL_PATH_BYTES];
    int fd = d->fs->open(d->fs->self, wal_path(d, name, path), flags, 0600);

    if (fd < 0) {
        (void)wal_fail_sys(d, name, "cannot open", fd, error);
        return -1;
    }
    return fd;
}

void wal_file_close(const struct wal_dir *d, int fd)
{
    if (fd >= 0)
        (void)d->fs->close(d->fs->self, fd);
}

bool wal_file_write(const struct wal_dir *d, const char *name, int fd, const void *bytes, size_t n,
                    uint64_t offset, struct wal_error *error)
{
    const uint8_t *p = bytes;

    while (n > 0) {
        ssize_t r = d->fs->pwrite(d->fs->self, fd, p, n, offset);

        came_back(d);
        if (r == -EINTR)
            continue;
        if (r <= 0)
            return wal_fail_sys(d, name, "write failed", r == 0 ? EIO : (int)r, error);
        p += r;
        offset += (uint64_t)r;
        n -= (size_t)r;
    }
    return true;
}

bool wal_file_read(const struct wal_dir *d, const char *name, int fd, void *bytes, size_t n,
                   uint64_t offset, struct wal_error *error)
{
    uint8_t *p = bytes;

    while (n > 0) {
        ssize_t r = d->fs->pread(d->fs->self, fd, p, n, offset);

        if (r == -EINTR)
            continue;
        if (r < 0)
            return wal_fail_sys(d, name, "read failed", (int)r, error);
        if (r == 0)
            return wal_corrupt(d, name, offset, "the file ends too early", error);
        p += r;
        offset += (uint64_t)r;
        n -= (size_t)r;
    }
    return true;
}

bool wal_file_fdatasync(const struct wal_dir *d, const char *name, int fd, struct wal_error *error)
{
    int r = d->fs->fdatasync(d->fs->self, fd);

    came_back(d);
    return r == 0 || wal_fail_sys(d, name, "fdatasync failed", r, error);
}

bool wal_file_unlink(const struct wal_dir *d, const char *name, struct wal_error *error)
{
    char path[WAL_PATH_BYTES];
    int r = d->fs->unlink(d->fs->self, wal_path(d, name, path));

    return r == 0 || r == -ENOENT || wal_fail_sys(d, name, "cannot remove", r, error);
}

bool wal_dir_sync(const struct wal_dir *d, struct wal_error *error)
{
    int r = d->fs->sync_dir(d->fs->self, d->path);

    came_back(d);
    return r == 0 || wal_fail_sys(d, ".", "fsync of the directory failed", r, error);
}

bool wal_file_commit(const struct wal_dir *d, const char *name, int fd, struct wal_error *error)
{
    char from[WAL_PATH_BYTES];
    char to[WAL_PATH_BYTES];
    char temp[WAL_NAME_BYTES];
    int r = d->fs->fsync(d->fs->self, fd);

    came_back(d);
    wal_file_close(d, fd);
    if (r < 0)
        return wal_fail_sys(d, name, "fsync failed", r, error);
    (void)snprintf(temp, sizeof temp, "%s.tmp", name);
    r = d->fs->rename(d->fs->self, wal_path(d, temp, from), wal_path(d, name, to));
    if (r < 0)
        return wal_fail_sys(d, name, "cannot rename into place", r, error);
    return wal_dir_sync(d, error);
}

static uint32_t small_crc(const struct wal_dir *d, const uint8_t *bytes, size_t n)
{
    return crc32c(crc32c(0, d->id, sizeof d->id), bytes, n);
}

bool wal_small_replace(const struct wal_dir *d, const char *name, enum wal_file_kind kind,
                       const void *payload, size_t n, struct wal_error *error)
{
    uint8_t buf[SMALL_HEADER + WAL_SMALL_MAX + SMALL_TAIL];
    char temp[WAL_NAME_BYTES];
    int fd;

    HF_ASSERT(n <= WAL_SMALL_MAX);
    memcpy(buf, small_magic, sizeof small_magic);
    put_be32(buf + 8, kind);
    put_be32(buf + 12, (uint32_t)n);
    memcpy(buf + SMALL_HEADER, payload, n);
    put_be32(buf + SMALL_HEADER + n, small_crc(d, buf, SMALL_HEADER + n));

    (void)snprintf(temp, sizeof temp, "%s.tmp", name);
    fd = wal_file_open(d, temp, O_RDWR | O_CREAT | O_TRUNC, error);
    if (fd < 0)
        return false;
    if (!wal_file_write(d, temp, fd, buf, SMALL_HEADER + n + SMALL_TAIL, 0, error)) {
        wal_file_close(d, fd);
        return false;
    }
    return wal_file_commit(d, name, fd, error);
}

static bool small_check(const struct wal_dir *d, const char *name, enum wal_file_kind kind,
                        const uint8_t *buf, size_t n, struct wal_error *error)
{
    if (memcmp(buf, small_magic, sizeof small_magic) != 0)
        return wal_corrupt(d, name, 0, "not a file of holdfast's", error);
    if (get_be32(buf + 8) != (uint32_t)kind || get_be32(buf + 12) != n)
        return wal_corrupt(d, name, 8, "of another kind or length", error);
    if (get_be32(buf + SMALL_HEADER + n) != small_crc(d, buf, SMALL_HEADER + n))
        return wal_corrupt(d, name, SMALL_HEADER, "checksum does not match", error);
    return true;
}

bool wal_small_load(const struct wal_dir *d, const char *name, enum wal_file_kind kind,
                    void *payload, size_t n, struct wal_error *error)
{
    uint8_t buf[SMALL_HEADER + WAL_SMALL_MAX + SMALL_TAIL] = {0};
    uint64_t size = 0;
    size_t whole = SMALL_HEADER + n + SMALL_TAIL;
    int fd = wal_file_open(d, name, O_RDONLY, error);
    bool ok;
    int r;

    if (fd < 0)
        return false;
    r = d->fs->size(d->fs->self, fd, &size);
    if (r < 0)
        ok = wal_fail_sys(d, name, "cannot stat", r, error);
    else if (size != whole)
        ok = wal_corrupt(d, name, size < whole ? size : whole, "wrong length", error);
    else
        ok = wal_file_read(d, name, fd, buf, whole, 0, error) &&
             small_check(d, name, kind, buf, n, error);
    wal_file_close(d, fd);
    if (ok)
        memcpy(payload, buf + SMALL_HEADER, n);
    return ok;
}
