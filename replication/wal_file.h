/* Files of the data directory: opened, read, written and replaced whole (temp, fsync, rename, fsync
 * of the directory), with texts that name file and offset. Blocking; used on the disk thread and at
 * load.
 */
#ifndef HF_REPL_WAL_FILE_H
#define HF_REPL_WAL_FILE_H

#include <stdatomic.h>

#include "replication/wal.h"
#include "replication/wal_slots.h"

enum { WAL_ID_BYTES = 16, WAL_SMALL_MAX = 256, WAL_NAME_BYTES = 64, WAL_PATH_BYTES = 4096 };

/* What every function here needs to know of the directory. */
struct wal_dir {
    const struct wal_fs *fs;
    char path[WAL_PATH_BYTES - WAL_NAME_BYTES - 1];
    uint8_t id[WAL_ID_BYTES];   /* goes into each file's checksum: a file of another directory is
                                   refused */
    _Atomic uint64_t *progress; /* raised by every write and fsync that came back; NULL = by none */
};

enum wal_file_kind { WAL_FILE_IDENTITY = 1, WAL_FILE_MANIFEST = 2, WAL_FILE_ORDER = 4 };

void wal_error_set(struct wal_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void wal_error_system(const struct wal_dir *d, const char *name, const char *what, int code,
                      struct wal_error *error);
void wal_error_corrupt(const struct wal_dir *d, const char *name, uint64_t offset, const char *why,
                       struct wal_error *error);

/* Fill the text and are false, so that `return wal_fail(...)` reads well (macros, so that static
 * analysis sees the false too). wal_fail_sys adds what errno `code` means; wal_corrupt reads
 * "DIR/NAME: offset N: ...". */
#define wal_fail(error, ...) (wal_error_set(error, __VA_ARGS__), false)
#define wal_fail_sys(d, name, what, code, error)                                                   \
    (wal_error_system(d, name, what, code, error), false)
#define wal_corrupt(d, name, offset, why, error)                                                   \
    (wal_error_corrupt(d, name, offset, why, error), false)

/* DIR/NAME. */
const char *wal_path(const struct wal_dir *d, const char *name, char path[WAL_PATH_BYTES]);

/* A descriptor, or -1 with a text. */
int wal_file_open(const struct wal_dir *d, const char *name, int flags, struct wal_error *error);
void wal_file_close(const struct wal_dir *d, int fd);
bool wal_file_write(const struct wal_dir *d, const char *name, int fd, const void *bytes, size_t n,
                    uint64_t offset, struct wal_error *error);
/* Reads exactly n bytes; a shorter file is a failure that names the offset. */
bool wal_file_read(const struct wal_dir *d, const char *name, int fd, void *bytes, size_t n,
                   uint64_t offset, struct wal_error *error);
bool wal_file_fdatasync(const struct wal_dir *d, const char *name, int fd, struct wal_error *error);
bool wal_file_unlink(const struct wal_dir *d, const char *name, struct wal_error *error);
bool wal_dir_sync(const struct wal_dir *d, struct wal_error *error);
/* fsync of fd, close, rename NAME.tmp -> NAME, fsync of the directory. Takes fd. */
bool wal_file_commit(const struct wal_dir *d, const char *name, int fd, struct wal_error *error);

/* A small file with kind, payload (<= WAL_SMALL_MAX bytes) and checksum, replaced in one atomic
 * change. */
bool wal_small_replace(const struct wal_dir *d, const char *name, enum wal_file_kind kind,
                       const void *payload, size_t n, struct wal_error *error);
/* Reads one of exactly n payload bytes. */
bool wal_small_load(const struct wal_dir *d, const char *name, enum wal_file_kind kind,
                    void *payload, size_t n, struct wal_error *error);

/* The high-water mark: up to where the log is durable here. Two slots in turn; each write is at
 * once in the page cache (survives the process) and durable at the next sync (power loss may lose
 * the last steps forward). It never says more than is durable in the log, so a log that ends before
 * it, or is damaged before it, has lost acknowledged data. */
struct wal_mark {
    uint64_t index;    /* last entry; a truncation by the leader lowers it */
    uint64_t seq, end; /* segment, and bytes in use in it; 0, 0 = none */
};

/* Beside the mark: whether what is here is trusted (I10), and on which boot of the machine it was
 * written last. Every mark carries both, so a slot that is older by one still says it. */
struct wal_high_water {
    struct wal_slots slots;
    struct wal_mark mark;
    enum repl_distrust distrust;
    uint32_t machine; /* a checksum of the machine's boot id; 0 = not known */
};

bool wal_high_water_create(const struct wal_dir *d, struct wal_error *error);
bool wal_high_water_open(const struct wal_dir *d, struct wal_high_water *w,
                         struct wal_error *error);
bool wal_high_water_set(const struct wal_dir *d, struct wal_high_water *w, struct wal_mark mark,
                        bool sync, struct wal_error *error);
/* Into both slots, durable. */
/* What a directory under `was` is under once there is reason `why` to doubt it: what stands there already says as
 * much, or more; but what founders agreed on is an acknowledgement, too, and may have been followed by others. */
enum repl_distrust wal_doubted(enum repl_distrust was, enum repl_distrust why);
bool wal_high_water_distrust(const struct wal_dir *d, struct wal_high_water *w,
                             enum repl_distrust why, uint32_t machine, struct wal_error *error);
bool wal_high_water_sync(const struct wal_dir *d, const struct wal_high_water *w,
                         struct wal_error *error);

#endif
