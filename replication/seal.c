#include "replication/seal.h"

static bool none_copy(struct span in, uint8_t *out, size_t *n)
{
    if (in.len > 0)
        memcpy(out, in.data, in.len);
    *n = in.len;
    return true;
}

static bool none_seal(void *self, enum seal_purpose purpose, enum seal_kind kind, uint64_t request,
                      struct span in, uint8_t *out, size_t *n)
{
    (void)self;
    (void)purpose;
    (void)kind;
    (void)request;
    return none_copy(in, out, n);
}

static bool none_open(void *self, enum seal_purpose purpose, struct span in, uint8_t *out,
                      size_t *n)
{
    (void)self;
    (void)purpose;
    return none_copy(in, out, n);
}

const struct seal seal_none = {
    .name = "none", .self = NULL, .overhead = 0, .seal = none_seal, .open = none_open};
