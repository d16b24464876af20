#include "replication/seal.h"

static bool none_copy(void *self, enum seal_purpose purpose, struct span in, uint8_t *out,
                      size_t *n)
{
    (void)self;
    (void)purpose;
    if (in.len > 0)
        memcpy(out, in.data, in.len);
    *n = in.len;
    return true;
}

const struct seal seal_none = {
    .name = "none", .self = NULL, .overhead = 0, .seal = none_copy, .open = none_copy};
