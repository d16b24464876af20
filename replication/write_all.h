/* One write to a file, however many calls the kernel makes of it. */
#ifndef HF_REPL_WRITE_ALL_H
#define HF_REPL_WRITE_ALL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

/* Writes all n bytes to `fd`, which blocks. False: errno says why, and some of them may be there. */
bool repl_write_all(int fd, const void *bytes, size_t n) HF_MUST_USE;

#endif
