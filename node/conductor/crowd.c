#include "conductor/crowd.h"

#include "base/number.h"

void crowd_note(struct crowd *k, uint64_t now_ms)
{
    uint64_t s = now_ms / 1000;

    if (s < k->newest_s)
        s = k->newest_s;
    for (uint64_t gone = number_smaller(s - k->newest_s, CROWD_SECONDS); gone > 0; gone--)
        k->starts[(s - gone + 1) % CROWD_SECONDS] = 0;
    k->newest_s = s;
    k->starts[s % CROWD_SECONDS]++;
}

bool crowd_now(const struct crowd *k, uint64_t now_ms, size_t n, uint64_t life_ms)
{
    uint64_t s = number_larger(now_ms / 1000, k->newest_s), sum = 0, even = 0;

    for (uint64_t back = 0; back < CROWD_SECONDS && back <= k->newest_s; back++)
        if (k->newest_s - back + CROWD_SECONDS > s)
            sum += k->starts[(k->newest_s - back) % CROWD_SECONDS];
    if (life_ms != 0)
        even = n * (CROWD_SECONDS * UINT64_C(1000)) / life_ms;
    return sum > number_larger(CROWD_FEW, CROWD_TIMES * even);
}
