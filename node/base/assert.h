/* Assertions that stay on in release builds. For the programmer's mistakes only: bad input is a
 * result, never an assert. */
#ifndef HF_BASE_ASSERT_H
#define HF_BASE_ASSERT_H

/* Prints "file:line: expr" to stderr (no memory contents) and aborts. */
_Noreturn void hf_panic(const char *file, int line, const char *expr);

#define HF_ASSERT(x) ((x) ? (void)0 : hf_panic(__FILE__, __LINE__, #x))
#define HF_STATIC_ASSERT(x) _Static_assert(x, #x)
#define HF_MUST_USE __attribute__((warn_unused_result))

#endif
