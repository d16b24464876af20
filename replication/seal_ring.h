/* The keys that records and snapshots are sealed with, and the sealing itself.
 *
 *   sealed = version 1 | key id 8 | node 4 | boot 8 | request 8 | counter 8 | ciphertext | tag 16
 *
 * AES-256-GCM under a subkey of its own for each (key, node, boot): HKDF-SHA-256 (RFC 5869) gives 32
 * bytes of key and 4 of salt. Nonce = salt | counter, and the counter counts what this node seals in
 * this start: so no nonce meets its twin, whoever else seals under the same key. Covered beside the
 * text: the purpose, and all in front of the counter.
 *
 * A key's id is made from the key: nobody can give another key out under its id.
 *
 * Pure, given its means: no heap, clock, randomness, lock of its own. The owner puts the ring where
 * keys may lie (locked, undumpable memory). All functions lock by means.lock, so any thread may call.
 */
#ifndef HF_REPL_SEAL_RING_H
#define HF_REPL_SEAL_RING_H

#include "crypto/suite.h"
#include "replication/seal.h"

enum {
    SEAL_KEY_BYTES = 32,
    SEAL_VERSION = 1,
    SEAL_HEADER_BYTES = 1 + 8 + 4 + 8 + 8, /* in front of the counter */
    SEAL_COUNTER_BYTES = 8,
    SEAL_TAG_BYTES = 16,
    SEAL_OVERHEAD_BYTES = SEAL_HEADER_BYTES + SEAL_COUNTER_BYTES + SEAL_TAG_BYTES,
    SEAL_RING_KEYS = 8,
    SEAL_RING_SUBKEYS = 24 /* keyed contexts at hand; others are made when they are needed */
};

/* What it works with; the rows live as long as the process. */
struct seal_means {
    const struct suite_aead *aead; /* AES_GCM_16_256 */
    const struct suite_prf *prf;   /* PRF_HMAC_SHA2_256 */
    void (*lock)(void *self);      /* both NULL: one thread */
    void (*unlock)(void *self);
    void *lock_self;
};

struct seal_key {
    uint64_t id; /* 0 = a free place */
    enum seal_kind kind;
    uint8_t bytes[SEAL_KEY_BYTES];
};

struct seal_subkey {
    uint64_t key, boot, used; /* key 0 = a free place */
    uint32_t node;
    struct suite_aead_context context;
};

struct seal_ring {
    struct seal_means means;
    struct seal seal; /* as the interface */
    uint32_t node;
    uint64_t boot;
    uint64_t counter, uses;
    uint64_t current[SEAL_KINDS]; /* ids; 0 = none: nothing of that kind can be sealed */
    struct seal_key keys[SEAL_RING_KEYS];
    struct seal_subkey subkeys[SEAL_RING_SUBKEYS];
};

/* The means from a table; false: it lacks a row. No lock. */
bool seal_means_of(const struct suite_table *table, struct seal_means *means) HF_MUST_USE;

/* boot: random, never the same at two starts of this node. */
void seal_ring_init(struct seal_ring *ring, const struct seal_means *means, uint32_t node,
                    uint64_t boot);
/* Wipes every key. */
void seal_ring_deinit(struct seal_ring *ring);

/* The id that these bytes have as a key of that kind. Never 0. */
uint64_t seal_key_id(const struct seal_means *means, enum seal_kind kind,
                     const uint8_t bytes[SEAL_KEY_BYTES]);

/* Its id, also when it is there already; 0: no room. Opening works from now on. */
uint64_t seal_ring_add(struct seal_ring *ring, enum seal_kind kind,
                       const uint8_t bytes[SEAL_KEY_BYTES]);
/* From now on things of that kind are sealed with it. False: no such key. A key may serve another
 * kind than its own. */
bool seal_ring_use(struct seal_ring *ring, enum seal_kind kind, uint64_t id) HF_MUST_USE;
void seal_ring_use_none(struct seal_ring *ring, enum seal_kind kind);
bool seal_ring_has(struct seal_ring *ring, uint64_t id);
/* 0 = none. */
uint64_t seal_ring_current(struct seal_ring *ring, enum seal_kind kind);
/* The key in use for that kind (id 0), or the one of that kind with this id. False: none. The caller
 * wipes bytes. */
bool seal_ring_get(struct seal_ring *ring, enum seal_kind kind, uint64_t id,
                   uint8_t bytes[SEAL_KEY_BYTES]) HF_MUST_USE;
/* Wiped, with everything made from it. What was sealed with it cannot be opened here any more. */
void seal_ring_erase(struct seal_ring *ring, uint64_t id);

/* The id of the key that it was sealed with; 0: it is nothing that was sealed. Needs no key. */
uint64_t seal_key_of(struct span sealed);

/* What else is readable without the key; of something with a key id only. */
struct seal_clear {
    uint64_t key, boot, request;
    uint32_t node;
};
struct seal_clear seal_clear_of(struct span sealed);

/* The ids of the keys of that kind, at most `max`; how many. */
size_t seal_ring_list(struct seal_ring *ring, enum seal_kind kind, uint64_t *ids, size_t max);

#endif
