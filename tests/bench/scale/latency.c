/* How long a record takes through the log: from repl_submit() until its event is taken by the control
 * loop of the node that submitted it. Three nodes in one process, with files and links (127.x), as
 * holdfast-scale has them.
 *
 *   holdfast-latency [--records N] [--dir DIR] [--slow N] [--flood-only]
 *
 * Prints one JSON object for each of: the owner leads, another node leads.
 *   at rest    one record at a time, 31 to 53 ms between two, above Raft's heartbeat: microseconds
 *   in a row   the next as soon as the one before is applied: microseconds
 *   flood      256 on their way at any time: records a second
 * and the processor time that the whole process (all three nodes) took in each, in microseconds a
 * record: that one depends less on what else the machine does.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bench/scale/node.h"

enum {
    N = 3,
    WINDOW = 256,
    WAIT_S = 120,
    LEAD_AGAIN_S = 1,
    WARM = 200,
    REST_MS = 31,
    TRIES = 5,
    MOST = 1000000
};

static struct scale_node nodes[N];
static struct scale_sas sas;
static uint64_t n_records = 2000;
static bool flood_only;
static const char *directory = "/tmp";
static uint64_t taken_ns[MOST];

_Noreturn static void fail(const char *what)
{
    (void)fprintf(stderr, "holdfast-latency: %s\n", what);
    exit(1);
}

static struct scale_node *owner(void)
{
    uint64_t until_ns = repl_boottime_ns() + WAIT_S * 1000000000ull;

    for (;;) {
        for (size_t i = 0; i < N; i++)
            if (scale_node_acts(&nodes[i]))
                return &nodes[i];
        if (repl_boottime_ns() > until_ns)
            fail("nobody owns the shard");
        scale_pause();
    }
}

static uint32_t leader_of(struct scale_node *n)
{
    struct repl_status s;

    repl_status(n->repl, &s);
    return s.leader;
}

/* Asked again and again: a transfer waits for nothing on its way, and may be refused. */
static void lead(struct scale_node *o, uint32_t node)
{
    uint64_t until_ns = repl_boottime_ns() + WAIT_S * 1000000000ull, again_ns = 0;

    while (leader_of(o) != node) {
        uint64_t now = repl_boottime_ns();

        if (now > until_ns)
            fail("leadership does not move");
        if (now >= again_ns) {
            if (repl_transfer_leader(o->repl, node) == REPL_OK)
                again_ns = now + LEAD_AGAIN_S * 1000000000ull;
        }
        scale_pause();
    }
}

/* One record; how long it took. 0: the owner changed meanwhile. */
static uint64_t one(struct scale_node *o, uint64_t i)
{
    uint64_t target = atomic_load(&o->settled) + 1;
    uint64_t until_ns = repl_boottime_ns() + WAIT_S * 1000000000ull, sent = repl_boottime_ns();

    if (!scale_node_extend(o, &sas, i))
        return 0;
    while (atomic_load(&o->settled) < target) {
        if (repl_boottime_ns() > until_ns)
            fail("a record is not applied");
        scale_pause_settled(o, target);
    }
    return atomic_load(&o->settled_ns) - sent;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

struct times {
    double p50, p99, max; /* microseconds */
    double cpu;           /* microseconds a record */
};

static double cpu_us(void)
{
    struct rusage u;

    HF_ASSERT(getrusage(RUSAGE_SELF, &u) == 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static struct times summary(uint64_t n)
{
    uint64_t p50 = n / 2, p99 = (n - 1) * 99 / 100;

    qsort(taken_ns, n, sizeof *taken_ns, by_size);
    return (struct times){.p50 = (double)taken_ns[p50] / 1e3,
                          .p99 = (double)taken_ns[p99] / 1e3,
                          .max = (double)taken_ns[n - 1] / 1e3};
}

/* pause_ms between two; above 0 it varies, so that no beat of the cluster's is in step with it.
 * False: the owner lost the shard. */
static bool times(struct scale_node *o, unsigned pause_ms, uint64_t n, struct times *out)
{
    double began_us = cpu_us();

    for (uint64_t i = 0; i < n; i++) {
        if (pause_ms > 0)
            scale_pause_ms(pause_ms + (unsigned)(i * 7 % 23));
        taken_ns[i] = one(o, i);
        if (taken_ns[i] == 0)
            return false;
    }
    *out = summary(n);
    out->cpu = (cpu_us() - began_us) / (double)n;
    return true;
}

static bool flood(struct scale_node *o, double *per_s, double *cpu)
{
    double began_us = cpu_us();
    uint64_t began = repl_boottime_ns(), first = atomic_load(&o->settled), target, i = 0;
    uint64_t until_ns = began + WAIT_S * 1000000000ull;

    target = first + 10 * n_records;
    while (atomic_load(&o->settled) < target) {
        bool more = first + i < target && atomic_load(&o->outstanding) < WINDOW;

        if (repl_boottime_ns() > until_ns || !scale_node_acts(o))
            return false;
        if (more && scale_node_extend(o, &sas, i))
            i++;
        else
            scale_pause_settled(o, atomic_load(&o->settled) + 1);
    }
    *per_s = (double)(10 * n_records) * 1e9 / (double)(repl_boottime_ns() - began);
    *cpu = (cpu_us() - began_us) / (double)(10 * n_records);
    return true;
}

static void print_times(const char *name, const struct times *t)
{
    (void)printf(",\"%s_us\":{\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f,\"cpu\":%.0f}", name, t->p50,
                 t->p99, t->max, t->cpu);
}

/* False: owner or leader changed under it (a busy machine), so it says nothing. */
static bool measure(bool owner_leads)
{
    struct scale_node *o = owner();
    uint32_t leader = owner_leads ? o->id : o->id % N + 1;
    struct times rest, row;
    double per_s, cpu;

    lead(o, leader);
    for (uint64_t i = 0; i < WARM; i++)
        (void)one(o, i);
    if (!flood_only &&
        (!times(o, REST_MS, n_records / 5, &rest) || !times(o, 0, 5 * n_records, &row)))
        return false;
    if (!flood(o, &per_s, &cpu) || leader_of(o) != leader)
        return false;
    (void)printf("{\"bench\":\"commit\",\"submitted_by\":\"%s\",\"slow\":%u",
                 owner_leads ? "leader" : "follower", scale_slow);
    if (!flood_only) {
        print_times("at_rest", &rest);
        print_times("in_a_row", &row);
    }
    (void)printf(",\"flood_records_per_s\":%.0f,\"flood_cpu_us\":%.2f}\n", per_s, cpu);
    (void)fflush(stdout);
    return true;
}

static void options(int argc, char **argv)
{
    static const struct option table[] = {{"records", required_argument, NULL, 'r'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {"slow", required_argument, NULL, 't'},
                                          {"flood-only", no_argument, NULL, 'f'},
                                          {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (c) {
        case 'r':
            n_records = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            directory = optarg;
            break;
        case 't':
            scale_slow = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            flood_only = true;
            break;
        default:
            fail("usage: holdfast-latency [--records N] [--dir DIR] [--slow N] [--flood-only]");
        }
    if (n_records < 5 || n_records > MOST / 5 || scale_slow == 0)
        fail("so many records cannot be");
}

int main(int argc, char **argv)
{
    bool done = true;

    (void)signal(SIGPIPE, SIG_IGN);
    options(argc, argv);
    scale_sas_init(&sas);
    for (uint32_t i = 0; i < N; i++)
        if (!scale_node_init(directory, i + 1, N) ||
            !scale_node_start(&nodes[i], &sas.policy, directory, i + 1, N, 16))
            fail("a node does not start");
    for (int leads = 1; leads >= 0 && done; leads--) {
        done = false;
        for (int i = 0; i < TRIES && !done; i++)
            done = measure(leads == 1);
    }
    if (!done)
        fail("owner or leader changes all the time: this machine is too busy");
    for (size_t i = 0; i < N; i++)
        scale_node_stop(&nodes[i]);
    return 0;
}
