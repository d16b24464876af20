#include "esp/replay.h"

HF_STATIC_ASSERT((ESP_REPLAY_WORDS & (ESP_REPLAY_WORDS - 1)) == 0);
HF_STATIC_ASSERT(ESP_REPLAY_WINDOW >= 1024 && ESP_REPLAY_WINDOW % 8 == 0);

static uint64_t *word_of(struct esp_replay *w, uint64_t seq)
{
    return &w->words[(seq / 64) % ESP_REPLAY_WORDS];
}

static bool marked(const struct esp_replay *w, uint64_t seq)
{
    return (w->words[(seq / 64) % ESP_REPLAY_WORDS] >> (seq % 64) & 1) != 0;
}

void esp_replay_init(struct esp_replay *w, uint64_t top)
{
    memset(w, 0, sizeof *w);
    w->top = top;
}

enum esp_seen esp_replay_look(const struct esp_replay *w, uint64_t seq)
{
    if (seq == 0)
        return ESP_SEEN_OLD;
    if (seq > w->top)
        return ESP_SEEN_NEW;
    if (w->top - seq >= ESP_REPLAY_WINDOW)
        return ESP_SEEN_OLD;
    return marked(w, seq) ? ESP_SEEN_BEFORE : ESP_SEEN_NEW;
}

/* Moves the right edge: the words between the old top's and the new one's begin a new life (RFC
 * 6479 2). */
static void advance(struct esp_replay *w, uint64_t seq)
{
    uint64_t words = seq / 64 - w->top / 64;

    if (words > ESP_REPLAY_WORDS)
        words = ESP_REPLAY_WORDS;
    for (uint64_t i = 0; i < words; i++)
        w->words[(seq / 64 - i) % ESP_REPLAY_WORDS] = 0;
    w->top = seq;
}

enum esp_seen esp_replay_mark(struct esp_replay *w, uint64_t seq)
{
    enum esp_seen seen = esp_replay_look(w, seq);

    if (seen != ESP_SEEN_NEW)
        return seen;
    if (seq > w->top)
        advance(w, seq);
    HF_ASSERT(!marked(w, seq)); /* I2 */
    *word_of(w, seq) |= UINT64_C(1) << (seq % 64);
    return ESP_SEEN_NEW;
}

bool esp_replay_recover(const struct esp_replay *w, bool esn, uint32_t low, uint64_t *seq)
{
    uint32_t top_low = (uint32_t)w->top;
    uint64_t high = w->top >> 32;
    uint32_t left = top_low - (ESP_REPLAY_WINDOW - 1); /* modulo 2^32 */

    if (!esn) {
        *seq = low;
        return true;
    }
    if (top_low >= ESP_REPLAY_WINDOW - 1) {
        /* The window lies within one subspace: lower numbers are of the next. */
        if (low < left) {
            if (high == UINT32_MAX)
                return false;
            high++;
        }
    } else if (low >= left) {
        /* The window reaches back into the subspace before. */
        if (high == 0)
            return false;
        high--;
    }
    *seq = high << 32 | low;
    return true;
}

enum esp_range esp_seq_range(uint64_t seq, uint64_t floor, uint64_t ceiling)
{
    if (seq <= floor)
        return ESP_RANGE_BELOW;
    return seq <= ceiling ? ESP_RANGE_INSIDE : ESP_RANGE_ABOVE;
}

void esp_replay_export(const struct esp_replay *w, uint64_t *top,
                       uint8_t bitmap[ESP_REPLAY_BITMAP_BYTES])
{
    memset(bitmap, 0, ESP_REPLAY_BITMAP_BYTES);
    *top = w->top;
    for (uint64_t i = 0; i < ESP_REPLAY_WINDOW && i < w->top; i++)
        if (marked(w, w->top - i))
            bitmap[i / 8] = (uint8_t)(bitmap[i / 8] | 1u << (i % 8));
}

bool esp_replay_import(struct esp_replay *w, uint64_t top, struct span bitmap)
{
    struct esp_replay fresh;

    if (bitmap.len != ESP_REPLAY_BITMAP_BYTES)
        return false;
    esp_replay_init(&fresh, top);
    for (uint64_t i = 0; i < ESP_REPLAY_WINDOW; i++) {
        if ((bitmap.data[i / 8] >> (i % 8) & 1) == 0)
            continue;
        if (i >= top)
            return false;
        *word_of(&fresh, top - i) |= UINT64_C(1) << ((top - i) % 64);
    }
    *w = fresh;
    return true;
}
