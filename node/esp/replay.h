/* The anti-replay window of one inbound SA (RFC 4303 3.4.3 and Appendix A; the ring of
 * words of RFC 6479).
 *
 *        left of the window     |<------- ESP_REPLAY_WINDOW ------->|
 *   ... OLD  OLD  OLD  OLD  OLD | seen?  seen?  seen?  seen?  [top] |  NEW  NEW  ...
 *
 * A packet is looked up before its ICV is checked, and marked only after. Numbers are 64 bit
 * always; without ESN the high half is zero. Pure values, touched by one worker only. What a
 * committed ceiling or floor says about a number is asked apart (esp_seq_range), so that this stays
 * RFC 6479 and nothing else.
 */
#ifndef HF_ESP_REPLAY_H
#define HF_ESP_REPLAY_H

#include "base/assert.h"
#include "base/span.h"

enum {
    ESP_REPLAY_WORDS = 32,
    ESP_REPLAY_BITS = ESP_REPLAY_WORDS * 64,
    ESP_REPLAY_WINDOW =
        ESP_REPLAY_BITS - 64, /* numbers that are told apart; one word is always being refilled */
    ESP_REPLAY_BITMAP_BYTES = ESP_REPLAY_WINDOW / 8 /* of an exported window */
};

struct esp_replay {
    uint64_t top; /* highest number marked, or the floor that the window began at */
    uint64_t words[ESP_REPLAY_WORDS];
};

enum esp_seen { ESP_SEEN_NEW, ESP_SEEN_BEFORE, ESP_SEEN_OLD };

/* An empty window whose right edge is `top`. */
void esp_replay_init(struct esp_replay *w, uint64_t top);

/* What the window knows of `seq`; changes nothing. 0 is never a sender's number (RFC 4303 3.3.3):
 * ESP_SEEN_OLD. */
enum esp_seen esp_replay_look(const struct esp_replay *w, uint64_t seq) HF_MUST_USE;

/* Looks again and marks. Only ESP_SEEN_NEW changed anything: then `seq` is marked, and top =
 * max(top, seq). */
enum esp_seen esp_replay_mark(struct esp_replay *w, uint64_t seq) HF_MUST_USE;

/* The 64-bit number for the low half on the wire (RFC 4303 A2.2). False: no such number (before the
 * first or past the last). */
bool esp_replay_recover(const struct esp_replay *w, bool esn, uint32_t low,
                        uint64_t *seq) HF_MUST_USE;

/* Where a number stands against the committed bounds: floor < inside <= ceiling. */
enum esp_range { ESP_RANGE_INSIDE, ESP_RANGE_BELOW, ESP_RANGE_ABOVE };
enum esp_range esp_seq_range(uint64_t seq, uint64_t floor, uint64_t ceiling) HF_MUST_USE;

/* The exact window, for a handover: bit i (LSB first) of the bitmap tells whether top - i was
 * marked. */
void esp_replay_export(const struct esp_replay *w, uint64_t *top,
                       uint8_t bitmap[ESP_REPLAY_BITMAP_BYTES]);

/* False: the bitmap has another length, or bits beyond number 1; *w is unchanged then. */
bool esp_replay_import(struct esp_replay *w, uint64_t top, struct span bitmap) HF_MUST_USE;

#endif
