/* Gathers what GET /metrics says; on the control loop, so it asks nothing that may wait but two small
 * questions to the kernel about this process. */
#include "daemon/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/tls_identity.h"

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void gather_process(struct metrics_source *s)
{
    struct rusage use;
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long all, resident;

    if (getrusage(RUSAGE_SELF, &use) == 0)
        s->cpu_s = seconds(&use.ru_utime) + seconds(&use.ru_stime);
    if (f == NULL)
        return;
    if (fscanf(f, "%lu %lu", &all, &resident) == 2)
        s->resident_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
    (void)fclose(f);
}

static void gather_counters(struct daemon *d, struct metrics_source *s)
{
    s->counters = conductor_counters(d->conductor);
    datapath_drops(d->datapath, &s->esp);
    for (int i = 0; i < WORKER_COUNTER_COUNT; i++)
        s->worker[i] = worker_pool_counter(d->pool, (enum worker_counter)i);
    for (int i = 0; i < STRAY_COUNTERS; i++)
        s->stray[i] = strays_counter(d->gateway.strays, (enum stray_counter)i);
    s->sas = conductor_count_sas(d->conductor);
    s->half_open = conductor_count_half_open(d->conductor);
    s->children = conductor_count_children(d->conductor);
}

char *metrics_get(void *self, size_t *bytes)
{
    struct daemon *d = self;
    struct repl_status status;
    struct metrics_source s = {.version = HOLDFAST_VERSION, .status = &status};
    uint64_t now_ms = io_boottime_ms();

    repl_status(d->repl, &status);
    gather_counters(d, &s);
    gather_process(&s);
    s.n_shards = d->n_shards;
    for (uint32_t i = 0; i < d->n_shards; i++)
        s.shards[i] = (struct metrics_shard){d->shards[i].config->id,
                                             gateway_may_act(&d->gateway, d->shards[i].config->id)};
    s.now_ns = io_boottime_ns();
    s.uptime_ms = now_ms - d->started_ms;
    s.majority_ms = d->majority_ms == 0 ? UINT64_MAX : now_ms - d->majority_ms;
    s.longest_turn_ns = atomic_load_explicit(&d->turns.ever_ns, memory_order_relaxed);
    s.has_certificate = d->tls != NULL;
    if (d->tls != NULL)
        s.certificate_until_s = tls_identity_expires(d->tls);
    return metrics_text(&s, bytes);
}
