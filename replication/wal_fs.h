/* The only door between the write-ahead log and the kernel's files: a table of system calls, so
 * that a test can lose unsynced data, tear writes and fail any call. Results are values >= 0 or
 * -errno; nothing here retries or prints.
 */
#ifndef HF_REPL_WAL_FS_H
#define HF_REPL_WAL_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wal_fs {
    void *self;
    int (*open)(void *self, const char *path, int flags, mode_t mode); /* a descriptor */
    int (*close)(void *self, int fd);
    ssize_t (*pread)(void *self, int fd, void *buf, size_t n, uint64_t offset);
    ssize_t (*pwrite)(void *self, int fd, const void *buf, size_t n, uint64_t offset);
    int (*fdatasync)(void *self, int fd);
    int (*fsync)(void *self, int fd);
    int (*size)(void *self, int fd, uint64_t *bytes);
    int (*lock)(void *self,
                int fd); /* exclusive, without waiting: -EWOULDBLOCK when another holds it */
    int (*rename)(void *self, const char *from, const char *to);
    int (*unlink)(void *self, const char *path);
    int (*mkdir)(void *self, const char *path, mode_t mode);
    int (*sync_dir)(void *self, const char *path); /* fsync of the directory itself */
    /* Calls `each` for every name in the directory but "." and "..". */
    int (*list)(void *self, const char *path, void (*each)(void *arg, const char *name), void *arg);
};

/* The kernel's. */
const struct wal_fs *wal_fs_kernel(void);

#endif
