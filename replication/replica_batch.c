/* Records on their way to the log: from the outbox into a batch (leading) or to the leader (else),
 * and from the batch into one entry at a time: gathered until the previous entry is stored (group
 * commit). */
#include <stdlib.h>

#include "base/secret.h"
#include "proto/nodes.pb-c.h"
#include "replication/replica_parts.h"

/* --- the batch: a ring --- */

static struct batch_record *at(struct batch *b, size_t i)
{
    return &b->records[(b->head + i) % b->cap];
}

void replica_batch_clear(struct replica *r)
{
    struct batch *b = &r->batch;

    for (size_t i = 0; i < b->n; i++)
        free(at(b, i)->bytes);
    b->head = b->n = b->bytes = 0;
}

static void grow(struct batch *b)
{
    size_t cap = b->cap == 0 ? 256 : b->cap * 2;
    struct batch_record *records = repl_alloc_zero(cap, sizeof *records);

    for (size_t i = 0; i < b->n; i++)
        records[i] = *at(b, i);
    free(b->records);
    b->records = records;
    b->cap = cap;
    b->head = 0;
}

/* False: full. */
bool replica_batch_push(struct replica *r, struct span sealed, bool front, uint32_t awaited_by)
{
    struct batch *b = &r->batch;

    if (b->n == QUEUE_MAX_RECORDS || b->bytes + sealed.len > QUEUE_MAX_BYTES)
        return false;
    if (b->n == b->cap)
        grow(b);

    struct batch_record record = {
        .bytes = repl_copy(sealed.data, sealed.len), .len = sealed.len, .awaited_by = awaited_by};

    if (front)
        b->head = (b->head + b->cap - 1) % b->cap;
    b->n++;
    *at(b, front ? 0 : b->n - 1) = record;
    b->bytes += sealed.len;
    return true;
}

static void batch_drop(struct batch *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        b->bytes -= at(b, 0)->len;
        free(at(b, 0)->bytes);
        b->head = (b->head + 1) % b->cap;
        b->n--;
    }
}

static uint32_t bit_of(const struct replica *r, uint32_t node)
{
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].node == node)
            return 1u << i;
    return 0;
}

void replica_await(struct replica *r, uint64_t index, uint32_t node)
{
    if (node == r->options.node)
        return;
    if (r->awaited_index == 0)
        r->awaited_nodes = 0;
    r->awaited_nodes |= bit_of(r, node);
    r->awaited_index = index > r->awaited_index ? index : r->awaited_index;
}

/* How many records go into the next entry; *waiting: the nodes that wait for one of them. */
static size_t batch_next(const struct replica *r, struct batch *b, struct span *out,
                         uint32_t *waiting)
{
    size_t bytes = 0;
    size_t n = 0;

    *waiting = 0;
    while (n < b->n && n < BATCH_MAX_RECORDS &&
           (n == 0 || bytes + at(b, n)->len <= BATCH_MAX_BYTES)) {
        if (at(b, n)->awaited_by != 0)
            *waiting |= bit_of(r, at(b, n)->awaited_by);
        out[n] = span_of(at(b, n)->bytes, at(b, n)->len);
        bytes += out[n++].len;
    }
    return n;
}

/* One entry at most: the next is gathered until this one is on our disk. An empty one is a stamp.
 */
static bool submit_entry(struct replica *r, const struct span *records, size_t n)
{
    size_t len = 0;
    uint8_t *bytes = entry_pack(fsm_spoken(&r->fsm), replica_stamp(r), records, n, &len);
    struct span entry = span_of(bytes, len);
    uint64_t index = 0;
    uint64_t term = 0;
    enum raft_driver_result result =
        raft_driver_submit(r->driver, r->now_ns / 1000000, &entry, 1, &index, &term);

    free(bytes);
    if (result == RAFT_DRIVER_FAILED)
        replica_fail(r, "the raft driver failed");
    if (result == RAFT_DRIVER_TOO_BIG)
        replica_log(r, REPL_LOG_ERROR, "an entry of %zu bytes was dropped", len);
    if (result != RAFT_DRIVER_OK && result != RAFT_DRIVER_UNKNOWN && result != RAFT_DRIVER_TOO_BIG)
        return false;
    if (result == RAFT_DRIVER_OK)
        r->entry_index = index;
    r->entry_ns = r->now_ns;
    replica_count(r, REPL_COUNT_ENTRIES, 1);
    return true;
}

/* Followers learn of a commit by the next message only: at rest, that would be a whole heartbeat
 * later; and one that has not stored the entry yet does not take the commit from it either. So when
 * another node waits for what was committed, and has stored it, an empty entry tells it. */
static bool must_tell(const struct replica *r)
{
    if (r->awaited_index == 0 || r->fsm.applied_index < r->awaited_index)
        return false;
    if (r->now_ns - r->entry_ns >= TELL_WAIT_MS * 1000000ull)
        return true;
    for (size_t i = 0; i < r->n_nodes; i++) {
        uint32_t node = r->nodes[i].node;

        if ((r->awaited_nodes >> i & 1) != 0 && r->transport.connected(r->transport.self, node) &&
            raft_driver_match(r->driver, node) < r->awaited_index)
            return false;
    }
    return true;
}

void replica_flush(struct replica *r)
{
    struct span records[BATCH_MAX_RECORDS];
    uint32_t waiting;

    while (r->able && !r->failed) {
        bool tell = must_tell(r);
        uint64_t term = r->raft.term;
        size_t n;

        if (raft_driver_status(r->driver).last_stored < r->entry_index)
            return;
        n = batch_next(r, &r->batch, records, &waiting);
        if (n == 0 && !tell && r->now_ns - r->entry_ns < STAMP_EVERY_MS * 1000000ull)
            return;
        if (!submit_entry(r, records, n))
            return;
        /* The submit may have applied at once (a lone node), or ended our leadership. */
        if (!r->able || r->raft.term != term)
            return;
        if (tell)
            r->awaited_index = 0;
        for (size_t i = 0; i < r->n_nodes; i++)
            if ((waiting >> i & 1) != 0)
                replica_await(r, r->entry_index, r->nodes[i].node);
        batch_drop(&r->batch, n);
    }
}

/* --- to the leader --- */

static bool send_forward(struct replica *r, uint32_t node, const Holdfast__Forward *message)
{
    size_t n = holdfast__forward__get_packed_size(message);
    uint8_t *bytes = repl_alloc_zero(1, n + 1);
    struct span part = span_of(bytes, n);
    bool sent;

    (void)holdfast__forward__pack(message, bytes);
    sent = r->transport.send(r->transport.self, node, REPL_CHANNEL_FORWARD, &part, 1);
    free(bytes);
    return sent;
}

bool replica_forward_wish(struct replica *r, uint32_t transfer_to)
{
    Holdfast__Forward message = HOLDFAST__FORWARD__INIT;

    message.boot = r->options.boot;
    message.transfer_to = transfer_to;
    return r->raft.leader != 0 && r->raft.leader != r->options.node &&
           send_forward(r, r->raft.leader, &message);
}

/* Sends sealed records to the leader, or queues them when that is this node. */
static bool pass_on(struct replica *r, const struct span *records, size_t n)
{
    Holdfast__Forward message = HOLDFAST__FORWARD__INIT;
    ProtobufCBinaryData list[BATCH_MAX_RECORDS];

    if (r->able) {
        for (size_t i = 0; i < n; i++)
            if (!replica_batch_push(r, records[i], false, 0))
                return false;
        return true;
    }
    for (size_t i = 0; i < n; i++)
        list[i] = (ProtobufCBinaryData){.len = records[i].len,
                                        .data = (uint8_t *)(uintptr_t)records[i].data};
    message.boot = r->options.boot;
    message.n_records = n;
    message.records = list;
    if (!send_forward(r, r->raft.leader, &message))
        return false;
    replica_count(r, REPL_COUNT_FORWARDED, n);
    return true;
}

bool replica_may_send(const struct replica *r)
{
    if (r->able)
        return true;
    return r->raft.leader != 0 && r->raft.leader != r->options.node &&
           r->now_ns >= r->hold_until_ns &&
           r->transport.connected(r->transport.self, r->raft.leader);
}

bool replica_pass_on(struct replica *r, struct span sealed)
{
    return pass_on(r, &sealed, 1);
}

/* Does the log know this start? A request that came into it before its BOOT would be refused as of an
 * unknown start without being marked as judged, and a second copy behind the BOOT would take effect
 * after its submitter was told no. So none is sent before the BOOT is applied here: then every copy
 * of it stands behind the BOOT. */
static bool is_known(const struct replica *r)
{
    const struct fsm_member *self = fsm_member(&r->fsm, r->options.node);

    return self != NULL && !self->left && self->boot == r->options.boot;
}

/* One record at a time into the batch; to another node up to a batch's worth in one frame. */
void replica_send_outbox(struct replica *r)
{
    struct span records[BATCH_MAX_RECORDS];
    struct outbox_item *items[BATCH_MAX_RECORDS];
    struct outbox_item *item;

    while (is_known(r) && replica_may_send(r)) {
        size_t bytes = 0;
        size_t n = 0;

        while (n < BATCH_MAX_RECORDS && bytes < BATCH_MAX_BYTES &&
               (item = outbox_unsent(r->outbox)) != NULL) {
            records[n] = span_of(item->bytes, item->len);
            bytes += item->len;
            items[n++] = item;
            if (item->sent_before)
                replica_count(r, REPL_COUNT_RESUBMITTED, 1);
            outbox_sent(r->outbox, item, r->now_ns);
        }
        if (n == 0)
            return;
        if (!pass_on(r, records, n)) {
            for (size_t i = 0; i < n; i++)
                outbox_unsend(r->outbox, items[i]->request);
            r->hold_until_ns = r->now_ns + REFUSED_WAIT_MS * 1000000ull;
            return;
        }
    }
}

/* --- from others --- */

/* A forwarded record must name its sender: nobody speaks for another node. Internal ones are the
 * leader's own business, but for the sender's BOOT. */
static bool acceptable(const struct replica *r, uint32_t from, struct span sealed,
                       uint64_t *request)
{
    uint8_t *plain = repl_alloc_zero(1, sealed.len + 1);
    Holdfast__Record *record = NULL;
    size_t n = 0;
    bool ok = false;

    if (sealed.len <= REPL_MAX_RECORD_BYTES + r->options.seal->overhead &&
        r->options.seal->open(r->options.seal->self, SEAL_RECORD, sealed, plain, &n))
        record = record_unpack(span_of(plain, n));
    secret_wipe_bytes(plain, sealed.len);
    free(plain);
    if (record == NULL)
        return false;
    *request = record->request;
    ok = record->node == from && record_valid(record);
    if (ok && record_internal(record))
        ok = record->body_case == HOLDFAST__RECORD__BODY_MEMBER &&
             record->member->change == HOLDFAST__MEMBER__CHANGE__BOOT;
    record_free(record);
    return ok;
}

static void take_forwarded(struct replica *r, uint32_t from, const Holdfast__Forward *in)
{
    Holdfast__Forward answer = HOLDFAST__FORWARD__INIT;
    uint64_t *refused = NULL;
    size_t n = 0;

    if (in->n_records > 0)
        refused = repl_alloc_zero(in->n_records, sizeof *refused);
    for (size_t i = 0; i < in->n_records; i++) {
        uint64_t request = 0;

        if (!acceptable(r, from, record_span(in->records[i]), &request)) {
            replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
            continue;
        }
        if ((!r->able || !replica_batch_push(r, record_span(in->records[i]), false, from)) &&
            request != 0)
            refused[n++] = request;
    }
    if (n > 0) {
        answer.boot = in->boot;
        answer.refused = refused;
        answer.n_refused = n;
        (void)send_forward(r, from, &answer);
    }
    free(refused);
}

void replica_on_forward(struct replica *r, uint32_t from, struct span bytes)
{
    Holdfast__Forward *in = holdfast__forward__unpack(NULL, bytes.len, bytes.data);

    if (in == NULL || in->n_records > BATCH_MAX_RECORDS) {
        replica_count(r, REPL_COUNT_FRAMES_MALFORMED, 1);
        if (in != NULL)
            holdfast__forward__free_unpacked(in, NULL);
        return;
    }
    take_forwarded(r, from, in);
    if (in->n_refused > 0 && in->boot == r->options.boot) {
        for (size_t i = 0; i < in->n_refused; i++)
            outbox_unsend(r->outbox, in->refused[i]);
        r->hold_until_ns = r->now_ns + REFUSED_WAIT_MS * 1000000ull;
    }
    if (in->transfer_to != 0 && r->raft.state == RAFT_DRIVER_LEADER)
        (void)raft_driver_transfer(r->driver, r->now_ns / 1000000, in->transfer_to);
    holdfast__forward__free_unpacked(in, NULL);
}
