/* Tables of bytes that a decoder must refuse with its output untouched. */
#ifndef TEST_UNIT_WIRE_ROWS_H
#define TEST_UNIT_WIRE_ROWS_H

#include <criterion/criterion.h>

#include "wire/result.h"

struct row {
    const char *what;
    const char *bytes;
    size_t len;
    enum wire_result want;
};

#define ROW(what, bytes, want)                                                                     \
    {                                                                                              \
        what, bytes, sizeof(bytes) - 1, want                                                       \
    }
#define COUNT(t) (sizeof(t) / sizeof((t)[0]))

/* Runs a decoder over a table with an output full of a pattern. */
#define REFUSES(table, decode, type)                                                               \
    for (size_t i = 0; i < COUNT(table); i++) {                                                    \
        type out, pattern;                                                                         \
        memset(&out, 0x5c, sizeof out);                                                            \
        memset(&pattern, 0x5c, sizeof pattern);                                                    \
        cr_assert_eq(decode(span_of(table[i].bytes, table[i].len), &out), table[i].want, "%s",     \
                     table[i].what);                                                               \
        cr_assert_eq(memcmp(&out, &pattern, sizeof out), 0, "%s: output written", table[i].what);  \
    }

#endif
