/* How long a loop was away: the longest turn of a libuv loop, from waking up to waiting again. A turn
 * as long as a lease loses the lease, so this is measured in production, too.
 *
 * Needs UV_METRICS_IDLE_TIME of the loop (set here). Cost: two clock readings a turn.
 */
#ifndef HF_REPL_LOOP_WATCH_H
#define HF_REPL_LOOP_WATCH_H

#include <stdatomic.h>
#include <uv.h>

#include "replication/loop_turns.h"

struct loop_watch {
    uv_prepare_t prepare;
    uint64_t last_ns, idle_ns, cpu_ns; /* at the end of the turn before */
    _Atomic uint64_t longest_ns, longest_cpu_ns, ever_ns;
    _Atomic uint64_t turned_ns;
};

/* Before the loop runs, on its thread or before it. */
void loop_watch_start(struct loop_watch *w, uv_loop_t *loop);
/* On the loop's thread; `closed` may be NULL. */
void loop_watch_close(struct loop_watch *w, uv_close_cb closed);
/* When it last waited or was about to, by CLOCK_BOOTTIME; its start, before the first time. A loop that has something
 * to do now and then (a timer) and has not turned for long hangs. Any thread. */
uint64_t loop_watch_turned_ns(const struct loop_watch *w);
/* Any thread. */
struct loop_turns loop_watch_take(struct loop_watch *w);

#endif
