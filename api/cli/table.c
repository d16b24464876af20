#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/cli/cli.h"
#include "base/assert.h"

void cli_clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            *p = '?';
        } else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
            p[0] = p[1] = '?'; /* U+0080 to U+009F steer a terminal as ESC does */
        }
    }
}

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
        char *cell = strdup(va_arg(args, const char *));

        HF_ASSERT(cell != NULL);
        cli_clean(cell); /* names come from the network: they must not steer the terminal */
        t->cells[t->rows * columns + i] = cell;
    }
    va_end(args);
    t->rows++;
}

/* Letters, not bytes: all but the bytes that go on with one. */
static size_t letters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

/* At most `most` of them; where that is not all, the last one is an ellipsis. */
static void put_cell(FILE *out, const char *cell, size_t most)
{
    size_t n = letters(cell), seen = 0;
    const char *p = cell;

    if (n <= most) {
        (void)fputs(cell, out);
        return;
    }
    for (; *p != '\0'; p++) {
        seen += ((unsigned char)*p & 0xc0) != 0x80;
        if (seen >= most) {
            break;
        }
    }
    (void)fprintf(out, "%.*s%s", (int)(p - cell), cell, most > 0 ? "…" : "");
}

static void put_row(FILE *out, char *const *cells, size_t columns, const size_t *width, size_t most)
{
    size_t at = 0;

    for (size_t c = 0; c < columns; c++) {
        size_t n = letters(cells[c]), left = at < most ? most - at : 0;
        size_t gap = c + 1 == columns ? 0 : width[c] - n + 2;

        put_cell(out, cells[c], left);
        at += n;
        gap = at >= most ? 0 : gap < most - at ? gap : most - at;
        (void)fprintf(out, "%*s", (int)gap, "");
        at += gap;
    }
    (void)fputc('\n', out);
}

void cli_table_print_in(struct cli_table *t, FILE *out, size_t most)
{
    size_t width[16] = {0};

    HF_ASSERT(t->columns <= 16);
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        size_t n = letters(t->cells[i]);

        width[i % t->columns] = n > width[i % t->columns] ? n : width[i % t->columns];
    }
    for (size_t r = 0; r < t->rows; r++) {
        put_row(out, t->cells + r * t->columns, t->columns, width, most == 0 ? SIZE_MAX : most);
    }
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        free(t->cells[i]);
    }
    free(t->cells);
    memset(t, 0, sizeof *t);
}

void cli_table_print(struct cli_table *t, FILE *out)
{
    cli_table_print_in(t, out, cli_width(out, 0));
}

const char *cli_date(char buf[32], int64_t ms)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;

    if (ms == 0 || gmtime_r(&t, &tm) == NULL || strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        (void)snprintf(buf, 32, "-");
    }
    return buf;
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
