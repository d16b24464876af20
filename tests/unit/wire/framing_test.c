/* Header, payload chain, SK framing, and what shares port 4500. */
#include <criterion/criterion.h>

#include "wire/body.h"
#include "wire/sk.h"

static const struct wire_header HEADER = {.spi_i = 0x0102030405060708,
                                          .spi_r = 0x1112131415161718,
                                          .major = 2,
                                          .exchange = WIRE_EX_CREATE_CHILD_SA,
                                          .flags = WIRE_FLAG_RESPONSE | WIRE_FLAG_INITIATOR,
                                          .message_id = 0xdeadbeef};

static struct span a_message(uint8_t *room, size_t cap)
{
    struct wire_builder b = wire_builder_message(room, cap, &HEADER);
    struct span out;

    wire_put_nonce(&b, span_of("0123456789abcdef", 16));
    wire_put_notify_plain(&b, WIRE_N_INITIAL_CONTACT, span_of(NULL, 0));
    cr_assert(wire_builder_finish(&b, &out));
    return out;
}

Test(header, round_trip)
{
    uint8_t room[256];
    struct span m = a_message(room, sizeof room);
    struct wire_header h;

    cr_assert_eq(m.len, WIRE_HEADER_BYTES + 20 + 8);
    cr_assert_eq(wire_header_decode(m, &h), WIRE_OK);
    cr_assert(h.spi_i == HEADER.spi_i && h.spi_r == HEADER.spi_r);
    cr_assert(h.exchange == HEADER.exchange && h.flags == HEADER.flags);
    cr_assert(h.message_id == HEADER.message_id && h.length == m.len);
    cr_assert(h.next_payload == WIRE_PL_NONCE && h.major == 2 && h.minor == 0);
    cr_assert(wire_is_response(&h));
}

Test(header, every_truncation_is_found)
{
    uint8_t room[256];
    struct span m = a_message(room, sizeof room);

    for (size_t n = 0; n < m.len; n++) {
        struct wire_header h = {.message_id = 7};

        cr_assert_eq(wire_header_decode(span_of(m.data, n), &h), WIRE_TRUNCATED, "at %zu", n);
        cr_assert_eq(h.message_id, 7, "output untouched at %zu", n);
    }
}

Test(header, trailing_bytes_version_and_reserved_flags)
{
    uint8_t room[256] = {0};
    struct span m = a_message(room, sizeof room);
    struct wire_header h;

    cr_assert_eq(wire_header_decode(span_of(m.data, m.len + 1), &h), WIRE_MALFORMED);
    room[19] |= 0xc7; /* reserved flags: ignored (RFC 7296 3.1) */
    cr_assert_eq(wire_header_decode(m, &h), WIRE_OK);
    cr_assert_eq(h.flags, HEADER.flags);
    room[17] = 0x2f; /* a minor version that we do not know: ignored */
    cr_assert_eq(wire_header_decode(m, &h), WIRE_OK);
    room[17] = 0x30;
    cr_assert_eq(wire_header_decode(m, &h), WIRE_VERSION);
    cr_assert(h.major == 3 && h.message_id == HEADER.message_id);
    room[17] = 0x10;
    cr_assert_eq(wire_header_decode(m, &h), WIRE_VERSION);
    cr_assert_eq(h.major, 1);
}

Test(chain, unknown_payloads_and_the_critical_bit)
{
    const uint8_t skipped[] = {49, 0, 0, 6, 1, 2, WIRE_PL_NONE, 0, 0, 5, 9};
    uint8_t critical[sizeof skipped];
    struct wire_chain chain;
    uint8_t unsupported = 0;

    /* Types 200 and 49 are unknown; only what is known is kept. */
    cr_assert_eq(wire_chain_decode(200, span_of(skipped, sizeof skipped), &chain, &unsupported),
                 WIRE_OK);
    cr_assert_eq(chain.n, 0);
    cr_assert_eq(
        wire_chain_decode(WIRE_PL_VENDOR, span_of(skipped, sizeof skipped), &chain, &unsupported),
        WIRE_OK);
    cr_assert_eq(chain.n, 1);
    memcpy(critical, skipped, sizeof critical);
    critical[7] = 0x80;
    cr_assert_eq(wire_chain_decode(200, span_of(critical, sizeof critical), &chain, &unsupported),
                 WIRE_CRITICAL);
    cr_assert_eq(unsupported, 49);
    /* On a payload of RFC 7296 itself the bit is ignored (2.5). */
    critical[7] = 0;
    critical[1] = 0x80;
    critical[0] = WIRE_PL_NONCE;
    cr_assert_eq(
        wire_chain_decode(WIRE_PL_VENDOR, span_of(critical, sizeof critical), &chain, &unsupported),
        WIRE_OK);
    cr_assert(chain.n == 2 && chain.items[0].critical);
}

Test(chain, lengths_that_lie)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
        enum wire_result want;
    } table[] = {
        {{0}, 0, WIRE_TRUNCATED},                /* a first payload that is not there */
        {{0, 0, 0}, 3, WIRE_TRUNCATED},          /* half a generic header */
        {{0, 0, 0, 3}, 4, WIRE_MALFORMED},       /* shorter than its own header */
        {{0, 0, 0, 0}, 4, WIRE_MALFORMED},       /* zero: would never advance */
        {{0, 0, 0, 5}, 4, WIRE_TRUNCATED},       /* one byte beyond */
        {{0, 0, 0xff, 0xff}, 4, WIRE_TRUNCATED}, /* far beyond */
        {{0, 0, 0, 4, 0}, 5, WIRE_MALFORMED},    /* something behind the last one */
        {{43, 0, 0, 4}, 4, WIRE_TRUNCATED},      /* promises another */
        {{43, 0, 0, 4, 0, 0, 0, 9}, 8, WIRE_TRUNCATED},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wire_chain chain = {.n = 99};
        uint8_t unsupported = 0;

        cr_assert_eq(wire_chain_decode(WIRE_PL_VENDOR, span_of(table[i].bytes, table[i].len),
                                       &chain, &unsupported),
                     table[i].want, "row %zu", i);
        cr_assert_eq(chain.n, 99, "row %zu: output untouched", i);
    }
}

Test(chain, is_bounded)
{
    uint8_t bytes[4 * (WIRE_MAX_PAYLOADS + 1)];
    struct wire_chain chain;
    uint8_t unsupported;

    for (size_t i = 0; i <= WIRE_MAX_PAYLOADS; i++) {
        uint8_t next = i == WIRE_MAX_PAYLOADS ? WIRE_PL_NONE : WIRE_PL_VENDOR;

        memcpy(bytes + 4 * i, (uint8_t[]){next, 0, 0, 4}, 4);
    }
    cr_assert_eq(
        wire_chain_decode(WIRE_PL_VENDOR, span_of(bytes, sizeof bytes), &chain, &unsupported),
        WIRE_TOO_MANY);
    /* Unknown ones count as well: no work without a bound (the fragment attack's outer payloads).
     */
    for (size_t i = 0; i < WIRE_MAX_PAYLOADS; i++)
        bytes[4 * i] = 200;
    cr_assert_eq(wire_chain_decode(200, span_of(bytes, sizeof bytes), &chain, &unsupported),
                 WIRE_TOO_MANY);
    cr_assert_eq(wire_chain_decode(200, span_of(bytes + 4, sizeof bytes - 4), &chain, &unsupported),
                 WIRE_OK);
}

Test(sk, put_split_and_unpad)
{
    uint8_t room[256];
    struct wire_builder b = wire_builder_message(room, sizeof room, &HEADER);
    struct wire_sk_room put = wire_put_sk(&b, WIRE_PL_NONCE, 8, 20, 16);
    struct wire_chain chain;
    struct wire_sk sk;
    struct span m, inner;
    uint8_t unsupported;

    cr_assert(wire_builder_finish(&b, &m));
    cr_assert_eq(put.aad_bytes, WIRE_HEADER_BYTES + WIRE_PAYLOAD_HEADER_BYTES);
    memset(put.ciphertext, 0x77, 20);
    cr_assert_eq(
        wire_chain_decode(room[16], span_of(m.data + 28, m.len - 28), &chain, &unsupported),
        WIRE_OK);
    cr_assert(chain.n == 1 && chain.items[0].type == WIRE_PL_SK &&
              chain.items[0].next == WIRE_PL_NONCE);
    cr_assert_eq(wire_sk_split(chain.items[0].body, 8, 16, &sk), WIRE_OK);
    cr_assert(sk.iv.data == put.iv && sk.ciphertext.data == put.ciphertext &&
              sk.icv.data == put.icv);
    cr_assert(sk.iv.len == 8 && sk.ciphertext.len == 21 && sk.icv.len == 16);
    cr_assert_eq(wire_sk_unpad(sk.ciphertext, &inner), WIRE_OK);
    cr_assert_eq(inner.len, 20);
    /* SK is the last payload (RFC 7296 3.14): its next payload is inside, and nothing may follow.
     */
    cr_assert_eq(
        wire_chain_decode(room[16], span_of(m.data + 28, m.len - 27), &chain, &unsupported),
        WIRE_MALFORMED);
    for (size_t n = 0; n < 25; n++)
        cr_assert_eq(wire_sk_split(span_of(room, n), 8, 16, &sk), WIRE_TRUNCATED);
    cr_assert_eq(wire_sk_split(span_of(room, 25), 8, 16, &sk), WIRE_OK);
}

Test(sk, padding)
{
    struct span inner;

    cr_assert_eq(wire_sk_unpad(span_of(NULL, 0), &inner), WIRE_TRUNCATED);
    cr_assert_eq(wire_sk_unpad(span_of("\x00", 1), &inner), WIRE_OK);
    cr_assert_eq(inner.len, 0);
    cr_assert_eq(wire_sk_unpad(span_of("x\xaa\xbb\x02", 4), &inner), WIRE_OK);
    cr_assert_eq(inner.len, 1);
    cr_assert_eq(wire_sk_unpad(span_of("\xaa\xbb\x03", 3), &inner), WIRE_MALFORMED);
    cr_assert_eq(wire_sk_unpad(span_of("\xff", 1), &inner), WIRE_MALFORMED);
}

Test(sk, no_room)
{
    uint8_t room[60];
    struct wire_builder b = wire_builder_message(room, sizeof room, &HEADER);
    struct wire_sk_room put = wire_put_sk(&b, WIRE_PL_NONCE, 8, 20, 16);
    struct span m;

    cr_assert(put.iv == NULL && put.ciphertext == NULL && put.icv == NULL);
    cr_assert_not(wire_builder_finish(&b, &m));
}
