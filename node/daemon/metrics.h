/* What GET /metrics says of this node, in two halves: struct metrics_source is gathered from the daemon
 * on the control loop (metrics.c); its text is a function of it alone (metrics_text.c, and of the plain
 * counters by the table of metrics_rows.c).
 *
 *   struct daemon ─ metrics_gather ─> struct metrics_source ─ metrics_text ─> OpenMetrics
 *
 * No series is of one SA: totals are of the node since its start, so they survive rekeys, and their number
 * is bounded by the numbers of nodes and shards.
 */
#ifndef HF_DAEMON_METRICS_H
#define HF_DAEMON_METRICS_H

#include "api/openmetrics.h"
#include "conductor/counters.h"
#include "daemon/drops.h"
#include "daemon/stray.h"
#include "io/worker.h"
#include "replication/replica.h"

struct metrics_source {
    const char *version;
    const struct counters *counters;
    const struct repl_status *status;
    struct datapath_drops esp;
    uint64_t worker[WORKER_COUNTER_COUNT], stray[STRAY_COUNTERS];
    uint64_t sas, half_open, children; /* that there are */
    struct metrics_shard {
        uint32_t id;
        bool acting; /* this node may act for it now */
    } shards[REPL_MAX_SHARDS];
    size_t n_shards;             /* of the configuration */
    uint64_t now_ns;             /* CLOCK_BOOTTIME, as leases have it */
    uint64_t uptime_ms;          /* of the daemon */
    uint64_t majority_ms;        /* since there was one last; UINT64_MAX: not since the start */
    uint64_t longest_turn_ns;    /* of the control loop, since the start */
    bool has_certificate;        /* among the nodes */
    int64_t certificate_until_s; /* wall clock */
    double cpu_s;
    uint64_t resident_bytes;
};

/* The text, the caller's to free. */
char *metrics_text(const struct metrics_source *source, size_t *bytes);

/* metrics_rows.c: a plain counter and the series that it is. Rows of one family stand together. */
struct metrics_row {
    const struct metrics_counter {
        struct openmetrics_family family;
        const char *label; /* NULL: the family is one series */
    } * counter;
    const char *value; /* of the label */
    enum { METRICS_CONDUCTOR, METRICS_REASON, METRICS_WORKER, METRICS_REPLICATION } of;
    int id; /* there */
};
const struct metrics_row *metrics_rows(size_t *n);

/* metrics.c: of struct daemon, for GET /metrics. */
char *metrics_get(void *daemon, size_t *bytes);

#endif
