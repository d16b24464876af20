#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void hf_panic(const char *file, int line, const char *expr)
{
    (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}
