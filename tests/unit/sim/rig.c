#include "unit/sim/rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "wire/payload.h"

enum { IKE_SPI = 0xa1, PEER_SPI = 0xb1, PEER_CHILD_SPI = 0x2001, MESSAGE_BYTES = 64 };

/* --- a data path and a conductor's world that do nothing --- */

/* Whatever a conductor is told: the judge does not ask it. */
static bool may_act(void *self, uint32_t shard)
{
    (void)self;
    return shard == RIG_SHARD;
}

static struct sim_watch_right right_of(void *self, uint32_t node, uint32_t shard)
{
    const struct rig *r = self;
    struct sim_watch_right right = rig_right(r);

    cr_assert_eq(shard, RIG_SHARD);
    right.epoch = r->nodes[node].epoch;
    right.now_ns += !r->nodes[node].leased;
    return right;
}

static void send(void *self, uint32_t shard, bool natt, const struct endpoint *from,
                 const struct endpoint *to, struct span bytes)
{
    (void)self;
    (void)shard;
    (void)natt;
    (void)from;
    (void)to;
    cr_assert_gt(bytes.len, 0);
}

static bool submit(void *self, struct Holdfast__Record *record, void *op)
{
    (void)self;
    (void)op;
    return record != NULL;
}

static void *install(void *self, const struct conductor_esp_child *child)
{
    struct rig_node *n = self;

    n->esp = (uint8_t *)n + child->child->spi_in % sizeof *n; /* any address that is its own */
    return n->esp;
}

static void removal(void *self, void *esp)
{
    (void)self;
    (void)esp;
}

static void granted(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant)
{
    (void)self;
    (void)esp;
    (void)epoch;
    (void)grant;
}

static void limits(void *self, void *esp, uint64_t end, uint64_t ceiling)
{
    (void)self;
    (void)esp;
    (void)end;
    (void)ceiling;
}

static bool resumes(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant,
                    struct span window)
{
    (void)self;
    (void)esp;
    (void)epoch;
    (void)grant;
    return window.len > 0;
}

static void make_node(struct rig *r, uint32_t node)
{
    struct rig_node *n = &r->nodes[node];

    *n = (struct rig_node){.rig = r, .node = node, .boot = 100 + node, .leased = true};
    n->ops = (struct conductor_ops){.self = n,
                                    .may_act = may_act,
                                    .send = send,
                                    .submit = submit,
                                    .esp_self = n,
                                    .esp_install = install,
                                    .esp_remove = removal,
                                    .esp_grant = granted,
                                    .esp_limits = limits,
                                    .esp_resume = resumes};
    n->wrap = sim_watch_wrap(r->watch, node, &n->ops);
    cr_assert_null(n->ops.esp_idle); /* what was not there is not there */
    sim_watch_started(r->watch, node, n->boot, false);
    sim_watch_durable(r->watch, node, 1000000);
}

static void key(struct secret *out, uint8_t of)
{
    uint8_t bytes[20];

    memset(bytes, of, sizeof bytes);
    secret_set(out, bytes, sizeof bytes);
}

static struct ike_sa end_of(uint64_t own, uint64_t other, uint32_t in, uint32_t out, uint8_t key_in,
                            uint8_t key_out)
{
    struct ike_sa sa = {.local_spi = own,
                        .remote_spi = other,
                        .state = IKE_SA_ESTABLISHED,
                        .shard = RIG_SHARD,
                        .iv_next = 1};
    struct ike_child *c = &sa.children[0];

    c->state = IKE_CHILD_INSTALLED;
    c->spi_in = in;
    c->spi_out = out;
    c->outbound = true;
    c->hard_ms = 1000000;
    key(&c->key_in, key_in);
    key(&c->key_out, key_out);
    return sa;
}

struct rig *rig_make(void)
{
    struct rig *r = calloc(1, sizeof *r);
    struct sim_watch_options options = {
        .now_ms = &r->now_ms, .nodes = RIG_NODES, .workers = 1, .right = right_of, .self = r};

    cr_assert_not_null(r);
    r->now_ms = 1;
    r->cluster_ms = 1000;
    r->index = 1;
    r->watch = sim_watch_create(&options);
    for (uint32_t i = 1; i <= RIG_NODES; i++)
        make_node(r, i);
    r->sa = end_of(IKE_SPI, PEER_SPI, RIG_SPI, PEER_CHILD_SPI, RIG_IN, RIG_OUT);
    r->sa.role = IKE_RESPONDER;
    r->sa.virtual_ip[SLOT_V4] = addr_v4(0x0a630001);
    r->peer = end_of(PEER_SPI, IKE_SPI, PEER_CHILD_SPI, RIG_SPI, RIG_OUT, RIG_IN);
    r->in = sim_watch_key(&r->sa.children[0].key_in);
    r->out = sim_watch_key(&r->sa.children[0].key_out);
    rig_create(r, &r->sa);
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    return r;
}

void rig_free(struct rig *r)
{
    for (uint32_t i = 1; i <= RIG_NODES; i++)
        sim_watch_unwrap(r->nodes[i].wrap);
    sim_watch_destroy(r->watch);
    free(r);
}

struct rig *rig_serving(void)
{
    struct rig *r = rig_make();

    rig_assign(r, 1);
    rig_serve(r, 1, 1024, 0, 8);
    return r;
}

/* --- the log --- */

struct repl_event rig_event(const struct rig *r, enum repl_event_kind kind)
{
    return (struct repl_event){.kind = kind,
                               .index = r->index,
                               .cluster_ms = r->cluster_ms,
                               .shard = RIG_SHARD,
                               .verdict = REPL_ACCEPTED};
}

void rig_tell(struct rig *r, uint32_t node, const struct repl_event *event)
{
    if (event->kind == REPL_EV_ASSIGNED)
        r->nodes[node].epoch = event->epoch.index;
    sim_watch_event(r->watch, node, event);
}

void rig_record(struct rig *r, uint32_t from, Holdfast__Record *record,
                const struct repl_event *facts)
{
    struct repl_event event = *facts;
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;

    epoch.incarnation = 1;
    epoch.index = r->stale != 0 ? r->stale : r->epoch;
    if (from == 1) {
        r->index++;
        r->request++;
    }
    event.index = r->index;
    record->node = r->owner;
    record->boot = r->owner == 0 ? 0 : r->nodes[r->owner].boot;
    record->request = r->request;
    record->shard = RIG_SHARD;
    record->epoch = &epoch;
    event.record = record;
    for (uint32_t i = from; i <= RIG_NODES; i++)
        rig_tell(r, i, &event);
    record->epoch = NULL;
}

static ProtobufCBinaryData encode(const struct ike_sa *sa, uint8_t *bytes)
{
    size_t n;

    cr_assert(ike_sa_encode(sa, bytes, IKE_SA_ENCODED_MAX, &n));
    return (ProtobufCBinaryData){.data = bytes, .len = n};
}

void rig_create(struct rig *r, const struct ike_sa *sa)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__SaCreate create = HOLDFAST__SA_CREATE__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);
    struct repl_child_state child = {.spi_in = sa->children[0].spi_in,
                                     .claim = {.reservation_end = 1024, .ceiling = 8}};

    create.sa_id = sa->local_spi;
    create.state = encode(sa, bytes);
    record.body_case = HOLDFAST__RECORD__BODY_SA_CREATE;
    record.sa_create = &create;
    facts.children = &child;
    facts.n_children = 1;
    rig_record(r, 1, &record, &facts);
}

void rig_step_at(struct rig *r, uint32_t from, uint32_t gone)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__SaStep step = HOLDFAST__SA_STEP__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    step.sa_id = r->sa.local_spi;
    step.state = encode(&r->sa, bytes);
    step.gone_children = &gone;
    step.n_gone_children = gone != 0;
    record.body_case = HOLDFAST__RECORD__BODY_SA_STEP;
    record.sa_step = &step;
    rig_record(r, from, &record, &facts);
}

void rig_step(struct rig *r, uint32_t gone)
{
    rig_step_at(r, 1, gone);
}

void rig_delete(struct rig *r, uint64_t sa_id)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__SaDelete body = HOLDFAST__SA_DELETE__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    body.sa_id = sa_id;
    record.body_case = HOLDFAST__RECORD__BODY_SA_DELETE;
    record.sa_delete = &body;
    rig_record(r, 1, &record, &facts);
}

void rig_extend(struct rig *r, uint64_t end, uint64_t ceiling)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Extend body = HOLDFAST__EXTEND__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);
    struct repl_item_result item = {.spi_in = r->sa.children[0].spi_in,
                                    .verdict = REPL_ACCEPTED,
                                    .claim = {.reservation_end = end, .ceiling = ceiling}};

    record.body_case = HOLDFAST__RECORD__BODY_EXTEND;
    record.extend = &body;
    facts.items = &item;
    facts.n_items = 1;
    rig_record(r, 1, &record, &facts);
}

void rig_assign(struct rig *r, uint32_t node)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Assign body = HOLDFAST__ASSIGN__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);
    struct repl_event assigned;

    record.body_case = HOLDFAST__RECORD__BODY_ASSIGN;
    record.assign = &body;
    rig_record(r, 1, &record, &facts);
    r->epoch = r->index;
    r->owner = node;
    assigned = rig_event(r, REPL_EV_ASSIGNED);
    assigned.epoch = (struct repl_epoch){1, r->epoch};
    assigned.owner_node = node;
    assigned.owner_boot = r->nodes[node].boot;
    assigned.assignments = ++r->assignments;
    assigned.handover = r->handover;
    for (uint32_t i = 1; i <= RIG_NODES; i++)
        rig_tell(r, i, &assigned);
}

void rig_serve(struct rig *r, uint64_t first, uint64_t end, uint64_t floor, uint64_t ceiling)
{
    struct rig_node *n = &r->nodes[r->owner];
    struct conductor_esp_child child = {
        .sa_id = r->sa.local_spi, .shard = RIG_SHARD, .child = &r->sa.children[0]};
    struct repl_grant grant = {.first = first, .end = end, .floor = floor, .ceiling = ceiling};

    if (n->esp == NULL)
        n->esp = n->ops.esp_install(n->ops.esp_self, &child);
    n->ops.esp_grant(n->ops.esp_self, n->esp, r->epoch, &grant);
}

/* --- packets and messages --- */

struct sim_watch_right rig_right(const struct rig *r)
{
    return (struct sim_watch_right){.shard = RIG_SHARD,
                                    .epoch = r->epoch,
                                    .lease_until_ns = RIG_LEASE_NS,
                                    .now_ns = RIG_LEASE_NS - 1};
}

void rig_turn(struct rig *r, uint32_t node)
{
    struct sim_watch_right right = rig_right(r);

    sim_watch_turn(r->watch, node, &right, 1);
}

void rig_seal(struct rig *r, uint32_t node, uint64_t seq)
{
    struct sim_watch_right right = rig_right(r);

    rig_turn(r, node);
    sim_watch_sealed(r->watch, node, r->out, seq, &right);
}

void rig_leave(struct rig *r, uint32_t node, uint64_t seq)
{
    struct sim_watch_right right = rig_right(r);

    rig_turn(r, node);
    sim_watch_left(r->watch, node, r->out, seq, &right);
}

void rig_deliver(struct rig *r, uint32_t node, uint64_t seq)
{
    struct sim_watch_right right = rig_right(r);

    rig_turn(r, node);
    sim_watch_delivered(r->watch, node, r->in, seq, &right);
    sim_watch_entered(r->watch, node, &right);
}

struct ike_message rig_message(const struct rig *r, bool response, uint32_t id, uint64_t iv,
                               uint8_t salt)
{
    struct ike_message m = {.len = MESSAGE_BYTES};

    memset(m.bytes, salt, MESSAGE_BYTES);
    put_be64(m.bytes, r->sa.remote_spi); /* the client is the IKE SA's initiator */
    put_be64(m.bytes + 8, r->sa.local_spi);
    m.bytes[16] = WIRE_PL_SK;
    m.bytes[17] = 0x20;
    m.bytes[18] = 37;
    m.bytes[19] = response ? 0x20 : 0;
    put_be32(m.bytes + 20, id);
    put_be32(m.bytes + 24, MESSAGE_BYTES);
    put_be64(m.bytes + 32, iv);
    return m;
}

void rig_send(struct rig *r, uint32_t node, const struct ike_message *m)
{
    const struct conductor_ops *ops = &r->nodes[node].ops;
    struct endpoint any = {0};

    ops->send(ops->self, RIG_SHARD, true, &any, &any, span_of(m->bytes, m->len));
}

/* --- what came of it --- */

static void show(struct rig *r)
{
    const struct sim_watch_violation *v;
    uint64_t n = sim_watch_violations(r->watch, &v);

    for (uint64_t i = 0; i < n && i < SIM_WATCH_KEPT; i++)
        fprintf(stderr, "%s at %llu: %s\n", sim_watch_rule_name(v[i].rule),
                (unsigned long long)v[i].at_ms, v[i].text);
}

void rig_fine(struct rig *r, enum sim_watch_rule rule)
{
    show(r);
    cr_assert_eq(sim_watch_violations(r->watch, NULL), 0);
    cr_assert_gt(sim_watch_judged(r->watch, rule), 0, "%s was not judged",
                 sim_watch_rule_name(rule));
}

void rig_broken(struct rig *r, enum sim_watch_rule rule, enum sim_watch_rule also)
{
    const struct sim_watch_violation *v;

    cr_assert_gt(sim_watch_broken(r->watch, rule), 0, "%s holds", sim_watch_rule_name(rule));
    cr_assert_gt(sim_watch_violations(r->watch, &v), 0);
    cr_assert_gt(strlen(v[0].text), 0);
    for (enum sim_watch_rule i = 0; i < SIM_WATCH_RULES; i++)
        if (i != rule && i != also && sim_watch_broken(r->watch, i) > 0) {
            show(r);
            cr_assert_fail("%s is broken as well", sim_watch_rule_name(i));
        }
}
