/* The algorithm table, PRFs and hashes against published vectors. */
#include <criterion/criterion.h>

#include <stdio.h>

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
    cr_assert_eq(suite_find_aead(t, 20, 128, 0)->key_bytes, 16);
    cr_assert_eq(suite_find_aead(t, 20, 256, 0)->key_bytes, 32);
    cr_assert_eq(suite_find_aead(t, 28, 0, 0)->key_bytes, 32);
    cr_assert_eq(suite_find_aead(t, 12, 256, 13)->integ_bytes, 48);
    cr_assert_eq(suite_find_aead(t, 13, 128, 14)->icv_bytes, 32);
    cr_assert_null(suite_find_aead(t, 20, 192, 0));
    cr_assert_null(suite_find_aead(t, 20, 0, 0));
    cr_assert_null(suite_find_aead(t, 20, 256, 12), "a combined mode takes no integrity");
    cr_assert_null(suite_find_aead(t, 12, 256, 0), "CBC is nothing without");
    cr_assert_null(suite_find_aead(t, 28, 256, 0), "RFC 7634 3: no Key Length");
    cr_assert_null(suite_find_aead(t, 18, 128, 0));
    cr_assert_eq(suite_find_prf(t, 5)->out_bytes, 32);
    cr_assert_null(suite_find_prf(t, 1));
    cr_assert_eq(suite_find_ke(t, 31)->public_bytes, 32);
    cr_assert_eq(suite_find_ke(t, 16)->public_bytes, 512);
    cr_assert_null(suite_find_ke(t, 5));
    for (size_t i = 0; i < t->n_aeads; i++) {
        const struct suite_aead *a = t->aeads[i];

        cr_assert(a->iv_bytes <= SUITE_IV_MAX_BYTES && a->icv_bytes <= SUITE_ICV_MAX_BYTES &&
                  a->block_bytes <= SUITE_BLOCK_MAX_BYTES && a->block_bytes > 0);
        cr_assert_eq(a->integ_id == 0, a->integ_bytes == 0);
    }
}

Test(crypto, hmac_vectors_whole_and_in_parts)
{
    static const struct {
        uint16_t id;
        const char *name;
    } prfs[] = {{2, "sha1"}, {5, "sha256"}, {6, "sha384"}, {7, "sha512"}};
    size_t n = vectors_read("hmac.txt", cases, 32), compared = 0;

    cr_assert_eq(n, 6);
    for (size_t k = 0; k < 4; k++) {
        const struct suite_prf *prf = suite_find_prf(&suite_default, prfs[k].id);

        for (size_t i = 0; i < n; i++, compared++) {
            struct span data = vector_get(&cases[i], "data"), key = vector_get(&cases[i], "key");
            struct span parts[3] = {span_of(data.data, data.len / 3), span_of(NULL, 0),
                                    span_of(data.data + data.len / 3, data.len - data.len / 3)};
            uint8_t out[SUITE_PRF_MAX_BYTES] = {0};

            cr_assert(prf->compute(key, &data, 1, out));
            is(span_of(out, prf->out_bytes), vector_get(&cases[i], prfs[k].name), prf->name, i);
            memset(out, 0, sizeof out);
            cr_assert(prf->compute(key, parts, 3, out));
            is(span_of(out, prf->out_bytes), vector_get(&cases[i], prfs[k].name), prf->name, i);
        }
    }
    fprintf(stderr, "compared %zu vectors\n", compared);
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
