/* Three replicas on threads of one process; the disk of whichever leads does not return from
 * fdatasync. And how a process ends that cannot go on. */
#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster_pki/cluster_pki.h"
#include "replication/repl_thread.h"
#include "unit/repl/alone.h"
#include "unit/repl/loopback.h"

enum { N = 3, HANG_MS = 400, STALL_MS = 100 };

static _Atomic uint32_t hanging; /* the node whose disk hangs; 0 = none */
static uint32_t ids[N] = {1, 2, 3};
static bool key_cannot_be_kept; /* by node 2: a directory stands where it would be written */

static int hang(void *self, int fd)
{
    while (atomic_load(&hanging) == *(const uint32_t *)self)
        (void)poll(NULL, 0, 1);
    return wal_fs_kernel()->fdatasync(wal_fs_kernel()->self, fd);
}

static void start(struct repl **nodes, const char *parent)
{
    static struct wal_fs fs[N];
    static char directories[N][64];
    char path[256];
    struct repl_options o = {.n_nodes = N,
                             .shards = {{.shard = 1, .prefer = 1}},
                             .n_shards = 1,
                             .timing = {.election_ms = 500,
                                        .heartbeat_ms = 100,
                                        .lease_ms = 1000,
                                        .lease_heartbeat_ms = 100,
                                        .disk_stall_ms = STALL_MS,
                                        .disk_hang_ms = HANG_MS}};
    struct cluster_pki pki;
    struct repl_error error;
    struct endpoint at[N];

    cluster_pki_init(&pki, "lab");
    loopback_endpoints(at, N);
    for (size_t i = 0; i < N; i++) {
        o.nodes[i].node = ids[i];
        o.nodes[i].address = at[i];
    }
    for (size_t i = N; i-- > 0;) { /* the one that has the key last */
        fs[i] = *wal_fs_kernel();
        fs[i].self = &ids[i];
        fs[i].fdatasync = hang;
        (void)snprintf(directories[i], sizeof directories[i], "%s/%u", parent, (unsigned)ids[i]);
        o.node = ids[i];
        o.data_dir = directories[i];
        o.fs = &fs[i];
        o.tls = cluster_pki_identity(&pki, ids[i]);
        if (!repl_init(&o, &error))
            _exit(1);
        if ((nodes[i] = repl_start(&o, &error)) == NULL) {
            (void)fprintf(stderr, "%s\n", error.text);
            _exit(1);
        }
        (void)snprintf(path, sizeof path, "%s/configuration.tmp", directories[i]);
        if (key_cannot_be_kept && ids[i] == 2 && mkdir(path, 0700) != 0)
            _exit(1);
        tls_identity_release(o.tls);
    }
    cluster_pki_deinit(&pki);
}

static void turn(struct repl **nodes, bool *acting)
{
    struct pollfd p[N];

    for (size_t i = 0; i < N; i++) {
        conductor_stamp(nodes[i]);
        for (struct repl_event *e; (e = repl_next_event(nodes[i])) != NULL; repl_event_free(e))
            *acting |= e->kind == REPL_EV_LEASE && e->held;
        p[i] = (struct pollfd){.fd = repl_event_fd(nodes[i]), .events = POLLIN};
    }
    (void)poll(p, N, 20);
}

/* 0 = nobody says so of itself. */
static uint32_t leader(struct repl **nodes)
{
    for (size_t i = 0; i < N; i++) {
        struct repl_status status;

        repl_status(nodes[i], &status);
        if (status.leader == ids[i] && ids[i] != atomic_load(&hanging))
            return ids[i];
    }
    return 0;
}

/* Until one acts; then the leader's disk hangs, and the next stamp does not come back; then that of
 * the next. Ends when office has gone on twice, and no process ended. */
_Noreturn static void hang_in_turn(struct repl **nodes)
{
    bool acting = false;
    uint32_t now = 0;

    while (!acting || (now = leader(nodes)) == 0)
        turn(nodes, &acting);
    for (int i = 0; i < 2; i++) {
        atomic_store(&hanging, now); /* the former one's goes on */
        while ((now = leader(nodes)) == 0)
            turn(nodes, &acting);
    }
    _exit(0);
}

/* Until it ends. */
_Noreturn static void just_run(struct repl **nodes)
{
    bool acting = false;

    for (;;)
        turn(nodes, &acting);
}

/* Three nodes below `parent` in a process of their own, with what happens there; what they said, at
 * most cap - 1 bytes, and how it ended. */
static int run_cluster(const char *parent, void (*what)(struct repl **nodes), char *text,
                       size_t cap)
{
    int fds[2], status;
    size_t n = 0;
    pid_t pid;

    cr_assert_eq(pipe(fds), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        struct repl *nodes[N];

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)dup2(fds[1], STDERR_FILENO);
        (void)alarm(60); /* red, not for ever */
        start(nodes, parent);
        what(nodes);
    }
    (void)close(fds[1]);
    for (ssize_t r; (r = read(fds[0], text + n, cap - 1 - n)) > 0;)
        n += (size_t)r;
    text[n] = 0;
    (void)close(fds[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "status %x: %s", (unsigned)status, text);
    return WEXITSTATUS(status);
}

static void remove_all(const char *parent)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}

Test(repl_thread_disk, a_leader_whose_disk_hangs_gives_its_office_away, .timeout = 120)
{
    char parent[] = "/tmp/hf-hang-XXXXXX", text[512];

    cr_assert_not_null(mkdtemp(parent));
    cr_assert_eq(run_cluster(parent, hang_in_turn, text, sizeof text), 0, "%s", text);
    remove_all(parent);
}

/* Node 2 gets the configuration's key from node 1. */
Test(repl_thread_disk, a_node_that_cannot_go_on_ends_its_process_and_says_why, .timeout = 120)
{
    char parent[] = "/tmp/hf-hang-XXXXXX", text[512];

    cr_assert_not_null(mkdtemp(parent));
    key_cannot_be_kept = true;
    cr_assert_eq(run_cluster(parent, just_run, text, sizeof text), REPL_EXIT_FAILED, "%s", text);
    cr_assert_not_null(strstr(text, "the sealing key cannot be stored"), "%s", text);
    remove_all(parent);
}
