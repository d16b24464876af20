#include "io/entropy.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

void io_entropy(void *out, size_t n)
{
    uint8_t *at = out;

    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        HF_ASSERT(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

uint64_t io_entropy_u64(void)
{
    uint64_t v = 0;

    while (v == 0)
        io_entropy(&v, sizeof v);
    return v;
}
