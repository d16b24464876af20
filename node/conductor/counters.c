#include "conductor/counters.h"

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
