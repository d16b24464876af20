/* Bodies that lie: each row of each table is refused with its result, and the output stays
 * untouched. */
#include <criterion/criterion.h>

#include "wire/body.h"

#include "rows.h"

Test(malformed, sa)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a proposal", "\0\0\0", WIRE_TRUNCATED),
        ROW("proposal shorter than its header", "\0\0\0\7\1\1\0\1", WIRE_MALFORMED),
        ROW("proposal beyond the end", "\0\0\0\x14\1\1\0\1", WIRE_TRUNCATED),
        ROW("first byte neither 0 nor 2", "\1\0\0\x10\1\1\0\1\0\0\0\x8\1\0\0\x14", WIRE_MALFORMED),
        ROW("no transform", "\0\0\0\x8\1\1\0\0", WIRE_MALFORMED),
        ROW("SPI of 3 bytes", "\0\0\0\x13\1\3\3\1\1\1\1\0\0\0\x8\1\0\0\x14", WIRE_MALFORMED),
        ROW("SPI beyond the proposal", "\0\0\0\x8\1\3\4\1", WIRE_TRUNCATED),
        ROW("fewer transforms than told", "\0\0\0\x10\1\1\0\2\3\0\0\x8\1\0\0\x14", WIRE_TRUNCATED),
        ROW("more transforms than told", "\0\0\0\x18\1\1\0\1\0\0\0\x8\1\0\0\x14\0\0\0\x8\1\0\0\x14",
            WIRE_MALFORMED),
        ROW("last transform says more", "\0\0\0\x10\1\1\0\1\3\0\0\x8\1\0\0\x14", WIRE_MALFORMED),
        ROW("first of two says last", "\0\0\0\x18\1\1\0\2\0\0\0\x8\1\0\0\x14\0\0\0\x8\2\0\0\5",
            WIRE_MALFORMED),
        ROW("transform shorter than its header", "\0\0\0\x10\1\1\0\1\0\0\0\x7\1\0\0\x14",
            WIRE_MALFORMED),
        ROW("transform of length 0", "\0\0\0\x10\1\1\0\1\0\0\0\0\1\0\0\x14", WIRE_MALFORMED),
        ROW("transform beyond the proposal", "\0\0\0\x10\1\1\0\1\0\0\0\xc\1\0\0\x14",
            WIRE_TRUNCATED),
        ROW("half an attribute", "\0\0\0\x12\1\1\0\1\0\0\0\xa\1\0\0\x14\x80\xe", WIRE_TRUNCATED),
        ROW("long attribute beyond the transform", "\0\0\0\x14\1\1\0\1\0\0\0\xc\1\0\0\x14\0\xe\0\4",
            WIRE_TRUNCATED),
        ROW("key length 0", "\0\0\0\x14\1\1\0\1\0\0\0\xc\1\0\0\x14\x80\xe\0\0", WIRE_MALFORMED),
        ROW("two key lengths", "\0\0\0\x18\1\1\0\1\0\0\0\x10\1\0\0\x14\x80\xe\0\x80\x80\xe\1\0",
            WIRE_MALFORMED),
        ROW("promises another proposal", "\2\0\0\x10\1\1\0\1\0\0\0\x8\1\0\0\x14", WIRE_TRUNCATED),
        ROW("bytes behind the last proposal", "\0\0\0\x10\1\1\0\1\0\0\0\x8\1\0\0\x14\0",
            WIRE_MALFORMED),
    };

    REFUSES(table, wire_sa_decode, struct wire_sa);
}

Test(malformed, sa_attribute_that_is_not_known_only_marks_the_transform)
{
    static const struct row table[] = {
        ROW("short form", "\0\0\0\x14\1\1\0\1\0\0\0\xc\1\0\0\x14\x80\xf\0\1", WIRE_OK),
        ROW("long form", "\0\0\0\x16\1\1\0\1\0\0\0\xe\1\0\0\x14\0\xe\0\2\1\2", WIRE_OK),
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        struct wire_sa sa;

        cr_assert_eq(wire_sa_decode(span_of(table[i].bytes, table[i].len), &sa), WIRE_OK);
        cr_assert(sa.transforms[0].unknown_attribute && sa.transforms[0].key_bits == 0);
    }
}

Test(malformed, sa_is_bounded)
{
    static uint8_t bytes[16 * (WIRE_MAX_PROPOSALS + 1)], many[8 + 8 * 255];
    struct wire_sa sa;

    for (size_t i = 0; i <= WIRE_MAX_PROPOSALS; i++)
        memcpy(bytes + 16 * i,
               (uint8_t[]){i == WIRE_MAX_PROPOSALS ? 0 : 2, 0, 0, 16, 1, 1, 0, 1, 0, 0, 0, 8, 1, 0,
                           0, 20},
               16);
    cr_assert_eq(wire_sa_decode(span_of(bytes, sizeof bytes), &sa), WIRE_TOO_MANY);
    cr_assert_eq(wire_sa_decode(span_of(bytes + 16, sizeof bytes - 16), &sa), WIRE_OK);
    cr_assert_eq(sa.n_proposals, WIRE_MAX_PROPOSALS);
    /* 255 transforms in a proposal are the most there can be; two such proposals do not fit. */
    memcpy(many, (uint8_t[]){0, 0, 0, 0, 1, 1, 0, 255}, 8);
    put_be16(many + 2, sizeof many);
    for (size_t i = 0; i < 255; i++)
        memcpy(many + 8 + 8 * i, (uint8_t[]){i == 254 ? 0 : 3, 0, 0, 8, 2, 0, 0, 5}, 8);
    cr_assert_eq(wire_sa_decode(span_of(many, sizeof many), &sa), WIRE_OK);
    {
        static uint8_t twice[2 * sizeof many];

        memcpy(twice, many, sizeof many);
        memcpy(twice + sizeof many, many, sizeof many);
        twice[0] = 2;
        cr_assert_eq(wire_sa_decode(span_of(twice, sizeof twice), &sa), WIRE_TOO_MANY);
    }
}

Test(malformed, ke)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("no reserved field", "\0\x1f\0", WIRE_TRUNCATED),
        ROW("no value", "\0\x1f\0\0", WIRE_MALFORMED),
    };

    REFUSES(table, wire_ke_decode, struct wire_ke);
}

Test(malformed, identity_lengths_are_judged_before_anything_is_authenticated)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\2\0\0", WIRE_TRUNCATED),
        ROW("no data", "\2\0\0\0", WIRE_MALFORMED),
        ROW("IPv4 of 3 bytes", "\1\0\0\0\1\2\3", WIRE_MALFORMED),
        ROW("IPv4 of 5 bytes", "\1\0\0\0\1\2\3\4\5", WIRE_MALFORMED),
        ROW("IPv4 of 16 bytes", "\1\0\0\0xxxxxxxxxxxxxxxx", WIRE_MALFORMED),
        ROW("IPv6 of 4 bytes", "\5\0\0\0\1\2\3\4", WIRE_MALFORMED),
        ROW("IPv6 without data", "\5\0\0\0", WIRE_MALFORMED),
    };

    REFUSES(table, wire_id_decode, struct wire_id);
}

Test(malformed, auth)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\2\0\0", WIRE_TRUNCATED),
        ROW("no data", "\2\0\0\0", WIRE_MALFORMED),
    };

    REFUSES(table, wire_auth_decode, struct wire_auth);
}

Test(malformed, nonce)
{
    static const uint8_t bytes[257] = {0};
    struct span nonce = {0};

    cr_assert_eq(wire_nonce_decode(span_of(bytes, 0), &nonce), WIRE_MALFORMED);
    cr_assert_eq(wire_nonce_decode(span_of(bytes, 15), &nonce), WIRE_MALFORMED);
    cr_assert_eq(wire_nonce_decode(span_of(bytes, 257), &nonce), WIRE_MALFORMED);
    cr_assert_null(nonce.data);
    cr_assert_eq(wire_nonce_decode(span_of(bytes, 16), &nonce), WIRE_OK);
    cr_assert_eq(wire_nonce_decode(span_of(bytes, 256), &nonce), WIRE_OK);
}

Test(malformed, notify)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\0\0\x40", WIRE_TRUNCATED),
        ROW("SPI beyond the end", "\3\4\x40\x09\1\2\3", WIRE_TRUNCATED),
        ROW("SPI of 5 bytes", "\3\5\x40\x09\1\2\3\4\5", WIRE_MALFORMED),
        ROW("empty cookie", "\0\0\x40\x06", WIRE_MALFORMED),
        ROW("cookie of 65 bytes",
            "\0\0\x40\x06"
            "01234567890123456789012345678901234567890123456789012345678901234",
            WIRE_MALFORMED),
    };

    REFUSES(table, wire_notify_decode, struct wire_notify);
}

Test(malformed, delete)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\3\4\0", WIRE_TRUNCATED),
        ROW("IKE with an SPI size", "\1\x8\0\0", WIRE_MALFORMED),
        ROW("IKE with a count", "\1\0\0\1", WIRE_MALFORMED),
        ROW("ESP without SPIs", "\3\4\0\0", WIRE_MALFORMED),
        ROW("ESP with 8-byte SPIs", "\3\x8\0\1\1\2\3\4\5\6\7\x8", WIRE_MALFORMED),
        ROW("ESP with size 0", "\3\0\0\1", WIRE_MALFORMED),
        ROW("fewer SPIs than told", "\3\4\0\2\1\2\3\4", WIRE_TRUNCATED),
        ROW("more SPIs than told", "\3\4\0\1\1\2\3\4\5", WIRE_MALFORMED),
        ROW("65535 SPIs", "\3\4\xff\xff\1\2\3\4", WIRE_TRUNCATED),
        ROW("protocol 0", "\0\0\0\0", WIRE_MALFORMED),
        ROW("protocol 9", "\x9\4\0\1\1\2\3\4", WIRE_MALFORMED),
    };

    REFUSES(table, wire_delete_decode, struct wire_delete);
}

Test(malformed, selectors)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\1\0\0", WIRE_TRUNCATED),
        ROW("no selectors", "\0\0\0\0", WIRE_MALFORMED),
        ROW("fewer than told", "\1\0\0\0", WIRE_TRUNCATED),
        ROW("length below its header", "\1\0\0\0\7\0\0\3", WIRE_MALFORMED),
        ROW("length 0", "\1\0\0\0\7\0\0\0", WIRE_MALFORMED),
        ROW("beyond the end", "\1\0\0\0\7\0\0\x10\0\0\xff\xff\1\1\1\1\2\2\2", WIRE_TRUNCATED),
        ROW("IPv4 of 12 bytes", "\1\0\0\0\7\0\0\xc\0\0\xff\xff\1\1\1\1", WIRE_MALFORMED),
        ROW("IPv4 of 20 bytes", "\1\0\0\0\7\0\0\x14\0\0\xff\xff\1\1\1\1\2\2\2\2\3\3\3\3",
            WIRE_MALFORMED),
        ROW("IPv6 of IPv4's length", "\1\0\0\0\x8\0\0\x10\0\0\xff\xff\1\1\1\1\2\2\2\2",
            WIRE_MALFORMED),
        ROW("addresses the wrong way round", "\1\0\0\0\7\0\0\x10\0\0\xff\xff\2\2\2\2\1\1\1\1",
            WIRE_MALFORMED),
        ROW("ports the wrong way round", "\1\0\0\0\7\6\0\x10\0\2\0\1\1\1\1\1\1\1\1\1",
            WIRE_MALFORMED),
        ROW("more than told",
            "\1\0\0\0\7\0\0\x10\0\0\xff\xff\1\1\1\1\1\1\1\1\7\0\0\x10\0\0\xff\xff\1\1\1\1\1\1\1\1",
            WIRE_MALFORMED),
        ROW("255 told, one there", "\xff\0\0\0\7\0\0\x10\0\0\xff\xff\1\1\1\1\1\1\1\1",
            WIRE_TRUNCATED),
    };
    static uint8_t many[4 + 16 * (WIRE_MAX_TS + 1)];
    struct wire_ts_list list;

    REFUSES(table, wire_ts_decode, struct wire_ts_list);
    many[0] = WIRE_MAX_TS + 1;
    for (size_t i = 0; i <= WIRE_MAX_TS; i++)
        memcpy(many + 4 + 16 * i,
               (uint8_t[]){7, 0, 0, 16, 0, 0, 0xff, 0xff, 1, 1, 1, 1, 1, 1, 1, 1}, 16);
    cr_assert_eq(wire_ts_decode(span_of(many, sizeof many), &list), WIRE_TOO_MANY);
    many[0] = WIRE_MAX_TS;
    cr_assert_eq(wire_ts_decode(span_of(many, sizeof many - 16), &list), WIRE_OK);
}

Test(malformed, configuration)
{
    static const struct row table[] = {
        ROW("empty", "", WIRE_TRUNCATED),
        ROW("half a header", "\1\0\0", WIRE_TRUNCATED),
        ROW("half an attribute", "\1\0\0\0\0\1\0", WIRE_TRUNCATED),
        ROW("attribute beyond the end", "\1\0\0\0\0\1\0\4\1\2\3", WIRE_TRUNCATED),
    };
    static uint8_t many[4 + 4 * (WIRE_MAX_CP_ATTRIBUTES + 1)] = {1};
    struct wire_cp cp;

    REFUSES(table, wire_cp_decode, struct wire_cp);
    cr_assert_eq(wire_cp_decode(span_of(many, sizeof many), &cp), WIRE_TOO_MANY);
    cr_assert_eq(wire_cp_decode(span_of(many, sizeof many - 4), &cp), WIRE_OK);
}

Test(malformed, a_second_payload_of_a_kind)
{
    static const uint8_t types[] = {WIRE_PL_SA,    WIRE_PL_KE,  WIRE_PL_IDI, WIRE_PL_IDR,
                                    WIRE_PL_AUTH,  WIRE_PL_TSI, WIRE_PL_TSR, WIRE_PL_CP,
                                    WIRE_PL_NONCE, WIRE_PL_EAP};
    /* A body that each of these accepts. */
    static const struct row good[] = {
        ROW("SA", "\0\0\0\x10\1\1\0\1\0\0\0\x8\1\0\0\x14", WIRE_OK),
        ROW("KE", "\0\x1f\0\0x", WIRE_OK),
        ROW("IDi", "\2\0\0\0x", WIRE_OK),
        ROW("IDr", "\2\0\0\0x", WIRE_OK),
        ROW("AUTH", "\2\0\0\0x", WIRE_OK),
        ROW("TSi", "\1\0\0\0\7\0\0\x10\0\0\xff\xff\1\1\1\1\1\1\1\1", WIRE_OK),
        ROW("TSr", "\1\0\0\0\7\0\0\x10\0\0\xff\xff\1\1\1\1\1\1\1\1", WIRE_OK),
        ROW("CP", "\1\0\0\0", WIRE_OK),
        ROW("Nonce", "0123456789abcdef", WIRE_OK),
        ROW("EAP", "\1\1\0\5\1", WIRE_OK),
    };

    for (size_t i = 0; i < sizeof types; i++)
        for (size_t n = 1; n <= 2; n++) {
            static struct wire_body body;
            uint8_t room[128];
            struct wire_builder b = wire_builder_chain(room, sizeof room);
            struct span bytes;

            for (size_t j = 0; j < n; j++) {
                size_t at = wire_payload_begin(&b, types[i]);

                wire_write_span(&b.w, span_of(good[i].bytes, good[i].len));
                wire_payload_end(&b, at);
            }
            cr_assert(wire_builder_finish(&b, &bytes));
            cr_assert_eq(wire_body_decode(b.first, bytes, &body), n == 1 ? WIRE_OK : WIRE_MALFORMED,
                         "%s x %zu", good[i].what, n);
        }
}

Test(malformed, body_is_all_zero_after_a_failure)
{
    /* A good nonce, then a KE without a value; then the same with an unknown critical payload. */
    uint8_t bytes[] = {WIRE_PL_KE, 0, 0, 20, 1, 1, 1, 1, 1, 1, 1, 1,  1, 1,
                       1,          1, 1, 1,  1, 1, 0, 0, 0, 8, 0, 31, 0, 0};
    static struct wire_body body, nothing;

    cr_assert_eq(wire_body_decode(WIRE_PL_NONCE, span_of(bytes, sizeof bytes), &body),
                 WIRE_MALFORMED);
    cr_assert_eq(memcmp(&body, &nothing, sizeof body), 0);
    bytes[0] = 99;
    bytes[21] = 0x80;
    cr_assert_eq(wire_body_decode(WIRE_PL_NONCE, span_of(bytes, sizeof bytes), &body),
                 WIRE_CRITICAL);
    cr_assert_eq(body.unsupported, 99);
    body.unsupported = 0;
    cr_assert_eq(memcmp(&body, &nothing, sizeof body), 0);
}

Test(malformed, sk_inside_sk)
{
    const uint8_t bytes[] = {0, 0, 0, 8, 1, 2, 3, 4};
    static struct wire_body body;

    cr_assert_eq(wire_body_decode(WIRE_PL_SK, span_of(bytes, sizeof bytes), &body), WIRE_MALFORMED);
}

Test(malformed, more_deletes_than_fit)
{
    uint8_t room[256];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    static struct wire_body body;
    struct span bytes;

    for (size_t i = 0; i <= WIRE_MAX_DELETES; i++)
        wire_put_delete_ike(&b);
    cr_assert(wire_builder_finish(&b, &bytes));
    cr_assert_eq(wire_body_decode(b.first, bytes, &body), WIRE_TOO_MANY);
}
