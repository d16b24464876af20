#include "esp/packet.h"

#include "base/bytes.h"

enum { COVERED_BYTES_MAX = 12 };

bool esp_cipher_init(struct esp_cipher *c, const struct suite_aead *aead, const struct secret *key,
                     const struct secret *integ, uint32_t spi, bool esn)
{
    memset(c, 0, sizeof *c);
    if (key->len != aead->key_bytes + aead->salt_bytes || integ->len != aead->integ_bytes ||
        aead->iv_bytes > SUITE_IV_MAX_BYTES || aead->icv_bytes > SUITE_ICV_MAX_BYTES ||
        aead->block_bytes > SUITE_BLOCK_MAX_BYTES || aead->block_bytes == 0)
        return false;
    if (!aead->context_init(&c->context, aead, key->bytes, integ->bytes))
        return false;
    c->aead = aead;
    c->spi = spi;
    c->esn = esn;
    return true;
}

void esp_cipher_deinit(struct esp_cipher *c)
{
    if (c->aead != NULL)
        c->aead->context_deinit(&c->context);
    secret_wipe_bytes(c, sizeof *c);
}

/* SPI and number as the ICV covers them; the spans point into `bytes`. */
static struct suite_covered cover(const struct esp_cipher *c, uint64_t seq,
                                  uint8_t bytes[COVERED_BYTES_MAX])
{
    put_be32(bytes, c->spi);
    if (c->esn && c->aead->integ_bytes == 0) {
        put_be64(bytes + 4, seq);
        return (struct suite_covered){.before = span_of(bytes, 12)};
    }
    put_be32(bytes + 4, (uint32_t)seq);
    put_be32(bytes + 8, (uint32_t)(seq >> 32));
    return (struct suite_covered){.before = span_of(bytes, 8),
                                  .behind = span_of(bytes + 8, c->esn ? 4 : 0)};
}

/* Padding that brings the trailer's end to a multiple of 4 and of the cipher's block (RFC
 * 4303 2.4); both are powers of two. */
static size_t padding(const struct suite_aead *aead, size_t inner_bytes)
{
    size_t align =
        aead->block_bytes > ESP_ALIGNMENT_BYTES ? aead->block_bytes : ESP_ALIGNMENT_BYTES;

    return (align - (inner_bytes + ESP_TRAILER_BYTES) % align) % align;
}

enum esp_drop esp_packet_seal(struct esp_cipher *c, uint64_t seq, uint8_t next_header,
                              struct span inner, uint8_t *out, size_t cap, size_t *len)
{
    const struct suite_aead *aead = c->aead;
    uint8_t covered_bytes[COVERED_BYTES_MAX];
    struct suite_covered covered = cover(c, seq, covered_bytes);
    size_t pad = padding(aead, inner.len), clear = inner.len + pad + ESP_TRAILER_BYTES;
    size_t total = ESP_HEADER_BYTES + aead->iv_bytes + clear + aead->icv_bytes;
    uint8_t *iv = out + ESP_HEADER_BYTES, *text = iv + aead->iv_bytes;

    HF_ASSERT(c->esn || seq <= UINT32_MAX); /* I1c */
    HF_ASSERT(seq != 0);
    if (inner.len > cap || total > cap)
        return ESP_DROP_TOO_BIG;
    put_be32(out, c->spi);
    put_be32(out + 4, (uint32_t)seq);
    memcpy(text, inner.data, inner.len);
    for (size_t i = 0; i < pad; i++)
        text[inner.len + i] = (uint8_t)(i + 1); /* RFC 4303 2.4 */
    text[clear - 2] = (uint8_t)pad;
    text[clear - 1] = next_header;
    if (!aead->context_seal(&c->context, seq, &covered, span_of(text, clear), iv, text,
                            text + clear)) {
        secret_wipe_bytes(text, clear); /* it may still be plaintext */
        return ESP_DROP_CIPHER;
    }
    *len = total;
    return ESP_DROP_NONE;
}

bool esp_packet_header(struct span packet, uint32_t *spi, uint32_t *low)
{
    if (packet.len < ESP_MIN_BYTES)
        return false;
    *spi = get_be32(packet.data);
    *low = get_be32(packet.data + 4);
    return true;
}

/* The trailer of `clear` bytes at out. RFC 4303 2.4: the padding's contents are to be inspected. */
static enum esp_drop check_trailer(const uint8_t *out, size_t clear, size_t *inner_len,
                                   uint8_t *next_header)
{
    size_t pad = out[clear - 2];

    if (pad + 2 > clear)
        return ESP_DROP_PADDING;
    for (size_t i = 0; i < pad; i++)
        if (out[clear - 2 - pad + i] != (uint8_t)(i + 1))
            return ESP_DROP_PADDING;
    *inner_len = clear - 2 - pad;
    *next_header = out[clear - 1];
    return ESP_DROP_NONE;
}

enum esp_drop esp_packet_open(struct esp_cipher *c, uint64_t seq, struct span packet, uint8_t *out,
                              size_t cap, size_t *inner_len, uint8_t *next_header)
{
    const struct suite_aead *aead = c->aead;
    const size_t around = (size_t)ESP_HEADER_BYTES + aead->iv_bytes + aead->icv_bytes;
    uint8_t covered_bytes[COVERED_BYTES_MAX];
    struct suite_covered covered = cover(c, seq, covered_bytes);
    const uint8_t *iv = packet.data + ESP_HEADER_BYTES;
    const uint8_t *text = iv + aead->iv_bytes;
    size_t clear;

    if (packet.len < around + ESP_TRAILER_BYTES)
        return ESP_DROP_MALFORMED;
    clear = packet.len - around;
    if (clear > cap)
        return ESP_DROP_TOO_BIG;
    if (!aead->context_open(&c->context, iv, &covered, span_of(text, clear), text + clear, out))
        return ESP_DROP_ICV;
    return check_trailer(out, clear, inner_len, next_header);
}
