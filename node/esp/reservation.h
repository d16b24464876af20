/* The numbers that this node may put on the wire for one SA: [first, limit), granted by a committed
 * entry of one epoch.
 *
 *   control loop (one thread)                     worker (one thread per SA direction)
 *   esp_reservation_grant ──> gen, epoch, first, limit ──> esp_reservation_take ──> next
 *   esp_reservation_extend ────────────────────> limit ──┘
 *
 * Safety (I1) rests here: a number leaves only when it is >= first, < limit, greater than any taken
 * before, and when the grant's epoch is the lease's. Nothing is ever given back. A grant replaces
 * the one before it as a whole: the worker reads it under a generation that is odd while it changes
 * (all fields are release/acquire, so no fence is needed), and takes nothing meanwhile.
 */
#ifndef HF_ESP_RESERVATION_H
#define HF_ESP_RESERVATION_H

#include <stdatomic.h>

#include "base/assert.h"
#include "base/span.h"

struct esp_reservation {
    /* stored by the control loop */
    _Atomic uint64_t gen;   /* even: stable */
    _Atomic uint64_t epoch; /* log index of the assignment; 0 = none: nothing may be taken */
    _Atomic uint64_t first;
    _Atomic uint64_t limit; /* first number that may not be used */
    /* the worker's own */
    uint64_t held_gen, held_epoch, held_first;
    uint64_t judged_by; /* the limit that the last take was judged by */
    uint64_t next;
};

enum esp_take {
    ESP_TAKEN,
    ESP_TAKE_NO_GRANT, /* none for this epoch, or it is being changed */
    ESP_TAKE_EMPTY,    /* all reserved numbers are used: wait for an extension */
    ESP_TAKE_EXHAUSTED /* no number below the SA's last is left (I1c) */
};

void esp_reservation_init(struct esp_reservation *r);

/* Control loop. epoch must be newer than the last grant's, first <= end (both asserted: a grant is
 * taken once, by applying its entry). Number 0 is never used, so first = 0 starts at 1. */
void esp_reservation_grant(struct esp_reservation *r, uint64_t epoch, uint64_t first, uint64_t end);

/* Control loop, after the extension's entry is applied. Never lowers. */
void esp_reservation_extend(struct esp_reservation *r, uint64_t end);

/* Worker: takes a newer grant up (held_gen changes). False while it is being changed. */
bool esp_reservation_refresh(struct esp_reservation *r);

/* Worker: the next number, under a lease of `lease_epoch` (0 = no lease). last: the highest number
 * that the SA may ever use. */
enum esp_take esp_reservation_take(struct esp_reservation *r, uint64_t lease_epoch, uint64_t last,
                                   uint64_t *seq) HF_MUST_USE;

#endif
