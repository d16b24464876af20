/* Reads the vector files beside this header: "name = hex" lines, a blank line ends a case, '#'
 * begins a comment. For tests. */
#ifndef HF_TESTS_VECTORS_H
#define HF_TESTS_VECTORS_H

#include "base/span.h"

enum { VECTOR_FIELDS = 10, VECTOR_BYTES = 512 };

struct vector_field {
    char name[16];
    uint8_t bytes[VECTOR_BYTES];
    size_t len;
};

struct vector_case {
    struct vector_field fields[VECTOR_FIELDS];
    size_t n;
};

/* Cases of tests/vectors/NAME into cases (cap of them); the number read. Aborts on a malformed
 * file: a vector that is skipped silently tests nothing. */
size_t vectors_read(const char *name, struct vector_case *cases, size_t cap);

/* The field's bytes; data NULL when the case has none of that name. */
struct span vector_get(const struct vector_case *c, const char *name);

#endif
