/* ESP packets as bytes: published vectors with and without ESN, padding, every flipped bit. */
#include <criterion/criterion.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "esp/packet.h"
#include "vectors/vectors.h"

static struct vector_case cases[32];
static const struct secret no_integ;

static uint64_t number(struct span s)
{
    return s.len == 8 ? get_be64(s.data) : get_be32(s.data);
}

static void vector_cipher(const struct vector_case *v, struct esp_cipher *c)
{
    struct span key = vector_get(v, "key"), salt = vector_get(v, "salt");
    struct secret whole = {.len = (uint8_t)(key.len + salt.len)};
    const struct suite_aead *aead = suite_find_aead(&suite_default, 20, (uint16_t)(key.len * 8), 0);

    memcpy(whole.bytes, key.data, key.len);
    memcpy(whole.bytes + key.len, salt.data, salt.len);
    cr_assert(esp_cipher_init(c, aead, &whole, &no_integ, get_be32(vector_get(v, "spi").data),
                              vector_get(v, "seq").len == 8));
}

Test(packet, published_vectors_open)
{
    size_t n = vectors_read("esp_gcm.txt", cases, 32), with_esn = 0;

    cr_assert_eq(n, 13);
    for (size_t i = 0; i < n; i++) {
        struct span packet = vector_get(&cases[i], "packet"),
                    clear = vector_get(&cases[i], "clear");
        struct esp_cipher c;
        uint8_t out[VECTOR_BYTES], next = 0;
        size_t len = 0;
        uint32_t spi, low;

        vector_cipher(&cases[i], &c);
        with_esn += c.esn;
        if (packet.len >= ESP_MIN_BYTES) {
            cr_assert(esp_packet_header(packet, &spi, &low));
            cr_assert_eq(spi, c.spi);
            cr_assert_eq(low, (uint32_t)number(vector_get(&cases[i], "seq")));
        }
        cr_assert_eq(esp_packet_open(&c, number(vector_get(&cases[i], "seq")), packet, out,
                                     sizeof out, &len, &next),
                     ESP_DROP_NONE, "case %zu", i);
        cr_assert_eq(next, clear.data[clear.len - 1]);
        cr_assert_eq(len, clear.len - 2 - clear.data[clear.len - 2]);
        cr_assert(span_equal(span_of(out, len), span_of(clear.data, len)));
        /* the other half of the number is in the AAD: with it wrong, nothing opens */
        if (c.esn)
            cr_assert_eq(esp_packet_open(&c,
                                         number(vector_get(&cases[i], "seq")) ^ UINT64_C(1) << 32,
                                         packet, out, sizeof out, &len, &next),
                         ESP_DROP_ICV);
        esp_cipher_deinit(&c);
    }
    cr_assert_eq(with_esn, 9);
}

/* Sealing under the vector's own IV is not ours (our IV is the number), but its bytes are: header,
 * padding, trailer and AAD as in the vector, checked against the cipher used directly. */
Test(packet, what_is_sealed_is_the_layout_of_the_rfc)
{
    static const uint8_t seeds[] = {1, 2, 3, 4, 5, 18, 19, 20, 21, 200};

    for (int esn = 0; esn < 2; esn++)
        for (size_t i = 0; i < sizeof seeds; i++) {
            const struct suite_aead *aead = suite_find_aead(&suite_default, 20, esn ? 128 : 256, 0);
            struct secret key = {.len = (uint8_t)(aead->key_bytes + 4), .bytes = {seeds[i], 9}};
            uint64_t seq = esn ? UINT64_C(0x500000007) : 7;
            uint8_t inner[256], out[512], aad[12], clear[512];
            struct suite_covered covered = {.before = span_of(aad, esn ? 12 : 8)};
            struct suite_aead_context direct;
            size_t n = seeds[i], len, total;
            struct esp_cipher c;

            memset(inner, 0x45, sizeof inner);
            cr_assert(esp_cipher_init(&c, aead, &key, &no_integ, 0xabcdef01, esn));
            cr_assert_eq(
                esp_packet_seal(&c, seq, ESP_NEXT_IPV4, span_of(inner, n), out, sizeof out, &len),
                ESP_DROP_NONE);
            total = (n + 2 + 3) / 4 * 4;
            cr_assert_eq(len, 16 + total + 16);
            cr_assert(len <= n + ESP_OVERHEAD_BYTES);
            cr_assert_eq(get_be32(out), 0xabcdef01);
            cr_assert_eq(get_be32(out + 4), 7);
            cr_assert_eq(get_be64(out + 8), seq, "the IV is the 64-bit number");
            put_be32(aad, 0xabcdef01);
            put_be64(aad + 4, seq);
            if (!esn)
                put_be32(aad + 4, 7);
            cr_assert(aead->context_init(&direct, aead, key.bytes, NULL));
            cr_assert(aead->context_open(&direct, out + 8, &covered, span_of(out + 16, total),
                                         out + 16 + total, clear));
            aead->context_deinit(&direct);
            cr_assert(span_equal(span_of(clear, n), span_of(inner, n)));
            for (size_t p = 0; p < total - 2 - n; p++)
                cr_assert_eq(clear[n + p], p + 1);
            cr_assert_eq(clear[total - 2], total - 2 - n);
            cr_assert_eq(clear[total - 1], ESP_NEXT_IPV4);
            esp_cipher_deinit(&c);
        }
}

static void make(struct esp_cipher *c, bool esn)
{
    struct secret key = {.len = 36, .bytes = {5}};

    cr_assert(esp_cipher_init(c, suite_find_aead(&suite_default, 20, 256, 0), &key, &no_integ,
                              0x1000, esn));
}

Test(packet, every_flipped_bit_is_refused)
{
    uint8_t inner[33] = {0x45}, packet[128], out[128], next;
    size_t len, n;
    struct esp_cipher c;

    make(&c, true);
    cr_assert_eq(esp_packet_seal(&c, 99, 4, span_of(inner, 33), packet, sizeof packet, &len),
                 ESP_DROP_NONE);
    for (size_t bit = 64; bit < len * 8; bit++) { /* SPI and number are the caller's to look up */
        packet[bit / 8] = (uint8_t)(packet[bit / 8] ^ 1u << (bit % 8));
        cr_assert_eq(esp_packet_open(&c, 99, span_of(packet, len), out, sizeof out, &n, &next),
                     ESP_DROP_ICV, "bit %zu", bit);
        packet[bit / 8] = (uint8_t)(packet[bit / 8] ^ 1u << (bit % 8));
    }
    cr_assert_eq(esp_packet_open(&c, 98, span_of(packet, len), out, sizeof out, &n, &next),
                 ESP_DROP_ICV);
    cr_assert_eq(esp_packet_open(&c, 99, span_of(packet, len), out, sizeof out, &n, &next),
                 ESP_DROP_NONE);
    for (size_t cut = 1; cut <= len; cut++)
        cr_assert_neq(
            esp_packet_open(&c, 99, span_of(packet, len - cut), out, sizeof out, &n, &next),
            ESP_DROP_NONE);
    esp_cipher_deinit(&c);
}

/* Seals a clear text of our own making, trailer included, as a faulty peer would. */
static enum esp_drop open_clear(struct esp_cipher *c, const uint8_t *clear, size_t n, size_t *len)
{
    uint8_t packet[512], out[512], next;
    const struct suite_covered covered = {.before = span_of(packet, 8)};

    put_be32(packet, c->spi);
    put_be32(packet + 4, 5);
    cr_assert(c->aead->context_seal(&c->context, 5, &covered, span_of(clear, n), packet + 8,
                                    packet + 16, packet + 16 + n));
    return esp_packet_open(c, 5, span_of(packet, 32 + n), out, sizeof out, len, &next);
}

Test(packet, trailers_of_a_faulty_peer)
{
    struct esp_cipher c;
    size_t len = 777;

    make(&c, false);
    cr_assert_eq(open_clear(&c, (const uint8_t[]){0, 4}, 2, &len), ESP_DROP_NONE);
    cr_assert_eq(len, 0);
    cr_assert_eq(open_clear(&c, (const uint8_t[]){1, 1, 4}, 3, &len), ESP_DROP_NONE);
    cr_assert_eq(open_clear(&c, (const uint8_t[]){9, 1, 2, 2, 4}, 5, &len), ESP_DROP_NONE);
    cr_assert_eq(len, 1);
    cr_assert_eq(open_clear(&c, (const uint8_t[]){1, 4}, 2, &len), ESP_DROP_PADDING,
                 "more padding than there is");
    cr_assert_eq(open_clear(&c, (const uint8_t[]){1, 2, 255, 4}, 4, &len), ESP_DROP_PADDING);
    cr_assert_eq(open_clear(&c, (const uint8_t[]){9, 1, 3, 2, 4}, 5, &len), ESP_DROP_PADDING,
                 "RFC 4303 2.4");
    cr_assert_eq(open_clear(&c, (const uint8_t[]){9, 0, 0, 2, 4}, 5, &len), ESP_DROP_PADDING);
    cr_assert_eq(len, 1, "written on failure");
    esp_cipher_deinit(&c);
}

Test(packet, sizes_that_do_not_fit)
{
    uint8_t inner[64] = {0x45}, packet[256], out[256], next;
    size_t len = 5, n;
    struct esp_cipher c;

    make(&c, false);
    cr_assert_eq(esp_packet_seal(&c, 1, 4, span_of(inner, 64), packet, 16 + 68 + 15, &len),
                 ESP_DROP_TOO_BIG);
    cr_assert_eq(esp_packet_seal(&c, 1, 4, span_of(inner, SIZE_MAX - 8), packet, 100, &len),
                 ESP_DROP_TOO_BIG);
    cr_assert_eq(len, 5, "written on failure");
    cr_assert_eq(esp_packet_seal(&c, 1, 4, span_of(inner, 64), packet, 16 + 68 + 16, &len),
                 ESP_DROP_NONE);
    cr_assert_eq(esp_packet_open(&c, 1, span_of(packet, len), out, 67, &n, &next),
                 ESP_DROP_TOO_BIG);
    cr_assert_eq(esp_packet_open(&c, 1, span_of(packet, len), out, 68, &n, &next), ESP_DROP_NONE);
    cr_assert_eq(esp_packet_open(&c, 1, span_of(packet, ESP_MIN_BYTES - 1), out, 68, &n, &next),
                 ESP_DROP_MALFORMED);
    esp_cipher_deinit(&c);
}

Test(packet, a_key_of_the_wrong_length_is_refused)
{
    struct secret key = {.len = 32};
    struct esp_cipher c;

    cr_assert_not(esp_cipher_init(&c, suite_find_aead(&suite_default, 20, 256, 0), &key, &no_integ,
                                  0x1000, false));
    cr_assert_not(esp_cipher_init(&c, suite_find_aead(&suite_default, 20, 128, 0), &key, &no_integ,
                                  0x1000, false));
    esp_cipher_deinit(&c); /* nothing is held: harmless */
}
