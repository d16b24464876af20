/* A borrowed run of bytes. A span never owns: who made it says how long it is valid (a decoded
 * payload's: the step). */
#ifndef HF_BASE_SPAN_H
#define HF_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t len; /* bytes */
};

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){.data = data, .len = len};
}

/* FNV-1a, 64 bits: tells runs of bytes apart in logs and tests. No protection against an adversary.
 */
static inline uint64_t span_fnv1a64(struct span s)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ s.data[i]) * 0x100000001b3u;
    return hash;
}

/* Not constant time: never for secrets or authenticators. */
static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif
