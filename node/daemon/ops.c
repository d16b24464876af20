/* The conductor's operations over the daemon's sockets, workers and replication. */
#include <stdlib.h>
#include <time.h>

#include "daemon/internal.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "replication/replica.h"
#include "base/registers.h"

#ifdef HOLDFAST_PLANT_wall_clock_lifetimes
/* Planted fault: how far ahead the wall clock has jumped since this was first asked. */
static uint64_t planted_jump_ms(void)
{
    static uint64_t first;
    struct timespec wall;
    uint64_t apart;

    (void)clock_gettime(CLOCK_REALTIME, &wall);
    apart = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000 -
            io_boottime_ns() / 1000000;
    first = first ? first : apart;
    return apart > first ? apart - first : 0;
}
#endif

static uint64_t op_now(void *self)
{
    struct daemon *d = self;
    uint64_t ms = repl_cluster_ms(d->repl);

#ifdef HOLDFAST_PLANT_wall_clock_lifetimes
    ms += planted_jump_ms();
#endif
    return ms;
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

static void op_wish_settled(void *self, uint64_t wish, bool judged, enum repl_verdict verdict)
{
    admin_moves_settled(self, wish, judged, verdict);
}

static bool op_may_act(void *self, uint32_t shard)
{
    return gateway_may_act(&((struct daemon *)self)->gateway, shard);
}

static bool op_leader(void *self)
{
    struct daemon *d = self;

    return d->gateway.leader;
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
    stack_clear();
    registers_clear();
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
    uint32_t nodes[REPL_MAX_NODES];
    size_t n = repl_peers(d->repl, nodes);

    for (size_t i = 0; i < n; i++)
        (void)repl_send_frame(d->repl, nodes[i], REPL_CHANNEL_HALF_OPEN, encoded);
}

static void op_ike_aside(void *self, uint32_t shard, const struct endpoint *local,
                         const struct endpoint *remote, struct span bytes)
{
    gateway_ike(&((struct daemon *)self)->gateway, shard, local, remote, bytes);
}

void ops_fill(struct daemon *d, struct conductor_ops *ops)
{
    *ops = (struct conductor_ops){.self = d,
                                  .now_ms = op_now,
                                  .entropy = op_entropy,
                                  .wall_s = op_wall,
                                  .submit = op_submit,
                                  .wish_settled = op_wish_settled,
                                  .may_act = op_may_act,
                                  .leader = op_leader,
                                  .send = sockets_send,
                                  .ike_aside = op_ike_aside,
                                  .run_job = op_run_job,
                                  .copy_half_open = op_copy_half_open};
    datapath_fill(d->datapath, ops);
}
