#include "esp/gate.h"

void esp_gate_init(struct esp_gate *g)
{
    atomic_init(&g->gen, 0);
    atomic_init(&g->epoch, 0);
    atomic_init(&g->floor, 0);
    atomic_init(&g->ceiling, 0);
    g->held_gen = g->held_epoch = g->held_floor = g->judged_by = 0;
    esp_replay_init(&g->window, 0);
}

/* As in reservation.c: odd while it changes, every field released after the odd generation. Returns
 * the new generation. */
static uint64_t publish(struct esp_gate *g, uint64_t epoch, uint64_t floor, uint64_t ceiling)
{
    uint64_t gen = atomic_load_explicit(&g->gen, memory_order_relaxed);

    HF_ASSERT(epoch > atomic_load_explicit(
                          &g->epoch, memory_order_relaxed)); /* I13: each grant is taken once */
    atomic_store_explicit(&g->gen, gen + 1, memory_order_relaxed);
    atomic_store_explicit(&g->epoch, epoch, memory_order_release);
    atomic_store_explicit(&g->floor, floor, memory_order_release);
    atomic_store_explicit(&g->ceiling, ceiling, memory_order_release);
    atomic_store_explicit(&g->gen, gen + 2, memory_order_release);
    return gen + 2;
}

void esp_gate_grant(struct esp_gate *g, uint64_t epoch, uint64_t floor, uint64_t ceiling)
{
    HF_ASSERT(floor <= ceiling);
    (void)publish(g, epoch, floor, ceiling);
}

void esp_gate_grant_exact(struct esp_gate *g, uint64_t epoch, uint64_t floor,
                          const struct esp_replay *window, uint64_t ceiling)
{
    HF_ASSERT(floor <= window->top && window->top <= ceiling);
    /* No worker uses it now: their part may be written here. The floor stays the giver's: what lies
     * below it may have been accepted by an owner before, and this window does not know. */
    g->held_gen = publish(g, epoch, floor, ceiling);
    g->held_epoch = epoch;
    g->held_floor = floor;
    g->window = *window;
}

void esp_gate_export(const struct esp_gate *g, uint64_t *floor, struct esp_replay *window)
{
    if (atomic_load_explicit(&g->gen, memory_order_relaxed) == g->held_gen) {
        *floor = g->held_floor;
        *window = g->window;
        return;
    }
    *floor = atomic_load_explicit(&g->floor, memory_order_relaxed);
    esp_replay_init(window, *floor);
}

void esp_gate_set_ceiling(struct esp_gate *g, uint64_t ceiling)
{
    atomic_store_explicit(&g->ceiling, ceiling, memory_order_release);
}

bool esp_gate_refresh(struct esp_gate *g, uint64_t lease_epoch, bool *fresh)
{
    uint64_t gen = atomic_load_explicit(&g->gen, memory_order_acquire);
    uint64_t epoch, floor;

    *fresh = false;
    if (gen != g->held_gen) {
        epoch = atomic_load_explicit(&g->epoch, memory_order_acquire);
        floor = atomic_load_explicit(&g->floor, memory_order_acquire);
        if (gen % 2 != 0 || atomic_load_explicit(&g->gen, memory_order_relaxed) != gen)
            return false;
        g->held_gen = gen;
        g->held_epoch = epoch;
#ifdef HOLDFAST_PLANT_ceiling_ignored
        /* planted fault, its first half: what an earlier owner may have accepted counts as new */
        g->held_floor = floor & 0;
#else
        g->held_floor = floor;
#endif
        esp_replay_init(&g->window, g->held_floor);
        *fresh = true;
    }
    return lease_epoch != 0 && g->held_epoch == lease_epoch;
}

enum esp_gate_verdict esp_gate_look(const struct esp_gate *g, uint64_t seq)
{
    enum esp_seen seen = esp_replay_look(&g->window, seq);

    if (seen == ESP_SEEN_BEFORE)
        return ESP_GATE_SEEN;
    if (seen == ESP_SEEN_OLD && seq > g->held_floor)
        return ESP_GATE_OLD;
    /* At or below the floor, however old: its ICV decides whether it counts. */
    return seq == 0 ? ESP_GATE_OLD : ESP_GATE_ACCEPT;
}

static bool read_ceiling(const struct esp_gate *g, uint64_t *ceiling)
{
    *ceiling = atomic_load_explicit(&g->ceiling, memory_order_acquire);
    /* It may be a newer grant's already; then this generation is over. */
    if (atomic_load_explicit(&g->gen, memory_order_relaxed) != g->held_gen)
        return false;
#ifdef HOLDFAST_PLANT_ceiling_ignored
    *ceiling = UINT64_MAX; /* planted fault, its second half */
#endif
    return true;
}

enum esp_gate_verdict esp_gate_mark(struct esp_gate *g, uint64_t seq)
{
    uint64_t ceiling;
    enum esp_range range;
    enum esp_seen seen;

    if (!read_ceiling(g, &ceiling))
        return ESP_GATE_NO_GRANT;
    g->judged_by = ceiling;
    range = esp_seq_range(seq, g->held_floor, ceiling);
    if (range == ESP_RANGE_ABOVE)
        return ESP_GATE_ABOVE_CEILING;
    seen = esp_replay_mark(&g->window, seq);
    if (range == ESP_RANGE_BELOW)
        return seen == ESP_SEEN_BEFORE ? ESP_GATE_SEEN : ESP_GATE_BELOW_FLOOR;
    if (seen != ESP_SEEN_NEW)
        return seen == ESP_SEEN_BEFORE ? ESP_GATE_SEEN : ESP_GATE_OLD;
    HF_ASSERT(seq > g->held_floor && seq <= ceiling); /* I2 */
    return ESP_GATE_ACCEPT;
}
