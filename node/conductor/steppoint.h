/* Step points of failover drills: "exchange:role:point", e.g. child-rekey-pfs:gateway:submitted.
 *
 * Armed over the admin interface (only with `drills: enabled`). When the conductor reaches the
 * armed point the node writes one JSON line to the pipe that it inherited (HOLDFAST_STEP_FD), cuts
 * its links first in mode `machine`, and kills itself with SIGKILL. Never returns then: the process
 * is gone in the middle of the step, as in a real crash.
 */
#ifndef HF_CONDUCTOR_STEPPOINT_H
#define HF_CONDUCTOR_STEPPOINT_H

#include "ike/step.h"

enum step_point {
    POINT_STEPPED,
    POINT_SUBMITTED,
    POINT_COMMITTED,
    POINT_SENT,
    POINT_PEER,
    POINT_COUNT
};
enum step_mode { STEP_MODE_PROCESS, STEP_MODE_MACHINE };

/* What is true of the node at the point, for the line it leaves. */
struct step_facts {
    uint32_t node;
    uint64_t log_index; /* last applied */
    bool owner, leader;
    uint64_t sa;
    uint64_t message; /* committed, sent: span_fnv1a64() of what the record sends first; else 0 */
};

struct steppoint {
    bool enabled; /* drills: enabled */
    int fd;       /* -1 = none inherited */
    bool armed;
    enum ike_exchange exchange;
    enum ike_begun begun;
    enum step_point point;
    enum step_mode mode;
    void (*cut_links)(void *self); /* every interface but lo down */
    void *self;
};

/* False: malformed, *why says what and what is known. Arming replaces what was armed; an empty text
 * disarms. */
bool steppoint_arm(struct steppoint *s, const char *text, const char *mode, const char **why);

/* Dies here when this is the armed point. */
void steppoint_reached(const struct steppoint *s, enum ike_exchange exchange, enum ike_begun begun,
                       enum step_point point, const struct step_facts *facts);

const char *step_point_name(enum step_point p);

#endif
