#include "sim/sim_check.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "sim/sim_random.h"

static struct sim_map_item *place(const struct sim_map *m, uint64_t name)
{
    size_t i = (size_t)(name >> 8) & (m->capacity - 1);

    while (m->items[i].name != 0 && m->items[i].name != name)
        i = (i + 1) & (m->capacity - 1);
    return &m->items[i];
}

static void grow(struct sim_map *m)
{
    struct sim_map more = {.n = m->n, .capacity = m->capacity == 0 ? 1024 : m->capacity * 2};

    more.items = calloc(more.capacity, sizeof *more.items);
    HF_ASSERT(more.items != NULL);
    for (size_t i = 0; i < m->capacity; i++)
        if (m->items[i].name != 0)
            *place(&more, m->items[i].name) = m->items[i];
    free(m->items);
    *m = more;
}

/* The value that it has, or gets now. */
static uint64_t *value_of(struct sim_map *m, uint64_t name, uint64_t value, bool *fresh)
{
    struct sim_map_item *item;

    if (2 * (m->n + 1) > m->capacity)
        grow(m);
    item = place(m, name | 1);
    *fresh = item->name == 0;
    if (*fresh) {
        *item = (struct sim_map_item){name | 1, value};
        m->n++;
    }
    return &item->value;
}

void sim_check_deinit(struct sim_check *c)
{
    free(c->sealed.items);
    free(c->opened.items);
    free(c->messages.items);
    free(c->digests.items);
}

bool sim_check_sealed(struct sim_check *c, uint64_t key, uint64_t seq)
{
    bool fresh;

    (void)value_of(&c->sealed, sim_mix(key ^ sim_mix(seq)), 0, &fresh);
    return fresh;
}

bool sim_check_opened(struct sim_check *c, uint64_t key, uint64_t seq)
{
    bool fresh;

    (void)value_of(&c->opened, sim_mix(key ^ sim_mix(seq)), 0, &fresh);
    return fresh;
}

bool sim_check_message(struct sim_check *c, uint64_t end, struct span message)
{
    enum { HEADER = 28, EXCHANGE = 18, FLAGS = 19, ID = 20, SA_INIT = 34, INFORMATIONAL = 37 };
    uint64_t name, hash;
    bool fresh;

    if (message.len < HEADER || message.data[EXCHANGE] == SA_INIT ||
        (message.data[EXCHANGE] == INFORMATIONAL &&
         get_be32(message.data + ID) == 0)) /* RFC 6311 */
        return true;
    name = sim_mix(get_be64(message.data) + end);
    name = sim_mix(name ^ get_be64(message.data + 8));
    name = sim_mix(name ^ get_be32(message.data + ID) ^ ((uint64_t)message.data[FLAGS] << 32));
    hash = span_fnv1a64(message);
    return *value_of(&c->messages, name, hash, &fresh) == hash;
}

bool sim_check_digest(struct sim_check *c, uint64_t index, struct digest digest)
{
    bool fresh;

    return *value_of(&c->digests, sim_mix(index + 1), digest.a ^ sim_mix(digest.b), &fresh) ==
           (digest.a ^ sim_mix(digest.b));
}

bool sim_numbers_arrive(struct sim_numbers *s, uint64_t number)
{
    uint8_t bit = (uint8_t)(1u << (number % 8));

    if (number >= s->next)
        return false;
    if (number / 8 >= s->capacity) {
        size_t more = s->next / 4 + 64;

        s->arrived = realloc(s->arrived, more);
        HF_ASSERT(s->arrived != NULL);
        memset(s->arrived + s->capacity, 0, more - s->capacity);
        s->capacity = more;
    }
    if ((s->arrived[number / 8] & bit) != 0)
        return false;
    s->arrived[number / 8] |= bit;
    return true;
}
