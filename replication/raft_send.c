#include "replication/raft_internal.h"

#include <stdlib.h>

static struct raft_held *held_at(struct raft_driver *d, size_t i)
{
    return &d->held[(d->held_head + i) % RAFT_MAX_HELD];
}

static void pop_held(struct raft_driver *d)
{
    struct raft_held *frame = held_at(d, 0);
    d->held_bytes -= frame->len;
    free(frame->bytes);
    *frame = (struct raft_held){0};
    d->held_head = (d->held_head + 1) % RAFT_MAX_HELD;
    d->held_count--;
}

void raft_drop_held(struct raft_driver *d)
{
    while (d->held_count > 0)
        pop_held(d);
}

static bool transmit(struct raft_driver *d, uint32_t node, const struct span *parts, size_t n)
{
    bool sent = d->transport.send(d->transport.self, node, REPL_CHANNEL_RAFT, parts, n);
    d->counters.frames_out += sent;
    d->counters.frames_unsent += !sent;
    return sent;
}

/* Votes are durable in order: whatever waits for no more than those leaves, in its order. */
void raft_release_held(struct raft_driver *d)
{
    while (d->held_count > 0 && held_at(d, 0)->votes <= d->votes_done) {
        struct raft_held *frame = held_at(d, 0);
        struct span part = span_of(frame->bytes, frame->len);
        transmit(d, frame->node, &part, 1);
        pop_held(d);
    }
}

/* Term and vote are persisted before anything that follows from them is sent: while such a write is
 * under way, frames wait (bounded; what does not fit is sent again by whoever wants it there). */
static bool send_or_hold(struct raft_driver *d, uint32_t node, const struct span *parts, size_t n)
{
    size_t len = 0;
    if (d->votes_done == d->votes_queued && d->held_count == 0)
        return transmit(d, node, parts, n);
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    uint8_t *bytes = NULL;
    if (d->held_count < RAFT_MAX_HELD && len <= RAFT_MAX_HELD_BYTES - d->held_bytes)
        bytes = malloc(len);
    if (bytes == NULL) {
        d->counters.frames_unsent++;
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len > 0)
            memcpy(bytes + at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    *held_at(d, d->held_count) =
        (struct raft_held){.votes = d->votes_queued, .node = node, .len = len, .bytes = bytes};
    d->held_count++;
    d->held_bytes += len;
    return true;
}

struct raft_frame raft_frame_begin(struct raft_driver *d, enum raft_frame_type type, uint64_t term)
{
    return (struct raft_frame){.type = type,
                               .boot = d->options.boot,
                               .sequence = ++d->sequence,
                               .term = term,
                               .incarnation = d->incarnation};
}

bool raft_send_small(struct raft_driver *d, uint32_t node, const struct raft_frame *frame)
{
    uint8_t bytes[RAFT_FRAME_SMALL_BYTES];
    struct raft_frame f = *frame;
    f.named = raft_names_history(d, node);
    struct span parts[2] = {span_of(bytes, raft_frame_encode(&f, bytes)), frame->data};
    return send_or_hold(d, node, parts, frame->data.len > 0 ? 2 : 1);
}

/* One frame with the entries from `next` on that fit, at most n. Returns how many; 0 = not sent. */
static unsigned send_some(struct raft_driver *d, uint32_t node,
                          const struct raft_append_entries *args, uint64_t next, unsigned n)
{
    struct raft_frame frame = raft_frame_begin(d, RAFT_FRAME_APPEND, args->term);
    frame.named = raft_names_history(d, node);
    size_t size = raft_frame_append_bytes(&frame);
    unsigned fit = 0;
    for (; fit < n; fit++) {
        const struct raft_log_entry *entry = raft_log_get(&d->log, next + fit);
        HF_ASSERT(entry != NULL); /* the log cache has whatever the core means to send */
        if (fit > 0 && size + RAFT_FRAME_ENTRY_BYTES + entry->len > RAFT_APPEND_FRAME_BYTES)
            break;
        size += RAFT_FRAME_ENTRY_BYTES + entry->len;
    }
    if (size > d->out_capacity) {
        uint8_t *out = realloc(d->out, size);
        if (out == NULL)
            return 0;
        d->out = out;
        d->out_capacity = size;
    }
    frame.index = next - 1;
    frame.index_term = next - 1 == args->prev_log_index ? args->prev_log_term
                                                        : raft_log_get(&d->log, next - 1)->term;
    /* what the core took for committed in this very step may have been taken back: raft_muted.c */
    frame.commit =
        args->leader_commit < d->raft.commit_index ? args->leader_commit : d->raft.commit_index;
    frame.n_entries = fit;
    size_t at = raft_frame_encode(&frame, d->out);
    for (unsigned i = 0; i < fit; i++) {
        const struct raft_log_entry *entry = raft_log_get(&d->log, next + i);
        struct repl_entry e = {
            .term = entry->term, .kind = entry->kind, .data = span_of(entry->data, entry->len)};
        at += raft_frame_encode_entry(&e, d->out + at);
    }
    HF_ASSERT(at == size);
    struct span part = span_of(d->out, size);
    return send_or_hold(d, node, &part, 1) ? fit : 0;
}

/* The core gives indexes only. What does not fit one frame follows in the next: links are FIFO, so
 * it arrives as one run. */
static void send_append(struct raft_driver *d, uint32_t node,
                        const struct raft_append_entries *args)
{
    uint64_t next = args->prev_log_index + 1;
    unsigned left = args->n_entries;
    HF_ASSERT(left <= RAFT_INFLIGHT_ENTRIES &&
              (args->prev_log_index == 0) == (args->prev_log_term == 0));
    for (;;) {
        unsigned sent = send_some(d, node, args, next, left);
        left -= sent;
        next += sent;
        if (left == 0 || sent == 0)
            return;
    }
}

static void send_result(struct raft_driver *d, uint32_t node,
                        const struct raft_append_entries_result *args)
{
    struct raft_frame frame = raft_frame_begin(d, RAFT_FRAME_APPEND_RESULT, args->term);
    frame.rejected = args->rejected;
    frame.muted = d->muted != REPL_TRUSTED;
    /* The core leaves last_log_index unset when it refuses an older term; nobody reads it then, but
     * stack bytes must not leave. */
    frame.index = d->stale ? 0 : args->last_log_index;
    if (frame.rejected > 0 && frame.index >= frame.rejected)
        frame.index = frame.rejected - 1;
    raft_send_small(d, node, &frame);
}

static void send_one(struct raft_driver *d, const struct raft_message *m)
{
    uint32_t node = (uint32_t)m->server_id;
    struct raft_frame frame;
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        send_append(d, node, &m->append_entries);
        return;
    case RAFT_APPEND_ENTRIES_RESULT:
        send_result(d, node, &m->append_entries_result);
        return;
    case RAFT_INSTALL_SNAPSHOT:
        raft_install_send(d, node, &m->install_snapshot);
        return;
    case RAFT_REQUEST_VOTE:
        frame = raft_frame_begin(d, RAFT_FRAME_REQUEST_VOTE, m->request_vote.term);
        frame.index = m->request_vote.last_log_index;
        frame.index_term = m->request_vote.last_log_term;
        frame.disrupt = m->request_vote.disrupt_leader;
        frame.pre_vote = m->request_vote.pre_vote;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        frame = raft_frame_begin(d, RAFT_FRAME_REQUEST_VOTE_RESULT, m->request_vote_result.term);
        frame.granted = m->request_vote_result.vote_granted;
        frame.pre_vote = m->request_vote_result.pre_vote;
        frame.term = raft_answer_term(d, frame.term, frame.pre_vote, frame.granted);
        break;
    case RAFT_TIMEOUT_NOW:
        frame = raft_frame_begin(d, RAFT_FRAME_TIMEOUT_NOW, m->timeout_now.term);
        frame.index = m->timeout_now.last_log_index;
        frame.index_term = m->timeout_now.last_log_term;
        break;
    default:
        HF_ASSERT(m->type == RAFT_TIMEOUT_NOW); /* 0.22 has no other */
        return;
    }
    raft_send_small(d, node, &frame);
}

void raft_send_messages(struct raft_driver *d, const struct raft_message *messages, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        HF_ASSERT(messages[i].server_id != d->options.node);
        send_one(d, &messages[i]);
    }
}
