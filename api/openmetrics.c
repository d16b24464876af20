#include "api/openmetrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static const char *const type_names[] = {[OPENMETRICS_GAUGE] = "gauge",
                                         [OPENMETRICS_COUNTER] = "counter",
                                         [OPENMETRICS_HISTOGRAM] = "histogram",
                                         [OPENMETRICS_INFO] = "info",
                                         [OPENMETRICS_STATESET] = "stateset"};

static void put(struct openmetrics *m, const char *text, size_t n)
{
    if (m->bytes + n + 1 > m->room) {
        m->room = 2 * (m->bytes + n + 1);
        m->text = realloc(m->text, m->room);
        HF_ASSERT(m->text != NULL);
    }
    memcpy(m->text + m->bytes, text, n);
    m->bytes += n;
    m->text[m->bytes] = '\0';
}

static void put_text(struct openmetrics *m, const char *text)
{
    put(m, text, strlen(text));
}

/* Help and label values: what would end them, or the line, is escaped. */
static void put_escaped(struct openmetrics *m, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\\':
            put_text(m, "\\\\");
            break;
        case '"':
            put_text(m, "\\\"");
            break;
        case '\n':
            put_text(m, "\\n");
            break;
        default:
            put(m, text, 1);
        }
    }
}

/* Metric and label names: letters, digits and _, no digit first. */
static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return n > 0 && n < OPENMETRICS_MAX_NAME && name[n] == '\0' && (name[0] < '0' || name[0] > '9');
}

static bool ends_with(const char *name, const char *unit)
{
    size_t n = strlen(name), u = strlen(unit);

    return n > u + 1 && name[n - u - 1] == '_' && strcmp(name + n - u, unit) == 0;
}

void openmetrics_begin(struct openmetrics *m)
{
    *m = (struct openmetrics){.text = NULL};
    put(m, "", 0);
}

static void describe(struct openmetrics *m, const char *what, const char *name)
{
    put_text(m, "# ");
    put_text(m, what);
    put_text(m, " ");
    put_text(m, name);
    put_text(m, " ");
}

void openmetrics_family(struct openmetrics *m, const struct openmetrics_family *f)
{
    HF_ASSERT(is_name(f->name) && f->help[0] != '\0');
    HF_ASSERT(f->unit == NULL || (is_name(f->unit) && ends_with(f->name, f->unit)));
    /* Info and state sets have no unit. */
    HF_ASSERT(f->unit == NULL || f->type < OPENMETRICS_INFO);
    m->family = f;
    describe(m, "TYPE", f->name);
    put_text(m, type_names[f->type]);
    put_text(m, "\n");
    if (f->unit != NULL) {
        describe(m, "UNIT", f->name);
        put_text(m, f->unit);
        put_text(m, "\n");
    }
    describe(m, "HELP", f->name);
    put_escaped(m, f->help);
    put_text(m, "\n");
}

static void put_label(struct openmetrics *m, bool *any, const char *name, const char *value)
{
    HF_ASSERT(is_name(name));
    put_text(m, *any ? "," : "{");
    put_text(m, name);
    put_text(m, "=\"");
    put_escaped(m, value);
    put_text(m, "\"");
    *any = true;
}

/* NAME_ending{labels, and one more} and a space. more->name NULL: no more. */
static void put_series(struct openmetrics *m, const char *ending,
                       const struct openmetrics_label *labels, size_t n,
                       const struct openmetrics_label *more)
{
    bool any = false;

    HF_ASSERT(m->family != NULL);
    put_text(m, m->family->name);
    put_text(m, ending);
    for (size_t i = 0; i < n; i++) {
        if (labels[i].name != NULL) {
            put_label(m, &any, labels[i].name, labels[i].value);
        }
    }
    if (more->name != NULL) {
        put_label(m, &any, more->name, more->value);
    }
    put_text(m, any ? "} " : " ");
}

static const struct openmetrics_label no_more = {NULL, NULL};

static void format_number(double value, char out[40])
{
    if (isnan(value)) {
        (void)snprintf(out, 40, "NaN");
    } else if (isinf(value)) {
        (void)snprintf(out, 40, value > 0 ? "+Inf" : "-Inf");
    } else {
        (void)snprintf(out, 40, "%.15g", value);
    }
}

/* As the specification writes bounds: "1.0" for 1. */
static void format_bound(double bound, char out[40])
{
    char text[32];

    (void)snprintf(text, sizeof text, "%.15g", bound);
    (void)snprintf(out, 40, "%s%s", text, text[strspn(text, "-0123456789")] == '\0' ? ".0" : "");
}

static void put_number(struct openmetrics *m, double value)
{
    char text[40];

    format_number(value, text);
    put_text(m, text);
    put_text(m, "\n");
}

static void put_count(struct openmetrics *m, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64 "\n", value);
    put_text(m, text);
}

void openmetrics_number(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                        double value)
{
    HF_ASSERT(m->family != NULL && m->family->type == OPENMETRICS_GAUGE);
    put_series(m, "", labels, n, &no_more);
    put_number(m, value);
}

void openmetrics_count(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                       uint64_t value)
{
    HF_ASSERT(m->family != NULL && m->family->type <= OPENMETRICS_COUNTER);
    put_series(m, m->family->type == OPENMETRICS_COUNTER ? "_total" : "", labels, n, &no_more);
    put_count(m, value);
}

void openmetrics_total(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                       double value)
{
    HF_ASSERT(m->family != NULL && m->family->type == OPENMETRICS_COUNTER && value >= 0);
    put_series(m, "_total", labels, n, &no_more);
    put_number(m, value);
}

void openmetrics_info(struct openmetrics *m, const struct openmetrics_label *labels, size_t n)
{
    HF_ASSERT(m->family != NULL && m->family->type == OPENMETRICS_INFO);
    put_series(m, "_info", labels, n, &no_more);
    put_count(m, 1);
}

void openmetrics_state(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                       const char *state, bool is)
{
    const struct openmetrics_label which = {m->family->name, state};

    HF_ASSERT(m->family->type == OPENMETRICS_STATESET);
    put_series(m, "", labels, n, &which);
    put_count(m, is);
}

void openmetrics_histogram(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                           const struct openmetrics_histogram *h)
{
    uint64_t count = 0;

    HF_ASSERT(m->family != NULL && m->family->type == OPENMETRICS_HISTOGRAM);
    for (size_t i = 0; i <= h->n_bounds; i++) {
        char bound[40];
        const struct openmetrics_label le = {"le", bound};

        HF_ASSERT(i == 0 || i == h->n_bounds || h->most[i - 1] < h->most[i]);
        if (i < h->n_bounds) {
            format_bound(h->most[i], bound);
        } else {
            (void)snprintf(bound, sizeof bound, "+Inf");
        }
        count += h->counts[i];
        put_series(m, "_bucket", labels, n, &le);
        put_count(m, count);
    }
    put_series(m, "_count", labels, n, &no_more);
    put_count(m, count);
    put_series(m, "_sum", labels, n, &no_more);
    put_number(m, h->sum);
}

char *openmetrics_end(struct openmetrics *m, size_t *bytes)
{
    char *text;

    put_text(m, "# EOF\n");
    text = m->text;
    *bytes = m->bytes;
    *m = (struct openmetrics){.text = NULL};
    return text;
}
