#include "io/clock.h"

#include <time.h>

#include "base/assert.h"

static uint64_t read_ns(clockid_t clock)
{
    struct timespec ts;

    HF_ASSERT(clock_gettime(clock, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t io_boottime_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

uint64_t io_boottime_ms(void)
{
    return io_boottime_ns() / 1000000;
}

uint64_t io_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}
