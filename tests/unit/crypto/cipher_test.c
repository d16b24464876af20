/* Ciphers with their integrity against published vectors, and what they must refuse. */
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

static const struct suite_aead *row(uint16_t id, uint16_t bits, uint16_t integ)
{
    const struct suite_aead *a = suite_find_aead(&suite_default, id, bits, integ);

    cr_assert_not_null(a);
    return a;
}

/* Keys of a row, as a test fills them: no two bytes alike in a way that matters. */
static void keyed(const struct suite_aead *a, struct suite_aead_context *c)
{
    uint8_t key[SECRET_MAX_BYTES], integ[SECRET_MAX_BYTES];

    for (size_t i = 0; i < SECRET_MAX_BYTES; i++) {
        key[i] = (uint8_t)(i * 3 + 1);
        integ[i] = (uint8_t)(i * 5 + 2);
    }
    cr_assert(a->context_init(c, a, key, integ));
}

/* One case of a combined mode both ways, twice: only the IV is set anew. */
static void combined_case(const struct vector_case *c, uint16_t id, bool has_bits, size_t i)
{
    struct span key = vector_get(c, "key"), nonce = vector_get(c, "nonce"),
                plain = vector_get(c, "plain"), cipher = vector_get(c, "cipher"),
                tag = vector_get(c, "tag");
    const struct suite_aead *a = row(id, has_bits ? (uint16_t)(key.len * 8) : 0, 0);
    const struct suite_covered covered = {.before = vector_get(c, "aad")};
    uint8_t whole[SECRET_MAX_BYTES], out[VECTOR_BYTES], got_tag[16], iv[8];
    struct suite_aead_context context;

    cr_assert_eq(nonce.len, (size_t)a->salt_bytes + a->iv_bytes);
    memcpy(whole, key.data, key.len);
    memcpy(whole + key.len, nonce.data, a->salt_bytes);
    cr_assert(a->context_init(&context, a, whole, NULL));
    for (int round = 0; round < 2; round++) {
        memset(out, 0, sizeof out);
        cr_assert(
            a->context_seal(&context, get_be64(nonce.data + 4), &covered, plain, iv, out, got_tag));
        is(span_of(iv, 8), span_of(nonce.data + 4, 8), "IV", i);
        is(span_of(out, plain.len), cipher, "ciphertext", i);
        is(span_of(got_tag, 16), tag, "tag", i);
        cr_assert(a->context_open(&context, iv, &covered, span_of(out, cipher.len), tag.data,
                                  out)); /* in place */
        is(span_of(out, plain.len), plain, "plaintext", i);
    }
    a->context_deinit(&context);
}

Test(cipher, combined_mode_vectors)
{
    size_t n = vectors_read("aes_gcm.txt", cases, 32);

    cr_assert_eq(n, 8);
    for (size_t i = 0; i < n; i++)
        combined_case(&cases[i], 20, true, i);
    n = vectors_read("chacha20_poly1305.txt", cases, 32);
    cr_assert_eq(n, 2);
    for (size_t i = 0; i < n; i++)
        combined_case(&cases[i], 28, false, i);
    fprintf(stderr, "compared %d vectors\n", 10);
}

/* The ICV as RFC 7296 3.14 and RFC 4303 2.2.1 define it, made by the PRF with the same hash. */
static void icv(const struct suite_aead *a, struct span integ_key, const struct suite_covered *o,
                struct span iv, struct span text, uint8_t *out)
{
    static const uint16_t prf_of[][2] = {{2, 2}, {12, 5}, {13, 6}, {14, 7}};
    const struct span parts[] = {o->before, iv, text, o->behind};
    uint8_t whole[SUITE_PRF_MAX_BYTES];

    for (size_t i = 0; i < 4; i++)
        if (prf_of[i][0] == a->integ_id)
            cr_assert(
                suite_find_prf(&suite_default, prf_of[i][1])->compute(integ_key, parts, 4, whole));
    memcpy(out, whole, a->icv_bytes);
}

static void composed_case(const struct vector_case *c, uint16_t id, uint16_t integ, size_t i)
{
    static const uint8_t integ_bytes[64] = {9, 8, 7}, around[12] = {1, 2, 3};
    struct span key = vector_get(c, "key"), salt = vector_get(c, "salt"), iv = vector_get(c, "iv"),
                plain = vector_get(c, "plain"), cipher = vector_get(c, "cipher");
    const struct suite_aead *a = row(id, (uint16_t)(key.len * 8), integ);
    const struct suite_covered covered = {.before = span_of(around, 8),
                                          .behind = span_of(around + 8, i % 2 == 0 ? 4 : 0)};
    uint8_t whole[SECRET_MAX_BYTES], want[SUITE_ICV_MAX_BYTES], got[SUITE_ICV_MAX_BYTES],
        out[VECTOR_BYTES], got_iv[SUITE_IV_MAX_BYTES];
    struct suite_aead_context context;

    cr_assert(iv.len == a->iv_bytes && salt.len == a->salt_bytes);
    memcpy(whole, key.data, key.len);
    if (salt.len > 0)
        memcpy(whole + key.len, salt.data, salt.len);
    icv(a, span_of(integ_bytes, a->integ_bytes), &covered, iv, cipher, want);
    cr_assert(a->context_init(&context, a, whole, integ_bytes));
    cr_assert(a->context_open(&context, iv.data, &covered, cipher, want, out), "case %zu", i);
    is(span_of(out, plain.len), plain, "plaintext", i);
    /* Sealed by us: CTR gives the very vector; CBC its own IV, and opens again. */
    cr_assert(a->context_seal(&context, get_be64(iv.data), &covered, plain, got_iv, out, got));
    if (id == 13)
        is(span_of(out, plain.len), cipher, "ciphertext", i);
    icv(a, span_of(integ_bytes, a->integ_bytes), &covered, span_of(got_iv, a->iv_bytes),
        span_of(out, plain.len), want);
    is(span_of(got, a->icv_bytes), span_of(want, a->icv_bytes), "ICV", i);
    cr_assert(a->context_open(&context, got_iv, &covered, span_of(out, plain.len), got, out));
    is(span_of(out, plain.len), plain, "plaintext", i);
    a->context_deinit(&context);
}

Test(cipher, cbc_and_ctr_vectors_with_each_hmac)
{
    static const uint16_t integs[] = {12, 13, 14, 2};
    static const struct {
        const char *file;
        uint16_t id;
        size_t n;
    } files[] = {{"aes_cbc.txt", 12, 5}, {"aes_ctr.txt", 13, 6}};
    size_t compared = 0;

    for (size_t f = 0; f < 2; f++) {
        size_t n = vectors_read(files[f].file, cases, 32);

        cr_assert_eq(n, files[f].n);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < 4; k++, compared++)
                composed_case(&cases[i], files[f].id, integs[k], i);
    }
    fprintf(stderr, "compared %zu vectors\n", compared);
}

/* Every bit of what is covered, IV, text and ICV; then the context still works. */
static void flip_all(const struct suite_aead *a)
{
    uint8_t before[8] = {3}, behind[4] = {7}, iv[16], text[32] = {4}, tag[32], out[32];
    const struct suite_covered covered = {
        .before = span_of(before, sizeof before),
        .behind = span_of(behind, a->integ_bytes > 0 ? sizeof behind : 0)};
    const struct {
        uint8_t *bytes;
        size_t n;
    } parts[] = {{before, sizeof before},
                 {behind, covered.behind.len},
                 {iv, a->iv_bytes},
                 {text, sizeof text},
                 {tag, a->icv_bytes}};
    const struct span in = span_of(text, sizeof text);
    struct suite_aead_context c;

    keyed(a, &c);
    cr_assert(a->context_seal(&c, 77, &covered, in, iv, text, tag));
    for (size_t p = 0; p < 5; p++)
        for (size_t bit = 0; bit < parts[p].n * 8; bit++) {
            uint8_t *at = parts[p].bytes + bit / 8, mask = (uint8_t)(1u << (bit % 8));

            *at = (uint8_t)(*at ^ mask);
            cr_assert_not(a->context_open(&c, iv, &covered, in, tag, out), "%s part %zu bit %zu",
                          a->name, p, bit);
            *at = (uint8_t)(*at ^ mask);
        }
    cr_assert(a->context_open(&c, iv, &covered, in, tag, out), "%s", a->name);
    cr_assert_eq(out[0], 4);
    a->context_deinit(&c);
}

Test(cipher, each_row_refuses_every_flipped_bit)
{
    for (size_t i = 0; i < suite_default.n_aeads; i++)
        flip_all(suite_default.aeads[i]);
    cr_assert_eq(suite_default.n_aeads, 19);
}

Test(cipher, cbc_refuses_a_text_that_is_no_whole_blocks_though_its_icv_holds)
{
    static const uint8_t integ_key[32] = {2}, key[32] = {1}, iv[16] = {5};
    const struct suite_aead *a = row(12, 256, 12);
    const struct suite_covered covered = {0};
    uint8_t text[33] = {0}, tag[16], out[48];
    struct suite_aead_context c;

    cr_assert(a->context_init(&c, a, key, integ_key));
    for (size_t n = 0; n <= sizeof text; n++) {
        icv(a, span_of(integ_key, 32), &covered, span_of(iv, 16), span_of(text, n), tag);
        cr_assert_eq(a->context_open(&c, iv, &covered, span_of(text, n), tag, out), n % 16 == 0,
                     "%zu bytes", n);
    }
    a->context_deinit(&c);
}

/* I1: numbers that differ give IVs that differ. And with CBC the next IV cannot be told from those
 * seen (SP 800-38A, appendix C): it is neither the number nor a step from the last. */
Test(cipher, ivs_follow_from_numbers_and_differ)
{
    static uint8_t ivs[512][16];
    const struct suite_covered covered = {0};
    uint8_t text[16] = {0}, tag[32];

    for (size_t r = 0; r < suite_default.n_aeads; r++) {
        const struct suite_aead *a = suite_default.aeads[r];
        struct suite_aead_context c, again;

        keyed(a, &c);
        keyed(a, &again);
        memset(ivs, 0, sizeof ivs);
        for (size_t i = 0; i < 512; i++) {
            uint64_t number = i < 256 ? i : UINT64_MAX - i;
            uint8_t iv[16] = {0}, plain_number[16] = {0};

            cr_assert(a->context_seal(&c, number, &covered, span_of(text, 16), ivs[i], text, tag));
            cr_assert(a->context_seal(&again, number, &covered, span_of(text, 16), iv, text, tag));
            is(span_of(iv, a->iv_bytes), span_of(ivs[i], a->iv_bytes), "another node's IV", i);
            put_be64(plain_number + a->iv_bytes - 8, number);
            cr_assert_eq(memcmp(iv, plain_number, a->iv_bytes) == 0, a->iv_bytes == 8, "%s",
                         a->name);
            for (size_t k = 0; k < i; k++) {
                unsigned same_bytes = 0;

                cr_assert_neq(memcmp(ivs[i], ivs[k], 16), 0, "%s: %zu and %zu", a->name, i, k);
                for (size_t b = 0; b < 16; b++)
                    same_bytes += ivs[i][b] == ivs[k][b];
                if (a->iv_bytes == 16)
                    cr_assert_lt(same_bytes, 6, "%s: %zu and %zu", a->name, i, k);
            }
        }
        a->context_deinit(&c);
        a->context_deinit(&again);
    }
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
static void allocates_nothing(const struct suite_aead *a)
{
    uint8_t before[8] = {3}, text[1408] = {4}, iv[16], tag[32];
    const struct suite_covered covered = {.before = span_of(before, sizeof before)};
    const struct span in = span_of(text, sizeof text);
    struct suite_aead_context c;
    size_t counted = allocations;

    keyed(a, &c);
    cr_assert_gt(allocations, counted, "the counter counts: an SA does allocate");
    counted = allocations;
    for (uint64_t i = 0; i < 200; i++) {
        cr_assert(a->context_seal(&c, i, &covered, in, iv, text, tag));
        cr_assert(a->context_open(&c, iv, &covered, in, tag, text));
    }
    cr_assert_eq(allocations, counted, "%s: %zu in 200 pairs", a->name, allocations - counted);
    tag[0] ^= 1;
    for (uint32_t i = 0; i < 200; i++)
        cr_assert_not(a->context_open(&c, iv, &covered, in, tag, text));
    cr_assert_eq(allocations, counted, "%s: %zu in 200 failures", a->name, allocations - counted);
    a->context_deinit(&c);
}

Test(cipher, a_packet_allocates_nothing)
{
    cr_assert(counting);
    for (size_t i = 0; i < suite_default.n_aeads; i++)
        allocates_nothing(suite_default.aeads[i]);
}
