/* The clocks of the shell. Pure layers get time as an argument. */
#ifndef HF_IO_CLOCK_H
#define HF_IO_CLOCK_H

#include <stdint.h>

/* CLOCK_BOOTTIME in ns: runs on through suspend, is never set. Leases and promises are in it. */
uint64_t io_boottime_ns(void);
/* The same in whole ms. */
uint64_t io_boottime_ms(void);

/* CLOCK_MONOTONIC in ns. */
uint64_t io_monotonic_ns(void);

#endif
