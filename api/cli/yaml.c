/* YAML of what a node answers: block style, and strings that any reader takes for strings. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/cli/cli.h"

/* Bare words that YAML 1.1 or 1.2 takes for something else. */
static bool is_reserved(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on",
                                        "off",  "y",     "n",    "nan", "inf"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(s, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Letters first, and nothing that has a meaning. */
static bool is_plain(const char *s, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char more[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789-./@";

    return n > 0 && strspn(s, letters) > 0 && strspn(s, more) == n && !is_reserved(s);
}

/* Two bytes of UTF-8 that are U+0080 to U+009F, which steer terminals too. */
static bool is_c1(const unsigned char *p, size_t left)
{
    return left > 1 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
}

/* U+2028, U+2029, U+FEFF: line ends and a mark that readers drop. Returns which; 0: none. */
static unsigned odd_letter(const unsigned char *p, size_t left)
{
    if (left > 2 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
        return p[2] == 0xa8 ? 0x2028 : 0x2029;
    }
    return left > 2 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf ? 0xfeff : 0;
}

static void put_string(FILE *out, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;

    if (is_plain(s, n)) {
        (void)fwrite(s, 1, n, out);
        return;
    }
    (void)fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        unsigned odd = odd_letter(p + i, n - i);

        if (odd != 0) {
            (void)fprintf(out, "\\u%04X", odd);
            i += 2;
        } else if (is_c1(p + i, n - i)) {
            (void)fprintf(out, "\\x%02X", p[++i]);
        } else if (p[i] == '"' || p[i] == '\\') {
            (void)fprintf(out, "\\%c", p[i]);
        } else if (p[i] == '\n') {
            (void)fputs("\\n", out);
        } else if (p[i] < 0x20 || p[i] == 0x7f) {
            (void)fprintf(out, "\\x%02X", p[i]);
        } else {
            (void)fputc(p[i], out);
        }
    }
    (void)fputc('"', out);
}

static void put_value(FILE *out, const json_t *v, int depth, bool in_list);

/* What stands in a line of its own, or empty. False: it has lines below it. */
static bool put_short(FILE *out, const json_t *v)
{
    char *number;

    if ((json_is_object(v) && json_object_size(v) > 0) ||
        (json_is_array(v) && json_array_size(v) > 0)) {
        return false;
    }
    if (json_is_string(v)) {
        put_string(out, json_string_value(v), json_string_length(v));
    } else {
        number = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        (void)fputs(number != NULL ? number : "null", out);
        free(number);
    }
    return true;
}

static void put_object(FILE *out, const json_t *object, int depth, bool in_list)
{
    const char *key;
    json_t *item;

    json_object_foreach((json_t *)(uintptr_t)object, key, item)
    {
        (void)fprintf(out, "%*s", in_list ? 0 : 2 * depth, "");
        in_list = false;
        put_string(out, key, strlen(key));
        (void)fputc(':', out);
        put_value(out, item, depth, false);
    }
}

static void put_array(FILE *out, const json_t *array, int depth, bool in_list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(array, i, item)
    {
        (void)fprintf(out, "%*s-", in_list ? 0 : 2 * depth, "");
        in_list = false;
        put_value(out, item, depth, true);
    }
}

/* Behind "key:" or "-". */
static void put_value(FILE *out, const json_t *v, int depth, bool in_list)
{
    bool below = json_is_array(v) ? json_array_size(v) > 0 : json_object_size(v) > 0;

    if (!below) {
        (void)fputc(' ', out);
        (void)put_short(out, v);
        (void)fputc('\n', out);
        return;
    }
    (void)fputc(in_list ? ' ' : '\n', out);
    if (json_is_array(v)) {
        put_array(out, v, depth + 1, in_list);
    } else {
        put_object(out, v, depth + 1, in_list);
    }
}

void cli_yaml(FILE *out, const json_t *document)
{
    if (put_short(out, document)) {
        (void)fputc('\n', out);
    } else if (json_is_array(document)) {
        put_array(out, document, 0, false);
    } else {
        put_object(out, document, 0, false);
    }
}
