/* Do SAs (CHILD and IKE, counted apart) start faster than they would if their rekeys were spread evenly? Then the engine is
 * told (ike_event.crowded, .crowded_sas), and those that start now are rekeyed apart (ike/lifetime.h).
 *
 * Counted from applied records, so every node of the cluster counts alike and a new owner knows. In
 * cluster time; forgets after a minute; what is lost with a restart costs nothing but spread.
 */
#ifndef HF_CONDUCTOR_CROWD_H
#define HF_CONDUCTOR_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CROWD_SECONDS = 60,
    CROWD_FEW = 32, /* starts in CROWD_SECONDS that are no crowd in any case */
    CROWD_TIMES = 2 /* the even rate */
};

struct crowd {
    uint64_t newest_s; /* the second of the newest start */
    uint32_t starts[CROWD_SECONDS];
};

/* One starts now. Time may stand still or jump forward; it never goes back. */
void crowd_note(struct crowd *crowd, uint64_t now_ms);

/* Is it a crowd that starts now, where there are n in all, each rekeyed after life_ms (0 =
 * never)? */
bool crowd_now(const struct crowd *crowd, uint64_t now_ms, size_t n, uint64_t life_ms);

#endif
