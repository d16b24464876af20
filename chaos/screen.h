/* What the person in front sees while cells run: on a terminal one 80x24 screen (step, owner,
 * packets sent, received, lost, gap so far), elsewhere a plain line per step. It only shows the
 * cells' event lines; it takes no part. */
#ifndef HF_CHAOS_SCREEN_H
#define HF_CHAOS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

/* RESULTS: only a line a cell, at its end; the others show one cell at a time. */
enum screen_mode { SCREEN_QUIET, SCREEN_RESULTS, SCREEN_LINES, SCREEN_FULL };
enum { SCREEN_HISTORY = 8, SCREEN_LINE = 100 };

struct screen {
    enum screen_mode mode;
    int fd;
    char drill[64];
    size_t cell, cells; /* now, of */
    unsigned passed, failed, inconclusive;
    char phase[64];
    char history[SCREEN_HISTORY][SCREEN_LINE]; /* newest last */
    unsigned n_history;
    unsigned dead; /* bits: nodes that died in this cell */
    unsigned nodes;
};

void screen_begin_cell(struct screen *s, size_t cell, const char *id);
/* One line of a cell's events, without its newline. */
void screen_event(struct screen *s, const char *line);
void screen_end_cell(struct screen *s, const json_t *verdict);
/* Leaves the terminal as it was, the last screen above. */
void screen_end(struct screen *s);
/* After that: what to do with a lab that stays. One line below the screen. */
void screen_stay(struct screen *s, pid_t lab);

#endif
