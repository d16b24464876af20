/* ESP packets as bytes (RFC 4303) with AES-GCM (RFC 4106). Pure: no window, no reservation, no
 * policy.
 *
 *    0      4      8            16                                       -16        end
 *    | SPI  | seq  | IV (64 bit) | inner packet | 1 2 3.. | pad len | next | ICV     |
 *    |<-- AAD --->|              |<------------ enciphered --------------->|
 *
 * AAD is SPI | seq, with ESN SPI | high | low (RFC 4106 5). The IV is the 64-bit sequence number,
 * so a number that is never used twice (I1) is a nonce that is never used twice. Nonce = salt | IV.
 */
#ifndef HF_ESP_PACKET_H
#define HF_ESP_PACKET_H

#include "crypto/suite.h"
#include "esp/drop.h"

enum {
    ESP_HEADER_BYTES = 8,
    ESP_IV_BYTES = 8,
    ESP_ICV_BYTES = 16,
    ESP_MIN_BYTES = ESP_HEADER_BYTES + ESP_IV_BYTES + 2 + ESP_ICV_BYTES,
    ESP_OVERHEAD_BYTES = ESP_HEADER_BYTES + ESP_IV_BYTES + 3 + 2 + ESP_ICV_BYTES, /* at most */
    ESP_NEXT_IPV4 = 4,
    ESP_NEXT_IPV6 = 41,
    ESP_NEXT_NONE = 59
};

/* One direction's key, ready for use by one worker. */
struct esp_cipher {
    struct suite_aead_context context;
    const struct suite_aead *aead;
    struct secret salt;
    uint32_t spi;
    bool esn;
};

/* key = cipher key then salt (RFC 4106 8.1), as the KDF gives it. False: wrong length, or the
 * cipher failed; nothing is held. */
bool esp_cipher_init(struct esp_cipher *c, const struct suite_aead *aead, const struct secret *key,
                     uint32_t spi, bool esn) HF_MUST_USE;
void esp_cipher_deinit(struct esp_cipher *c);

/* Seals `inner` under number `seq` into out (cap bytes; inner.len + ESP_OVERHEAD_BYTES are always
 * enough; may not overlap inner). ESP_DROP_NONE, ESP_DROP_TOO_BIG or ESP_DROP_CIPHER; *len is
 * written on success only. */
enum esp_drop esp_packet_seal(struct esp_cipher *c, uint64_t seq, uint8_t next_header,
                              struct span inner, uint8_t *out, size_t cap, size_t *len) HF_MUST_USE;

/* SPI and low number of a packet long enough to be one; false otherwise. */
bool esp_packet_header(struct span packet, uint32_t *spi, uint32_t *low) HF_MUST_USE;

/* Opens a packet whose number is known. out: cap bytes, may not overlap; inner_len and next_header
 * are written on success only; on any failure the contents of out are to be forgotten.
 * ESP_DROP_NONE, _MALFORMED, _TOO_BIG, _ICV or _PADDING. */
enum esp_drop esp_packet_open(struct esp_cipher *c, uint64_t seq, struct span packet, uint8_t *out,
                              size_t cap, size_t *inner_len, uint8_t *next_header) HF_MUST_USE;

#endif
