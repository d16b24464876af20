#include "io/error.h"

#include <stdarg.h>
#include <stdio.h>

bool io_fail(struct io_error *error, int code, const char *format, ...)
{
    va_list args;

    error->code = code;
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return false;
}
