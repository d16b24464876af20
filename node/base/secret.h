/* The only types that hold key material. Inline, wiped when done with, compared in constant time,
 * never printed. They may be copied by value inside locked memory (the daemon locks all of its
 * memory and is undumpable). */
#ifndef HF_BASE_SECRET_H
#define HF_BASE_SECRET_H

#include "base/span.h"

enum {
    SECRET_MAX_BYTES = 66,      /* a private value of ECP-521 is the longest */
    SECRET_LONG_MAX_BYTES = 512 /* the shared secret of MODP-4096 */
};

struct secret {
    uint8_t len; /* bytes in use */
    uint8_t bytes[SECRET_MAX_BYTES];
};

/* A shared secret of a key exchange, which may be longer than any key: lives between the answer of
 * the key exchange and the keys made from it, and is never kept or replicated. */
struct secret_long {
    uint16_t len;
    uint8_t bytes[SECRET_LONG_MAX_BYTES];
};

/* Overwrites n bytes in a way the compiler keeps. */
void secret_wipe_bytes(void *p, size_t n);

static inline void secret_wipe(struct secret *s)
{
    secret_wipe_bytes(s, sizeof *s);
}

/* Copies len <= SECRET_MAX_BYTES bytes in (asserted). */
void secret_set(struct secret *s, const void *bytes, size_t len);

/* Copies len <= SECRET_LONG_MAX_BYTES bytes in (asserted). */
void secret_long_set(struct secret_long *s, const void *bytes, size_t len);

/* Constant time in the contents; lengths are not secret. */
bool secret_equal_bytes(const void *a, const void *b, size_t len);

static inline struct span secret_span(const struct secret *s)
{
    return span_of(s->bytes, s->len);
}

static inline struct span secret_long_span(const struct secret_long *s)
{
    return span_of(s->bytes, s->len);
}

#endif
