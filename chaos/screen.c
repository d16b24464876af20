#include "screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 80, BUFFER = 8192 };

struct page {
    char text[BUFFER];
    size_t at;
};

/* One row, cut to the width, the rest of the row cleared. */
static void row(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void row(struct page *p, const char *format, ...)
{
    char line[256];
    va_list args;
    int n;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    n = snprintf(p->text + p->at, sizeof p->text - p->at, "%.*s\033[K\r\n", WIDTH - 1, line);
    if (n > 0 && (size_t)n < sizeof p->text - p->at)
        p->at += (size_t)n;
}

static void put_text(const struct screen *s, const char *text, size_t len)
{
    (void)!write(s->fd, text, len);
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

static void draw(struct screen *s, const json_t *j)
{
    struct page p = {.at = 0};
    int n = snprintf(p.text, sizeof p.text, "\033[H");

    p.at = (size_t)n;
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
    for (unsigned i = 0; i < s->n_history; i++)
        row(&p, "  %s", s->history[i]);
    for (unsigned i = s->n_history; i < SCREEN_HISTORY - (s->nodes > 3 ? s->nodes - 3 : 0); i++)
        row(&p, " ");
    n = snprintf(p.text + p.at, sizeof p.text - p.at,
                 "cells: %u passed, %u failed, %u inconclusive; violations now: %lld\033[K\033[J",
                 s->passed, s->failed, s->inconclusive, (long long)number(j, "violations"));
    put_text(s, p.text, p.at + (size_t)n);
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
    char line[256];

    s->cell = cell;
    s->dead = 0;
    s->phase[0] = '\0';
    s->n_history = 0;
    if (s->mode == SCREEN_FULL)
        put_text(s, "\033[2J", 4);
    if (s->mode == SCREEN_LINES) {
        int n = snprintf(line, sizeof line, "[%zu/%zu] %s\n", cell, s->cells, id);

        put_text(s, line, (size_t)n);
    }
}

void screen_event(struct screen *s, const char *text)
{
    json_t *j = s->mode <= SCREEN_RESULTS ? NULL : json_loads(text, 0, NULL);
    const char *phase = json_string_value(json_object_get(j, "phase"));
    char line[SCREEN_LINE];
    unsigned dead;
    int end = 0;

    if (phase && strcmp(phase, s->phase) != 0) {
        (void)snprintf(s->phase, sizeof s->phase, "%s", phase);
        if (sscanf(phase, "node %u is dead%n", &dead, &end) == 1 && end && dead < 32)
            s->dead |= 1u << dead;
        end = 0;
        if (sscanf(phase, "node %u returns%n", &dead, &end) == 1 && end && dead < 32)
            s->dead &= ~(1u << dead);
        (void)snprintf(line, sizeof line, "%8.3f s  %s", json_real_value(json_object_get(j, "t")),
                       phase);
        remember(s, line);
        if (s->mode == SCREEN_LINES) {
            put_text(s, line, strlen(line));
            put_text(s, "\n", 1);
        }
    }
    if (j && s->mode == SCREEN_FULL)
        draw(s, j);
    json_decref(j);
}

void screen_end_cell(struct screen *s, const json_t *verdict)
{
    const char *v = json_string_value(json_object_get(verdict, "verdict"));
    const json_t *gap = json_object_get(verdict, "gap_ms");
    char line[SCREEN_LINE + 64];
    int n;

    if (v && strcmp(v, "pass") == 0)
        s->passed++;
    else if (v && strcmp(v, "fail") == 0)
        s->failed++;
    else
        s->inconclusive++;
    if (s->mode == SCREEN_RESULTS)
        dprintf(s->fd, "[%u/%zu] %s\n", s->passed + s->failed + s->inconclusive, s->cells,
                json_string_value(json_object_get(verdict, "id")));
    if (s->mode != SCREEN_LINES && s->mode != SCREEN_RESULTS)
        return;
    n = snprintf(
        line, sizeof line,
        "  => %s: %lld lost, %lld twice, gap %.1f / %.1f ms, %lld copies, %.2f s\n", v ? v : "?",
        (long long)number(verdict, "lost"), (long long)number(verdict, "duplicated"),
        json_real_value(json_object_get(gap, "in")), json_real_value(json_object_get(gap, "out")),
        (long long)number(verdict, "copies_compared"),
        json_real_value(json_object_get(verdict, "seconds")));
    put_text(s, line, (size_t)n);
}

void screen_stay(struct screen *s, pid_t lab)
{
    char text[256];
    int n = snprintf(text, sizeof text,
                     "\r\nThe lab stays until Ctrl-C. Look around: nsenter -t $(pgrep -P %d) -m -p "
                     "ip netns list\r\n",
                     (int)lab);

    if (s->mode != SCREEN_QUIET)
        put_text(s, text, (size_t)n);
}

void screen_end(struct screen *s)
{
    if (s->mode == SCREEN_FULL)
        put_text(s, "\r\n", 2);
}
