/* One parser per kind of value: numbers with units, words, paths. Each writes *at only on success,
 * and says otherwise what is wrong and what would be right. Addresses, identities and proposals are
 * in names.c. */
#include <ctype.h>
#include <stdlib.h>

#include "config/internal.h"

/* Digits only, no sign, no leading blank, below 2^63. */
static bool parse_digits(const char *text, size_t len, uint64_t *value)
{
    uint64_t v = 0;

    if (len == 0 || len > 18) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    *value = v;
    return true;
}

static void store(const struct schema_field *field, uint64_t v, void *at)
{
    if (field->bytes == 8) {
        memcpy(at, &v, 8);
    } else {
        uint32_t small = (uint32_t)v;

        HF_ASSERT(field->bytes == 4 && v <= UINT32_MAX);
        memcpy(at, &small, 4);
    }
}

static bool parse_number(const struct schema_field *field, const char *text, void *at,
                         char why[WHY_BYTES])
{
    uint64_t v = 0;

    if (!parse_digits(text, strlen(text), &v)) {
        (void)snprintf(why, WHY_BYTES, "'%.60s' is not a whole number", text);
        return false;
    }
    if (v < field->min || v > field->max) {
        (void)snprintf(why, WHY_BYTES, "%llu is out of range: %llu to %llu", (unsigned long long)v,
                       (unsigned long long)field->min, (unsigned long long)field->max);
        return false;
    }
    store(field, v, at);
    return true;
}

static bool parse_bool(const struct schema_field *field, const char *text, void *at,
                       char why[WHY_BYTES])
{
    static const char *const yes[] = {"yes", "on", "True", "TRUE", "Yes", "1", "enabled", NULL};
    static const char *const no[] = {"no", "off", "False", "FALSE", "No", "0", "disabled", NULL};
    bool v = strcmp(text, "true") == 0;

    (void)field;
    if (!v && strcmp(text, "false") != 0) {
        const char *meant = NULL;

        for (size_t i = 0; yes[i] != NULL && meant == NULL; i++) {
            meant = strcmp(text, yes[i]) == 0 ? "true" : NULL;
        }
        for (size_t i = 0; no[i] != NULL && meant == NULL; i++) {
            meant = strcmp(text, no[i]) == 0 ? "false" : NULL;
        }
        (void)snprintf(why, WHY_BYTES, "'%.60s' is neither true nor false%s%s", text,
                       meant != NULL ? ": write " : "", meant != NULL ? meant : "");
        return false;
    }
    memcpy(at, &v, sizeof v);
    return true;
}

static const struct {
    const char *unit;
    uint64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

static void duration_text(uint64_t ms, char buf[32])
{
    size_t i = sizeof units / sizeof units[0] - 1;

    while (i > 0 && (ms < units[i].ms || ms % units[i].ms != 0)) {
        i--;
    }
    (void)snprintf(buf, 32, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].unit);
}

static bool parse_duration(const struct schema_field *field, const char *text, void *at,
                           char why[WHY_BYTES])
{
    size_t digits = strspn(text, "0123456789");
    uint64_t v = 0, scale = 0;
    char low[32], high[32];

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].unit) == 0) {
            scale = units[i].ms;
        }
    }
    if (digits > 0 && text[digits] == '\0') {
        (void)snprintf(why, WHY_BYTES,
                       "a duration needs a unit: %.20ss, or %.20sms (known: ms, s, m, h, d)", text,
                       text);
        return false;
    }
    if (!parse_digits(text, digits, &v) || scale == 0 || v > UINT64_MAX / 1000 / scale) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' is not a duration: a whole number and a unit, such as 30s (known: "
                       "ms, s, m, h, d)",
                       text);
        return false;
    }
    v *= scale;
    if (v < field->min || v > field->max) {
        duration_text(field->min, low);
        duration_text(field->max, high);
        (void)snprintf(why, WHY_BYTES, "%.30s is out of range: %s to %s", text, low, high);
        return false;
    }
    store(field, v, at);
    return true;
}

static bool parse_percent(const struct schema_field *field, const char *text, void *at,
                          char why[WHY_BYTES])
{
    size_t digits = strspn(text, "0123456789");
    uint64_t v = 0;

    if (digits > 0 && text[digits] == '\0') {
        (void)snprintf(why, WHY_BYTES, "a share needs its sign: %.20s%%", text);
        return false;
    }
    if (!parse_digits(text, digits, &v) || strcmp(text + digits, "%") != 0) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' is not a share: a whole number and %%, such as 70%%", text);
        return false;
    }
    if (v < field->min || v > field->max) {
        (void)snprintf(why, WHY_BYTES, "%llu%% is out of range: %llu%% to %llu%%",
                       (unsigned long long)v, (unsigned long long)field->min,
                       (unsigned long long)field->max);
        return false;
    }
    store(field, v, at);
    return true;
}

/* "1.8": at most three decimals, kept in thousandths. */
static bool parse_factor(const struct schema_field *field, const char *text, void *at,
                         char why[WHY_BYTES])
{
    size_t whole = strspn(text, "0123456789"), decimals = 0;
    uint64_t v = 0, fraction = 0;
    bool good = parse_digits(text, whole, &v) && v < 1000000;

    if (good && text[whole] == '.') {
        decimals = strspn(text + whole + 1, "0123456789");
        good = decimals >= 1 && decimals <= 3 && text[whole + 1 + decimals] == '\0' &&
               parse_digits(text + whole + 1, decimals, &fraction);
    } else {
        good = good && text[whole] == '\0';
    }
    if (!good) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' is not a factor: a number with at most three decimals, such as 1.8",
                       text);
        return false;
    }
    for (size_t i = decimals; i < 3; i++) {
        fraction *= 10;
    }
    v = v * 1000 + fraction;
    if (v < field->min || v > field->max) {
        (void)snprintf(why, WHY_BYTES, "%.20s is out of range: %llu.%03llu to %llu.%03llu", text,
                       (unsigned long long)field->min / 1000, (unsigned long long)field->min % 1000,
                       (unsigned long long)field->max / 1000,
                       (unsigned long long)field->max % 1000);
        return false;
    }
    store(field, v, at);
    return true;
}

static bool parse_path(const struct schema_field *field, const char *text, void *at,
                       char why[WHY_BYTES])
{
    if (strlen(text) >= field->bytes) {
        (void)snprintf(why, WHY_BYTES, "the path is longer than %zu bytes", field->bytes - 1);
        return false;
    }
    if (text[0] == '\0') {
        (void)snprintf(why, WHY_BYTES, "the path is empty");
        return false;
    }
    memset(at, 0, field->bytes);
    memcpy(at, text, strlen(text));
    return true;
}

static bool parse_text(const struct schema_field *field, const char *text, void *at,
                       char why[WHY_BYTES])
{
    if (text[0] == '\0' || strlen(text) >= field->bytes) {
        (void)snprintf(why, WHY_BYTES, "must have 1 to %zu bytes", field->bytes - 1);
        return false;
    }
    memset(at, 0, field->bytes);
    memcpy(at, text, strlen(text));
    return true;
}

static bool parse_absolute(const struct schema_field *field, const char *text, void *at,
                           char why[WHY_BYTES])
{
    if (text[0] != '\0' && text[0] != '/') {
        (void)snprintf(why, WHY_BYTES, "'%.100s' must be an absolute path: begin it with /", text);
        return false;
    }
    return parse_path(field, text, at, why);
}

/* As the kernel's dev_valid_name(): at most 15 bytes, no '/', no ':' and no blank. */
static bool parse_interface(const struct schema_field *field, const char *text, void *at,
                            char why[WHY_BYTES])
{
    bool good = text[0] != '\0' && strlen(text) < field->bytes && strcmp(text, ".") != 0 &&
                strcmp(text, "..") != 0;

    for (const char *p = text; good && *p != '\0'; p++) {
        good = isgraph((unsigned char)*p) && *p != '/' && *p != ':' && *p != '%';
    }
    if (!good) {
        (void)snprintf(
            why, WHY_BYTES,
            "'%.60s' cannot be an interface's name: 1 to %zu letters, no blank, no / and no :",
            text, field->bytes - 1);
        return false;
    }
    memset(at, 0, field->bytes);
    memcpy(at, text, strlen(text));
    return true;
}

static bool parse_choice(const struct schema_field *field, const char *text, void *at,
                         char why[WHY_BYTES])
{
    const char *meant;
    size_t used = 0;

    for (int i = 0; field->choices[i] != NULL; i++) {
        if (strcmp(text, field->choices[i]) == 0) {
            memcpy(at, &i, sizeof i);
            return true;
        }
    }
    meant = nearest_word(text, field->choices);
    used += (size_t)snprintf(why, WHY_BYTES, "'%.40s' is not one of", text);
    for (size_t i = 0; field->choices[i] != NULL && used < WHY_BYTES - 60; i++) {
        used += (size_t)snprintf(why + used, WHY_BYTES - used, "%s %s", i > 0 ? "," : "",
                                 field->choices[i]);
    }
    if (meant != NULL) {
        (void)snprintf(why + used, WHY_BYTES - used, " (did you mean %s?)", meant);
    }
    return false;
}

const struct value_type value_number = {"a whole number", true, NULL, parse_number};
const struct value_type value_bool = {"true or false", true, "true", parse_bool};
const struct value_type value_duration = {"a duration such as 30s", false, NULL, parse_duration};
const struct value_type value_percent = {"a share such as 70%", false, NULL, parse_percent};
const struct value_type value_factor = {"a factor such as 1.8", false, NULL, parse_factor};
const struct value_type value_path = {"a path", false, "client.psk", parse_path};
const struct value_type value_text = {"a pattern", false, "\"*@example.org\"", parse_text};
const struct value_type value_absolute = {"an absolute path", false, "/var/lib/holdfast",
                                          parse_absolute};
const struct value_type value_interface = {"an interface's name", false, "eth0", parse_interface};
const struct value_type value_choice = {"a word", false, NULL, parse_choice};
