/* A snapshot goes to a node that lags in pieces, so that heartbeats pass between them and nobody
 * holds all of it in memory:
 *
 *   leader   read a piece ─> INSTALL ─> ... at most RAFT_INSTALL_PIECES that are not stored there
 *   node     draft on the disk ─> INSTALL_ACK ... ─> all of it: the core's InstallSnapshot
 *
 * libraft knows one message only; it is given to it when everything is on the node's disk. Whatever
 * is lost with a connection or a start is asked for again: by the node, when a piece does not follow
 * what it has; by the leader, when nothing moved for a while.
 */
#include "replication/raft_internal.h"

static uint32_t reader_of(const struct raft_driver *d, const struct raft_outgoing *o)
{
    return (uint32_t)(o - d->outgoing) + 1;
}

static struct raft_outgoing *outgoing(struct raft_driver *d, uint32_t node)
{
    for (size_t i = 0; i < REPL_MAX_SERVERS; i++)
        if (d->outgoing[i].node == node)
            return &d->outgoing[i];
    return NULL;
}

static void give_up(struct raft_driver *d, struct raft_outgoing *o)
{
    d->storage.read_end(d->storage.self, reader_of(d, o));
    /* A read on its way comes back to a slot that is free, or another's: `transfer` tells. */
    *o = (struct raft_outgoing){.reading = o->reading};
}

static void read_next(struct raft_driver *d, struct raft_outgoing *o)
{
    size_t piece = d->options.install_piece_bytes;

    if (o->reading || o->finished || (o->total > 0 && o->sent >= o->total) ||
        o->sent >= o->acked + RAFT_INSTALL_PIECES * piece)
        return;
    o->reading = true;
    d->storage.read(d->storage.self, reader_of(d, o), o->meta.index, o->meta.term, o->sent, piece);
}

/* From `offset` on, by a new number: what was sent before is of no interest any more. */
static void send_from(struct raft_driver *d, struct raft_outgoing *o, uint64_t offset)
{
    o->sent = o->acked = offset;
    o->transfer = ++d->transfers;
    o->moved_ms = d->now_ms;
    read_next(d, o);
}

static void begin_sending(struct raft_driver *d, uint32_t node, bool repair)
{
    struct raft_outgoing *o = outgoing(d, node);

    if (o != NULL)
        return; /* on its way, or there and being installed; raft_install_poll() sees to it */
    o = outgoing(d, 0);
    HF_ASSERT(o != NULL);
    o->node = node;
    o->repair = repair;
    o->finished = false;
    o->meta = d->snapshot;
    o->total = 0;
    o->stalls = 0;
    d->counters.installs_sent++;
    send_from(d, o, 0);
}

void raft_install_send(struct raft_driver *d, uint32_t node,
                       const struct raft_install_snapshot *args)
{
    HF_ASSERT(d->snapshot.index >= args->last_index);
    begin_sending(d, node, false);
}

void raft_install_repair(struct raft_driver *d, uint32_t node)
{
    begin_sending(d, node, true);
}

/* Nobody can tell whether that state is the cluster's: it must not become so by being installed. */
static bool is_withheld(const struct raft_driver *d, const struct raft_outgoing *o)
{
    return o->meta.index > d->vouched;
}

uint32_t raft_driver_withheld(const struct raft_driver *d)
{
    for (size_t i = 0; i < REPL_MAX_SERVERS; i++)
        if (d->outgoing[i].node != 0 && !d->outgoing[i].finished && is_withheld(d, &d->outgoing[i]))
            return d->outgoing[i].node;
    return 0;
}

void raft_driver_vouch(struct raft_driver *d, uint64_t now_ms, uint64_t index)
{
    uint64_t before = d->vouched;

    HF_ASSERT(d->started && !d->stepping);
    d->now_ms = now_ms > d->now_ms ? now_ms : d->now_ms;
    d->vouched = index;
    for (size_t i = 0; i < REPL_MAX_SERVERS; i++) {
        struct raft_outgoing *o = &d->outgoing[i];

        if (o->node != 0 && !o->finished && !d->failed && o->meta.index > before &&
            !is_withheld(d, o))
            send_from(d, o, o->acked);
    }
}

/* The piece that was read leaves, when it is still the one that is wanted, and may. */
void raft_install_read(struct raft_driver *d, const struct repl_storage_done *done)
{
    struct raft_outgoing *o = &d->outgoing[done->reader - 1];
    struct raft_frame frame;

    HF_ASSERT(done->reader >= 1 && done->reader <= REPL_MAX_SERVERS && o->reading);
    o->reading = false;
    if (o->node == 0 || o->finished || is_withheld(d, o))
        return;
    if (done->index != o->meta.index || done->offset != o->sent) {
        read_next(d, o); /* it began anew meanwhile */
        return;
    }
    if (done->status ==
        REPL_STORAGE_GONE) { /* a newer one: at the latest when we have heard of it */
        o->total = 0;
        if (o->meta.index != d->snapshot.index) {
            o->meta = d->snapshot;
            send_from(d, o, 0);
        }
        return;
    }
    o->total = done->total;
    frame = raft_frame_begin(d, RAFT_FRAME_INSTALL, d->raft.current_term);
    frame.index = o->meta.index;
    frame.index_term = o->meta.term;
    frame.configuration = o->meta.configuration;
    frame.transfer = o->transfer;
    frame.total = o->total;
    frame.offset = o->sent;
    frame.data = done->data;
    if (!raft_send_small(d, o->node, &frame))
        return; /* not connected: raft_install_poll() tries again */
    d->counters.pieces_out++;
    o->sent += done->data.len;
    o->moved_ms = d->now_ms;
    if (o->total > 0)
        read_next(d, o);
}

void raft_install_acked(struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    struct raft_outgoing *o = outgoing(d, from);

    if (o == NULL || o->finished || f->index != o->meta.index || f->transfer != o->transfer ||
        f->offset > o->total || (!f->again && f->offset > o->sent))
        return;
    o->moved_ms = d->now_ms;
    o->stalls = 0;
    if (f->again && f->offset < o->total) {
        send_from(d, o, f->offset);
        return;
    }
    o->acked = f->offset > o->acked ? f->offset : o->acked;
    o->finished = o->acked == o->total;
    if (o->finished)
        d->storage.read_end(d->storage.self, reader_of(d, o));
    else
        read_next(d, o);
}

void raft_install_poll(struct raft_driver *d)
{
    uint64_t pause = d->options.install_timeout_ms / 10;

    for (size_t i = 0; i < REPL_MAX_SERVERS; i++) {
        struct raft_outgoing *o = &d->outgoing[i];

        if (o->node == 0)
            continue;
        /* One that is finished stays until the node says that it is installed: meanwhile it is
         * silent, and the core takes it for lost. */
        if (d->raft.state != RAFT_LEADER || o->stalls > RAFT_INSTALL_STALLS ||
            (!o->repair && raft_filled(d, o->node) >= o->meta.index) ||
            (o->finished && d->now_ms - o->moved_ms >= d->options.install_timeout_ms)) {
            give_up(d, o);
        } else if (o->finished) {
            continue;
        } else if (d->now_ms - o->moved_ms > pause) {
            o->stalls++;
            send_from(d, o, o->acked);
        }
    }
}

static void acknowledge(struct raft_driver *d, uint32_t to, const struct raft_frame *f,
                        uint64_t offset, bool again)
{
    struct raft_frame ack = raft_frame_begin(d, RAFT_FRAME_INSTALL_ACK, d->raft.current_term);

    ack.index = f->index;
    ack.transfer = f->transfer;
    ack.offset = offset;
    ack.again = again;
    (void)raft_send_small(d, to, &ack);
}

/* False: not now. */
static bool begin_receiving(struct raft_driver *d, uint32_t from, const struct raft_frame *f,
                            bool repair)
{
    struct raft_incoming *in = &d->incoming;

    d->storage.draft_drop(d->storage.self, REPL_DRAFT_RECEIVED);
    *in = (struct raft_incoming){
        .active = true,
        .from = from,
        .boot = f->boot,
        .incarnation = f->incarnation,
        .meta = {.index = f->index, .term = f->index_term, .configuration = f->configuration},
        .total = f->total,
        .repair = repair};
    raft_repair_drop(d);
    if (!repair)
        d->storage.draft_begin(d->storage.self, REPL_DRAFT_RECEIVED, &in->meta);
    else if (!raft_repair_begin(d, &in->meta))
        *in = (struct raft_incoming){0};
    return in->active;
}

/* Is it behind what we have? Then its sender has not heard of that yet. */
static bool have_already(const struct raft_driver *d, const struct raft_frame *f)
{
    return f->index <= d->snapshot.index ||
           (f->index <= d->commit && raft_driver_term_of(d, f->index) == f->index_term);
}

void raft_install_piece(struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    struct raft_incoming *in = &d->incoming;
    bool repair = raft_repairs(d, f);
    bool same = in->active && in->from == from && in->boot == f->boot &&
                in->meta.index == f->index && in->meta.term == f->index_term &&
                in->total == f->total && in->repair == repair;
    enum repl_draft draft = repair ? REPL_DRAFT_OWN : REPL_DRAFT_RECEIVED;

    if (raft_repairs_later(d, f))
        return;
    if (!repair && have_already(d, f)) {
        acknowledge(d, from, f, f->total, true);
        return;
    }
    if (d->now_ms < d->deaf_until_ms)
        return;
    if (f->offset == 0 && (!same || in->received > 0 || f->total == 0)) {
        same = begin_receiving(d, from, f, repair);
        if (!same)
            return;
    }
    if (!same || f->offset != in->received) { /* a piece is missing, or came already */
        acknowledge(d, from, f, same ? in->received : 0, true);
        return;
    }
    d->counters.pieces_in++;
    in->transfer = f->transfer;
    in->term = f->term;
    in->received += f->data.len;
    d->storage.draft_write(d->storage.self, draft, f->data);
    if (in->received == in->total)
        d->storage.draft_close(d->storage.self, draft);
}

/* So much of it is on our disk; all of it is the core's business. */
void raft_install_drafted(struct raft_driver *d, const struct repl_storage_done *done)
{
    struct raft_incoming *in = &d->incoming;
    struct raft_frame f = {.index = in->meta.index, .transfer = in->transfer};

    if (!in->active || done->index != in->meta.index)
        return;
    in->stored = done->offset;
    if (!done->closed && in->stored < in->total)
        acknowledge(d, in->from, &f, in->stored, false);
    if (!done->closed)
        return;
    acknowledge(d, in->from, &f, in->total, false);
    if (in->repair)
        *in = (struct raft_incoming){0}; /* the rest is as with a snapshot of our own */
    else
        raft_offer_install(d);
}
