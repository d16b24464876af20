#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "base/assert.h"

void cli_table_row(struct cli_table *t, size_t columns, ...)
{
    va_list args;

    HF_ASSERT(columns > 0 && (t->columns == 0 || t->columns == columns));
    t->columns = columns;
    if (t->rows == t->room) {
        t->room = t->room == 0 ? 16 : 2 * t->room;
        t->cells = reallocarray(t->cells, t->room * columns, sizeof *t->cells);
        HF_ASSERT(t->cells != NULL);
    }
    va_start(args, columns);
    for (size_t i = 0; i < columns; i++) {
        const char *text = va_arg(args, const char *);
        char *cell = strdup(text);

        HF_ASSERT(cell != NULL);
        for (char *p = cell; *p != '\0'; p++) {
            if ((unsigned char)*p < 0x20 || *p == 0x7f) {
                *p = '?'; /* names come from the network: they must not steer the terminal */
            }
        }
        t->cells[t->rows * columns + i] = cell;
    }
    va_end(args);
    t->rows++;
}

void cli_table_print(struct cli_table *t, FILE *out)
{
    size_t width[16] = {0};

    HF_ASSERT(t->columns <= 16);
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        size_t n = strlen(t->cells[i]);

        width[i % t->columns] = n > width[i % t->columns] ? n : width[i % t->columns];
    }
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            const char *cell = t->cells[r * t->columns + c];

            (void)fprintf(out, c + 1 < t->columns ? "%-*s  " : "%.*s",
                          c + 1 < t->columns ? (int)width[c] : 4096, cell);
        }
        (void)fputc('\n', out);
    }
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        free(t->cells[i]);
    }
    free(t->cells);
    memset(t, 0, sizeof *t);
}

const char *cli_span(int64_t ms, char buf[32])
{
    long long s = ms / 1000;

    if (ms < 0) {
        (void)snprintf(buf, 32, "-");
    } else if (s < 10) {
        (void)snprintf(buf, 32, "%lld.%llds", s, (long long)(ms % 1000) / 100);
    } else if (s < 60) {
        (void)snprintf(buf, 32, "%llds", s);
    } else if (s < 3600) {
        (void)snprintf(buf, 32, "%lldm %llds", s / 60, s % 60);
    } else if (s < 86400) {
        (void)snprintf(buf, 32, "%lldh %lldm", s / 3600, s % 3600 / 60);
    } else {
        (void)snprintf(buf, 32, "%lldd %lldh", s / 86400, s % 86400 / 3600);
    }
    return buf;
}
