/* As much of Criterion's interface as the tests use, for builds with ThreadSanitizer: Criterion 2.4
 * maps its shared arena where ThreadSanitizer allows no mapping ("Could not initialize inheritable
 * arena"). Each test runs in a process of its own, as there; the closing line is the same. Put this
 * folder before the system's include path and link lite.c instead of Criterion. */
#ifndef HF_TESTS_LITE_CRITERION_H
#define HF_TESTS_LITE_CRITERION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lite_test {
    const char *suite, *name;
    void (*run)(void);
    unsigned timeout; /* seconds */
    int signal;       /* expected */
    int exit_code;    /* expected */
    void (*init)(void), (*fini)(void);
    struct lite_test *next;
};

/* What the tests of a suite have in common, where they say nothing themselves. */
struct lite_suite {
    const char *suite;
    unsigned timeout; /* seconds */
    void (*init)(void), (*fini)(void);
    struct lite_suite *next;
};

void lite_register(struct lite_test *test);
void lite_register_suite(struct lite_suite *suite);
_Noreturn void lite_fail(const char *file, int line, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
_Noreturn void lite_skip(void);

#define Test(suite_, name_, ...)                                                                   \
    static void suite_##_##name_##_impl(void);                                                     \
    __attribute__((constructor)) static void suite_##_##name_##_register(void)                     \
    {                                                                                              \
        static struct lite_test test = {                                                           \
            .suite = #suite_, .name = #name_, .run = suite_##_##name_##_impl, ##__VA_ARGS__};      \
        lite_register(&test);                                                                      \
    }                                                                                              \
    static void suite_##_##name_##_impl(void)

#define TestSuite(suite_, ...)                                                                     \
    __attribute__((constructor)) static void suite_##_suite_register(void)                         \
    {                                                                                              \
        static struct lite_suite suite = {.suite = #suite_, ##__VA_ARGS__};                        \
        lite_register_suite(&suite);                                                               \
    }                                                                                              \
    struct lite_suite /* for the semicolon behind it */

#define LITE_CHECK(condition, what, ...)                                                           \
    ((condition) ? (void)0 : lite_fail(__FILE__, __LINE__, what, " " __VA_ARGS__))

#define cr_assert(c, ...) LITE_CHECK((c), #c, __VA_ARGS__)
#define cr_assert_not(c, ...) LITE_CHECK(!(c), "not " #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) LITE_CHECK((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) LITE_CHECK((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) LITE_CHECK((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) LITE_CHECK((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) LITE_CHECK((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) LITE_CHECK((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(a, ...) LITE_CHECK((a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) LITE_CHECK((a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) LITE_CHECK(strcmp((a), (b)) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                                               \
    LITE_CHECK(strcmp((a), (b)) != 0, #a " is not " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...)                                                             \
    LITE_CHECK(memcmp((a), (b), (n)) == 0, #a " holds " #b, __VA_ARGS__)
#define cr_expect_eq cr_assert_eq /* the first that fails ends the test */
#define cr_log_info(...) ((void)fprintf(stderr, __VA_ARGS__), (void)fputc('\n', stderr))
#define cr_assert_fail(...) lite_fail(__FILE__, __LINE__, "fail", " " __VA_ARGS__)
#define cr_skip_test(...) lite_skip()

#endif
