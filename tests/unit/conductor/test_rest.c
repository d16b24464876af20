/* What a node keeps of keys in its scratch memory when its loop sleeps: nothing, whether it owns the SA or mirrors it. */
#include <criterion/criterion.h>
#include <string.h>

#include "conductor/internal.h"
#include "world.h"

enum { KEYS = 4 };

struct kept {
    uint8_t bytes[SECRET_MAX_BYTES];
    size_t len;
};

static void keep(struct kept *k, const struct secret *s)
{
    cr_assert_geq(s->len, 16);
    k->len = s->len;
    memcpy(k->bytes, s->bytes, s->len);
}

/* Those that stand in the conductor itself: its scratch; what it keeps for SAs is on the heap. */
static unsigned found_in(const struct conductor *c, const struct kept keys[static KEYS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < KEYS; i++)
        n += memmem(c, sizeof *c, keys[i].bytes, keys[i].len) != NULL;
    return n;
}

static void keys_of(struct world *w, struct kept keys[static KEYS])
{
    struct ike_sa sa = world_sa(w, 0);
    const struct ike_child *child = sa.children;

    while (child->state != IKE_CHILD_INSTALLED)
        child++;
    keep(&keys[0], &sa.keys.sk_d);
    keep(&keys[1], &sa.keys.sk_e_in);
    keep(&keys[2], &child->key_in);
    keep(&keys[3], &child->key_out);
}

static void nobody_has_any(struct world *w, const struct kept keys[static KEYS])
{
    for (unsigned i = 0; i < WORLD_CLIENT; i++)
        cr_assert_eq(found_in(w->nodes[i].conductor, keys), 0, "node %u", i);
}

static void look(void *self, const struct conductor_sa_view *view)
{
    (void)view;
    (*(unsigned *)self)++;
}

Test(rest, no_key_stays_in_scratch_memory)
{
    struct world *w = world_create(NULL);
    struct kept keys[KEYS];
    unsigned seen = 0;

    cr_assert(world_connect(w));
    keys_of(w, keys);
    world_run(w, 100);
    nobody_has_any(w, keys);
    /* The search finds what a look at it leaves, and what stood there is gone at the end of the turn. */
    conductor_each_sa(w->nodes[1].conductor, look, &seen);
    cr_assert_eq(seen, 1);
    cr_assert_eq(found_in(w->nodes[1].conductor, keys), KEYS);
    conductor_rest(w->nodes[1].conductor);
    nobody_has_any(w, keys);
    world_destroy(w);
}

Test(rest, a_rekeyed_or_deleted_sa_leaves_none)
{
    struct world *w = world_create(NULL);
    struct kept first[KEYS], second[KEYS];

    cr_assert(world_connect(w));
    keys_of(w, first);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_IKE));
    world_run(w, 2000);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_REKEY_CHILD));
    world_run(w, 20000);
    keys_of(w, second);
    world_run(w, 100); /* what this test looked at is left by a turn's end */
    cr_assert_neq(memcmp(first[0].bytes, second[0].bytes, first[0].len), 0);
    cr_assert_neq(memcmp(first[2].bytes, second[2].bytes, first[2].len), 0);
    nobody_has_any(w, first);
    nobody_has_any(w, second);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DELETE_IKE));
    world_run(w, 60000);
    cr_assert_eq(world_established(w, 0), 0);
    nobody_has_any(w, first);
    nobody_has_any(w, second);
    world_destroy(w);
}
