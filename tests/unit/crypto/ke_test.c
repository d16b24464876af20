/* Key exchanges against published vectors, and the peer's values that must be refused. */
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

static const struct suite_ke *group_of(const struct vector_case *c)
{
    const struct suite_ke *ke =
        suite_find_ke(&suite_default, get_be16(vector_get(c, "group").data));

    cr_assert_not_null(ke);
    return ke;
}

static bool derives(const struct suite_ke *ke, const struct vector_case *c, struct span peer,
                    struct secret_long *shared)
{
    struct span bytes = vector_get(c, "private");
    struct secret private_key;

    secret_set(&private_key, bytes.data, bytes.len);
    return ke->derive(ke, &private_key, peer, shared);
}

Test(ke, x25519_vectors)
{
    const struct suite_ke *ke = suite_find_ke(&suite_default, 31);
    size_t n = vectors_read("x25519.txt", cases, 32);

    cr_assert_eq(n, 4);
    for (size_t i = 0; i < n; i++) {
        struct span private_bytes = vector_get(&cases[i], "private"),
                    want_public = vector_get(&cases[i], "public");
        struct secret private_key;
        struct secret_long shared;
        uint8_t public_value[SUITE_KE_MAX_BYTES];

        cr_assert(ke->generate(ke, private_bytes.data, &private_key, public_value));
        if (want_public.data != NULL)
            is(span_of(public_value, 32), want_public, "public value", i);
        cr_assert(ke->derive(ke, &private_key, vector_get(&cases[i], "peer"), &shared));
        is(secret_long_span(&shared), vector_get(&cases[i], "shared"), "shared secret", i);
    }
    fprintf(stderr, "compared %zu vectors\n", n);
}

/* The entropy from which generate makes this private value: for ECP the value - 1 in front of which
 * stand 64 bits of zero; for MODP itself. */
static void entropy_for(const struct suite_ke *ke, struct span private_bytes, uint8_t *out)
{
    size_t front = ke->entropy_bytes - private_bytes.len;

    memset(out, 0, front);
    memcpy(out + front, private_bytes.data, private_bytes.len);
    if (front > 0) {
        cr_assert_neq(out[ke->entropy_bytes - 1], 0);
        out[ke->entropy_bytes - 1]--;
    }
}

static void group_vectors(const char *file, size_t want)
{
    size_t n = vectors_read(file, cases, 32);

    cr_assert_eq(n, want);
    for (size_t i = 0; i < n; i++) {
        const struct suite_ke *ke = group_of(&cases[i]);
        struct span private_bytes = vector_get(&cases[i], "private");
        uint8_t entropy[SUITE_KE_ENTROPY_MAX_BYTES], public_value[SUITE_KE_MAX_BYTES];
        struct secret private_key;
        struct secret_long shared;

        entropy_for(ke, private_bytes, entropy);
        cr_assert(ke->generate(ke, entropy, &private_key, public_value));
        is(secret_span(&private_key), private_bytes, "private value", i);
        is(span_of(public_value, ke->public_bytes), vector_get(&cases[i], "public"), "public value",
           i);
        cr_assert(derives(ke, &cases[i], vector_get(&cases[i], "peer"), &shared));
        is(secret_long_span(&shared), vector_get(&cases[i], "shared"), "shared secret", i);
        cr_assert_eq(shared.len, ke->shared_bytes);
    }
    fprintf(stderr, "compared %zu vectors\n", n);
}

Test(ke, ecp_vectors)
{
    group_vectors("ecp.txt", 6);
}

/* Half of them have a shared value with a zero in front, which must keep its length. */
Test(ke, modp_vectors)
{
    group_vectors("modp.txt", 8);
}

Test(ke, what_each_group_generates_the_other_end_agrees_on)
{
    for (size_t i = 0; i < suite_default.n_kes; i++) {
        const struct suite_ke *ke = suite_default.kes[i];
        uint8_t entropy[SUITE_KE_ENTROPY_MAX_BYTES], a[SUITE_KE_MAX_BYTES], b[SUITE_KE_MAX_BYTES];
        struct secret x, y;
        struct secret_long xy, yx;

        memset(entropy, 0xff, sizeof entropy); /* above the order of any curve */
        cr_assert(ke->generate(ke, entropy, &x, a), "%s", ke->name);
        memset(entropy, 0x5a, sizeof entropy);
        cr_assert(ke->generate(ke, entropy, &y, b), "%s", ke->name);
        cr_assert(ke->derive(ke, &x, span_of(b, ke->public_bytes), &xy), "%s", ke->name);
        cr_assert(ke->derive(ke, &y, span_of(a, ke->public_bytes), &yx), "%s", ke->name);
        cr_assert(xy.len == ke->shared_bytes && x.len == ke->secret_bytes);
        is(secret_long_span(&xy), secret_long_span(&yx), ke->name, i);
    }
}

/* Refused whatever is given, and nothing is written. */
static void refused(const struct suite_ke *ke, const struct vector_case *c, const uint8_t *value,
                    size_t len, const char *what)
{
    struct secret_long shared = {.len = 3};

    cr_assert_not(derives(ke, c, span_of(value, len), &shared), "%s: %s", ke->name, what);
    cr_assert_eq(shared.len, 3, "written on failure");
}

static void wrong_lengths(const struct suite_ke *ke, const struct vector_case *c)
{
    static const uint8_t zeros[SUITE_KE_MAX_BYTES + 1];
    uint8_t longer[SUITE_KE_MAX_BYTES + 1] = {0};
    struct span peer = vector_get(c, "peer");

    refused(ke, c, NULL, 0, "empty");
    refused(ke, c, peer.data, peer.len - 1, "a byte short");
    memcpy(longer, peer.data, peer.len);
    refused(ke, c, longer, peer.len + 1, "a byte long");
    memcpy(longer + 1, peer.data, peer.len);
    longer[0] = 0;
    refused(ke, c, longer, peer.len + 1, "a zero in front too many");
    refused(ke, c, zeros, peer.len, "zero");
}

/* RFC 6989 2.1: 0, 1, p - 1, p and more. */
Test(ke, modp_refuses_wrong_lengths_and_values_that_give_the_secret_away)
{
    size_t n = vectors_read("modp.txt", cases, 32), tried = 0;

    for (size_t i = 0; i < n; i += 2) {
        const struct suite_ke *ke = group_of(&cases[i]);
        struct span prime = vector_get(&cases[i], "prime");
        uint8_t value[SUITE_KE_MAX_BYTES] = {0};
        struct secret_long shared;

        wrong_lengths(ke, &cases[i]);
        value[prime.len - 1] = 1;
        refused(ke, &cases[i], value, prime.len, "one");
        value[prime.len - 1] = 2;
        cr_assert(derives(ke, &cases[i], span_of(value, prime.len), &shared), "two is good");
        memcpy(value, prime.data, prime.len); /* all of them end in ff */
        refused(ke, &cases[i], value, prime.len, "p");
        value[prime.len - 1] = 0xfe;
        refused(ke, &cases[i], value, prime.len, "p - 1");
        value[prime.len - 1] = 0xfd;
        cr_assert(derives(ke, &cases[i], span_of(value, prime.len), &shared), "p - 2 is good");
        memset(value, 0xff, prime.len);
        refused(ke, &cases[i], value, prime.len, "2^n - 1");
        tried += 9;
    }
    fprintf(stderr, "compared %zu values\n", tried);
}

/* RFC 6989 2.3: the point is on the curve, its coordinates are below p. */
Test(ke, ecp_refuses_wrong_lengths_and_points_off_the_curve)
{
    size_t n = vectors_read("ecp.txt", cases, 32), tried = 0;

    for (size_t i = 0; i < n; i++) {
        const struct suite_ke *ke = group_of(&cases[i]);
        struct span peer = vector_get(&cases[i], "peer");
        uint8_t value[SUITE_KE_MAX_BYTES];

        wrong_lengths(ke, &cases[i]);
        for (size_t bit = 0; bit < peer.len * 8; bit += 7, tried++) {
            memcpy(value, peer.data, peer.len);
            value[bit / 8] = (uint8_t)(value[bit / 8] ^ 1u << (bit % 8));
            refused(ke, &cases[i], value, peer.len, "off the curve");
        }
        memset(value, 0xff, sizeof value);
        refused(ke, &cases[i], value, peer.len, "coordinates above p");
        memcpy(value, peer.data + peer.len / 2, peer.len / 2);
        memcpy(value + peer.len / 2, peer.data, peer.len / 2);
        refused(ke, &cases[i], value, peer.len, "y before x");
        tried += 7;
    }
    fprintf(stderr, "compared %zu values\n", tried);
}

/* A coordinate of x + p names the same point of the curve to a sloppy reader. */
Test(ke, ecp_refuses_a_coordinate_that_is_not_reduced)
{
    /* P-256: b's square root: x = 0 is on the curve, so x = p is the same point unreduced. */
    static const uint8_t p[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    1,    0,    0,    0,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t root_of_b[32] = {0x66, 0x48, 0x5c, 0x78, 0x0e, 0x2f, 0x83, 0xd7,
                                          0x24, 0x33, 0xbd, 0x5d, 0x84, 0xa0, 0x6b, 0xb6,
                                          0x54, 0x1c, 0x2a, 0xf3, 0x1d, 0xae, 0x87, 0x17,
                                          0x28, 0xbf, 0x85, 0x6a, 0x17, 0x4f, 0x93, 0xf4};
    uint8_t value[64] = {0};
    struct secret_long shared;

    cr_assert_gt(vectors_read("ecp.txt", cases, 32), 0);
    memcpy(value + 32, root_of_b, 32);
    cr_assert(derives(suite_find_ke(&suite_default, 19), &cases[0], span_of(value, 64), &shared),
              "x = 0 is a point like any other");
    memcpy(value, p, 32);
    refused(suite_find_ke(&suite_default, 19), &cases[0], value, 64, "x = p");
}

Test(ke, x25519_generate_is_deterministic_in_its_entropy)
{
    const struct suite_ke *ke = suite_find_ke(&suite_default, 31);
    uint8_t entropy[32] = {7}, a[32], b[32], c[32];
    struct secret x, y, z;

    cr_assert(ke->generate(ke, entropy, &x, a));
    cr_assert(ke->generate(ke, entropy, &y, b));
    cr_assert(span_equal(span_of(a, 32), span_of(b, 32)) &&
              secret_equal_bytes(x.bytes, y.bytes, 32));
    entropy[31] = 1;
    cr_assert(ke->generate(ke, entropy, &z, c));
    cr_assert_not(span_equal(span_of(a, 32), span_of(c, 32)));
}

/* RFC 7748 6.1, RFC 8031: the points of small order lead to the all-zero shared secret. Their u
 * coordinates below 2^255 are 0, 1, p - 1, p, p + 1 and the two of order 8. */
Test(ke, x25519_refuses_wrong_lengths_and_small_order)
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
    struct secret private_key;
    struct secret_long shared = {.len = 3};

    cr_assert(ke->generate(ke, entropy, &private_key, public_value));
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        cr_assert_not(ke->derive(ke, &private_key, span_of(small[i], 32), &shared), "point %zu", i);
    cr_assert_not(ke->derive(ke, &private_key, span_of(public_value, 31), &shared));
    cr_assert_not(ke->derive(ke, &private_key, span_of(NULL, 0), &shared));
    private_key.len = 31;
    cr_assert_not(ke->derive(ke, &private_key, span_of(public_value, 32), &shared));
    cr_assert_eq(shared.len, 3, "written on failure");
}
