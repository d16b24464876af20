/* The replica on its thread over a disk whose fdatasync never returns. */
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

#include "replication/repl_thread.h"

enum { HANG_MS = 400, STALL_MS = 100 };

static _Atomic bool hanging;

static int hang(void *self, int fd)
{
    while (atomic_load(&hanging))
        (void)pause();
    return wal_fs_kernel()->fdatasync(self, fd);
}

/* Until it acts; then its disk hangs. Never returns but by its own end. */
_Noreturn static void run_node(struct repl_options *options)
{
    static struct wal_fs fs;
    struct repl_error error;
    struct repl *repl;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    fs = *wal_fs_kernel();
    fs.fdatasync = hang;
    options->fs = &fs;
    if (!repl_init(options, &error) || (repl = repl_start(options, &error)) == NULL)
        _exit(1);
    for (;;) {
        struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};
        struct repl_health *h = repl_health(repl);
        struct repl_event *e = repl_next_event(repl);

        atomic_store(&h->control_ns, repl_boottime_ns());
        atomic_store(&h->workers_ns, repl_boottime_ns());
        atomic_store(&h->links_up, true);
        if (e == NULL)
            (void)poll(&p, 1, 20);
        else if (e->kind == REPL_EV_LEASE && e->held)
            atomic_store(&hanging, true); /* the next stamp, within a second, does not come back */
        if (e != NULL)
            repl_event_free(e);
    }
}

Test(repl_thread_disk, a_process_whose_disk_hangs_ends_and_says_so, .timeout = 120)
{
    char parent[] = "/tmp/hf-hang-XXXXXX", directory[64], text[512] = "", command[128];
    struct repl_options options = {.node = 1,
                                   .data_dir = directory,
                                   .n_nodes = 1,
                                   .nodes = {{.node = 1}},
                                   .shards = {{.shard = 1, .prefer = 1}},
                                   .n_shards = 1,
                                   .timing = {.election_ms = 150,
                                              .heartbeat_ms = 30,
                                              .lease_ms = 150,
                                              .lease_heartbeat_ms = 30,
                                              .disk_stall_ms = STALL_MS,
                                              .disk_hang_ms = HANG_MS}};
    int fds[2], status;
    size_t n = 0;
    pid_t pid;

    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(directory, sizeof directory, "%s/data", parent);
    cr_assert_eq(pipe(fds), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        (void)alarm(60); /* red, not for ever */
        run_node(&options);
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
