/* What is kept of a program's output, and that each of its lines is given. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/lab.h"

enum { LINE_BYTES = 50, LINES = 2 * PROC_LOG_MAX / LINE_BYTES };

struct account {
    unsigned given;
    bool in_order;
};

static void count(void *arg, const char *line)
{
    struct account *a = arg;

    a->in_order =
        a->in_order && strlen(line) == LINE_BYTES - 1 && strtoul(line + 5, NULL, 10) == a->given;
    a->given++;
}

/* Written in pieces that end anywhere in a line, as a pipe gives them. */
static void write_lines(struct chaos_proc *p)
{
    static char text[4096 + LINE_BYTES];
    size_t len = 0;

    for (unsigned i = 0; i < LINES; i++) {
        len += (size_t)snprintf(text + len, LINE_BYTES + 1, "line %044u\n", i);
        if (len >= 4096) {
            proc_take(p, text, 4096);
            len -= 4096;
            memmove(text, text + 4096, len);
        }
    }
    proc_take(p, text, len);
}

Test(proc, a_log_without_end_keeps_its_beginning_and_gives_every_line)
{
    struct account a = {.in_order = true};
    struct chaos_proc p = {.line = count, .arg = &a};
    char last[LINE_BYTES + 1];
    unsigned kept = 0;

    write_lines(&p);
    cr_assert_eq(a.given, (unsigned)LINES, "%u of %u lines given", a.given, (unsigned)LINES);
    cr_assert(a.in_order);
    cr_assert_leq(p.log_cap, (size_t)PROC_LOG_MAX);
    cr_assert_eq(strlen(p.log), p.log_len);
    while (strtoul(p.log + kept * LINE_BYTES + 5, NULL, 10) == kept)
        kept++;
    cr_assert_geq(kept, (unsigned)(PROC_LOG_MAX / 2 / LINE_BYTES), "only %u first lines kept",
                  kept);
    (void)snprintf(last, sizeof last, "line %044u\n", (unsigned)LINES - 1);
    cr_assert_str_eq(p.log + p.log_len - LINE_BYTES, last);
    free(p.log);
}

/* A "line" longer than all that is kept is lost; the one after it is given. */
Test(proc, a_line_without_end_costs_only_itself)
{
    static char text[4096];
    struct account a = {.in_order = true};
    struct chaos_proc p = {.line = count, .arg = &a};
    char line[LINE_BYTES + 1];

    (void)snprintf(line, sizeof line, "line %044u\n", 0);
    memset(text, 'x', sizeof text);
    for (size_t n = 0; n < 2 * (size_t)PROC_LOG_MAX; n += sizeof text)
        proc_take(&p, text, sizeof text);
    p.line = NULL;
    proc_take(&p, "\n", 1);
    p.line = count;
    proc_take(&p, line, LINE_BYTES);
    cr_assert_eq(a.given, 1);
    cr_assert(a.in_order);
    free(p.log);
}
