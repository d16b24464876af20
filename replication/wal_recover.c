#include "replication/wal_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/bytes.h"

enum { ORDER_BYTES = 8 };

static const char order_file[] = "recover";

bool wal_order_store(const struct wal_dir *d, uint64_t incarnation, struct wal_error *error)
{
    uint8_t p[ORDER_BYTES];

    put_be64(p, incarnation);
    return wal_small_replace(d, order_file, WAL_FILE_ORDER, p, sizeof p, error);
}

static bool exists(const struct wal_fs *fs, const char *directory)
{
    char path[WAL_PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s", directory, order_file);
    int fd = n < 0 || (size_t)n >= sizeof path ? -ENOENT : fs->open(fs->self, path, O_RDONLY, 0);

    if (fd >= 0)
        (void)fs->close(fs->self, fd);
    return fd != -ENOENT;
}

bool wal_order_exists(const struct wal_fs *fs, const char *directory)
{
    return exists(fs != NULL ? fs : wal_fs_kernel(), directory);
}

bool wal_order_load(const struct wal_dir *d, uint64_t *incarnation, struct wal_error *error)
{
    uint8_t p[ORDER_BYTES];

    *incarnation = 0;
    if (!exists(d->fs, d->path))
        return true;
    if (!wal_small_load(d, order_file, WAL_FILE_ORDER, p, sizeof p, error))
        return false;
    *incarnation = get_be64(p);
    return true;
}

bool wal_order_drop(const struct wal_dir *d, struct wal_error *error)
{
    return wal_file_unlink(d, order_file, error) && wal_dir_sync(d, error);
}

bool wal_core_replace(struct wal_core *core, const struct repl_snapshot_meta *meta,
                      struct span bytes, struct wal_error *error)
{
    struct wal_draft draft = {.fd = -1};

    HF_ASSERT(meta->index >= core->log.next_index && meta->index > core->manifest.snapshot_index);
    if (!wal_core_vote(core, meta->term, 0, error) ||
        !wal_draft_begin(&draft, &core->dir, REPL_DRAFT_RECEIVED, meta, error))
        return false;
    if (!wal_draft_write(&draft, &core->dir, bytes, error)) {
        wal_draft_abandon(&draft, &core->dir);
        return false;
    }
    return wal_draft_finish(&draft, &core->dir, error) && wal_core_install(core, meta, error) &&
           wal_core_distrust(core, REPL_TRUSTED, error);
}
