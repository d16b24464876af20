/* The algorithm table against published vectors, and what it must refuse. */
#include <criterion/criterion.h>

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "vectors/vectors.h"

static struct vector_case cases[32];

static void is(struct span got, struct span want, const char *what, size_t i)
{
    cr_assert(span_equal(got, want), "%s of case %zu differs", what, i);
}

Test(crypto, the_table_finds_its_rows_and_no_others)
{
    const struct suite_table *t = &suite_default;

    cr_assert(crypto_ready());
    cr_assert_eq(suite_find_aead(t, 20, 128)->key_bytes, 16);
    cr_assert_eq(suite_find_aead(t, 20, 256)->key_bytes, 32);
    cr_assert_null(suite_find_aead(t, 20, 192));
    cr_assert_null(suite_find_aead(t, 20, 0));
    cr_assert_null(suite_find_aead(t, 18, 128));
    cr_assert_eq(suite_find_prf(t, 5)->out_bytes, 32);
    cr_assert_null(suite_find_prf(t, 2));
    cr_assert_eq(suite_find_ke(t, 31)->public_bytes, 32);
    cr_assert_null(suite_find_ke(t, 2));
    for (size_t i = 0; i < t->n_aeads; i++)
        cr_assert_eq(t->aeads[i]->salt_bytes + t->aeads[i]->iv_bytes, SUITE_NONCE_BYTES);
}

/* One case both ways, by the one-shot and by the keyed functions. */
static void gcm_case(const struct vector_case *c, size_t i)
{
    struct span key = vector_get(c, "key"), nonce = vector_get(c, "nonce"),
                aad = vector_get(c, "aad");
    struct span plain = vector_get(c, "plain"), cipher = vector_get(c, "cipher"),
                tag = vector_get(c, "tag");
    const struct suite_aead *a = suite_find_aead(&suite_default, 20, (uint16_t)(key.len * 8));
    struct suite_aead_context context;
    uint8_t out[VECTOR_BYTES], got_tag[16];

    cr_assert_not_null(a);
    cr_assert(a->seal(key.data, nonce.data, aad, plain, out, got_tag));
    is(span_of(out, plain.len), cipher, "ciphertext", i);
    is(span_of(got_tag, 16), tag, "tag", i);
    cr_assert(
        a->open(key.data, nonce.data, aad, span_of(out, cipher.len), got_tag, out)); /* in place */
    is(span_of(out, plain.len), plain, "plaintext", i);

    cr_assert(a->context_init(&context, key.data));
    for (int round = 0; round < 2; round++) { /* both directions in turn: only the IV is set anew */
        memset(out, 0, sizeof out);
        cr_assert(a->context_seal(&context, nonce.data, aad, plain, out, got_tag));
        is(span_of(out, plain.len), cipher, "keyed ciphertext", i);
        is(span_of(got_tag, 16), tag, "keyed tag", i);
        cr_assert(a->context_open(&context, nonce.data, aad, cipher, tag.data, out));
        is(span_of(out, plain.len), plain, "keyed plaintext", i);
    }
    a->context_deinit(&context);
}

Test(crypto, aes_gcm_vectors)
{
    size_t n = vectors_read("aes_gcm.txt", cases, 32);

    cr_assert_eq(n, 8);
    for (size_t i = 0; i < n; i++)
        gcm_case(&cases[i], i);
}

Test(crypto, aes_gcm_refuses_every_flipped_bit)
{
    static const uint8_t key[32] = {1}, nonce[12] = {2};
    const struct suite_aead *a = suite_find_aead(&suite_default, 20, 256);
    uint8_t aad[12] = {3}, text[21] = {4}, tag[16], out[21];
    struct suite_aead_context c;

    cr_assert(a->context_init(&c, key));
    cr_assert(a->context_seal(&c, nonce, span_of(aad, 12), span_of(text, 21), text, tag));
    for (size_t bit = 0; bit < (12 + 21 + 16) * 8; bit++) {
        uint8_t *p = bit < 96    ? aad + bit / 8
                     : bit < 264 ? text + (bit - 96) / 8
                                 : tag + (bit - 264) / 8;
        uint8_t mask = (uint8_t)(1u << (bit % 8));

        *p = (uint8_t)(*p ^ mask);
        cr_assert_not(a->context_open(&c, nonce, span_of(aad, 12), span_of(text, 21), tag, out),
                      "bit %zu", bit);
        cr_assert_not(a->open(key, nonce, span_of(aad, 12), span_of(text, 21), tag, out), "bit %zu",
                      bit);
        *p = (uint8_t)(*p ^ mask);
    }
    /* After all these failures the context still works. */
    cr_assert(a->context_open(&c, nonce, span_of(aad, 12), span_of(text, 21), tag, out));
    cr_assert_eq(out[0], 4);
    a->context_deinit(&c);
}

static size_t allocations;

static void *counted_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return malloc(n);
}

static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return realloc(p, n);
}

static void uncounted_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static bool counting;

/* OpenSSL takes them only before its first allocation, and Criterion's own libraries make some
 * before a test begins: this comes first of all. */
__attribute__((constructor(101))) static void count_allocations(void)
{
    counting = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, uncounted_free) == 1;
}

/* "no malloc per packet": the symbols of the workers show theirs, OpenSSL's are counted here. */
Test(crypto, a_packet_allocates_nothing)
{
    static const uint8_t key[32] = {1};
    const struct suite_aead *a = suite_find_aead(&suite_default, 20, 256);
    struct suite_aead_context c;
    uint8_t aad[8] = {3}, text[1400] = {4}, nonce[12] = {2}, tag[16];
    size_t before;

    cr_assert(counting);
    before = allocations;
    cr_assert(a->context_init(&c, key));
    cr_assert_gt(allocations, before, "the counter counts: an SA does allocate");
    before = allocations;
    for (uint32_t i = 0; i < 1000; i++) {
        put_be32(nonce + 8, i);
        cr_assert(
            a->context_seal(&c, nonce, span_of(aad, 8), span_of(text, sizeof text), text, tag));
        cr_assert(
            a->context_open(&c, nonce, span_of(aad, 8), span_of(text, sizeof text), tag, text));
    }
    cr_assert_eq(allocations, before, "%zu in 1,000 pairs", allocations - before);
    for (uint32_t i = 0; i < 1000; i++) {
        put_be32(nonce + 8, i);
        cr_assert_not(
            a->context_open(&c, nonce, span_of(aad, 8), span_of(text, sizeof text), tag, text));
    }
    cr_assert_eq(allocations, before, "%zu in 1,000 failures", allocations - before);
    a->context_deinit(&c);
}

Test(crypto, hmac_sha256_vectors_whole_and_in_parts)
{
    const struct suite_prf *prf = suite_find_prf(&suite_default, 5);
    size_t n = vectors_read("hmac_sha256.txt", cases, 32);
    uint8_t out[SUITE_PRF_MAX_BYTES];

    cr_assert_eq(n, 6);
    for (size_t i = 0; i < n; i++) {
        struct span data = vector_get(&cases[i], "data");
        struct span parts[3] = {span_of(data.data, 3), span_of(NULL, 0),
                                span_of(data.data + 3, data.len - 3)};

        cr_assert(prf->compute(vector_get(&cases[i], "key"), &data, 1, out));
        is(span_of(out, 32), vector_get(&cases[i], "mac"), "mac", i);
        memset(out, 0, sizeof out);
        cr_assert(prf->compute(vector_get(&cases[i], "key"), parts, 3, out));
        is(span_of(out, 32), vector_get(&cases[i], "mac"), "mac in parts", i);
    }
}

Test(crypto, hmac_with_an_empty_key_is_defined)
{
    /* HMAC_SHA256("", ""): the value that RFC 2104's definition gives. */
    static const uint8_t want[32] = {0xb6, 0x13, 0x67, 0x9a, 0x08, 0x14, 0xd9, 0xec,
                                     0x77, 0x2f, 0x95, 0xd7, 0x78, 0xc3, 0x5f, 0xc5,
                                     0xff, 0x16, 0x97, 0xc4, 0x93, 0x71, 0x56, 0x53,
                                     0xc6, 0xc7, 0x12, 0x14, 0x42, 0x92, 0xc5, 0xad};
    uint8_t out[32];

    cr_assert(suite_find_prf(&suite_default, 5)->compute(span_of(NULL, 0), NULL, 0, out));
    is(span_of(out, 32), span_of(want, 32), "mac", 0);
}

Test(crypto, hash_vectors)
{
    size_t n = vectors_read("hash.txt", cases, 32);
    uint8_t out[32];

    cr_assert_eq(n, 3);
    for (size_t i = 0; i < n; i++) {
        struct span data = vector_get(&cases[i], "data");

        cr_assert(suite_default.sha1->compute(&data, 1, out));
        is(span_of(out, suite_default.sha1->out_bytes), vector_get(&cases[i], "sha1"), "sha1", i);
        cr_assert(suite_default.sha256->compute(&data, 1, out));
        is(span_of(out, suite_default.sha256->out_bytes), vector_get(&cases[i], "sha256"), "sha256",
           i);
    }
}

Test(crypto, x25519_vectors)
{
    const struct suite_ke *ke = suite_find_ke(&suite_default, 31);
    size_t n = vectors_read("x25519.txt", cases, 32);

    cr_assert_eq(n, 4);
    for (size_t i = 0; i < n; i++) {
        struct span private_bytes = vector_get(&cases[i], "private"),
                    want_public = vector_get(&cases[i], "public");
        struct secret private_key, shared;
        uint8_t public_value[SUITE_KE_MAX_BYTES];

        cr_assert(ke->generate(private_bytes.data, &private_key, public_value));
        if (want_public.data != NULL)
            is(span_of(public_value, 32), want_public, "public value", i);
        cr_assert(ke->derive(&private_key, vector_get(&cases[i], "peer"), &shared));
        is(secret_span(&shared), vector_get(&cases[i], "shared"), "shared secret", i);
    }
}

Test(crypto, x25519_generate_is_deterministic_in_its_entropy)
{
    const struct suite_ke *ke = suite_find_ke(&suite_default, 31);
    uint8_t entropy[32] = {7}, a[32], b[32], c[32];
    struct secret x, y, z;

    cr_assert(ke->generate(entropy, &x, a));
    cr_assert(ke->generate(entropy, &y, b));
    cr_assert(span_equal(span_of(a, 32), span_of(b, 32)) &&
              secret_equal_bytes(x.bytes, y.bytes, 32));
    entropy[31] = 1;
    cr_assert(ke->generate(entropy, &z, c));
    cr_assert_not(span_equal(span_of(a, 32), span_of(c, 32)));
}

/* RFC 7748 6.1, RFC 8031: the points of small order lead to the all-zero shared secret. Their u
 * coordinates below 2^255 are 0, 1, p - 1, p, p + 1 and the two of order 8. */
Test(crypto, x25519_refuses_wrong_lengths_and_small_order)
{
    static const uint8_t small[][32] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
         0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
         0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    const struct suite_ke *ke = suite_find_ke(&suite_default, 31);
    uint8_t entropy[32] = {9}, public_value[32];
    struct secret private_key, shared = {.len = 3};

    cr_assert(ke->generate(entropy, &private_key, public_value));
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        cr_assert_not(ke->derive(&private_key, span_of(small[i], 32), &shared), "point %zu", i);
    cr_assert_not(ke->derive(&private_key, span_of(public_value, 31), &shared));
    cr_assert_not(ke->derive(&private_key, span_of(NULL, 0), &shared));
    private_key.len = 31;
    cr_assert_not(ke->derive(&private_key, span_of(public_value, 32), &shared));
    cr_assert_eq(shared.len, 3, "written on failure");
}
