/* What stands in a vector register is gone before a thread waits, and what its calls left on its stack at the end of work. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

enum { STACK_BYTES = 1 << 20, PIECE_BYTES = 32, DEEP_BYTES = 48000 };

struct job {
    uint8_t piece[PIECE_BYTES]; /* of a key; on the stack of who asks for the work */
    bool clear;
};

/* Deep in its calls it has a copy. */
__attribute__((noinline)) static void work(const struct job *job)
{
    uint8_t deep[DEEP_BYTES], copy[PIECE_BYTES];

    memset(deep, 0x11, sizeof deep);
    memcpy(copy, job->piece, sizeof copy);
    __asm__ volatile("" : : "r"(deep), "r"(copy) : "memory"); /* both are there */
}

static void *run(void *job)
{
    work(job);
    if (((const struct job *)job)->clear)
        stack_clear();
    return NULL;
}

/* Is the piece on the stack of a thread that did such work? */
static bool is_left_on_its_stack(bool clear)
{
    struct job job = {.clear = clear};
    void *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attr;
    pthread_t thread;
    bool found;

    for (size_t i = 0; i < PIECE_BYTES; i++)
        job.piece[i] = (uint8_t)(7 * i + 3);
    cr_assert_neq(stack, MAP_FAILED);
    cr_assert(pthread_attr_init(&attr) == 0 &&
              pthread_attr_setstack(&attr, stack, STACK_BYTES) == 0);
    cr_assert(pthread_create(&thread, &attr, run, &job) == 0 && pthread_join(thread, NULL) == 0);
    found = memmem(stack, STACK_BYTES, job.piece, PIECE_BYTES) != NULL;
    (void)pthread_attr_destroy(&attr);
    (void)munmap(stack, STACK_BYTES);
    return found;
}

Test(base_registers, the_stack_of_finished_work_is_cleared)
{
    cr_assert(is_left_on_its_stack(false), "the test sees what stands there");
    cr_assert_not(is_left_on_its_stack(true));
}
