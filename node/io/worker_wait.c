/* Packets that wait: outbound for a number, inbound (verified, opened, not marked) for the ceiling.
 * One bounded queue per worker, in order of arrival, with a bound per SA and direction, and a time
 * after which they are dropped. */
#include "io/worker_internal.h"

HF_STATIC_ASSERT(WORKER_WAITING < UINT16_MAX && WORKER_SLOT_BYTES <= UINT16_MAX);

void worker_wait_init(struct worker *w)
{
    w->first_waiting = w->last_waiting = WORKER_WAITING;
    for (unsigned i = 0; i < WORKER_WAITING; i++)
        w->waiting[i].next = (uint16_t)(i + 1);
    for (unsigned i = 0; i < WORKER_WAITING_BUCKETS; i++)
        w->buckets[i] = WORKER_WAITING;
    w->first_free = 0;
}

static uint32_t *count_of(struct esp_sa *sa, enum worker_direction direction)
{
    return direction == WORKER_INBOUND ? &sa->waiting_in : &sa->waiting_out;
}

/* An SA's numbers that wait follow each other closely: each has a bucket of its own. */
static uint16_t *bucket_of(struct worker *w, const struct esp_sa *sa, uint64_t seq)
{
    return &w->buckets[(seq + sa->spi_in) % WORKER_WAITING_BUCKETS];
}

/* A copy of a packet that waits already (a replay above the ceiling) takes no second place. */
static bool waits_already(struct worker *w, const struct esp_sa *sa, uint64_t seq)
{
    for (uint16_t i = *bucket_of(w, sa, seq); i != WORKER_WAITING; i = w->waiting[i].same)
        if (w->waiting[i].sa == sa && w->waiting[i].seq == seq)
            return true;
    return false;
}

static void leave_bucket(struct worker *w, const struct worker_waiting *slot)
{
    uint16_t *at = bucket_of(w, slot->sa, slot->seq);

    while (&w->waiting[*at] != slot)
        at = &w->waiting[*at].same;
    *at = slot->same;
}

bool worker_wait_add(struct worker *w, struct esp_sa *sa, enum worker_direction direction,
                     uint64_t seq, struct span packet)
{
    uint16_t i = w->first_free;
    struct worker_waiting *slot;

    if (i == WORKER_WAITING || packet.len > WORKER_SLOT_BYTES ||
        *count_of(sa, direction) >= WORKER_WAITING_PER_SA)
        return false;
    if (direction == WORKER_INBOUND && waits_already(w, sa, seq))
        return false;
    slot = &w->waiting[i];
    w->first_free = slot->next;
    slot->sa = sa;
    slot->direction = direction;
    slot->seq = seq;
    slot->since_ns = slot->told_ns = w->now_ns;
    slot->len = (uint16_t)packet.len;
    slot->next = WORKER_WAITING;
    if (direction == WORKER_INBOUND) {
        slot->same = *bucket_of(w, sa, seq);
        *bucket_of(w, sa, seq) = i;
    }
    memcpy(slot->bytes, packet.data, packet.len);
    if (w->last_waiting == WORKER_WAITING)
        w->first_waiting = i;
    else
        w->waiting[w->last_waiting].next = i;
    w->last_waiting = i;
    (*count_of(sa, direction))++;
    esp_count(&w->counters[WORKER_WAITED], 1);
    atomic_fetch_add_explicit(&w->n_waiting, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->waiting_of[sa->shard_slot], 1, memory_order_relaxed);
    return true;
}

/* Takes the one behind `before` (WORKER_WAITING = the first) out of the queue; the next one's
 * index. */
static uint16_t unlink_after(struct worker *w, uint16_t before)
{
    uint16_t i = before == WORKER_WAITING ? w->first_waiting : w->waiting[before].next;
    struct worker_waiting *slot = &w->waiting[i];
    uint16_t next = slot->next;

    if (before == WORKER_WAITING)
        w->first_waiting = next;
    else
        w->waiting[before].next = next;
    if (w->last_waiting == i)
        w->last_waiting = before;
    (*count_of(slot->sa, slot->direction))--;
    if (slot->direction == WORKER_INBOUND)
        leave_bucket(w, slot);
    /* Released: who reads 0 sees all that was done to their SAs. */
    atomic_fetch_sub_explicit(&w->waiting_of[slot->sa->shard_slot], 1, memory_order_release);
    slot->sa = NULL;
    slot->next = w->first_free;
    w->first_free = i;
    atomic_fetch_sub_explicit(&w->n_waiting, 1, memory_order_relaxed);
    return next;
}

static enum esp_drop try_inbound(struct worker *w, struct worker_waiting *slot)
{
    struct esp_turn turn = worker_turn(w, slot->sa->shard_slot);
    struct esp_in_result r;
    enum esp_drop drop =
        esp_inbound_release(slot->sa, &turn, slot->seq, span_of(slot->bytes, slot->len), &r);

    if (drop == ESP_DROP_NONE)
        worker_deliver(w, span_of(slot->bytes, slot->len));
    if (r.events != 0 && worker_ring_reserve(&w->events) != NULL) {
        worker_tell(w, slot->sa, r.events, r.seq, NULL);
        esp_sa_raised_in(slot->sa, r.events, w->now_ns);
    }
    return drop;
}

/* It has no number yet: the next owner's, or this one's again, is as good. */
static enum esp_drop set_aside(struct worker *w, const struct worker_waiting *slot)
{
    const struct worker_datagram d = {.kind = WORKER_INNER,
                                      .shard_slot = slot->sa->shard_slot,
                                      .bytes = span_of(slot->bytes, slot->len)};

    return worker_letter(w, &d) ? ESP_DROP_NONE : ESP_DROP_WAIT;
}

/* Its SA sends no more (a rekey): it goes by the one that does, or it would be lost when the old one
 * is removed. */
static void go_by_the_new_one(struct worker *w, struct worker_waiting *slot,
                              const struct esp_inner *inner)
{
    bool known;
    struct esp_sa *sa = esp_db_find_outbound(&w->pool->db, inner, &known);

    if (sa == NULL || sa->worker_out != w->index || sa->shard_slot != slot->sa->shard_slot)
        return;
    slot->sa->waiting_out--;
    slot->sa = sa;
    sa->waiting_out++;
}

static enum esp_drop try_outbound(struct worker *w, struct worker_waiting *slot)
{
    struct esp_turn turn = worker_turn(w, slot->sa->shard_slot);
    struct span packet = span_of(slot->bytes, slot->len);
    struct esp_inner inner;
    struct esp_out_result r;
    enum esp_drop drop;

    if (!atomic_load_explicit(&slot->sa->outbound, memory_order_acquire) &&
        esp_inner_decode(packet, &inner))
        go_by_the_new_one(w, slot, &inner);
    /* A number that came in the middle of this pass is not for one behind. */
    if (slot->sa->pass_out == w->pass)
        return ESP_DROP_WAIT;
    if (!esp_inner_decode(packet, &inner)) {
        esp_outbound_give_up(slot->sa, ESP_DROP_MALFORMED);
        return ESP_DROP_MALFORMED;
    }
    drop = esp_outbound(slot->sa, &turn, &inner, packet, w->out, sizeof w->out, &r);
    if (drop == ESP_DROP_NONE)
        worker_emit(w, slot->sa, span_of(w->out, r.len));
    else if (drop == ESP_DROP_WAIT)
        slot->sa->pass_out = w->pass;
    if (r.events != 0 && worker_ring_reserve(&w->events) != NULL) {
        worker_tell(w, slot->sa, r.events, r.seq, NULL);
        esp_sa_raised_out(slot->sa, r.events);
    }
    return drop;
}

/* It waits on. The control loop is told again now and then: a refused or forgotten extension must
 * not leave a packet waiting for a wake-up that never comes. */
static void remind(struct worker *w, struct worker_waiting *slot)
{
    bool inbound = slot->direction == WORKER_INBOUND;

    if (w->now_ns - slot->told_ns < (uint64_t)WORKER_REMIND_MS * 1000 * 1000)
        return;
    slot->told_ns = w->now_ns;
    if (worker_ring_reserve(&w->events) != NULL)
        worker_tell(w, slot->sa, inbound ? ESP_EVENT_LOW_CEILING : ESP_EVENT_LOW_NUMBERS, slot->seq,
                    NULL);
}

static void give_up(struct worker_waiting *slot)
{
    if (slot->direction == WORKER_INBOUND)
        esp_inbound_give_up(slot->sa, ESP_DROP_CEILING);
    else
        esp_outbound_give_up(slot->sa, ESP_DROP_NO_NUMBERS);
}

static enum esp_drop try_one(struct worker *w, struct worker_waiting *slot)
{
    enum worker_mode mode = w->modes[slot->sa->shard_slot];

    if (slot->direction == WORKER_OUTBOUND)
        return mode == WORKER_ACT ? try_outbound(w, slot) : set_aside(w, slot);
    return mode == WORKER_STILL ? ESP_DROP_WAIT : try_inbound(w, slot);
}

bool worker_wait_release(struct worker *w)
{
    const uint64_t limit_ns = (uint64_t)WORKER_WAIT_MS * 1000 * 1000;
    uint16_t before = WORKER_WAITING;
    uint16_t i = w->first_waiting;
    int handled = 0;

    if (i == WORKER_WAITING)
        return false;
    worker_batch_begin(w);
    w->pass++;
    while (i != WORKER_WAITING && handled < WORKER_BATCH) {
        struct worker_waiting *slot = &w->waiting[i];
        enum esp_drop drop = try_one(w, slot);

        if (drop == ESP_DROP_WAIT && w->now_ns - slot->since_ns < limit_ns) {
            remind(w, slot);
            before = i;
            i = slot->next;
            continue;
        }
        if (drop == ESP_DROP_WAIT)
            give_up(slot);
        handled++;
        i = unlink_after(w, before);
    }
    return handled == WORKER_BATCH;
}

void worker_wait_sweep(struct worker *w)
{
    uint16_t before = WORKER_WAITING;
    uint16_t i = w->first_waiting;

    while (i != WORKER_WAITING) {
        if (!atomic_load_explicit(&w->waiting[i].sa->retired, memory_order_acquire)) {
            before = i;
            i = w->waiting[i].next;
            continue;
        }
        give_up(&w->waiting[i]);
        esp_count(&w->counters[WORKER_WAITED_IN_VAIN], 1);
        i = unlink_after(w, before);
    }
}
