/* Files that are there whole or not at all, also after a power cut. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cli/cli.h"

bool cli_folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[CLI_PATH_BYTES];
    size_t n = slash != NULL ? (size_t)(slash - path) + (slash == path) : 0;
    int fd;
    bool ok;

    if (n >= sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, path, n);
    folder[n] = '\0';
    fd = open(n > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ok = fsync(fd) == 0;
    return close(fd) == 0 && ok;
}

int cli_folder_lock(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r, error;

    if (fd < 0)
        return -1;
    while ((r = flock(fd, LOCK_EX)) != 0 && errno == EINTR)
        ;
    if (r == 0)
        return fd;
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static bool put(int fd, const void *bytes, size_t len)
{
    size_t at = 0;
    ssize_t n = 0;

    while (at < len && (n = write(fd, (const char *)bytes + at, len - at)) > 0)
        at += (size_t)n;
    return at == len;
}

bool cli_file_write(const char *path, const void *bytes, size_t len, mode_t mode, bool replace)
{
    char temp[CLI_PATH_BYTES];
    int length = snprintf(temp, sizeof temp, "%s%s", path, replace ? ".new" : ""), fd, error;
    bool ok;

    if (length < 0 || (size_t)length >= sizeof temp) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (replace)
        (void)unlink(temp);
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return false;
    ok = put(fd, bytes, len) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (ok && (!replace || rename(temp, path) == 0) && cli_folder_sync(path))
        return true;
    error = errno;
    (void)unlink(temp);
    errno = error;
    return false;
}
