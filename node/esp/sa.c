#include "esp/sa.h"

#include "base/number.h"

HF_STATIC_ASSERT(sizeof(struct esp_sa) % ESP_CACHE_LINE == 0);
HF_STATIC_ASSERT(sizeof(struct esp_sa) <= 4096);

enum {
    MIN_SPI = 256, /* RFC 4303 2.1: 0..255 are reserved */
    REMOTE_TRIES = 64
};

static void store_remote(struct esp_remote_cell *cell, const struct endpoint *e)
{
    uint64_t gen = atomic_load_explicit(&cell->gen, memory_order_relaxed);

    /* As in reservation.c: odd while it changes. */
    atomic_store_explicit(&cell->gen, gen + 1, memory_order_relaxed);
    atomic_store_explicit(&cell->words[0], (uint64_t)e->ip.family << 16 | e->port,
                          memory_order_release);
    atomic_store_explicit(&cell->words[1], get_be64(e->ip.bytes), memory_order_release);
    atomic_store_explicit(&cell->words[2], get_be64(e->ip.bytes + 8), memory_order_release);
    atomic_store_explicit(&cell->gen, gen + 2, memory_order_release);
}

bool esp_sa_remote(struct esp_sa *sa, struct endpoint *remote)
{
    struct esp_remote_cell *cell = &sa->remote;

    for (int i = 0; i < REMOTE_TRIES; i++) {
        uint64_t gen = atomic_load_explicit(&cell->gen, memory_order_acquire);
        uint64_t a = atomic_load_explicit(&cell->words[0], memory_order_acquire);
        uint64_t b = atomic_load_explicit(&cell->words[1], memory_order_acquire);
        uint64_t c = atomic_load_explicit(&cell->words[2], memory_order_acquire);

        if (gen % 2 != 0 || atomic_load_explicit(&cell->gen, memory_order_relaxed) != gen)
            continue;
        remote->ip.family = (uint8_t)(a >> 16);
        remote->port = (uint16_t)a;
        put_be64(remote->ip.bytes, b);
        put_be64(remote->ip.bytes + 8, c);
        return true;
    }
    return false;
}

static bool params_ok(const struct esp_sa_params *p)
{
    const struct esp_selectors *s = &p->selectors;

    if (p->aead == NULL || p->spi_in < MIN_SPI || p->spi_out < MIN_SPI)
        return false;
    return s->n_local > 0 && s->n_local <= ESP_MAX_SELECTORS && s->n_remote > 0 &&
           s->n_remote <= ESP_MAX_SELECTORS;
}

static void make_routes(struct esp_sa *sa)
{
    for (uint8_t i = 0; i < sa->selectors.n_remote; i++) {
        struct esp_route *r = &sa->routes[i];

        r->prefix = sa->selectors.remote[i].low;
        r->bits = esp_selector_prefix(&sa->selectors.remote[i]);
        for (unsigned bit = r->bits; bit < addr_len(&r->prefix) * 8; bit++)
            r->prefix.bytes[bit / 8] = (uint8_t)(r->prefix.bytes[bit / 8] & ~(0x80u >> (bit % 8)));
        r->sa = sa;
    }
}

bool esp_sa_init(struct esp_sa *sa, const struct esp_sa_params *p)
{
    memset(sa, 0, sizeof *sa);
    if (!params_ok(p))
        return false;
    if (!esp_cipher_init(&sa->cipher_in, p->aead, &p->key_in, &p->integ_in, p->spi_in, p->esn))
        return false;
    if (!esp_cipher_init(&sa->cipher_out, p->aead, &p->key_out, &p->integ_out, p->spi_out,
                         p->esn)) {
        esp_cipher_deinit(&sa->cipher_in);
        return false;
    }
    sa->spi_in = p->spi_in;
    sa->spi_out = p->spi_out;
    sa->ike_sa = p->ike_sa;
    sa->shard_slot = p->shard_slot;
    sa->esn = p->esn;
    sa->raw = p->raw;
    sa->last_number = p->esn ? UINT64_MAX - 1 : UINT32_MAX;
    atomic_store_explicit(&sa->soft_packets, p->soft_packets, memory_order_relaxed);
    atomic_store_explicit(&sa->soft_bytes, p->soft_bytes, memory_order_relaxed);
    sa->hard_packets = p->hard_packets;
    sa->hard_bytes = p->hard_bytes;
    sa->selectors = p->selectors;
    sa->raised_mark_in = sa->raised_ceiling = ESP_RAISED_NEVER;
    sa->raised_mark_out = sa->raised_limit = ESP_RAISED_NEVER;
    make_routes(sa);
    esp_gate_init(&sa->gate);
    esp_reservation_init(&sa->reservation);
    store_remote(&sa->remote, &p->remote);
    atomic_store_explicit(&sa->outbound, p->outbound, memory_order_relaxed);
    atomic_store_explicit(&sa->unproven, p->unproven, memory_order_relaxed);
    atomic_store_explicit(&sa->ends_ns, UINT64_MAX, memory_order_relaxed);
    return true;
}

void esp_sa_deinit(struct esp_sa *sa)
{
    esp_cipher_deinit(&sa->cipher_in);
    esp_cipher_deinit(&sa->cipher_out);
    secret_wipe_bytes(sa, sizeof *sa);
}

static uint64_t get(_Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

/* So that what comes on top never wraps. */
static uint64_t base(uint64_t counted, uint64_t own)
{
    const uint64_t most = UINT64_MAX / 2;

    if (counted <= own)
        return 0;
    return counted - own < most ? counted - own : most;
}

/* Before the grant is published: a worker that takes it up sees these. */
static void set_bases(struct esp_sa *sa, const struct esp_sa_grant *g)
{
    atomic_store_explicit(&sa->in_base, base(g->counted_in, get(&sa->in.packets)),
                          memory_order_relaxed);
    atomic_store_explicit(&sa->out_base, base(g->counted_out, get(&sa->out.packets)),
                          memory_order_relaxed);
    atomic_store_explicit(&sa->in_base_bytes, base(g->counted_in_bytes, get(&sa->in.bytes)),
                          memory_order_relaxed);
    atomic_store_explicit(&sa->out_base_bytes, base(g->counted_out_bytes, get(&sa->out.bytes)),
                          memory_order_relaxed);
    if (g->soft_packets != 0)
        atomic_store_explicit(&sa->soft_packets, g->soft_packets, memory_order_relaxed);
    if (g->soft_bytes != 0)
        atomic_store_explicit(&sa->soft_bytes, g->soft_bytes, memory_order_relaxed);
}

void esp_sa_grant(struct esp_sa *sa, const struct esp_sa_grant *g)
{
    set_bases(sa, g);
    esp_reservation_grant(&sa->reservation, g->epoch, g->first, g->end);
    esp_gate_grant(&sa->gate, g->epoch, g->floor, g->ceiling);
}

void esp_sa_grant_exact(struct esp_sa *sa, const struct esp_sa_grant *g,
                        const struct esp_replay *window)
{
    set_bases(sa, g);
    esp_reservation_grant(&sa->reservation, g->epoch, g->first, g->end);
    esp_gate_grant_exact(&sa->gate, g->epoch, g->floor, window, g->ceiling);
    /* No worker uses it now: what the inbound worker keeps beside the gate begins anew, too. */
    sa->raised_in = 0;
    sa->raised_mark_in = sa->raised_ceiling = ESP_RAISED_NEVER;
    atomic_store_explicit(&sa->in.last_seq, window->top, memory_order_relaxed);
    atomic_store_explicit(&sa->in.verified_seq, window->top, memory_order_relaxed);
}

void esp_sa_window(struct esp_sa *sa, struct esp_window *out)
{
    struct esp_sa_view v;

    esp_sa_read(sa, &v);
    out->spi_in = sa->spi_in;
    esp_gate_export(&sa->gate, &out->floor, &out->replay);
    out->counted_in = v.counted_in;
    out->counted_out = v.counted_out;
    out->counted_in_bytes = v.counted_in_bytes;
    out->counted_out_bytes = v.counted_out_bytes;
}

void esp_sa_extend(struct esp_sa *sa, uint64_t reservation_end)
{
    esp_reservation_extend(&sa->reservation, reservation_end);
}

void esp_sa_set_ceiling(struct esp_sa *sa, uint64_t ceiling)
{
    esp_gate_set_ceiling(&sa->gate, ceiling);
}

void esp_sa_set_marks(struct esp_sa *sa, uint64_t in, uint64_t out)
{
    atomic_store_explicit(&sa->mark_in, in, memory_order_relaxed);
    atomic_store_explicit(&sa->mark_out, out, memory_order_relaxed);
}

void esp_sa_set_outbound(struct esp_sa *sa, bool outbound)
{
    atomic_store_explicit(&sa->outbound, outbound, memory_order_release);
}

void esp_sa_set_end(struct esp_sa *sa, uint64_t at_ns)
{
    atomic_store_explicit(&sa->ends_ns, at_ns, memory_order_relaxed);
}

void esp_sa_set_remote(struct esp_sa *sa, const struct endpoint *remote)
{
    store_remote(&sa->remote, remote);
}

void esp_sa_read(struct esp_sa *sa, struct esp_sa_view *v)
{
    memset(v, 0, sizeof *v);
    v->epoch = get(&sa->gate.epoch);
    v->limit = get(&sa->reservation.limit);
    v->floor = get(&sa->gate.floor);
    v->ceiling = get(&sa->gate.ceiling);
    v->outbound = atomic_load_explicit(&sa->outbound, memory_order_relaxed);
    v->in_packets = get(&sa->in.packets);
    v->in_bytes = get(&sa->in.bytes);
    /* A grant that no worker has taken up yet: its own bounds are the better knowledge. */
    v->last_seq = number_larger(get(&sa->in.last_seq), v->floor);
    v->verified_seq = number_larger(get(&sa->in.verified_seq), v->last_seq);
    v->last_in_ns = get(&sa->in.last_ns);
    v->below_floor_ns = get(&sa->in.below_floor_ns);
    v->out_packets = get(&sa->out.packets);
    v->out_bytes = get(&sa->out.bytes);
    v->counted_in = get(&sa->in_base) + v->in_packets;
    v->counted_out = get(&sa->out_base) + v->out_packets;
    v->counted_in_bytes = get(&sa->in_base_bytes) + v->in_bytes;
    v->counted_out_bytes = get(&sa->out_base_bytes) + v->out_bytes;
    v->next_out = number_larger(get(&sa->out.next), get(&sa->reservation.first));
    v->last_out_ns = get(&sa->out.last_ns);
    for (int i = 0; i < ESP_DROP_COUNT; i++) {
        v->drops_in[i] = get(&sa->in.drops[i]);
        v->drops_out[i] = get(&sa->out.drops[i]);
    }
}

void esp_sa_raised_in(struct esp_sa *sa, uint32_t events, uint64_t now_ns)
{
    if ((events & ESP_EVENT_LOW_CEILING) != 0) {
        sa->raised_mark_in = sa->told_mark_in;
        sa->raised_ceiling = sa->told_ceiling;
    }
    if ((events & ESP_EVENT_PEER_MOVED) != 0)
        sa->moved_ns = now_ns;
    sa->raised_in |= events & ~(uint32_t)(ESP_EVENT_LOW_CEILING | ESP_EVENT_PEER_MOVED);
}

void esp_sa_raised_out(struct esp_sa *sa, uint32_t events)
{
    if ((events & ESP_EVENT_LOW_NUMBERS) != 0) {
        sa->raised_mark_out = sa->told_mark_out;
        sa->raised_limit = sa->told_limit;
    }
    sa->raised_out |= events & ~(uint32_t)ESP_EVENT_LOW_NUMBERS;
}
