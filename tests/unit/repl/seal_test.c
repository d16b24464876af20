/* Sealing: the format against vectors made elsewhere, and that nothing opens but what was sealed. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "replication/seal_message.h"

static const uint64_t boot = 0x1122334455667788;

static struct seal_means means(void)
{
    struct seal_means m;

    cr_assert(seal_means_of(&suite_default, &m));
    return m;
}

static void key_of(uint8_t first, uint8_t out[SEAL_KEY_BYTES])
{
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++)
        out[i] = (uint8_t)(first + i);
}

/* With one key of its own for sessions, or none (first < 0). */
static void ring_of(struct seal_ring *r, uint32_t node, uint64_t its_boot, int first)
{
    struct seal_means m = means();
    uint8_t key[SEAL_KEY_BYTES];

    seal_ring_init(r, &m, node, its_boot);
    if (first < 0)
        return;
    key_of((uint8_t)first, key);
    cr_assert(seal_ring_use(r, SEAL_SESSION, seal_ring_add(r, SEAL_SESSION, key)));
}

static bool seal(struct seal_ring *r, enum seal_purpose purpose, const char *text, uint8_t *out,
                 size_t *n)
{
    return r->seal.seal(r->seal.self, purpose, SEAL_SESSION, 5, span_of(text, strlen(text)), out,
                        n);
}

static bool opens(struct seal_ring *r, enum seal_purpose purpose, struct span sealed,
                  const char *text)
{
    uint8_t out[256];
    size_t n = 0;

    return r->seal.open(r->seal.self, purpose, sealed, out, &n) &&
           span_equal(span_of(out, n), span_of(text, strlen(text)));
}

/* By Python's cryptography: HKDF(SHA-256, salt "holdfast sealing 1", info label | context), AES-GCM. */
Test(repl_seal, is_the_format_that_is_written_down)
{
    static const uint8_t expected[] = {
        0x01, 0xd0, 0x8c, 0xbe, 0x0c, 0xc6, 0x31, 0x3b, 0x10, 0x00, 0x00, 0x00, 0x03, 0x11,
        0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xb2, 0x40, 0x20, 0xb6, 0x23,
        0x86, 0x89, 0xcc, 0x08, 0xb4, 0xdb, 0x57, 0xa0, 0xdb, 0x51, 0x92, 0xbb, 0x7e, 0x45,
        0xc1, 0xa1, 0x74, 0x3e, 0x77, 0xf0, 0xd2, 0x15, 0xbe, 0x3c, 0x16};
    struct seal_ring r;
    struct seal_means m = means();
    uint8_t key[SEAL_KEY_BYTES], out[128];
    size_t n = 0;

    key_of(0, key);
    cr_assert_eq(seal_key_id(&m, SEAL_CONFIGURATION, key), 0x79300f4d5198b2b2);
    cr_assert_eq(seal_key_id(&m, SEAL_SESSION, key), 0xd08cbe0cc6313b10);
    ring_of(&r, 3, boot, 0);
    cr_assert(seal(&r, SEAL_RECORD, "attack at dawn", out, &n));
    cr_assert_eq(n, sizeof expected);
    cr_assert_arr_eq(out, expected, n);
    cr_assert_eq(seal_key_of(span_of(out, n)), 0xd08cbe0cc6313b10);
    cr_assert(opens(&r, SEAL_RECORD, span_of(out, n), "attack at dawn"));
    seal_ring_deinit(&r);
}

Test(repl_seal, any_node_with_the_key_opens_it_and_no_other)
{
    struct seal_ring one, two, none, other;
    uint8_t out[128];
    size_t n = 0;

    ring_of(&one, 1, boot, 7);
    ring_of(&two, 2, boot + 1, 7);
    ring_of(&none, 3, boot + 2, -1);
    ring_of(&other, 3, boot + 2, 8);
    cr_assert(seal(&one, SEAL_RECORD, "a key of an SA", out, &n));
    cr_assert(opens(&two, SEAL_RECORD, span_of(out, n), "a key of an SA"));
    cr_assert_not(opens(&two, SEAL_SNAPSHOT, span_of(out, n), "a key of an SA"), "another purpose");
    cr_assert_not(opens(&none, SEAL_RECORD, span_of(out, n), "a key of an SA"));
    cr_assert_not(opens(&other, SEAL_RECORD, span_of(out, n), "a key of an SA"));
    cr_assert_not(seal(&none, SEAL_RECORD, "x", out, &n), "without a key nothing is sealed");
    for (struct seal_ring *r = &one; r != NULL; r = r == &one ? &two : r == &two ? &other : NULL)
        seal_ring_deinit(r);
}

Test(repl_seal, a_bit_or_a_byte_less_and_it_does_not_open)
{
    struct seal_ring r;
    uint8_t out[128];
    size_t n = 0;
    size_t compared = 0;

    ring_of(&r, 1, boot, 7);
    cr_assert(seal(&r, SEAL_RECORD, "text", out, &n));
    for (size_t bit = 0; bit < n * 8; bit++, compared++) {
        out[bit / 8] = (uint8_t)(out[bit / 8] ^ 1u << bit % 8);
        cr_assert_not(opens(&r, SEAL_RECORD, span_of(out, n), "text"), "bit %zu", bit);
        out[bit / 8] = (uint8_t)(out[bit / 8] ^ 1u << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut++, compared++)
        cr_assert_not(opens(&r, SEAL_RECORD, span_of(out, cut), "text"), "cut at %zu", cut);
    cr_assert(opens(&r, SEAL_RECORD, span_of(out, n), "text"));
    (void)printf("compared %zu\n", compared);
    seal_ring_deinit(&r);
}

/* The key of a nonce: (key, node, boot); its value: the counter. */
Test(repl_seal, no_nonce_twice)
{
    enum { MANY = 1000 };
    struct seal_ring starts[4];
    static uint8_t seen[4 * MANY][SEAL_HEADER_BYTES + SEAL_COUNTER_BYTES];
    size_t n_seen = 0;
    uint8_t out[128];
    size_t n;

    ring_of(&starts[0], 1, boot, 7);
    ring_of(&starts[1], 1, boot + 1, 7); /* the same node, started again */
    ring_of(&starts[2], 2, boot, 7);     /* another with, by chance, the same boot id */
    ring_of(&starts[3], 1, boot, 8);     /* another key */
    for (size_t i = 0; i < MANY; i++)
        for (size_t s = 0; s < 4; s++) {
            cr_assert(seal(&starts[s], i % 2 == 0 ? SEAL_RECORD : SEAL_SNAPSHOT, "x", out, &n));
            memcpy(seen[n_seen++], out, sizeof seen[0]);
        }
    for (size_t i = 4; i < n_seen; i++) { /* each counts up, so the one before is enough */
        cr_assert(memcmp(seen[i], seen[i - 4], SEAL_HEADER_BYTES) == 0);
        cr_assert_gt(get_be64(seen[i] + SEAL_HEADER_BYTES),
                     get_be64(seen[i - 4] + SEAL_HEADER_BYTES));
    }
    for (size_t a = 0; a < 4; a++)
        for (size_t b = 0; b < a; b++)
            cr_assert(memcmp(seen[a], seen[b], SEAL_HEADER_BYTES) != 0, "%zu and %zu", a, b);
    (void)printf("compared %zu\n", n_seen);
    for (size_t s = 0; s < 4; s++)
        seal_ring_deinit(&starts[s]);
}

Test(repl_seal, many_sealers_at_once_and_an_erased_key)
{
    enum { NODES = SEAL_RING_SUBKEYS + 5 };
    struct seal_ring reader, sealer;
    static uint8_t sealed[NODES][64];
    size_t n[NODES];
    uint8_t key[SEAL_KEY_BYTES];

    ring_of(&reader, 200, boot, 7);
    for (uint32_t i = 0; i < NODES; i++) {
        ring_of(&sealer, i + 1, boot + i, 7);
        cr_assert(seal(&sealer, SEAL_RECORD, "text", sealed[i], &n[i]));
        seal_ring_deinit(&sealer);
    }
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < NODES; i++)
            cr_assert(opens(&reader, SEAL_RECORD, span_of(sealed[i], n[i]), "text"));
    cr_assert(seal_ring_get(&reader, SEAL_SESSION, 0, key));
    seal_ring_erase(&reader, seal_ring_current(&reader, SEAL_SESSION));
    cr_assert_not(opens(&reader, SEAL_RECORD, span_of(sealed[0], n[0]), "text"));
    cr_assert_not(seal_ring_get(&reader, SEAL_SESSION, 0, key));
    for (size_t i = 0; i + SEAL_KEY_BYTES <= sizeof reader; i++)
        cr_assert(memcmp((uint8_t *)&reader + i, key, SEAL_KEY_BYTES) != 0, "wiped, not forgotten");
    (void)printf("compared %d\n", NODES);
    seal_ring_deinit(&reader);
}

Test(repl_seal, a_ring_is_bounded_and_knows_what_it_has)
{
    struct seal_ring r;
    uint8_t key[SEAL_KEY_BYTES];
    uint64_t first, again;

    ring_of(&r, 1, boot, -1);
    key_of(1, key);
    first = seal_ring_add(&r, SEAL_SESSION, key);
    again = seal_ring_add(&r, SEAL_SESSION, key);
    cr_assert(first != 0 && first == again);
    for (uint8_t i = 1; i < SEAL_RING_KEYS; i++) {
        key_of((uint8_t)(i + 1), key);
        cr_assert_neq(seal_ring_add(&r, SEAL_SESSION, key), 0);
    }
    key_of(100, key);
    cr_assert_eq(seal_ring_add(&r, SEAL_SESSION, key), 0, "full");
    cr_assert_not(seal_ring_use(&r, SEAL_SESSION, 12345));
    cr_assert_not(seal_ring_get(&r, SEAL_CONFIGURATION, first, key), "a key of another kind");
    seal_ring_erase(&r, first);
    cr_assert_not(seal_ring_has(&r, first));
    cr_assert_neq(seal_ring_add(&r, SEAL_CONFIGURATION, key), 0, "there is room again");
    seal_ring_deinit(&r);
}

Test(repl_seal, messages_go_there_and_back)
{
    uint8_t bytes[SEAL_MESSAGE_BYTES + 1];
    size_t compared = 0;

    for (int what = SEAL_WANT; what <= SEAL_LACK; what++)
        for (int kind = SEAL_CONFIGURATION; kind < SEAL_KINDS; kind++) {
            struct seal_message m = {.what = (enum seal_what)what,
                                     .kind = (enum seal_kind)kind,
                                     .id = 0x0102030405060708};
            struct seal_message back;
            size_t n;

            if (m.what == SEAL_GIVE)
                key_of(9, m.key);
            if (m.what == SEAL_PAST)
                m.index = 0x1112131415161718;
            n = seal_message_encode(&m, bytes);
            cr_assert(seal_message_decode(span_of(bytes, n), &back));
            cr_assert(back.what == m.what && back.kind == m.kind && back.id == m.id &&
                      back.index == m.index);
            cr_assert_arr_eq(back.key, m.key, SEAL_KEY_BYTES);
            cr_assert_not(seal_message_decode(span_of(bytes, n + 1), &back));
            for (size_t cut = 0; cut < n; cut++, compared++)
                cr_assert_not(seal_message_decode(span_of(bytes, cut), &back));
            for (size_t i = 0; i < 3; i++, compared++) {
                uint8_t kept = bytes[i];

                bytes[i] = 0x77;
                cr_assert_not(seal_message_decode(span_of(bytes, n), &back));
                bytes[i] = kept;
            }
        }
    (void)printf("compared %zu\n", compared);
}
