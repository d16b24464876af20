/* Why something was refused; apart from HTTP, for backends and their tests. */
#include <stdarg.h>
#include <stdio.h>

#include "api/backend.h"
#include "base/assert.h"

void api_problem_set(struct api_problem *p, unsigned status, const char *name, const char *format,
                     ...)
{
    va_list args;

    HF_ASSERT(status >= 400 && status <= 599);
    p->status = status;
    p->name = name;
    p->pointer[0] = '\0';
    va_start(args, format);
    (void)vsnprintf(p->detail, sizeof p->detail, format, args);
    va_end(args);
}
