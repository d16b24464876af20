#include "replication/wal_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/bytes.h"

enum { IDENTITY_BYTES = 24, MANIFEST_BYTES = 32, FORMAT_VERSION = 1 };

static const char identity_file[] = "identity";
static const char lock_file[] = "lock";
static const char vote_file[] = "vote";
static const char manifest_file[] = "manifest";
static const char high_water_file[] = "high-water";

static bool set_path(struct wal_dir *d, const struct wal_fs *fs, const char *path,
                     struct wal_error *error)
{
    *d = (struct wal_dir){.fs = fs != NULL ? fs : wal_fs_kernel()};
    if (path[0] == '\0' || strlen(path) >= sizeof d->path)
        return wal_fail(error, "the data directory's name is empty or too long");
    (void)snprintf(d->path, sizeof d->path, "%s", path);
    return true;
}

/* Held until the descriptor closes, so also after a crash nothing is left to clean up. */
static bool take_lock(const struct wal_dir *d, int *lock_fd, struct wal_error *error)
{
    int r;

    *lock_fd = wal_file_open(d, lock_file, O_RDWR | O_CREAT, error);
    if (*lock_fd < 0)
        return false;
    r = d->fs->lock(d->fs->self, *lock_fd);
    if (r == -EWOULDBLOCK)
        return wal_fail(error, "%s/%s: another holdfastd uses this data directory: stop it first",
                        d->path, lock_file);
    return r == 0 || wal_fail_sys(d, lock_file, "cannot lock", r, error);
}

/* identity: the 16 random bytes, node 4, format version 4. Its own checksum is without the id,
 * which is not known yet. */
static bool store_identity(const struct wal_dir *d, uint32_t node, struct wal_error *error)
{
    struct wal_dir anonymous = *d;
    uint8_t p[IDENTITY_BYTES];

    memset(anonymous.id, 0, sizeof anonymous.id);
    memcpy(p, d->id, WAL_ID_BYTES);
    put_be32(p + WAL_ID_BYTES, node);
    put_be32(p + WAL_ID_BYTES + 4, FORMAT_VERSION);
    return wal_small_replace(&anonymous, identity_file, WAL_FILE_IDENTITY, p, sizeof p, error);
}

static bool load_identity(struct wal_dir *d, uint32_t node, struct wal_error *error)
{
    uint8_t p[IDENTITY_BYTES];

    if (!wal_small_load(d, identity_file, WAL_FILE_IDENTITY, p, sizeof p, error))
        return false;
    if (get_be32(p + WAL_ID_BYTES + 4) != FORMAT_VERSION)
        return wal_fail(
            error, "%s/%s: format %u of the data directory is not known to this version (%d is)",
            d->path, identity_file, get_be32(p + WAL_ID_BYTES + 4), FORMAT_VERSION);
    if (get_be32(p + WAL_ID_BYTES) != node)
        return wal_fail(
            error, "%s: this data directory belongs to node %u, the configuration says node %u",
            d->path, get_be32(p + WAL_ID_BYTES), node);
    memcpy(d->id, p, WAL_ID_BYTES);
    return true;
}

struct listing {
    unsigned identity, ours, foreign;
};

/* Only what an --init itself makes before the identity counts as ours: an interrupted one may be
 * repeated. */
static void look(void *arg, const char *name)
{
    struct listing *l = arg;

    if (strcmp(name, identity_file) == 0)
        l->identity++;
    else if (strcmp(name, lock_file) == 0 || strcmp(name, vote_file) == 0 ||
             strcmp(name, manifest_file) == 0 || strcmp(name, high_water_file) == 0 ||
             strcmp(name, "vote.tmp") == 0 || strcmp(name, "manifest.tmp") == 0 ||
             strcmp(name, "high-water.tmp") == 0 || strcmp(name, "identity.tmp") == 0)
        l->ours++;
    else
        l->foreign++;
}

bool wal_directory_open(struct wal_dir *d, const struct wal_options *options, int *lock_fd,
                        struct wal_error *error)
{
    struct listing l = {0};
    int r;

    if (!set_path(d, options->fs, options->directory, error))
        return false;
    r = d->fs->list(d->fs->self, d->path, look, &l);
    if (r < 0)
        return wal_fail(error,
                        "%s: cannot open the data directory: %s; a new node's is made once by "
                        "`holdfastd --init`",
                        d->path, strerror(-r));
    if (l.identity == 0)
        return wal_fail(
            error,
            "%s: the data directory %s: refused, for a node that lost its data and joins silently "
            "votes twice; a new node's is made once by `holdfastd --init`",
            d->path, l.ours + l.foreign == 0 ? "is empty" : "has no identity file");
    return take_lock(d, lock_fd, error) && load_identity(d, options->node, error);
}

/* Makes the names of the directory itself durable: the parent knows them. */
static bool sync_parent(const struct wal_dir *d, struct wal_error *error)
{
    char parent[WAL_PATH_BYTES];
    int r;

    (void)snprintf(parent, sizeof parent, "%s/..", d->path);
    r = d->fs->sync_dir(d->fs->self, parent);
    return r == 0 || wal_fail_sys(d, "..", "fsync of the directory failed", r, error);
}

static bool init_locked(struct wal_dir *d, uint32_t node, struct wal_error *error)
{
    static const uint8_t no_vote[WAL_SLOT_PAYLOAD];
    struct wal_manifest fresh = {.first_seq = 1, .start_index = 1};
    struct listing l = {0};
    int r = d->fs->list(d->fs->self, d->path, look, &l);

    if (r < 0)
        return wal_fail_sys(d, ".", "cannot list", r, error);
    if (l.identity > 0)
        return wal_fail(error, "%s: already a data directory: --init refused", d->path);
    if (l.foreign > 0)
        return wal_fail(error, "%s: not empty: --init refused", d->path);
    if (getrandom(d->id, sizeof d->id, 0) != (ssize_t)sizeof d->id)
        return wal_fail_sys(d, identity_file, "no randomness", errno, error);
    /* The identity comes last: with it the directory is complete. */
    return wal_slots_create(d, vote_file, no_vote, error) &&
           wal_directory_store_manifest(d, &fresh, error) && wal_high_water_create(d, error) &&
           store_identity(d, node, error) && sync_parent(d, error);
}

bool wal_init_directory(const struct wal_fs *fs, const char *directory, uint32_t node,
                        struct wal_error *error)
{
    struct wal_dir d;
    int lock_fd = -1;
    bool ok;
    int r;

    if (!set_path(&d, fs, directory, error))
        return false;
    if (node == 0)
        return wal_fail(error, "%s: a node id is above 0", directory);
    r = d.fs->mkdir(d.fs->self, d.path, 0700);
    if (r < 0 && r != -EEXIST)
        return wal_fail(error, "%s: cannot make the data directory: %s", d.path, strerror(-r));
    ok = take_lock(&d, &lock_fd, error) && init_locked(&d, node, error);
    wal_file_close(&d, lock_fd);
    return ok;
}

bool wal_directory_open_vote(const struct wal_dir *d, struct wal_slots *s, uint64_t *term,
                             uint32_t *voted_for, struct wal_error *error)
{
    uint8_t p[WAL_SLOT_PAYLOAD];

    if (!wal_slots_open(d, vote_file, true, s, p, error))
        return false;
    *term = get_be64(p);
    *voted_for = get_be32(p + 8);
    return true;
}

bool wal_directory_store_vote(const struct wal_dir *d, struct wal_slots *s, uint64_t term,
                              uint32_t voted_for, struct wal_error *error)
{
    uint8_t p[WAL_SLOT_PAYLOAD] = {0};

    put_be64(p, term);
    put_be32(p + 8, voted_for);
    return wal_slots_write(d, vote_file, s, p, true, error);
}

bool wal_directory_load_manifest(const struct wal_dir *d, struct wal_manifest *m,
                                 struct wal_error *error)
{
    uint8_t p[MANIFEST_BYTES];

    if (!wal_small_load(d, manifest_file, WAL_FILE_MANIFEST, p, sizeof p, error))
        return false;
    *m = (struct wal_manifest){.snapshot_index = get_be64(p),
                               .snapshot_term = get_be64(p + 8),
                               .first_seq = get_be64(p + 16),
                               .start_index = get_be64(p + 24)};
    return true;
}

bool wal_directory_store_manifest(const struct wal_dir *d, const struct wal_manifest *m,
                                  struct wal_error *error)
{
    uint8_t p[MANIFEST_BYTES];

    put_be64(p, m->snapshot_index);
    put_be64(p + 8, m->snapshot_term);
    put_be64(p + 16, m->first_seq);
    put_be64(p + 24, m->start_index);
    return wal_small_replace(d, manifest_file, WAL_FILE_MANIFEST, p, sizeof p, error);
}
