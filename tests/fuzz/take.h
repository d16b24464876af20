/* The bytes of an input, one after the other; zeros behind its end. */
#ifndef HF_FUZZ_TAKE_H
#define HF_FUZZ_TAKE_H

#include <stddef.h>
#include <stdint.h>

struct in {
    const uint8_t *data;
    size_t size;
};

static inline uint8_t take(struct in *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

#endif
