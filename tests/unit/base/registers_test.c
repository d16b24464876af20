/* What stands in a vector register is gone before a thread waits. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/registers.h"

#ifdef __x86_64__
enum { REGISTER_BYTES = 16 };

/* The pattern in two registers that no argument passes through; then, when `clear`, the call. */
static void leave(bool clear, uint8_t out[2][REGISTER_BYTES])
{
    uint8_t pattern[REGISTER_BYTES];

    memset(pattern, 0xa5, sizeof pattern);
    memset(out, 0x11, 2 * REGISTER_BYTES);
    __asm__ volatile("movdqu (%0), %%xmm11\n\tmovdqu (%0), %%xmm14" : : "r"(pattern) : "memory");
    if (clear)
        registers_clear();
    __asm__ volatile("movdqu %%xmm11, (%0)\n\tmovdqu %%xmm14, 16(%0)" : : "r"(out) : "memory");
}

/* ... and in two of those that only AVX-512 has, and glibc's memcpy() uses. */
static void leave_high(bool clear, uint8_t out[2][4 * REGISTER_BYTES])
{
    uint8_t pattern[4 * REGISTER_BYTES];

    memset(pattern, 0xa5, sizeof pattern);
    memset(out, 0x11, 8 * REGISTER_BYTES);
    __asm__ volatile("vmovdqu64 (%0), %%zmm16\n\tvmovdqu64 (%0), %%zmm31"
                     :
                     : "r"(pattern)
                     : "memory");
    if (clear)
        registers_clear();
    __asm__ volatile("vmovdqu64 %%zmm16, (%0)\n\tvmovdqu64 %%zmm31, 64(%0)"
                     :
                     : "r"(out)
                     : "memory");
}

Test(base_registers, are_cleared)
{
    uint8_t out[2][REGISTER_BYTES], zero[4 * REGISTER_BYTES] = {0};
    uint8_t high[2][4 * REGISTER_BYTES];
    size_t compared = 2;

    leave(false, out);
    cr_assert(out[0][0] == 0xa5 && out[1][15] == 0xa5, "the test sees what stands there");
    leave(true, out);
    cr_assert_arr_eq(out[0], zero, REGISTER_BYTES);
    cr_assert_arr_eq(out[1], zero, REGISTER_BYTES);
    if (__builtin_cpu_supports("avx512f")) {
        leave_high(false, high);
        cr_assert(high[0][0] == 0xa5 && high[1][63] == 0xa5);
        leave_high(true, high);
        cr_assert_arr_eq(high[0], zero, sizeof zero);
        cr_assert_arr_eq(high[1], zero, sizeof zero);
        compared += 2;
    }
    (void)printf("compared %zu registers\n", compared);
}
#endif
