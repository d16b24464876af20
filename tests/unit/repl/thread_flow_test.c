/* A replica whose loop is woken without a pause: what time alone brings must still come. */
#include <criterion/criterion.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/repl_thread.h"
#include "unit/repl/alone.h"

/* 200 us between two wakes: less than the 1 ms that libuv's timers know. */
enum { WAKES = 10000, PAUSE_NS = 200000, BEAT_MS = 10, SHARE = 2 };

/* Takes what waits; did the lease begin? */
static bool drain(struct repl *repl)
{
    bool held = false;

    for (struct repl_event *e; (e = repl_next_event(repl)) != NULL; repl_event_free(e))
        held |= e->kind == REPL_EV_LEASE && e->held;
    return held;
}

static uint64_t beats(struct repl *repl)
{
    struct repl_status status;

    repl_status(repl, &status);
    return status.counters[REPL_COUNT_HEARTBEATS];
}

/* A wake carries no command, so nothing but the timer's own tick sends a heartbeat. A share of
 * those that were due is enough: the machine is noisy, and a tick that starves sends almost none.
 */
Test(repl_thread_flow, a_steady_flow_of_events_does_not_keep_time_from_passing, .timeout = 120)
{
    char parent[] = "/tmp/hf-flow-XXXXXX", directory[64], command[128];
    struct repl_options options = {.node = 1,
                                   .data_dir = directory,
                                   .n_nodes = 1,
                                   .nodes = {{.node = 1}},
                                   .shards = {{.shard = 1, .prefer = 1}},
                                   .n_shards = 1,
                                   .timing = {.election_ms = 150,
                                              .heartbeat_ms = 30,
                                              .lease_ms = 2000,
                                              .lease_heartbeat_ms = BEAT_MS}};
    struct timespec gap = {.tv_nsec = PAUSE_NS};
    struct repl_error error;
    struct pollfd events;
    struct repl *repl;
    uint64_t began_ns, due, sent;

    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(directory, sizeof directory, "%s/data", parent);
    cr_assert(repl_init(&options, &error), "%s", error.text);
    repl = repl_start(&options, &error);
    cr_assert_not_null(repl, "%s", error.text);
    events = (struct pollfd){.fd = repl_event_fd(repl), .events = POLLIN};
    for (conductor_stamp(repl); !drain(repl); conductor_stamp(repl))
        (void)poll(&events, 1, 20);
    began_ns = repl_boottime_ns();
    sent = beats(repl);
    for (size_t i = 0; i < WAKES; i++) {
        conductor_stamp(repl);
        (void)drain(repl);
        cr_assert_eq(uv_async_send(&repl->async), 0);
        (void)ppoll(&events, 1, &gap, NULL); /* the flow's own pace, or an event's */
    }
    sent = beats(repl) - sent;
    due = (repl_boottime_ns() - began_ns) / (BEAT_MS * 1000000ull);
    printf("compared %d wakes, heartbeats %lu of %lu due\n", (int)WAKES, (unsigned long)sent,
           (unsigned long)due);
    cr_assert_geq(SHARE * sent, due, "only %lu heartbeats of %lu due", (unsigned long)sent,
                  (unsigned long)due);
    repl_stop(repl);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}
