#include "base/yaml_text.h"

#include <stdio.h>

/* Length of the UTF-8 sequence at p (RFC 3629), 0 when there is none; *point gets the character. */
static size_t take_character(const uint8_t *p, size_t left, uint32_t *point)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xe0) == 0xc0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3
               : (p[0] & 0xf8) == 0xf0 ? 4
                                       : 0;

    if (n == 0 || n > left) {
        return 0;
    }
    *point = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        *point = *point << 6 | (p[i] & 0x3fu);
    }
    if (*point < lowest[n] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff)) {
        return 0;
    }
    return n;
}

/* Line ends other than CR and LF, marks that change the reading direction, and controls would show
 * another text than is meant. */
static bool is_allowed(uint32_t c)
{
    if (c == '\t' || c == '\n' || c == '\r') {
        return true;
    }
    return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && !(c >= 0x200b && c <= 0x200f) &&
           !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff &&
           c != 0xfffe && c != 0xffff;
}

bool yaml_check_text(struct span text, yaml_report_fn *report, void *arg)
{
    unsigned line = 1, column = 1;
    size_t i = 0;

    while (i < text.len) {
        uint32_t c = 0;
        size_t n = take_character(text.data + i, text.len - i, &c);
        char why[64];

        if (n == 0) {
            (void)snprintf(why, sizeof why, "the byte 0x%02x is not UTF-8", text.data[i]);
            report(arg, line, column, why);
            return false;
        }
        if (!is_allowed(c)) {
            (void)snprintf(why, sizeof why, "the character U+%04X is not allowed", (unsigned)c);
            report(arg, line, column, why);
            return false;
        }
        if (c == '%' && column == 1) {
            report(arg, line, column, "YAML directives are not supported: leave the line out");
            return false;
        }
        i += n;
        if (c == '\n' || (c == '\r' && !(i < text.len && text.data[i] == '\n'))) {
            line++;
            column = 1;
        } else if (c != '\r') {
            column++;
        }
    }
    return true;
}
