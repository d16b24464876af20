#include "screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 80, HEIGHT = 24, BUFFER = 8192 };

struct page {
    char text[BUFFER];
    size_t at;
    unsigned rows;
};

/* Formats and cuts to what `line` holds. A byte that is no printable ASCII becomes "?": texts come
 * from files, and must neither move the cursor nor be wider than they are long. Returns the length.
 */
static size_t cut(char *line, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static size_t cut(char *line, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(line, size, format, args);

    if (n < 0)
        line[0] = '\0';
    for (char *c = line; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    return strlen(line);
}

/* One row, cut to the width, the rest of the row cleared. */
static void row(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void row(struct page *p, const char *format, ...)
{
    char line[WIDTH]; /* the last column stays free: some terminals wrap when it is written */
    va_list args;
    int n;

    va_start(args, format);
    (void)cut(line, sizeof line, format, args);
    va_end(args);
    n = snprintf(p->text + p->at, sizeof p->text - p->at, "%s%s\033[K", p->rows ? "\r\n" : "",
                 line);
    if (n > 0 && (size_t)n < sizeof p->text - p->at) {
        p->at += (size_t)n;
        p->rows++;
    }
}

static void put_text(const struct screen *s, const char *text, size_t len)
{
    (void)!write(s->fd, text, len);
}

/* One line of the plain modes. */
static void put_line(const struct screen *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_line(const struct screen *s, const char *format, ...)
{
    char line[256];
    va_list args;
    size_t n;

    va_start(args, format);
    n = cut(line, sizeof line, format, args);
    va_end(args);
    line[n] = '\n'; /* in place of the zero */
    put_text(s, line, n + 1);
}

static json_int_t number(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

static void traffic_row(struct page *p, const char *name, const json_t *j)
{
    row(p, "  %-18s %9lld %9lld %9lld %10lld %12.1f", name, (long long)number(j, "sent"),
        (long long)number(j, "received"), (long long)number(j, "lost"),
        (long long)number(j, "duplicated"), json_real_value(json_object_get(j, "gap")));
}

static void nodes_rows(struct page *p, const struct screen *s, unsigned owner, unsigned leader)
{
    for (unsigned n = 1; n <= s->nodes; n++) {
        bool dead = s->dead >> n & 1, middle = n == (s->nodes + 1) / 2;

        row(p, "  %-11s |-- n%u  %-10s %-6s %s", middle ? "client  --" : "", n,
            dead         ? "X dead"
            : n == owner ? "* owner"
                         : "o standby",
            n == leader && !dead ? "leader" : "", middle ? "  --  server" : "");
    }
}

/* The newest steps, as many as leave a row for the sums and one for screen_stay(). */
static void history_rows(struct page *p, const struct screen *s)
{
    unsigned left = p->rows + 2 < HEIGHT ? HEIGHT - 2 - p->rows : 0;
    unsigned most = left < SCREEN_HISTORY ? left : SCREEN_HISTORY;
    unsigned shown = s->n_history < most ? s->n_history : most;

    for (unsigned i = s->n_history - shown; i < s->n_history; i++)
        row(p, "  %s", s->history[i]);
    for (unsigned i = shown; i < most; i++)
        row(p, " ");
}

static void draw(struct screen *s, const json_t *j)
{
    struct page p = {.at = 3, .text = "\033[H"};

    row(&p, "holdfast drill: %-40.40s   cell %zu of %zu", s->drill, s->cell, s->cells);
    row(&p, "%.79s",
        "--------------------------------------------------------------------------------");
    row(&p, "%s",
        json_string_value(json_object_get(j, "cell"))
            ? json_string_value(json_object_get(j, "cell"))
            : "");
    row(&p, "step: %-50.50s  t = %6.2f s", s->phase, json_real_value(json_object_get(j, "t")));
    row(&p, " ");
    nodes_rows(&p, s, (unsigned)number(j, "owner"), (unsigned)number(j, "leader"));
    row(&p, " ");
    row(&p, "  %-18s %9s %9s %9s %10s %12s", "packets", "sent", "received", "lost", "twice",
        "gap (ms)");
    traffic_row(&p, "client to server", json_object_get(j, "in"));
    traffic_row(&p, "server to client", json_object_get(j, "out"));
    row(&p, "  %-18s %9lld bytes", "TCP upload", (long long)number(j, "upload"));
    row(&p, " ");
    history_rows(&p, s);
    row(&p, "cells: %u passed, %u failed, %u inconclusive; violations now: %lld", s->passed,
        s->failed, s->inconclusive, (long long)number(j, "violations"));
    memcpy(p.text + p.at, "\033[J", 3);
    put_text(s, p.text, p.at + 3);
}

static void remember(struct screen *s, const char *text)
{
    if (s->n_history == SCREEN_HISTORY) {
        memmove(s->history[0], s->history[1], sizeof s->history - sizeof s->history[0]);
        s->n_history--;
    }
    (void)snprintf(s->history[s->n_history++], SCREEN_LINE, "%s", text);
}

void screen_begin_cell(struct screen *s, size_t cell, const char *id)
{
    s->cell = cell;
    s->dead = 0;
    s->phase[0] = '\0';
    s->n_history = 0;
    if (s->mode == SCREEN_FULL)
        put_text(s, "\033[2J", 4);
    if (s->mode == SCREEN_LINES)
        put_line(s, "[%zu/%zu] %s", cell, s->cells, id);
}

void screen_event(struct screen *s, const char *text)
{
    json_t *j = s->mode <= SCREEN_RESULTS ? NULL : json_loads(text, 0, NULL);
    const char *phase = json_string_value(json_object_get(j, "phase"));
    char line[SCREEN_LINE];
    unsigned dead;
    int end = 0;

    if (phase && strncmp(phase, s->phase, sizeof s->phase - 1) != 0) {
        (void)snprintf(s->phase, sizeof s->phase, "%s", phase);
        if (sscanf(phase, "node %u is dead%n", &dead, &end) == 1 && end && dead < 32)
            s->dead |= 1u << dead;
        end = 0;
        if (sscanf(phase, "node %u returns%n", &dead, &end) == 1 && end && dead < 32)
            s->dead &= ~(1u << dead);
        (void)snprintf(line, sizeof line, "%8.3f s  %s", json_real_value(json_object_get(j, "t")),
                       phase);
        remember(s, line);
        if (s->mode == SCREEN_LINES)
            put_line(s, "%s", line);
    }
    if (j && s->mode == SCREEN_FULL)
        draw(s, j);
    json_decref(j);
}

void screen_end_cell(struct screen *s, const json_t *verdict)
{
    const char *v = json_string_value(json_object_get(verdict, "verdict"));
    const json_t *gap = json_object_get(verdict, "gap_ms");

    if (v && strcmp(v, "pass") == 0)
        s->passed++;
    else if (v && strcmp(v, "fail") == 0)
        s->failed++;
    else
        s->inconclusive++;
    if (s->mode == SCREEN_RESULTS)
        put_line(s, "[%u/%zu] %s", s->passed + s->failed + s->inconclusive, s->cells,
                 json_string_value(json_object_get(verdict, "id")));
    if (s->mode != SCREEN_LINES && s->mode != SCREEN_RESULTS)
        return;
    put_line(s, "  => %s: %lld lost, %lld twice, gap %.1f / %.1f ms, %lld copies, %.2f s",
             v ? v : "?", (long long)number(verdict, "lost"),
             (long long)number(verdict, "duplicated"), json_real_value(json_object_get(gap, "in")),
             json_real_value(json_object_get(gap, "out")),
             (long long)number(verdict, "copies_compared"),
             json_real_value(json_object_get(verdict, "seconds")));
}

void screen_stay(struct screen *s, pid_t lab)
{
    if (s->mode != SCREEN_QUIET)
        put_line(s, "stays until Ctrl-C; in it: nsenter -t $(pgrep -P %d) -m -p ip netns list",
                 (int)lab);
}

void screen_end(struct screen *s)
{
    if (s->mode == SCREEN_FULL)
        put_text(s, "\r\n", 2);
}
