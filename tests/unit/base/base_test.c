/* node/base: byte order, addresses, secrets, and an assertion that is on in every build. */
#include <criterion/criterion.h>
#include <signal.h>

#include "base/addr.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/hex.h"
#include "base/secret.h"
#include "base/span.h"

Test(base, big_endian_goes_there_and_back)
{
    static const uint8_t wire[8] = {0x80, 0x01, 0x02, 0x03, 0xfc, 0xfd, 0xfe, 0xff};
    uint8_t buf[8];

    cr_assert_eq(get_be16(wire), 0x8001);
    cr_assert_eq(get_be32(wire), 0x80010203u);
    cr_assert_eq(get_be64(wire), UINT64_C(0x80010203fcfdfeff));
    put_be64(buf, get_be64(wire));
    cr_assert_arr_eq(buf, wire, 8);
    put_be32(buf, 0x01020304);
    put_be16(buf, 0xa0b0);
    cr_assert_eq(get_be32(buf), 0xa0b00304u);
}

Test(base, addresses_compare_whole)
{
    struct ip_addr a = addr_v4(0x0a4d0164), b = addr_v4(0x0a4d0164), c = addr_v4(0x0a4d0165);
    struct endpoint x = {.ip = a, .port = 500}, y = {.ip = b, .port = 4500};

    cr_assert(addr_equal(&a, &b));
    cr_assert(!addr_equal(&a, &c));
    b.family = ADDR_V6;
    cr_assert(!addr_equal(&a, &b));
    cr_assert_eq(addr_len(&a), 4);
    cr_assert_eq(addr_len(&b), 16);
    cr_assert_eq(addr_len(&(struct ip_addr){.family = ADDR_NONE}), 0);
    y.ip = a;
    cr_assert(!endpoint_equal(&x, &y));
    y.port = 500;
    cr_assert(endpoint_equal(&x, &y));
}

Test(base, spans_of_different_length_differ)
{
    cr_assert(span_equal(span_of("abc", 3), span_of("abc", 3)));
    cr_assert(!span_equal(span_of("abc", 3), span_of("abc", 2)));
    cr_assert(!span_equal(span_of("abc", 3), span_of("abd", 3)));
    cr_assert(span_equal(span_of(NULL, 0), span_of("x", 0)));
}

Test(base, secrets_are_wiped_and_compared)
{
    struct secret s;
    uint8_t zero[sizeof s] = {0};

    secret_set(&s, "0123456789", 10);
    cr_assert_eq(s.len, 10);
    cr_assert(secret_equal_bytes(s.bytes, "0123456789", 10));
    cr_assert(!secret_equal_bytes(s.bytes, "0123456788", 10));
    cr_assert(span_equal(secret_span(&s), span_of("0123456789", 10)));
    secret_wipe(&s);
    cr_assert_arr_eq(&s, zero, sizeof s);
}

/* Also in release builds: this program runs in both. */
Test(base, an_assertion_ends_the_process, .signal = SIGABRT)
{
    volatile int one = 1;

    HF_ASSERT(one == 2);
}

Test(base, a_secret_that_is_too_long_is_a_programmers_mistake, .signal = SIGABRT)
{
    static const uint8_t big[SECRET_MAX_BYTES + 1];
    struct secret s;

    secret_set(&s, big, sizeof big);
}

Test(base_hex, there_and_back_and_small_digits_alone)
{
    static const char not_digits[] = "gG/:`@A F-";
    char text[2 * 256 + 1];
    uint8_t bytes[256], again[256];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    hex_put(bytes, sizeof bytes, text);
    cr_assert(hex_get(text, sizeof again, again) && memcmp(again, bytes, sizeof again) == 0);
    cr_assert(!hex_get("0g", 1, again) && !hex_get("G0", 1, again) && !hex_get("0", 1, again));
    cr_assert_eq(strlen(text), 2 * sizeof bytes);
    cr_assert_eq(memcmp(text, "000102030405060708090a0b0c0d0e0f10", 34), 0);
    cr_assert_str_eq(text + 2 * 254, "feff");
    for (size_t i = 0; i < sizeof bytes; i++)
        cr_assert_eq(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]), (int)i);
    for (const char *c = not_digits; *c != '\0'; c++)
        cr_assert_eq(hex_value(*c), -1);
    cr_assert_eq(hex_value('\0'), -1);
    hex_put(bytes, 0, text);
    cr_assert_eq(text[0], '\0');
}
