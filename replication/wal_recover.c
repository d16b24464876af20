#include "replication/wal_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/bytes.h"

enum {
    FORMER_BYTES = 8, /* before 2026-11-27: the incarnation alone */
    WALL_AT = 8,
    HIGHEST_AT = 16,
    WHO_AT = 20,
    WHY_AT = WHO_AT + REPL_WHO_BYTES,
    ORDER_BYTES = WHY_AT + REPL_WHY_BYTES
};

HF_STATIC_ASSERT((int)ORDER_BYTES <= (int)WAL_SMALL_MAX);

static const char order_file[] = "recover";

bool wal_order_store(const struct wal_dir *d, uint64_t incarnation, const struct repl_word *word,
                     struct wal_error *error)
{
    uint8_t p[ORDER_BYTES];

    put_be64(p, incarnation);
    put_be64(p + WALL_AT, word->wall_s);
    put_be32(p + HIGHEST_AT, word->highest_id);
    memcpy(p + WHO_AT, word->who, sizeof word->who);
    memcpy(p + WHY_AT, word->why, sizeof word->why);
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

bool wal_order_load(const struct wal_dir *d, uint64_t *incarnation, struct repl_word *word,
                    struct wal_error *error)
{
    uint8_t p[ORDER_BYTES] = {0};
    struct wal_error of_former;

    *incarnation = 0;
    *word = (struct repl_word){0};
    if (!exists(d->fs, d->path))
        return true;
    if (!wal_small_load(d, order_file, WAL_FILE_ORDER, p, sizeof p, error) &&
        !wal_small_load(d, order_file, WAL_FILE_ORDER, p, FORMER_BYTES, &of_former))
        return false;
    *incarnation = get_be64(p);
    word->wall_s = get_be64(p + WALL_AT);
    word->highest_id = get_be32(p + HIGHEST_AT);
    memcpy(word->who, p + WHO_AT, sizeof word->who - 1);
    memcpy(word->why, p + WHY_AT, sizeof word->why - 1);
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
