/* Randomness from the kernel: nonces, SPIs, boot ids, the seed of engine steps. */
#ifndef HF_IO_ENTROPY_H
#define HF_IO_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

/* Fills n bytes by getrandom(2), waiting for the kernel's generator only at early boot. Aborts when
 * the kernel has none: nothing here may go on without it. */
void io_entropy(void *out, size_t n);

/* Non-zero. */
uint64_t io_entropy_u64(void);

#endif
