#include "datapath_rig.h"

#include <criterion/criterion.h>

#include "crypto/tables.h"

struct rig_node rig_nodes[RIG_NODES];
struct fsm rig_fsm;
unsigned rig_owner;
enum rig_refusal rig_refusal;
bool rig_hold_recoveries;

static struct pair_options options;
static struct esp_sa client;
static struct ike_child child;
static struct maker maker;
static struct log quiet = {LOG_ERROR, 2};
static uint64_t now_ns, log_index;
static const uint32_t shard_id = 1;

static uint64_t clock_ns(void)
{
    return now_ns;
}

/* --- the worker pool, as far as the data path's control loop needs it --- */

static struct rig_node *node_of(const void *pool)
{
    return (struct rig_node *)(uintptr_t)pool;
}

struct esp_sa *worker_sa_install(struct worker_pool *pool, const struct esp_sa_params *params)
{
    return esp_sa_init(&node_of(pool)->sa, params) ? &node_of(pool)->sa : NULL;
}

void worker_sa_remove(struct worker_pool *pool, struct esp_sa *sa)
{
    (void)pool;
    esp_sa_deinit(sa);
}

void worker_pool_kick(struct worker_pool *pool)
{
    (void)pool;
}

uint64_t worker_pool_pass(struct worker_pool *pool)
{
    (void)pool;
    return 1;
}

bool worker_pool_passed(const struct worker_pool *pool, uint64_t ticket)
{
    return ticket == 1 && !node_of(pool)->stuck;
}

uint64_t worker_pool_mode(struct worker_pool *pool, uint32_t shard_slot, enum worker_mode mode)
{
    cr_assert_eq(shard_slot, 0);
    node_of(pool)->mode = mode;
    return 1;
}

uint32_t worker_pool_waiting(const struct worker_pool *pool, uint32_t shard_slot)
{
    cr_assert_eq(shard_slot, 0);
    return node_of(pool)->waiting;
}

size_t worker_pool_events(struct worker_pool *pool, struct worker_event *events, size_t cap)
{
    struct rig_node *n = node_of(pool);
    size_t taken = n->n_events;

    cr_assert_leq(taken, cap);
    memcpy(events, n->events, taken * sizeof *events);
    n->n_events = 0;
    return taken;
}

/* --- the conductor --- */

static struct rig_node *node_at(struct conductor *c)
{
    return (struct rig_node *)(void *)c;
}

void *conductor_esp_of(struct conductor *c, uint32_t spi_in)
{
    (void)spi_in;
    return node_at(c)->child;
}

void conductor_handle_esp(struct conductor *c, uint32_t spi_in, enum conductor_esp_news news,
                          const struct endpoint *remote)
{
    (void)spi_in;
    (void)remote;
    node_at(c)->soft += news == CONDUCTOR_ESP_SOFT;
    node_at(c)->hard += news == CONDUCTOR_ESP_HARD;
}

bool conductor_recover(struct conductor *c, uint32_t spi_in)
{
    (void)spi_in;
    node_at(c)->recoveries++;
    return !rig_hold_recoveries;
}

void conductor_each_child(struct conductor *c, uint32_t shard,
                          void (*visit)(void *self, uint32_t spi_in, void *esp,
                                        const struct repl_claim *claim, bool extending),
                          void *self)
{
    (void)c;
    (void)shard;
    (void)visit;
    (void)self;
}

static struct repl_claim claim_now(void)
{
    return fsm_claim_now(&rig_fsm, fsm_claim(&rig_fsm, options.spi));
}

static bool befalls(struct rig_node *n, enum rig_refusal refusal, bool only_tells)
{
    if (!only_tells || rig_refusal != refusal)
        return false;
    rig_refusal = RIG_NO_REFUSAL;
    n->refusals++;
    return true;
}

bool conductor_extend(struct conductor *c, uint32_t shard, struct conductor_extend *items, size_t n)
{
    struct rig_node *node = node_at(c);
    Holdfast__Extend__Item *item;

    (void)shard;
    cr_assert_eq(n, 1);
    items[0].taken =
        node->extend == NULL &&
        !befalls(node, RIG_NOT_TAKEN, items[0].reservation_end == 0 && items[0].ceiling == 0);
    if (!items[0].taken)
        return false;
    node->extend = make_extend(&maker, items[0].spi_in, claim_now().version,
                               items[0].reservation_end, items[0].ceiling);
    item = node->extend->extend->items[0];
    item->packets_in = items[0].packets_in;
    item->packets_out = items[0].packets_out;
    item->bytes_in = items[0].bytes_in;
    item->bytes_out = items[0].bytes_out;
    node->extends++;
    node->told += items[0].reservation_end == 0 && items[0].ceiling == 0;
    return true;
}

/* --- the rig --- */

static enum repl_verdict judge(Holdfast__Record *r, struct fsm_outcome *out)
{
    struct repl_item_result items[1];

    fsm_begin_entry(&rig_fsm, ++log_index, 0);
    fsm_apply(&rig_fsm, r, 0, items, out);
    record_free(r);
    return out->verdict;
}

static void child_of(const struct esp_sa_params *p)
{
    child = (struct ike_child){.state = IKE_CHILD_INSTALLED,
                               .spi_in = p->spi_in,
                               .spi_out = p->spi_out,
                               .encr_id = 20,
                               .encr_bits = options.key_bits,
                               .outbound = true,
                               .key_in = p->key_in,
                               .key_out = p->key_out,
                               .n_local_ts = 1,
                               .n_remote_ts = 1,
                               .soft_packets = options.soft_packets,
                               .hard_packets = options.hard_packets,
                               .soft_bytes = options.soft_bytes,
                               .hard_bytes = options.hard_bytes};
    child.local_ts[0] =
        (struct ike_ts){0, 0, 65535, p->selectors.local[0].low, p->selectors.local[0].high};
    child.remote_ts[0] =
        (struct ike_ts){0, 0, 65535, p->selectors.remote[0].low, p->selectors.remote[0].high};
}

static struct conductor_esp_child applied(bool rekeying)
{
    return (struct conductor_esp_child){.sa_id = 7,
                                        .shard = shard_id,
                                        .child = &child,
                                        .local = pair_gateway,
                                        .remote = pair_client,
                                        .encap = true,
                                        .rekeying = rekeying};
}

static void begin_client(uint64_t first)
{
    struct esp_sa_params p = pair_params(&options, false);
    struct esp_sa_grant wide = {
        .epoch = 1, .first = first, .end = 1ull << 31, .ceiling = UINT32_MAX};

    cr_assert(esp_sa_init(&client, &p));
    esp_sa_grant(&client, &wide);
    esp_sa_set_marks(&client, UINT64_MAX - 1, UINT64_MAX - 1);
}

void rig_client_from(uint64_t number)
{
    esp_sa_deinit(&client);
    begin_client(number);
}

void rig_begin(const struct pair_options *o)
{
    struct esp_sa_params p;
    struct fsm_outcome out;

    options = *o;
    options.key_bits = 256;
    rig_refusal = RIG_NO_REFUSAL;
    rig_hold_recoveries = false;
    now_ns = 1000000000;
    log_index = 1;
    fsm_init(&rig_fsm, 1);
    p = pair_params(&options, true);
    child_of(&p);
    for (unsigned i = 0; i < RIG_NODES; i++)
        cr_assert_eq(judge(make_boot(i + 1, 11 + i, 0), &out), REPL_ACCEPTED);
    cr_assert_eq(judge(make_assign(1, 0, 1, 11), &out), REPL_ACCEPTED);
    rig_owner = 0;
    maker =
        (struct maker){.node = 1, .boot = 11, .request = 1, .shard = 1, .epoch_index = log_index};
    cr_assert_eq(judge(make_create(&maker, 7, "state", options.spi, 0, ""), &out), REPL_ACCEPTED);
    begin_client(1);
    for (unsigned i = 0; i < RIG_NODES; i++) {
        struct rig_node *n = &rig_nodes[i];
        struct datapath_options d = {.pool = (struct worker_pool *)(void *)n,
                                     .suites = &suite_default,
                                     .shard_ids = &shard_id,
                                     .n_shards = 1,
                                     .log = &quiet,
                                     .now_ns = clock_ns};
        struct conductor_esp_child c = applied(false);

        memset(n, 0, sizeof *n);
        n->datapath = datapath_create(&d);
        datapath_bind(n->datapath, (struct conductor *)(void *)n);
        datapath_fill(n->datapath, &n->ops);
        n->child = n->ops.esp_install(n->ops.esp_self, &c);
        cr_assert_not_null(n->child);
    }
    rig_nodes[0].ops.esp_mode(rig_nodes[0].ops.esp_self, shard_id, CONDUCTOR_ESP_ACT);
    /* the first owner made the SA: everything in its record is its own (children.c) */
    rig_nodes[0].ops.esp_grant(rig_nodes[0].ops.esp_self, rig_nodes[0].child, maker.epoch_index,
                               &(struct repl_grant){.first = 1,
                                                    .end = claim_now().reservation_end,
                                                    .ceiling = claim_now().ceiling});
    rig_settle();
}

void rig_end(void)
{
    for (unsigned i = 0; i < RIG_NODES; i++) {
        rig_nodes[i].ops.esp_remove(rig_nodes[i].ops.esp_self, rig_nodes[i].child);
        datapath_destroy(rig_nodes[i].datapath);
        record_free(rig_nodes[i].extend);
    }
    esp_sa_deinit(&client);
    fsm_deinit(&rig_fsm);
}

/* The assignment is applied: what it gives. */
static struct repl_grant assigned(unsigned node)
{
    struct rig_node *old = &rig_nodes[rig_owner];
    struct fsm_outcome out;

    record_free(old->extend); /* lost with it */
    old->extend = NULL;
    old->ops.esp_revoke(old->ops.esp_self, old->child);
    cr_assert_eq(judge(make_assign(1, maker.epoch_index, node + 1, 11 + node), &out),
                 REPL_ACCEPTED);
    rig_owner = node;
    maker = (struct maker){.node = node + 1,
                           .boot = 11 + node,
                           .request = fsm_member(&rig_fsm, node + 1)->floor,
                           .shard = 1,
                           .epoch_index = log_index};
    return repl_claim_grant(&fsm_claim(&rig_fsm, options.spi)->claim,
                            fsm_shard(&rig_fsm, 1)->assignments);
}

void rig_assign(unsigned node)
{
    struct rig_node *n = &rig_nodes[node];
    struct repl_grant g = assigned(node);

    n->ops.esp_grant(n->ops.esp_self, n->child, log_index, &g);
    rig_settle();
}

bool rig_hand_over(unsigned node, bool spoil)
{
    struct rig_node *n = &rig_nodes[node];
    uint8_t window[ESP_WINDOW_MAX_BYTES];
    struct rig_node *old = &rig_nodes[rig_owner];
    struct repl_grant g;
    size_t len;
    bool resumed;

    old->ops.esp_mode(old->ops.esp_self, shard_id, CONDUCTOR_ESP_STILL);
    cr_assert(old->ops.esp_passed(old->ops.esp_self, shard_id));
    len = old->ops.esp_export(old->ops.esp_self, old->child, window);
    n->ops.esp_mode(n->ops.esp_self, shard_id, CONDUCTOR_ESP_ASIDE);
    g = assigned(node);
    window[0] ^= spoil;
    resumed = n->ops.esp_resume(n->ops.esp_self, n->child, log_index, &g, span_of(window, len));
    if (!resumed)
        n->ops.esp_grant(n->ops.esp_self, n->child, log_index, &g);
    n->ops.esp_mode(n->ops.esp_self, shard_id, CONDUCTOR_ESP_ACT);
    cr_assert_eq(n->mode, WORKER_ACT);
    rig_settle();
    return resumed;
}

void rig_settle(void)
{
    struct rig_node *n = &rig_nodes[rig_owner];

    for (int i = 0; i < 100; i++) {
        struct fsm_outcome out;
        struct repl_claim claim;
        Holdfast__Record *r;

        datapath_drain_events(n->datapath);
        datapath_pace(n->datapath);
        r = n->extend;
        n->extend = NULL;
        if (r == NULL)
            return;
        claim = claim_now();
        if (befalls(n, RIG_REFUSED,
                    r->extend->items[0]->reservation_end == 0 &&
                        r->extend->items[0]->ceiling == 0)) {
            record_free(r);
            n->ops.esp_refused(n->ops.esp_self, n->child, claim.reservation_end, claim.ceiling);
            continue;
        }
        cr_assert_eq(judge(r, &out), REPL_ACCEPTED);
        claim = claim_now();
        n->ops.esp_limits(n->ops.esp_self, n->child, claim.reservation_end, claim.ceiling);
    }
    cr_assert_fail("never settled");
}

static void note(struct rig_node *n, uint32_t events)
{
    if (events == 0)
        return;
    cr_assert_lt(n->n_events, RIG_EVENTS);
    n->events[n->n_events++] =
        (struct worker_event){.spi_in = options.spi, .ike_sa = 7, .events = events};
}

static struct esp_turn turn(void)
{
    return (struct esp_turn){.now_ns = now_ns, .lease_epoch = maker.epoch_index};
}

void rig_pass_ms(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        now_ns += 1000000;
        rig_settle();
    }
}

enum esp_drop rig_send(void)
{
    struct rig_node *n = &rig_nodes[rig_owner];
    uint8_t plain[256], sealed[512];
    struct span p = pair_down(plain, 100, &options, 1);
    struct esp_turn t = turn();
    struct esp_out_result r;
    struct esp_inner inner;
    enum esp_drop d;

    cr_assert(esp_inner_decode(p, &inner));
    d = esp_outbound(&n->sa, &t, &inner, p, sealed, sizeof sealed, &r);
    esp_sa_raised_out(&n->sa, r.events);
    note(n, r.events);
    rig_pass_ms(1);
    return d;
}

enum esp_drop rig_receive(void)
{
    struct rig_node *n = &rig_nodes[rig_owner];
    uint8_t plain[256], sealed[512], opened[512];
    struct span p = pair_up(plain, 100, &options, 1);
    struct esp_turn t = turn(), theirs = {.now_ns = now_ns, .lease_epoch = 1};
    struct esp_out_result out;
    struct esp_in_result r;
    struct esp_inner inner;
    enum esp_drop d;

    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&client, &theirs, &inner, p, sealed, sizeof sealed, &out),
                 ESP_DROP_NONE);
    d = esp_inbound(&n->sa, &t, span_of(sealed, out.len), &pair_client, opened, sizeof opened, &r);
    esp_sa_raised_in(&n->sa, r.events, now_ns);
    note(n, r.events);
    rig_pass_ms(1);
    return d;
}

void rig_update(bool rekeying)
{
    struct conductor_esp_child c = applied(rekeying);

    rig_nodes[rig_owner].ops.esp_update(rig_nodes[rig_owner].ops.esp_self,
                                        rig_nodes[rig_owner].child, &c);
}

enum esp_drop rig_receive_ahead(void)
{
    enum esp_drop d = rig_receive();

    return d == ESP_DROP_WAIT ? ESP_DROP_NONE : d;
}

unsigned rig_until_hard(enum esp_drop (*packet)(void), unsigned most)
{
    enum esp_drop d = ESP_DROP_NONE;
    unsigned n = 0;

    while (n < most && (d = packet()) == ESP_DROP_NONE)
        n++;
    cr_assert(n == most || d == ESP_DROP_HARD_LIMIT, "dropped for reason %d", d);
    return n;
}
