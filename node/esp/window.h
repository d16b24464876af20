/* The exact inbound state of one CHILD SA as bytes, for the entry that hands its shard over: what
 * was accepted, and what counts for its limits. The next owner goes on as if it had been this one:
 * no floor, nothing accepted twice, nothing refused that is new.
 *
 *   SPI (4) | top | top - floor | packets in, out | bytes in, out    numbers: 7 bits a byte, low first
 *   8 bytes: 2 bits a word of the ring: none marked, all marked, or 8 bytes of its own behind
 *
 * In-order traffic makes about 50 bytes, the worst window ESP_WINDOW_MAX_BYTES. Pure.
 */
#ifndef HF_ESP_WINDOW_H
#define HF_ESP_WINDOW_H

#include "esp/replay.h"

enum {
    ESP_WINDOW_CODE_BYTES = ESP_REPLAY_WORDS / 4,
    ESP_WINDOW_MAX_BYTES = 4 + 6 * 10 + ESP_WINDOW_CODE_BYTES + ESP_REPLAY_WORDS * 8
};

struct esp_window {
    uint32_t spi_in;
    uint64_t floor; /* numbers up to it were an earlier owner's to accept: none of them is new */
    struct esp_replay replay;
    uint64_t counted_in, counted_out; /* for the limits by packets and bytes (tally.h) */
    uint64_t counted_in_bytes, counted_out_bytes;
};

/* `out` has room for ESP_WINDOW_MAX_BYTES; the length. */
size_t esp_window_encode(const struct esp_window *window, uint8_t *out) HF_MUST_USE;
/* The first one of `bytes`; *used: its length. False: malformed, or a window that no receiver can
 * have (bits above its top); nothing is written then. */
bool esp_window_decode(struct span bytes, struct esp_window *window, size_t *used) HF_MUST_USE;

#endif
