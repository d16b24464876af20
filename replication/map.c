#include "replication/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { MAP_FIRST_SLOTS = 64 };

void *repl_alloc_zero(size_t n, size_t size)
{
    void *p = calloc(n, size);

    HF_ASSERT(p != NULL || n == 0 || size == 0);
    return p;
}

void *repl_copy(const void *bytes, size_t n)
{
    if (n == 0)
        return NULL;

    void *p = malloc(n);

    HF_ASSERT(p != NULL);
    return memcpy(p, bytes, n);
}

static uint64_t mix(struct map_key key)
{
    uint64_t x = key.lo ^ (key.hi * 0x9e3779b97f4a7c15u);

    /* Two multiply-and-fold rounds: neighbouring addresses and counters spread over all bits. */
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

static bool same(struct map_key x, struct map_key y)
{
    return x.hi == y.hi && x.lo == y.lo;
}

/* The slot of the key, or the free one where it would go. The map is never full. */
static size_t find(const struct map *map, struct map_key key)
{
    size_t mask = map->n_slots - 1;
    size_t i = (size_t)mix(key) & mask;

    while (map->slots[i].value != NULL && !same(map->slots[i].key, key))
        i = (i + 1) & mask;
    return i;
}

static void grow(struct map *map)
{
    struct map bigger = {.n_slots = map->n_slots == 0 ? MAP_FIRST_SLOTS : map->n_slots * 2,
                         .n_used = map->n_used};

    bigger.slots = repl_alloc_zero(bigger.n_slots, sizeof *bigger.slots);
    for (size_t i = 0; i < map->n_slots; i++)
        if (map->slots[i].value != NULL)
            bigger.slots[find(&bigger, map->slots[i].key)] = map->slots[i];
    free(map->slots);
    *map = bigger;
}

void map_deinit(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

void *map_get(const struct map *map, struct map_key key)
{
    return map->n_slots == 0 ? NULL : map->slots[find(map, key)].value;
}

void map_put(struct map *map, struct map_key key, void *value)
{
    HF_ASSERT(value != NULL);
    if ((map->n_used + 1) * 4 > map->n_slots * 3)
        grow(map);

    size_t i = find(map, key);

    HF_ASSERT(map->slots[i].value == NULL);
    map->slots[i] = (struct map_slot){.key = key, .value = value};
    map->n_used++;
}

void *map_take(struct map *map, struct map_key key)
{
    if (map->n_slots == 0)
        return NULL;

    size_t mask = map->n_slots - 1;
    size_t hole = find(map, key);
    void *value = map->slots[hole].value;

    if (value == NULL)
        return NULL;
    /* Close the gap: what was pushed past the hole moves back into it. */
    for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t home = (size_t)mix(map->slots[i].key) & mask;

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].value = NULL;
    map->n_used--;
    return value;
}

void *map_next(const struct map *map, size_t *at)
{
    while (*at < map->n_slots) {
        void *value = map->slots[(*at)++].value;

        if (value != NULL)
            return value;
    }
    return NULL;
}
