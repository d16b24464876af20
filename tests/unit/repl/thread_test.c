/* The replica on its thread, with the real log and the real transport: alone, and three processes
 * on loopback of which one is killed. Times are printed, never judged: the machine is noisy. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster_pki/cluster_pki.h"
#include "replication/replica.h"
#include "unit/repl/alone.h"
#include "unit/repl/loopback.h"
#include "unit/repl/make.h"

enum { WAIT_MS = 60000 };

static char root[] = "/tmp/hf-repl-XXXXXX";

static void make_root(void)
{
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_thread, .init = make_root, .fini = remove_root);

static char directories[5][64];

/* One of each node for all tests here, alive as long as the process. */
static struct tls_identity *identity_of(uint32_t node)
{
    static struct tls_identity *identities[5];
    static struct cluster_pki pki;

    if (pki.cluster == NULL)
        cluster_pki_init(&pki, "lab");
    if (identities[node - 1] == NULL)
        identities[node - 1] = cluster_pki_identity(&pki, node);
    return identities[node - 1];
}

static void fill(struct repl_options *o, uint32_t node, const struct endpoint *where, size_t n)
{
    *o = (struct repl_options){
        .node = node,
        .data_dir = directories[node - 1],
        .n_nodes = n,
        .shards = {{.shard = 1, .prefer = 1}},
        .n_shards = 1,
        .timing = {.election_ms = 150,
                   .heartbeat_ms = 30,
                   .lease_ms = 150,
                   .lease_heartbeat_ms = 30},
        .tls = n > 1 ? identity_of(node) : NULL,
    };
    (void)snprintf(directories[node - 1], sizeof directories[0], "%s/%u", root, (unsigned)node);
    for (size_t i = 0; i < n; i++) {
        o->nodes[i].node = (uint32_t)i + 1;
        if (n > 1)
            o->nodes[i].address = where[i];
    }
}

/* Waits for the next event of that kind (and, for a lease, held or not); others are freed. */
static struct repl_event *await(struct repl *repl, enum repl_event_kind kind)
{
    uint64_t end = repl_boottime_ns() + WAIT_MS * 1000000ull;

    while (repl_boottime_ns() < end) {
        struct repl_event *e = repl_next_event(repl);
        struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};

        conductor_stamp(repl);
        if (e == NULL) {
            (void)poll(&p, 1, 20);
            continue;
        }
        if (e->kind == kind && (kind != REPL_EV_LEASE || e->held) &&
            (kind != REPL_EV_APPLIED || e->mine))
            return e;
        repl_event_free(e);
    }
    cr_assert_fail("no event of kind %d within %d ms", (int)kind, (int)WAIT_MS);
    return NULL;
}

static uint64_t await_lease(struct repl *repl)
{
    struct repl_event *e = await(repl, REPL_EV_LEASE);
    uint64_t epoch = e->epoch.index;

    repl_event_free(e);
    return epoch;
}

static void submit_create(struct repl *repl, uint64_t epoch, uint64_t id)
{
    struct maker m = {.node = 1, .boot = 1, .request = 1, .shard = 1, .epoch_index = epoch};
    struct repl_status st;
    Holdfast__Record *r;
    uint64_t request = 0;

    repl_status(repl, &st);
    m.incarnation = st.incarnation;
    r = make_create(&m, id, "state", (uint32_t)(1000 + id), 0, "");
    cr_assert_eq(repl_submit(repl, r, NULL, &request), REPL_OK);
    cr_assert_neq(request, 0);
    record_free(r);
}

/* A service manager's part: a copy of the memfd outlives the replica. */
static void keep_fd(void *self, int fd)
{
    *(int *)self = dup(fd);
}

/* Which of SAs 1..n a start finds restored or applied again. */
static size_t count_sas(struct repl *repl)
{
    struct repl_status status;

    repl_status(repl, &status);
    return status.counters[REPL_COUNT_ACCEPTED];
}

/* 200 SAs; then the daemon starts anew, once with the memory of the machine, once without. */
static void restarts(bool machine_stays_on)
{
    struct repl_options o;
    struct repl_error error;
    struct repl_status status;
    struct repl *repl;
    uint64_t epoch;
    int kept = 0;

    fill(&o, 1, NULL, 1);
    o.keep_keys_fd = keep_fd;
    o.keep_keys_self = &kept;
    cr_assert(repl_init(&o, &error), "%s", error.text);
    repl = repl_start(&o, &error);
    cr_assert_not_null(repl, "%s", error.text);
    cr_assert_gt(kept, 0);
    conductor_stamp(repl);
    epoch = await_lease(repl);
    for (uint64_t i = 1; i <= 200; i++)
        submit_create(repl, epoch, i);
    for (uint64_t i = 1; i <= 200; i++) {
        struct repl_event *e = await(repl, REPL_EV_APPLIED);

        cr_assert_eq(e->verdict, REPL_ACCEPTED);
        cr_assert_eq(e->request, i);
        repl_event_free(e);
    }
    cr_assert_gt(atomic_load(&repl_lease(repl, 1)->until_ns), repl_boottime_ns());
    cr_assert_eq(atomic_load(&repl_lease(repl, 1)->epoch_index), epoch);
    repl_stop(repl);

    o.kept_keys_fd = machine_stays_on ? kept : 0;
    repl = repl_start(&o, &error);
    cr_assert_not_null(repl, "%s", error.text);
    conductor_stamp(repl);
    cr_assert_gt(await_lease(repl), epoch);
    repl_status(repl, &status);
    cr_assert_eq(status.counters[REPL_COUNT_REFUSED_EPOCH], 0);
    if (machine_stays_on)
        cr_assert_geq(count_sas(repl), 200);
    else
        cr_assert_lt(count_sas(repl), 50, "%zu", count_sas(repl));
    cr_assert(status.quorum);
    repl_stop(repl);
}

Test(repl_thread, a_single_node_commits_and_restarts)
{
    restarts(true);
}

Test(repl_thread, a_single_node_whose_machine_was_off_begins_without_sessions)
{
    restarts(false);
}

/* Who is told that a record was applied finds it in the status: its digest, its index. */
Test(repl_thread, what_was_told_as_applied_is_in_the_status)
{
    struct repl_options o;
    struct repl_error error;
    struct repl_status before, now;
    struct repl_event *e;
    struct repl *repl;
    uint64_t epoch;

    fill(&o, 1, NULL, 1);
    cr_assert(repl_init(&o, &error), "%s", error.text);
    repl = repl_start(&o, &error);
    cr_assert_not_null(repl, "%s", error.text);
    epoch = await_lease(repl);
    for (uint64_t i = 1; i <= 50; i++) {
        repl_status(repl, &before);
        submit_create(repl, epoch, i);
        e = await(repl, REPL_EV_APPLIED);
        repl_status(repl, &now);
        cr_assert_eq(e->verdict, REPL_ACCEPTED);
        cr_assert_geq(now.applied_index, e->index, "SA %lu", (unsigned long)i);
        cr_assert_neq(memcmp(before.digest, now.digest, sizeof now.digest), 0);
        repl_event_free(e);
    }
    repl_stop(repl);
}

Test(repl_thread, refusals_say_why)
{
    struct repl_options o;
    struct repl_error error;
    struct endpoint at[3];

    loopback_endpoints(at, 3);
    fill(&o, 1, at, 3);
    o.tls = NULL;
    cr_assert_null(repl_start(&o, &error));
    cr_assert_not_null(strstr(error.text, "certificates"), "%s", error.text);
    o.tls = identity_of(2);
    cr_assert_null(repl_start(&o, &error));
    cr_assert_not_null(strstr(error.text, "another node's"), "%s", error.text);
    o.tls = identity_of(1);
    cr_assert_null(repl_start(&o, &error));
    cr_assert_not_null(strstr(error.text, o.data_dir), "%s", error.text);
    cr_assert(repl_init(&o, &error), "%s", error.text);
    cr_assert_not(repl_init(&o, &error));
    cr_assert_not_null(strstr(error.text, o.data_dir), "%s", error.text);

    struct repl_options other = o;

    other.n_nodes = 1;
    cr_assert_null(repl_start(&other, &error), "a list of its own");
    cr_assert_not_null(strstr(error.text, "node list"), "%s", error.text);
    other.n_nodes = 3;
    other.node = 2;
    cr_assert_null(repl_start(&other, &error), "another node's directory was taken");
    o.nodes[1].node = 1;
    cr_assert_null(repl_start(&o, &error));
    o.nodes[1].node = 2;

    /* A port in use: by ourselves. */
    struct repl *repl = repl_start(&o, &error);

    cr_assert_not_null(repl, "%s", error.text);
    fill(&other, 2, at, 3);
    cr_assert(repl_init(&other, &error), "%s", error.text);
    other.nodes[1].address = at[0];
    cr_assert_null(repl_start(&other, &error));
    cr_assert_not_null(strstr(error.text, "127."), "%s", error.text);
    repl_stop(repl);
}

/* --- three processes --- */

struct child {
    pid_t pid;
    int to, from; /* commands; lines of what happened */
    char buffer[4096];
    size_t n;
};

static struct endpoint listen_at[3];

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char line[200];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(3);
}

static void child_event(const struct repl_event *e, uint64_t *epoch)
{
    unsigned long long ns = repl_boottime_ns();

    if (e->kind == REPL_EV_LEASE)
        say("lease %d %llu\n", (int)e->held, ns);
    if (e->kind == REPL_EV_ASSIGNED && e->mine)
        *epoch = e->epoch.index;
    if (e->kind == REPL_EV_APPLIED && e->mine)
        say("applied %d %llu\n", (int)e->verdict, ns);
    if (e->kind == REPL_EV_LEADER)
        say("leader %u %llu\n", (unsigned)e->node, ns);
}

/* One node's process: "c ID N" creates N SAs, "l NODE" moves leadership, "d" says applied index and
 * digest. */
static void child_command(struct repl *repl, const char *line, uint64_t epoch)
{
    unsigned long long first = 0;
    unsigned long long n = 0;

    if (sscanf(line, "c %llu %llu", &first, &n) == 2)
        for (unsigned long long i = 0; i < n; i++)
            submit_create(repl, epoch, first + i);
    if (sscanf(line, "l %llu", &n) == 1)
        (void)!repl_transfer_leader(repl, (uint32_t)n);
    if (line[0] == 'd') {
        struct repl_status s;

        repl_status(repl, &s);
        say("digest %llu %02x%02x%02x%02x\n", (unsigned long long)s.counters[REPL_COUNT_ACCEPTED],
            s.digest[0], s.digest[1], s.digest[2], s.digest[3]);
    }
}

static _Noreturn void run_child(uint32_t node)
{
    struct repl_options o;
    struct repl_error error;
    uint64_t epoch = 0;
    struct repl *repl;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    fill(&o, node, listen_at, 3);
    repl = repl_start(&o, &error);
    if (repl == NULL) {
        say("refused %s\n", error.text);
        _exit(2);
    }
    for (;;) {
        struct pollfd p[2] = {{.fd = repl_event_fd(repl), .events = POLLIN},
                              {.fd = STDIN_FILENO, .events = POLLIN}};
        struct repl_event *e;
        char line[256];
        ssize_t n;

        conductor_stamp(repl);
        (void)poll(p, 2, 20);
        while ((e = repl_next_event(repl)) != NULL) {
            child_event(e, &epoch);
            repl_event_free(e);
        }
        if ((p[1].revents & (POLLIN | POLLHUP)) == 0)
            continue;
        n = read(STDIN_FILENO, line, sizeof line - 1);
        if (n <= 0)
            break;
        line[n] = '\0';
        child_command(repl, line, epoch);
    }
    repl_stop(repl);
    _exit(0);
}

static void spawn(struct child *c, uint32_t node)
{
    int in[2];
    int out[2];

    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    *c = (struct child){.pid = fork(), .to = in[1], .from = out[0]};
    cr_assert_geq(c->pid, 0);
    if (c->pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        for (int fd = 3; fd < 64; fd++)
            (void)close(fd);
        run_child(node);
    }
    (void)close(in[0]);
    (void)close(out[1]);
}

static void command(struct child *c, const char *text)
{
    cr_assert_eq(write(c->to, text, strlen(text)), (ssize_t)strlen(text));
}

/* The next line of any child: which one, or -1 after `ms`. */
static int next_line(struct child *children, char *line, size_t cap, int ms)
{
    uint64_t end = repl_boottime_ns() + (uint64_t)ms * 1000000;

    for (;;) {
        struct pollfd p[3];

        for (int i = 0; i < 3; i++) {
            struct child *c = &children[i];
            char *nl = memchr(c->buffer, '\n', c->n);

            if (nl != NULL) {
                size_t n = (size_t)(nl - c->buffer);

                (void)snprintf(line, cap, "%.*s", (int)n, c->buffer);
                memmove(c->buffer, nl + 1, c->n - n - 1);
                c->n -= n + 1;
                return i;
            }
            p[i] = (struct pollfd){.fd = c->pid > 0 ? c->from : -1, .events = POLLIN};
        }
        if (repl_boottime_ns() >= end)
            return -1;
        (void)poll(p, 3, 50);
        for (int i = 0; i < 3; i++)
            if ((p[i].revents & POLLIN) != 0) {
                struct child *c = &children[i];
                ssize_t n = read(c->from, c->buffer + c->n, sizeof c->buffer - c->n);

                if (n > 0)
                    c->n += (size_t)n;
            } else if (p[i].revents != 0) {
                children[i].pid = -children[i].pid; /* ended: nothing more comes */
            }
    }
}

/* Who reports a lease next, and when. */
static int await_owner(struct child *children, uint64_t *at_ns)
{
    char line[256];
    int i;

    while ((i = next_line(children, line, sizeof line, WAIT_MS)) >= 0) {
        unsigned long long ns;

        cr_assert_null(strstr(line, "refused"), "%s", line);
        if (sscanf(line, "lease 1 %llu", &ns) == 1) {
            *at_ns = ns;
            return i;
        }
    }
    cr_assert_fail("nobody owns");
    return -1;
}

static void await_applied(struct child *children, int owner, int n)
{
    char line[256];
    int i;

    while (n > 0 && (i = next_line(children, line, sizeof line, WAIT_MS)) >= 0)
        n -= i == owner && strncmp(line, "applied 0", 9) == 0;
    cr_assert_eq(n, 0, "%d records were not applied", n);
}

static void await_leader(struct child *children, int owner)
{
    char line[256];
    char wanted[32];

    (void)snprintf(wanted, sizeof wanted, "l %d\n", owner + 1);
    for (int tries = 0; tries < 30; tries++) {
        int i;

        command(&children[owner], wanted);
        while ((i = next_line(children, line, sizeof line, 500)) >= 0) {
            unsigned node;

            if (i == owner && sscanf(line, "leader %u", &node) == 1 && (int)node == owner + 1)
                return;
        }
        /* Already leading: the transfer to itself said nothing. */
        return;
    }
}

static void kill_child(struct child *c)
{
    cr_assert_eq(kill(c->pid, SIGKILL), 0);
    cr_assert_eq(waitpid(c->pid, NULL, 0), c->pid);
    (void)close(c->to);
    (void)close(c->from);
    c->pid = 0;
    c->n = 0;
}

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x;
    double b = *(const double *)y;

    return (a > b) - (a < b);
}

Test(repl_thread, three_processes_take_over_from_a_killed_owner, .timeout = 280)
{
    enum { ROUNDS = 12 };
    struct child children[3];
    double ms[ROUNDS];
    uint64_t next = 1;
    uint64_t at = 0;
    int owner;

    loopback_endpoints(listen_at, 3);
    for (uint32_t i = 1; i <= 3; i++) {
        struct repl_options o;
        struct repl_error error;

        fill(&o, i, listen_at, 3);
        cr_assert(repl_init(&o, &error), "%s", error.text);
    }
    for (uint32_t i = 1; i <= 3; i++)
        spawn(&children[i - 1], i);
    owner = await_owner(children, &at);
    for (int round = 0; round < ROUNDS; round++) {
        char text[64];
        uint64_t killed;
        int dead = owner;

        if (round % 2 == 0)
            await_leader(children, owner);
        (void)snprintf(text, sizeof text, "c %llu 50\n", (unsigned long long)next);
        next += 50;
        command(&children[owner], text);
        await_applied(children, owner, 50);
        killed = repl_boottime_ns();
        kill_child(&children[dead]);
        owner = await_owner(children, &at);
        cr_assert_neq(owner, dead);
        ms[round] = (double)(at - killed) / 1e6;
        spawn(&children[dead], (uint32_t)dead + 1);
    }
    command(&children[owner], "c 100000 1\n");
    await_applied(children, owner, 1);
    qsort(ms, ROUNDS, sizeof *ms, by_value);
    (void)fprintf(
        stderr,
        "3 processes, kill -9 of the owner (every other time leader too) to the next lease: "
        "%d times, ms min %.0f median %.0f max %.0f\n",
        (int)ROUNDS, ms[0], ms[ROUNDS / 2], ms[ROUNDS - 1]);
    for (int i = 0; i < 3; i++)
        kill_child(&children[i]);
}

Test(repl_thread, cluster_time_begins_at_nought_and_runs)
{
    struct repl_options o;
    struct repl_error error;
    struct repl *repl;
    uint64_t before;
    uint64_t began_ns;

    fill(&o, 1, NULL, 1);
    cr_assert(repl_init(&o, &error), "%s", error.text);
    repl = repl_start(&o, &error);
    cr_assert_not_null(repl, "%s", error.text);
    cr_assert_lt(repl_cluster_ms(repl), 1000);
    (void)await_lease(repl);
    began_ns = repl_boottime_ns();
    before = repl_cluster_ms(repl);
    for (int i = 0; i < 3; i++) { /* two more stamps, at least, come of themselves */
        struct repl_status s;
        uint64_t applied;

        repl_status(repl, &s);
        applied = s.applied_index;
        do {
            struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};

            conductor_stamp(repl);
            (void)poll(&p, 1, 20);
            repl_event_free(repl_next_event(repl));
            repl_status(repl, &s);
        } while (s.applied_index == applied);
    }

    uint64_t passed = (repl_boottime_ns() - began_ns) / 1000000;
    uint64_t counted = repl_cluster_ms(repl) - before;

    cr_assert_leq(counted, passed + 2);
    cr_assert_geq(counted + 100, passed, "%lu of %lu ms", (unsigned long)counted,
                  (unsigned long)passed);
    repl_stop(repl);
}
