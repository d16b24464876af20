#include "world.h"

#include "conductor/internal.h"

#include <stdlib.h>
#include <unistd.h>

uint32_t world_oldest;
enum conductor_recovery world_recovery = CONDUCTOR_RECOVER_REKEY;
uint32_t world_recoveries_per_second;
struct conductor_auth_limit world_auth;

static void commit(struct world *w, struct world_node *node, struct world_submission *s,
                   bool tell_submitter)
{
    Holdfast__Record *r = record_unpack(span_of(s->bytes, s->len));

    HF_ASSERT(r != NULL);
    instant_log_commit(node->log, w->now, r, tell_submitter ? node : NULL, s->op);
    record_free(r);
}

static uint64_t rnd(struct world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

/* --- conductor_ops --- */

static uint64_t op_now(void *self)
{
    return ((struct world_node *)self)->world->now;
}

static void op_entropy(void *self, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(rnd(((struct world_node *)self)->world) >> 24);
}

static void die(struct world *w, struct world_node *n)
{
    n->alive = n->leased = false;
    w->killed = true;
    w->kill = KILL_NONE;
}

static bool op_submit(void *self, Holdfast__Record *r, void *op)
{
    struct world_node *n = self;
    struct world *w = n->world;
    struct world_submission *s;
    bool target = n == &w->nodes[w->owner] && r->body_case != HOLDFAST__RECORD__BODY_EXTEND;

    if (!n->alive || (w->busy && n != &w->nodes[WORLD_CLIENT]))
        return false;
    if (target && w->kill == KILL_STEPPED) {
        die(w, n);
        return false;
    }
    s = calloc(1, sizeof *s);
    HF_ASSERT(s != NULL);
    r->node = n->id;
    r->boot = n->boot;
    r->request = ++n->request;
    s->bytes = record_pack(r, &s->len);
    HF_ASSERT(s->bytes != NULL);
    s->op = op;
    n->steps += target;
    if (target && w->kill == KILL_SUBMITTED_LOST) {
        die(w, n);
        free(s->bytes);
        free(s);
        return true;
    }
    if (target && (w->kill == KILL_SUBMITTED_KEPT || w->kill == KILL_COMMITTED)) {
        die(w, n);
        commit(w, n, s, false); /* to the survivors; the owner never sees it, so it sends nothing */
        free(s->bytes);
        free(s);
        return true;
    }
    *n->pending_tail = s;
    n->pending_tail = &s->next;
    return true;
}

static bool op_may_act(void *self, uint32_t shard)
{
    struct world_node *n = self;

    return n->alive && (shard == WORLD_OTHER ? n->leased_other : n->leased);
}

static bool op_leader(void *self)
{
    (void)self;
    return false;
}

static void check_copy(struct world *w, const struct world_packet *p)
{
    for (size_t i = 0; i < w->n_sent; i++) {
        if (w->sent[i].to_client != p->to_client || w->sent[i].exchange_key != p->exchange_key)
            continue;
        w->copies++;
        if (w->sent[i].len != p->len || memcmp(w->sent[i].bytes, p->bytes, p->len) != 0)
            w->copies_differ++;
        return;
    }
    HF_ASSERT(w->n_sent < WORLD_PACKETS);
    w->sent[w->n_sent++] = *p;
}

static void op_send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                    const struct endpoint *to, struct span bytes)
{
    struct world_node *n = self;
    struct world *w = n->world;
    struct world_packet *p = &w->packets[(w->head + w->n_packets) % WORLD_PACKETS];
    bool from_client = n->id == 4;

    (void)shard;
    if (!n->alive || bytes.len < 28)
        return; /* keepalives are not traced */
    HF_ASSERT(w->n_packets < WORLD_PACKETS);
    memset(p, 0, sizeof *p);
    p->to_client = !from_client;
    p->natt = natt;
    p->from = *from;
    p->to = *to;
    p->len = bytes.len;
    memcpy(p->bytes, bytes.data, bytes.len);
    p->exchange_key = get_be64(bytes.data) ^ (get_be64(bytes.data + 8) * 3) ^
                      ((uint64_t)get_be32(bytes.data + 20) << 8) ^ bytes.data[19];
    if (from_client && (bytes.data[19] & 0x20) == 0) {
        w->inits += bytes.data[18] == 34;
        w->auths += bytes.data[18] == 35;
    }
    if (bytes.data[18] != 34) /* IKE_SA_INIT has SPI 0: its retries differ by design */
        check_copy(w, p);
    w->n_packets++;
    n->leased = n->leased && (n->lets_out == 0 || --n->lets_out > 0);
    if (!from_client && w->kill == KILL_SENT)
        die(w, n);
}

static uint64_t op_wall(void *self)
{
    (void)self;
    return WORLD_WALL_S;
}

static void op_run_job(void *self, struct conductor *c, struct conductor_work *work)
{
    struct world_node *n = self;
    struct world *w = n->world;

    w->key_exchanges += n->id != WORLD_CLIENT + 1;
    if (w->hold_key_exchanges ||
        ((w->hold_jobs & 1u << work->job->kind) != 0 && n->id != WORLD_CLIENT + 1)) {
        HF_ASSERT(w->n_held < WORLD_HELD);
        w->held_by[w->n_held] = c;
        w->held[w->n_held++] = work;
        return;
    }
    conductor_job_run(work);
    conductor_job_done(c, work);
}

static void op_copy_half_open(void *self, struct span encoded)
{
    struct world_node *from = self;
    struct world *w = from->world;
    struct repl_event frame = {.kind = REPL_EV_FRAME,
                               .channel = REPL_CHANNEL_HALF_OPEN,
                               .bytes = (uint8_t *)(uintptr_t)encoded.data,
                               .bytes_len = encoded.len};

    if (!w->copies_half_open || from == &w->nodes[WORLD_CLIENT])
        return;
    for (int i = 0; i < WORLD_CLIENT; i++)
        if (&w->nodes[i] != from && w->nodes[i].alive)
            conductor_handle_replication(w->nodes[i].conductor, &frame);
}

static void *op_install(void *self, const struct conductor_esp_child *child)
{
    struct world_node *n = self;
    struct world_esp *e;

    if (n->fail_installs > 0) {
        n->fail_installs--;
        return NULL;
    }
    e = calloc(1, sizeof *e);
    HF_ASSERT(e != NULL);
    e->spi_in = child->child->spi_in;
    e->spi_out = child->child->spi_out;
    e->outbound = child->child->outbound;
    e->unproven = child->unproven;
    e->rekeying = child->rekeying;
    e->follows = child->follows == NULL ? 0 : ((struct world_esp *)child->follows)->spi_in;
    e->node = n->id;
    n->installed++;
    n->senders += e->outbound;
    return e;
}

static void op_update(void *self, void *esp, const struct conductor_esp_child *child)
{
    struct world_node *n = self;
    struct world_esp *e = esp;
    bool before = e->outbound;

    e->outbound = child->child->outbound;
    e->rekeying = child->rekeying;
    n->senders += (unsigned)e->outbound - (unsigned)before;
    n->gaps += before && n->senders == 0;
}

static void op_remove(void *self, void *esp)
{
    struct world_node *n = self;
    struct world_esp *e = esp;

    n->installed--;
    n->senders -= e->outbound;
    n->gaps += e->outbound && n->senders == 0 && n->installed > 0;
    free(e);
}

static void note_grant(struct world *w, const struct world_esp *e)
{
    if (w->many)
        return;
    for (size_t i = 0; i < w->n_grants; i++)
        if (w->grants[i].spi_in == e->spi_in && w->grants[i].first < e->end &&
            e->first < w->grants[i].end)
            w->grants_overlap++;
    HF_ASSERT(w->n_grants < WORLD_ESPS);
    w->grants[w->n_grants++] = *e;
}

static void op_grant(void *self, void *esp, uint64_t epoch, const struct repl_grant *g)
{
    struct world_esp *e = esp;

    HF_ASSERT(epoch > 0);
    e->first = g->first;
    e->end = g->end;
    e->floor = g->floor;
    e->ceiling = g->ceiling;
    e->packets_in = g->packets_in;
    e->packets_out = g->packets_out;
    e->bytes_in = g->bytes_in;
    e->bytes_out = g->bytes_out;
    e->untold = g->untold;
    note_grant(((struct world_node *)self)->world, e);
}

static void op_first(void *self, void *esp, uint64_t *numbers, uint64_t *ceiling)
{
    (void)esp;
    *numbers = ((struct world_node *)self)->world->first_numbers;
    *ceiling = ((struct world_node *)self)->world->first_ceiling;
}

static bool op_waiting(void *self, void *esp)
{
    struct world *w = ((struct world_node *)self)->world;

    (void)esp;
    if (w->waiting == 0 || self == &w->nodes[WORLD_CLIENT])
        return false;
    w->waiting--;
    return true;
}

static uint64_t op_pass(void *self)
{
    (void)self;
    return 1;
}

static bool op_pass_done(void *self, uint64_t ticket)
{
    struct world *w = ((struct world_node *)self)->world;

    (void)ticket;
    return self != &w->nodes[0] || w->in_hand == 0 || w->in_hand-- == 0;
}

static void op_end(void *self, void *esp, uint64_t in_ms)
{
    (void)self;
    ((struct world_esp *)esp)->end_in_ms = in_ms;
}

static void op_limits(void *self, void *esp, uint64_t end, uint64_t ceiling)
{
    (void)self;
    ((struct world_esp *)esp)->end = end;
    ((struct world_esp *)esp)->ceiling = ceiling;
}

static void op_refused(void *self, void *esp, uint64_t end, uint64_t ceiling)
{
    op_limits(self, esp, end, ceiling);
    ((struct world_node *)self)->world->told_refused++;
}

static void op_nothing(void *self, void *esp)
{
    (void)self;
    (void)esp;
}

static void op_idle(void *self, void *esp, uint64_t *in, uint64_t *out)
{
    (void)esp;
    *in = ((struct world_node *)self)->idle_in_ms;
    *out = UINT64_MAX;
}

/* --- the log --- */

static void deliver(struct world_node *n, const struct repl_event *ev)
{
    if (n->alive && n->conductor != NULL && !n->deaf)
        conductor_handle_replication(n->conductor, ev);
}

/* To every node that mirrors the gateway's log; the submitter's copy is its own. */
static void tell_gateway(void *self, const struct repl_event *ev, void *submitter, void *op)
{
    struct world *w = self;

    for (int i = 0; i < WORLD_CLIENT; i++) {
        struct repl_event copy = *ev;

        copy.mine = submitter == &w->nodes[i];
        copy.effects = copy.mine ? op : NULL;
        deliver(&w->nodes[i], &copy);
    }
}

static void tell_client(void *self, const struct repl_event *ev, void *submitter, void *op)
{
    struct world *w = self;
    struct repl_event copy = *ev;

    copy.mine = submitter != NULL;
    copy.effects = op;
    deliver(&w->nodes[WORLD_CLIENT], &copy);
}

void world_unsettle(struct world *w, unsigned node, bool kept)
{
    struct world_node *n = &w->nodes[node];
    struct world_submission *s;

    HF_ASSERT(n->deaf);
    while ((s = n->pending) != NULL) {
        struct repl_event ev = {.kind = REPL_EV_UNSETTLED, .mine = true, .effects = s->op};

        n->pending = s->next;
        if (n->pending == NULL)
            n->pending_tail = &n->pending;
        if (kept)
            commit(w, n, s, false);
        conductor_handle_replication(n->conductor, &ev);
        free(s->bytes);
        free(s);
    }
}

static void assign(struct world *w, struct world_node *n)
{
    struct repl_event lease = {.kind = REPL_EV_LEASE, .shard = WORLD_SHARD, .held = true};

    instant_log_assign(n->log, w->now, WORLD_SHARD, n->id, n->boot);
    n->leased = true;
    deliver(n, &lease);
}

void world_assign(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < 3; i++)
        w->nodes[i].leased = false;
    w->owner = n;
    assign(w, &w->nodes[n]);
}

/* --- set-up --- */

/* fd00:99::`last`; nobody has one but who asks for it. */
static struct ip_addr pool6(uint8_t last)
{
    return addr_v6((const uint8_t[16]){0xfd, 0, 0, 0x99, [15] = last});
}

static void node_create(struct world *w, unsigned i)
{
    struct world_node *n = &w->nodes[i];
    struct conductor_ops ops = {.self = n,
                                .now_ms = op_now,
                                .entropy = op_entropy,
                                .wall_s = op_wall,
                                .submit = op_submit,
                                .may_act = op_may_act,
                                .leader = op_leader,
                                .send = op_send,
                                .run_job = op_run_job,
                                .copy_half_open = op_copy_half_open,
                                .esp_self = n,
                                .esp_install = op_install,
                                .esp_update = op_update,
                                .esp_remove = op_remove,
                                .esp_grant = op_grant,
                                .esp_limits = op_limits,
                                .esp_refused = op_refused,
                                .esp_revoke = op_nothing,
                                .esp_first = op_first,
                                .esp_end = op_end,
                                .esp_waiting = op_waiting,
                                .esp_pass = op_pass,
                                .esp_pass_done = op_pass_done,
                                .esp_idle = op_idle};
    const struct ike_policy *policy = i == WORLD_CLIENT ? &w->client_policy : &w->gateway_policy;
    struct conductor_options o = {.policy = policy,
                                  .log = &w->log,
                                  .node = i + 1,
                                  .boot = 1000 + i,
                                  .n_shards = WORLD_SHARDS,
                                  .step_fd = -1,
                                  .recovery = world_recovery,
                                  .recoveries_per_second = world_recoveries_per_second,
                                  .auth = world_auth};

    o.shards[0] = (struct conductor_shard_options){
        WORLD_SHARD,
        {addr_v4(0x0a630001), pool6(1)},
        {addr_v4(0x0a630000 + w->pool_size), pool6((uint8_t)w->pool_size)}};
    o.shards[1] =
        (struct conductor_shard_options){WORLD_OTHER, {addr_v4(0x0a640001)}, {addr_v4(0x0a6400fe)}};
    n->world = w;
    n->id = i + 1;
    n->boot = 1000 + i;
    n->alive = true;
    n->log = i == WORLD_CLIENT ? &w->client_log : &w->gateway_log;
    n->pending_tail = &n->pending;
    n->idle_in_ms = UINT64_MAX;
    world_handover_ops(&ops);
    n->conductor = conductor_create(&o, &ops);
    n->log->speaks = i == 0 && world_oldest != 0 ? world_oldest : RECORD_SPEAKS;
    instant_log_boot(n->log, w->now, n->id, n->boot);
    n->log->speaks = RECORD_SPEAKS;
}

struct world *world_create(void (*tune)(struct ike_policy *gateway, struct ike_policy *client))
{
    return world_create_pool(tune, 254);
}

struct world *world_create_pool(void (*tune)(struct ike_policy *gateway, struct ike_policy *client),
                                uint32_t n)
{
    struct world *w = calloc(1, sizeof *w);

    HF_ASSERT(w != NULL && n > 0 && n < 255);
    w->pool_size = n;
    w->now = 1000000;
    w->random = 0x9e3779b97f4a7c15u;
    w->log = (struct log){LOG_ERROR, STDERR_FILENO};
    instant_log_init(&w->gateway_log, tell_gateway, w);
    instant_log_init(&w->client_log, tell_client, w);
    world_policies(w);
    if (tune != NULL)
        tune(&w->gateway_policy, &w->client_policy);
    for (unsigned i = 0; i < WORLD_NODES; i++)
        node_create(w, i);
    world_assign(w, 0);
    assign(w, &w->nodes[WORLD_CLIENT]);
    return w;
}

static void node_destroy(struct world_node *n)
{
    while (n->pending != NULL) {
        struct world_submission *s = n->pending;

        n->pending = s->next;
        free(s->bytes);
        free(s);
    }
    conductor_destroy(n->conductor);
}

void world_restart_client(struct world *w)
{
    struct world_node *n = &w->nodes[WORLD_CLIENT];

    node_destroy(n);
    instant_log_deinit(&w->client_log);
    instant_log_init(&w->client_log, tell_client, w);
    memset(n, 0, sizeof *n);
    node_create(w, WORLD_CLIENT);
    assign(w, n);
}

void world_destroy(struct world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++)
        node_destroy(&w->nodes[i]);
    instant_log_deinit(&w->gateway_log);
    instant_log_deinit(&w->client_log);
    free(w);
}

/* --- running --- */

bool world_commit(struct world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct world_node *n = &w->nodes[i];
        struct world_submission *s = n->pending;

        if (s == NULL)
            continue;
        n->pending = s->next;
        if (n->pending == NULL)
            n->pending_tail = &n->pending;
        if (n->alive)
            commit(w, n, s, true);
        free(s->bytes);
        free(s);
        return true;
    }
    return false;
}

static bool deliver_one(struct world *w)
{
    struct world_packet *p = &w->packets[w->head];
    struct world_node *n;

    if (w->n_packets == 0)
        return false;
    w->head = (w->head + 1) % WORLD_PACKETS;
    w->n_packets--;
    if (p->to_client && w->drop_to_client > 0) {
        w->drop_to_client--;
        return true;
    }
    n = p->to_client ? &w->nodes[WORLD_CLIENT] : &w->nodes[w->owner];
    if (!n->alive)
        return true;
    if (!p->to_client && w->kill == KILL_PEER && w->skip_packets-- == 0) {
        die(w, n);
        return true;
    }
    conductor_handle_datagram(n->conductor, WORLD_SHARD, &p->to, &p->from, p->natt,
                              span_of(p->bytes, p->len));
    return true;
}

static uint64_t next_wake(struct world *w)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < WORLD_NODES; i++)
        if (w->nodes[i].alive && conductor_next_wake_ms(w->nodes[i].conductor) < next)
            next = conductor_next_wake_ms(w->nodes[i].conductor);
    return next;
}

void world_run(struct world *w, uint64_t ms)
{
    uint64_t until = w->now + ms;

    for (int turns = 0; world_rest(w), turns < 200000; turns++) {
        uint64_t wake;

        if (world_commit(w) || deliver_one(w))
            continue;
        wake = next_wake(w);
        if (wake > until)
            break;
        if (wake > w->now)
            w->now = wake;
        for (unsigned i = 0; i < WORLD_NODES; i++)
            if (w->nodes[i].alive)
                conductor_handle_timer(w->nodes[i].conductor);
    }
    w->now = until;
}
