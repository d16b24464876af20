/* One inbound ESP packet: SPI's SA is found already (db.h).
 *
 *   refresh grant ─ recover number ─ look ─ open ─ mark, floor, ceiling ─ selectors ─> deliver
 *                                                  └─ above the ceiling: wait (verified),
 *                                                     esp_inbound_release() later
 */
#ifndef HF_ESP_INBOUND_H
#define HF_ESP_INBOUND_H

#include "esp/sa.h"

struct esp_in_result {
    uint64_t seq;    /* set when verified */
    size_t len;      /* bytes of the inner packet at out: set for ESP_DROP_NONE and ESP_DROP_WAIT */
    uint32_t events; /* enum esp_event bits to tell the control loop */
};

/* Judges `packet` (whole ESP packet, from `from`; port 0: it was not in UDP), writing the inner packet to out (cap bytes, no
 * overlap). ESP_DROP_NONE: deliver out[0..len). ESP_DROP_WAIT: verified but above the ceiling: keep
 * a copy, or count it with esp_inbound_give_up. Anything else was counted in the SA. */
enum esp_drop esp_inbound(struct esp_sa *sa, const struct esp_turn *turn, struct span packet,
                          const struct endpoint *from, uint8_t *out, size_t cap,
                          struct esp_in_result *result) HF_MUST_USE;

/* A packet that waited, its inner bytes and number as they were. Same results; ESP_DROP_WAIT =
 * still above. */
enum esp_drop esp_inbound_release(struct esp_sa *sa, const struct esp_turn *turn, uint64_t seq,
                                  struct span inner, struct esp_in_result *result) HF_MUST_USE;

/* Counts a drop that the caller decided (queue full, waited too long). */
void esp_inbound_give_up(struct esp_sa *sa, enum esp_drop why);

#endif
