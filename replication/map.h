/* A hash table from a 128-bit key to a pointer: open addressing, linear probing, no tombstones.
 * Keys are ours (SPIs, SA ids, addresses of our pools), so the hash needs no secret. It grows,
 * never shrinks; running out of memory ends the process (a node that cannot hold the state must not
 * go on).
 */
#ifndef HF_REPL_MAP_H
#define HF_REPL_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_key {
    uint64_t hi, lo;
};

struct map_slot {
    struct map_key key;
    void *value; /* NULL = free */
};

/* All zero is an empty map. */
struct map {
    struct map_slot *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t n_used;
};

void map_deinit(struct map *map); /* values stay the caller's */

/* NULL when absent. */
void *map_get(const struct map *map, struct map_key key);
/* The key must be absent and value not NULL (asserted). */
void map_put(struct map *map, struct map_key key, void *value);
/* Returns the value that was there, or NULL. */
void *map_take(struct map *map, struct map_key key);
/* Iterates: *at starts at 0; NULL at the end. No change to the map in between. */
void *map_next(const struct map *map, size_t *at);

/* calloc and malloc that never return NULL. */
void *repl_alloc_zero(size_t n, size_t size);
void *repl_copy(const void *bytes, size_t n); /* NULL when n == 0 */

#endif
