#include "bench/scale/node.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster_pki/cluster_pki.h"
#include "crypto/tables.h"
#include "ike_pair/pair.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "replication/record.h"

enum { TURN_NS = 4000000, FIRST_SPI = 0x10000, PORT = 7411 };
enum { FIRST_ID = 0x100000, LAST_RESPONSE = 460 };

unsigned scale_slow = 1;

void scale_pause_ms(unsigned ms)
{
    (void)poll(NULL, 0, (int)ms);
}

void scale_pause(void)
{
    scale_pause_ms(1);
}

void scale_pause_settled(struct scale_node *n, uint64_t settled)
{
    struct pollfd p = {.fd = n->settled_fd, .events = POLLIN};
    eventfd_t some;

    if (atomic_load(&n->settled) >= settled)
        return;
    (void)poll(&p, 1, 100);
    (void)eventfd_read(n->settled_fd, &some);
}

/* SPIs, address and peer of its own; far from any lifetime. */
static void vary(const struct scale_sas *sas, uint64_t i, uint64_t now_ms, struct ike_sa *out)
{
    *out = sas->pattern;
    out->local_spi = FIRST_ID + i;
    out->remote_spi = ~(FIRST_ID + i);
    out->shard = SCALE_SHARD;
    out->virtual_ip[0] = addr_v4(0x0a000000u + (uint32_t)i + 1);
    out->remote.ip = addr_v4(0x64400000u + (uint32_t)i);
    out->last_response.len = LAST_RESPONSE; /* as an SA in use has it: 1 KiB of state in all */
    out->created_ms = now_ms;
    out->soft_ms = out->hard_ms = now_ms + 86400000;
    (void)snprintf((char *)out->remote_id.bytes, sizeof out->remote_id.bytes, "peer-%07llu",
                   (unsigned long long)i);
    out->remote_id.len = 12;
    for (int k = 0; k < IKE_MAX_CHILDREN; k++) {
        struct ike_child *c = &out->children[k];

        if (c->state == IKE_CHILD_NONE)
            continue;
        c->spi_in = FIRST_SPI + (uint32_t)i;
        c->spi_out = FIRST_SPI + (uint32_t)i;
        c->soft_ms = c->hard_ms = now_ms + 86400000;
        c->n_remote_ts = 1;
        c->remote_ts[0] = (struct ike_ts){
            .low = out->virtual_ip[0], .high = out->virtual_ip[0], .port_high = 65535};
    }
}

void scale_sas_init(struct scale_sas *sas)
{
    struct pair *p = pair_new(1);
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    static struct ike_sa varied;
    const struct ike_sa *sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);

    HF_ASSERT(sa != NULL);
    sas->pattern = *sa;
    sas->policy = p->side[GATEWAY].policy;
    sas->policy.dpd_ms = sas->policy.keepalive_ms = 0; /* nobody would answer */
    pair_free(p);
    vary(sas, 0, 1, &varied);
    HF_ASSERT(ike_sa_encode(&varied, bytes, sizeof bytes, &sas->state_bytes));
}

bool scale_node_acts(const struct scale_node *n)
{
    uint64_t epoch = atomic_load(&n->epoch);

    return epoch != 0 && atomic_load(&n->lease->epoch_index) == epoch &&
           repl_boottime_ns() < atomic_load(&n->lease->until_ns);
}

static bool submit(struct scale_node *n, Holdfast__Record *record)
{
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;
    uint64_t request;

    if (!scale_node_acts(n))
        return false;
    epoch.incarnation = atomic_load(&n->incarnation);
    epoch.index = atomic_load(&n->epoch);
    record->epoch = &epoch;
    record->shard = SCALE_SHARD;
    atomic_fetch_add(&n->outstanding, 1);
    if (repl_submit(n->repl, record, NULL, &request) == REPL_OK)
        return true;
    atomic_fetch_sub(&n->outstanding, 1);
    return false;
}

bool scale_node_create(struct scale_node *n, const struct scale_sas *sas, uint64_t i)
{
    static uint8_t state[IKE_SA_ENCODED_MAX];
    static struct ike_sa sa;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__SaCreate body = HOLDFAST__SA_CREATE__INIT;
    Holdfast__ChildClaim claim = HOLDFAST__CHILD_CLAIM__INIT, *claims[] = {&claim};
    ProtobufCBinaryData address;
    size_t len;

    vary(sas, i, repl_cluster_ms(n->repl), &sa);
    HF_ASSERT(ike_sa_encode(&sa, state, sizeof state, &len));
    claim.spi_in = claim.spi_out = FIRST_SPI + (uint32_t)i;
    claim.reservation_end = CONDUCTOR_FIRST_RESERVATION;
    claim.ceiling = CONDUCTOR_FIRST_CEILING;
    body.sa_id = sa.local_spi;
    body.state = (ProtobufCBinaryData){.len = len, .data = state};
    address = (ProtobufCBinaryData){.len = 4, .data = sa.virtual_ip[0].bytes};
    body.n_addresses = 1;
    body.addresses = &address;
    body.identity = (ProtobufCBinaryData){.len = sa.remote_id.len, .data = sa.remote_id.bytes};
    body.children = claims;
    body.n_children = 1;
    record.body_case = HOLDFAST__RECORD__BODY_SA_CREATE;
    record.sa_create = &body;
    return submit(n, &record);
}

/* The version is of no interest: a refused item is an entry, too, and changes nothing; the record
 * makes its way through the log all the same. */
bool scale_node_extend(struct scale_node *n, const struct scale_sas *sas, uint64_t i)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Extend body = HOLDFAST__EXTEND__INIT;
    Holdfast__Extend__Item item = HOLDFAST__EXTEND__ITEM__INIT, *items[] = {&item};

    (void)sas;
    item.spi_in = FIRST_SPI + (uint32_t)i;
    item.version = 1;
    item.reservation_end = 2 * CONDUCTOR_FIRST_RESERVATION;
    body.items = items;
    body.n_items = 1;
    record.body_case = HOLDFAST__RECORD__BODY_EXTEND;
    record.extend = &body;
    return submit(n, &record);
}

/* --- what the conductor knows of the world --- */

static uint64_t op_now(void *self)
{
    return repl_cluster_ms(((struct scale_node *)self)->repl);
}

static void op_entropy(void *self, uint8_t *out, size_t n)
{
    (void)self;
    io_entropy(out, n);
}

static bool op_submit(void *self, Holdfast__Record *record, void *op)
{
    struct scale_node *n = self;
    uint64_t request;

    if (record->body_case == HOLDFAST__RECORD__BODY_SA_STEP)
        atomic_fetch_add(&n->rekeys, 1); /* nothing here begins an exchange by itself */
    return repl_submit(n->repl, record, op, &request) == REPL_OK;
}

static bool op_may_act(void *self, uint32_t shard)
{
    (void)shard;
    return scale_node_acts(self);
}

static bool op_leader(void *self)
{
    (void)self;
    return false;
}

static void op_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                    const struct endpoint *to, struct span bytes)
{
    (void)self, (void)shard, (void)natt, (void)from, (void)to, (void)bytes;
}

static void op_run_job(void *self, struct conductor *c, struct conductor_work *work)
{
    (void)self;
    conductor_job_cancel(c, work);
}

/* --- the control loop, as node/daemon/daemon.c has it --- */

static void took(struct scale_node *n, const struct repl_event *ev)
{
    if (ev->kind == REPL_EV_ASSIGNED) {
        atomic_store(&n->incarnation, ev->epoch.incarnation);
        atomic_store(&n->epoch, ev->mine ? ev->epoch.index : 0);
    }
    if (ev->kind == REPL_EV_RESET) {
        atomic_fetch_add(&n->resets, 1);
        atomic_store(&n->epoch, 0);
    }
    if (ev->kind == REPL_EV_LEASE && ev->held)
        atomic_store(&n->acted, ev->epoch.index);
    if (ev->kind == REPL_EV_RESTORE_END)
        atomic_store(&n->restored, true);
    if ((ev->kind == REPL_EV_APPLIED && ev->mine) || ev->kind == REPL_EV_UNSETTLED) {
        atomic_store(&n->settled_ns, repl_boottime_ns());
        atomic_fetch_sub(&n->outstanding, 1);
        atomic_fetch_add(&n->settled, 1);
        (void)eventfd_write(n->settled_fd, 1);
    }
}

static void on_replication(uv_poll_t *h, int status, int events)
{
    struct scale_node *n = h->data;
    uint64_t until = repl_boottime_ns() + TURN_NS;

    (void)status;
    (void)events;
    do {
        if (n->event == NULL && (n->event = repl_next_event(n->repl)) == NULL)
            break;
        if (n->event->kind == REPL_EV_RESET)
            atomic_store(&n->restored, false);
        if (!conductor_replication_some(n->conductor, n->event))
            continue;
        took(n, n->event);
        repl_event_free(n->event);
        n->event = NULL;
    } while (repl_boottime_ns() < until);
    atomic_store(&n->sas, conductor_count_sas(n->conductor));
}

static void on_workers(uv_poll_t *h, int status, int events)
{
    struct scale_node *n = h->data;

    (void)status;
    (void)events;
    worker_pool_event_clear(n->pool);
    datapath_drain_events(n->datapath);
}

static void on_timer(uv_timer_t *h)
{
    struct scale_node *n = h->data;

    conductor_handle_timer(n->conductor);
    datapath_pace(n->datapath);
}

static void on_tick(uv_timer_t *h)
{
    struct scale_node *n = h->data;
    struct repl_health *health = repl_health(n->repl);

    if (atomic_load(&n->still))
        return;
    atomic_store(&health->control_ns, repl_boottime_ns());
    atomic_store(&health->workers_ns, worker_pool_oldest_turn_ns(n->pool));
    atomic_store(&health->links_up, true);
}

static void on_prepare(uv_prepare_t *h)
{
    struct scale_node *n = h->data;
    uint64_t cluster = repl_cluster_ms(n->repl), boot = repl_boottime_ns() / 1000000;
    uint64_t wake = conductor_next_wake_ms(n->conductor), pace = datapath_next_ms(n->datapath);
    uint64_t in = UINT64_MAX;

    if (wake != UINT64_MAX)
        in = wake > cluster ? wake - cluster : 0;
    if (pace != UINT64_MAX && (pace > boot ? pace - boot : 0) < in)
        in = pace > boot ? pace - boot : 0;
    if (in == UINT64_MAX)
        (void)uv_timer_stop(&n->timer);
    else
        (void)uv_timer_start(&n->timer, on_timer, in, 0);
}

static void close_one(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static void on_wake(uv_async_t *h)
{
    struct scale_node *n = h->data;

    if (atomic_load(&n->stopping))
        uv_walk(&n->loop, close_one, NULL);
}

static void *control(void *arg)
{
    struct scale_node *n = arg;

    (void)uv_run(&n->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* --- starting and stopping --- */

/* Of this run's cluster; alive as long as the process, which has one main thread to make them. */
static struct tls_identity *identity_of(uint32_t id)
{
    static struct tls_identity *identities[REPL_MAX_NODES];
    static struct cluster_pki pki;

    if (pki.cluster == NULL)
        cluster_pki_init(&pki, "scale");
    if (identities[id - 1] == NULL)
        identities[id - 1] = cluster_pki_identity(&pki, id);
    return identities[id - 1];
}

static void options_of(const char *directory, uint32_t id, size_t n_nodes, char dir[256],
                       struct repl_options *o)
{
    (void)snprintf(dir, 256, "%s/node-%u", directory, id);
    *o = (struct repl_options){.node = id,
                               .data_dir = dir,
                               .n_nodes = n_nodes,
                               .shards = {{.shard = SCALE_SHARD, .prefer = 1}},
                               .n_shards = 1,
                               .timing = {.election_ms = 150 * scale_slow,
                                          .heartbeat_ms = 30 * scale_slow,
                                          .lease_ms = SCALE_LEASE_MS * scale_slow,
                                          .lease_heartbeat_ms = 30 * scale_slow},
                               .tls = n_nodes > 1 ? identity_of(id) : NULL,
                               .snapshot_entries = SCALE_SNAPSHOT_ENTRIES};
    for (uint32_t i = 0; i < n_nodes; i++)
        o->nodes[i] = (struct repl_node_address){
            .node = i + 1,
            .address = {.ip = addr_v4(0x7f000000u | ((uint32_t)getpid() & 0xffff) << 8 | 10),
                        .port = (uint16_t)(PORT + i)}};
    if (n_nodes == 1)
        o->nodes[0].address = (struct endpoint){0};
}

bool scale_node_init(const char *directory, uint32_t id, size_t n_nodes)
{
    struct repl_options o;
    struct repl_error error;
    char dir[256];
    bool ok;

    options_of(directory, id, n_nodes, dir, &o);
    ok = repl_init(&o, &error);
    if (!ok)
        (void)fprintf(stderr, "%s\n", error.text);
    return ok;
}

static bool start_data_path(struct scale_node *n)
{
    static const uint32_t ids[] = {SCALE_SHARD};
    const struct worker_shard shard = {.shard = SCALE_SHARD,
                                       .lease = n->lease,
                                       .outside = {addr_v4(0x7f000001)},
                                       .udp_fds = {&n->udp}};
    const struct worker_options w = {.n_workers = 1,
                                     .tun_fds = &n->tun[1],
                                     .shards = &shard,
                                     .n_shards = 1,
                                     .sa_capacity = (uint32_t)n->capacity};

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, n->tun) != 0)
        return false;
    n->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    n->pool = worker_pool_create(&w);
    if (n->udp < 0 || n->pool == NULL || !worker_pool_start(n->pool))
        return false;
    n->datapath = datapath_create(&(struct datapath_options){.pool = n->pool,
                                                             .suites = &suite_default,
                                                             .shard_ids = ids,
                                                             .n_shards = 1,
                                                             .log = &n->log,
                                                             .now_ns = repl_boottime_ns});
    return true;
}

static void start_conductor(struct scale_node *n, const struct ike_policy *policy)
{
    struct conductor_ops ops = {.self = n,
                                .now_ms = op_now,
                                .entropy = op_entropy,
                                .submit = op_submit,
                                .may_act = op_may_act,
                                .leader = op_leader,
                                .send = op_send,
                                .run_job = op_run_job};
    struct conductor_options o = {.policy = policy,
                                  .log = &n->log,
                                  .node = n->id,
                                  .boot = repl_boot(n->repl),
                                  .n_shards = 1,
                                  .step_fd = -1};

    o.shards[0].id = SCALE_SHARD;
    datapath_fill(n->datapath, &ops);
    n->conductor = conductor_create(&o, &ops);
    datapath_bind(n->datapath, n->conductor);
}

static bool start_loop(struct scale_node *n)
{
    int bad = uv_loop_init(&n->loop);

    loop_watch_start(&n->watch, &n->loop);
    bad |= uv_poll_init(&n->loop, &n->poll_repl, repl_event_fd(n->repl));
    bad |= uv_poll_init(&n->loop, &n->poll_workers, worker_pool_event_fd(n->pool));
    bad |= uv_timer_init(&n->loop, &n->timer);
    bad |= uv_timer_init(&n->loop, &n->tick);
    bad |= uv_prepare_init(&n->loop, &n->prepare);
    bad |= uv_async_init(&n->loop, &n->wake, on_wake);
    n->poll_repl.data = n->poll_workers.data = n->timer.data = n->tick.data = n;
    n->prepare.data = n->wake.data = n;
    bad |= uv_poll_start(&n->poll_repl, UV_READABLE, on_replication);
    bad |= uv_poll_start(&n->poll_workers, UV_READABLE, on_workers);
    bad |= uv_prepare_start(&n->prepare, on_prepare);
    bad |= uv_timer_start(&n->tick, on_tick, 0, 10);
    return bad == 0 && pthread_create(&n->thread, NULL, control, n) == 0;
}

bool scale_node_start(struct scale_node *n, const struct ike_policy *policy, const char *directory,
                      uint32_t id, size_t n_nodes, uint64_t capacity)
{
    struct repl_options o;
    struct repl_error error;
    char dir[256];

    *n = (struct scale_node){.id = id, .capacity = capacity, .log = {LOG_ERROR, STDERR_FILENO}};
    atomic_init(&n->restored, true);
    n->settled_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    options_of(directory, id, n_nodes, dir, &o);
    n->repl = repl_start(&o, &error);
    if (n->repl == NULL) {
        (void)fprintf(stderr, "%s\n", error.text);
        return false;
    }
    n->lease = repl_lease(n->repl, SCALE_SHARD);
    if (!start_data_path(n))
        return false;
    start_conductor(n, policy);
    n->up = start_loop(n);
    return n->up;
}

void scale_node_stop(struct scale_node *n)
{
    if (!n->up)
        return;
    n->up = false;
    atomic_store(&n->stopping, true);
    (void)uv_async_send(&n->wake);
    (void)pthread_join(n->thread, NULL);
    HF_ASSERT(uv_loop_close(&n->loop) == 0);
    worker_pool_stop(n->pool);
    repl_stop(n->repl);
    repl_event_free(n->event);
    conductor_destroy(n->conductor);
    datapath_destroy(n->datapath);
    worker_pool_destroy(n->pool);
    (void)close(n->tun[0]);
    (void)close(n->tun[1]);
    (void)close(n->udp);
    (void)close(n->settled_fd);
}

void scale_node_stand_still(struct scale_node *n, bool still)
{
    atomic_store(&n->still, still);
}

uint64_t scale_node_installs(struct scale_node *n)
{
    struct repl_status s;

    repl_status(n->repl, &s);
    return s.counters[REPL_COUNT_RESTORES];
}

void scale_node_turns(struct scale_node *n, struct loop_turns *control,
                      struct loop_turns *replication)
{
    *control = loop_watch_take(&n->watch);
    *replication = repl_loop_turns(n->repl);
}

void scale_node_forget_turns(struct scale_node *n)
{
    struct loop_turns control, replication;

    scale_node_turns(n, &control, &replication);
}
