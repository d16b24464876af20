/* The writer against a reader that takes nothing but OpenMetrics; the reader against texts that are not. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/openmetrics.h"
#include "unit/api/openmetrics_parse.h"

static const struct openmetrics_family gauge = {"t_age_seconds", "How old.", "seconds",
                                                OPENMETRICS_GAUGE},
                                       counter = {"t_packets", "Of all.", NULL,
                                                  OPENMETRICS_COUNTER},
                                       times = {"t_took_seconds", "How long it took.", "seconds",
                                                OPENMETRICS_HISTOGRAM},
                                       info = {"t_build", "What this is.", NULL, OPENMETRICS_INFO},
                                       state = {"t_state", "Which of them.", NULL,
                                                OPENMETRICS_STATESET};

static struct parsed p;
static unsigned compared;

static double value_of(const char *name, const char *labels)
{
    const struct parsed_sample *s = parsed_find(&p, name, labels);

    cr_assert_not_null(s, "no %s{%s}", name, labels);
    compared++;
    return s->value;
}

Test(openmetrics, every_type_is_read_as_it_was_meant)
{
    const struct openmetrics_label two[] = {{"direction", "in"}, {"reason", "a\\b\"c\nd"}};
    const double most[] = {0.1, 1, 10};
    const uint64_t counts[] = {3, 0, 2, 1};
    struct openmetrics m;
    size_t bytes;
    char *text;

    openmetrics_begin(&m);
    openmetrics_family(&m, &gauge);
    openmetrics_number(&m, NULL, 0, 12.5);
    openmetrics_number(&m, two, 1, NAN);
    openmetrics_number(&m, two, 2, -INFINITY);
    openmetrics_family(&m, &counter);
    openmetrics_count(&m, two, 2, UINT64_MAX);
    openmetrics_total(&m, two, 1, 0.25);
    openmetrics_family(&m, &times);
    openmetrics_histogram(&m, two, 1, &(struct openmetrics_histogram){most, counts, 3, 20.5});
    openmetrics_family(&m, &info);
    openmetrics_info(&m, (const struct openmetrics_label[]){{"version", "1"}}, 1);
    openmetrics_family(&m, &state);
    openmetrics_state(&m, two, 1, "open", true);
    openmetrics_state(&m, two, 1, "shut", false);
    text = openmetrics_end(&m, &bytes);

    cr_assert_eq(strlen(text), bytes);
    cr_assert(openmetrics_parse(text, &p), "%s in\n%s", p.why, text);
    cr_assert_eq(p.n_families, 5);
    cr_assert_float_eq(value_of("t_age_seconds", ""), 12.5, 1e-9);
    cr_assert(isnan(value_of("t_age_seconds", "direction=in")));
    cr_assert(isinf(value_of("t_age_seconds", "direction=in,reason=a\\b\"c\nd")));
    cr_assert_not_null(strstr(text, "t_packets_total{direction=\"in\",reason=\"a\\\\b\\\"c\\nd\"} "
                                    "18446744073709551615\n"));
    cr_assert_float_eq(value_of("t_packets_total", "direction=in"), 0.25, 1e-9);
    cr_assert_float_eq(value_of("t_took_seconds_bucket", "direction=in,le=0.1"), 3, 0);
    cr_assert_float_eq(value_of("t_took_seconds_bucket", "direction=in,le=1.0"), 3, 0);
    cr_assert_float_eq(value_of("t_took_seconds_bucket", "direction=in,le=10.0"), 5, 0);
    cr_assert_float_eq(value_of("t_took_seconds_bucket", "direction=in,le=+Inf"), 6, 0);
    cr_assert_float_eq(value_of("t_took_seconds_count", "direction=in"), 6, 0);
    cr_assert_float_eq(value_of("t_took_seconds_sum", "direction=in"), 20.5, 1e-9);
    cr_assert_float_eq(value_of("t_build_info", "version=1"), 1, 0);
    cr_assert_float_eq(value_of("t_state", "direction=in,t_state=open"), 1, 0);
    cr_assert_float_eq(value_of("t_state", "direction=in,t_state=shut"), 0, 0);
    printf("compared %u samples\n", compared);
    parsed_free(&p);
    free(text);
}

Test(openmetrics, nothing_measured_is_a_text_too)
{
    struct openmetrics m;
    size_t bytes;
    char *text;

    openmetrics_begin(&m);
    text = openmetrics_end(&m, &bytes);
    cr_assert_str_eq(text, "# EOF\n");
    cr_assert(openmetrics_parse(text, &p), "%s", p.why);
    parsed_free(&p);
    free(text);
}

#define HEAD(name, type) "# TYPE " name " " type "\n# HELP " name " h\n"
#define TAIL "# EOF\n"

/* Each is one mistake away from a text that is taken. */
Test(openmetrics, the_reader_takes_nothing_else)
{
    static const struct {
        const char *text;
        bool good;
    } table[] = {
        {HEAD("a", "gauge") "a 1\n" TAIL, true},
        {HEAD("a", "gauge") "a 1\n", false},              /* no end */
        {HEAD("a", "gauge") "a 1\n# EOF", false},         /* no end of the last line */
        {HEAD("a", "gauge") "a 1\n" TAIL "a 2\n", false}, /* behind the end */
        {"# TYPE a gauge\na 1\n" TAIL, false},            /* no help */
        {"# HELP a h\na 1\n" TAIL, false},                /* no type */
        {HEAD("a", "gauge") "a 1\na 2\n" TAIL, false},    /* twice */
        {HEAD("a", "gauge") "a{x=\"1\"} 1\na{x=\"2\"} 2\n" TAIL, true},
        {HEAD("a", "gauge") "a{x=\"1\",x=\"2\"} 1\n" TAIL, false},
        {HEAD("a", "gauge") "a{x=\"1\" } 1\n" TAIL, false},
        {HEAD("a", "gauge") "a{x=\"\\t\"} 1\n" TAIL, false}, /* no such escape */
        {HEAD("a", "gauge") "a{1x=\"1\"} 1\n" TAIL, false},
        {HEAD("a", "gauge") "a 0x10\n" TAIL, false},
        {HEAD("a", "gauge") "a inf\n" TAIL, false},
        {HEAD("a", "gauge") "a  1\n" TAIL, false},
        {HEAD("a", "gauge") "\na 1\n" TAIL, false}, /* an empty line */
        {HEAD("a", "gauge") "b 1\n" TAIL, false},   /* another's */
        {HEAD("a", "gauge") "a_total 1\n" TAIL, false},
        {HEAD("a", "gauge") "a 1\n" HEAD("b", "gauge") "b 1\n" HEAD("a", "gauge") TAIL, false},
        {HEAD("a", "gauge") "# UNIT a seconds\na 1\n" TAIL, false},
        {HEAD("a_seconds", "gauge") "# UNIT a_seconds seconds\na_seconds 1\n" TAIL, true},
        {HEAD("a", "gauge") "a 1\n# UNIT a a\n" TAIL, false}, /* behind a sample */
        {HEAD("a", "counter") "a_total 1\n" TAIL, true},
        {HEAD("a", "counter") "a 1\n" TAIL, false},
        {HEAD("a", "counter") "a_total -1\n" TAIL, false},
        {HEAD("a", "info") "a_info{v=\"1\"} 1\n" TAIL, true},
        {HEAD("a", "info") "a_info{v=\"1\"} 2\n" TAIL, false},
        {HEAD("a", "stateset") "a{a=\"x\"} 1\n" TAIL, true},
        {HEAD("a", "stateset") "a{b=\"x\"} 1\n" TAIL, false},
        {HEAD("a", "stateset") "a{a=\"x\"} 2\n" TAIL, false},
        {HEAD("a", "untyped") "a 1\n" TAIL, false},
#define HISTOGRAM(one, inf, count)                                                                 \
    HEAD("a", "histogram")                                                                         \
    "a_bucket{le=\"1\"} " one "\na_bucket{le=\"+Inf\"} " inf "\na_count " count "\na_sum 4\n" TAIL
        {HISTOGRAM("1", "2", "2"), true},
        {HISTOGRAM("3", "2", "2"), false},
        {HISTOGRAM("1", "2", "3"), false},
        {HEAD("a", "histogram") "a_bucket{le=\"1\"} 1\na_count 1\na_sum 1\n" TAIL, false},
        {HEAD("a", "histogram") "a_bucket{le=\"+Inf\"} 1\n" TAIL, false},
    };
    size_t n = sizeof table / sizeof table[0];

    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(openmetrics_parse(table[i].text, &p), table[i].good, "row %zu: %s: %s", i,
                     table[i].text, p.why);
        parsed_free(&p);
    }
    printf("compared %zu texts\n", n);
}

/* The programmer's mistakes end the program: a name that is none, a unit that is not in it, a sample of
 * another type. */
static void write_one(const struct openmetrics_family *f)
{
    struct openmetrics m;

    openmetrics_begin(&m);
    openmetrics_family(&m, f);
    openmetrics_number(&m, NULL, 0, 1);
}

Test(openmetrics, a_name_that_is_none, .signal = SIGABRT)
{
    write_one(&(struct openmetrics_family){"a-b", "h", NULL, OPENMETRICS_GAUGE});
}

Test(openmetrics, a_unit_that_is_not_in_the_name, .signal = SIGABRT)
{
    write_one(&(struct openmetrics_family){"a_bytes", "h", "seconds", OPENMETRICS_GAUGE});
}

Test(openmetrics, a_sample_of_another_type, .signal = SIGABRT)
{
    write_one(&counter);
}
