/* What root reads of a running process: its memory as it stands (/proc/PID/maps and mem). The product
 * has no such door. */
#ifndef HF_TEST_LAB_UNSEALED_MEMORY_H
#define HF_TEST_LAB_UNSEALED_MEMORY_H

#include "base/span.h"

/* Calls visit for each mapping that can be read whose name ends with `name` (NULL: all). False: the
 * process cannot be read. What cannot be read of it is left out. */
bool memory_each(long pid, const char *name, void (*visit)(void *self, struct span bytes),
                 void *self);

#endif
