/* The only type that holds key material. At most 64 bytes, inline, wiped when done with, compared
 * in constant time, never printed. It may be copied by value inside locked memory (the daemon locks
 * all of its memory and is undumpable). */
#ifndef HF_BASE_SECRET_H
#define HF_BASE_SECRET_H

#include "base/span.h"

enum { SECRET_MAX_BYTES = 64 };

struct secret {
    uint8_t len; /* bytes in use */
    uint8_t bytes[SECRET_MAX_BYTES];
};

/* Overwrites n bytes in a way the compiler keeps. */
void secret_wipe_bytes(void *p, size_t n);

static inline void secret_wipe(struct secret *s)
{
    secret_wipe_bytes(s, sizeof *s);
}

/* Copies len <= SECRET_MAX_BYTES bytes in (asserted). */
void secret_set(struct secret *s, const void *bytes, size_t len);

/* Constant time in the contents; lengths are not secret. */
bool secret_equal_bytes(const void *a, const void *b, size_t len);

static inline struct span secret_span(const struct secret *s)
{
    return span_of(s->bytes, s->len);
}

#endif
