/* Collects mistakes, so that the operator sees all of them at once, in the order of the file. */
#include <stdarg.h>
#include <stdlib.h>

#include "config/internal.h"

void config_report_init(struct config_report *report)
{
    memset(report, 0, sizeof *report);
}

void config_report_deinit(struct config_report *report)
{
    for (size_t i = 0; i < report->n_mistakes; i++) {
        free(report->mistakes[i].text);
    }
    memset(report, 0, sizeof *report);
}

__attribute__((format(printf, 4, 0))) static void
add(struct walk *walk, unsigned line, unsigned column, const char *format, va_list args)
{
    struct config_report *r = walk->report;
    char message[1024], where[32] = "";
    int n;

    if (r->n_mistakes == CONFIG_MAX_REPORTED) {
        r->n_more++;
        return;
    }
    (void)vsnprintf(message, sizeof message, format, args);
    for (char *p = message; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?'; /* what the file says must not steer the terminal */
        }
    }
    if (line > 0) {
        (void)snprintf(where, sizeof where, ":%u:%u", line, column);
    }
    n = asprintf(&r->mistakes[r->n_mistakes].text, "%s%s: %s", walk->name, where, message);
    HF_ASSERT(n >= 0);
    r->mistakes[r->n_mistakes].line = line;
    r->mistakes[r->n_mistakes].column = column;
    r->n_mistakes++;
}

void report_line(struct walk *walk, unsigned line, unsigned column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(walk, line, column, format, args);
    va_end(args);
}

void report_at(struct walk *walk, const struct yaml_node *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(walk, node != NULL ? node->line : 0, node != NULL ? node->column : 0, format, args);
    va_end(args);
}

static bool before(const struct config_mistake *a, const struct config_mistake *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* Insertion sort: stable, and there are at most CONFIG_MAX_REPORTED. */
void report_sort(struct config_report *report)
{
    for (size_t i = 1; i < report->n_mistakes; i++) {
        struct config_mistake m = report->mistakes[i];
        size_t k = i;

        while (k > 0 && before(&m, &report->mistakes[k - 1])) {
            report->mistakes[k] = report->mistakes[k - 1];
            k--;
        }
        report->mistakes[k] = m;
    }
}

void config_report_print(const struct config_report *report, FILE *out)
{
    size_t all = report->n_mistakes + report->n_more;

    for (size_t i = 0; i < report->n_mistakes; i++) {
        (void)fprintf(out, "%s\n", report->mistakes[i].text);
    }
    (void)fprintf(out, "%zu mistake%s", all, all == 1 ? "" : "s");
    if (report->n_more > 0) {
        (void)fprintf(out, " (the last %zu not shown)", report->n_more);
    }
    (void)fputc('\n', out);
}
