/* A heap that looks: each piece of memory that the program gives back, and the libraries that it uses, is
 * searched for what must not be in it. Replaces free() and realloc(): not for sanitized programs, which have
 * their own. */
#ifndef HF_TEST_HEAP_LOOK_H
#define HF_TEST_HEAP_LOOK_H

#include <stddef.h>

/* From now on for these bytes (8 at least; not copied, and not on the heap); NULL: not any more. Counts
 * begin anew. */
void heap_look_for(const void *bytes, size_t n);
size_t heap_look_found(void);  /* pieces given back with them inside */
size_t heap_look_looked(void); /* ... in all */

#endif
