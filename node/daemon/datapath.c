#include "daemon/datapath.h"

#include <stdlib.h>

#include "base/number.h"
#include "daemon/datapath_internal.h"

enum { PACE_MAX = 2048, RECOVERY_AFTER_MS = 100 };

struct datapath *datapath_create(const struct datapath_options *options)
{
    struct datapath *d = calloc(1, sizeof *d);

    HF_ASSERT(d != NULL);
    HF_ASSERT(options->n_shards <= REPL_MAX_SHARDS);
    d->options = *options;
    for (uint32_t i = 0; i < options->n_shards; i++)
        datapath_mode(d, options->shard_ids[i], CONDUCTOR_ESP_ASIDE);
    return d;
}

void datapath_bind(struct datapath *d, struct conductor *c)
{
    d->conductor = c;
}

void datapath_destroy(struct datapath *d)
{
    heap_deinit(&d->heap);
    free(d);
}

static void selectors_of(const struct ike_ts *from, uint8_t n, struct esp_selector *to,
                         uint8_t *n_to)
{
    for (uint8_t i = 0; i < n; i++)
        to[i] = (struct esp_selector){.protocol = from[i].protocol,
                                      .port_low = from[i].port_low,
                                      .port_high = from[i].port_high,
                                      .low = from[i].low,
                                      .high = from[i].high};
    *n_to = n;
}

static void *install(void *self, const struct conductor_esp_child *c)
{
    struct datapath *d = self;
    const struct ike_child *k = c->child;
    struct esp_sa_params p = {
        .spi_in = k->spi_in,
        .spi_out = k->spi_out,
        .ike_sa = c->sa_id,
        .aead = suite_find_aead(d->options.suites, k->encr_id, k->encr_bits, k->integ_id),
        .key_in = k->key_in,
        .key_out = k->key_out,
        .integ_in = k->integ_in,
        .integ_out = k->integ_out,
        .esn = k->esn,
        .remote = c->remote,
        .raw = !c->encap,
        .outbound = k->outbound && !c->mine,
        .unproven = c->unproven,
        .soft_packets = k->soft_packets,
        .hard_packets = k->hard_packets,
        .soft_bytes = k->soft_bytes,
        .hard_bytes = k->hard_bytes};
    struct datapath_child *child;
    struct esp_sa *sa;
    uint32_t slot;

    if (datapath_shard_of(d, c->shard, &slot) != NULL)
        p.shard_slot = slot;
    selectors_of(k->local_ts, k->n_local_ts, p.selectors.local, &p.selectors.n_local);
    selectors_of(k->remote_ts, k->n_remote_ts, p.selectors.remote, &p.selectors.n_remote);
    sa = p.aead != NULL ? worker_sa_install(d->options.pool, &p) : NULL;
    secret_wipe_bytes(&p, sizeof p);
    if (sa == NULL)
        return NULL;
    child = calloc(1, sizeof *child);
    HF_ASSERT(child != NULL);
    child->sa = sa;
    drops_add(&d->drops, &child->drops, sa);
    child->ike_sa = c->sa_id;
    child->spi_in = k->spi_in;
    child->shard = c->shard;
    child->remote = c->remote;
    child->outbound = k->outbound;
    child->rekeying = c->rekeying;
    child->due.at_ms = UINT64_MAX;
    child->pacer.last_number = k->esn ? UINT64_MAX : UINT32_MAX;
    if (c->follows != NULL) {
        esp_pace_follow(&child->pacer, &((struct datapath_child *)c->follows)->pacer);
        child->follows = true;
    }
    child->soft_packets = k->soft_packets;
    child->hard_packets = k->hard_packets;
    child->soft_bytes = k->soft_bytes;
    child->hard_bytes = k->hard_bytes;
    child->slack = esp_tally_slack(k->soft_packets, k->hard_packets);
    child->slack_bytes = esp_tally_slack_bytes(k->soft_bytes, k->hard_bytes);
    return child;
}

static void update(void *self, void *esp, const struct conductor_esp_child *c)
{
    struct datapath *d = self;
    struct datapath_child *child = esp;

    child->ike_sa = c->sa_id; /* an IKE rekey moves it */
    if (!endpoint_equal(&child->remote, &c->remote))
        esp_sa_set_remote(child->sa, &c->remote);
    if (child->outbound != c->child->outbound)
        esp_sa_set_outbound(child->sa, c->child->outbound);
    child->remote = c->remote;
    child->outbound = c->child->outbound;
    if (child->rekeying && !c->rekeying)
        child->recovered = false;
    if (child->rekeying && !c->rekeying && child->granted)
        heap_set(&d->heap, &child->due,
                 datapath_now_ms(d)); /* it came to nothing: recover() looks again */
    child->rekeying = c->rekeying;
}

static void drop(void *self, void *esp)
{
    struct datapath *d = self;
    struct datapath_child *child = esp;

    heap_remove(&d->heap, &child->due);
    drops_remove(&d->drops, &child->drops);
    worker_sa_remove(d->options.pool, child->sa);
    free(child);
}

/* Was it only told? Then nothing of its limits moved; what fell due meanwhile is looked at in so
 * many ms. */
static bool told(struct datapath *d, struct datapath_child *child, uint64_t in_ms)
{
    bool only = child->telling;

    child->telling = false;
    if (only)
        heap_set(&d->heap, &child->due, datapath_now_ms(d) + in_ms);
    return only;
}

static void limits(void *self, void *esp, uint64_t reservation_end, uint64_t ceiling)
{
    struct datapath *d = self;
    struct datapath_child *child = esp;

    if (!child->granted || told(d, child, 0))
        return;
    esp_sa_extend(child->sa, reservation_end);
    esp_sa_set_ceiling(child->sa, ceiling);
    esp_pace_done(&child->pacer, true, datapath_now_ms(d), reservation_end, ceiling);
    heap_set(&d->heap, &child->due, datapath_now_ms(d));
    worker_pool_kick(d->options.pool);
}

/* Settled without effect: the state says these are the limits. Where a shrink had begun, the SA's
 * own ceiling stays low until its pacer lifts it. A request of unknown fate never comes here; it
 * has to wait for the log. */
static void not_applied(struct datapath *d, struct datapath_child *child, uint64_t reservation_end,
                        uint64_t ceiling)
{
    esp_pace_done(&child->pacer, false, datapath_now_ms(d), reservation_end, ceiling);
    heap_set(&d->heap, &child->due, datapath_now_ms(d) + ESP_PACE_REFUSED_MS);
}

static void refused(void *self, void *esp, uint64_t reservation_end, uint64_t ceiling)
{
    struct datapath *d = self;
    struct datapath_child *child = esp;

    child->told_in = child->told_out = 0; /* to be told again */
    child->told_in_bytes = child->told_out_bytes = 0;
    if (child->granted && !told(d, child, ESP_PACE_REFUSED_MS) &&
        child->pacer.phase == ESP_PACE_COMMITTING)
        not_applied(d, child, reservation_end, ceiling);
}

static void end(void *self, void *esp, uint64_t in_ms)
{
    const struct datapath *d = self;
    uint64_t now = d->options.now_ns(), left = (UINT64_MAX - now) / 1000000;

    esp_sa_set_end(((struct datapath_child *)esp)->sa,
                   in_ms > left ? UINT64_MAX : now + in_ms * 1000000);
}

static bool waiting(void *self, void *esp)
{
    struct datapath_child *child = esp;
    struct esp_sa_view v;

    (void)self;
    esp_sa_read(child->sa, &v);
    return child->granted && v.verified_seq > v.last_seq;
}

static void idle(void *self, void *esp, uint64_t *in_ms, uint64_t *out_ms)
{
    const struct datapath *d = self;
    struct datapath_child *child = esp;
    uint64_t now = d->options.now_ns();
    struct esp_sa_view v;

    esp_sa_read(child->sa, &v);
    *in_ms = v.last_in_ns != 0 && v.last_in_ns <= now ? (now - v.last_in_ns) / 1000000 : UINT64_MAX;
    *out_ms =
        v.last_out_ns != 0 && v.last_out_ns <= now ? (now - v.last_out_ns) / 1000000 : UINT64_MAX;
}

static uint64_t pass(void *self)
{
    return worker_pool_pass(((struct datapath *)self)->options.pool);
}

static bool pass_done(void *self, uint64_t ticket)
{
    return worker_pool_passed(((struct datapath *)self)->options.pool, ticket);
}

void datapath_fill(struct datapath *d, struct conductor_ops *ops)
{
    ops->esp_self = d;
    ops->esp_install = install;
    ops->esp_update = update;
    ops->esp_remove = drop;
    ops->esp_first = datapath_first;
    ops->esp_grant = datapath_grant;
    ops->esp_limits = limits;
    ops->esp_refused = refused;
    ops->esp_revoke = datapath_revoke;
    ops->esp_mode = datapath_mode;
    ops->esp_passed = datapath_passed;
    ops->esp_export = datapath_export;
    ops->esp_resume = datapath_resume;
    ops->esp_end = end;
    ops->esp_pass = pass;
    ops->esp_pass_done = pass_done;
    ops->esp_waiting = waiting;
    ops->esp_idle = idle;
}

/* --- news from workers --- */

static void pass_on(struct datapath *d, const struct worker_event *e)
{
    static const struct {
        uint32_t bits;
        enum conductor_esp_news news;
    } table[] = {
        {ESP_EVENT_SOFT_IN | ESP_EVENT_SOFT_OUT, CONDUCTOR_ESP_SOFT},
        {ESP_EVENT_HARD_IN | ESP_EVENT_HARD_OUT, CONDUCTOR_ESP_HARD},
        {ESP_EVENT_FIRST_INBOUND, CONDUCTOR_ESP_FIRST_INBOUND},
        {ESP_EVENT_PEER_MOVED, CONDUCTOR_ESP_MOVED},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if ((e->events & table[i].bits) != 0)
            conductor_handle_esp(d->conductor, e->spi_in, table[i].news, &e->from);
}

void datapath_drain_events(struct datapath *d)
{
    struct worker_event events[64];
    size_t n;

    while ((n = worker_pool_events(d->options.pool, events, 64)) > 0) {
        for (size_t i = 0; i < n; i++) {
            struct datapath_child *child = conductor_esp_of(d->conductor, events[i].spi_in);

            if (child != NULL && child->granted)
                heap_set(&d->heap, &child->due, datapath_now_ms(d));
            pass_on(d, &events[i]);
        }
    }
}

/* --- pacing --- */

static void flush(struct datapath *d)
{
    size_t n = d->n_batch;

    if (n == 0)
        return;
    d->n_batch = 0;
    (void)conductor_extend(d->conductor, d->batch_shard, d->batch, n);
    for (size_t i = 0; i < n; i++) {
        struct datapath_child *child = d->batch_children[i];

        if (d->batch[i].taken) {
            child->told_in = d->batch[i].packets_in;
            child->told_out = d->batch[i].packets_out;
            child->told_in_bytes = d->batch[i].bytes_in;
            child->told_out_bytes = d->batch[i].bytes_out;
            continue;
        }
        if (told(d, child, ESP_PACE_REFUSED_MS))
            continue;
        not_applied(d, child, child->pacer.reservation_end, child->pacer.ceiling);
    }
}

static void wish_extend(struct datapath *d, struct datapath_child *child,
                        const struct esp_sa_view *v, const struct esp_pace_wish *w)
{
    if (d->n_batch == EXTEND_BATCH || (d->n_batch > 0 && d->batch_shard != child->shard))
        flush(d);
    d->batch_shard = child->shard;
    d->batch_children[d->n_batch] = child;
    d->batch[d->n_batch++] = (struct conductor_extend){.spi_in = child->spi_in,
                                                       .reservation_end = w->reservation_end,
                                                       .ceiling = w->ceiling,
                                                       .packets_in = v->counted_in,
                                                       .packets_out = v->counted_out,
                                                       .bytes_in = v->counted_in_bytes,
                                                       .bytes_out = v->counted_out_bytes};
}

/* Packets that may pass before bytes are to be told; 0: now. */
static uint64_t left_of_bytes(uint64_t told, uint64_t counted, uint64_t slack)
{
    uint64_t left = esp_tally_left(told, counted, slack);

    return left == 0 ? 0 : esp_tally_packets_of(left);
}

/* P3: at this rate the hard limit would come before a rekey that waits for the soft one is done. */
static bool soft_near(const struct datapath_child *child, const struct esp_sa_view *v)
{
    uint64_t in = child->pacer.in.per_second, out = child->pacer.out.per_second;
    uint64_t in_bytes = v->in_packets == 0 ? 0 : in * (v->in_bytes / v->in_packets);
    uint64_t out_bytes = v->out_packets == 0 ? 0 : out * (v->out_bytes / v->out_packets);

    return esp_tally_soft_near(child->hard_packets, v->counted_in, in) ||
           esp_tally_soft_near(child->hard_packets, v->counted_out, out) ||
           esp_tally_soft_near(child->hard_bytes, v->counted_in_bytes, in_bytes) ||
           esp_tally_soft_near(child->hard_bytes, v->counted_out_bytes, out_bytes);
}

/* What counts for the SA's limits is told with each extension; where none is due in time, in one
 * that asks for nothing. The marks call the control loop when it is so far. True: now. */
static bool tell_due(const struct datapath_child *child, const struct esp_sa_view *v,
                     struct esp_pace_wish *w)
{
    uint64_t in = UINT64_MAX, out = UINT64_MAX;

    if (child->slack != 0) {
        in = esp_tally_left(child->told_in, v->counted_in, child->slack);
        out = esp_tally_left(child->told_out, v->counted_out, child->slack);
    }
    if (child->slack_bytes != 0) {
        in = number_smaller(
            in, left_of_bytes(child->told_in_bytes, v->counted_in_bytes, child->slack_bytes));
        out = number_smaller(
            out, left_of_bytes(child->told_out_bytes, v->counted_out_bytes, child->slack_bytes));
    }
    if (in == UINT64_MAX)
        return false;
    w->mark_in = number_smaller(w->mark_in, v->last_seq + (in > 0 ? in : 1));
    w->mark_out = number_smaller(w->mark_out, v->next_out + (out > 0 ? out - 1 : 0));
    return (in == 0 || out == 0) && w->kind == ESP_PACE_NOTHING &&
           child->pacer.phase == ESP_PACE_IDLE;
}

/* Verified packets at or below the floor, over 100 ms, and none accepted: a sender whose numbers
 * are that slow (or that was stalled) would not get through by itself. A sender that crosses the
 * floor within that time is left alone. True: look again. */
static bool recover(struct datapath *d, struct datapath_child *child, const struct esp_sa_view *v)
{
    uint64_t below_ms = v->below_floor_ns / 1000000;

    if (child->rekeying || child->recovered || v->in_packets != child->granted_packets ||
        below_ms < child->granted_ms)
        return false;
    if (child->below_since_ms == 0)
        child->below_since_ms = below_ms;
    if (below_ms < child->below_since_ms + RECOVERY_AFTER_MS)
        return true;
    child->recovered = conductor_recover(d->conductor, child->spi_in);
    if (child->recovered)
        log_line(d->options.log, LOG_WARN, "esp", "sa=%016llx spi=%08x replay recovery",
                 (unsigned long long)child->ike_sa, child->spi_in);
    return !child->recovered;
}

static void step(struct datapath *d, struct datapath_child *child)
{
    struct esp_sa_view v;
    struct esp_pace_now now;
    struct esp_pace_wish w;
    bool look_again;

    esp_sa_read(child->sa, &v);
    now = datapath_pace_now(d, &v);
    if (!child->near_soft && soft_near(child, &v))
        child->near_soft = child->past_soft = true;
    if (child->past_soft)
        conductor_handle_esp(d->conductor, child->spi_in, CONDUCTOR_ESP_SOFT, NULL);
    child->past_soft = false;
    look_again = recover(d, child, &v);
    if (child->telling)
        return; /* one record of it is under way; what is due waits for that */
    if (child->pacer.phase == ESP_PACE_LOWERING) {
        if (child->ticket != 0 && !worker_pool_passed(d->options.pool, child->ticket)) {
            heap_set(&d->heap, &child->due, now.now_ms + 1);
            return;
        }
        child->ticket = 0;
        w = esp_pace_passed(&child->pacer, &now);
    } else {
        w = esp_pace_step(&child->pacer, &now);
    }
    child->telling = tell_due(child, &v, &w);
    esp_sa_set_marks(child->sa, w.mark_in, w.mark_out);
    if (look_again && w.again_ms > now.now_ms + RECOVERY_AFTER_MS)
        w.again_ms = now.now_ms + RECOVERY_AFTER_MS;
    heap_set(&d->heap, &child->due, w.again_ms);
    if (w.kind == ESP_PACE_EXTEND || child->telling) {
        wish_extend(d, child, &v, &w);
    } else if (w.kind == ESP_PACE_LOWER) {
        esp_sa_set_ceiling(child->sa, w.ceiling);
        child->ticket = worker_pool_pass(d->options.pool);
        heap_set(&d->heap, &child->due, now.now_ms + 1);
    }
}

void datapath_pace(struct datapath *d)
{
    uint64_t now = datapath_now_ms(d);
    struct heap_node *node;

    /* After a takeover all are due at once: what is left comes in the loop's next turn. */
    for (int i = 0; i < PACE_MAX && (node = heap_first(&d->heap)) != NULL && node->at_ms <= now;
         i++) {
        struct datapath_child *child =
            (struct datapath_child *)(void *)((char *)node - offsetof(struct datapath_child, due));

        heap_set(&d->heap, node,
                 now + ESP_PACE_REFUSED_MS); /* at the latest; step() sets its own */
        step(d, child);
    }
    flush(d);
}

uint64_t datapath_next_ms(const struct datapath *d)
{
    const struct heap_node *node = heap_first(&d->heap);

    return node != NULL ? node->at_ms : UINT64_MAX;
}

void datapath_view(void *esp, struct esp_sa_view *view)
{
    struct datapath_child *child = esp;

    esp_sa_read(child->sa, view);
}

void datapath_count_drops(struct datapath *d)
{
    drops_walk(&d->drops);
}

void datapath_drops(struct datapath *d, struct datapath_drops *drops)
{
    drops_read(&d->drops, drops);
}
