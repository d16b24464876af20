/* One outbound packet: the inner destination's SA is found already (db.h).
 *
 *   selectors ─ hard limit ─ number from the reservation ─ seal ─> send
 *                             └─ out of numbers: wait, esp_outbound() again later
 */
#ifndef HF_ESP_OUTBOUND_H
#define HF_ESP_OUTBOUND_H

#include "esp/sa.h"

struct esp_out_result {
    uint64_t seq;
    size_t len; /* bytes of the ESP packet at out */
    uint32_t events;
};

/* Seals the IP packet `inner` (already decoded as `decoded`) into out. ESP_DROP_NONE: send
 * out[0..len). ESP_DROP_WAIT: out of numbers, nothing was used up. Anything else was counted in the
 * SA. */
enum esp_drop esp_outbound(struct esp_sa *sa, const struct esp_turn *turn,
                           const struct esp_inner *decoded, struct span inner, uint8_t *out,
                           size_t cap, struct esp_out_result *result) HF_MUST_USE;

void esp_outbound_give_up(struct esp_sa *sa, enum esp_drop why);

#endif
