/* The numbers that this node may accept for one inbound SA: above the floor, up to the ceiling,
 * each once.
 *
 *   control loop (one thread)                     worker (one thread per SA direction)
 *   esp_gate_grant ───────> gen, epoch, floor, ceiling ──> esp_gate_refresh
 *   esp_gate_set_ceiling ────────────────────> ceiling ──> esp_gate_look, open, esp_gate_mark
 *
 * Safety (I2) rests here. The epoch and generation work as in reservation.h. The window begins at
 * the floor with nothing marked: verified packets at or below the floor are marked too (so that
 * each counts once as replay recovery), but never accepted.
 */
#ifndef HF_ESP_GATE_H
#define HF_ESP_GATE_H

#include <stdatomic.h>

#include "esp/replay.h"

struct esp_gate {
    /* stored by the control loop */
    _Atomic uint64_t gen;
    _Atomic uint64_t epoch;
    _Atomic uint64_t floor;
    _Atomic uint64_t ceiling;
    /* the worker's own */
    uint64_t held_gen, held_epoch, held_floor;
    uint64_t judged_by; /* the ceiling that the last mark was judged by */
    struct esp_replay window;
};

enum esp_gate_verdict {
    ESP_GATE_ACCEPT,   /* look: go on and open. mark: marked, deliver */
    ESP_GATE_NO_GRANT, /* none for this epoch, or it is being changed */
    ESP_GATE_SEEN,
    ESP_GATE_OLD,
    ESP_GATE_BELOW_FLOOR,
    ESP_GATE_ABOVE_CEILING /* mark only: nothing was marked; ask again when the ceiling rose */
};

void esp_gate_init(struct esp_gate *g);

/* Control loop. epoch must be newer than the last grant's, floor <= ceiling (asserted). */
void esp_gate_grant(struct esp_gate *g, uint64_t epoch, uint64_t floor, uint64_t ceiling);

/* Control loop, only while no worker uses the SA (worker_pool_shard): a handover's exact window
 * above the floor that its giver had. */
void esp_gate_grant_exact(struct esp_gate *g, uint64_t epoch, uint64_t floor,
                          const struct esp_replay *window, uint64_t ceiling);
/* Likewise: what it would judge the next number by, also when no worker took the newest grant up.
 */
void esp_gate_export(const struct esp_gate *g, uint64_t *floor, struct esp_replay *window);

/* Control loop: after an extension is applied, or to a lower value as the first act of a shrink. */
void esp_gate_set_ceiling(struct esp_gate *g, uint64_t ceiling);

/* Worker: takes a newer grant up, if there is one. True: a grant of `lease_epoch` (not 0) is held.
 * *fresh: it was taken up now. */
bool esp_gate_refresh(struct esp_gate *g, uint64_t lease_epoch, bool *fresh) HF_MUST_USE;

/* Worker, after refresh: may the packet be opened? A number at or below the floor may (its ICV
 * decides whether it counts). */
enum esp_gate_verdict esp_gate_look(const struct esp_gate *g, uint64_t seq) HF_MUST_USE;

/* Worker, after the ICV held: judges and marks. */
enum esp_gate_verdict esp_gate_mark(struct esp_gate *g, uint64_t seq) HF_MUST_USE;

#endif
