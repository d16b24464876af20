/* The small parts: grants, hash and digest, table, outbox, records as bytes, the sealing seam. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "replication/digest.h"
#include "replication/map.h"
#include "replication/outbox.h"
#include "replication/seal.h"
#include "sim/sim_random.h"
#include "unit/repl/make.h"

/* --- grants --- */

Test(repl_grant, each_assignment_grants_a_block_of_its_own)
{
    struct repl_claim c = {.reservation_end = 64, .ceiling = 8, .touched = 3, .version = 10};
    uint64_t last_end = 64;
    uint64_t last_ceiling = 8;

    for (uint64_t n = 4; n < 1000; n++) {
        struct repl_grant g = repl_claim_grant(&c, n);

        cr_assert_eq(g.first, last_end, "blocks are disjoint and without a gap");
        cr_assert_eq(g.end - g.first, 65536);
        cr_assert_eq(g.floor, last_ceiling);
        cr_assert_eq(g.ceiling, g.floor + 8);
        last_end = g.end;
        last_ceiling = g.ceiling;
    }
}

Test(repl_grant, touching_is_the_same_in_one_go_or_in_many)
{
    struct repl_claim once = {.reservation_end = 7, .ceiling = 9, .touched = 0, .version = 1};
    struct repl_claim often = once;

    for (uint64_t n = 1; n <= 500; n++) {
        struct repl_grant lazily = repl_claim_grant(&once, n);
        struct repl_grant eagerly = repl_claim_grant(&often, n);

        cr_assert_eq(memcmp(&lazily, &eagerly, sizeof lazily), 0);
        repl_claim_touch(&often, n);
        if (n % 7 == 0) { /* what the owner extends lies behind what it was granted */
            often.reservation_end += 100;
            repl_claim_touch(&once, n);
            once.reservation_end += 100;
        }
    }
    repl_claim_touch(&once, 500);
    cr_assert_eq(memcmp(&once, &often, sizeof once), 0);
    cr_assert_eq(often.version, 501);
}

Test(repl_grant, without_an_assignment_there_is_nothing)
{
    struct repl_claim c = {.reservation_end = 64, .ceiling = 8, .touched = 3};
    struct repl_grant g = repl_claim_grant(&c, 3);

    cr_assert_eq(g.first, g.end);
    cr_assert_eq(g.floor, g.ceiling);
}

/* --- digest --- */

/* SipHash-2-4-128's published vectors: key 00..0f, message 00..n-1 (SipHash's own vectors.h). */
Test(repl_digest, the_hash_is_siphash_2_4_128)
{
    static const struct {
        size_t n;
        uint64_t a, b; /* output bytes 0..7 and 8..15, little-endian */
    } vectors[] = {
        {0, 0xe6a825ba047f81a3u, 0x930255c71472f66du},
        {1, 0x44af996bd8c187dau, 0x45fc229b11597634u},
        {2, 0xc75da4a48d227781u, 0xe4ff0af6de8ba3fcu},
    };
    uint8_t message[64];

    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    for (size_t i = 0; i < 3; i++) {
        struct digest d =
            digest_hash(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, span_of(message, vectors[i].n));

        cr_assert_eq(d.a, vectors[i].a, "%zu: %lx", vectors[i].n, (unsigned long)d.a);
        cr_assert_eq(d.b, vectors[i].b, "%zu: %lx", vectors[i].n, (unsigned long)d.b);
    }
}

Test(repl_digest, pieces_hash_as_the_whole_and_spans_do_not_run_into_each_other)
{
    struct digest_item x;
    struct digest_item y;

    digest_item_init(&x, 1, 2);
    digest_item_init(&y, 1, 2);
    digest_item_span(&x, span_of("ab", 2));
    digest_item_span(&x, span_of("c", 1));
    digest_item_span(&y, span_of("a", 1));
    digest_item_span(&y, span_of("bc", 2));
    cr_assert_not(digest_equal(digest_item_final(&x), digest_item_final(&y)));
    digest_item_init(&x, 1, 2);
    digest_item_init(&y, 1, 3);
    cr_assert_not(digest_equal(digest_item_final(&x), digest_item_final(&y)), "kinds differ");
    digest_item_init(&x, 1, 2);
    digest_item_init(&y, 2, 2);
    cr_assert_not(digest_equal(digest_item_final(&x), digest_item_final(&y)), "keys differ");
}

/* --- map --- */

Test(repl_map, against_a_plain_array)
{
    enum { KEYS = 3000 };
    static uint8_t there[KEYS];
    struct sim_random random = {.state = 5};
    struct map map = {0};
    size_t n = 0;

    for (int i = 0; i < 200000; i++) {
        uint64_t k = sim_between(&random, 0, KEYS - 1);
        struct map_key key = {.hi = k % 3, .lo = k};
        void *got = map_get(&map, key);

        cr_assert_eq(got, there[k] != 0 ? &there[k] : NULL);
        if (there[k] == 0) {
            there[k] = 1;
            map_put(&map, key, &there[k]);
            n++;
        } else if (sim_chance(&random, 600)) {
            cr_assert_eq(map_take(&map, key), &there[k]);
            cr_assert_null(map_take(&map, key));
            there[k] = 0;
            n--;
        }
        cr_assert_eq(map.n_used, n);
    }

    size_t at = 0;
    size_t seen = 0;
    uint8_t *p;

    while ((p = map_next(&map, &at)) != NULL) {
        cr_assert_eq(*p, 1);
        seen++;
    }
    cr_assert_eq(seen, n);
    map_deinit(&map);
}

/* --- outbox --- */

static struct outbox *new_outbox(void)
{
    struct outbox *o = repl_alloc_zero(1, sizeof *o);

    outbox_init(o);
    return o;
}

Test(repl_outbox, items_leave_by_settlement_only)
{
    struct outbox *o = new_outbox();
    struct outbox_item gone;
    uint8_t bytes[4] = {0};
    int effects;

    for (uint64_t r = 1; r <= 3; r++)
        outbox_put(o, r, bytes, sizeof bytes, &effects);
    for (uint64_t r = 1; r <= 3; r++) {
        struct outbox_item *item = outbox_unsent(o);

        cr_assert_eq(item->request, r);
        outbox_sent(o, item, 10 * r);
    }
    cr_assert_null(outbox_unsent(o));
    cr_assert(outbox_settle(o, 2, &gone));
    cr_assert_eq(gone.effects, &effects);
    cr_assert_not(outbox_settle(o, 2, &gone), "once");
    cr_assert_not(outbox_settle(o, 0, &gone));
    cr_assert_not(outbox_settle(o, 99, &gone));
    cr_assert_eq(o->oldest, 1);
    /* A change of leader: what is left goes again, in order, under its id. */
    outbox_unsend_all(o);
    cr_assert_eq(outbox_unsent(o)->request, 1);
    cr_assert(outbox_unsent(o)->sent_before);
    outbox_sent(o, outbox_unsent(o), 50);
    cr_assert_eq(outbox_unsent(o)->request, 3);
    outbox_sent(o, outbox_unsent(o), 60);
    cr_assert_eq(outbox_unsend_older(o, 55), 1);
    cr_assert_eq(outbox_unsent(o)->request, 1);
    cr_assert(outbox_settle(o, 1, &gone));
    cr_assert_eq(o->oldest, 3);
    cr_assert_null(outbox_unsent(o));
    outbox_unsend(o, 3);
    outbox_unsend(o, 77);
    cr_assert_eq(outbox_unsent(o)->request, 3);
    cr_assert(outbox_settle(o, 3, &gone));
    cr_assert_eq(o->n, 0);
    cr_assert_eq(o->bytes, 0);
    free(o);
}

Test(repl_outbox, it_is_bounded_by_number_span_and_bytes)
{
    struct outbox *o = new_outbox();
    struct outbox_item gone;
    uint8_t byte = 0;

    for (uint64_t r = 1; r <= REPL_MAX_OUTSTANDING; r++) {
        cr_assert(outbox_room(o, 1));
        outbox_put(o, r, &byte, 1, NULL);
    }
    cr_assert_not(outbox_room(o, 1));
    /* One unsettled request holds the window, else its place in the judged list could pass by. */
    for (uint64_t r = 2; r <= REPL_MAX_OUTSTANDING; r++)
        cr_assert(outbox_settle(o, r, &gone));
    cr_assert_not(outbox_room(o, 1));
    cr_assert(outbox_settle(o, 1, &gone));
    cr_assert(outbox_room(o, REPL_MAX_OUTSTANDING_BYTES));
    outbox_put(o, REPL_MAX_OUTSTANDING + 1, &byte, REPL_MAX_OUTSTANDING_BYTES, NULL);
    cr_assert_not(outbox_room(o, 1));
    cr_assert(outbox_settle(o, REPL_MAX_OUTSTANDING + 1, &gone));
    free(o);
}

/* --- records --- */

Test(repl_record, packs_and_unpacks)
{
    struct maker m = {.node = 3, .boot = 4, .request = 5, .shard = 6, .epoch_index = 7};
    Holdfast__Record *r = make_create(&m, 9, "state", 300, 0x0a000001, "alice");
    size_t n = 0;
    uint8_t *bytes = record_pack(r, &n);
    Holdfast__Record *back = record_unpack(span_of(bytes, n));

    cr_assert_not_null(back);
    cr_assert(record_valid(back));
    cr_assert(record_fenced(back));
    cr_assert_not(record_internal(back));
    cr_assert_eq(back->sa_create->sa_id, 9);
    cr_assert_eq(back->epoch->index, 7);
    cr_assert_null(record_unpack(span_of(bytes, n - 1)));
    record_free(back);
    record_free(r);
    free(bytes);
}

Test(repl_record, entries_carry_many)
{
    struct span records[3] = {span_of("one", 3), span_of("", 0), span_of("three", 5)};
    size_t n = 0;
    uint8_t *bytes = entry_pack(1, 1234, records, 3, &n);
    Holdfast__Entry *e = entry_unpack(span_of(bytes, n));

    cr_assert_not_null(e);
    cr_assert_eq(e->cluster_ms, 1234);
    cr_assert_eq(e->n_records, 3);
    cr_assert(span_equal(record_span(e->records[2]), records[2]));
    entry_free(e);
    bytes[1] = 0; /* field 1, the format, is the first thing in it */
    cr_assert_null(entry_unpack(span_of(bytes, n)), "of no format");
    bytes[1] = RECORD_SPEAKS + 1;
    e = entry_unpack(span_of(bytes, n));
    cr_assert_not_null(e, "whoever applies the log must see that it is of a later one");
    cr_assert_eq(e->format, RECORD_SPEAKS + 1);
    entry_free(e);
    free(bytes);
}

Test(repl_record, an_ipv4_address_has_one_name)
{
    struct maker m = {.node = 3, .boot = 4, .request = 5, .shard = 6, .epoch_index = 7};
    Holdfast__Record *r = make_lease(&m, 0x0a000001, "alice", false);
    uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};

    cr_assert(record_valid(r));
    free(r->pool_lease->address.data);
    r->pool_lease->address.data = repl_copy(mapped, sizeof mapped);
    r->pool_lease->address.len = sizeof mapped;
    cr_assert_not(record_valid(r));
    r->pool_lease->address.data[0] = 0x20;
    cr_assert(record_valid(r));
    record_free(r);
}

Test(repl_seal, none_is_for_a_lone_node_or_a_lab_that_says_so)
{
    cr_assert(seal_none_allowed(1, false));
    cr_assert_not(seal_none_allowed(3, false));
    cr_assert(seal_none_allowed(3, true));
    cr_assert_str_eq(seal_none.name, "none");
}
