/* What an operator must be told, at most one line a second for each reason: packets that were
 * dropped or put off (a peer can provoke those at any rate), and a majority that is lost or back.
 * Reasons that the engine gives have their own rate-limited line where they arise (conductor). */
#include "daemon/internal.h"
#include "esp/drop.h"
#include "io/clock.h"

enum { NOTICES_EVERY_MS = 1000 };

static const enum counter_id told_conductor[] = {
    COUNTER_half_open_refused, COUNTER_queue_full,     COUNTER_rate_limited, COUNTER_not_owner,
    COUNTER_no_lease,          COUNTER_submit_refused, COUNTER_decode_failed};

static const enum worker_counter told_worker[] = {
    WORKER_IN_NO_LEASE,  WORKER_OUT_NO_LEASE,  WORKER_IN_UNKNOWN_SPI, WORKER_IN_WRONG_SHARD,
    WORKER_IN_MALFORMED, WORKER_OUT_MALFORMED, WORKER_OUT_NO_SA,      WORKER_OUT_SELECTORS,
    WORKER_IKE_DROPPED,  WORKER_TUN_ERRORS,    WORKER_UDP_ERRORS,     WORKER_HAND_OVER_FULL,
    WORKER_RAW_ERRORS};

static void tell(struct daemon *d, uint64_t *told, uint64_t now, const char *kind, const char *name)
{
    if (now > *told)
        log_line(d->log, LOG_INFO, "drop", "%s%s +%llu", kind, name,
                 (unsigned long long)(now - *told));
    *told = now;
}

static void tell_drops(struct daemon *d)
{
    struct notices *n = &d->notices;
    struct datapath_drops drops;

    for (size_t i = 0; i < sizeof told_conductor / sizeof told_conductor[0]; i++) {
        enum counter_id id = told_conductor[i];

        tell(d, &n->conductor[id], conductor_counters(d->conductor)->value[id], "",
             counter_name(id));
    }
    for (size_t i = 0; i < sizeof told_worker / sizeof told_worker[0]; i++) {
        enum worker_counter id = told_worker[i];

        tell(d, &n->worker[id], worker_pool_counter(d->pool, id), "esp_", worker_counter_name(id));
    }
    for (int i = STRAY_COUNT_NO_ROOM; i < STRAY_COUNTERS; i++)
        tell(d, &n->stray[i], strays_counter(d->gateway.strays, (enum stray_counter)i), "stray_",
             stray_counter_name((enum stray_counter)i));
    datapath_drops(d->datapath, &drops);
    for (int i = ESP_DROP_NONE + 1; i < ESP_DROP_COUNT; i++) {
        tell(d, &n->esp.in[i], drops.in[i], "esp_drop_in_", esp_drop_name((enum esp_drop)i));
        tell(d, &n->esp.out[i], drops.out[i], "esp_drop_out_", esp_drop_name((enum esp_drop)i));
    }
}

/* By the event, at once; what comes within a second of the last line is told by the tick, if it stays. */
void notices_quorum(struct daemon *d, bool held)
{
    struct notices *n = &d->notices;
    uint64_t now = io_boottime_ms();
    struct repl_status st;
    size_t connected = 0;

    if (held || n->quorum)
        d->majority_ms = now;
    if (held == n->quorum || now < n->quorum_next_ms)
        return;
    n->quorum = held;
    n->quorum_next_ms = now + NOTICES_EVERY_MS;
    repl_status(d->repl, &st);
    for (size_t i = 0; i < st.n_nodes; i++)
        connected += st.nodes[i].connected;
    if (held)
        log_line(d->log, LOG_INFO, "cluster", "quorum: %zu of %zu nodes reached", connected,
                 st.n_nodes);
    else
        log_line(d->log, LOG_ERROR, "cluster",
                 "quorum lost: %zu of %zu nodes reached: this node serves nothing and accepts no "
                 "change until a majority is back",
                 connected, st.n_nodes);
}

void notices_tick(struct daemon *d)
{
    uint64_t now = io_boottime_ms();

    datapath_count_drops(d->datapath);
    if (now < d->notices.next_ms)
        return;
    d->notices.next_ms = now + NOTICES_EVERY_MS;
    tell_drops(d);
    notices_quorum(d, d->gateway.quorum);
}
