/* The simulator as a program; tests/sim/run starts it.
 *
 *   sim --seed S [--verbose] [--walls] [--ms N]   one seed: its trace hash, and what was wrong
 *   sim --seeds N --start S [--jobs J] [--ms N]   many, J at a time; one JSON object
 *
 * --walls: once more with other wall clocks, as one seed in 25 is anyway. --ms N: simulated time of
 * each seed, instead of what it draws; --heal N: of that the healing's part in three of four seeds,
 * 45000 at least (75000); --first: it ends at its first violation; --cpu-ms N: CPU time that a seed may
 * take (1200000). Exit status 1: a
 * violation, a seed whose process ended or did not come to an end, or (over 100 seeds and more) a kind of fault that never came,
 * or (if they are not made short by --ms) a collision, or a rule of the judge that judged nothing.
 */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/sim_run.h"

enum {
    MAX_JOBS = 16,
    MANY = 100,
    MANY_MS = MANY * 240000,
    CPU_MS = 1200000,     /* a seed takes some seconds, half a minute with sanitizers */
    TROUBLED_PERCENT = 25 /* of the simulated time, at least */
};

struct arguments {
    struct sim_options one;
    uint64_t seeds, start, cpu_ms;
    unsigned jobs;
};

struct totals {
    struct sim_stats stats;
    uint64_t seeds, failed, first_failing, trace;
    char first[300];
};

/* A process that runs one seed after the other: those with (seed - start) % jobs == its number. */
struct runner {
    pid_t pid;
    int from;
    uint64_t next; /* the seed that it is at */
};

static void usage(void)
{
    (void)fprintf(stderr, "sim --seed S [--verbose] [--quiet] [--walls] [--first] [--ms N] "
                          "[--heal N]\n"
                          "sim --seeds N --start S [--jobs J] [--ms N] [--heal N]\n");
    exit(2);
}

static void parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},   {"seeds", required_argument, NULL, 'n'},
        {"start", required_argument, NULL, 'a'},  {"jobs", required_argument, NULL, 'j'},
        {"ms", required_argument, NULL, 'm'},     {"verbose", no_argument, NULL, 'v'},
        {"quiet", no_argument, NULL, 'q'},        {"walls", no_argument, NULL, 'w'},
        {"first", no_argument, NULL, 'f'},        {"heal", required_argument, NULL, 'h'},
        {"cpu-ms", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    int c;

    *a = (struct arguments){.jobs = 2, .cpu_ms = CPU_MS};
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t n = optarg != NULL ? strtoull(optarg, NULL, 0) : 0;

        switch (c) {
        case 's':
            a->one.seed = n;
            break;
        case 'n':
            a->seeds = n;
            break;
        case 'a':
            a->start = n;
            break;
        case 'j':
            a->jobs = (unsigned)n;
            break;
        case 'm':
            a->one.run_ms = n;
            break;
        case 'h':
            a->one.heal_ms = n;
            break;
        case 'c':
            a->cpu_ms = n;
            break;
        case 'v':
            a->one.verbose = true;
            break;
        case 'w':
            a->one.walls = true;
            break;
        case 'f':
            a->one.first = true;
            break;
        case 'q':
            a->one.quiet = true;
            break;
        default:
            usage();
        }
    }
    if (optind != argc || a->jobs == 0 || a->jobs > MAX_JOBS ||
        (a->one.heal_ms != 0 && a->one.heal_ms < SIM_HEAL_LEAST_MS))
        usage();
}

/* A seed that does not come to its end is red, too: SIGVTALRM ends the process. */
static void limit_cpu(const struct arguments *a)
{
    const struct itimerval limit = {
        .it_value = {.tv_sec = (time_t)(a->cpu_ms / 1000),
                     .tv_usec = (suseconds_t)(a->cpu_ms % 1000 * 1000)}};

    HF_ASSERT(setitimer(ITIMER_VIRTUAL, &limit, NULL) == 0);
}

static int run_one(const struct arguments *a)
{
    struct sim_result r;

    limit_cpu(a);
    sim_run(&a->one, &r);
    (void)printf("{\"seed\":%" PRIu64 ",\"trace\":\"%016" PRIx64 "\",", r.seed, r.trace);
    sim_stats_print(&r.stats, stdout);
    (void)printf(",\"first_violation\":\"%s\"}\n", r.first);
    return r.violations > 0;
}

static void write_all(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done <= 0)
            _exit(3);
        p += done;
        n -= (size_t)done;
    }
}

static bool read_all(int fd, void *bytes, size_t n)
{
    char *p = bytes;

    while (n > 0) {
        ssize_t done = read(fd, p, n);

        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static void start(const struct arguments *a, struct runner *r)
{
    int fds[2];

    if (pipe(fds) != 0 || (r->pid = fork()) < 0) {
        perror("sim");
        exit(2);
    }
    if (r->pid > 0) {
        (void)close(fds[1]);
        r->from = fds[0];
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close(fds[0]);
    for (uint64_t seed = r->next; seed < a->start + a->seeds; seed += a->jobs) {
        struct sim_options o = a->one;
        struct sim_result result;

        o.seed = seed;
        limit_cpu(a);
        sim_run(&o, &result);
        write_all(fds[1], &result, sizeof result);
    }
    exit(0); /* what it has not freed is found there, under ASan */
}

static void fail(struct totals *t, uint64_t seed, const char *what)
{
    (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, what);
    if (t->failed++ > 0 && seed > t->first_failing)
        return;
    t->first_failing = seed;
    (void)snprintf(t->first, sizeof t->first, "%s", what);
}

/* False: this runner has nothing more. */
static bool take(const struct arguments *a, struct runner *r, struct totals *t)
{
    struct sim_result result;
    char what[120];
    int status = 0;

    if (read_all(r->from, &result, sizeof result)) {
        t->seeds++;
        t->trace += result.trace;
        sim_stats_add(&t->stats, &result.stats);
        if (result.violations > 0)
            fail(t, result.seed, result.first);
        r->next += a->jobs;
        return true;
    }
    (void)close(r->from);
    (void)waitpid(r->pid, &status, 0);
    if (r->next >= a->start + a->seeds) {
        if (status != 0)
            fail(t, r->next - a->jobs, "the process was not well at its end: a leak?");
        return false;
    }
    (void)snprintf(what, sizeof what, "the process ended, %s %d: %s",
                   WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                   WIFSIGNALED(status) && WTERMSIG(status) == SIGVTALRM
                       ? "it did not come to an end"
                       : "an assertion of the product's, or of the simulator's");
    fail(t, r->next, what);
    t->seeds++;
    t->stats.counts[SIM_COUNT_violations]++;
    r->next += a->jobs;
    start(a, r);
    return true;
}

/* What never came: names, a space behind each. */
struct missing {
    char faults[1024], cases[1024], rules[1024];
};

static void add_name(char *names, size_t cap, const char *name)
{
    size_t n = strlen(names);

    (void)snprintf(names + n, cap - n, "%s ", name);
}

static void find_missing(const struct sim_stats *s, struct missing *m)
{
    for (int i = 0; i < SIM_FAULTS; i++)
        if (s->faults[i] == 0)
            add_name(m->faults, sizeof m->faults, sim_fault_name((enum sim_fault)i));
    if (s->counts[SIM_COUNT_troubled_ms] * 100 <
        s->counts[SIM_COUNT_simulated_ms] * TROUBLED_PERCENT)
        add_name(m->faults, sizeof m->faults, "time_with_faults");
    if (s->counts[SIM_COUNT_simulated_ms] < MANY_MS) /* so many shorter ones need not have all */
        return;
    for (int i = 0; i < SIM_WATCH_CASES; i++)
        if (s->cases[i] == 0)
            add_name(m->cases, sizeof m->cases, sim_watch_case_name((enum sim_watch_case)i));
    for (int i = 0; i < SIM_WATCH_RULES; i++)
        if (s->judged[i] == 0)
            add_name(m->rules, sizeof m->rules, sim_watch_rule_name((enum sim_watch_rule)i));
    if (s->counts[SIM_COUNT_rings_checked] == 0)
        add_name(m->rules, sizeof m->rules, "erased_keys");
}

static void report(const struct totals *t, const struct missing *missing)
{
    (void)printf("{\"seeds\":%" PRIu64 ",", t->seeds);
    sim_stats_print(&t->stats, stdout);
    (void)printf(",\"failed\":%" PRIu64 ",\"first_failing_seed\":", t->failed);
    if (t->failed > 0)
        (void)printf("%" PRIu64 ",\"first_violation\":\"%s\"", t->first_failing, t->first);
    else
        (void)printf("null");
    (void)printf(
        ",\"faults_missing\":\"%s\",\"cases_missing\":\"%s\",\"rules_missing\":\"%s\",\"trace\":"
        "\"%016" PRIx64 "\"}\n",
        missing->faults, missing->cases, missing->rules, t->trace);
}

static int run_many(const struct arguments *a)
{
    struct runner runners[MAX_JOBS];
    struct pollfd fds[MAX_JOBS];
    struct totals t = {0};
    struct missing missing = {0};
    unsigned left = a->jobs;

    for (unsigned i = 0; i < a->jobs; i++) {
        runners[i] = (struct runner){.next = a->start + i};
        start(a, &runners[i]);
        fds[i] = (struct pollfd){.fd = runners[i].from, .events = POLLIN};
    }
    while (left > 0) {
        if (poll(fds, a->jobs, -1) < 0)
            continue;
        for (unsigned i = 0; i < a->jobs; i++) {
            if (fds[i].fd < 0 || fds[i].revents == 0)
                continue;
            if (take(a, &runners[i], &t)) {
                fds[i].fd = runners[i].from;
                continue;
            }
            fds[i].fd = -1;
            left--;
        }
    }
    if (t.seeds >= MANY)
        find_missing(&t.stats, &missing);
    report(&t, &missing);
    return t.failed > 0 || t.seeds == 0 || missing.faults[0] != '\0' || missing.cases[0] != '\0' ||
           missing.rules[0] != '\0';
}

int main(int argc, char **argv)
{
    struct arguments a;

    parse(argc, argv, &a);
    return a.seeds > 0 ? run_many(&a) : run_one(&a);
}
