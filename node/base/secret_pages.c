#include "base/secret_pages.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/secret.h"

void *secret_pages_new(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int reason;

    if (p == MAP_FAILED)
        return NULL;
    if (mlock(p, bytes) == 0 && madvise(p, bytes, MADV_DONTDUMP) == 0 &&
        madvise(p, bytes, MADV_WIPEONFORK) == 0)
        return p;
    reason = errno;
    (void)munmap(p, bytes);
    errno = reason;
    return NULL;
}

void secret_pages_free(void *p, size_t bytes)
{
    if (p == NULL)
        return;
    secret_wipe_bytes(p, bytes);
    HF_ASSERT(munmap(p, bytes) == 0);
}
