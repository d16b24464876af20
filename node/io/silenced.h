/* The one reading of "this process is silenced", for workers and the control loop alike: it was told to do nothing more
 * for anybody, as a copy of another one (daemon/rollback.c).
 */
#ifndef HF_IO_SILENCED_H
#define HF_IO_SILENCED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* `silenced` may be NULL: nobody tells. */
static inline bool is_silenced(const _Atomic bool *silenced)
{
    return silenced != NULL && atomic_load_explicit(silenced, memory_order_relaxed);
}

#endif
