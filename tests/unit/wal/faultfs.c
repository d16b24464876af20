#include "faultfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { SECTOR = 512, MAX_FILES = 512, MAX_FDS = 64, NAME = 80 };

/* One unsynced write; also a change of the length. */
struct change {
    struct change *next;
    uint64_t offset;
    size_t n;
    uint8_t bytes[];
};

struct inode {
    uint8_t *durable, *now;
    size_t durable_len, now_len;
    struct change *first, **last;
    bool locked;
};

struct name {
    char text[NAME];
    struct inode *inode;
};

struct names {
    struct name at[MAX_FILES];
    size_t n;
};

/* A change of the directory: `remove` goes, `set` points to inode (empty text: none). */
struct dir_change {
    char remove[NAME], set[NAME];
    struct inode *inode;
};

struct faultfs {
    struct wal_fs fs;
    pthread_mutex_t lock;
    struct names now, durable;
    struct dir_change pending[4 * MAX_FILES];
    size_t n_pending;
    struct inode *inodes[8 * MAX_FILES];
    size_t n_inodes;
    struct inode *fds[MAX_FDS];
    uint64_t calls, crash_at, fail_at;
    int fail_code;
    bool crashed, lies;
    uint64_t coin;
};

uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void *must(void *p)
{
    HF_ASSERT(p != NULL);
    return p;
}

static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static struct name *find(struct names *names, const char *text)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i].text, text) == 0)
            return &names->at[i];
    return NULL;
}

static void set_name(struct names *names, const char *text, struct inode *inode)
{
    struct name *found = find(names, text);

    if (found == NULL) {
        HF_ASSERT(names->n < MAX_FILES);
        found = &names->at[names->n++];
        (void)snprintf(found->text, sizeof found->text, "%s", text);
    }
    found->inode = inode;
}

static void remove_name(struct names *names, const char *text)
{
    struct name *found = find(names, text);

    if (found != NULL)
        *found = names->at[--names->n];
}

static void apply(struct names *names, const struct dir_change *c)
{
    if (c->remove[0] != '\0')
        remove_name(names, c->remove);
    if (c->set[0] != '\0')
        set_name(names, c->set, c->inode);
}

static void change_dir(struct faultfs *f, const char *gone, const char *set, struct inode *inode)
{
    struct dir_change *c = &f->pending[f->n_pending++];

    HF_ASSERT(f->n_pending <= sizeof f->pending / sizeof f->pending[0]);
    *c = (struct dir_change){.inode = inode};
    (void)snprintf(c->remove, sizeof c->remove, "%s", gone);
    (void)snprintf(c->set, sizeof c->set, "%s", set);
    apply(&f->now, c);
}

/* What a changing call is to do: go on, fail, or crash (before or after its effect). */
enum fate { GO, FAIL, CRASH_BEFORE, CRASH_AFTER };

/* A call is whole: the log's threads make theirs at once, as of a kernel. (Again within itself: fs_list()'s callback.) */
static struct faultfs *lock(struct faultfs *f)
{
    HF_ASSERT(pthread_mutex_lock(&f->lock) == 0);
    return f;
}

static void unlock(struct faultfs **f)
{
    HF_ASSERT(pthread_mutex_unlock(&(*f)->lock) == 0);
}

#define WHOLE __attribute__((cleanup(unlock)))

static enum fate next_call(struct faultfs *f)
{
    if (f->crashed)
        return CRASH_BEFORE;
    f->calls++;
    if (f->fail_at != 0 && f->calls == f->fail_at)
        return FAIL;
    if (f->crash_at == 0 || f->calls != f->crash_at)
        return GO;
    f->crashed = true;
    return (test_random(&f->coin) & 1) ? CRASH_AFTER : CRASH_BEFORE;
}

static int told(const struct faultfs *f, enum fate fate)
{
    return fate == GO ? 0 : fate == FAIL ? f->fail_code : -EIO;
}

static struct inode *new_inode(struct faultfs *f)
{
    struct inode *n = must(calloc(1, sizeof *n));

    n->last = &n->first;
    HF_ASSERT(f->n_inodes < sizeof f->inodes / sizeof f->inodes[0]);
    f->inodes[f->n_inodes++] = n;
    return n;
}

static void resize(struct inode *n, size_t len)
{
    if (len > n->now_len) {
        n->now = must(realloc(n->now, len));
        memset(n->now + n->now_len, 0, len - n->now_len);
    }
    n->now_len = len;
}

static void forget_changes(struct inode *n)
{
    while (n->first != NULL) {
        struct change *next = n->first->next;

        free(n->first);
        n->first = next;
    }
    n->last = &n->first;
}

static int fs_open(void *self, const char *path, int flags, mode_t mode)
{
    WHOLE struct faultfs *f = lock(self);
    struct name *found = find(&f->now, base(path));
    struct inode *inode = found == NULL ? NULL : found->inode;
    bool creates = found == NULL && (flags & O_CREAT) != 0;
    int fd = 0;

    (void)mode;
    if (f->crashed)
        return -EIO;
    if (found == NULL && !creates)
        return -ENOENT;
    if (creates || (flags & O_TRUNC) != 0) {
        enum fate fate = next_call(f);

        if (fate == FAIL || fate == CRASH_BEFORE)
            return told(f, fate);
        /* A truncation is modelled as a new file in place of the old: only fresh and temporary
         * files are. */
        inode = new_inode(f);
        change_dir(f, "", base(path), inode);
        if (fate != GO)
            return told(f, fate);
    }
    while (fd < MAX_FDS && f->fds[fd] != NULL)
        fd++;
    HF_ASSERT(fd < MAX_FDS);
    f->fds[fd] = inode;
    return fd;
}

static int fs_close(void *self, int fd)
{
    WHOLE struct faultfs *f = lock(self);

    HF_ASSERT(fd >= 0 && fd < MAX_FDS && f->fds[fd] != NULL);
    f->fds[fd]->locked = false;
    f->fds[fd] = NULL;
    return 0;
}

static ssize_t fs_pread(void *self, int fd, void *buf, size_t n, uint64_t offset)
{
    WHOLE struct faultfs *f = lock(self);
    const struct inode *inode = f->fds[fd];

    if (f->crashed)
        return -EIO;
    if (offset >= inode->now_len)
        return 0;
    if (n > inode->now_len - offset)
        n = inode->now_len - offset;
    memcpy(buf, inode->now + offset, n);
    return (ssize_t)n;
}

static ssize_t fs_pwrite(void *self, int fd, const void *buf, size_t n, uint64_t offset)
{
    WHOLE struct faultfs *f = lock(self);
    struct inode *inode = f->fds[fd];
    enum fate fate = next_call(f);
    struct change *c;

    if (fate == FAIL || fate == CRASH_BEFORE)
        return told(f, fate);
    /* A short write now and then: the caller must go on. Within a sector there is none. */
    if (fate == GO && n > SECTOR && test_random(&f->coin) % 16 == 0)
        n = n / 2;
    c = must(calloc(1, sizeof *c + n));
    c->offset = offset;
    c->n = n;
    memcpy(c->bytes, buf, n);
    *inode->last = c;
    inode->last = &c->next;
    if (offset + n > inode->now_len)
        resize(inode, offset + n);
    memcpy(inode->now + offset, buf, n);
    return fate == GO ? (ssize_t)n : -EIO;
}

static void sync_inode(struct faultfs *f, struct inode *inode)
{
    if (f->lies)
        return;
    inode->durable = must(realloc(inode->durable, inode->now_len + 1));
    if (inode->now_len > 0)
        memcpy(inode->durable, inode->now, inode->now_len);
    inode->durable_len = inode->now_len;
    forget_changes(inode);
}

static int fs_sync(void *self, int fd)
{
    WHOLE struct faultfs *f = lock(self);
    enum fate fate = next_call(f);

    if (fate == GO || fate == CRASH_AFTER)
        sync_inode(f, f->fds[fd]);
    return told(f, fate);
}

static int fs_size(void *self, int fd, uint64_t *bytes)
{
    WHOLE struct faultfs *f = lock(self);

    *bytes = f->fds[fd]->now_len;
    return f->crashed ? -EIO : 0;
}

static int fs_lock(void *self, int fd)
{
    WHOLE struct faultfs *f = lock(self);

    if (f->crashed)
        return -EIO;
    if (f->fds[fd]->locked)
        return -EWOULDBLOCK;
    f->fds[fd]->locked = true;
    return 0;
}

static int fs_rename(void *self, const char *from, const char *to)
{
    WHOLE struct faultfs *f = lock(self);
    struct name *found = find(&f->now, base(from));
    enum fate fate = next_call(f);

    if (fate == GO || fate == CRASH_AFTER) {
        if (found == NULL)
            return -ENOENT;
        change_dir(f, base(from), base(to), found->inode);
    }
    return told(f, fate);
}

static int fs_unlink(void *self, const char *path)
{
    WHOLE struct faultfs *f = lock(self);
    enum fate fate = next_call(f);

    if (fate == GO || fate == CRASH_AFTER) {
        if (find(&f->now, base(path)) == NULL)
            return -ENOENT;
        change_dir(f, base(path), "", NULL);
    }
    return told(f, fate);
}

static int fs_mkdir(void *self, const char *path, mode_t mode)
{
    WHOLE struct faultfs *f = lock(self);

    (void)path;
    (void)mode;
    return f->crashed ? -EIO : -EEXIST;
}

static int fs_sync_dir(void *self, const char *path)
{
    WHOLE struct faultfs *f = lock(self);
    enum fate fate = next_call(f);

    (void)path;
    if ((fate == GO || fate == CRASH_AFTER) && !f->lies) {
        f->durable = f->now;
        f->n_pending = 0;
    }
    return told(f, fate);
}

static int fs_list(void *self, const char *path, void (*each)(void *arg, const char *name),
                   void *arg)
{
    WHOLE struct faultfs *f = lock(self);
    struct names *copy = must(malloc(sizeof *copy));

    (void)path;
    if (f->crashed) {
        free(copy);
        return -EIO;
    }
    *copy = f->now;
    for (size_t i = 0; i < copy->n; i++)
        each(arg, copy->at[i].text);
    free(copy);
    return 0;
}

struct faultfs *faultfs_create(void)
{
    struct faultfs *f = must(calloc(1, sizeof *f));
    pthread_mutexattr_t again;

    f->fs = (struct wal_fs){.self = f,
                            .open = fs_open,
                            .close = fs_close,
                            .pread = fs_pread,
                            .pwrite = fs_pwrite,
                            .fdatasync = fs_sync,
                            .fsync = fs_sync,
                            .size = fs_size,
                            .lock = fs_lock,
                            .rename = fs_rename,
                            .unlink = fs_unlink,
                            .mkdir = fs_mkdir,
                            .sync_dir = fs_sync_dir,
                            .list = fs_list};
    f->coin = 1;
    HF_ASSERT(pthread_mutexattr_init(&again) == 0 &&
              pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE) == 0 &&
              pthread_mutex_init(&f->lock, &again) == 0);
    (void)pthread_mutexattr_destroy(&again);
    return f;
}

static void free_inode(struct inode *n)
{
    forget_changes(n);
    free(n->durable);
    free(n->now);
    free(n);
}

void faultfs_destroy(struct faultfs *f)
{
    for (size_t i = 0; i < f->n_inodes; i++)
        free_inode(f->inodes[i]);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

const struct wal_fs *faultfs_fs(struct faultfs *f)
{
    return &f->fs;
}

void faultfs_crash_at(struct faultfs *f, uint64_t n)
{
    f->crash_at = n == 0 ? 0 : f->calls + n;
}

void faultfs_fail_at(struct faultfs *f, uint64_t n, int code)
{
    f->fail_at = f->calls + n;
    f->fail_code = -code;
}

bool faultfs_crashed(const struct faultfs *f)
{
    return f->crashed;
}

uint64_t faultfs_calls(const struct faultfs *f)
{
    return f->calls;
}

void faultfs_lie(struct faultfs *f, bool lies)
{
    f->lies = lies;
}

/* Writes of `inode` that touch the sector: it has the content after any number of them. */
static void survive_sector(struct inode *inode, uint8_t *out, size_t len, size_t at, uint64_t *rng)
{
    size_t touching = 0, keep;

    for (const struct change *c = inode->first; c != NULL; c = c->next)
        touching += c->offset < at + SECTOR && c->offset + c->n > at;
    if (touching == 0)
        return;
    keep = test_random(rng) % (touching + 1);
    for (const struct change *c = inode->first; c != NULL && keep > 0; c = c->next) {
        if (c->offset >= at + SECTOR || c->offset + c->n <= at)
            continue;
        for (size_t i = at; i < at + SECTOR && i < len; i++)
            if (i >= c->offset && i < c->offset + c->n)
                out[i] = c->bytes[i - c->offset];
        keep--;
    }
}

static void survive(struct inode *inode, uint64_t *rng)
{
    size_t len = inode->durable_len, n_changes = 0, keep;
    uint8_t *out;

    for (const struct change *c = inode->first; c != NULL; c = c->next)
        n_changes++;
    keep = test_random(rng) % (n_changes + 1);
    for (const struct change *c = inode->first; c != NULL && keep > 0; c = c->next, keep--)
        if (c->offset + c->n > len)
            len = c->offset + c->n;
    out = must(calloc(1, len + 1));
    if (inode->durable_len > 0)
        memcpy(out, inode->durable, inode->durable_len);
    for (size_t at = 0; at < len; at += SECTOR)
        survive_sector(inode, out, len, at, rng);
    free(inode->durable);
    inode->durable = out;
    inode->durable_len = len;
}

static void survive_names(struct faultfs *f, enum faultfs_loss loss, uint64_t *rng)
{
    /* In order up to a point, as journals do, or any of them. */
    bool ordered = (test_random(rng) & 1) != 0;
    size_t upto = test_random(rng) % (f->n_pending + 1);

    for (size_t i = 0; loss == FAULTFS_RANDOM && i < f->n_pending; i++)
        if (ordered ? i < upto : (test_random(rng) & 1) != 0)
            apply(&f->durable, &f->pending[i]);
}

void faultfs_reboot(struct faultfs *f, enum faultfs_loss loss, uint64_t *rng)
{
    if (loss == FAULTFS_KILL)
        f->durable = f->now;
    else
        survive_names(f, loss, rng);
    f->now = f->durable;
    f->n_pending = 0;
    for (size_t i = 0; i < f->n_inodes; i++) {
        struct inode *n = f->inodes[i];

        if (loss == FAULTFS_KILL)
            sync_inode(&(struct faultfs){.lies = false}, n);
        else if (loss == FAULTFS_RANDOM)
            survive(n, rng);
        forget_changes(n);
        n->now = must(realloc(n->now, n->durable_len + 1));
        n->now_len = n->durable_len;
        if (n->now_len > 0)
            memcpy(n->now, n->durable, n->now_len);
        n->locked = false;
    }
    memset(f->fds, 0, sizeof f->fds);
    f->crashed = false;
    f->crash_at = f->fail_at = 0;
    f->calls = 0;
    f->coin = test_random(rng);
}

const char *faultfs_file(struct faultfs *f, size_t i, uint8_t **bytes, size_t *n)
{
    if (i >= f->now.n)
        return NULL;
    *bytes = f->now.at[i].inode->now;
    *n = f->now.at[i].inode->now_len;
    return f->now.at[i].text;
}

int faultfs_open_files(const struct faultfs *f)
{
    int n = 0;

    for (size_t i = 0; i < MAX_FDS; i++)
        n += f->fds[i] != NULL;
    return n;
}
