#include "esp/packet.h"

#include "base/bytes.h"

enum { AAD_BYTES_MAX = 12, ALIGNMENT = 4 };

bool esp_cipher_init(struct esp_cipher *c, const struct suite_aead *aead, const struct secret *key,
                     uint32_t spi, bool esn)
{
    memset(c, 0, sizeof *c);
    if (key->len != aead->key_bytes + aead->salt_bytes ||
        aead->salt_bytes + aead->iv_bytes != SUITE_NONCE_BYTES || aead->iv_bytes != ESP_IV_BYTES ||
        aead->icv_bytes != ESP_ICV_BYTES)
        return false;
    if (!aead->context_init(&c->context, key->bytes))
        return false;
    secret_set(&c->salt, key->bytes + aead->key_bytes, aead->salt_bytes);
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

static void make_nonce(const struct esp_cipher *c, const uint8_t *iv,
                       uint8_t nonce[SUITE_NONCE_BYTES])
{
    memcpy(nonce, c->salt.bytes, c->salt.len);
    memcpy(nonce + c->salt.len, iv, ESP_IV_BYTES);
}

/* RFC 4106 5: SPI | seq, with ESN SPI | high | low. */
static struct span make_aad(const struct esp_cipher *c, uint64_t seq, uint8_t aad[AAD_BYTES_MAX])
{
    put_be32(aad, c->spi);
    if (!c->esn) {
        put_be32(aad + 4, (uint32_t)seq);
        return span_of(aad, 8);
    }
    put_be64(aad + 4, seq);
    return span_of(aad, 12);
}

enum esp_drop esp_packet_seal(struct esp_cipher *c, uint64_t seq, uint8_t next_header,
                              struct span inner, uint8_t *out, size_t cap, size_t *len)
{
    uint8_t nonce[SUITE_NONCE_BYTES], aad_bytes[AAD_BYTES_MAX];
    size_t pad = (ALIGNMENT - (inner.len + 2) % ALIGNMENT) % ALIGNMENT;
    size_t clear = inner.len + pad + 2;
    size_t total = ESP_HEADER_BYTES + ESP_IV_BYTES + clear + ESP_ICV_BYTES;
    uint8_t *text = out + ESP_HEADER_BYTES + ESP_IV_BYTES;

    HF_ASSERT(c->esn || seq <= UINT32_MAX); /* I1c */
    HF_ASSERT(seq != 0);
    if (inner.len > cap || total > cap)
        return ESP_DROP_TOO_BIG;
    put_be32(out, c->spi);
    put_be32(out + 4, (uint32_t)seq);
    put_be64(out + ESP_HEADER_BYTES, seq);
    memcpy(text, inner.data, inner.len);
    for (size_t i = 0; i < pad; i++)
        text[inner.len + i] = (uint8_t)(i + 1); /* RFC 4303 2.4 */
    text[clear - 2] = (uint8_t)pad;
    text[clear - 1] = next_header;
    make_nonce(c, out + ESP_HEADER_BYTES, nonce);
    if (!c->aead->context_seal(&c->context, nonce, make_aad(c, seq, aad_bytes),
                               span_of(text, clear), text, text + clear)) {
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
    uint8_t nonce[SUITE_NONCE_BYTES], aad_bytes[AAD_BYTES_MAX];
    const uint8_t *iv = packet.data + ESP_HEADER_BYTES;
    const uint8_t *text = iv + ESP_IV_BYTES;
    size_t clear;

    if (packet.len < ESP_MIN_BYTES)
        return ESP_DROP_MALFORMED;
    clear = packet.len - ESP_HEADER_BYTES - ESP_IV_BYTES - ESP_ICV_BYTES;
    if (clear > cap)
        return ESP_DROP_TOO_BIG;
    make_nonce(c, iv, nonce);
    if (!c->aead->context_open(&c->context, nonce, make_aad(c, seq, aad_bytes),
                               span_of(text, clear), text + clear, out))
        return ESP_DROP_ICV;
    return check_trailer(out, clear, inner_len, next_header);
}
