#include "esp/reservation.h"

void esp_reservation_init(struct esp_reservation *r)
{
    atomic_init(&r->gen, 0);
    atomic_init(&r->epoch, 0);
    atomic_init(&r->first, 0);
    atomic_init(&r->limit, 0);
    r->held_gen = r->held_epoch = r->held_first = r->judged_by = r->next = 0;
}

void esp_reservation_grant(struct esp_reservation *r, uint64_t epoch, uint64_t first, uint64_t end)
{
    uint64_t gen = atomic_load_explicit(&r->gen, memory_order_relaxed);

    HF_ASSERT(epoch > atomic_load_explicit(
                          &r->epoch, memory_order_relaxed)); /* I13: each grant is taken once */
    HF_ASSERT(first <= end);
    HF_ASSERT(first >= atomic_load_explicit(
                           &r->limit, memory_order_relaxed)); /* I1: reservations are disjoint */
    if (first == 0)
        first = end == 0 ? 0 : 1; /* RFC 4303 3.3.3: the first packet has number 1 */
    /* A reader that sees any of the new fields sees the odd generation too: release after it,
     * acquire before it. */
    atomic_store_explicit(&r->gen, gen + 1, memory_order_relaxed);
    atomic_store_explicit(&r->epoch, epoch, memory_order_release);
    atomic_store_explicit(&r->first, first, memory_order_release);
    atomic_store_explicit(&r->limit, end, memory_order_release);
    atomic_store_explicit(&r->gen, gen + 2, memory_order_release);
}

void esp_reservation_extend(struct esp_reservation *r, uint64_t end)
{
    if (end > atomic_load_explicit(&r->limit, memory_order_relaxed))
        atomic_store_explicit(&r->limit, end, memory_order_release);
}

bool esp_reservation_refresh(struct esp_reservation *r)
{
    uint64_t gen = atomic_load_explicit(&r->gen, memory_order_acquire);
    uint64_t epoch, first;

    if (gen == r->held_gen)
        return true;
    epoch = atomic_load_explicit(&r->epoch, memory_order_acquire);
    first = atomic_load_explicit(&r->first, memory_order_acquire);
    if (gen % 2 != 0 || atomic_load_explicit(&r->gen, memory_order_relaxed) != gen)
        return false;
    r->held_gen = gen;
    r->held_epoch = epoch;
#ifdef HOLDFAST_PLANT_reservation_ignored
    /* planted fault: the new owner begins under the end of the old one's reservation */
    r->held_first = r->next = first > 0 ? 1 : 0;
#else
    HF_ASSERT(first >= r->next); /* I1 */
    r->held_first = r->next = first;
#endif
    return true;
}

enum esp_take esp_reservation_take(struct esp_reservation *r, uint64_t lease_epoch, uint64_t last,
                                   uint64_t *seq)
{
    uint64_t limit;

    if (!esp_reservation_refresh(r) || lease_epoch == 0 || r->held_epoch != lease_epoch)
        return ESP_TAKE_NO_GRANT;
    limit = atomic_load_explicit(&r->limit, memory_order_acquire);
    /* The limit may be a newer grant's already; then this generation is over. */
    if (atomic_load_explicit(&r->gen, memory_order_relaxed) != r->held_gen)
        return ESP_TAKE_NO_GRANT;
    r->judged_by = limit;
    if (r->next > last)
        return ESP_TAKE_EXHAUSTED;
    if (r->next == 0 || r->next >= limit)
        return ESP_TAKE_EMPTY;
    *seq = r->next++;
    HF_ASSERT(*seq >= r->held_first && *seq < limit && *seq <= last &&
              r->next > *seq); /* I1, I1c */
    return ESP_TAKEN;
}
