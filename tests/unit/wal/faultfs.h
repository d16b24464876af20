/* A file system in memory that remembers what was synced, for crash tests of the log. It crashes at
 * a chosen call; what survives is drawn from what a power loss may leave: each 512-byte sector that
 * was not synced has any of the contents it had since, the file any of its lengths, each change of
 * a name that was not synced happened or not.
 */
#ifndef TESTS_WAL_FAULTFS_H
#define TESTS_WAL_FAULTFS_H

#include "replication/wal_fs.h"

enum faultfs_loss {
    FAULTFS_KILL, /* the process died: everything written survives */
    FAULTFS_NOTHING /* power loss: nothing unsynced survives */,
    FAULTFS_RANDOM, /* power loss: any part of the unsynced survives */
    FAULTFS_LOSSES
};

struct faultfs;

struct faultfs *faultfs_create(void);
void faultfs_destroy(struct faultfs *f);
const struct wal_fs *faultfs_fs(struct faultfs *f);

/* The n-th changing call from now (1 = the next) crashes, half done or done but not told, as `rng`
 * says; 0 = never. All calls fail from then on until faultfs_reboot(). */
void faultfs_crash_at(struct faultfs *f, uint64_t n);
/* The n-th changing call from now fails with `code` and the later ones work. */
void faultfs_fail_at(struct faultfs *f, uint64_t n, int code);
bool faultfs_crashed(const struct faultfs *f);
/* Changing calls since the creation or the last reboot. */
uint64_t faultfs_calls(const struct faultfs *f);
/* Leaves only what survives; descriptors and locks are gone. */
void faultfs_reboot(struct faultfs *f, enum faultfs_loss loss, uint64_t *rng);
/* A disk whose sync does nothing: the tests' own test. */
void faultfs_lie(struct faultfs *f, bool lies);

/* Files as they are now: NULL past the end. `bytes` may be changed in place (damage). */
const char *faultfs_file(struct faultfs *f, size_t i, uint8_t **bytes, size_t *n);
int faultfs_open_files(const struct faultfs *f);

/* splitmix64. */
uint64_t test_random(uint64_t *state);

#endif
