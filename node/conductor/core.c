#include "conductor/core.h"

#include <stdlib.h>

#include "base/number.h"
#include "conductor/internal.h"
#include "wire/header.h"

struct conductor *conductor_create(const struct conductor_options *options,
                                   const struct conductor_ops *ops)
{
    struct conductor *c = calloc(1, sizeof *c);

    HF_ASSERT(c != NULL && options->n_shards <= REPL_MAX_SHARDS);
    c->options = *options;
    if (c->options.auth.window_ms == 0)
        c->options.auth = (struct conductor_auth_limit){
            CONDUCTOR_AUTH_RATE, CONDUCTOR_AUTH_RATE_ALL, CONDUCTOR_AUTH_WINDOW_MS};
    c->ops = *ops;
    c->policy = options->policy;
    c->log = options->log;
    c->attempts = attempts_create(options->node, options->boot);
    for (uint32_t i = 0; i < options->n_shards; i++)
        c->shards[i].id = options->shards[i].id;
    c->steppoint = (struct steppoint){.enabled = options->drills, .fd = options->step_fd};
    return c;
}

void conductor_destroy(struct conductor *c)
{
    struct conductor_source *source, *next_source;
    struct conductor_op *op, *next_op;
    struct conductor_address *a, *next_a;
    struct conductor_sa *sa, *next_sa;

    /* uthash's deletion is beyond the analyzer. NOLINTBEGIN(clang-analyzer-unix.Malloc) */
    HASH_ITER(hh, c->sas, sa, next_sa)
    {
        sa_remove(c, sa);
    }
    HASH_ITER(hh, c->sources, source, next_source)
    {
        HASH_DELETE(
            hh, c->sources,
            source); // NOLINT(clang-analyzer-unix.Malloc): uthash's deletion is beyond the analyzer
        free(source);
    }
    HASH_ITER(hh, c->addresses, a, next_a)
    {
        HASH_DELETE(
            hh, c->addresses,
            a); // NOLINT(clang-analyzer-unix.Malloc): uthash's deletion is beyond the analyzer
        free(a);
    }
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    DL_FOREACH_SAFE(c->ops_inflight, op, next_op)
    {
        op_free(c, op);
    }
    handover_deinit(c);
    heap_deinit(&c->heap);
    attempts_destroy(c->attempts);
    secret_wipe_bytes(c, sizeof *c);
    free(c);
}

bool sa_enqueue(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w)
{
    if (sa->n_queued >= CONDUCTOR_QUEUE_MAX) {
        count(&c->counters, COUNTER_queue_full);
        work_free(w);
        return false;
    }
    w->sa_id = sa->id;
    *sa->queue_tail = w;
    sa->queue_tail = &w->next;
    sa->n_queued++;
    run_queue(c, sa);
    return true;
}

/* Many half-open SAs in all, or some of one source: it may be somebody else who speaks in its name
 * (RFC 7296 2.6), so the bound of a source is for those alone that answer from there. */
static void cookies(struct conductor *c, struct ike_event *e)
{
    if (!c->cookie_ready)
        return;
    e->cookie_required = c->n_half_open + c->n_jobs_free >= CONDUCTOR_COOKIE_AT ||
                         half_open_from(c, &e->remote.ip) >= CONDUCTOR_COOKIE_SOURCE_AT;
    e->cookie_secret = c->cookie_secret;
    e->cookie_secret_previous = c->cookie_previous_ready ? c->cookie_secret_previous : NULL;
    e->cookie_secret_id = c->cookie_secret_id;
}

void conductor_handle_datagram(struct conductor *c, uint32_t shard, const struct endpoint *local,
                               const struct endpoint *remote, bool natt, struct span datagram)
{
    struct conductor_sa *sa = NULL;
    struct conductor_work *w;
    struct wire_header h;
    enum wire_result r;
    uint64_t spi;

    count(&c->counters, COUNTER_ike_in);
    if (natt)
        count(&c->counters, COUNTER_ike_in_natt);
    if (!may_step(c, shard)) {
        count(&c->counters, COUNTER_not_owner);
        return;
    }
    if (datagram.len > IKE_MAX_MESSAGE_BYTES) {
        failed_datagram(c, IKE_REASON_OVERSIZED, shard, local, remote);
        return;
    }
    r = wire_header_decode(datagram, &h);
    if (r != WIRE_OK && r != WIRE_VERSION) {
        failed_datagram(
            c, datagram.len < WIRE_HEADER_BYTES ? IKE_REASON_TRUNCATED : IKE_REASON_MALFORMED,
            shard, local, remote);
        return;
    }
    spi = (h.flags & WIRE_FLAG_INITIATOR) != 0 ? h.spi_r : h.spi_i;
    if (spi != 0) {
        sa = sa_find(c, spi);
        if (sa == NULL || sa->shard != shard) {
            /* IKEv1 sets no initiator's flag: its first message is not one of an SA that is gone. */
            failed_datagram(c, r == WIRE_VERSION ? IKE_REASON_WRONG_VERSION : IKE_REASON_WRONG_SPI,
                            shard, local, remote);
            return;
        }
    } else {
        sa = sa_find_half_open(c, h.spi_i, remote);
    }
    w = work_new(datagram);
    w->event.kind = IKE_EV_DATAGRAM;
    w->event.local = *local;
    w->event.remote = *remote;
    w->event.natt = natt;
    w->event.shard = shard;
    cookies(c, &w->event);
    if (sa != NULL)
        (void)sa_enqueue(c, sa, w);
    else
        run_work(c, w);
}

/* The owning SA of a heap node. */
static struct conductor_sa *sa_of(struct heap_node *node)
{
    return (struct conductor_sa *)(void *)((char *)node - offsetof(struct conductor_sa, wake));
}

/* ESP traffic counts as life: asked only when a timer is due, so it costs nothing per packet. */
static void note_life(struct conductor *c, struct conductor_sa *sa)
{
    uint64_t now = c->ops.now_ms(c->ops.self);

    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        uint64_t in = UINT64_MAX, out = UINT64_MAX;

        if (sa->children[i].esp == NULL)
            continue;
        c->ops.esp_idle(c->ops.esp_self, sa->children[i].esp, &in, &out);
        if (in <= now && now - in > sa->local_part.last_inbound_ms)
            sa->local_part.last_inbound_ms = now - in;
        if (out <= now && now - out > sa->local_part.last_outbound_ms)
            sa->local_part.last_outbound_ms = now - out;
    }
}

void conductor_handle_timer(struct conductor *c)
{
    uint64_t now = c->ops.now_ms(c->ops.self);
    struct heap_node *node;

    conductor_handle_handovers(c);
    late_run(c);
    /* Bounded: what is left is due at once again, after the loop's other sources had their turn. */
    for (int i = 0;
         i < CONDUCTOR_TIMERS_MAX && (node = heap_first(&c->heap)) != NULL && node->at_ms <= now;
         i++) {
        struct conductor_sa *sa = sa_of(node);
        struct conductor_work *w;

        /* Whatever happens below, this node comes again later at the earliest; a step sets its
         * real time. */
        heap_set(&c->heap, node, now + CONDUCTOR_AGAIN_MS);
        if (sa->inflight != NULL || sa->job_work != NULL)
            continue;
        if (sa->queue != NULL) { /* put off */
            run_queue(c, sa);
            continue;
        }
        /* A half-open SA ends by time on every node; anything else is the owner's. */
        if (!sa->half_open && !may_step(c, sa->shard))
            continue;
        if (sa->ended) {
            (void)submit_delete(c, sa);
            continue;
        }
        if (news_offer(c, sa))
            continue;
        note_life(c, sa);
        w = work_new((struct span){0});
        w->event.kind = IKE_EV_TIMER;
        (void)sa_enqueue(c, sa, w);
    }
}

uint64_t conductor_next_wake_ms(const struct conductor *c)
{
    const struct heap_node *node = heap_first(&c->heap);
    uint64_t at_ms = number_smaller(handover_wake_ms(c), late_wake_ms(c));

    return node != NULL && node->at_ms < at_ms ? node->at_ms : at_ms;
}

void conductor_handle_esp(struct conductor *c, uint32_t spi_in, enum conductor_esp_news news,
                          const struct endpoint *remote)
{
    struct conductor_child *child = child_find(c, spi_in);
    struct conductor_work *w;

    if (child == NULL)
        return;
    if (news != CONDUCTOR_ESP_MOVED) {
        (void)news_raise(c, child, news);
        return;
    }
    if (!may_step(c, child->sa->shard))
        return;
    w = work_new((struct span){0});
    w->event.kind = IKE_EV_PEER_MOVED;
    w->event.child_spi_in = spi_in;
    if (remote != NULL)
        w->event.remote = *remote;
    (void)sa_enqueue(c, child->sa, w);
}

bool conductor_command(struct conductor *c, uint64_t sa_id, uint32_t want, uint32_t child_spi_in,
                       const char **why)
{
    struct conductor_sa *sa = sa_find(c, sa_id);
    struct conductor_work *w;

    if (sa == NULL || sa->half_open) {
        *why = "no such SA";
        return false;
    }
    if (!c->ops.may_act(c->ops.self, sa->shard)) {
        *why = "this node does not own the SA's shard now: ask its owner";
        return false;
    }
    if (shard_moving(c, sa->shard)) {
        *why = "the SA's shard is being handed over: ask its next owner";
        return false;
    }
    if (child_spi_in != 0 &&
        (child_find(c, child_spi_in) == NULL || child_find(c, child_spi_in)->sa != sa)) {
        *why = "no such CHILD SA";
        return false;
    }
    w = work_new((struct span){0});
    w->event.kind = IKE_EV_COMMAND;
    w->event.want = want;
    w->event.child_spi_in = child_spi_in;
    *why = "too many events wait for this SA: try again";
    return sa_enqueue(c, sa, w);
}

void *conductor_esp_of(struct conductor *c, uint32_t spi_in)
{
    struct conductor_child *child = child_find(c, spi_in);

    return child != NULL ? child->esp : NULL;
}

void conductor_initiate(struct conductor *c, uint32_t shard, const struct endpoint *local,
                        const struct endpoint *remote)
{
    struct conductor_work *w = work_new((struct span){0});

    w->event.kind = IKE_EV_INITIATE;
    w->event.local = *local;
    w->event.remote = *remote;
    w->event.shard = shard;
    run_work(c, w);
}

/* Else the keys of an SA that is deleted stay there until the next one's take their place, on every node. */
void conductor_rest(struct conductor *c)
{
    if (!c->scratch_used)
        return;
    c->scratch_used = false;
    secret_wipe_bytes(&c->before, sizeof c->before);
    secret_wipe_bytes(&c->giver, sizeof c->giver);
    secret_wipe_bytes(&c->transition, sizeof c->transition);
    secret_wipe_bytes(c->encoded, sizeof c->encoded);
}

struct steppoint *conductor_steppoint(struct conductor *c)
{
    return &c->steppoint;
}

const struct counters *conductor_counters(const struct conductor *c)
{
    return &c->counters;
}

size_t conductor_count_sas(const struct conductor *c)
{
    return c->n_sas - c->n_half_open;
}

size_t conductor_count_half_open(const struct conductor *c)
{
    return c->n_half_open;
}

size_t conductor_count_children(const struct conductor *c)
{
    return HASH_COUNT(c->children);
}

const struct conductor_shard *conductor_shard(const struct conductor *c, uint32_t id)
{
    for (uint32_t i = 0; i < c->options.n_shards; i++)
        if (c->shards[i].id == id)
            return &c->shards[i];
    return NULL;
}

static void view(struct conductor *c, struct conductor_sa *sa,
                 void (*visit)(void *self, const struct conductor_sa_view *view), void *self)
{
    const struct conductor_shard *shard = shard_find(c, sa->shard);
    struct conductor_sa_view v = {.sa = &c->before, .version = sa_version(c, sa)};

    if (!sa_decode(c, sa, &c->before))
        return;
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        struct conductor_child *child = c->before.children[i].state != IKE_CHILD_NONE
                                            ? child_find(c, c->before.children[i].spi_in)
                                            : NULL;

        if (child == NULL)
            continue;
        v.children[i].esp = child->esp;
        v.children[i].claim = child->claim;
        if (shard != NULL)
            repl_claim_touch(&v.children[i].claim, shard->assignments);
        v.children[i].extending = child->extending != NULL;
    }
    visit(self, &v);
}

void conductor_each_sa(struct conductor *c,
                       void (*visit)(void *self, const struct conductor_sa_view *view), void *self)
{
    struct conductor_sa *sa, *next;

    HASH_ITER(hh, c->sas, sa, next)
    {
        if (!sa->half_open)
            view(c, sa, visit, self);
    }
}

bool conductor_view_sa(struct conductor *c, uint64_t sa_id,
                       void (*visit)(void *self, const struct conductor_sa_view *view), void *self)
{
    struct conductor_sa *sa = sa_find(c, sa_id);

    if (sa == NULL || sa->half_open)
        return false;
    view(c, sa, visit, self);
    return true;
}

void conductor_each_child(struct conductor *c, uint32_t shard,
                          void (*visit)(void *self, uint32_t spi_in, void *esp,
                                        const struct repl_claim *claim, bool extending),
                          void *self)
{
    const struct conductor_shard *s = shard_find(c, shard);
    struct conductor_child *child, *next;

    HASH_ITER(hh, c->children, child, next)
    {
        struct repl_claim claim = child->claim;

        if (child->sa->shard != shard || s == NULL)
            continue;
        repl_claim_touch(&claim, s->assignments);
        visit(self, child->spi_in, child->esp, &claim, child->extending != NULL);
    }
}
