#include "replication/wal_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int result(int r)
{
    return r < 0 ? -errno : r;
}

static int kernel_open(void *self, const char *path, int flags, mode_t mode)
{
    (void)self;
    return result(open(path, flags | O_CLOEXEC, mode));
}

static int kernel_close(void *self, int fd)
{
    (void)self;
    return result(close(fd));
}

static ssize_t kernel_pread(void *self, int fd, void *buf, size_t n, uint64_t offset)
{
    ssize_t r = pread(fd, buf, n, (off_t)offset);

    (void)self;
    return r < 0 ? -errno : r;
}

static ssize_t kernel_pwrite(void *self, int fd, const void *buf, size_t n, uint64_t offset)
{
    ssize_t r = pwrite(fd, buf, n, (off_t)offset);

    (void)self;
    return r < 0 ? -errno : r;
}

static int kernel_fdatasync(void *self, int fd)
{
    (void)self;
    return result(fdatasync(fd));
}

static int kernel_fsync(void *self, int fd)
{
    (void)self;
    return result(fsync(fd));
}

static int kernel_size(void *self, int fd, uint64_t *bytes)
{
    struct stat st;

    (void)self;
    if (fstat(fd, &st) < 0)
        return -errno;
    *bytes = (uint64_t)st.st_size;
    return 0;
}

static int kernel_lock(void *self, int fd)
{
    (void)self;
    return result(flock(fd, LOCK_EX | LOCK_NB));
}

static int kernel_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return result(rename(from, to));
}

static int kernel_unlink(void *self, const char *path)
{
    (void)self;
    return result(unlink(path));
}

static int kernel_mkdir(void *self, const char *path, mode_t mode)
{
    (void)self;
    return result(mkdir(path, mode));
}

static int kernel_sync_dir(void *self, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    (void)self;
    if (fd < 0)
        return -errno;
    r = result(fsync(fd));
    (void)close(fd);
    return r;
}

static int kernel_list(void *self, const char *path, void (*each)(void *arg, const char *name),
                       void *arg)
{
    DIR *d = opendir(path);
    int r = 0;

    (void)self;
    if (d == NULL)
        return -errno;
    for (;;) {
        const struct dirent *e;

        errno = 0;
        e = readdir(d);
        if (e == NULL) {
            r = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            each(arg, e->d_name);
    }
    (void)closedir(d);
    return r;
}

const struct wal_fs *wal_fs_kernel(void)
{
    static const struct wal_fs kernel = {
        .open = kernel_open,
        .close = kernel_close,
        .pread = kernel_pread,
        .pwrite = kernel_pwrite,
        .fdatasync = kernel_fdatasync,
        .fsync = kernel_fsync,
        .size = kernel_size,
        .lock = kernel_lock,
        .rename = kernel_rename,
        .unlink = kernel_unlink,
        .mkdir = kernel_mkdir,
        .sync_dir = kernel_sync_dir,
        .list = kernel_list,
    };

    return &kernel;
}
