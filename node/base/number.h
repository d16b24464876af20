/* The larger and the smaller of two numbers. */
#ifndef HF_BASE_NUMBER_H
#define HF_BASE_NUMBER_H

#include <stdint.h>

static inline uint64_t number_larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t number_smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
