/* Bytes as small hexadecimal digits, two each. */
#ifndef HF_BASE_HEX_H
#define HF_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * n digits and a zero. By arithmetic, not by a table or a buffer of stdio: it may be a secret. */
static inline void hex_put(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        for (int half = 0; half < 2; half++) {
            int digit = half == 0 ? bytes[i] >> 4 : bytes[i] & 15;

            out[2 * i + (size_t)half] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        }
    out[2 * n] = '\0';
}

/* Of one small digit; -1: it is none. */
static inline int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes from the 2 * n digits that `text` begins with. False: there is another character (a zero, too); what came before
 * it is in `out` by then. */
static inline bool hex_get(const char *text, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(text[2 * i]), low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

#endif
