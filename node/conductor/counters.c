#include "conductor/counters.h"

const uint64_t counter_took_ms[] = {COUNTER_TOOK_MS};
const uint64_t counter_late_ms[] = {COUNTER_LATE_MS};
HF_STATIC_ASSERT(sizeof counter_took_ms / sizeof counter_took_ms[0] == COUNTER_TOOK_BOUNDS);
HF_STATIC_ASSERT(sizeof counter_late_ms / sizeof counter_late_ms[0] == COUNTER_LATE_BOUNDS);

const char *counter_name(enum counter_id id)
{
    static const char *const names[] = {
#define X(identifier, name) name,
        COUNTER_LIST(X)
#undef X
    };

    HF_ASSERT(id < COUNTER_COUNT);
    return names[id];
}
