/* The one error type of this folder: a sentence that names the thing and the fix, and the errno
 * behind it. Nothing here prints. */
#ifndef HF_IO_ERROR_H
#define HF_IO_ERROR_H

#include <stdbool.h>

#include "base/assert.h"

struct io_error {
    int code; /* errno of the call that failed; 0 when none did (a refusal of ours) */
    char text[512];
};

void io_error_set(struct io_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fills *error and is false, so that `return io_fail(...)` reads well (a macro, so that static
 * analysis sees the false too). */
#define io_fail(error, code, ...) (io_error_set(error, code, __VA_ARGS__), false)

#endif
