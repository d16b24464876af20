/* Runs cells, each as process 1 of its own pid, mount and network namespaces, and gathers their
 * verdicts.
 *
 *   runner ──fork──> cell (pid 1) ──> swanctl, charon-systemd, holdfastd ...
 *     │  <─ events ─┘   └─ dies with the runner (PR_SET_PDEATHSIG), and the kernel ends the rest
 * with it
 */
#ifndef HF_CHAOS_RUN_H
#define HF_CHAOS_RUN_H

#include "cell.h"
#include "screen.h"

struct run_options {
    const char *bin_dir, *evidence_dir;
    bool stay;
    struct screen *screen;
};

/* A cell's verdict (the caller's), or NULL when the runner was told to stop. */
json_t *run_cell(const struct drill_cell *spec, const struct run_options *options);

/* True once SIGINT, SIGTERM or SIGHUP came. */
bool run_stopped(void);
void run_catch_signals(void);

#endif
