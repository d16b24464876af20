#include "replication/repl_keys.h"
#include "replication/repl_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/secret_pages.h"
#include "crypto/tables.h"
#include "replication/write_all.h"

enum { MAGIC_BYTES = 8, FILE_BYTES = MAGIC_BYTES + 8 + SEAL_KEY_BYTES };
enum {
    PLACE_BYTES = 8 + SEAL_KEY_BYTES,
    UNTIL_AT =
        SEAL_RING_KEYS * PLACE_BYTES, /* behind the places: where a former program had nothing */
    KEPT_BYTES = UNTIL_AT + 8
};
HF_STATIC_ASSERT(UNTIL_AT % 8 == 0);

static const char magic[MAGIC_BYTES + 1] = "HFCONFK1";
static const char file_name[] = "configuration.key";

static bool refuse(struct repl_error *error, const char *dir, const char *what, int reason)
{
    (void)snprintf(error->text, sizeof error->text, "%s/%s: %s%s%s", dir, file_name, what,
                   reason == 0 ? "" : ": ", reason == 0 ? "" : strerror(reason));
    return false;
}

/* Beside its place first, then renamed: never half a key. */
static bool store(const char *dir, const struct seal_means *means,
                  const uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t file[FILE_BYTES];
    int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd;
    bool ok;

    if (at < 0)
        return false;
    memcpy(file, magic, MAGIC_BYTES);
    put_be64(file + MAGIC_BYTES, seal_key_id(means, SEAL_CONFIGURATION, key));
    memcpy(file + MAGIC_BYTES + 8, key, SEAL_KEY_BYTES);
    fd = openat(at, "configuration.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ok =
        fd >= 0 && fchmod(fd, 0600) == 0 && repl_write_all(fd, file, sizeof file) && fsync(fd) == 0;
    secret_wipe_bytes(file, sizeof file);
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    ok = ok && renameat(at, "configuration.tmp", at, file_name) == 0 && fsync(at) == 0;
    (void)close(at);
    return ok;
}

/* 1: it is in *key; 0: there is none; -1: *error. */
static int load(const char *dir, const struct seal_means *means, uint8_t key[SEAL_KEY_BYTES],
                struct repl_error *error)
{
    uint8_t file[FILE_BYTES + 1];
    char path[600];
    struct stat about;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", dir, file_name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0) {
        (void)refuse(error, dir, "cannot be opened", errno);
        return -1;
    }
    n = fstat(fd, &about) == 0 ? read(fd, file, sizeof file) : -1;
    (void)close(fd);
    if (n >= 0 && (about.st_mode & 077) != 0) {
        n = -1;
        (void)refuse(error, dir, "others may read it: chmod 600", 0);
    } else if (n != FILE_BYTES || memcmp(file, magic, MAGIC_BYTES) != 0 ||
               seal_key_id(means, SEAL_CONFIGURATION, file + MAGIC_BYTES + 8) !=
                   get_be64(file + MAGIC_BYTES)) {
        n = -1;
        (void)refuse(
            error, dir,
            "no sealing key, or a damaged one: bring it back from a copy; a node of several "
            "gets it from the others when the file is moved away",
            0);
    }
    if (n == FILE_BYTES)
        memcpy(key, file + MAGIC_BYTES + 8, SEAL_KEY_BYTES);
    secret_wipe_bytes(file, sizeof file);
    return n == FILE_BYTES ? 1 : -1;
}

static bool means_of(struct seal_means *means, struct repl_error *error)
{
    if (crypto_ready() && seal_means_of(&suite_default, means))
        return true;
    (void)snprintf(error->text, sizeof error->text,
                   "OpenSSL lacks AES-256-GCM or HMAC-SHA-256: records cannot be sealed");
    return false;
}

bool repl_keys_found(const struct repl_options *options, struct repl_error *error)
{
    uint8_t key[SEAL_KEY_BYTES];
    struct repl_configuration founders;
    struct seal_means means;
    bool ok;

    if (repl_joins(options)) /* the members have it */
        return true;
    repl_genesis(options, &founders);
    if (founders.servers[0].node != options->node) /* the lowest of the founders makes it */
        return true;
    if (!means_of(&means, error))
        return false;
    HF_ASSERT(getrandom(key, sizeof key, 0) == (ssize_t)sizeof key);
    ok = store(options->data_dir, &means, key);
    secret_wipe_bytes(key, sizeof key);
    return ok || refuse(error, options->data_dir, "cannot be written", errno);
}

static void lock(void *self)
{
    uv_mutex_lock(self);
}

static void unlock(void *self)
{
    uv_mutex_unlock(self);
}

static bool fill(struct repl_keys *keys, struct repl_error *error)
{
    uint8_t key[SEAL_KEY_BYTES];
    struct seal_ring *ring = keys->ring;
    int found = load(keys->data_dir, &ring->means, key, error);
    uint64_t id;

    if (found <= 0)
        return found == 0;
    id = seal_ring_add(ring, SEAL_CONFIGURATION, key);
    secret_wipe_bytes(key, sizeof key);
    return seal_ring_use(ring, SEAL_CONFIGURATION, id);
}

/* --- keys of sessions --- */

static bool no_memory(struct repl_error *error)
{
    (void)snprintf(error->text, sizeof error->text,
                   "no locked memory for sealing keys: %s (raise LimitMEMLOCK, or `ulimit -l`)",
                   strerror(errno));
    return false;
}

static void take_kept(struct repl_keys *keys)
{
    for (size_t i = 0; i < SEAL_RING_KEYS; i++) {
        const uint8_t *place = keys->kept + i * PLACE_BYTES;
        uint64_t id = get_be64(place);

        if (id != 0 && seal_key_id(&keys->ring->means, SEAL_SESSION, place + 8) == id)
            (void)seal_ring_add(keys->ring, SEAL_SESSION, place + 8);
    }
}

/* In one store each: whoever ends in the middle of a change leaves the former time or the next. */
static _Atomic uint64_t *until_of(uint8_t *kept)
{
    return (_Atomic uint64_t *)(void *)(kept + UNTIL_AT);
}

static void wipe_if_old(uint8_t *kept, uint64_t now_ns)
{
    uint64_t until_ns = atomic_load(until_of(kept));

    if (until_ns == 0 || now_ns < until_ns)
        return;
    secret_wipe_bytes(kept, UNTIL_AT);
    atomic_store(until_of(kept), 0);
}

void repl_kept_expire(int fd, uint64_t now_ns)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0 || st.st_size < KEPT_BYTES)
        return;
    p = mmap(NULL, KEPT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return;
    wipe_if_old(p, now_ns);
    (void)munmap(p, KEPT_BYTES);
}

void repl_keys_until(struct repl_keys *keys, uint64_t until_ns)
{
    atomic_store(until_of(keys->kept), until_ns);
}

uint64_t repl_keys_kept_until(const struct repl_keys *keys)
{
    return keys->kept_until_ns;
}

/* The one that was kept, or a new one that is to be kept from now on. */
static bool open_kept(struct repl_keys *keys, const struct repl_options *o,
                      struct repl_error *error)
{
    int fd = o->kept_keys_fd > 0 ? o->kept_keys_fd : memfd_create("holdfast-keys", MFD_CLOEXEC);
    void *p = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, KEPT_BYTES) == 0)
        p = mmap(NULL, KEPT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        keys->kept = p;
        if (mlock(p, KEPT_BYTES) != 0 || madvise(p, KEPT_BYTES, MADV_DONTDUMP) != 0 ||
            madvise(p, KEPT_BYTES, MADV_DONTFORK) != 0)
            p = MAP_FAILED;
    }
    if (p == MAP_FAILED)
        (void)no_memory(error);
    else if (o->kept_keys_fd > 0) {
        wipe_if_old(keys->kept, repl_boottime_ns());
        keys->kept_until_ns = atomic_load(until_of(keys->kept));
        take_kept(keys);
    } else if (o->keep_keys_fd != NULL)
        o->keep_keys_fd(o->keep_keys_self, fd);
    if (fd >= 0 && o->kept_keys_fd <= 0)
        (void)close(fd);
    return p != MAP_FAILED;
}

void repl_keys_changed(void *self)
{
    struct repl_keys *keys = self;
    uint64_t ids[SEAL_RING_KEYS];
    size_t n = seal_ring_list(keys->ring, SEAL_SESSION, ids, SEAL_RING_KEYS);

    for (size_t i = 0; i < SEAL_RING_KEYS; i++) {
        uint8_t *place = keys->kept + i * PLACE_BYTES;

        /* In this order a place that is half written has no id, or another key's. */
        put_be64(place, 0);
        secret_wipe_bytes(place + 8, SEAL_KEY_BYTES);
        if (i < n && seal_ring_get(keys->ring, SEAL_SESSION, ids[i], place + 8))
            put_be64(place, ids[i]);
    }
}

bool repl_keys_open(struct repl_keys *keys, const struct repl_options *options, uint64_t boot,
                    struct repl_error *error)
{
    struct seal_means means;

    *keys = (struct repl_keys){.ring = NULL};
    if (!means_of(&means, error))
        return false;
    if (strlen(options->data_dir) >= sizeof keys->data_dir)
        return refuse(error, options->data_dir, "the directory's name is too long", 0);
    memcpy(keys->data_dir, options->data_dir, strlen(options->data_dir) + 1);
    keys->ring = secret_pages_new(sizeof *keys->ring);
    if (keys->ring == NULL)
        return no_memory(error);
    HF_ASSERT(uv_mutex_init(&keys->lock) == 0);
    means.lock = lock;
    means.unlock = unlock;
    means.lock_self = &keys->lock;
    seal_ring_init(keys->ring, &means, options->node, boot);
    if (fill(keys, error) && open_kept(keys, options, error))
        return true;
    repl_keys_close(keys);
    return false;
}

void repl_keys_close(struct repl_keys *keys)
{
    if (keys->ring == NULL)
        return;
    if (keys->kept != NULL) /* the memfd stays, for the next start */
        (void)munmap(keys->kept, KEPT_BYTES);
    keys->kept = NULL;
    seal_ring_deinit(keys->ring);
    secret_pages_free(keys->ring, sizeof *keys->ring);
    uv_mutex_destroy(&keys->lock);
    keys->ring = NULL;
}

bool repl_keys_copy(struct repl_keys *keys, const char *dir, struct repl_error *error)
{
    uint64_t id = seal_ring_current(keys->ring, SEAL_CONFIGURATION);
    uint8_t key[SEAL_KEY_BYTES];
    bool ok;

    HF_ASSERT(id != 0 && seal_ring_get(keys->ring, SEAL_CONFIGURATION, id, key));
    ok = store(dir, &keys->ring->means, key);
    secret_wipe_bytes(key, sizeof key);
    return ok || refuse(error, dir, "cannot be written", errno);
}

bool repl_keys_ready(struct repl_keys *keys)
{
    return seal_ring_current(keys->ring, SEAL_CONFIGURATION) != 0 &&
           seal_ring_current(keys->ring, SEAL_SESSION) != 0;
}

bool repl_keys_keep(void *self, const uint8_t bytes[SEAL_KEY_BYTES])
{
    struct repl_keys *keys = self;

    return store(keys->data_dir, &keys->ring->means, bytes);
}
