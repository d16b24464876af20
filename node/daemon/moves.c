/* Shards that come and go: packets that are for another node, and what makes this node give its
 * shards away (a stop, a disk that fills up). */
#include "daemon/internal.h"
#include "io/clock.h"
#include "io/udp.h"

HF_STATIC_ASSERT((int)WORKER_SLOT_BYTES <= (int)STRAY_PACKET_BYTES);

enum {
    STOP_MS = 2000,      /* a stop waits so long for others to take over */
    AFTERGLOW_MS = 200,  /* ... and forwards for so long what neighbours still send here */
    PASS_AGAIN_MS = 300, /* a transfer of leadership that did not come about */
    DISK_LOOK_MS = 1000,
    DISK_BACK_PERCENT = 2, /* so far below the watermark it must come, to be well again */
    FRAME_MAX = STRAY_HEAD_BYTES + STRAY_PACKET_BYTES
};

static uint64_t now_ms(void *self)
{
    (void)self;
    return io_boottime_ns() / 1000000;
}

/* --- strays --- */

static bool stray_owner(void *self, uint32_t shard, uint32_t *node, uint64_t *epoch, bool *mine)
{
    struct daemon *d = self;
    const struct conductor_shard *s = conductor_shard(d->conductor, shard);

    if (s == NULL)
        return false;
    *mine = s->mine;
    *epoch = s->epoch.index;
    /* An earlier start of this node's is nobody. */
    *node = s->owner_node == d->config->node_id ? 0 : s->owner_node;
    return true;
}

static bool stray_acting(void *self, uint32_t shard)
{
    struct daemon *d = self;

    return daemon_may_act(d, shard) && !conductor_moving(d->conductor, shard);
}

static bool stray_sure(void *self)
{
    struct daemon *d = self;

    return d->leader_known && d->notices.quorum;
}

static bool stray_deliver(void *self, const struct stray_frame *p)
{
    struct daemon *d = self;
    struct worker_datagram w = {.kind = p->kind == STRAY_ESP ? WORKER_ESP : WORKER_INNER,
                                .hops = p->hops,
                                .from = p->from,
                                .to = p->to,
                                .bytes = p->packet};
    const struct daemon_shard *shard;

    if (p->kind == STRAY_IKE) {
        conductor_handle_datagram(d->conductor, p->shard, &p->to, &p->from,
                                  p->to.port == UDP_NAT_PORT, p->packet);
        return true;
    }
    shard = daemon_shard_of(d, p->shard);
    if (shard == NULL)
        return false;
    w.shard_slot = (uint32_t)(shard - d->shards);
    return worker_pool_inject(d->pool, &w);
}

static enum stray_sent stray_forward(void *self, uint32_t node, struct span head,
                                     struct span packet)
{
    struct daemon *d = self;
    uint8_t frame[FRAME_MAX];

    HF_ASSERT(head.len + packet.len <= sizeof frame);
    memcpy(frame, head.data, head.len);
    memcpy(frame + head.len, packet.data, packet.len);
    switch (
        repl_send_frame(d->repl, node, REPL_CHANNEL_STRAY, span_of(frame, head.len + packet.len))) {
    case REPL_OK:
        return STRAY_SENT;
    case REPL_BUSY:
        return STRAY_BUSY;
    default:
        return STRAY_UNREACHABLE;
    }
}

void moves_start(struct daemon *d)
{
    const struct stray_ops ops = {.self = d,
                                  .now_ms = now_ms,
                                  .owner = stray_owner,
                                  .acting = stray_acting,
                                  .sure = stray_sure,
                                  .deliver = stray_deliver,
                                  .forward = stray_forward};

    d->strays = strays_create(&ops);
}

void moves_packet(struct daemon *d, const struct worker_datagram *in)
{
    static const enum stray_kind kinds[] = {
        [WORKER_IKE] = STRAY_IKE, [WORKER_ESP] = STRAY_ESP, [WORKER_INNER] = STRAY_INNER};
    const struct stray_frame f = {.kind = kinds[in->kind],
                                  .hops = in->hops,
                                  .shard = d->shard_ids[in->shard_slot],
                                  .from = in->from,
                                  .to = in->to,
                                  .packet = in->bytes};

    strays_take(d->strays, &f);
}

void moves_ike(struct daemon *d, uint32_t shard, const struct endpoint *local,
               const struct endpoint *remote, struct span bytes)
{
    const struct stray_frame f = {
        .kind = STRAY_IKE, .shard = shard, .from = *remote, .to = *local, .packet = bytes};

    if (bytes.len > 0)
        strays_take(d->strays, &f);
}

/* --- giving all away --- */

static void tell_reluctance(struct daemon *d)
{
    atomic_store(&repl_health(d->repl)->reluctant, d->leaving || d->disk_full);
}

static void on_disk(uv_fs_t *request)
{
    struct daemon *d = request->data;
    const uv_statfs_t *fs = request->ptr;
    uint64_t at = d->config->disk_handover_percent, used;

    d->disk_asked = false;
    if (request->result == 0 && fs->f_blocks > 0 && !d->stopping) {
        used = (fs->f_blocks - fs->f_bavail) * 100 / fs->f_blocks;
        if (!d->disk_full && used >= at)
            log_line(d->log, LOG_ERROR, "disk",
                     "%s is %llu%% full: shards are handed over before it is full",
                     d->config->data_dir, (unsigned long long)used);
        else if (d->disk_full && used + DISK_BACK_PERCENT < at)
            log_line(d->log, LOG_INFO, "disk", "%s is %llu%% full: well again", d->config->data_dir,
                     (unsigned long long)used);
        d->disk_full = used >= at || (d->disk_full && used + DISK_BACK_PERCENT >= at);
        tell_reluctance(d);
    }
    uv_fs_req_cleanup(request);
}

/* Off the loop: a disk that fails may take its time. */
static void look_at_disk(struct daemon *d, uint64_t now)
{
    if (d->disk_asked || now < d->disk_next_ms)
        return;
    d->disk_next_ms = now + DISK_LOOK_MS;
    d->disk_request.data = d;
    d->disk_asked = uv_fs_statfs(&d->loop, &d->disk_request, d->config->data_dir, on_disk) == 0;
}

static bool owns_any(struct daemon *d)
{
    for (uint32_t i = 0; i < d->n_shards; i++)
        if (conductor_shard(d->conductor, d->shard_ids[i])->mine)
            return true;
    return false;
}

/* A leader that just ends costs the others an election, in which nothing is extended: to the best
 * of them instead. */
static void pass_leadership(struct daemon *d)
{
    const struct repl_node_status *best = NULL;
    struct repl_status st;

    repl_status(d->repl, &st);
    for (size_t i = 0; i < st.n_nodes; i++) {
        const struct repl_node_status *n = &st.nodes[i];

        if (n->node != st.node && n->connected && n->healthy && !n->reluctant &&
            (best == NULL || n->applied_index > best->applied_index))
            best = n;
    }
    if (best != NULL && repl_transfer_leader(d->repl, best->node) == REPL_OK)
        log_line(d->log, LOG_INFO, "node", "leadership goes to node %u", best->node);
}

bool moves_leave(struct daemon *d)
{
    uint64_t now = now_ms(NULL);
    uint32_t peers[REPL_MAX_NODES];

    if (d->leaving || repl_peers(d->repl, peers) == 0 || !(owns_any(d) || d->leader))
        return false;
    d->leaving = true;
    d->leave_by_ms = now + STOP_MS;
    d->left_ms = 0;
    tell_reluctance(d);
    return true;
}

void moves_tick(struct daemon *d)
{
    uint64_t now = now_ms(NULL);

    look_at_disk(d, now);
    if (!d->leaving)
        return;
    if (!owns_any(d) && d->leader && now >= d->pass_again_ms) {
        pass_leadership(d);
        d->pass_again_ms = now + PASS_AGAIN_MS;
    }
    if (d->left_ms == 0 && !owns_any(d) && !d->leader)
        d->left_ms = now;
    if (now >= d->leave_by_ms || (d->left_ms != 0 && now - d->left_ms >= AFTERGLOW_MS)) {
        log_line(d->log, owns_any(d) ? LOG_WARN : LOG_INFO, "node", "stopping: %s",
                 owns_any(d) ? "nobody took over in time" : "everything is handed over");
        uv_stop(&d->loop);
    }
}
