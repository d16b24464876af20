/* The conductor's operations over the daemon's sockets, workers and replication. */
#include <stdlib.h>
#include <time.h>

#include "daemon/internal.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "replication/replica.h"

static uint64_t op_now(void *self)
{
    struct daemon *d = self;

    return repl_cluster_ms(d->repl);
}

static void op_entropy(void *self, uint8_t *out, size_t n)
{
    (void)self;
    io_entropy(out, n);
}

static uint64_t op_wall(void *self)
{
    (void)self;
    return (uint64_t)time(NULL);
}

static bool op_submit(void *self, struct Holdfast__Record *record, void *op)
{
    struct daemon *d = self;
    uint64_t request;

    return repl_submit(d->repl, record, op, &request) == REPL_OK;
}

static bool op_may_act(void *self, uint32_t shard)
{
    return daemon_may_act(self, shard);
}

static bool op_leader(void *self)
{
    struct daemon *d = self;

    return d->leader;
}

struct job_request {
    uv_work_t work;
    struct daemon *daemon;
    struct daemon_policy *policy; /* whose keys and CAs it uses */
    struct conductor_work *job;
};

static void job_work(uv_work_t *w)
{
    struct job_request *r = w->data;

    conductor_job_run(r->job);
}

static void job_after(uv_work_t *w, int status)
{
    struct job_request *r = w->data;

    (void)status;
    if (r->daemon->stopping)
        conductor_job_cancel(r->daemon->conductor, r->job);
    else
        conductor_job_done(r->daemon->conductor, r->job);
    r->policy->jobs--;
    policy_release(r->policy);
    free(r);
}

static void op_run_job(void *self, struct conductor *c, struct conductor_work *job)
{
    struct daemon *d = self;
    struct job_request *r = calloc(1, sizeof *r);

    (void)c;
    HF_ASSERT(r != NULL);
    r->daemon = d;
    r->policy = d->policy;
    r->policy->jobs++;
    r->job = job;
    r->work.data = r;
    HF_ASSERT(uv_queue_work(&d->loop, &r->work, job_work, job_after) == 0);
}

static void op_copy_half_open(void *self, struct span encoded)
{
    struct daemon *d = self;

    for (size_t i = 0; i < d->config->n_nodes; i++)
        if (d->config->nodes[i].id != d->config->node_id)
            (void)repl_send_frame(d->repl, d->config->nodes[i].id, REPL_CHANNEL_HALF_OPEN, encoded);
}

static void *op_esp_install(void *self, const struct conductor_esp_child *child)
{
    return datapath_install(((struct daemon *)self)->datapath, child);
}

static void op_esp_update(void *self, void *esp, const struct conductor_esp_child *child)
{
    datapath_update(((struct daemon *)self)->datapath, esp, child);
}

static void op_esp_remove(void *self, void *esp)
{
    datapath_remove(((struct daemon *)self)->datapath, esp);
}

static void op_esp_grant(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant)
{
    datapath_grant(((struct daemon *)self)->datapath, esp, epoch, grant);
}

static void op_esp_limits(void *self, void *esp, uint64_t end, uint64_t ceiling)
{
    datapath_limits(((struct daemon *)self)->datapath, esp, end, ceiling);
}

static void op_esp_refused(void *self, void *esp, uint64_t end, uint64_t ceiling)
{
    datapath_refused(((struct daemon *)self)->datapath, esp, end, ceiling);
}

static void op_esp_revoke(void *self, void *esp)
{
    datapath_revoke(((struct daemon *)self)->datapath, esp);
}

static void op_esp_first(void *self, void *esp, uint64_t *numbers, uint64_t *ceiling)
{
    datapath_first(((struct daemon *)self)->datapath, esp, numbers, ceiling);
}

static void op_esp_end(void *self, void *esp, uint64_t in_ms)
{
    datapath_end(((struct daemon *)self)->datapath, esp, in_ms);
}

static bool op_esp_waiting(void *self, void *esp)
{
    (void)self;
    return datapath_waiting(esp);
}

static uint64_t op_esp_pass(void *self)
{
    return worker_pool_pass(((struct daemon *)self)->pool);
}

static bool op_esp_pass_done(void *self, uint64_t ticket)
{
    return worker_pool_passed(((struct daemon *)self)->pool, ticket);
}

static void op_esp_idle(void *self, void *esp, uint64_t *in_ms, uint64_t *out_ms)
{
    datapath_idle(((struct daemon *)self)->datapath, esp, in_ms, out_ms);
}

void ops_fill(struct daemon *d, struct conductor_ops *ops)
{
    *ops =
        (struct conductor_ops){.self = d,
                               .now_ms = op_now,
                               .entropy = op_entropy,
                               .wall_s = op_wall,
                               .submit = op_submit,
                               .may_act = op_may_act,
                               .leader = op_leader,
                               .send = sockets_send,
                               .run_job = op_run_job,
                               .copy_half_open = d->config->n_nodes > 1 ? op_copy_half_open : NULL,
                               .esp_install = op_esp_install,
                               .esp_update = op_esp_update,
                               .esp_remove = op_esp_remove,
                               .esp_grant = op_esp_grant,
                               .esp_limits = op_esp_limits,
                               .esp_refused = op_esp_refused,
                               .esp_revoke = op_esp_revoke,
                               .esp_first = op_esp_first,
                               .esp_end = op_esp_end,
                               .esp_pass = op_esp_pass,
                               .esp_pass_done = op_esp_pass_done,
                               .esp_waiting = op_esp_waiting,
                               .esp_idle = op_esp_idle};
    moves_fill(ops);
}
