#include "esp/window.h"

#include "base/bytes.h"

enum code { CODE_NONE, CODE_ALL, CODE_OWN };

static size_t put_number(uint8_t *out, uint64_t v)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* Reads beyond the end, and more than 64 bits, set *bad. */
static uint64_t get_number(struct span bytes, size_t *at, bool *bad)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = *at < bytes.len ? bytes.data[*at] : 0x80;

        (*at)++;
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    *bad = true;
    return 0;
}

static enum code code_of(uint64_t word)
{
    if (word == 0)
        return CODE_NONE;
    return word == UINT64_MAX ? CODE_ALL : CODE_OWN;
}

size_t esp_window_encode(const struct esp_window *w, uint8_t *out)
{
    size_t n = 4;
    uint8_t *codes;

    HF_ASSERT(w->floor <= w->replay.top);
    put_be32(out, w->spi_in);
    n += put_number(out + n, w->replay.top);
    n += put_number(out + n, w->replay.top - w->floor);
    n += put_number(out + n, w->counted_in);
    n += put_number(out + n, w->counted_out);
    n += put_number(out + n, w->counted_in_bytes);
    n += put_number(out + n, w->counted_out_bytes);
    codes = out + n;
    memset(codes, 0, ESP_WINDOW_CODE_BYTES);
    n += ESP_WINDOW_CODE_BYTES;
    for (unsigned i = 0; i < ESP_REPLAY_WORDS; i++) {
        enum code code = code_of(w->replay.words[i]);

        codes[i / 4] = (uint8_t)(codes[i / 4] | (unsigned)code << (i % 4 * 2));
        if (code != CODE_OWN)
            continue;
        put_be64(out + n, w->replay.words[i]);
        n += 8;
    }
    return n;
}

/* Bits above the top would be taken for numbers seen once the top comes there. */
static bool possible(const struct esp_replay *w)
{
    uint64_t top_word = w->words[w->top / 64 % ESP_REPLAY_WORDS];

    return w->top % 64 == 63 || top_word >> (w->top % 64 + 1) == 0;
}

static bool get_words(struct span bytes, size_t *at, struct esp_replay *w)
{
    const uint8_t *codes = bytes.data + *at;

    if (bytes.len - *at < ESP_WINDOW_CODE_BYTES)
        return false;
    *at += ESP_WINDOW_CODE_BYTES;
    for (unsigned i = 0; i < ESP_REPLAY_WORDS; i++) {
        switch (codes[i / 4] >> (i % 4 * 2) & 3) {
        case CODE_NONE:
            w->words[i] = 0;
            break;
        case CODE_ALL:
            w->words[i] = UINT64_MAX;
            break;
        case CODE_OWN:
            if (bytes.len - *at < 8)
                return false;
            w->words[i] = get_be64(bytes.data + *at);
            *at += 8;
            break;
        default:
            return false;
        }
    }
    return true;
}

bool esp_window_decode(struct span bytes, struct esp_window *window, size_t *used)
{
    struct esp_window w;
    size_t at = 4;
    uint64_t above;
    bool bad = bytes.len < 4;

    if (bad)
        return false;
    w.spi_in = get_be32(bytes.data);
    w.replay.top = get_number(bytes, &at, &bad);
    above = get_number(bytes, &at, &bad);
    w.counted_in = get_number(bytes, &at, &bad);
    w.counted_out = get_number(bytes, &at, &bad);
    w.counted_in_bytes = get_number(bytes, &at, &bad);
    w.counted_out_bytes = get_number(bytes, &at, &bad);
    if (bad || at > bytes.len || above > w.replay.top || !get_words(bytes, &at, &w.replay) ||
        !possible(&w.replay))
        return false;
    w.floor = w.replay.top - above;
    *window = w;
    *used = at;
    return true;
}
