/* OpenMetrics 1.0 text, written family by family. It knows what the text looks like and nothing of what
 * is measured: no clock, no I/O, only memory for the text.
 *
 *   begin ─> family ─> its samples ─> the next family ... ─> end, "# EOF"
 *
 *   # TYPE holdfast_uptime_seconds gauge
 *   # UNIT holdfast_uptime_seconds seconds
 *   # HELP holdfast_uptime_seconds Since this daemon began.
 *   holdfast_uptime_seconds 12.5
 *
 * The specification's rules that are the caller's: a family stands once, its samples together; a counter
 * never goes back; label values are UTF-8. The rest is asserted.
 */
#ifndef HF_API_OPENMETRICS_H
#define HF_API_OPENMETRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPENMETRICS_MAX_NAME = 96 };

#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum openmetrics_type {
    OPENMETRICS_GAUGE,
    OPENMETRICS_COUNTER,   /* samples NAME_total */
    OPENMETRICS_HISTOGRAM, /* NAME_bucket, NAME_count, NAME_sum */
    OPENMETRICS_INFO,      /* NAME_info 1: what it says is in the labels */
    OPENMETRICS_STATESET   /* one sample a state, 0 or 1, in a label of the family's name */
};

struct openmetrics_family {
    const char *name; /* without the sample's ending */
    const char *help; /* one sentence */
    const char *unit; /* the end of the name: "seconds", "bytes"; NULL: none */
    enum openmetrics_type type;
};

/* name NULL: no label. */
struct openmetrics_label {
    const char *name, *value;
};

struct openmetrics {
    char *text; /* owned until openmetrics_end() */
    size_t bytes, room;
    const struct openmetrics_family *family;
};

void openmetrics_begin(struct openmetrics *m);
/* Samples are of this one from now on; borrowed until the next. */
void openmetrics_family(struct openmetrics *m, const struct openmetrics_family *family);
/* Gauge. Not a number, and infinities, are written as such. */
void openmetrics_number(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                        double value);
/* Gauge or counter. */
void openmetrics_count(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                       uint64_t value);
/* A counter of a base unit that is counted in parts: seconds of processor time. */
void openmetrics_total(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                       double value);
void openmetrics_info(struct openmetrics *m, const struct openmetrics_label *labels, size_t n);
/* One state of a set: is it the one? */
void openmetrics_state(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                       const char *state, bool is);
/* `most` are the upper bounds, rising; counts[n_bounds] is of what is above them all. The counts are each
 * bucket's own. */
struct openmetrics_histogram {
    const double *most;
    const uint64_t *counts;
    size_t n_bounds;
    double sum;
};
void openmetrics_histogram(struct openmetrics *m, const struct openmetrics_label *labels, size_t n,
                           const struct openmetrics_histogram *h);
/* The text, the caller's to free; zero-terminated, *bytes without the zero. */
char *openmetrics_end(struct openmetrics *m, size_t *bytes);

#endif
