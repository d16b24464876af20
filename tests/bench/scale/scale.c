/* Many SAs in a whole cluster, in one process: replication with its files and links (127.x), a
 * conductor with its data path and ESP worker on a control loop of its own for each node, as in the
 * daemon. The SAs are real ones (one that two engines of ours negotiated, with other SPIs and
 * addresses), put in as SaCreate records through repl_submit.
 *
 *   holdfast-scale --sas N [--nodes 1|3] [--dir DIR]
 *
 * Prints one JSON object a measurement:
 *   snapshot   the longest turn of each loop while every node takes a snapshot of N SAs, and how long
 *              an extension took to be applied meanwhile
 *   install    a node whose log no longer reaches that of the others gets the snapshot: the same
 *   restart    one node, from its disk: the same
 *   takeover   the owner's control loop stands still: from the last instant of its lease until the next
 *              owner acts; entries that the log took for it
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/scale/node.h"

enum { N_MAX = 3, WINDOW = 256, WAIT_S = 600, PACE_MS = 2 };

static struct scale_node nodes[N_MAX];
static struct scale_sas sas;
static size_t n_nodes = 3;
static uint64_t n_sas = 1000;
static const char *directory = "/tmp";

_Noreturn static void fail(const char *what)
{
    (void)fprintf(stderr, "holdfast-scale: %s\n", what);
    exit(1);
}

static uint64_t now_ms(void)
{
    return repl_boottime_ns() / 1000000;
}

/* Waits for a condition that the nodes bring about. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t until_ms = now_ms() + WAIT_S * 1000ull;                                           \
                                                                                                   \
        while (!(condition)) {                                                                     \
            if (now_ms() > until_ms)                                                               \
                fail("not within the time: " #condition);                                          \
            scale_pause();                                                                         \
        }                                                                                          \
    } while (0)

static struct scale_node *owner(void)
{
    for (size_t i = 0; i < n_nodes; i++)
        if (nodes[i].up && scale_node_acts(&nodes[i]))
            return &nodes[i];
    return NULL;
}

static bool all_have(uint64_t count)
{
    for (size_t i = 0; i < n_nodes; i++)
        if (nodes[i].up && atomic_load(&nodes[i].sas) != count)
            return false;
    return true;
}

static void create(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to;) {
        struct scale_node *o = owner();

        if (o == NULL || atomic_load(&o->outstanding) >= WINDOW || !scale_node_create(o, &sas, i))
            scale_pause();
        else
            i++;
    }
    UNTIL(all_have(to));
}

static uint64_t counted(enum repl_counter which)
{
    uint64_t n = 0;

    for (size_t i = 0; i < n_nodes; i++)
        if (nodes[i].up) {
            struct repl_status s;

            repl_status(nodes[i].repl, &s);
            n += s.counters[which];
        }
    return n;
}

struct around { /* what is compared before and after */
    uint64_t began_ms, leases_lost, assigned, snapshots;
};

static struct around begin(void)
{
    for (size_t i = 0; i < n_nodes; i++)
        if (nodes[i].up)
            scale_node_forget_turns(&nodes[i]);
    return (struct around){.began_ms = now_ms(),
                           .leases_lost = counted(REPL_COUNT_LEASES_LOST),
                           .assigned = counted(REPL_COUNT_ASSIGNED),
                           .snapshots = counted(REPL_COUNT_SNAPSHOTS)};
}

static void print_loops(void)
{
    uint64_t longest[2][2] = {{0}};

    (void)printf("\"loops_ms\":[");
    for (size_t i = 0; i < n_nodes; i++) {
        struct loop_turns control, replication;

        if (!nodes[i].up)
            continue;
        scale_node_turns(&nodes[i], &control, &replication);
        (void)printf("%s{\"node\":%zu,\"control\":%.2f,\"control_cpu\":%.2f,\"replication\":%.2f,"
                     "\"replication_cpu\":%.2f}",
                     i == 0 ? "" : ",", i + 1, (double)control.longest_ns / 1e6,
                     (double)control.longest_cpu_ns / 1e6, (double)replication.longest_ns / 1e6,
                     (double)replication.longest_cpu_ns / 1e6);
        for (int k = 0; k < 2; k++) {
            const struct loop_turns *t = k == 0 ? &control : &replication;

            longest[k][0] = t->longest_ns > longest[k][0] ? t->longest_ns : longest[k][0];
            longest[k][1] = t->longest_cpu_ns > longest[k][1] ? t->longest_cpu_ns : longest[k][1];
        }
    }
    (void)printf("],\"longest_ms\":{\"control\":%.2f,\"control_cpu\":%.2f,\"replication\":%.2f,"
                 "\"replication_cpu\":%.2f}",
                 (double)longest[0][0] / 1e6, (double)longest[0][1] / 1e6,
                 (double)longest[1][0] / 1e6, (double)longest[1][1] / 1e6);
}

static void report(const char *bench, const struct around *a)
{
    (void)printf("{\"bench\":\"%s\",\"sas\":%" PRIu64 ",\"nodes\":%zu,\"state_bytes\":%zu,"
                 "\"ms\":%" PRIu64 ",\"leases_lost\":%" PRIu64 ",\"assigned\":%" PRIu64 ",",
                 bench, n_sas, n_nodes, sas.state_bytes, now_ms() - a->began_ms,
                 counted(REPL_COUNT_LEASES_LOST) - a->leases_lost,
                 counted(REPL_COUNT_ASSIGNED) - a->assigned);
    print_loops();
}

static void start(size_t i)
{
    if (!scale_node_start(&nodes[i], &sas.policy, directory, (uint32_t)i + 1, n_nodes, n_sas))
        fail("a node does not start");
}

/* Extensions at a steady pace; how long the slowest took to be applied. */
static uint64_t beat_until(bool (*done)(const struct around *), const struct around *a)
{
    uint64_t slowest = 0, beats = 0, until_ms = now_ms() + WAIT_S * 1000ull;

    while (!done(a)) {
        struct scale_node *o = owner();
        uint64_t sent = repl_boottime_ns(), target;

        if (now_ms() > until_ms)
            fail("the snapshot does not end");
        target = o == NULL ? 0 : atomic_load(&o->settled) + 1;
        if (o != NULL && scale_node_extend(o, &sas, beats++ % n_sas)) {
            while (atomic_load(&o->settled) < target && now_ms() < until_ms)
                scale_pause();
            if (repl_boottime_ns() - sent > slowest)
                slowest = repl_boottime_ns() - sent;
        }
        scale_pause_ms(PACE_MS);
    }
    return slowest;
}

static bool all_took_one(const struct around *a)
{
    return counted(REPL_COUNT_SNAPSHOTS) >= a->snapshots + n_nodes;
}

/* Entries come until each node has taken one; what they carry is small. */
static void snapshot(void)
{
    struct around a;
    uint64_t slowest;

    a = begin();
    slowest = beat_until(all_took_one, &a);
    report("snapshot", &a);
    (void)printf(",\"slowest_commit_ms\":%.2f}\n", (double)slowest / 1e6);
    (void)fflush(stdout);
}

static size_t target;

static bool target_has_all(const struct around *a)
{
    (void)a;
    return atomic_load(&nodes[target].sas) == n_sas && atomic_load(&nodes[target].restored);
}

/* `with_install`: it was away for longer than the log reaches. */
static void comes_back(const char *bench, bool with_install)
{
    struct around a;
    uint64_t slowest;

    target = n_nodes - 1;
    if (owner() == &nodes[target])
        target = 0;
    scale_node_stop(&nodes[target]);
    UNTIL(owner() != NULL);
    if (with_install) {
        for (uint64_t i = 0; i < 2 * SCALE_SNAPSHOT_ENTRIES; i++) {
            struct scale_node *o;
            uint64_t settled;

            UNTIL((o = owner()) != NULL);
            settled = atomic_load(&o->settled);
            if (scale_node_extend(o, &sas, i % n_sas))
                UNTIL(atomic_load(&o->settled) > settled || !scale_node_acts(o));
        }
    }
    a = begin();
    start(target);
    slowest = beat_until(target_has_all, &a);
    report(bench, &a);
    (void)printf(",\"installs\":%" PRIu64 ",\"slowest_commit_ms\":%.2f}\n",
                 scale_node_installs(&nodes[target]), (double)slowest / 1e6);
    (void)fflush(stdout);
}

static void takeover(void)
{
    struct scale_node *old = owner(), *now;
    uint64_t rekeys = 0, acting_ns;
    struct repl_status before, after;

    if (old == NULL)
        fail("nobody owns the shard");
    repl_status(old->repl, &before);
    scale_node_stand_still(old, true);
    while (scale_node_acts(old))
        scale_pause();
    uint64_t silent_ns = repl_boottime_ns();

    UNTIL((now = owner()) != NULL && now != old);
    acting_ns = repl_boottime_ns();
    do { /* the status is at most a heartbeat old */
        scale_pause();
        repl_status(now->repl, &after);
    } while (after.shards[0].epoch.index != atomic_load(&now->epoch));
    scale_node_stand_still(old, false);
    for (size_t i = 0; i < n_nodes; i++)
        rekeys += atomic_load(&nodes[i].rekeys);
    (void)printf("{\"bench\":\"takeover\",\"sas\":%" PRIu64
                 ",\"gap_ms\":%.2f,\"assignments\":%" PRIu64 ",\"rekeys\":%" PRIu64
                 ",\"entries\":%" PRIu64 "}\n",
                 n_sas, (double)(acting_ns - silent_ns) / 1e6,
                 after.shards[0].assignments - before.shards[0].assignments, rekeys,
                 after.applied_index - before.applied_index);
    (void)fflush(stdout);
}

static void options(int argc, char **argv)
{
    static const struct option table[] = {{"sas", required_argument, NULL, 's'},
                                          {"nodes", required_argument, NULL, 'n'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (c) {
        case 's':
            n_sas = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            n_nodes = strtoul(optarg, NULL, 10);
            break;
        case 'd':
            directory = optarg;
            break;
        default:
            fail("usage: holdfast-scale --sas N [--nodes 1|3] [--dir DIR]");
        }
    if (n_sas == 0 || n_sas > 1000000 || n_nodes == 0 || n_nodes > N_MAX)
        fail("so many SAs or nodes cannot be");
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    options(argc, argv);
    scale_sas_init(&sas);
    for (size_t i = 0; i < n_nodes; i++) {
        if (!scale_node_init(directory, (uint32_t)i + 1, n_nodes))
            fail("a data directory cannot be made");
        start(i);
    }
    UNTIL(owner() != NULL);
    create(0, n_sas);
    snapshot();
    if (n_nodes > 1) {
        takeover();
        takeover();
        takeover();
    }
    comes_back("restart", false);
    if (n_nodes > 1)
        comes_back("install", true);
    for (size_t i = 0; i < n_nodes; i++)
        scale_node_stop(&nodes[i]);
    return 0;
}
