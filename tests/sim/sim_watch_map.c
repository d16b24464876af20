#include <stdlib.h>

#include "sim/sim_watch_internal.h"

enum { FIRST = 1 << 8, MOST = 1 << 23 };

static size_t place(const struct sim_watch_map *m, uint64_t key)
{
    size_t at = (size_t)sim_watch_mix(key, 0x5ca1ab1e) & (m->capacity - 1);

    while (m->entries[at].used && m->entries[at].key != key)
        at = (at + 1) & (m->capacity - 1);
    return at;
}

static void grow(struct sim_watch_map *m)
{
    struct sim_watch_map wider = {.capacity = m->capacity == 0 ? FIRST : 2 * m->capacity};

    wider.entries = calloc(wider.capacity, sizeof *wider.entries);
    HF_ASSERT(wider.entries != NULL);
    for (size_t i = 0; i < m->capacity; i++)
        if (m->entries[i].used)
            wider.entries[place(&wider, m->entries[i].key)] = m->entries[i];
    wider.n = m->n;
    free(m->entries);
    *m = wider;
}

struct sim_watch_entry *sim_watch_find(const struct sim_watch_map *m, uint64_t key)
{
    size_t at;

    if (m->capacity == 0)
        return NULL;
    at = place(m, key);
    return m->entries[at].used ? &m->entries[at] : NULL;
}

struct sim_watch_entry *sim_watch_put(struct sim_watch_map *m, uint64_t key, bool *made)
{
    struct sim_watch_entry *e = sim_watch_find(m, key);

    *made = e == NULL;
    if (e != NULL)
        return e;
    if (m->n >= MOST)
        return NULL;
    if (m->n * 2 >= m->capacity)
        grow(m);
    e = &m->entries[place(m, key)];
    *e = (struct sim_watch_entry){.key = key, .used = true};
    m->n++;
    return e;
}
