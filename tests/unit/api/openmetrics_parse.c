#include "unit/api/openmetrics_parse.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool wrong(struct parsed *p, const char *format, ...)
{
    va_list args;

    if (p->why[0] == '\0') {
        va_start(args, format);
        (void)vsnprintf(p->why, sizeof p->why, format, args);
        va_end(args);
    }
    return false;
}

/* A name at *at, into `out`; *at is behind it. */
static bool take_name(const char **at, char out[PARSE_NAME])
{
    size_t n = 0;

    while (isalnum((unsigned char)(*at)[n]) || (*at)[n] == '_' || (*at)[n] == ':')
        n++;
    if (n == 0 || n >= PARSE_NAME || isdigit((unsigned char)**at))
        return false;
    memcpy(out, *at, n);
    out[n] = '\0';
    *at += n;
    return true;
}

/* Up to `end`: \\, \" and \n alone are escapes. */
static bool take_escaped(const char **at, char end, char *out, size_t room)
{
    size_t n = 0;

    for (; **at != end; (*at)++) {
        char c = **at;

        if (c == '\0' || c == '\n' || c == '"' || n + 1 >= room)
            return false;
        if (c == '\\') {
            (*at)++;
            if (**at != '\\' && **at != '"' && **at != 'n')
                return false;
            c = **at == 'n' ? '\n' : **at;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

static bool take_labels(struct parsed *p, const char **at, struct parsed_sample *s)
{
    (*at)++; /* { */
    for (;;) {
        struct parsed_label *l = &s->labels[s->n_labels];

        if (s->n_labels == PARSE_LABELS || !take_name(at, l->name) || strncmp(*at, "=\"", 2) != 0)
            return wrong(p, "%s: a label's name", s->name);
        *at += 2;
        if (!take_escaped(at, '"', l->value, sizeof l->value))
            return wrong(p, "%s{%s: a label's value", s->name, l->name);
        (*at)++;
        for (size_t i = 0; i < s->n_labels; i++)
            if (strcmp(s->labels[i].name, l->name) == 0)
                return wrong(p, "%s: the label %s twice", s->name, l->name);
        s->n_labels++;
        if (**at == '}')
            break;
        if (*(*at)++ != ',')
            return wrong(p, "%s: between labels", s->name);
    }
    (*at)++;
    return true;
}

/* Decimal, or NaN, +Inf, -Inf; strtod() takes more than the specification does. */
static bool take_value(const char *text, double *value)
{
    char *end;

    if (strcmp(text, "NaN") != 0 && strcmp(text, "+Inf") != 0 && strcmp(text, "-Inf") != 0 &&
        (text[0] == '\0' || text[strspn(text, "+-.eE0123456789")] != '\0'))
        return false;
    *value = strtod(text, &end);
    return *end == '\0';
}

static const char *label_of(const struct parsed_sample *s, const char *name)
{
    for (size_t i = 0; i < s->n_labels; i++)
        if (strcmp(s->labels[i].name, name) == 0)
            return s->labels[i].value;
    return NULL;
}

static bool descriptor(struct parsed *p, const char *at)
{
    char what[PARSE_NAME], name[PARSE_NAME], text[2048];
    struct parsed_family *f;
    bool *has;
    size_t i = 0;

    if (!take_name(&at, what) || *at++ != ' ' || !take_name(&at, name) || *at++ != ' ')
        return wrong(p, "a descriptor: %.60s", at);
    while (i < p->n_families && strcmp(p->families[i].name, name) != 0)
        i++;
    if (i + 1 < p->n_families)
        return wrong(p, "%s: in two places", name);
    f = &p->families[i];
    if (i == p->n_families) {
        *f = (struct parsed_family){.has_type = false};
        memcpy(f->name, name, sizeof name);
        p->n_families++;
    }
    if (f->samples > 0)
        return wrong(p, "%s: %s behind a sample", name, what);
    has = strcmp(what, "TYPE") == 0   ? &f->has_type
          : strcmp(what, "UNIT") == 0 ? &f->has_unit
          : strcmp(what, "HELP") == 0 ? &f->has_help
                                      : NULL;
    if (has == NULL || *has)
        return wrong(p, "%s: %s twice, or unknown", name, what);
    *has = true;
    if (has == &f->has_help)
        return (take_escaped(&at, '\0', text, sizeof text) && text[0] != '\0') ||
               wrong(p, "%s: help", name);
    (void)snprintf(has == &f->has_type ? f->type : f->unit, PARSE_NAME, "%s", at);
    if (has == &f->has_unit) {
        size_t n = strlen(name), u = strlen(at);

        if (u == 0 || n < u + 2 || name[n - u - 1] != '_' || strcmp(name + n - u, at) != 0)
            return wrong(p, "%s: is not in %s", name, at);
    }
    return true;
}

static bool is_whole(double v)
{
    return v >= 0 && floor(v) == v;
}

/* May a sample of this name and value be of the family? */
static bool fits(struct parsed *p, const struct parsed_family *f, const struct parsed_sample *s)
{
    const char *ending = s->name + strlen(f->name);
    bool counted = strcmp(f->type, "counter") == 0;

    if (!f->has_type || !f->has_help)
        return wrong(p, "%s: no TYPE or no HELP", f->name);
    if (strcmp(f->type, "gauge") == 0)
        return ending[0] == '\0' || wrong(p, "%s: a gauge", s->name);
    if (counted)
        return (strcmp(ending, "_total") == 0 && s->value >= 0) ||
               wrong(p, "%s %g: a counter", s->name, s->value);
    if (strcmp(f->type, "info") == 0)
        return (strcmp(ending, "_info") == 0 && s->value == 1 && !f->has_unit) ||
               wrong(p, "%s: info", s->name);
    if (strcmp(f->type, "stateset") == 0)
        return (ending[0] == '\0' && (s->value == 0 || s->value == 1) && !f->has_unit &&
                label_of(s, f->name) != NULL) ||
               wrong(p, "%s: a set of states", s->name);
    if (strcmp(f->type, "histogram") == 0)
        return (strcmp(ending, "_bucket") == 0 && label_of(s, "le") != NULL &&
                is_whole(s->value)) ||
               (strcmp(ending, "_count") == 0 && is_whole(s->value)) ||
               strcmp(ending, "_sum") == 0 || wrong(p, "%s: a histogram", s->name);
    return wrong(p, "%s: the type %s", f->name, f->type);
}

static bool same_labels(const struct parsed_sample *a, const struct parsed_sample *b)
{
    if (a->n_labels != b->n_labels)
        return false;
    for (size_t i = 0; i < a->n_labels; i++) {
        const char *other = label_of(b, a->labels[i].name);

        if (other == NULL || strcmp(other, a->labels[i].value) != 0)
            return false;
    }
    return true;
}

static bool sample(struct parsed *p, const char *at)
{
    struct parsed_family *f = p->n_families > 0 ? &p->families[p->n_families - 1] : NULL;
    struct parsed_sample *s = &p->samples[p->n_samples];

    memset(s, 0, sizeof *s);
    if (!take_name(&at, s->name))
        return wrong(p, "no name: %.60s", at);
    if (*at == '{' && !take_labels(p, &at, s))
        return false;
    if (*at++ != ' ' || !take_value(at, &s->value))
        return wrong(p, "%s: a value: %.60s", s->name, at);
    if (f == NULL || strncmp(s->name, f->name, strlen(f->name)) != 0)
        return wrong(p, "%s: of no family, or of another", s->name);
    s->family = p->n_families - 1;
    for (size_t i = p->n_samples - f->samples; i < p->n_samples; i++)
        if (strcmp(p->samples[i].name, s->name) == 0 && same_labels(&p->samples[i], s))
            return wrong(p, "%s: twice with the same labels", s->name);
    f->samples++;
    p->n_samples++;
    return fits(p, f, s);
}

/* Buckets of one histogram stand together and rise, the last is +Inf and is the count. */
static bool buckets_rise(struct parsed *p)
{
    double bound = -INFINITY, count = -1;

    for (size_t i = 0; i < p->n_samples; i++) {
        const struct parsed_sample *s = &p->samples[i];
        const char *ending = s->name + strlen(p->families[s->family].name);
        double le = 0;

        if (strcmp(p->families[s->family].type, "histogram") != 0)
            continue;
        if (strcmp(ending, "_bucket") == 0) {
            if (!take_value(label_of(s, "le"), &le) || le <= bound || s->value < count)
                return wrong(p, "%s: le=%s does not rise", s->name, label_of(s, "le"));
            bound = le;
            count = s->value;
        } else if (strcmp(ending, "_count") == 0) {
            if (bound != (double)INFINITY || s->value != count)
                return wrong(p, "%s: is not its last bucket", s->name);
            bound = -INFINITY;
            count = -1;
        }
    }
    return bound == -(double)INFINITY || wrong(p, "a histogram without a count");
}

static bool line(struct parsed *p, const char *text, bool *ended)
{
    if (*ended)
        return wrong(p, "something behind # EOF: %.60s", text);
    if (strcmp(text, "# EOF") == 0) {
        *ended = true;
        return true;
    }
    return strncmp(text, "# ", 2) == 0 ? descriptor(p, text + 2) : sample(p, text);
}

bool openmetrics_parse(const char *text, struct parsed *p)
{
    size_t lines = 1;
    bool ended = false;
    char *copy = strdup(text);

    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    *p = (struct parsed){.families = calloc(lines, sizeof *p->families),
                         .samples = calloc(lines, sizeof *p->samples)};
    if (copy == NULL || p->families == NULL || p->samples == NULL)
        abort();
    if (text[0] == '\0' || text[strlen(text) - 1] != '\n')
        (void)wrong(p, "the last line has no end");
    for (char *at = copy, *end; p->why[0] == '\0' && *at != '\0'; at = end + 1) {
        end = strchr(at, '\n');
        *end = '\0';
        (void)line(p, at, &ended);
    }
    free(copy);
    if (!ended)
        (void)wrong(p, "no # EOF");
    for (size_t i = 0; i < p->n_families; i++)
        if (!p->families[i].has_type || !p->families[i].has_help)
            (void)wrong(p, "%s: no TYPE or no HELP", p->families[i].name);
    return p->why[0] == '\0' && buckets_rise(p);
}

void parsed_free(struct parsed *p)
{
    free(p->families);
    free(p->samples);
    *p = (struct parsed){.families = NULL};
}

const struct parsed_sample *parsed_find(const struct parsed *p, const char *name,
                                        const char *labels)
{
    for (size_t i = 0; i < p->n_samples; i++) {
        const struct parsed_sample *s = &p->samples[i];
        char text[PARSE_LABELS * (PARSE_NAME + PARSE_VALUE + 2)] = "";
        size_t at = 0;

        for (size_t k = 0; k < s->n_labels; k++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s=%s", k > 0 ? "," : "",
                                   s->labels[k].name, s->labels[k].value);
        if (strcmp(s->name, name) == 0 && strcmp(text, labels) == 0)
            return s;
    }
    return NULL;
}
