/* A state that is read from a snapshot leaves nothing of its keys in memory that is given back. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/tables.h"
#include "replication/seal_ring.h"
#include "replication/snapshot.h"
#include "unit/repl/fsm_rig.h"
#include "unit/repl/heap_look.h"

TestSuite(repl_heap, .init = begin, .fini = end);

static const char state[] = "the state of an SA, with its keys";

static void ring_of(struct seal_ring *ring)
{
    static const uint8_t keys[2][SEAL_KEY_BYTES] = {{1}, {2}};
    struct seal_means means;

    cr_assert(seal_means_of(&suite_default, &means));
    seal_ring_init(ring, &means, 1, 11);
    cr_assert(seal_ring_use(ring, SEAL_SESSION, seal_ring_add(ring, SEAL_SESSION, keys[0])));
    cr_assert(
        seal_ring_use(ring, SEAL_CONFIGURATION, seal_ring_add(ring, SEAL_CONFIGURATION, keys[1])));
}

/* In pieces of so many bytes, damaged there or not (at: none). */
static bool restored(const uint8_t *bytes, size_t n, const struct seal *seal, size_t piece)
{
    struct snapshot_decoder d;
    struct fsm to;
    bool ok = true;

    snapshot_decoder_init(&d, seal, 1, &to);
    for (size_t at = 0; at < n && ok; at += piece)
        ok = snapshot_decode(&d, span_of(bytes + at, n - at < piece ? n - at : piece));
    ok = snapshot_decoder_end(&d) && ok;
    if (ok)
        fsm_deinit(&to);
    return ok;
}

static void look_for(const void *what, size_t len, const uint8_t *bytes, size_t n,
                     const struct seal *seal)
{
    heap_look_for(what, len);
    for (size_t piece = 7; piece <= 7000; piece *= 10)
        cr_assert(restored(bytes, n, seal, piece));
    cr_assert_eq(heap_look_found(), 0, "%zu pieces with it inside", heap_look_found());
    cr_assert_gt(heap_look_looked(), 60);
    (void)printf("compared %zu pieces\n", heap_look_looked());
    heap_look_for(NULL, 0);
}

Test(repl_heap, nothing_of_a_snapshot_is_given_back)
{
    static uint8_t secret[32];
    struct seal_ring ring;
    uint8_t *bytes;
    size_t n;

    ring_of(&ring);
    cr_assert_eq(judge(make_config(1, 150)), REPL_ACCEPTED);
    for (uint32_t i = 1; i <= 20; i++)
        cr_assert_eq(judge(make_create(&m, i, state, 4096 + 2 * i, 0x0a630000 + i, "client")),
                     REPL_ACCEPTED);
    memcpy(secret, fsm.config.cookie_secret, sizeof secret);
    bytes = snapshot_encode(&fsm, &ring.seal, &n);
    cr_assert_not_null(bytes);
    look_for(state, sizeof state - 1, bytes, n, &ring.seal);
    look_for(secret, sizeof secret, bytes, n, &ring.seal);
    free(bytes);
    seal_ring_deinit(&ring);
}
