#include "esp/outbound.h"

/* As inbound.c's: numbers before the last one at which a rekey is asked for (I1c). */
static const uint64_t soft_numbers = UINT64_C(1) << 25;

static uint64_t get(_Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static enum esp_drop drop(struct esp_sa *sa, enum esp_drop why)
{
    esp_count(&sa->out.drops[why], 1);
    return why;
}

void esp_outbound_give_up(struct esp_sa *sa, enum esp_drop why)
{
    (void)drop(sa, why);
}

/* No number was to be had. */
static enum esp_drop refused(struct esp_sa *sa, enum esp_take take, struct esp_out_result *r)
{
    switch (take) {
    case ESP_TAKE_EMPTY:
        if (sa->raised_limit != sa->reservation.judged_by) {
            r->events |= ESP_EVENT_LOW_NUMBERS;
            sa->told_limit = sa->reservation.judged_by;
            sa->told_mark_out = sa->raised_mark_out;
        }
        return ESP_DROP_WAIT;
    case ESP_TAKE_EXHAUSTED:
        r->events |= ESP_EVENT_HARD_OUT & ~sa->raised_out;
        return drop(sa, ESP_DROP_EXHAUSTED);
    case ESP_TAKE_NO_GRANT:
    case ESP_TAKEN:
        break;
    }
    return drop(sa, ESP_DROP_NO_LEASE);
}

static uint32_t sealed_events(struct esp_sa *sa, uint64_t seq, uint64_t packets, uint64_t bytes)
{
    uint32_t events = 0;
    uint64_t mark = atomic_load_explicit(&sa->mark_out, memory_order_relaxed);
    uint64_t soft_packets = get(&sa->soft_packets), soft_bytes = get(&sa->soft_bytes);

    if (seq >= mark && sa->raised_mark_out != mark) {
        events |= ESP_EVENT_LOW_NUMBERS;
        sa->told_mark_out = mark;
        sa->told_limit = sa->raised_limit;
    }
    if ((soft_packets != 0 && packets >= soft_packets) ||
        (soft_bytes != 0 && bytes >= soft_bytes) || seq >= sa->last_number - soft_numbers)
        events |= ESP_EVENT_SOFT_OUT & ~sa->raised_out;
    return events;
}

/* A new grant was taken up: what is told once per grant is told anew. */
static void take_up_grant(struct esp_sa *sa)
{
    (void)esp_reservation_refresh(&sa->reservation);
    if (sa->raised_gen == sa->reservation.held_gen)
        return;
    sa->raised_gen = sa->reservation.held_gen;
    sa->raised_out = 0;
    sa->raised_mark_out = sa->raised_limit = ESP_RAISED_NEVER;
}

enum esp_drop esp_outbound(struct esp_sa *sa, const struct esp_turn *turn,
                           const struct esp_inner *decoded, struct span inner, uint8_t *out,
                           size_t cap, struct esp_out_result *r)
{
    uint64_t packets, bytes;
    uint8_t next_header = decoded->src.family == ADDR_V4 ? ESP_NEXT_IPV4 : ESP_NEXT_IPV6;
    enum esp_take take;
    enum esp_drop sealed;

    memset(r, 0, sizeof *r);
    if (decoded->len > inner.len)
        return drop(sa, ESP_DROP_MALFORMED);
    if (!esp_selectors_outbound(&sa->selectors, decoded))
        return drop(sa, ESP_DROP_SELECTORS);
    if (inner.len + ESP_OVERHEAD_BYTES > cap)
        return drop(sa, ESP_DROP_TOO_BIG);
    take_up_grant(sa);
    packets = get(&sa->out_base) + get(&sa->out.packets) + 1;
    bytes = get(&sa->out_base_bytes) + get(&sa->out.bytes) + decoded->len;
    if ((sa->hard_packets != 0 && packets > sa->hard_packets) ||
        (sa->hard_bytes != 0 && bytes > sa->hard_bytes) || turn->now_ns >= get(&sa->ends_ns)) {
        r->events |= ESP_EVENT_HARD_OUT & ~sa->raised_out;
        return drop(sa, ESP_DROP_HARD_LIMIT);
    }
    take = esp_reservation_take(&sa->reservation, turn->lease_epoch, sa->last_number, &r->seq);
    if (take != ESP_TAKEN)
        return refused(sa, take, r);
    atomic_store_explicit(&sa->out.next, r->seq + 1, memory_order_relaxed);
    sealed = esp_packet_seal(&sa->cipher_out, r->seq, next_header,
                             span_of(inner.data, decoded->len), out, cap, &r->len);
    if (sealed != ESP_DROP_NONE)
        return drop(sa, sealed); /* its number is used up */
    esp_count(&sa->out.packets, 1);
    esp_count(&sa->out.bytes, decoded->len);
    atomic_store_explicit(&sa->out.last_ns, turn->now_ns, memory_order_relaxed);
    r->events = sealed_events(sa, r->seq, packets, bytes);
    return ESP_DROP_NONE;
}
