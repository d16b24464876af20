#include "http_answer.h"

#include <string.h>
#include <strings.h>

enum { BODY_MAX_BYTES = 1 << 24 };

static const char length_field[] = "content-length:";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9112 4: "HTTP/1.x nnn", then a blank or the line's end. */
static bool take_status(const char *line, size_t n, int *status)
{
    if (n < 12 || memcmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) || line[8] != ' ' ||
        (n > 12 && line[12] != ' '))
        return false;
    *status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (!is_digit(line[i]))
            return false;
        *status = *status * 10 + (line[i] - '0');
    }
    return true;
}

/* RFC 9110 8.6: digits alone. */
static bool take_length(const char *value, size_t n, size_t *length)
{
    *length = 0;
    while (n > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        n--;
    }
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(value[i]) || *length > BODY_MAX_BYTES)
            return false;
        *length = *length * 10 + (size_t)(value[i] - '0');
    }
    return n > 0 && *length <= BODY_MAX_BYTES;
}

/* The header lines up to `head`, each of which ends in CRLF. *known: Content-Length is there. False: it is no header. */
static bool take_head(const char *in, size_t head, struct http_answer *a, bool *known)
{
    const char *line = in, *end = in + head;

    *known = false;
    while (line < end) {
        const char *eol = memmem(line, (size_t)(end - line), "\r\n", 2);
        size_t n = (size_t)(eol - line), skip = sizeof length_field - 1;

        if (line == in && !take_status(line, n, &a->status))
            return false;
        if (line != in && n >= skip && strncasecmp(line, length_field, skip) == 0) {
            if (*known || !take_length(line + skip, n - skip, &a->body_len))
                return false;
            *known = true;
        }
        line = eol + 2;
    }
    return true;
}

enum http_answer_state http_answer_read(const char *in, size_t len, bool ended,
                                        struct http_answer *out)
{
    const char *end = len > 0 ? memmem(in, len, "\r\n\r\n", 4) : NULL;
    struct http_answer a = {0};
    bool known;

    if (end == NULL)
        return ended ? HTTP_ANSWER_BAD : HTTP_ANSWER_MORE;
    if (!take_head(in, (size_t)(end - in) + 2, &a, &known))
        return HTTP_ANSWER_BAD;
    a.body_at = (size_t)(end - in) + 4;
    if (!known && !ended)
        return HTTP_ANSWER_MORE;
    if (!known)
        a.body_len = len - a.body_at;
    if (a.body_len > len - a.body_at)
        return ended ? HTTP_ANSWER_BAD : HTTP_ANSWER_MORE;
    *out = a;
    return HTTP_ANSWER_WHOLE;
}
