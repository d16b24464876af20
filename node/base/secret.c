#include "base/secret.h"

#include "base/assert.h"

void secret_wipe_bytes(void *p, size_t n)
{
    memset(p, 0, n);
    __asm__ __volatile__("" : : "r"(p) : "memory");
}

void secret_set(struct secret *s, const void *bytes, size_t len)
{
    HF_ASSERT(len <= SECRET_MAX_BYTES);
    secret_wipe(s);
    if (len > 0)
        memcpy(s->bytes, bytes, len);
    s->len = (uint8_t)len;
}

void secret_long_set(struct secret_long *s, const void *bytes, size_t len)
{
    HF_ASSERT(len <= SECRET_LONG_MAX_BYTES);
    secret_wipe_bytes(s, sizeof *s);
    if (len > 0)
        memcpy(s->bytes, bytes, len);
    s->len = (uint16_t)len;
}

bool secret_equal_bytes(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    unsigned diff = 0;

    for (size_t i = 0; i < len; i++)
        diff |= (unsigned)(x[i] ^ y[i]);
    return diff == 0;
}
