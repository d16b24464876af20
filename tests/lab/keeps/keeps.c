/* holdfastd with one rule taken away, for tests/lab/secrets: a key that has come to its end is said to be
 * erased, and stays (-Wl,--wrap=seal_ring_erase). No line of the product is different for it. */
#include "replication/seal_ring.h"

void __wrap_seal_ring_erase(struct seal_ring *ring, uint64_t id);

void __wrap_seal_ring_erase(struct seal_ring *ring, uint64_t id)
{
    (void)ring;
    (void)id;
}
