/* Where a node's sealing keys are: the ring in locked pages; the configuration's key, which must outlive
 * the machine's power, in a file of the data directory (mode 0600); those of sessions in a memfd, which
 * the service manager keeps while the daemon starts anew, and which ends with the machine's power.
 *
 *   configuration.key = "HFCONFK1" | key id 8 | key 32
 *   memfd             = { key id 8 | key 32 } for each place of the ring; an id of 0, or one that is not
 *                       that key's, is a free place; then until 8 (this machine's): CLOCK_BOOTTIME in ns
 *                       when they are too old to be taken up again, 0 = never
 */
#ifndef HF_REPL_KEYS_H
#define HF_REPL_KEYS_H

#include <uv.h>

#include "replication/replica.h"
#include "replication/seal_ring.h"

struct repl_keys {
    struct seal_ring *ring; /* secret pages */
    uint8_t *kept;          /* the memfd, mapped */
    uint64_t kept_until_ns; /* as it was found */
    uv_mutex_t lock;
    char data_dir[512];
};

/* --init: the founding node with the lowest id makes the key of the configuration; the others get it
 * from it, so that there is one. False: *error. */
bool repl_keys_found(const struct repl_options *options, struct repl_error *error) HF_MUST_USE;

/* What is stored here goes into the ring. None stored is no error: the node asks its peers. False:
 * *error (no locked memory, a file that is not what it says); nothing is left open. */
bool repl_keys_open(struct repl_keys *keys, const struct repl_options *options, uint64_t boot,
                    struct repl_error *error) HF_MUST_USE;
void repl_keys_close(struct repl_keys *keys);

/* The configuration's key, of which there must be one, goes into another directory, too. False: *error. */
bool repl_keys_copy(struct repl_keys *keys, const char *dir, struct repl_error *error) HF_MUST_USE;

/* Can everything be sealed? Any thread. */
bool repl_keys_ready(struct repl_keys *keys);

/* As replica_callbacks.keep_key; `self` is a struct repl_keys. Durable when it returns. */
bool repl_keys_keep(void *self, const uint8_t bytes[SEAL_KEY_BYTES]);

/* When the keys that the memfd has are too old, should this program end now; 0 = never. */
void repl_keys_until(struct repl_keys *keys, uint64_t until_ns);
/* What it said at the start; 0 = never, or there was none. */
uint64_t repl_keys_kept_until(const struct repl_keys *keys);

/* As replica_callbacks.keys_changed: the memfd has the ring's keys of sessions, and no other. */
void repl_keys_changed(void *self);

#endif
