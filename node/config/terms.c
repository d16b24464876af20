/* Values that connections have: names, patterns of identities (RFC 7296 3.5), amounts of bytes. */
#include <ctype.h>
#include <stdlib.h>

#include "config/internal.h"

/* Letters, digits, - and _: it stands in logs and metrics. */
static bool parse_name(const struct schema_field *field, const char *text, void *at,
                       char why[WHY_BYTES])
{
    bool good = text[0] != '\0' && strlen(text) < field->bytes && strcmp(text, "default") != 0;

    for (const char *p = text; good && *p != '\0'; p++) {
        good = isalnum((unsigned char)*p) || *p == '-' || *p == '_';
    }
    if (!good) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' cannot be a name: 1 to %zu letters, digits, - or _ ('default' is "
                       "everybody else)",
                       text, field->bytes - 1);
        return false;
    }
    memset(at, 0, field->bytes);
    memcpy(at, text, strlen(text));
    return true;
}

/* '*' alone, '*' before the end of a name, or an identity. */
static bool parse_pattern(const struct schema_field *field, const char *text, void *at,
                          char why[WHY_BYTES])
{
    struct ike_pattern p = {0};
    struct ike_identity id = {0};
    const char *rest = text[0] == '*' ? text + 1 : text;

    if (strcmp(text, "*") == 0) {
        memcpy(at, &p, sizeof p);
        return true;
    }
    if (strchr(rest, '*') != NULL || (rest != text && rest[0] != '@' && rest[0] != '.')) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' is no pattern: *@domain, *.domain, * alone, or an identity", text);
        return false;
    }
    p.suffix = rest != text;
    if (p.suffix && (strlen(rest) < 2 || strchr(rest + 1, '@') != NULL)) {
        (void)snprintf(why, WHY_BYTES, "'%.60s' has no domain after the *", text);
        return false;
    }
    if (p.suffix) { /* as the identity that ends so: with something in the place of the * */
        char whole[IKE_MAX_ID_BYTES + 2];

        if (snprintf(whole, sizeof whole, "x%s", rest) >= (int)sizeof whole) {
            (void)snprintf(why, WHY_BYTES, "an identity has 1 to %d bytes", IKE_MAX_ID_BYTES);
            return false;
        }
        if (!value_identity.parse(field, whole, &id, why)) {
            return false;
        }
        p.len = (uint8_t)(id.len - 1);
        memcpy(p.bytes, id.bytes + 1, p.len);
    } else {
        if (!value_identity.parse(field, text, &id, why)) {
            return false;
        }
        p.len = id.len;
        memcpy(p.bytes, id.bytes, p.len);
    }
    p.type = id.type;
    memcpy(at, &p, sizeof p);
    return true;
}

static const struct {
    const char *unit;
    unsigned shift;
} units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};

enum { N_UNITS = sizeof units / sizeof units[0] };

static void bytes_text(uint64_t v, char buf[32])
{
    size_t i = N_UNITS - 1;

    while (i > 0 && (v >> units[i].shift == 0 || v % (UINT64_C(1) << units[i].shift) != 0)) {
        i--;
    }
    (void)snprintf(buf, 32, "%llu%s", (unsigned long long)(v >> units[i].shift), units[i].unit);
}

static bool parse_bytes(const struct schema_field *field, const char *text, void *at,
                        char why[WHY_BYTES])
{
    size_t digits = strspn(text, "0123456789");
    char low[32], high[32];
    uint64_t v;

    HF_ASSERT(field->bytes == sizeof v);
    for (size_t i = 0; digits > 0 && digits < 10 && i < N_UNITS; i++) {
        if (strcmp(text + digits, units[i].unit) != 0) {
            continue;
        }
        v = strtoull(text, NULL, 10) << units[i].shift;
        if (v < field->min || v > field->max) {
            bytes_text(field->min, low);
            bytes_text(field->max, high);
            (void)snprintf(why, WHY_BYTES, "%.30s is out of range: %s to %s", text, low, high);
            return false;
        }
        memcpy(at, &v, sizeof v);
        return true;
    }
    (void)snprintf(why, WHY_BYTES,
                   "'%.60s' is not an amount: a whole number and a unit, such as 700MiB (known: "
                   "KiB, MiB, GiB, TiB)",
                   text);
    return false;
}

const struct value_type value_name = {"a name", false, "branches", parse_name};
const struct value_type value_pattern = {"an identity or a pattern", false, "\"*@example.org\"",
                                         parse_pattern};
const struct value_type value_bytes = {"an amount such as 700MiB", false, NULL, parse_bytes};
