/* A strict reader of OpenMetrics 1.0 text, apart from the writer: it shares no line with it. What the
 * specification forbids is a mistake with its line. Exemplars, timestamps, summaries and gauge histograms,
 * which nothing here writes, are refused. */
#ifndef HF_TESTS_API_OPENMETRICS_PARSE_H
#define HF_TESTS_API_OPENMETRICS_PARSE_H

#include <stdbool.h>
#include <stddef.h>

enum { PARSE_NAME = 128, PARSE_LABELS = 8, PARSE_VALUE = 160, PARSE_WHY = 256 };

struct parsed_sample {
    char name[PARSE_NAME]; /* with its ending */
    struct parsed_label {
        char name[PARSE_NAME], value[PARSE_VALUE]; /* value: escapes undone */
    } labels[PARSE_LABELS];
    size_t n_labels;
    double value;
    size_t family;
};

struct parsed_family {
    char name[PARSE_NAME], type[PARSE_NAME], unit[PARSE_NAME];
    bool has_type, has_unit, has_help;
    size_t samples;
};

struct parsed {
    struct parsed_family *families;
    struct parsed_sample *samples;
    size_t n_families, n_samples;
    char why[PARSE_WHY]; /* empty: it is OpenMetrics */
};

/* False: p->why. parsed_free() in either case. */
bool openmetrics_parse(const char *text, struct parsed *p);
void parsed_free(struct parsed *p);

/* The sample whose labels are exactly these, "name=value,name=value" in the order of the text; NULL: none. */
const struct parsed_sample *parsed_find(const struct parsed *p, const char *name,
                                        const char *labels);

#endif
