/* Three replicas on threads of one process; the disk of whichever leads never returns from
 * fdatasync. */
#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster_pki/cluster_pki.h"
#include "replication/repl_thread.h"
#include "unit/repl/loopback.h"

enum { N = 3, HANG_MS = 400, STALL_MS = 100 };

static _Atomic uint32_t hanging; /* the node whose disk hangs; 0 = none */
static uint32_t ids[N] = {1, 2, 3};

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
    for (size_t i = 0; i < N; i++) {
        fs[i] = *wal_fs_kernel();
        fs[i].self = &ids[i];
        fs[i].fdatasync = hang;
        (void)snprintf(directories[i], sizeof directories[i], "%s/%u", parent, (unsigned)ids[i]);
        o.node = ids[i];
        o.data_dir = directories[i];
        o.fs = &fs[i];
        o.tls = cluster_pki_identity(&pki, ids[i]);
        if (!repl_init(&o, &error) || (nodes[i] = repl_start(&o, &error)) == NULL)
            _exit(1);
        tls_identity_release(o.tls);
    }
    cluster_pki_deinit(&pki);
}

/* Until one acts; then the leader's disk hangs, whoever leads. Never returns but by an end. */
_Noreturn static void run_cluster(const char *parent)
{
    struct repl *nodes[N];
    bool acting = false;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    start(nodes, parent);
    for (;;) {
        struct pollfd p[N];

        for (size_t i = 0; i < N; i++) {
            struct repl_health *h = repl_health(nodes[i]);

            atomic_store(&h->control_ns, repl_boottime_ns());
            atomic_store(&h->workers_ns, repl_boottime_ns());
            atomic_store(&h->links_up, true);
            for (struct repl_event *e; (e = repl_next_event(nodes[i])) != NULL;
                 repl_event_free(e)) {
                acting |= e->kind == REPL_EV_LEASE && e->held;
                if (acting && e->kind == REPL_EV_LEADER && e->node == ids[i])
                    atomic_store(&hanging, ids[i]);
            }
            p[i] = (struct pollfd){.fd = repl_event_fd(nodes[i]), .events = POLLIN};
        }
        if (acting && atomic_load(&hanging) == 0) { /* the next stamp does not come back */
            struct repl_status status;

            repl_status(nodes[0], &status);
            atomic_store(&hanging, status.leader);
        }
        (void)poll(p, N, 20);
    }
}

Test(repl_thread_disk, a_leader_whose_disk_hangs_ends_its_process_and_says_so, .timeout = 120)
{
    char parent[] = "/tmp/hf-hang-XXXXXX", text[512] = "", command[128];
    int fds[2], status;
    size_t n = 0;
    pid_t pid;

    cr_assert_not_null(mkdtemp(parent));
    cr_assert_eq(pipe(fds), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        (void)alarm(60); /* red, not for ever */
        run_cluster(parent);
    }
    (void)close(fds[1]);
    for (ssize_t r; (r = read(fds[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)r;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == REPL_EXIT_FAILED, "status %x: %s",
              (unsigned)status, text);
    cr_assert_not_null(strstr(text, "the disk hangs"), "%s", text);
    (void)close(fds[0]);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}
