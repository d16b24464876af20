/* ESP packets as bytes (RFC 4303), under any row of crypto/suite.h. Pure: no window, no reservation,
 * no policy.
 *
 *    0      4      8        8 + IV                                       -ICV       end
 *    | SPI  | seq  | IV     | inner packet | 1 2 3.. | pad len | next     | ICV     |
 *    |<- covered ->|        |<------------ enciphered ------------------>|
 *
 * Covered too are the IV and the enciphered bytes, and with ESN the high half of the number: in a
 * combined mode as SPI | high | low in front (RFC 4106 5, RFC 7634 2.1), else behind the enciphered
 * bytes (RFC 4303 2.2.1). The IV follows from the 64-bit sequence number, so a number that is never
 * used twice (I1) is an IV that is never used twice.
 */
#ifndef HF_ESP_PACKET_H
#define HF_ESP_PACKET_H

#include "crypto/suite.h"
#include "esp/drop.h"

enum {
    ESP_HEADER_BYTES = 8,
    ESP_ALIGNMENT_BYTES = 4, /* RFC 4303 2.4 */
    ESP_TRAILER_BYTES = 2,
    /* of any row: AES-CTR with HMAC-SHA-1-96 is the shortest */
    ESP_MIN_BYTES = ESP_HEADER_BYTES + 8 + ESP_TRAILER_BYTES + 12,
    /* at most, of any row */
    ESP_OVERHEAD_BYTES = ESP_HEADER_BYTES + SUITE_IV_MAX_BYTES + SUITE_BLOCK_MAX_BYTES - 1 +
                         ESP_TRAILER_BYTES + SUITE_ICV_MAX_BYTES,
    ESP_NEXT_IPV4 = 4,
    ESP_NEXT_IPV6 = 41,
    ESP_NEXT_NONE = 59
};

/* One direction's key, ready for use by one worker. */
struct esp_cipher {
    struct suite_aead_context context;
    const struct suite_aead *aead;
    uint32_t spi;
    bool esn;
};

/* key = cipher key then salt (RFC 4106 8.1), integ = integrity key (empty with a combined mode), as
 * the KDF gives them. False: wrong length, or the cipher failed; nothing is held. */
bool esp_cipher_init(struct esp_cipher *c, const struct suite_aead *aead, const struct secret *key,
                     const struct secret *integ, uint32_t spi, bool esn) HF_MUST_USE;
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
