/* A client: the production engine in its initiator role, with a worker of its own, over a log that
 * commits at once. It dials until it has a tunnel, and again when that is gone. */
#include <stdlib.h>

#include "conductor/internal.h"
#include "io/worker_internal.h"
#include "policy/policy.h"
#include "sim/sim_world.h"

enum { SHARD = 1, NODE = 1, UPTIME_MS = 1000000, REDIAL_MS = 3000 };

struct sim_submission {
    struct sim_submission *next;
    uint8_t *bytes; /* packed record */
    size_t len;
    void *op;
};

uint64_t sim_client_now_ms(const struct sim_client *c)
{
    return c->world->now_ms + UPTIME_MS;
}

static void enter(struct sim_client *c)
{
    c->kernel.now_ns = sim_client_now_ms(c) * 1000000;
    (void)sim_kernel_enter(&c->kernel);
}

/* --- what its conductor asks --- */

static uint64_t op_now(void *self)
{
    return sim_client_now_ms(self);
}

static void op_entropy(void *self, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(sim_next(&((struct sim_client *)self)->world->random) >> 24);
}

static uint64_t op_wall(void *self)
{
    return SIM_WALL_S + ((struct sim_client *)self)->world->now_ms / 1000;
}

/* Leases are the gateway's: it may give an address that an SA which ends has here still. */
static size_t without_leases(Holdfast__Record *r, size_t n_addresses)
{
    size_t n = r->body_case == HOLDFAST__RECORD__BODY_SA_CREATE ? r->sa_create->n_addresses : 0;

    if (r->body_case == HOLDFAST__RECORD__BODY_SA_CREATE && r->sa_create->gives == NULL)
        r->sa_create->n_addresses = n_addresses;
    return n;
}

static bool op_submit(void *self, Holdfast__Record *r, void *op)
{
    struct sim_client *c = self;
    struct sim_submission *s = calloc(1, sizeof *s);
    size_t n_addresses = without_leases(r, 0);

    HF_ASSERT(s != NULL);
    r->node = NODE;
    r->boot = c->boot;
    r->request = ++c->request;
    s->bytes = record_pack(r, &s->len);
    HF_ASSERT(s->bytes != NULL);
    (void)without_leases(r, n_addresses);
    s->op = op;
    *c->submitted_tail = s;
    c->submitted_tail = &s->next;
    return true;
}

static bool op_may_act(void *self, uint32_t shard)
{
    (void)self;
    return shard == SHARD;
}

static bool op_leader(void *self)
{
    (void)self;
    return true;
}

static void op_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                    const struct endpoint *to, struct span bytes)
{
    uint8_t marked[IKE_MAX_MESSAGE_BYTES + 4] = {0};
    struct sim_client *c = self;

    (void)shard;
    sim_exchange_said(c->world, "client", c->index, bytes);
    sim_watch_client_sent(c->world->watch, c->index, bytes);
    if (!sim_check_message(&c->world->check, 1 + c->index, bytes))
        sim_violation(c->world, "I4: client %u sends another message under the same name",
                      c->index);
    if (!natt) {
        sim_outside_from_client(c, from, to, bytes);
        return;
    }
    memcpy(marked + 4, bytes.data, bytes.len);
    sim_outside_from_client(c, from, to, span_of(marked, bytes.len + 4));
}

static void op_run_job(void *self, struct conductor *c, struct conductor_work *work)
{
    (void)self;
    conductor_job_run(work);
    conductor_job_done(c, work);
}

static void on_told(void *self, const struct repl_event *event, void *submitter, void *op)
{
    struct sim_client *c = self;
    struct repl_event copy = *event;

    c->changed = true;
    sim_watch_client_event(c->world->watch, c->index, event);
    if (event->kind == REPL_EV_ASSIGNED)
        atomic_store(&c->lease.epoch_index, event->epoch.index);
    copy.mine = submitter != NULL;
    copy.effects = op;
    if (event->kind == REPL_EV_APPLIED && submitter != NULL && event->verdict == REPL_ACCEPTED)
        sim_exchange_applied(c->world, c, false, op);
    conductor_handle_replication(c->conductor, &copy);
}

/* --- its worker --- */

static void on_emit(void *self, uint32_t slot, const struct endpoint *to, struct span bytes)
{
    struct sim_client *c = self;
    const struct endpoint from = {addr_v4(0), 4500};

    (void)slot;
    sim_outside_from_client(c, &from, to, bytes);
}

static void on_deliver(void *self, struct span inner)
{
    sim_traffic_at_client(self, inner);
}

static void on_sealed(void *self, uint64_t key, uint64_t seq, const struct esp_sa *sa,
                      const struct esp_turn *turn)
{
    struct sim_client *c = self;

    (void)turn;
    sim_watch_client_sealed(c->world->watch, c->index, key, seq);
    c->world->stats.counts[SIM_COUNT_numbers_checked]++;
    if (!sim_check_sealed(&c->world->check, key, seq))
        sim_violation(c->world, "I1: client %u seals spi %08x number %llu a second time", c->index,
                      sa->spi_out, (unsigned long long)seq);
}

static void on_opened(void *self, uint64_t key, uint64_t seq, const struct esp_sa *sa,
                      const struct esp_turn *turn)
{
    struct sim_client *c = self;

    (void)turn;
    sim_watch_client_delivered(c->world->watch, c->index, key, seq);
    if (!sim_check_opened(&c->world->check, key, seq))
        sim_violation(c->world, "I2: client %u accepts spi %08x number %llu a second time",
                      c->index, sa->spi_in, (unsigned long long)seq);
}

static void start_workers(struct sim_client *c)
{
    static const int tun = SIM_FD_TUN, udp = SIM_FD_UDP;
    struct worker_shard shard = {.shard = SHARD, .lease = &c->lease};
    const struct worker_options o = {
        .n_workers = 1, .tun_fds = &tun, .shards = &shard, .n_shards = 1, .sa_capacity = 16};

    sim_kernel_init(&c->kernel);
    c->kernel.self = c;
    c->kernel.emit = on_emit;
    c->kernel.deliver = on_deliver;
    c->kernel.sealed = on_sealed;
    c->kernel.opened = on_opened;
    enter(c);
    shard.outside[SLOT_V4] = addr_v4(0x0a000001 + c->index);
    shard.udp_fds[SLOT_V4] = &udp;
    atomic_store(&c->lease.until_ns, UINT64_MAX);
    c->pool = worker_pool_create(&o);
    HF_ASSERT(c->pool != NULL && worker_pool_start(c->pool));
}

/* --- the program --- */

void sim_client_init(struct sim_world *w, uint32_t index)
{
    struct sim_client *c = &w->clients[index];
    char name[16];

    c->world = w;
    c->index = index;
    c->shard = index % w->plan.n_shards + 1;
    (void)snprintf(name, sizeof name, "client%u", index);
    c->policy = w->policy;
    c->policy.local_id = test_policy_identity(2, name);
    c->policy.psks = &c->psk;
    c->policy.n_psks = 1;
    c->policy.request_address = true;
    c->policy.initial_contact = sim_chance(&w->random, 700);
    c->policy.child_life.hard_ms =
        w->policy.child_life.hard_ms * sim_between(&w->random, 7, 13) / 10;
    c->policy.ike_life.hard_ms = w->policy.ike_life.hard_ms * sim_between(&w->random, 7, 13) / 10;
    c->policy.local_ts[0] = (struct ike_ts){0, 0, 65535, addr_v4(0), addr_v4(UINT32_MAX)};
    c->psk.remote = w->policy.local_id;
    secret_set(&c->psk.psk, name, strlen(name));
    w->psks[index].remote = c->policy.local_id;
    secret_set(&w->psks[index].psk, name, strlen(name));
    c->natted = sim_chance(&w->random, 600);
    c->policy.keepalive_ms = c->natted ? 20000 : 0;
    c->delay_ms = (uint32_t)sim_between(&w->random, 1, 20);
    c->jitter_ms = (uint32_t)sim_between(&w->random, 0, 2);
    sim_meetings_client(c);
    sim_outside_nat(c);
    c->down_until_ms = sim_between(&w->random, 500, 3000);
    c->packet_ms = c->server_packet_ms = w->now_ms;
}

void sim_client_start(struct sim_client *c)
{
    struct datapath_options p = {.suites = c->policy.suites,
                                 .n_shards = 1,
                                 .log = &c->world->log,
                                 .now_ns = sim_kernel_now_ns};
    struct conductor_options o = {.policy = &c->policy,
                                  .log = &c->world->log,
                                  .node = NODE,
                                  .n_shards = 1,
                                  .shards = {{.id = SHARD}},
                                  .step_fd = -1};
    struct conductor_ops ops = {.self = c,
                                .now_ms = op_now,
                                .entropy = op_entropy,
                                .wall_s = op_wall,
                                .submit = op_submit,
                                .may_act = op_may_act,
                                .leader = op_leader,
                                .send = op_send,
                                .run_job = op_run_job};
    static const uint32_t ids[] = {SHARD};

    HF_ASSERT(!c->running);
    c->running = true;
    c->boot = o.boot = sim_next(&c->world->random) | 1;
    c->request = 0;
    c->submitted = NULL;
    c->submitted_tail = &c->submitted;
    c->open_client = IKE_EX_NONE;
    start_workers(c);
    p.pool = c->pool;
    p.shard_ids = ids;
    c->datapath = datapath_create(&p);
    datapath_fill(c->datapath, &ops);
    c->conductor = conductor_create(&o, &ops);
    datapath_bind(c->datapath, c->conductor);
    instant_log_init(&c->log, on_told, c);
    instant_log_boot(&c->log, sim_client_now_ms(c), NODE, c->boot);
    instant_log_assign(&c->log, sim_client_now_ms(c), SHARD, NODE, c->boot);
    c->dial_ms = c->timer_ms = c->world->now_ms;
    sim_say(c->world, "client %u starts", c->index);
}

void sim_client_stop(struct sim_client *c)
{
    struct sim_submission *s;

    HF_ASSERT(c->running);
    enter(c);
    sim_watch_client_restarted(c->world->watch, c->index);
    c->running = c->established = false;
    c->n_sas = c->n_living = c->n_children = 0;
    c->n_held = 0;
    c->ike_spi = c->peer_spi = 0;
    worker_pool_stop(c->pool);
    while ((s = c->submitted) != NULL) {
        c->submitted = s->next;
        free(s->bytes);
        free(s);
    }
    conductor_destroy(c->conductor);
    datapath_destroy(c->datapath);
    worker_pool_destroy(c->pool);
    instant_log_deinit(&c->log);
    sim_kernel_deinit(&c->kernel);
}

void sim_client_deinit(struct sim_client *c)
{
    if (c->running)
        sim_client_stop(c);
    free(c->up.arrived);
    free(c->down.arrived);
}

static void commit_all(struct sim_client *c)
{
    struct sim_submission *s;

    while ((s = c->submitted) != NULL) {
        Holdfast__Record *r = record_unpack(span_of(s->bytes, s->len));

        HF_ASSERT(r != NULL);
        c->submitted = s->next;
        if (c->submitted == NULL)
            c->submitted_tail = &c->submitted;
        instant_log_commit(&c->log, sim_client_now_ms(c), r, c, s->op);
        record_free(r);
        free(s->bytes);
        free(s);
    }
}

static void look_at(void *self, const struct conductor_sa_view *view)
{
    struct sim_client *c = self;

    if (addr_is_set(&view->sa->virtual_ip[SLOT_V4]) && c->n_held < SIM_HELD)
        c->held[c->n_held++] = view->sa->virtual_ip[SLOT_V4];
    c->n_living += view->sa->state == IKE_SA_HALF_OPEN || view->sa->state == IKE_SA_ESTABLISHED;
    if (view->sa->state != IKE_SA_ESTABLISHED)
        return;
    c->n_sas++;
    c->established = true;
    c->ike_spi = view->sa->local_spi;
    c->peer_spi = view->sa->remote_spi;
    c->ike_group = view->sa->ke_id;
    if (addr_is_set(&view->sa->virtual_ip[SLOT_V4])) {
        c->inner = view->sa->virtual_ip[SLOT_V4];
        c->had_inner = true;
    }
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *k = &view->sa->children[i];

        c->n_children += k->state != IKE_CHILD_NONE;
        if (k->state == IKE_CHILD_INSTALLED && k->outbound) {
            c->child_spi = k->spi_in;
            c->peer_child_spi = k->spi_out;
        }
    }
}

static void look(struct sim_client *c)
{
    bool was = c->established;

    if (!c->changed)
        return;
    c->changed = c->established = false;
    c->n_sas = c->n_living = c->n_children = 0;
    c->n_held = 0;
    conductor_each_sa(c->conductor, look_at, c);
    if (was != c->established)
        sim_say(c->world, "client %u %s", c->index, c->established ? "established" : "lost its SA");
}

/* Everything that follows from what came in, until nothing is left to do. */
static void serve(struct sim_client *c)
{
    struct worker_datagram d;

    for (int turns = 0; turns < 100; turns++) {
        commit_all(c);
        if (!sim_kernel_busy(&c->kernel) &&
            !sim_kernel_readable(&c->kernel, worker_pool_event_fd(c->pool)))
            break;
        (void)sim_kernel_turn(&c->kernel);
        worker_pool_event_clear(c->pool);
        datapath_drain_events(c->datapath);
        while (worker_pool_datagram(c->pool, &d)) {
            conductor_handle_datagram(c->conductor, SHARD, &d.to, &d.from, true, d.bytes);
            worker_pool_datagram_done(c->pool);
            commit_all(c);
        }
    }
    look(c);
}

static void rearm(struct sim_client *c)
{
    uint64_t now = sim_client_now_ms(c), at = conductor_next_wake_ms(c->conductor);

    if (datapath_next_ms(c->datapath) < at)
        at = datapath_next_ms(c->datapath);
    c->timer_ms = at == UINT64_MAX ? UINT64_MAX : c->world->now_ms + (at > now ? at - now : 1);
}

/* What is left of SAs that are rekeyed, or whose Delete nobody answers, does not keep it from dialling: its
 * gateway may have given all of them up. */
static void dial(struct sim_client *c)
{
    const struct sim_world *w = c->world;
    const struct endpoint to = {sim_service_address(c->shard), 500};
    struct endpoint from = {addr_v4(0x0a000001 + c->index), 500};

    c->dial_ms = w->now_ms + REDIAL_MS;
    if (!c->natted)
        from.ip = addr_v4(0xc6336401 + c->index);
    if (c->n_living + conductor_count_half_open(c->conductor) == 0)
        conductor_initiate(c->conductor, SHARD, &from, &to);
    else if (c->established && c->n_children == 0)
        (void)sim_client_want(c, IKE_WANT_CHILD);
}

void sim_client_run(struct sim_client *c)
{
    struct sim_world *w = c->world;

    if (!c->running) {
        if (c->down_until_ms <= w->now_ms)
            sim_client_start(c);
        return;
    }
    enter(c);
    if (c->timer_ms <= w->now_ms) {
        conductor_handle_timer(c->conductor);
        datapath_pace(c->datapath);
    }
    if (c->dial_ms <= w->now_ms)
        dial(c);
    if (c->packet_ms <= w->now_ms) {
        c->packet_ms = w->now_ms + w->plan.packet_every_ms;
        if (c->established && c->n_children > 0)
            sim_traffic_from_client(c);
    }
    if (c->server_packet_ms <= w->now_ms) {
        c->server_packet_ms = w->now_ms + w->plan.packet_every_ms;
        if (c->had_inner)
            sim_traffic_from_server(c);
    }
    serve(c);
    rearm(c);
}

uint64_t sim_client_due(const struct sim_client *c)
{
    uint64_t next = c->timer_ms;

    if (!c->running)
        return c->down_until_ms;
    next = c->dial_ms < next ? c->dial_ms : next;
    next = c->packet_ms < next ? c->packet_ms : next;
    return c->server_packet_ms < next ? c->server_packet_ms : next;
}

void sim_client_datagram(struct sim_client *c, const struct endpoint *from,
                         const struct endpoint *to, struct span bytes)
{
    if (!c->running)
        return;
    enter(c);
    if (to->port == 4500)
        sim_kernel_put_udp(&c->kernel, 0, from, to, bytes);
    else
        conductor_handle_datagram(c->conductor, SHARD, to, from, false, bytes);
    serve(c);
    rearm(c);
}

void sim_client_send_inner(struct sim_client *c, struct span inner)
{
    sim_kernel_put_tun(&c->kernel, inner);
}

bool sim_client_want(struct sim_client *c, uint32_t want)
{
    const uint32_t on_child = IKE_WANT_REKEY_CHILD | IKE_WANT_REKEY_CHILD_PFS |
                              IKE_WANT_REKEY_CHILD_NOPFS | IKE_WANT_DELETE_CHILD;
    const char *why;
    bool ok;

    if (!c->running || !c->established)
        return false;
    enter(c);
    ok = conductor_command(c->conductor, c->ike_spi, want,
                           (want & on_child) != 0 ? c->child_spi : 0, &why);
    serve(c);
    rearm(c);
    return ok;
}
