/* Pages for keys that outlive a call: locked (never on a swap device), left out of core files, empty
 * in a child after fork(), wiped before they go. */
#ifndef HF_BASE_SECRET_PAGES_H
#define HF_BASE_SECRET_PAGES_H

#include <stddef.h>

/* All zero. NULL: errno says why; EAGAIN or ENOMEM from the lock mean that RLIMIT_MEMLOCK is too low
 * (LimitMEMLOCK= of the unit). */
void *secret_pages_new(size_t bytes);
/* `p` may be NULL; bytes as it was made with. */
void secret_pages_free(void *p, size_t bytes);

#endif
