/* ESP under every cipher of the table: layout, block padding, IVs, and where ESN's high half is
 * covered. The ICV of encrypt-then-MAC is made a second time here, by the PRF with the same hash. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "esp/packet.h"

static void keys(const struct suite_aead *a, struct secret *key, struct secret *integ)
{
    uint8_t bytes[SECRET_MAX_BYTES];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(11 * i + 1);
    secret_set(key, bytes, (size_t)a->key_bytes + a->salt_bytes);
    bytes[0] ^= 0x80;
    secret_set(integ, bytes, a->integ_bytes);
}

static void make(const struct suite_aead *a, struct esp_cipher *c, bool esn)
{
    struct secret key, integ;

    keys(a, &key, &integ);
    cr_assert(esp_cipher_init(c, a, &key, &integ, 0xabcdef01, esn), "%s", a->name);
}

/* RFC 4303 2.2.1, 2.8: over SPI, number, IV, enciphered text, and behind them the high half. */
static void expect_icv(const struct suite_aead *a, const uint8_t *packet, size_t len, uint32_t high,
                       bool esn)
{
    static const uint16_t prf_of[][2] = {{2, 2}, {12, 5}, {13, 6}, {14, 7}};
    uint8_t high_bytes[4], want[SUITE_PRF_MAX_BYTES];
    const struct span parts[] = {span_of(packet, len - a->icv_bytes),
                                 span_of(high_bytes, esn ? 4 : 0)};
    struct secret key, integ;

    keys(a, &key, &integ);
    put_be32(high_bytes, high);
    for (size_t i = 0; i < 4; i++)
        if (prf_of[i][0] == a->integ_id)
            cr_assert(suite_find_prf(&suite_default, prf_of[i][1])
                          ->compute(secret_span(&integ), parts, 2, want));
    cr_assert_eq(memcmp(packet + len - a->icv_bytes, want, a->icv_bytes), 0, "%s", a->name);
}

static void there_and_back(const struct suite_aead *a, bool esn, size_t n)
{
    uint64_t seq = esn ? UINT64_C(0x500000007) : 7;
    uint8_t inner[1500], packet[1600], out[1600], next;
    size_t align = a->block_bytes > 4 ? a->block_bytes : 4, len, back;
    struct esp_cipher from, to;

    for (size_t i = 0; i < n; i++)
        inner[i] = (uint8_t)(i * 7 + n);
    make(a, &from, esn);
    make(a, &to, esn);
    cr_assert_eq(esp_packet_seal(&from, seq, ESP_NEXT_IPV6, span_of(inner, n), packet,
                                 n + ESP_OVERHEAD_BYTES, &len),
                 ESP_DROP_NONE, "%s: the overhead is enough", a->name);
    cr_assert_eq((len - ESP_HEADER_BYTES - a->iv_bytes - a->icv_bytes) % align, 0, "%s", a->name);
    cr_assert_lt(len - ESP_HEADER_BYTES - a->iv_bytes - a->icv_bytes, n + 2 + align,
                 "%s pads no more than it must", a->name);
    cr_assert(len >= ESP_MIN_BYTES && get_be32(packet) == 0xabcdef01 && get_be32(packet + 4) == 7);
    if (a->integ_bytes > 0)
        expect_icv(a, packet, len, 5, esn);
    cr_assert_eq(esp_packet_open(&to, seq, span_of(packet, len), out, sizeof out, &back, &next),
                 ESP_DROP_NONE, "%s", a->name);
    cr_assert(back == n && next == ESP_NEXT_IPV6 && memcmp(out, inner, n) == 0, "%s", a->name);
    if (esn)
        cr_assert_eq(esp_packet_open(&to, seq + (UINT64_C(1) << 32), span_of(packet, len), out,
                                     sizeof out, &back, &next),
                     ESP_DROP_ICV, "%s: the high half is covered", a->name);
    esp_cipher_deinit(&from);
    esp_cipher_deinit(&to);
}

Test(suite, there_and_back_with_each_cipher)
{
    static const size_t sizes[] = {1, 2, 13, 14, 15, 16, 20, 28, 29, 30, 31, 46, 1400};
    size_t compared = 0;

    for (size_t i = 0; i < suite_default.n_aeads; i++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            for (int esn = 0; esn < 2; esn++, compared++)
                there_and_back(suite_default.aeads[i], esn != 0, sizes[s]);
    fprintf(stderr, "compared %zu packets\n", compared);
}

Test(suite, every_flipped_bit_and_every_cut_is_refused_with_each_cipher)
{
    for (size_t i = 0; i < suite_default.n_aeads; i++) {
        const struct suite_aead *a = suite_default.aeads[i];
        uint8_t inner[20] = {0x45}, packet[160], out[160], next;
        size_t len, n;
        struct esp_cipher c;

        make(a, &c, true);
        cr_assert_eq(
            esp_packet_seal(&c, 9, 4, span_of(inner, sizeof inner), packet, sizeof packet, &len),
            ESP_DROP_NONE);
        for (size_t bit = 64; bit < len * 8; bit++) { /* SPI and number: from the caller's state */
            packet[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            cr_assert_eq(esp_packet_open(&c, 9, span_of(packet, len), out, sizeof out, &n, &next),
                         ESP_DROP_ICV, "%s bit %zu", a->name, bit);
            packet[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        for (size_t cut = 1; cut <= len; cut++)
            cr_assert_neq(
                esp_packet_open(&c, 9, span_of(packet, len - cut), out, sizeof out, &n, &next),
                ESP_DROP_NONE, "%s cut by %zu", a->name, cut);
        esp_cipher_deinit(&c);
    }
}

/* I1: each number its own IV, with any cipher, and never the number's own low half for CBC. */
Test(suite, no_iv_twice_with_each_cipher)
{
    for (size_t i = 0; i < suite_default.n_aeads; i++) {
        const struct suite_aead *a = suite_default.aeads[i];
        static uint8_t ivs[300][SUITE_IV_MAX_BYTES];
        uint8_t inner[20] = {0x45}, packet[160];
        struct esp_cipher c;
        size_t len;

        make(a, &c, true);
        memset(ivs, 0, sizeof ivs);
        for (size_t k = 0; k < 300; k++) {
            uint64_t seq = k < 150 ? k + 1 : (UINT64_C(1) << 32) + k; /* same low halves */

            cr_assert_eq(esp_packet_seal(&c, seq, 4, span_of(inner, sizeof inner), packet,
                                         sizeof packet, &len),
                         ESP_DROP_NONE);
            memcpy(ivs[k], packet + ESP_HEADER_BYTES, a->iv_bytes);
            for (size_t m = 0; m < k; m++)
                cr_assert_neq(memcmp(ivs[k], ivs[m], sizeof ivs[k]), 0, "%s: %zu and %zu", a->name,
                              k, m);
        }
        esp_cipher_deinit(&c);
    }
}

Test(suite, keys_of_another_length_are_refused)
{
    for (size_t i = 0; i < suite_default.n_aeads; i++) {
        const struct suite_aead *a = suite_default.aeads[i];
        struct secret key, integ;
        struct esp_cipher c;

        keys(a, &key, &integ);
        key.len--;
        cr_assert_not(esp_cipher_init(&c, a, &key, &integ, 0x1000, false), "%s", a->name);
        key.len++;
        integ.len++;
        cr_assert_not(esp_cipher_init(&c, a, &key, &integ, 0x1000, false), "%s", a->name);
        esp_cipher_deinit(&c);
    }
}
