#include "daemon/gateway.h"

#include "io/silenced.h"
#include "replication/lease.h"

HF_STATIC_ASSERT((int)WORKER_SLOT_BYTES <= (int)STRAY_PACKET_BYTES);

enum { NATT_PORT = 4500, FRAME_MAX = STRAY_HEAD_BYTES + STRAY_PACKET_BYTES };

/* n_shards: no such shard. */
static uint32_t slot_of(const struct gateway *g, uint32_t shard)
{
    uint32_t slot = 0;

    while (slot < g->options.n_shards && g->options.shard_ids[slot] != shard)
        slot++;
    return slot;
}

bool gateway_may_act(const struct gateway *g, uint32_t shard)
{
    const struct conductor_shard *s = conductor_shard(g->options.conductor, shard);
    uint32_t slot = slot_of(g, shard);
    uint64_t epoch;

    if (s == NULL || !s->mine || slot == g->options.n_shards || is_silenced(g->options.silenced))
        return false;
    epoch = lease_epoch(g->options.lease(g->options.self, slot), g->options.now_ns());
    return epoch != 0 && epoch == s->epoch.index;
}

bool gateway_owns_any(const struct gateway *g)
{
    for (uint32_t i = 0; i < g->options.n_shards; i++)
        if (conductor_shard(g->options.conductor, g->options.shard_ids[i])->mine)
            return true;
    return false;
}

/* --- strays --- */

static uint64_t stray_now(void *self)
{
    return ((struct gateway *)self)->options.now_ns() / 1000000;
}

static bool stray_owner(void *self, uint32_t shard, uint32_t *node, uint64_t *epoch, bool *mine)
{
    struct gateway *g = self;
    const struct conductor_shard *s = conductor_shard(g->options.conductor, shard);

    if (s == NULL)
        return false;
    *mine = s->mine;
    *epoch = s->epoch.index;
    /* An earlier start of this node's is nobody. */
    *node = s->owner_node == g->options.node ? 0 : s->owner_node;
    return true;
}

static bool stray_acting(void *self, uint32_t shard)
{
    struct gateway *g = self;

    return gateway_may_act(g, shard) && !conductor_moving(g->options.conductor, shard);
}

static bool stray_sure(void *self)
{
    struct gateway *g = self;

    return g->leader_known && g->quorum;
}

static bool stray_deliver(void *self, const struct stray_frame *p)
{
    struct gateway *g = self;
    struct worker_datagram w = {.kind = p->kind == STRAY_ESP ? WORKER_ESP : WORKER_INNER,
                                .hops = p->hops,
                                .from = p->from,
                                .to = p->to,
                                .bytes = p->packet};

    if (p->kind == STRAY_IKE) {
        conductor_handle_datagram(g->options.conductor, p->shard, &p->to, &p->from,
                                  p->to.port == NATT_PORT, p->packet);
        return true;
    }
    w.shard_slot = slot_of(g, p->shard);
    return w.shard_slot < g->options.n_shards && worker_pool_inject(g->options.pool, &w);
}

static enum stray_sent stray_forward(void *self, uint32_t node, struct span head,
                                     struct span packet)
{
    struct gateway *g = self;
    uint8_t frame[FRAME_MAX];

    HF_ASSERT(head.len + packet.len <= sizeof frame);
    memcpy(frame, head.data, head.len);
    memcpy(frame + head.len, packet.data, packet.len);
    switch (g->options.forward(g->options.self, node, span_of(frame, head.len + packet.len))) {
    case REPL_OK:
        return STRAY_SENT;
    case REPL_BUSY:
        return STRAY_BUSY;
    default:
        return STRAY_UNREACHABLE;
    }
}

void gateway_init(struct gateway *g, const struct gateway_options *options)
{
    const struct stray_ops ops = {.self = g,
                                  .now_ms = stray_now,
                                  .owner = stray_owner,
                                  .acting = stray_acting,
                                  .sure = stray_sure,
                                  .deliver = stray_deliver,
                                  .forward = stray_forward};

    *g = (struct gateway){.options = *options};
    g->strays = strays_create(&ops);
}

void gateway_deinit(struct gateway *g)
{
    if (g->strays != NULL)
        strays_destroy(g->strays);
    g->strays = NULL;
}

/* --- the loop's sources --- */

bool gateway_event(struct gateway *g, const struct repl_event *event)
{
    if (event->kind == REPL_EV_LEADER) {
        g->leader = event->node == g->options.node;
        g->leader_known = event->node != 0;
    }
    if (event->kind == REPL_EV_QUORUM)
        g->quorum = event->held;
    if (event->kind != REPL_EV_FRAME || event->channel != REPL_CHANNEL_STRAY)
        return conductor_replication_some(g->options.conductor, event);
    strays_receive(g->strays, span_of(event->bytes, event->bytes_len));
    return true;
}

static void take_letter(struct gateway *g, const struct worker_datagram *in)
{
    static const enum stray_kind kinds[] = {
        [WORKER_IKE] = STRAY_IKE, [WORKER_ESP] = STRAY_ESP, [WORKER_INNER] = STRAY_INNER};
    const struct stray_frame f = {.kind = kinds[in->kind],
                                  .hops = in->hops,
                                  .shard = g->options.shard_ids[in->shard_slot],
                                  .from = in->from,
                                  .to = in->to,
                                  .packet = in->bytes};

    /* Cut: there is nothing to keep or to pass on, only to be told. */
    if (in->bytes.len > WORKER_SLOT_BYTES)
        conductor_handle_datagram(g->options.conductor, f.shard, &f.to, &f.from,
                                  f.to.port == NATT_PORT, f.packet);
    else
        strays_take(g->strays, &f);
}

void gateway_workers(struct gateway *g)
{
    struct worker_datagram in;

    worker_pool_event_clear(g->options.pool);
    datapath_drain_events(g->options.datapath);
    conductor_handle_handovers(g->options.conductor); /* the workers may have passed */
    for (int i = 0; i < WORKER_DATAGRAMS && worker_pool_datagram(g->options.pool, &in); i++) {
        take_letter(g, &in);
        worker_pool_datagram_done(g->options.pool);
    }
}

void gateway_ike(struct gateway *g, uint32_t shard, const struct endpoint *local,
                 const struct endpoint *remote, struct span bytes)
{
    const struct stray_frame f = {
        .kind = STRAY_IKE, .shard = shard, .from = *remote, .to = *local, .packet = bytes};

    if (bytes.len > 0)
        strays_take(g->strays, &f);
}

void gateway_timer(struct gateway *g)
{
    conductor_handle_timer(g->options.conductor);
    datapath_pace(g->options.datapath);
}

static uint64_t until(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms == UINT64_MAX ? UINT64_MAX : at_ms > now_ms ? at_ms - now_ms : 0;
}

uint64_t gateway_sleep_ms(struct gateway *g, uint64_t cluster_ms)
{
    uint64_t in = strays_run(g->strays) ? 1 : UINT64_MAX;
    uint64_t wake = until(conductor_next_wake_ms(g->options.conductor), cluster_ms);
    uint64_t pace = until(datapath_next_ms(g->options.datapath), stray_now(g));

    conductor_rest(g->options.conductor);
    in = wake < in ? wake : in;
    return pace < in ? pace : in;
}
