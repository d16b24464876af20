#include "base/registers.h"

#include <string.h>

#ifdef __x86_64__

/* By hand: GCC 12's zero_call_used_regs("all") takes vzeroall for all there are and leaves 16 to 31 as
 * they were, which are the ones that glibc's memcpy goes through; clang 14 has no such attribute. */
#define CLEAR(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define CLEAR4(a, b, c, d) CLEAR(a) CLEAR(b) CLEAR(c) CLEAR(d)
#define CLEAR_SSE(n) "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define CLEAR_SSE4(a, b, c, d) CLEAR_SSE(a) CLEAR_SSE(b) CLEAR_SSE(c) CLEAR_SSE(d)
#define LOW                                                                                        \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* The compiler, which knows of no more than SSE, uses none of these: nothing to say of them. */
static void clear_avx512_high(void)
{
    __asm__ volatile(CLEAR4(16, 17, 18, 19) CLEAR4(20, 21, 22, 23) CLEAR4(24, 25, 26, 27)
                         CLEAR4(28, 29, 30, 31)::
                             : "memory");
}

void registers_clear(void)
{
    if (__builtin_cpu_supports("avx512f"))
        clear_avx512_high();
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" : : : "memory", LOW);
    else
        __asm__ volatile(CLEAR_SSE4(0, 1, 2, 3) CLEAR_SSE4(4, 5, 6, 7) CLEAR_SSE4(8, 9, 10, 11)
                             CLEAR_SSE4(12, 13, 14, 15)
                         :
                         :
                         : "memory", LOW);
}

#else

void registers_clear(void)
{
}

#endif

enum { DEAD_STACK_BYTES = 65536 };

__attribute__((noinline)) void stack_clear(void)
{
    unsigned char dead[DEAD_STACK_BYTES];

    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory"); /* it is meant */
}
