#include "unit/repl/heap_look.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void __libc_free(void *p); /* glibc's own, under the other name that it gives out */

static _Atomic(const void *) sought;
static atomic_size_t sought_len, found, looked;

static void look(const void *p)
{
    const void *bytes = atomic_load(&sought);

    if (bytes == NULL)
        return;
    atomic_fetch_add(&looked, 1);
    if (memmem(p, malloc_usable_size((void *)(size_t)p), bytes, atomic_load(&sought_len)) != NULL)
        atomic_fetch_add(&found, 1);
}

void free(void *p)
{
    if (p == NULL)
        return;
    look(p);
    __libc_free(p);
}

/* Moves whenever it grows: what it leaves behind is given back. */
void *realloc(void *p, size_t n)
{
    size_t had = p == NULL ? 0 : malloc_usable_size(p);
    void *to;

    if (p != NULL && n > 0 && n <= had)
        return p;
    to = malloc(n);
    if (to == NULL)
        return NULL;
    if (p != NULL)
        memcpy(to, p, had < n ? had : n);
    free(p);
    return to;
}

void heap_look_for(const void *bytes, size_t n)
{
    atomic_store(&sought, NULL);
    atomic_store(&sought_len, n);
    atomic_store(&found, 0);
    atomic_store(&looked, 0);
    atomic_store(&sought, bytes);
}

size_t heap_look_found(void)
{
    return atomic_load(&found);
}

size_t heap_look_looked(void)
{
    return atomic_load(&looked);
}
