#include "node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { NODE_ASK_MS = 10000, NODE_INSTALL_MS = 10000 };

static bool save(struct node *n, const char *name, const char *text)
{
    char path[160];
    int fd;
    bool ok;

    (void)snprintf(path, sizeof path, "%s/%s", n->dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        (void)close(fd);
    return ok || lab_fail(n->lab, "%s: %s", path, strerror(errno));
}

static bool make_disk(const struct node *n)
{
    char path[128], options[48];

    (void)snprintf(path, sizeof path, "%s/disk", n->dir);
    (void)snprintf(options, sizeof options, "mode=0700,size=%d", NODE_DISK_BYTES);
    return mkdir(path, 0700) == 0 &&
           mount("hfd-disk", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

bool node_fill_disk(struct node *n, bool full)
{
    char path[128];
    struct statvfs disk;
    uint64_t left;
    bool ok;
    int fd;

    (void)snprintf(path, sizeof path, "%s/disk/ballast", n->dir);
    if (!full)
        return unlink(path) == 0 || lab_fail(n->lab, "%s: %s", path, strerror(errno));
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ok = fd >= 0 && fstatvfs(fd, &disk) == 0;
    left = ok ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
    if (ok && left > NODE_DISK_LEFT)
        ok = posix_fallocate(fd, 0, (off_t)(left - NODE_DISK_LEFT)) == 0;
    if (fd >= 0)
        (void)close(fd);
    return ok || lab_fail(n->lab, "%s: %s", path, strerror(errno));
}

bool node_prepare(struct node *n, struct chaos_lab *lab, unsigned id,
                  const struct node_options *options)
{
    FILE *f;
    bool ok;

    *n = (struct node){.lab = lab,
                       .id = id,
                       .step_pipe.fd = -1,
                       .shifts = options->shifts,
                       .keeps = options->keeps};
    (void)snprintf(n->dir, sizeof n->dir, "%s/n%u", lab->dir, id);
    (void)snprintf(n->socket, sizeof n->socket, "%s/admin.sock", n->dir);
    (void)snprintf(n->config, sizeof n->config, "%s/node.yaml", n->dir);
    if (mkdir(n->dir, 0700) != 0 || !make_disk(n))
        return lab_fail(lab, "%s: %s", n->dir, strerror(errno));
    f = fopen(n->config, "we");
    if (!f)
        return lab_fail(lab, "%s: %s", n->config, strerror(errno));
    (void)fchmod(fileno(f), 0600);
    node_write_config(f, n, options);
    ok = !ferror(f);
    ok = fclose(f) == 0 && ok;
    if (!ok)
        return lab_fail(lab, "%s: %s", n->config, strerror(errno));
    return save(n, "client.psk", "lab secret, not one of yours") &&
           (!n->shifts || node_shift_clock(n, 0));
}

/* `holdfast`, beside this program, makes the cluster's CA and a certificate of each node. */
static bool make_certificates(struct chaos_lab *lab, unsigned count)
{
    const char *ca[] = {NULL, "pki", "cluster-ca", "lab", "--dir", NULL, NULL};
    const char *argv[LAB_MAX_NODES][7];
    struct chaos_spawn what[LAB_MAX_NODES];
    char program[PATH_MAX + 32], dir[96], id[LAB_MAX_NODES][16];

    (void)snprintf(program, sizeof program, "%s/holdfast", lab->beside);
    (void)snprintf(dir, sizeof dir, "%s/pki", lab->dir);
    ca[0] = program;
    ca[5] = dir;
    what[0] = (struct chaos_spawn){.place = LAB_NODE, .argv = ca, .step_fd = -1};
    if (!proc_run_together(lab, what, 1, NODE_INSTALL_MS))
        return false;
    for (unsigned i = 0; i < count; i++) {
        memcpy(argv[i], ca, sizeof ca);
        (void)snprintf(id[i], sizeof id[i], "%u", i + 1);
        argv[i][2] = "node";
        argv[i][3] = id[i];
        what[i] = (struct chaos_spawn){.place = LAB_NODE + i, .argv = argv[i], .step_fd = -1};
    }
    return proc_run_together(lab, what, count, NODE_INSTALL_MS);
}

bool node_install(struct node *nodes, unsigned count, const char *binary)
{
    static const char *const verbs[] = {"--init", "--guard"};
    const char *argv[2 * LAB_MAX_NODES][5];
    struct chaos_spawn what[2 * LAB_MAX_NODES];

    if (count > 1 && !make_certificates(nodes[0].lab, count))
        return false;
    for (unsigned i = 0; i < 2 * count; i++) {
        argv[i][0] = binary;
        argv[i][1] = verbs[i % 2];
        argv[i][2] = "--config";
        argv[i][3] = nodes[i / 2].config;
        argv[i][4] = NULL;
        what[i] = (struct chaos_spawn){.place = LAB_NODE + i / 2, .argv = argv[i], .step_fd = -1};
    }
    return proc_run_together(nodes[0].lab, what, 2 * count, NODE_INSTALL_MS);
}

static void step_line(struct node *n, const char *line)
{
    json_t *j = json_loads(line, 0, NULL);
    const char *text;

    if (!j)
        return;
    n->step.reached = true;
    n->step.wall_ns = pump_wall_ns();
    (void)snprintf(n->step.point, sizeof n->step.point, "%s",
                   json_is_string(json_object_get(j, "point"))
                       ? json_string_value(json_object_get(j, "point"))
                       : "");
    (void)snprintf(n->step.sa, sizeof n->step.sa, "%s",
                   json_is_string(json_object_get(j, "sa"))
                       ? json_string_value(json_object_get(j, "sa"))
                       : "");
    n->step.log_index = (uint64_t)json_integer_value(json_object_get(j, "log_index"));
    n->step.owner = json_is_true(json_object_get(j, "owner"));
    n->step.leader = json_is_true(json_object_get(j, "leader"));
    text = json_string_value(json_object_get(j, "message"));
    n->step.message = text ? strtoull(text, NULL, 16) : 0;
    n->step.node = (unsigned)json_integer_value(json_object_get(j, "node"));
    json_decref(j);
}

static void step_ready(void *arg, uint32_t events)
{
    struct node *n = arg;
    ssize_t got;
    char *end;

    (void)events;
    while ((got = read(n->step_pipe.fd, n->step_text + n->step_len,
                       sizeof n->step_text - n->step_len - 1)) > 0) {
        n->step_len += (size_t)got;
        n->step_text[n->step_len] = '\0';
        end = strchr(n->step_text, '\n');
        if (end) {
            *end = '\0';
            step_line(n, n->step_text);
            n->step_len = 0;
        } else if (n->step_len == sizeof n->step_text - 1) {
            n->step_len = 0;
        }
    }
    if (got == 0) { /* the node is gone */
        pump_remove(&n->lab->pump, &n->step_pipe);
        (void)close(n->step_pipe.fd);
        n->step_pipe.fd = -1;
    }
}

bool node_shift_clock(struct node *n, int64_t seconds)
{
    char path[128];
    int fd;
    bool ok;

    (void)snprintf(path, sizeof path, "%s/clock", n->dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ok = fd >= 0 && pwrite(fd, &seconds, sizeof seconds, 0) == (ssize_t)sizeof seconds;
    if (fd >= 0)
        (void)close(fd);
    return ok || lab_fail(n->lab, "%s: %s", path, strerror(errno));
}

static void hinder_said(void *arg, const char *line)
{
    *(bool *)arg = strcmp(line, "in force") == 0;
}

struct hinder_wait {
    const struct chaos_proc *proc;
    bool in_force;
};

static bool hinders(void *arg)
{
    const struct hinder_wait *w = arg;

    return w->in_force || w->proc->ended;
}

bool node_hinder(struct node *n, const char *thread, const char *how, unsigned ms)
{
    char program[PATH_MAX + 32], pid[16], text[16];
    const char *argv[] = {program, pid, thread, how, text, NULL};
    struct hinder_wait w = {.proc = &n->hinder};

    proc_deinit(n->lab, &n->hinder);
    (void)snprintf(program, sizeof program, "%s/holdfast-hinder", n->lab->beside);
    (void)snprintf(pid, sizeof pid, "%d", (int)n->proc.pid);
    (void)snprintf(text, sizeof text, "%u", ms);
    n->hinder.line = hinder_said;
    n->hinder.arg = &w.in_force;
    (void)snprintf(n->hinder.name, sizeof n->hinder.name, "hinder-%u", n->id);
    if (!proc_start(
            n->lab, &n->hinder,
            &(struct chaos_spawn){.place = LAB_NODE + n->id - 1, .argv = argv, .step_fd = -1}))
        return false;
    (void)lab_until(n->lab, hinders, &w, NODE_ASK_MS);
    n->hinder.line = NULL;
    return w.in_force || lab_fail(n->lab, "thread %s of node %u cannot be hindered: %.200s", thread,
                                  n->id, n->hinder.log ? n->hinder.log : "");
}

bool node_wipe(struct node *n)
{
    char path[128];
    const char *argv[] = {"rm", "-rf", "--", path, NULL};

    (void)snprintf(path, sizeof path, "%s/disk/data", n->dir);
    return proc_run(
        n->lab, &(struct chaos_spawn){.place = LAB_NODE + n->id - 1, .argv = argv, .step_fd = -1},
        NODE_INSTALL_MS, false, NULL);
}

bool node_init(struct node *n, const char *binary)
{
    const char *argv[] = {binary, "--init", "--config", n->config, NULL};

    char path[128];
    const char *forget[] = {"rm", "-f", "--", path, NULL};
    struct chaos_spawn init = {.place = LAB_NODE + n->id - 1, .argv = argv, .step_fd = -1};
    struct chaos_spawn without = {.place = LAB_NODE + n->id - 1, .argv = forget, .step_fd = -1};

    (void)snprintf(path, sizeof path, "%s/disk/data/configuration.key", n->dir);
    return proc_run(n->lab, &init, NODE_INSTALL_MS, false, NULL) &&
           proc_run(n->lab, &without, NODE_INSTALL_MS, false, NULL);
}

static const char *store_of(const struct node *n, char path[128])
{
    (void)snprintf(path, 128, "%s/keep.sock", n->dir);
    return path;
}

static bool has_store(void *arg)
{
    const struct node *n = arg;
    char path[128];

    return n->keeper.ended || access(store_of(n, path), F_OK) == 0;
}

/* The store of its service manager, which outlives the daemon. */
static bool begin_store(struct node *n, const char *program)
{
    char path[128];
    const char *argv[] = {program, "hold", store_of(n, path), NULL};

    (void)unlink(path);
    (void)snprintf(n->keeper.name, sizeof n->keeper.name, "keep-%u", n->id);
    return proc_start(
               n->lab, &n->keeper,
               &(struct chaos_spawn){.place = LAB_NODE + n->id - 1, .argv = argv, .step_fd = -1}) &&
           ((lab_until(n->lab, has_store, n, NODE_ASK_MS) && !n->keeper.ended) ||
            lab_fail(n->lab, "node %u has no store: %.200s", n->id,
                     n->keeper.log ? n->keeper.log : ""));
}

void node_forget(struct node *n)
{
    proc_deinit(n->lab, &n->keeper);
}

/* It becomes the daemon: one process, which is killed like any other. */
static bool start_kept(struct node *n, const char *binary)
{
    char program[PATH_MAX + 32], path[128];
    const char *argv[] = {program, "run", store_of(n, path), binary, "--config", n->config, NULL};

    (void)snprintf(program, sizeof program, "%s/holdfast-keep", n->lab->beside);
    (void)snprintf(n->proc.name, sizeof n->proc.name, "holdfastd-%u", n->id);
    return (n->keeper.started || begin_store(n, program)) &&
           proc_start(
               n->lab, &n->proc,
               &(struct chaos_spawn){.place = LAB_NODE + n->id - 1, .argv = argv, .step_fd = -1});
}

bool node_start(struct node *n, const char *binary)
{
    const char *argv[] = {binary, "--config", n->config, NULL};
    char preload[PATH_MAX + 32], shift[128];
    const char *env[] = {"HOLDFAST_STEP_FD=3", n->shifts ? preload : NULL, shift, NULL};
    int fds[2];
    bool ok;

    if (n->keeps)
        return start_kept(n, binary);
    if (pipe2(fds, O_CLOEXEC) != 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0)
        return lab_fail(n->lab, "pipe: %s", strerror(errno));
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s/hfd-clockshift.so", n->lab->beside);
    (void)snprintf(shift, sizeof shift, "HFD_CLOCK_SHIFT=%s/clock", n->dir);
    n->step = (struct node_step){0};
    n->step_len = 0;
    n->step_pipe = (struct pump_watch){fds[0], step_ready, n};
    (void)snprintf(n->proc.name, sizeof n->proc.name, "holdfastd-%u", n->id);
    ok =
        proc_start(n->lab, &n->proc,
                   &(struct chaos_spawn){
                       .place = LAB_NODE + n->id - 1, .argv = argv, .env = env, .step_fd = fds[1]});
    (void)close(fds[1]);
    if (!ok)
        return false;
    return pump_add(&n->lab->pump, &n->step_pipe, EPOLLIN) ||
           lab_fail(n->lab, "epoll_ctl: %s", strerror(errno));
}

bool node_alive(const struct node *n)
{
    return n->proc.started && !n->proc.ended;
}

bool node_kill(struct node *n, bool machine)
{
    n->step.wall_ns = pump_wall_ns();
    if (machine && !lab_links(n->lab, n->id, false))
        return false;
    if (node_alive(n) && kill(n->proc.pid, SIGKILL) != 0 && errno != ESRCH)
        return lab_fail(n->lab, "kill: %s", strerror(errno));
    if (!proc_wait(n->lab, &n->proc, 5000))
        return lab_fail(n->lab, "node %u does not die", n->id);
    n->step.dead_ns = pump_wall_ns();
    return true;
}

bool node_kill_all(struct node *nodes, unsigned count, bool machine)
{
    for (unsigned i = 0; machine && i < count; i++)
        if (!lab_links(nodes[i].lab, nodes[i].id, false))
            return false;
    for (unsigned i = 0; i < count; i++)
        if (node_alive(&nodes[i]) && kill(nodes[i].proc.pid, SIGKILL) != 0 && errno != ESRCH)
            return lab_fail(nodes[i].lab, "kill: %s", strerror(errno));
    for (unsigned i = 0; i < count; i++)
        if (!node_kill(&nodes[i], false)) /* it waits for the end */
            return false;
    return true;
}

bool node_end(struct node *n, unsigned ms)
{
    if (node_alive(n) && kill(n->proc.pid, SIGTERM) != 0 && errno != ESRCH)
        return lab_fail(n->lab, "kill: %s", strerror(errno));
    n->step.wall_ns = pump_wall_ns();
    if (!proc_wait(n->lab, &n->proc, ms))
        return false;
    n->step.dead_ns = pump_wall_ns();
    return true;
}

bool node_pause(struct node *n, bool paused)
{
    return kill(n->proc.pid, paused ? SIGSTOP : SIGCONT) == 0 ||
           lab_fail(n->lab, "kill: %s", strerror(errno));
}

/* Of the process before the last one its log stays, and how it ended. */
static bool keep_older(struct node *n)
{
    const struct chaos_proc *p = &n->earlier;
    size_t had = n->n_past ? n->past[n->n_past - 1].log_end : 0;
    struct node_past *past;
    char *both;

    if (!p->started)
        return true;
    past = realloc(n->past, (n->n_past + 1) * sizeof *past);
    n->past = past ? past : n->past;
    both = past ? realloc(n->older, had + p->log_len + 1) : NULL;
    if (!both)
        return lab_fail(n->lab, "out of memory");
    if (p->log)
        memcpy(both + had, p->log, p->log_len);
    both[had + p->log_len] = '\0';
    n->older = both;
    n->past[n->n_past++] = (struct node_past){p->status, had + p->log_len};
    return true;
}

bool node_restart(struct node *n, const char *binary)
{
    if (!proc_wait(n->lab, &n->proc, 5000))
        return lab_fail(n->lab, "node %u is still alive", n->id);
    if (!keep_older(n))
        return false;
    proc_deinit(n->lab, &n->earlier);
    for (size_t i = 0; i < n->lab->n_children; i++) {
        if (n->lab->children[i] == &n->proc)
            n->lab->children[i] = &n->earlier;
    }
    n->earlier = n->proc;
    n->proc = (struct chaos_proc){0};
    if (n->step_pipe.fd >= 0) {
        pump_remove(&n->lab->pump, &n->step_pipe);
        (void)close(n->step_pipe.fd);
        n->step_pipe.fd = -1;
    }
    return lab_links(n->lab, n->id, true) && node_start(n, binary);
}

static int post(struct node *n, const char *path, json_t *body, unsigned ms)
{
    struct http_reply reply;
    int status = 0;

    if (http_call(n->lab, n->socket, "POST", path, body, ms, &reply))
        status = reply.status;
    json_decref(reply.body);
    json_decref(body);
    return status;
}

int node_make_leader(struct node *n, unsigned leader)
{
    return post(n, "/v1/cluster/leader", json_pack("{s:i}", "node", (int)leader), NODE_ASK_MS);
}

int node_rekey(struct node *n, const char *sa_id, bool ike, uint32_t child_spi_in, bool pfs)
{
    char path[64], spi[16];
    json_t *body = json_pack("{s:s}", "kind", ike ? "ike" : "child");

    (void)snprintf(path, sizeof path, "/v1/sas/%s/rekey", sa_id);
    if (!ike) {
        (void)snprintf(spi, sizeof spi, "%08x", child_spi_in);
        (void)json_object_set_new(body, "child", json_string(spi));
        (void)json_object_set_new(body, "pfs", json_boolean(pfs));
    }
    return post(n, path, body, NODE_ASK_MS);
}

int node_arm(struct node *n, const char *point, bool machine)
{
    return post(n, "/v1/drills/arm",
                json_pack("{s:s,s:s}", "point", point, "mode", machine ? "machine" : "process"),
                NODE_ASK_MS);
}

int node_handover(struct node *n, unsigned shard, unsigned to, unsigned ms)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/v1/shards/%u/handover", shard);
    return post(n, path, json_pack("{s:i}", "to", (int)to), ms);
}

int node_drain(struct node *n, unsigned node, bool back, unsigned ms)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/v1/nodes/%u/drain", node);
    return post(n, path, json_pack("{s:b}", "drained", !back), ms);
}

void node_deinit(struct node *n)
{
    if (!n->lab)
        return;
    if (n->step_pipe.fd >= 0) {
        pump_remove(&n->lab->pump, &n->step_pipe);
        (void)close(n->step_pipe.fd);
    }
    proc_deinit(n->lab, &n->proc);
    proc_deinit(n->lab, &n->earlier);
    proc_deinit(n->lab, &n->hinder);
    proc_deinit(n->lab, &n->keeper);
    free(n->older);
    free(n->past);
    n->older = NULL;
    n->past = NULL;
    n->n_past = 0;
}
