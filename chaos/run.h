/* Runs cells, each as process 1 of its own pid, mount and network namespaces, and gathers their
 * verdicts.
 *
 *   runner ──fork──> cell (pid 1) ──> swanctl, charon-systemd, holdfastd ...
 *     │  <─ events ─┘   └─ dies with the runner (PR_SET_PDEATHSIG), and the kernel ends the rest
 *                        with it
 */
#ifndef HF_CHAOS_RUN_H
#define HF_CHAOS_RUN_H

#include "cell.h"
#include "screen.h"

struct run_options {
    const char *bin_dir, *beside, *evidence_dir; /* beside: where this runner is */
    bool stay;
    struct screen *screen;
};

enum { RUN_MAX_JOBS = 16 };

struct run_plan {
    const struct drill_cell *cells;
    size_t n_cells;
    unsigned repeat; /* rounds, at least 1 */
    unsigned jobs;   /* cells at once, 1 to RUN_MAX_JOBS; with options.stay 1 */
};

/* A lab that outlives its verdict: options.stay. */
struct run_kept {
    pid_t outer; /* 0 = none: there was no verdict, or a signal came before it */
    int alive;
};

/* Runs every cell `repeat` times. A JSON array of verdicts in the plan's order (the caller's); what
 * ended without one is "aborted". After a signal the cells not yet begun are left out. With options.stay (one
 * cell, once) *kept is the lab, for run_stay(); else it may be NULL. */
json_t *run_cells(const struct run_plan *plan, const struct run_options *options,
                  struct run_kept *kept);

/* Keeps the lab until a signal comes, then ends it. */
void run_stay(struct run_kept *kept, struct screen *screen);

/* SIGINT, SIGTERM and SIGHUP end the cells. */
void run_catch_signals(void);

#endif
