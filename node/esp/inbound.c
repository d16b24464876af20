#include "esp/inbound.h"

enum { MOVED_EVERY_NS = 100 * 1000 * 1000 };

/* Numbers before the last one at which a rekey is asked for (I1c): some assignments' worth of 2^16
 * each, and time to rekey. */
static const uint64_t soft_numbers = UINT64_C(1) << 25;

static uint64_t get(_Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *p, uint64_t v)
{
    if (v > get(p))
        atomic_store_explicit(p, v, memory_order_relaxed);
}

static enum esp_drop drop(struct esp_sa *sa, enum esp_drop why)
{
    esp_count(&sa->in.drops[why], 1);
    return why;
}

void esp_inbound_give_up(struct esp_sa *sa, enum esp_drop why)
{
    (void)drop(sa, why);
}

/* A new grant was taken up: everything that is told once per grant is told anew. */
static void begin_grant(struct esp_sa *sa)
{
    sa->raised_in = 0;
    sa->raised_mark_in = sa->raised_ceiling = ESP_RAISED_NEVER;
    sa->moved_ns = 0;
    atomic_store_explicit(&sa->in.last_seq, sa->gate.held_floor, memory_order_relaxed);
    atomic_store_explicit(&sa->in.verified_seq, sa->gate.held_floor, memory_order_relaxed);
}

static enum esp_drop gate_drop(enum esp_gate_verdict v)
{
    switch (v) {
    case ESP_GATE_NO_GRANT:
        return ESP_DROP_NO_LEASE;
    case ESP_GATE_SEEN:
        return ESP_DROP_REPLAYED;
    case ESP_GATE_OLD:
        return ESP_DROP_OLD;
    case ESP_GATE_BELOW_FLOOR:
        return ESP_DROP_BELOW_FLOOR;
    case ESP_GATE_ABOVE_CEILING:
        return ESP_DROP_WAIT;
    case ESP_GATE_ACCEPT:
        break;
    }
    return ESP_DROP_NONE;
}

/* What lies inside of a verified packet. ESP_DROP_NONE: *len bytes may be delivered, once the
 * number is marked. */
static enum esp_drop judge_inner(const struct esp_sa *sa, struct span inner, uint8_t next_header,
                                 size_t *len)
{
    struct esp_inner decoded;

    if (next_header == ESP_NEXT_NONE)
        return ESP_DROP_DUMMY;
    if (next_header != ESP_NEXT_IPV4 && next_header != ESP_NEXT_IPV6)
        return ESP_DROP_NEXT_HEADER;
    if (!esp_inner_decode(inner, &decoded))
        return ESP_DROP_MALFORMED;
    if ((decoded.src.family == ADDR_V4) != (next_header == ESP_NEXT_IPV4))
        return ESP_DROP_NEXT_HEADER;
    if (!esp_selectors_inbound(&sa->selectors, &decoded))
        return ESP_DROP_SELECTORS;
    *len = decoded.len;
    return ESP_DROP_NONE;
}

static uint32_t accepted_events(struct esp_sa *sa, uint64_t seq, uint64_t packets, uint64_t bytes)
{
    uint32_t events = 0;
    uint64_t mark = atomic_load_explicit(&sa->mark_in, memory_order_relaxed);
    uint64_t soft_packets = get(&sa->soft_packets), soft_bytes = get(&sa->soft_bytes);

    if (seq >= mark && sa->raised_mark_in != mark) {
        events |= ESP_EVENT_LOW_CEILING;
        sa->told_mark_in = mark;
        sa->told_ceiling = sa->raised_ceiling;
    }
    if ((soft_packets != 0 && packets >= soft_packets) ||
        (soft_bytes != 0 && bytes >= soft_bytes) || seq >= sa->last_number - soft_numbers)
        events |= ESP_EVENT_SOFT_IN;
    return events | ESP_EVENT_FIRST_INBOUND;
}

/* A number is used up under a good ICV: the peer lives (RFC 7296 2.4), whatever is inside. */
static void note_fresh(struct esp_sa *sa, const struct esp_turn *turn, uint64_t seq)
{
    raise_to(&sa->in.last_seq, seq);
    raise_to(&sa->in.verified_seq, seq);
    atomic_store_explicit(&sa->in.last_ns, turn->now_ns, memory_order_relaxed);
}

/* The number is marked: counts, or refuses at the hard limit. */
static enum esp_drop accept(struct esp_sa *sa, const struct esp_turn *turn, uint64_t seq,
                            size_t len, struct esp_in_result *r)
{
    uint64_t packets = get(&sa->in_base) + get(&sa->in.packets) + 1;
    uint64_t bytes = get(&sa->in_base_bytes) + get(&sa->in.bytes) + len;

    note_fresh(sa, turn, seq);
    if ((sa->hard_packets != 0 && packets > sa->hard_packets) ||
        (sa->hard_bytes != 0 && bytes > sa->hard_bytes) || turn->now_ns >= get(&sa->ends_ns)) {
        r->events |= ESP_EVENT_HARD_IN & ~sa->raised_in;
        return drop(sa, ESP_DROP_HARD_LIMIT);
    }
    esp_count(&sa->in.packets, 1);
    esp_count(&sa->in.bytes, len);
    r->events |= accepted_events(sa, seq, packets, bytes) & ~sa->raised_in;
    r->len = len;
    return ESP_DROP_NONE;
}

/* After the ICV held: the gate's verdict on the number, then what is inside. */
static enum esp_drop conclude(struct esp_sa *sa, const struct esp_turn *turn, enum esp_drop content,
                              size_t len, struct esp_in_result *r)
{
    enum esp_drop verdict = gate_drop(esp_gate_mark(&sa->gate, r->seq));

    if (atomic_load_explicit(&sa->unproven, memory_order_relaxed))
        atomic_store_explicit(&sa->unproven, false, memory_order_release);
    if (verdict == ESP_DROP_BELOW_FLOOR) {
        atomic_store_explicit(&sa->in.below_floor_ns, turn->now_ns, memory_order_relaxed);
        r->events |= ESP_EVENT_BELOW_FLOOR & ~sa->raised_in;
    }
    if (verdict == ESP_DROP_WAIT) {
        raise_to(&sa->in.verified_seq, r->seq);
        if (sa->raised_ceiling != sa->gate.judged_by) {
            r->events |= ESP_EVENT_LOW_CEILING;
            sa->told_ceiling = sa->gate.judged_by;
            sa->told_mark_in = sa->raised_mark_in;
        }
        r->len = len;
        return content == ESP_DROP_NONE ? ESP_DROP_WAIT : drop(sa, content);
    }
    if (verdict != ESP_DROP_NONE)
        return drop(sa, verdict);
    if (content != ESP_DROP_NONE) {
        note_fresh(sa, turn, r->seq);
        r->events |= ESP_EVENT_FIRST_INBOUND & ~sa->raised_in;
        return drop(sa, content);
    }
    return accept(sa, turn, r->seq, len, r);
}

/* RFC 7296 2.23: the peer's address may follow a verified packet; here only one above the highest
 * accepted so far. A mapping that changes is a NAT's, and there ESP is in UDP: what came as ESP itself
 * (port 0) moves nothing. */
static bool peer_moved(struct esp_sa *sa, const struct esp_turn *turn, uint64_t seq,
                       const struct endpoint *from)
{
    struct endpoint known;

    if (sa->raw || from->port == 0)
        return false;
    if (seq <= sa->gate.window.top || !esp_sa_remote(sa, &known) || endpoint_equal(from, &known))
        return false;
    return sa->moved_ns == 0 || turn->now_ns - sa->moved_ns >= MOVED_EVERY_NS;
}

enum esp_drop esp_inbound(struct esp_sa *sa, const struct esp_turn *turn, struct span packet,
                          const struct endpoint *from, uint8_t *out, size_t cap,
                          struct esp_in_result *r)
{
    enum esp_gate_verdict look;
    enum esp_drop opened, content;
    uint32_t spi, low;
    size_t inner_len = 0, len = 0;
    uint8_t next_header = 0;
    bool granted, fresh;

    memset(r, 0, sizeof *r);
    granted = esp_gate_refresh(&sa->gate, turn->lease_epoch, &fresh);
    if (fresh)
        begin_grant(sa);
    if (!granted)
        return drop(sa, ESP_DROP_NO_LEASE);
    if (!esp_packet_header(packet, &spi, &low))
        return drop(sa, ESP_DROP_MALFORMED);
    HF_ASSERT(spi == sa->spi_in);
    if (!esp_replay_recover(&sa->gate.window, sa->esn, low, &r->seq))
        return drop(sa, ESP_DROP_OLD);
    look = esp_gate_look(&sa->gate, r->seq);
    if (look != ESP_GATE_ACCEPT)
        return drop(sa, gate_drop(look));
    opened = esp_packet_open(&sa->cipher_in, r->seq, packet, out, cap, &inner_len, &next_header);
    if (opened != ESP_DROP_NONE && opened != ESP_DROP_PADDING)
        return drop(sa, opened);
    content = opened == ESP_DROP_PADDING
                  ? opened
                  : judge_inner(sa, span_of(out, inner_len), next_header, &len);
    if (peer_moved(sa, turn, r->seq, from))
        r->events |= ESP_EVENT_PEER_MOVED;
    return conclude(sa, turn, content, len, r);
}

enum esp_drop esp_inbound_release(struct esp_sa *sa, const struct esp_turn *turn, uint64_t seq,
                                  struct span inner, struct esp_in_result *r)
{
    bool fresh;

    memset(r, 0, sizeof *r);
    r->seq = seq;
    if (!esp_gate_refresh(&sa->gate, turn->lease_epoch, &fresh)) {
        if (fresh)
            begin_grant(sa);
        return drop(sa, ESP_DROP_NO_LEASE);
    }
    if (fresh)
        begin_grant(sa);
    return conclude(sa, turn, ESP_DROP_NONE, inner.len, r);
}
