#include "io/error.h"

#include <stdarg.h>
#include <stdio.h>

void io_error_set(struct io_error *error, int code, const char *format, ...)
{
    va_list args;

    error->code = code;
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
}
