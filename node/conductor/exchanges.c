#include "conductor/exchanges.h"

/* Asked for something else, the peer begins anew: no failure, and no attempt either. */
static bool asks_again(const struct ike_transition *t)
{
    return t->exchange == IKE_EX_INIT &&
           (t->reason == IKE_REASON_COOKIE_SENT || t->reason == IKE_REASON_INVALID_KE);
}

/* The exchange that says so is none that failed. */
static bool ended_by_peer(enum ike_reason reason)
{
    return reason == IKE_REASON_DELETED_BY_PEER || reason == IKE_REASON_REFUSED_BY_PEER;
}

static bool is_failure(enum ike_reason reason)
{
    return reason != IKE_REASON_NONE && reason != IKE_REASON_NOTHING_TO_DO &&
           reason != IKE_REASON_DELETED_BY_US && !ended_by_peer(reason);
}

static bool same_request(const struct ike_pending *a, const struct ike_pending *b)
{
    return a->exchange == b->exchange && a->message_id == b->message_id;
}

/* Our outstanding request: the window is 1, so one ends at most and one begins. */
static void note_ours(struct exchanges_note *note, const struct ike_pending *was,
                      const struct ike_transition *t)
{
    const struct ike_pending *is = &t->after.pending;
    bool answered = t->completes && t->begun == IKE_BY_US;

    if (was->exchange != IKE_EX_NONE && same_request(was, is))
        return;
    /* Another group was asked for (RFC 7296 1.3): the same exchange goes on. */
    if (was->exchange != IKE_EX_NONE && was->exchange == is->exchange && !answered)
        return;
    /* The last word of an SA that has ended is not waited for. */
    if (t->after.state != IKE_SA_ENDED)
        note->began = is->exchange;
    /* With an SA that the peer ends its requests are over, neither answered nor failed. */
    if (was->exchange == IKE_EX_NONE || (!answered && ended_by_peer(t->reason)))
        return;
    note->ended = was->exchange;
    note->side = IKE_BY_US;
    note->failed = !answered || is_failure(t->reason);
    note->since_ms = was->asked_ms;
}

static const struct ike_child *child_of(const struct ike_sa *sa, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi_in)
            return &sa->children[i];
    return NULL;
}

static void note_replaced(struct exchanges_note *note, const struct ike_sa *before,
                          const struct ike_transition *t)
{
    if (t->has_successor && before->state == IKE_SA_ESTABLISHED) {
        note->replaced = true;
        note->life = COUNTER_LIFE_IKE;
        note->due_ms = before->soft_ms;
        return;
    }
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *old = &before->children[i], *now;

        if (old->state == IKE_CHILD_NONE || old->successor_spi_in != 0)
            continue;
        now = child_of(&t->after, old->spi_in);
        if (now == NULL || now->successor_spi_in == 0)
            continue;
        note->replaced = true;
        note->life = COUNTER_LIFE_CHILD;
        note->due_ms = old->soft_ms;
        return;
    }
}

struct exchanges_note exchanges_note(const struct ike_sa *before, const struct ike_transition *t,
                                     uint64_t event_ms)
{
    static const struct ike_pending none = {.exchange = IKE_EX_NONE};
    struct exchanges_note note = {.began = IKE_EX_NONE, .ended = IKE_EX_NONE};

    if (before != NULL)
        note_replaced(&note, before, t);
    note_ours(&note, before != NULL ? &before->pending : &none, t);
    if (t->completes && t->begun == IKE_BY_PEER && t->exchange != IKE_EX_NONE && !asks_again(t)) {
        note.ended = t->exchange;
        note.side = IKE_BY_PEER;
        note.failed = is_failure(t->reason);
        note.since_ms = event_ms;
    }
    return note;
}

static void add(struct counter_histogram *h, const uint64_t *bounds, size_t n, uint64_t ms)
{
    size_t i = 0;

    while (i < n && ms > bounds[i])
        i++;
    h->bucket[i]++;
    h->sum_ms += ms;
}

void exchanges_count(struct counters *c, const struct exchanges_note *note, uint64_t now_ms)
{
    struct counter_exchange *ended = &c->exchange[note->ended][note->side];

    if (note->began != IKE_EX_NONE)
        c->exchange[note->began][IKE_BY_US].started++;
    if (note->ended != IKE_EX_NONE) {
        ended->started += note->side == IKE_BY_PEER;
        if (note->failed)
            ended->failed++;
        else
            ended->completed++;
        if (!note->failed && note->since_ms != 0)
            add(&ended->took, counter_took_ms, COUNTER_TOOK_BOUNDS,
                now_ms > note->since_ms ? now_ms - note->since_ms : 0);
    }
    if (note->replaced && note->due_ms != 0 && note->due_ms != UINT64_MAX)
        add(&c->late[note->life], counter_late_ms, COUNTER_LATE_BOUNDS,
            now_ms > note->due_ms ? now_ms - note->due_ms : 0);
}

void exchanges_count_repeats(struct counters *c, const struct ike_transition *t)
{
    for (uint8_t i = 0; i < t->n_effects; i++)
        switch (t->effects[i].kind) {
        case IKE_SEND_REQUEST:
            count(c, COUNTER_retransmissions_out);
            break;
        case IKE_SEND_RESPONSE:
        case IKE_SEND_PLAIN:
            count(c, COUNTER_answers_repeated);
            break;
        case IKE_SEND_KEEPALIVE:
            count(c, COUNTER_keepalives_out);
            break;
        }
}
