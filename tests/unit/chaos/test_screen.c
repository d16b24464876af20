/* The live screen, as a terminal of 80x24 shows it: a reader that knows the few controls in use
 * finds how far to the right and how far down anything was written. */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "chaos/screen.h"

enum { COLUMNS = 80, ROWS = 24 };

struct terminal {
    unsigned row, column, rows, columns; /* where it writes; the most of either that was used */
    char text[ROWS][COLUMNS + 1];
    size_t lines;
};

static int ends[2];
static struct terminal shown;

static void open_pipe(void)
{
    cr_assert_eq(pipe(ends), 0);
    shown = (struct terminal){0};
}

/* Controls: home, clear to the end of the row, below, everything. Returns the bytes of it. */
static size_t control(struct terminal *t, const char *s)
{
    if (strncmp(s, "\033[H", 3) == 0)
        t->row = t->column = 0;
    else if (strncmp(s, "\033[2J", 4) == 0)
        memset(t->text, 0, sizeof t->text);
    else
        cr_assert(strncmp(s, "\033[K", 3) == 0 || strncmp(s, "\033[J", 3) == 0, "another control");
    return strncmp(s, "\033[2J", 4) == 0 ? 4 : 3;
}

static void put(struct terminal *t, char c)
{
    cr_assert((unsigned char)c >= ' ' && (unsigned char)c < 0x7f, "byte %02x on the screen",
              (unsigned char)c);
    if (t->row < ROWS && t->column < COLUMNS)
        t->text[t->row][t->column] = c;
    t->column++;
    t->columns = t->column > t->columns ? t->column : t->columns;
    t->rows = t->row + 1 > t->rows ? t->row + 1 : t->rows;
}

/* Everything that stands in the pipe. */
static void look(struct terminal *t)
{
    static char text[65536];
    ssize_t n;

    (void)close(ends[1]);
    for (size_t have = 0; (n = read(ends[0], text + have, sizeof text - 1 - have)) > 0;) {
        have += (size_t)n;
        text[have] = '\0';
    }
    (void)close(ends[0]);
    for (const char *s = text; *s;) {
        if (*s == '\033') {
            s += control(t, s);
        } else {
            if (*s == '\n')
                t->row++, t->lines++;
            else if (*s == '\r')
                t->column = 0;
            else
                put(t, *s);
            s++;
        }
    }
}

/* A packet count as large as there is, a gap beyond every column. */
static json_t *direction(void)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:f}", "sent", (json_int_t)INT64_MAX, "received",
                     (json_int_t)INT64_MAX, "lost", (json_int_t)INT64_MAX, "duplicated",
                     (json_int_t)INT64_MAX, "gap", 1e200);
}

static void event(struct screen *s, const char *cell, const char *phase)
{
    json_t *j =
        json_pack("{s:s, s:s, s:i, s:i, s:f, s:o, s:o, s:I, s:I}", "cell", cell, "phase", phase,
                  "owner", 2, "leader", 3, "t", 1e9, "in", direction(), "out", direction(),
                  "upload", (json_int_t)INT64_MAX, "violations", (json_int_t)INT64_MAX);
    char *text = json_dumps(j, JSON_COMPACT);

    cr_assert(text != NULL);
    screen_event(s, text);
    free(text);
    json_decref(j);
}

static const char *long_text(void)
{
    static char text[600];

    memset(text, 'w', sizeof text - 1);
    return text;
}

static struct screen screen_of(enum screen_mode mode, unsigned nodes)
{
    struct screen s = {.mode = mode, .fd = ends[1], .cell = 9, .cells = 1234567, .nodes = nodes};

    memset(s.drill, 'd', sizeof s.drill - 1);
    s.passed = s.failed = s.inconclusive = 4294967295u;
    return s;
}

/* More steps than the history holds, each longer than a row, the last one `last`. */
static void fill(struct screen *s, const char *last)
{
    char phase[700];

    screen_begin_cell(s, 9, long_text());
    for (unsigned i = 0; i < SCREEN_HISTORY + 3; i++) {
        (void)snprintf(phase, sizeof phase, "%u %s", i, long_text());
        event(s, long_text(), phase);
    }
    event(s, long_text(), last);
}

static bool row_has(const char *what)
{
    for (unsigned i = 0; i < ROWS; i++) {
        if (strstr(shown.text[i], what))
            return true;
    }
    return false;
}

static void fits(unsigned nodes)
{
    struct screen s;

    open_pipe();
    s = screen_of(SCREEN_FULL, nodes);
    fill(&s, "the newest step");
    screen_end(&s);
    screen_stay(&s, 4194304);
    look(&shown);
    cr_assert_leq(shown.rows, ROWS, "%u nodes: %u rows", nodes, shown.rows);
    cr_assert_leq(shown.columns, COLUMNS, "%u nodes: %u columns", nodes, shown.columns);
    cr_assert(row_has("the newest step"), "the newest step is not in the history");
    cr_assert(row_has("4294967295 passed"));
    cr_assert(row_has("nsenter -t $(pgrep -P 4194304) -m -p ip netns list"));
    for (unsigned n = 1; n <= nodes; n++) {
        char name[8];

        (void)snprintf(name, sizeof name, "-- n%u ", n);
        cr_assert(row_has(name), "node %u of %u is not shown", n, nodes);
    }
}

Test(screen, one_node_fits_80x24)
{
    fits(1);
}

Test(screen, three_nodes_with_a_full_history_fit_80x24)
{
    fits(3);
}

Test(screen, five_nodes_with_a_full_history_fit_80x24)
{
    fits(5);
}

Test(screen, a_dead_node_is_marked)
{
    struct screen s;

    open_pipe();
    s = screen_of(SCREEN_FULL, 3);
    fill(&s, "node 2 is dead");
    look(&shown);
    cr_assert(row_has("X dead"));
    cr_assert(row_has("o standby"));
    cr_assert_leq(shown.rows, ROWS);
}

/* A cell tells its step ten times a second: also one that is longer than what is kept of it is one
 * step. */
Test(screen, a_long_step_that_goes_on_is_remembered_once)
{
    struct screen s;

    open_pipe();
    s = screen_of(SCREEN_FULL, 3);
    screen_begin_cell(&s, 9, "a cell");
    event(&s, "a cell", long_text());
    event(&s, "a cell", long_text());
    look(&shown);
    cr_assert_eq(s.n_history, 1);
}

/* A drill's name comes from a file: it moves no cursor. */
Test(screen, controls_in_a_text_are_not_passed_on)
{
    struct screen s;

    open_pipe();
    s = screen_of(SCREEN_FULL, 3);
    (void)snprintf(s.drill, sizeof s.drill, "a\nb\rc\033[2Jd\177e\303\274");
    fill(&s, "\r\n\033[H\303\274");
    look(&shown);
    cr_assert_leq(shown.rows, ROWS);
    cr_assert(row_has("a?b?c?[2Jd?e??"), "%s", shown.text[0]);
}

/* Lines may be longer than a row; they end, and nothing is read from beyond them. */
Test(screen, plain_lines_are_cut_too)
{
    json_t *verdict = json_pack("{s:s, s:s, s:{s:f, s:f}, s:f}", "verdict", long_text(), "id",
                                long_text(), "gap_ms", "in", 1e200, "out", 1e200, "seconds", 1e200);
    struct screen s;

    for (enum screen_mode mode = SCREEN_RESULTS; mode <= SCREEN_LINES; mode++) {
        open_pipe();
        s = screen_of(mode, 3);
        fill(&s, "the newest step");
        screen_end_cell(&s, verdict);
        look(&shown);
        cr_assert_eq(shown.lines, mode == SCREEN_LINES ? 1 + (SCREEN_HISTORY + 3) + 1 + 1 : 2);
    }
    json_decref(verdict);
}

Test(screen, quiet_says_nothing)
{
    struct screen s;

    open_pipe();
    s = screen_of(SCREEN_QUIET, 3);
    fill(&s, "the newest step");
    screen_end(&s);
    screen_stay(&s, 1);
    look(&shown);
    cr_assert_eq(shown.rows, 0);
}
