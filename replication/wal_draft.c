#include "replication/wal_draft.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_ROOM = WAL_SNAPSHOT_BLOCK + WAL_SNAPSHOT_CRC,
    BLOCKS_A_WRITE = 8,
    BUFFER_BYTES = BLOCKS_A_WRITE * BLOCK_ROOM,
    /* Small pieces, one after the other: the log's own fdatasync shares the disk, and one fsync of
     * it all could look like a hung one. */
    SYNC_BYTES = 2 * BUFFER_BYTES
};

void wal_draft_name(enum repl_draft draft, const struct repl_snapshot_meta *meta,
                    char name[WAL_NAME_BYTES])
{
    char final[WAL_NAME_BYTES];

    wal_snapshot_name(meta->index, meta->term, final);
    (void)snprintf(name, WAL_NAME_BYTES, "%.45s.%s.tmp", final,
                   draft == REPL_DRAFT_OWN ? "own" : "received");
}

bool wal_draft_begin(struct wal_draft *w, const struct wal_dir *d, enum repl_draft draft,
                     const struct repl_snapshot_meta *meta, struct wal_error *error)
{
    HF_ASSERT(w->fd < 0 && w->buffer == NULL);
    *w = (struct wal_draft){.meta = *meta, .offset = WAL_SNAPSHOT_HEADER};
    wal_draft_name(draft, meta, w->temp);
    w->seed = wal_snapshot_seed(d, meta);
    w->fd = wal_file_open(d, w->temp, O_RDWR | O_CREAT | O_TRUNC, error);
    if (w->fd < 0)
        return false;
    w->buffer = malloc(BUFFER_BYTES);
    HF_ASSERT(w->buffer != NULL);
    return true;
}

static void close_block(struct wal_draft *w)
{
    if (w->part == 0)
        return;
    wal_snapshot_seal_block(w->seed, w->block++, w->buffer + w->used, w->part);
    w->used += w->part + WAL_SNAPSHOT_CRC;
    w->part = 0;
}

static bool write_buffer(struct wal_draft *w, const struct wal_dir *d, struct wal_error *error)
{
    if (w->used == 0)
        return true;
    if (!wal_file_write(d, w->temp, w->fd, w->buffer, w->used, w->offset, error))
        return false;
    w->offset += w->used;
    w->unsynced += w->used;
    w->used = 0;
    if (w->unsynced < SYNC_BYTES)
        return true;
    w->unsynced = 0;
    return wal_file_fdatasync(d, w->temp, w->fd, error);
}

bool wal_draft_write(struct wal_draft *w, const struct wal_dir *d, struct span bytes,
                     struct wal_error *error)
{
    HF_ASSERT(w->fd >= 0 && bytes.len <= REPL_MAX_SNAPSHOT_BYTES - w->bytes);
    w->bytes += bytes.len;
    while (bytes.len > 0) {
        size_t n = WAL_SNAPSHOT_BLOCK - w->part;

        n = n < bytes.len ? n : bytes.len;
        memcpy(w->buffer + w->used + w->part, bytes.data, n);
        w->part += n;
        bytes = span_of(bytes.data + n, bytes.len - n);
        if (w->part < WAL_SNAPSHOT_BLOCK)
            break;
        close_block(w);
        if (w->used == BUFFER_BYTES && !write_buffer(w, d, error))
            return false;
    }
    return true;
}

/* Whatever it was: no descriptor, no memory. */
void wal_draft_abandon(struct wal_draft *w, const struct wal_dir *d)
{
    wal_file_close(d, w->fd);
    if (w->buffer != NULL)
        explicit_bzero(w->buffer, BUFFER_BYTES);
    free(w->buffer);
    w->buffer = NULL;
    w->fd = -1;
}

bool wal_draft_finish(struct wal_draft *w, const struct wal_dir *d, struct wal_error *error)
{
    uint8_t header[WAL_SNAPSHOT_HEADER];
    bool ok;
    int r = 0;

    HF_ASSERT(w->fd >= 0);
    close_block(w);
    wal_snapshot_header_encode(d, &w->meta, w->bytes, header);
    ok = write_buffer(w, d, error) &&
         wal_file_write(d, w->temp, w->fd, header, sizeof header, 0, error);
    if (ok)
        r = d->fs->fsync(d->fs->self, w->fd);
    if (r < 0)
        ok = wal_fail_sys(d, w->temp, "fsync failed", r, error);
    wal_draft_abandon(w, d);
    return ok;
}

bool wal_draft_drop(struct wal_draft *w, const struct wal_dir *d, struct wal_error *error)
{
    bool any = w->temp[0] != '\0';
    char temp[WAL_NAME_BYTES];

    wal_draft_abandon(w, d);
    memcpy(temp, w->temp, sizeof temp);
    *w = (struct wal_draft){.fd = -1};
    return !any || wal_file_unlink(d, temp, error);
}
