#include "replication/text.h"

#include <stdint.h>
#include <string.h>

/* How many bytes the character that begins there has; 0: none does. RFC 3629 4. */
static size_t character(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool is_of(const char *list, uint8_t c)
{
    for (; *list != '\0'; list++)
        if ((uint8_t)*list == c)
            return true;
    return false;
}

bool text_valid(const char *text, size_t max, const char *but)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t len = strlen(text);
    size_t n;

    if (len > max)
        return false;
    for (size_t at = 0; at < len; at += n) {
        n = character(p + at, len - at);
        if (n == 0 || ((p[at] < 0x20 || p[at] == 0x7f) && !is_of(but, p[at])))
            return false;
    }
    return true;
}

void text_clean(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

void text_put(struct text_out *o, const char *part)
{
    size_t n = strlen(part);

    o->cut = o->cut || o->n + n >= o->cap;
    if (!o->cut) {
        memcpy(o->out + o->n, part, n);
        o->n += n;
    }
    o->out[o->n] = '\0';
}

void text_put_number(struct text_out *o, uint64_t value)
{
    char digits[21];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text_put(o, digits + at);
}
